//! Whole lines on their way into a descriptor that may take only a part of them. A line that was written
//! in part is finished first, so that a disk that was full leaves no gap inside a line.

use std::io;

#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Whole lines; the first `next` bytes have been written.
    bytes: Vec<u8>,
    next: usize,
    /// Lines in `bytes` that are not written to their end.
    lines: u64,
}

impl Pending {
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    /// Lines that are not written to their end.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.next
    }

    /// Writes until nothing is left, or the first error. Returns the number of finished lines.
    pub fn drain(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> (u64, io::Result<()>) {
        while let Some(rest) = self.bytes.get(self.next..).filter(|rest| !rest.is_empty()) {
            let outcome = match write(rest) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other,
            };
            match outcome {
                Ok(written) => self.next += written,
                Err(error) => return (self.forget_whole_lines(), Err(error)),
            }
        }
        self.bytes.clear();
        self.next = 0;
        (std::mem::take(&mut self.lines), Ok(()))
    }

    /// Gives up the lines that are left and returns their number.
    pub fn discard(&mut self) -> u64 {
        self.bytes.clear();
        self.next = 0;
        std::mem::take(&mut self.lines)
    }

    /// Keeps the line that was begun and those behind it. Returns the number of finished lines.
    fn forget_whole_lines(&mut self) -> u64 {
        let (written, _) = self.bytes.split_at(self.next.min(self.bytes.len()));
        let whole = written.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let finished = written.split(|&byte| byte == b'\n').skip(1).count() as u64;
        self.bytes.drain(..whole);
        self.next -= whole;
        self.lines -= finished.min(self.lines);
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A descriptor that takes `room` bytes.
    fn into(taken: &mut Vec<u8>, mut room: usize) -> impl FnMut(&[u8]) -> io::Result<usize> + '_ {
        move |bytes| {
            let some = bytes.len().min(room);
            if some == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            room -= some;
            taken.extend_from_slice(&bytes[..some]);
            Ok(some)
        }
    }

    #[test]
    fn a_line_cut_by_a_full_disk_is_finished_later() {
        for room in 0..12 {
            let mut pending = Pending::default();
            pending.push(b"one\n");
            pending.push(b"two\n");
            pending.push(b"six\n");
            let mut taken = Vec::new();
            let (first, outcome) = pending.drain(into(&mut taken, room));
            assert!(outcome.is_err());
            assert_eq!(first, room as u64 / 4);
            let (second, outcome) = pending.drain(into(&mut taken, 100));
            assert!(outcome.is_ok());
            assert_eq!((first + second, taken.as_slice()), (3, b"one\ntwo\nsix\n".as_slice()));
        }
    }

    #[test]
    fn lines_that_are_given_up_are_counted() {
        let mut pending = Pending::default();
        pending.push(b"one\n");
        pending.push(b"two\n");
        assert_eq!(pending.drain(into(&mut Vec::new(), 6)).0, 1);
        assert_eq!((pending.len(), pending.discard(), pending.len()), (2, 1, 0));
    }
}
