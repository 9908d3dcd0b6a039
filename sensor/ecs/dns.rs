//! `dns.*`: what was asked and answered.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::limits::{Cuts, Limits, Part};
use super::text::{self, Address, Id, Mnemonic};
use crate::dns::{self, Class, Message, Opcode, Rcode, Record, Section, Type};
use crate::name::Suffix;
use crate::sighting::dns::Document;

/// The question stands first and the answers, which may be long, last.
#[derive(Debug, Serialize)]
pub(super) struct Dns<'a> {
    pub r#type: &'static str,
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question<'a>>,
    pub op_code: Mnemonic<Opcode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_code: Option<Mnemonic<Rcode>>,
    #[serde(skip_serializing_if = "HeaderFlags::is_empty")]
    header_flags: HeaderFlags<'a>,
    #[serde(skip_serializing_if = "ResolvedIp::is_empty")]
    resolved_ip: ResolvedIp<'a>,
    #[serde(skip_serializing_if = "Answers::is_empty")]
    pub answers: Answers<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Question<'a> {
    pub name: &'a str,
    pub r#type: Mnemonic<Type>,
    pub class: Mnemonic<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_level_domain: Option<&'a str>,
}

impl<'a> Dns<'a> {
    pub(super) fn new(lookup: &Document<'a>, limits: Limits, cuts: &mut Cuts) -> Self {
        let message = lookup.message;
        let answers = Answers::new(message, limits.answers, cuts);
        Self {
            r#type: if message.response { "answer" } else { "query" },
            id: Id(message.id.into()),
            question: lookup.question().map(|question| Question::new(question, limits, cuts)),
            op_code: Mnemonic(Opcode(message.opcode.into())),
            // What the field holds in a query means nothing.
            response_code: message.response.then_some(Mnemonic(Rcode(message.rcode))),
            header_flags: HeaderFlags(message),
            resolved_ip: ResolvedIp(answers),
            answers,
        }
    }
}

impl<'a> Question<'a> {
    fn new(question: dns::Question<'a>, limits: Limits, cuts: &mut Cuts) -> Self {
        let suffix = Suffix::of(question.name);
        let mut some = |text: Option<&'a str>, part| text.map(|text| cuts.text(text, limits.text, part));
        Self {
            registered_domain: some(suffix.registered_domain, Part::RegisteredDomain),
            subdomain: some(suffix.subdomain, Part::Subdomain),
            top_level_domain: some(suffix.top_level_domain, Part::TopLevelDomain),
            name: cuts.text(question.name, limits.text, Part::QuestionName),
            r#type: Mnemonic(Type(question.qtype)),
            class: Mnemonic(Class(question.class)),
        }
    }
}

#[derive(Debug)]
struct HeaderFlags<'a>(&'a Message);

impl HeaderFlags<'_> {
    fn is_empty(&self) -> bool {
        self.0.header_flags().next().is_none()
    }
}

impl Serialize for HeaderFlags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.header_flags())
    }
}

/// The records of the answer section that fit. Of the last one the data may be shown in part:
/// the beginning of a long text tells more than nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers<'a> {
    message: &'a Message,
    shown: usize,
    /// Escaped bytes of the data of the last one.
    last: usize,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    name: &'a str,
    r#type: Mnemonic<Type>,
    class: Mnemonic<Class>,
    ttl: u32,
    data: &'a str,
}

/// `{"name":"","type":"TYPE65535","class":"CLASS65535","ttl":4294967295,"data":""},`
const ANSWER: usize = 79;

/// Less of an answer's data is not worth its line.
const SHORTEST_DATA: usize = 64;

impl<'a> Answers<'a> {
    fn new(message: &'a Message, limit: usize, cuts: &mut Cuts) -> Self {
        let mut answers = Self { message, shown: usize::MAX, last: usize::MAX };
        let mut left = limit;
        for (position, record) in answers.records().enumerate() {
            let rest = text::escaped_length(record.name, left).and_then(|name| left.checked_sub(ANSWER + name));
            let whole = rest.and_then(|rest| rest.checked_sub(text::escaped_length(record.data, rest)?));
            let Some(whole) = whole else {
                let last = rest.filter(|rest| *rest >= SHORTEST_DATA);
                answers.shown = position + usize::from(last.is_some());
                answers.last = last.unwrap_or(usize::MAX);
                cuts.add(Part::Answers);
                break;
            };
            left = whole;
        }
        answers
    }

    fn is_empty(&self) -> bool {
        self.records().next().is_none()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        self.message.records().filter(|record| record.section == Section::Answer).take(self.shown)
    }

    /// The same with the data that is shown of each.
    pub(super) fn shown(&self) -> impl Iterator<Item = (Record<'a>, &'a str)> + use<'a> {
        let (shown, last) = (self.shown, self.last);
        self.records().enumerate().map(move |(position, record)| {
            let data = if position + 1 == shown { text::beginning(record.data, last) } else { record.data };
            (record, data)
        })
    }

    /// Those that the shown records give, hints of HTTPS and SVCB included.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.records().flat_map(|record| record.address.into_iter().chain(record.hints.iter().copied()))
    }
}

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.shown().map(|(record, data)| Answer {
            name: record.name,
            r#type: Mnemonic(Type(record.rtype)),
            class: Mnemonic(Class(record.class)),
            ttl: record.ttl,
            data,
        }))
    }
}

#[derive(Debug)]
struct ResolvedIp<'a>(Answers<'a>);

impl ResolvedIp<'_> {
    fn is_empty(&self) -> bool {
        self.0.addresses().next().is_none()
    }
}

impl Serialize for ResolvedIp<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.addresses().map(Address::new))
    }
}
