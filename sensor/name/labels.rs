//! The labels of a name in document form, from the right. A dot after a backslash belongs to its label.

/// The labels of a name, the last one first.
#[derive(Debug, Clone)]
pub struct Labels<'a>(Option<&'a str>);

impl<'a> Labels<'a> {
    /// The root has no labels.
    #[must_use]
    pub fn of(name: &'a str) -> Self {
        Self(Some(name).filter(|name| *name != "."))
    }

    /// The labels that are left, as one name.
    #[must_use]
    pub fn rest(&self) -> Option<&'a str> {
        self.0
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let name = self.0?;
        let start = label_start(name.as_bytes(), name.len())?;
        self.0 = start.checked_sub(1).and_then(|dot| name.get(..dot));
        name.get(start..)
    }
}

/// Where the label that ends at `end` begins: behind the nearest dot to the left that no backslash
/// escapes. `None` when `end` lies outside of the name.
#[inline]
#[must_use]
pub fn label_start(name: &[u8], end: usize) -> Option<usize> {
    let mut head = name.get(..end)?;
    loop {
        let Some(dot) = last_dot(head) else { return Some(0) };
        head = head.get(..dot)?;
        if head.last() != Some(&b'\\') {
            return Some(dot + 1);
        }
        let backslashes = head.iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(dot + 1);
        }
    }
}

/// The place of the last dot. The search reads eight bytes at a time.
#[inline]
fn last_dot(text: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const DOTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
    let mut head = text;
    while let Some((rest, word)) = head.split_last_chunk::<8>() {
        let others = u64::from_le_bytes(*word) ^ DOTS;
        // The top bit of each byte that is a dot.
        let dots = !(((others & LOW) + LOW) | others | LOW);
        if dots != 0 {
            return Some(rest.len() + 7 - dots.leading_zeros() as usize / 8);
        }
        head = rest;
    }
    head.iter().rposition(|byte| *byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_end_at_dots_that_nothing_escapes() {
        let labels = |name: &'static str| Labels::of(name).collect::<Vec<_>>();
        assert_eq!(labels("www.evil.example"), ["example", "evil", "www"]);
        assert_eq!(labels(r"a\.b.example"), ["example", r"a\.b"]);
        assert_eq!(labels(r"a\\.b.example"), ["example", "b", r"a\\"]);
        assert_eq!(labels(r"a\\\.b"), [r"a\\\.b"]);
        assert_eq!(labels("aaaaaaaaaaaa.b.cccccccccccccccc.dd"), ["dd", "cccccccccccccccc", "b", "aaaaaaaaaaaa"]);
        assert_eq!(labels("aaaaaaaaaaaaaaaaaaaaa"), ["aaaaaaaaaaaaaaaaaaaaa"]);
        assert_eq!(labels("."), [""; 0]);
    }

    #[test]
    fn labels_that_are_left_are_one_name() {
        let mut labels = Labels::of(r"a\.b.www.example");
        assert_eq!((labels.next(), labels.rest()), (Some("example"), Some(r"a\.b.www")));
        labels.next();
        assert_eq!((labels.next(), labels.rest(), labels.next()), (Some(r"a\.b"), None, None));
    }

    #[test]
    fn a_label_outside_of_the_name_has_no_start() {
        assert_eq!(label_start(b"ab.c", 5), None);
        assert_eq!(label_start(b"ab.c", 4), Some(3));
        assert_eq!(label_start(b"ab.c", 2), Some(0));
    }
}
