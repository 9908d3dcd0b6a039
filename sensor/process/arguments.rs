//! The arguments of one image, as one text: thousands of short ones must not become thousands of strings.

use crate::invariant::Invariant;

/// Arguments that are listed one by one. A command line of more is a generated one; all of it stands in
/// [`Arguments::command_line`].
pub const LISTED: usize = 1_024;

/// The arguments of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    /// All of them, joined by spaces. Bytes that are not UTF-8 are replaced.
    text: Box<str>,
    /// Where each of the first [`LISTED`] ends in `text`.
    ends: Box<[u32]>,
    count: usize,
    cut: u32,
}

impl Arguments {
    /// Reads the arguments from `bytes` as the kernel keeps them, each ended by NUL. The process has `total` bytes of
    /// them.
    pub(super) fn new(bytes: &[u8], total: u32) -> Self {
        let cut = total.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        if bytes.is_empty() {
            return Self { cut, ..Self::default() };
        }
        let text = String::from_utf8_lossy(bytes.strip_suffix(b"\0").unwrap_or(bytes));
        Self { cut, ..text.split('\0').collect() }
    }

    /// Reads the arguments of a process that may have written a title over them: NULs behind the title are not
    /// arguments.
    pub(super) fn with_title(bytes: &[u8], total: u32) -> Self {
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(bytes.len().min(1), |last| last + 1);
        let cut = total.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Self { cut, ..Self::new(bytes.get(..end).unwrap_or_default(), 0) }
    }

    /// All of them, joined by spaces.
    #[must_use]
    pub fn command_line(&self) -> &str {
        &self.text
    }

    /// The first ones in their order, at most [`LISTED`].
    pub fn each(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let end = *end as usize;
            let argument = self.text.get(start..end).holds();
            // A space stands behind each but the last.
            start = end + 1;
            argument
        })
    }

    /// How many there are; `each` may give fewer.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many [`Arguments::each`] gives.
    #[must_use]
    pub fn listed(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that the process has and that were not taken.
    #[must_use]
    pub fn cut(&self) -> u32 {
        self.cut
    }

    /// These arguments, known to lack so many bytes.
    #[must_use]
    pub fn with_cut(self, cut: u32) -> Self {
        Self { cut, ..self }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + size_of_val(&*self.ends)
    }
}

impl Default for Arguments {
    /// Whether the process is known to have no arguments.
    fn default() -> Self {
        Self { text: Box::default(), ends: Box::default(), count: 0, cut: 0 }
    }
}

impl<T: AsRef<str>> FromIterator<T> for Arguments {
    fn from_iter<I: IntoIterator<Item = T>>(arguments: I) -> Self {
        let (mut text, mut ends, mut count) = (String::new(), Vec::new(), 0);
        for argument in arguments {
            if count > 0 {
                text.push(' ');
            }
            text.push_str(argument.as_ref());
            if let Ok(end) = u32::try_from(text.len())
                && ends.len() < LISTED
            {
                ends.push(end);
            }
            count += 1;
        }
        Self { text: text.into(), ends: ends.into(), count, cut: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(arguments: &Arguments) -> Vec<&str> {
        arguments.each().collect()
    }

    #[test]
    fn empty_arguments_keep_their_places() {
        let arguments = Arguments::new(b"a\0\0b c\0\0", 8);
        assert_eq!(list(&arguments), ["a", "", "b c", ""]);
        assert_eq!((arguments.command_line(), arguments.count(), arguments.cut()), ("a  b c ", 4, 0));
        assert_eq!(list(&Arguments::new(b"\0", 1)), [""], "one empty argument");
        assert_eq!(Arguments::new(b"", 0), Arguments::default());
    }

    #[test]
    fn a_cut_end_and_foreign_bytes_are_kept_as_far_as_they_go() {
        let arguments = Arguments::new(b"a\0\xff", 300);
        assert_eq!((list(&arguments), arguments.cut()), (vec!["a", "\u{fffd}"], 297));
    }

    #[test]
    fn a_title_ends_where_its_text_does() {
        let arguments = Arguments::with_title(b"nginx: worker\0\0\0\0", 20);
        assert_eq!((list(&arguments), arguments.cut()), (vec!["nginx: worker"], 3));
        assert_eq!(list(&Arguments::with_title(b"\0\0\0", 3)), [""]);
        assert_eq!(list(&Arguments::with_title(b"a\0b\0", 4)), ["a", "b"]);
        assert_eq!(list(&Arguments::with_title(b"", 0)), [""; 0]);
    }

    #[test]
    fn thousands_of_short_arguments_take_little_more_than_their_bytes() {
        let arguments = Arguments::new(&b"x\0".repeat(8_190), 16_380);
        assert_eq!((arguments.count(), arguments.listed(), arguments.each().count()), (8_190, LISTED, LISTED));
        assert_eq!(arguments.command_line().len(), 16_379);
        assert!(arguments.bytes() < 21_000, "{}", arguments.bytes());
    }
}
