//! A document as far as views need it. Fields of other kinds of documents, and those that a shipper added,
//! are passed over.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;

/// One line of the sensor, in ECS.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document<'a> {
    #[serde(rename = "@timestamp", borrow)]
    pub time: Cow<'a, str>,
    #[serde(borrow)]
    pub event: Event<'a>,
    #[serde(borrow)]
    pub process: Process<'a>,
    #[serde(borrow)]
    pub user: User<'a>,
    #[serde(borrow)]
    pub container: Container<'a>,
    #[serde(borrow)]
    pub dns: Option<Dns<'a>>,
    #[serde(borrow)]
    pub source: End<'a>,
    #[serde(borrow)]
    pub destination: End<'a>,
    #[serde(borrow)]
    pub host: Host<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Event<'a> {
    #[serde(borrow)]
    pub dataset: Cow<'a, str>,
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    /// Nanoseconds.
    pub duration: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Process<'a> {
    #[serde(borrow)]
    pub entity_id: Cow<'a, str>,
    pub pid: u64,
    #[serde(borrow)]
    pub executable: Cow<'a, str>,
    #[serde(borrow)]
    pub command_line: Cow<'a, str>,
    #[serde(borrow)]
    pub parent: Parent<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Parent<'a> {
    #[serde(borrow)]
    pub entity_id: Cow<'a, str>,
    #[serde(borrow)]
    pub executable: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct User<'a> {
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Container<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Host<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
}

/// `source` or `destination`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct End<'a> {
    #[serde(borrow)]
    pub ip: Cow<'a, str>,
    pub port: u64,
    #[serde(borrow)]
    pub domain: Cow<'a, str>,
    pub bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Dns<'a> {
    #[serde(borrow)]
    pub question: Question<'a>,
    #[serde(borrow)]
    pub response_code: Cow<'a, str>,
    #[serde(borrow)]
    pub resolved_ip: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub answers: Vec<Answer<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Question<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub data: Cow<'a, str>,
}

/// Why a line gives no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A torn line, or a line of another program.
    NotOurs,
    /// Ours, in a format that is not read back; its name in `format=`.
    Format(&'static str),
}

/// The marks of the other formats.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Marks<'a> {
    #[serde(borrow)]
    vendor_product: Cow<'a, str>,
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    product: Product<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Product<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl<'a> Document<'a> {
    /// # Errors
    /// The line is no document of dnstrail in ECS.
    pub fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice::<Self>(line) {
            Ok(document) if document.event.dataset.starts_with("dnstrail.") => Ok(document),
            _ => Err(match serde_json::from_slice::<Marks<'_>>(line) {
                Ok(marks) if marks.vendor_product == "dnstrail" => Refusal::Format("splunk-cim"),
                Ok(marks) if marks.metadata.product.name == "dnstrail" => Refusal::Format("ocsf"),
                _ => Refusal::NotOurs,
            }),
        }
    }

    /// The names of a lookup (the question and each alias on the way), or the name that a connection goes to.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let answers = self.dns.iter().flat_map(|dns| &dns.answers);
        let aliases = answers.flat_map(|answer| {
            let target = (answer.r#type == "CNAME").then_some(&*answer.data);
            [Some(&*answer.name), target].into_iter().flatten()
        });
        let first = self.dns.as_ref().map_or(&*self.destination.domain, |dns| &*dns.question.name);
        [first].into_iter().chain(aliases).filter(|name| !name.is_empty())
    }

    /// The addresses that a lookup gave.
    pub fn resolved(&self) -> impl Iterator<Item = IpAddr> {
        self.dns.iter().flat_map(|dns| &dns.resolved_ip).filter_map(|text| address(text))
    }
}

/// An address; IPv4 in IPv6 is IPv4.
pub fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}
