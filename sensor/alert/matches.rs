//! The matches of one document, each entry once for each field.

use std::net::IpAddr;

use super::Match;
use crate::field::Field;
use crate::rules::{Entry, EntryRef, Rules};

/// Matches of one document. An answer of hostile length may name thousands of listed addresses; some
/// dozens say as much, and a line has a cap.
const MATCHES: usize = 64;

/// The matches of the document at hand. The buffers are used again for the next document.
#[derive(Debug, Default)]
pub struct Matches {
    list: Vec<Match>,
    found: Vec<EntryRef>,
}

impl Matches {
    #[must_use]
    pub fn list(&self) -> &[Match] {
        &self.list
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// Adds the entries that match a name.
    pub fn name(&mut self, rules: &Rules, name: &str, field: &'static Field) {
        rules.match_name(name, &mut self.found);
        let mut found = std::mem::take(&mut self.found);
        found.drain(..).for_each(|entry| self.keep(field, rules.entry_of_name(name, entry), || name.to_owned()));
        self.found = found;
    }

    /// Adds the entries that match an address.
    pub fn address(&mut self, rules: &Rules, address: IpAddr, field: &'static Field) {
        rules.match_address(address, &mut self.found);
        let mut found = std::mem::take(&mut self.found);
        found
            .drain(..)
            .for_each(|entry| self.keep(field, rules.entry_of_address(address, entry), || address.to_string()));
        self.found = found;
    }

    /// Adds the earlier matches of one field that are not here yet: an answer may repeat no question,
    /// and the lists may have changed since the query.
    pub fn carry(&mut self, earlier: &[Match], field: &Field) {
        for matched in earlier.iter().filter(|matched| matched.field == field) {
            if !self.list.iter().any(|known| known.field == field && same_entry(&known.hit, &matched.hit)) {
                self.list.push(matched.clone());
            }
        }
    }

    /// The matches whose entry is not among the earlier ones, each entry once.
    pub fn news<'a>(&'a self, earlier: &'a [Match]) -> impl Iterator<Item = &'a Match> {
        self.list.iter().enumerate().filter_map(move |(at, matched)| {
            let above = self.list.iter().take(at);
            let known = earlier.iter().chain(above).any(|known| same_entry(&known.hit, &matched.hit));
            (!known).then_some(matched)
        })
    }

    /// Moves the matches to those that were emitted before, each entry once, as long as `space` bytes last. An
    /// entry that is left out raises another alert if it matches again. Returns the bytes that were added, and
    /// the number of matches that found no space.
    pub fn remember(&mut self, emitted: &mut Vec<Match>, space: usize) -> (usize, u64) {
        let (mut added, mut left_out) = (0, 0);
        for matched in self.list.drain(..) {
            let known = emitted.iter().any(|known| same_entry(&known.hit, &matched.hit));
            if known || emitted.len() >= MATCHES {
                continue;
            }
            if added + matched.bytes() <= space {
                added += matched.bytes();
                emitted.push(matched);
            } else {
                left_out += 1;
            }
        }
        (added, left_out)
    }

    fn keep(&mut self, field: &'static Field, hit: Option<Entry>, atomic: impl Fn() -> String) {
        let Some(hit) = hit else { return };
        let known = self.list.iter().any(|known| known.field == field && same_entry(&known.hit, &hit));
        if !known && self.list.len() < MATCHES {
            self.list.push(Match { hit, field, atomic: atomic() });
        }
    }
}

/// Whether two hits name the same entry of the same list, also of a list that was loaded again.
fn same_entry(one: &Entry, other: &Entry) -> bool {
    one.indicator == other.indicator && one.list.id == other.list.id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Holds, field};
    use crate::rules::List;
    use std::sync::Arc;

    static QUESTION: Field = field("dns.question.name", Holds::Name, "", "query.hostname", "");
    static TARGET: Field = field("dns.answers.data", Holds::Name, "", "answers.rdata", "");
    static ADDRESS: Field = field("dns.resolved_ip", Holds::Name, "", "answers.rdata", "");

    fn hit(list: &str, indicator: &str) -> Entry {
        let list = Arc::new(List { id: list.to_owned(), ..List::default() });
        Entry { list, line: 1, indicator: indicator.into(), metadata: None }
    }

    fn matches(hits: &[(&'static Field, &str, &str)]) -> Matches {
        let mut matches = Matches::default();
        for (field, list, indicator) in hits {
            matches.keep(field, Some(hit(list, indicator)), || "the name".to_owned());
        }
        matches
    }

    #[test]
    fn each_entry_once_a_field() {
        let matches = matches(&[
            (&QUESTION, "one", "evil.example"),
            (&QUESTION, "one", "evil.example"),
            (&QUESTION, "two", "evil.example"),
            (&TARGET, "one", "evil.example"),
        ]);
        let fields: Vec<_> = matches.list.iter().map(|one| (one.field, &*one.hit.list.id)).collect();
        assert_eq!(fields, [(&QUESTION, "one"), (&QUESTION, "two"), (&TARGET, "one")]);
    }

    #[test]
    fn news_is_an_entry_that_was_not_emitted() {
        let mut emitted = Vec::new();
        let mut query = matches(&[(&QUESTION, "one", "evil.example")]);
        assert_eq!(query.news(&emitted).count(), 1);
        assert_eq!(query.remember(&mut emitted, usize::MAX), (emitted[0].bytes(), 0));
        assert!(query.list.is_empty());
        // The same entry in another field is the same alert, even of a list that was loaded again.
        assert_eq!(matches(&[(&TARGET, "one", "evil.example")]).news(&emitted).count(), 0);
        // An entry that matches two fields of one document is news once.
        let twice = matches(&[(&QUESTION, "two", "a.example"), (&TARGET, "two", "a.example")]);
        assert_eq!(twice.news(&emitted).map(|one| one.field).collect::<Vec<_>>(), [&QUESTION]);
        let mut answer = matches(&[(&ADDRESS, "one", "192.0.2.1")]);
        assert_eq!(answer.news(&emitted).count(), 1);
        answer.carry(&emitted, &QUESTION);
        assert_eq!(answer.list.len(), 2);
        answer.remember(&mut emitted, usize::MAX);
        assert_eq!(emitted.len(), 2);
        // A second answer has only its own matches, and those of the question.
        let mut second = matches(&[]);
        second.carry(&emitted, &QUESTION);
        assert_eq!(second.list.iter().map(|one| one.field).collect::<Vec<_>>(), [&QUESTION]);
        assert_eq!(second.news(&emitted).count(), 0);
    }

    #[test]
    fn hostile_answer_adds_a_bounded_number_of_matches() {
        let mut matches = Matches::default();
        for number in 0..10_000 {
            matches.keep(&ADDRESS, Some(hit("one", &number.to_string())), String::new);
        }
        assert_eq!(matches.list.len(), MATCHES);
        let mut emitted = Vec::new();
        matches.remember(&mut emitted, usize::MAX);
        assert_eq!(emitted.len(), MATCHES);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_space_for() {
        let mut query = matches(&[(&QUESTION, "one", "a.example"), (&QUESTION, "one", "b.example")]);
        let (space, mut emitted) = (query.list[0].bytes(), Vec::new());
        assert_eq!(query.remember(&mut emitted, space), (space, 1));
        assert_eq!(emitted.len(), 1);
    }
}
