//! `rule.*`, `threat.*` and `dnstrail.matches`: the lists that name a value, their entries, and the fields
//! that the entries match.

use std::net::IpAddr;

use crate::alert::Match;
use crate::json::{Address, Cuts, Json, key};
use crate::rules::Entry;
use crate::schema::Limits;

/// `rule`: the list of the first match.
pub fn rule(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let Some(Match { hit, .. }) = matches.first() else { return };
    let (list, limit, field) = (&hit.list, limits.text, "rule");
    json.object(key!("rule"), |json| {
        json.cut(key!("id"), list.id.as_str(), limit, field);
        json.cut(key!("name"), list.name.as_str(), limit, field);
        json.cut(key!("category"), list.category.as_deref(), limit, field);
        json.cut(key!("reference"), list.reference.as_deref(), limit, field);
        json.cut(key!("version"), list.version.as_str(), limit, field);
        json.cut(key!("uuid"), uuid(hit), limit, field);
    });
}

/// `threat`: all matches.
pub fn threat(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let Some(Match { hit, .. }) = matches.first() else { return };
    json.object(key!("threat"), |json| {
        if let Some(feed) = hit.list.feed.as_deref() {
            json.object(key!("feed"), |json| {
                json.cut(key!("name"), feed, limits.text, "threat.feed");
                json.cut(key!("reference"), hit.list.reference.as_deref(), limits.text, "threat.feed");
            });
        }
        let shown = shown(json.cuts(), matches, limits);
        json.list(key!("enrichments"), |list| {
            for matched in shown {
                list.object(|json| enrichment(json, matched, limits));
            }
        });
    });
}

/// The matches of which a document shows the entries.
pub(in crate::schema) fn shown<'m>(cuts: &mut Cuts, matches: &'m [Match], limits: Limits) -> &'m [Match] {
    cuts.elements(matches, limits.elements, ENRICHMENTS)
}

pub(in crate::schema) const ENRICHMENTS: &str = "threat.enrichments";

fn enrichment(json: &mut Json<'_>, matched: &Match, limits: Limits) {
    let Match { hit, field, atomic } = matched;
    let limit = limits.text;
    json.object(key!("indicator"), |json| {
        let indicator = Indicator::of(hit);
        json.literal(key!("type"), indicator.type_name());
        json.cut(key!("name"), &*hit.indicator, limit, ENRICHMENTS);
        match indicator {
            Indicator::Address(address) => json.address(key!("ip"), &Address::new(address)),
            Indicator::Domain => {
                json.object(key!("url"), |json| json.cut(key!("domain"), &*hit.indicator, limit, ENRICHMENTS));
            }
            Indicator::Network(_) => {}
        }
        json.cut(key!("provider"), provider(hit), limit, ENRICHMENTS);
        json.cut(key!("description"), description(hit), limit, ENRICHMENTS);
        json.cut(key!("reference"), hit.list.reference.as_deref(), limit, ENRICHMENTS);
    });
    json.object(key!("matched"), |json| {
        json.literal(key!("field"), field.ecs);
        json.cut(key!("atomic"), atomic.as_str(), limit, ENRICHMENTS);
        json.literal(key!("type"), "indicator_match_rule");
        json.cut(key!("id"), uuid(hit), limit, ENRICHMENTS);
    });
}

/// The identity of an entry, where its list gives one.
pub(in crate::schema) fn uuid(hit: &Entry) -> Option<&str> {
    hit.metadata.as_deref()?.uuid.as_deref()
}

/// The source of an entry, else of its list.
pub(in crate::schema) fn provider(hit: &Entry) -> Option<&str> {
    let source = hit.metadata.as_deref().and_then(|metadata| metadata.source.as_deref());
    source.or(hit.list.feed.as_deref())
}

pub(in crate::schema) fn description(hit: &Entry) -> Option<&str> {
    hit.metadata.as_deref()?.description.as_deref()
}

/// `dnstrail.matches`: the place of each entry, in the order of `threat.enrichments`.
pub fn matches(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let field = "dnstrail.matches";
    let shown = json.cuts().elements(matches, limits.elements, field);
    json.list(key!("matches"), |list| {
        for Match { hit, .. } in shown {
            list.object(|json| {
                json.cut(key!("list"), hit.list.id.as_str(), limits.text, field);
                json.cut(key!("path"), hit.list.path.to_str(), limits.text, field);
                json.number(key!("line"), hit.line);
            });
        }
    });
}

/// The kind of value that an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schema) enum Indicator {
    Domain,
    Address(IpAddr),
    /// The address of a network.
    Network(IpAddr),
}

impl Indicator {
    pub(in crate::schema) fn of(hit: &Entry) -> Self {
        Self::read(&hit.indicator)
    }

    fn read(indicator: &str) -> Self {
        // A name may hold a slash (RFC 2317).
        let (address, network) = match indicator.split_once('/') {
            Some((address, _)) => (address, true),
            None => (indicator, false),
        };
        match address.parse() {
            Ok(address) if network => Self::Network(address),
            Ok(address) => Self::Address(address),
            Err(_) => Self::Domain,
        }
    }

    /// `threat.indicator.type`
    fn type_name(self) -> &'static str {
        match self {
            Self::Domain => "domain-name",
            Self::Address(IpAddr::V4(_)) | Self::Network(IpAddr::V4(_)) => "ipv4-addr",
            Self::Address(IpAddr::V6(_)) | Self::Network(IpAddr::V6(_)) => "ipv6-addr",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_addresses_or_networks() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6: IpAddr = "2001:db8::".parse().unwrap();
        for (indicator, expected, name) in [
            ("evil.example", Indicator::Domain, "domain-name"),
            ("192.0.2.1", Indicator::Address(v4), "ipv4-addr"),
            ("192.0.2.1/24", Indicator::Network(v4), "ipv4-addr"),
            ("2001:db8::/32", Indicator::Network(v6), "ipv6-addr"),
            ("2001:db8::", Indicator::Address(v6), "ipv6-addr"),
            ("0/25.2.0.192.in-addr.arpa", Indicator::Domain, "domain-name"),
        ] {
            assert_eq!((Indicator::read(indicator), expected.type_name()), (expected, name), "{indicator}");
        }
    }
}
