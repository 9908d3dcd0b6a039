//! The counts of one output and whether it works. Each output keeps its own; the set of outputs passes
//! changes on.

use std::collections::VecDeque;
use std::fmt::Display;

/// Counts of one output since it was opened, in lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines given to the output.
    pub lines: u64,
    /// Lines known not to have arrived.
    pub dropped: u64,
    /// Lines taken by the receiver's kernel, which then reset the connection: at most so many were not read.
    pub uncertain: u64,
    /// Lines sent a second time because the first was not acknowledged: at most so many arrived twice.
    pub resent: u64,
}

/// Changes kept while they are not taken; beyond this the oldest are dropped, the counts stay.
const CHANGES: usize = 16;

/// Counts, and every change between working and failing that was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub tally: Tally,
    /// The only possible reader has left by itself.
    pub reader_left: bool,
    /// The present failure.
    failing: Option<String>,
    changes: VecDeque<(bool, String)>,
}

impl Health {
    /// Notes a failure, unless it is the present one.
    pub fn fail(&mut self, trouble: &impl Display) {
        let message = trouble.to_string();
        if self.failing.as_deref() != Some(&message) {
            self.note(true, message.clone());
            self.failing = Some(message);
        }
    }

    /// Notes that the output works again, if it did not.
    pub fn recover(&mut self, message: &str) {
        if self.failing.take().is_some() {
            self.note(false, message.to_owned());
        }
    }

    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub fn take_change(&mut self) -> Option<(bool, String)> {
        self.changes.pop_front()
    }

    fn note(&mut self, failing: bool, message: String) {
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((failing, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noted_once() {
        let mut health = Health::default();
        health.recover("nothing was wrong");
        assert_eq!(health.take_change(), None);
        health.fail(&"full");
        health.fail(&"full");
        health.fail(&"gone");
        health.recover("back");
        let noted: Vec<_> = std::iter::from_fn(|| health.take_change()).collect();
        assert_eq!(noted, [(true, "full".into()), (true, "gone".into()), (false, "back".into())]);
        assert!(!health.is_failing());
    }

    #[test]
    fn changes_that_are_not_taken_are_bounded() {
        let mut health = Health::default();
        for round in 0..100 {
            health.fail(&round);
        }
        let noted: Vec<_> = std::iter::from_fn(|| health.take_change()).collect();
        assert_eq!(noted.len(), CHANGES);
        assert_eq!(noted.last(), Some(&(true, "99".into())));
    }
}
