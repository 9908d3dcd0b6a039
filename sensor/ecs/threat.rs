//! `rule.*` and `threat.*`: which list says so, which entry, and which field it matched.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::limits::{Cuts, Limits, Part};
use super::text::Address;
use crate::alert::Match;
use crate::rules::Entry;
use crate::schema::Field;

/// The list of the first match; the others stand in [`Threat`].
#[derive(Debug, Serialize)]
pub(super) struct Rule<'a> {
    pub id: &'a str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a str>,
    pub version: &'a str,
    /// Of the entry, where the list gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<&'a str>,
}

impl<'a> Rule<'a> {
    pub(super) fn new(hit: &'a Entry, limits: Limits, cuts: &mut Cuts) -> Self {
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::Rule);
        let list = &hit.list;
        Self {
            id: text(&list.id),
            name: text(&list.name),
            category: list.category.as_deref().map(&mut text),
            reference: list.reference.as_deref().map(&mut text),
            version: text(&list.version),
            uuid: uuid(hit).map(&mut text),
        }
    }
}

fn uuid(hit: &Entry) -> Option<&str> {
    hit.metadata.as_deref()?.uuid.as_deref()
}

#[derive(Debug, Serialize)]
pub(super) struct Threat<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<Feed<'a>>,
    pub enrichments: Enrichments<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Feed<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

impl<'a> Threat<'a> {
    /// `None` where nothing matched.
    pub(super) fn new(matches: &'a [Match], limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let list = &matches.first()?.hit.list;
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::Feed);
        let feed = list
            .feed
            .as_deref()
            .map(|name| Feed { name: text(name), reference: list.reference.as_deref().map(&mut text) });
        let shown = cuts.elements(matches, limits.elements, Part::Enrichments);
        for matched in shown {
            Enrichment::new(matched, limits, cuts);
        }
        Some(Self { feed, enrichments: Enrichments { shown, limits } })
    }
}

#[derive(Debug)]
pub(super) struct Enrichments<'a> {
    pub shown: &'a [Match],
    pub limits: Limits,
}

impl<'a> Enrichments<'a> {
    pub(super) fn first(&self) -> Option<Enrichment<'a>> {
        self.each().next()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = Enrichment<'a>> + use<'a> {
        let limits = self.limits;
        // What is cut was marked before, because the mark may stand earlier in the line.
        self.shown.iter().map(move |matched| Enrichment::new(matched, limits, &mut Cuts::default()))
    }
}

impl Serialize for Enrichments<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.each())
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Enrichment<'a> {
    pub indicator: Indicator<'a>,
    pub matched: Matched<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Indicator<'a> {
    pub r#type: &'static str,
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Url<'a> {
    domain: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Matched<'a> {
    #[serde(serialize_with = "path")]
    pub field: &'static Field,
    pub atomic: &'a str,
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

impl<'a> Enrichment<'a> {
    fn new(matched: &'a Match, limits: Limits, cuts: &mut Cuts) -> Self {
        let Match { hit, field, atomic } = matched;
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::Enrichments);
        let metadata = hit.metadata.as_deref();
        let (kind, address) = kind(&hit.indicator);
        let name = text(&hit.indicator);
        Self {
            indicator: Indicator {
                r#type: kind,
                name,
                ip: address.map(Address::new),
                url: (kind == DOMAIN).then_some(Url { domain: name }),
                provider: metadata
                    .and_then(|metadata| metadata.source.as_deref())
                    .or(hit.list.feed.as_deref())
                    .map(&mut text),
                description: metadata.and_then(|metadata| metadata.description.as_deref()).map(&mut text),
                reference: hit.list.reference.as_deref().map(&mut text),
            },
            matched: Matched {
                field,
                atomic: text(atomic),
                r#type: "indicator_match_rule",
                id: uuid(hit).map(&mut text),
            },
        }
    }
}

fn path<S: Serializer>(field: &'static Field, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(field.ecs)
}

const DOMAIN: &str = "domain-name";

/// `threat.indicator.type` of an entry, and its address if it is one. A network has none.
fn kind(indicator: &str) -> (&'static str, Option<IpAddr>) {
    let (address, network) = match indicator.split_once('/') {
        Some((address, _)) => (address, true),
        None => (indicator, false),
    };
    match address.parse() {
        Ok(address @ IpAddr::V4(_)) => ("ipv4-addr", Some(address).filter(|_| !network)),
        Ok(address @ IpAddr::V6(_)) => ("ipv6-addr", Some(address).filter(|_| !network)),
        Err(_) => (DOMAIN, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert_eq!(kind("evil.example"), ("domain-name", None));
        assert_eq!(kind("192.0.2.1"), ("ipv4-addr", Some([192, 0, 2, 1].into())));
        assert_eq!(kind("192.0.2.0/24"), ("ipv4-addr", None));
        assert_eq!(kind("2001:db8::/32"), ("ipv6-addr", None));
        assert_eq!(kind("::1").0, "ipv6-addr");
        // A name may hold a slash (RFC 2317).
        assert_eq!(kind("0/25.2.0.192.in-addr.arpa"), ("domain-name", None));
    }
}
