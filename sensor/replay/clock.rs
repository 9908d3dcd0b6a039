//! The clock of a capture, which one wrong time stamp must not move: everything that waits by the clock, as a
//! query for its answer, would be given up. A frame whose time lies far from the frames before it is held until the
//! next frames agree with it, or do not.

use std::collections::VecDeque;

/// Nanoseconds between two frames that need no confirmation; below the shortest usual timeout.
const JUMP: u64 = 2_000_000_000;
/// Frames that must agree with one that jumps.
const AGREEING: usize = 3;

/// A frame that was held, from its IP header on.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// Bytes on the wire.
    pub length: u32,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The time that is trusted.
    now: Option<u64>,
    /// At most [`AGREEING`] frames and the one that they may confirm.
    held: VecDeque<Held>,
    /// Frames whose time is settled.
    ready: VecDeque<Held>,
}

/// The judgement of a frame's time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The time is good.
    Good,
    /// The frame waits until other frames have settled the time.
    Hold,
}

impl Clock {
    /// Nanoseconds since the Unix epoch; 0 before the first frame.
    pub(super) fn now(&self) -> u64 {
        self.now.unwrap_or_default()
    }

    /// The time of a frame that has none: that of the frame before it.
    pub(super) fn last(&self) -> u64 {
        self.held.back().map_or(self.now(), |frame| frame.time)
    }

    /// Judges a frame of this time. A frame to be held is then given to [`Self::hold`].
    pub(super) fn judge(&mut self, time: u64) -> Verdict {
        let now = *self.now.get_or_insert(time);
        if self.held.is_empty() && time.abs_diff(now) <= JUMP {
            self.now = Some(now.max(time));
            return Verdict::Good;
        }
        Verdict::Hold
    }

    /// Holds a frame; the number of held frames whose time turned out to be wrong.
    pub(super) fn hold(&mut self, frame: Held) -> u64 {
        let now = self.now();
        let Some(first) = self.held.front() else {
            self.held.push_back(frame);
            return 0;
        };
        if frame.time.abs_diff(now) <= JUMP {
            let wrong = self.set_right();
            self.now = Some(now.max(frame.time));
            self.ready.push_back(frame);
            return wrong;
        }
        let is_behind = frame.time.saturating_add(JUMP) < first.time;
        let is_elsewhere = first.time < now && frame.time > now;
        if is_behind || is_elsewhere {
            let wrong = self.set_right();
            self.held.push_back(frame);
            return wrong;
        }
        self.held.push_back(frame);
        if self.held.len() > AGREEING {
            self.settle();
        }
        0
    }

    /// Settles the frames at the end of the capture: those that nothing contradicts keep their times. Returns whether
    /// any was held.
    pub(super) fn finish(&mut self) -> bool {
        let any = !self.held.is_empty();
        self.settle();
        any
    }

    /// The next frame whose time is settled.
    pub(super) fn take(&mut self) -> Option<Held> {
        self.ready.pop_front()
    }

    /// Trusts the held frames: the jump was one of the clock.
    fn settle(&mut self) {
        if let Some(last) = self.held.back() {
            self.now = Some(last.time);
        }
        self.ready.append(&mut self.held);
    }

    /// Distrusts the held frames: the jump was an error, and they get the time of the frame before them.
    fn set_right(&mut self) -> u64 {
        let wrong = self.held.len() as u64;
        let now = self.now();
        self.ready.extend(self.held.drain(..).map(|frame| Held { time: now, ..frame }));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The times, in seconds, that frames of these times have; and how many were wrong.
    fn settled(times: &[u64]) -> (Vec<u64>, u64) {
        let (mut clock, mut settled, mut wrong) = (Clock::default(), Vec::new(), 0);
        for time in times {
            match clock.judge(time * SECOND) {
                Verdict::Good => settled.push(*time),
                Verdict::Hold => wrong += clock.hold(Held { time: time * SECOND, ..Held::default() }),
            }
            settled.extend(std::iter::from_fn(|| clock.take()).map(|frame| frame.time / SECOND));
            assert!(clock.held.len() <= AGREEING);
        }
        clock.finish();
        settled.extend(std::iter::from_fn(|| clock.take()).map(|frame| frame.time / SECOND));
        (settled, wrong)
    }

    #[test]
    fn one_wrong_time_stamp_does_not_move_the_clock() {
        for wrong in [0, 50, 200, 4_000_000_000] {
            assert_eq!(settled(&[100, 101, wrong, 101, 102, 103]), (vec![100, 101, 101, 101, 102, 103], 1), "{wrong}");
            assert_eq!(settled(&[100, wrong, wrong + 1, 101]), (vec![100, 100, 100, 101], 2), "{wrong}");
        }
        // Two wrong ones in different places, and a silence that is real.
        assert_eq!(settled(&[100, 900, 40, 100]), (vec![100, 100, 100, 100], 2));
        assert_eq!(settled(&[100, 900, 150, 151, 152, 153, 154]), (vec![100, 100, 150, 151, 152, 153, 154], 1));
    }

    #[test]
    fn a_jump_of_the_clock_itself_stands() {
        for times in [
            vec![100, 200, 201, 202, 203, 204],
            vec![100, 10, 11, 12, 13, 14],
            // Quiet captures, up to the last frame.
            vec![100, 200, 300, 400, 500, 600, 700],
            vec![100, 200],
            vec![100, 200, 300],
            vec![7],
            vec![],
        ] {
            assert_eq!(settled(&times), (times.clone(), 0));
        }
    }

    #[test]
    fn a_wrong_first_time_stamp_is_left_behind() {
        let (times, _) = settled(&[9_000, 100, 101, 102, 103, 104]);
        assert_eq!(times, [9_000, 100, 101, 102, 103, 104]);
    }
}
