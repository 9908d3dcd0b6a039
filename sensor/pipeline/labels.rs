//! Which entries of which lists a message matches, and in which field of its document.

use crate::dns::{Message, Section};
use crate::ecs::Match;
use crate::rules::{Hit, Rules};

/// Matches of one document. An answer of hostile length may name thousands of listed addresses; some
/// dozens say as much, and a line has a cap.
const MATCHES: usize = 64;

/// The matches of the message at hand; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) matches: Vec<Match>,
    hits: Vec<Hit>,
}

impl Labels {
    pub(super) fn clear(&mut self) {
        self.matches.clear();
    }

    pub(super) fn question(&mut self, rules: &Rules, message: &Message) {
        for question in message.questions() {
            self.name(rules, question.name, "dns.question.name");
        }
    }

    /// Every name and address that the answer leads to.
    pub(super) fn answer(&mut self, rules: &Rules, message: &Message) {
        let question = message.questions().next().map(|question| question.name);
        // Records of one name stand together; looking the same name up again finds nothing new.
        let (mut owner, mut led_to) = (question, None);
        for record in message.records().filter(|record| record.section == Section::Answer) {
            if owner != Some(record.name) && led_to != Some(record.name) {
                self.name(rules, record.name, "dns.answers.name");
            }
            owner = Some(record.name);
            if let Some(target) = record.target {
                self.name(rules, target, "dns.answers.data");
                led_to = Some(target);
            }
        }
        for (address, record) in message.addresses().filter(|(_, record)| record.section == Section::Answer) {
            rules.match_address(address, &mut self.hits);
            let field = if record.address.is_some() { "dns.resolved_ip" } else { "dns.answers.data" };
            self.keep(field, || address.to_string());
        }
    }

    /// Adds those that the query's documents had of its question: the answer may have no question,
    /// and the lists may have changed since.
    pub(super) fn question_before(&mut self, before: &[Match]) {
        for label in before.iter().filter(|label| label.field == "dns.question.name") {
            if !self.matches.iter().any(|known| known.field == label.field && same_entry(&known.hit, &label.hit)) {
                self.matches.push(Match { hit: label.hit.clone(), field: label.field, atomic: label.atomic.clone() });
            }
        }
    }

    /// Whether something matches that these do not tell yet.
    pub(super) fn has_news(&self, before: &[Match]) -> bool {
        self.matches.iter().any(|label| !before.iter().any(|known| same_entry(&known.hit, &label.hit)))
    }

    /// Gives the matches away to be told no more.
    pub(super) fn remember(&mut self, told: &mut Vec<Match>) {
        for label in self.matches.drain(..) {
            if told.len() < MATCHES && !told.iter().any(|known| same_entry(&known.hit, &label.hit)) {
                told.push(label);
            }
        }
    }

    fn name(&mut self, rules: &Rules, name: &str, field: &'static str) {
        rules.match_name(name, &mut self.hits);
        self.keep(field, || name.to_owned());
    }

    fn keep(&mut self, field: &'static str, atomic: impl Fn() -> String) {
        for hit in self.hits.drain(..) {
            let known = self.matches.iter().any(|known| known.field == field && same_entry(&known.hit, &hit));
            if !known && self.matches.len() < MATCHES {
                self.matches.push(Match { hit, field, atomic: atomic() });
            }
        }
    }
}

/// The same entry of the same list, also of a list that was loaded again.
fn same_entry(one: &Hit, other: &Hit) -> bool {
    one.indicator == other.indicator && one.list.id == other.list.id
}
