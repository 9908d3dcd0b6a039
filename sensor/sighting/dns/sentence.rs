//! `message` of an alert: the sighting for people.

use std::fmt::{self, Display};

use super::{Document, Occurrence};
use crate::dns::Type;
use crate::json::{Json, beginning};
use crate::schema::Limits;

/// `curl (4242) asked for A www.evil.example: dns.question.name matches evil.example in Example`
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence<'a> {
    document: &'a Document<'a>,
    limits: Limits,
}

/// `message`, in alerts only.
pub(super) fn message(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    let Some(first) = document.matches.first().filter(|_| document.alert) else { return };
    // The other texts are marked where they stand in fields of their own.
    json.cuts().text(&first.hit.indicator, limits.text, "message");
    json.shown("message", Sentence { document, limits });
}

impl Display for Sentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, limits } = *self;
        let text = |text| beginning(text, limits.text);
        match (&document.actor.process, document.actor.pid()) {
            (Some(image), _) => write!(formatter, "{} ({})", text(&image.name), image.key.pid)?,
            (None, Some(pid)) => write!(formatter, "a process ({pid})")?,
            (None, None) => formatter.write_str("an unknown process")?,
        }
        formatter.write_str(match document.occurrence {
            Occurrence::Query => " asked for ",
            Occurrence::Answer { .. } => " got an answer for ",
            Occurrence::Timeout { .. } => " got no answer for ",
            Occurrence::Malformed => " has a message that is not valid DNS, about ",
        })?;
        match document.question() {
            Some(question) => write!(formatter, "{} {}", Type(question.qtype), text(question.name))?,
            None => formatter.write_str("nothing readable")?,
        }
        let Some(first) = document.matches.first() else { return Ok(()) };
        let (field, hit) = (first.field.ecs, &first.hit);
        write!(formatter, ": {field} matches {} in {}", text(&hit.indicator), text(&hit.list.name))?;
        match document.matches.len() - 1 {
            0 => Ok(()),
            more => write!(formatter, ", and {more} more"),
        }
    }
}
