//! Which entries of which lists a message matches, and in which field of its document.

use crate::alert::Match;
use crate::dns::{Message, Section};
use crate::rules::{Entry, EntryRef, Rules};
use crate::schema::Field;
use crate::sighting::dns::{ANSWER_DATA, ANSWER_NAME, QUESTION_NAME, RESOLVED_IP};

/// Matches of one document. An answer of hostile length may name thousands of listed addresses; some
/// dozens say as much, and a line has a cap.
const MATCHES: usize = 64;

/// The matches of the message at hand; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) matches: Vec<Match>,
    found: Vec<EntryRef>,
}

impl Labels {
    pub(super) fn clear(&mut self) {
        self.matches.clear();
    }

    pub(super) fn question(&mut self, rules: &Rules, message: &Message) {
        for question in message.questions() {
            self.name(rules, question.name, &QUESTION_NAME);
        }
    }

    /// Every name and address that the answer leads to.
    pub(super) fn answer(&mut self, rules: &Rules, message: &Message) {
        let question = message.questions().next().map(|question| question.name);
        // Records of one name stand together; looking the same name up again finds nothing new.
        let (mut owner, mut led_to) = (question, None);
        for record in message.records().filter(|record| record.section == Section::Answer) {
            if owner != Some(record.name) && led_to != Some(record.name) {
                self.name(rules, record.name, &ANSWER_NAME);
            }
            owner = Some(record.name);
            if let Some(target) = record.target {
                self.name(rules, target, &ANSWER_DATA);
                led_to = Some(target);
            }
        }
        for (address, record) in message.addresses().filter(|(_, record)| record.section == Section::Answer) {
            rules.match_address(address, &mut self.found);
            let field = if record.address.is_some() { &RESOLVED_IP } else { &ANSWER_DATA };
            let mut found = std::mem::take(&mut self.found);
            found
                .drain(..)
                .for_each(|entry| self.keep(field, rules.entry_of_address(address, entry), || address.to_string()));
            self.found = found;
        }
    }

    /// Adds those that the query's documents had of its question: the answer may have no question,
    /// and the lists may have changed since.
    pub(super) fn question_before(&mut self, before: &[Match]) {
        for label in before.iter().filter(|label| *label.field == QUESTION_NAME) {
            if !self.matches.iter().any(|known| known.field == label.field && same_entry(&known.hit, &label.hit)) {
                self.matches.push(Match { hit: label.hit.clone(), field: label.field, atomic: label.atomic.clone() });
            }
        }
    }

    /// What matches and is not told by these yet, each entry once.
    pub(super) fn news<'a>(&'a self, before: &'a [Match]) -> impl Iterator<Item = &'a Match> {
        self.matches.iter().enumerate().filter_map(move |(at, label)| {
            let above = self.matches.iter().take(at);
            let known = before.iter().chain(above).any(|known| same_entry(&known.hit, &label.hit));
            (!known).then_some(label)
        })
    }

    /// Gives the matches away to be told no more.
    pub(super) fn remember(&mut self, told: &mut Vec<Match>) {
        for label in self.matches.drain(..) {
            if told.len() < MATCHES && !told.iter().any(|known| same_entry(&known.hit, &label.hit)) {
                told.push(label);
            }
        }
    }

    fn name(&mut self, rules: &Rules, name: &str, field: &'static Field) {
        rules.match_name(name, &mut self.found);
        let mut found = std::mem::take(&mut self.found);
        found.drain(..).for_each(|entry| self.keep(field, rules.entry_of_name(name, entry), || name.to_owned()));
        self.found = found;
    }

    fn keep(&mut self, field: &'static Field, hit: Option<Entry>, atomic: impl Fn() -> String) {
        let Some(hit) = hit else { return };
        let known = self.matches.iter().any(|known| known.field == field && same_entry(&known.hit, &hit));
        if !known && self.matches.len() < MATCHES {
            self.matches.push(Match { hit, field, atomic: atomic() });
        }
    }
}

/// The same entry of the same list, also of a list that was loaded again.
fn same_entry(one: &Entry, other: &Entry) -> bool {
    one.indicator == other.indicator && one.list.id == other.list.id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::List;
    use std::sync::Arc;

    fn hit(list: &str, indicator: &str) -> Entry {
        let list = Arc::new(List { id: list.to_owned(), ..List::default() });
        Entry { list, line: 1, indicator: indicator.into(), metadata: None }
    }

    fn labels(hits: &[(&'static Field, &str, &str)]) -> Labels {
        let mut labels = Labels::default();
        for (field, list, indicator) in hits {
            labels.keep(field, Some(hit(list, indicator)), || "the name".to_owned());
        }
        labels
    }

    #[test]
    fn each_entry_once_a_field() {
        let labels = labels(&[
            (&QUESTION_NAME, "one", "evil.example"),
            (&QUESTION_NAME, "one", "evil.example"),
            (&QUESTION_NAME, "two", "evil.example"),
            (&ANSWER_DATA, "one", "evil.example"),
        ]);
        let fields: Vec<_> = labels.matches.iter().map(|one| (one.field, &*one.hit.list.id)).collect();
        assert_eq!(fields, [(&QUESTION_NAME, "one"), (&QUESTION_NAME, "two"), (&ANSWER_DATA, "one")]);
    }

    #[test]
    fn news_is_an_entry_that_was_not_told() {
        let mut told = Vec::new();
        let mut query = labels(&[(&QUESTION_NAME, "one", "evil.example")]);
        assert_eq!(query.news(&told).count(), 1);
        query.remember(&mut told);
        assert!(query.matches.is_empty());
        // The same entry in another field is the same alert, even of a list that was loaded again.
        assert_eq!(labels(&[(&ANSWER_DATA, "one", "evil.example")]).news(&told).count(), 0);
        // And in two fields of one document.
        let twice = labels(&[(&QUESTION_NAME, "two", "a.example"), (&ANSWER_DATA, "two", "a.example")]);
        assert_eq!(twice.news(&told).map(|one| one.field).collect::<Vec<_>>(), [&QUESTION_NAME]);
        let mut answer = labels(&[(&RESOLVED_IP, "one", "192.0.2.1")]);
        assert_eq!(answer.news(&told).count(), 1);
        answer.question_before(&told);
        assert_eq!(answer.matches.len(), 2);
        answer.remember(&mut told);
        assert_eq!(told.len(), 2);
        // A second answer has only what stands in it, and the question.
        let mut second = labels(&[]);
        second.question_before(&told);
        assert_eq!(second.matches.iter().map(|one| one.field).collect::<Vec<_>>(), [&QUESTION_NAME]);
        assert_eq!(second.news(&told).count(), 0);
    }

    #[test]
    fn a_hostile_answer_adds_no_end_of_labels() {
        let mut labels = Labels::default();
        for number in 0..10_000 {
            labels.keep(&RESOLVED_IP, Some(hit("one", &number.to_string())), String::new);
        }
        assert_eq!(labels.matches.len(), MATCHES);
        let mut told = Vec::new();
        labels.remember(&mut told);
        assert_eq!(told.len(), MATCHES);
    }
}
