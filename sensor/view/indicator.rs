//! Indicators, which a person looks for: a name and all below it, an address, a network, or the host of a URL.
//! Reports write them so that no click opens them (`hxxp://evil[.]example/`), and so they are read as well.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::document::{Document, address};
use crate::name::{self, Flaw, Network, Urls, label_start};

/// One thing to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// In document form: the name itself, and all names below it.
    Name(String),
    Network(Network),
}

/// A text that is no indicator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {flaw}; give a name, an address, a network or a URL")]
pub struct IndicatorError {
    text: String,
    flaw: Flaw,
}

impl FromStr for Indicator {
    type Err = IndicatorError;

    fn from_str(text: &str) -> Result<Self, IndicatorError> {
        match name::Indicator::read(text.trim().as_bytes(), Urls::Hosts, &mut String::new()) {
            Ok(name::Indicator::Name { name, .. }) => Ok(Self::Name(name.to_owned())),
            Ok(name::Indicator::Network(network)) => Ok(Self::Network(network)),
            Err(flaw) => Err(IndicatorError { text: text.to_owned(), flaw }),
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Network(network) => network.fmt(out),
        }
    }
}

impl Indicator {
    /// Whether a lookup resolves it: the name that was asked for, an alias on the way, or an address.
    pub(super) fn is_resolved(&self, document: &Document<'_>) -> bool {
        match self {
            Self::Network(_) => document.resolved().any(|ip| self.has_address(ip)),
            Self::Name(_) => document.names().any(|name| self.has_name(name)),
        }
    }

    /// Whether a connection goes to it.
    pub(super) fn is_destination(&self, document: &Document<'_>) -> bool {
        self.has_name(&document.destination.domain)
            || address(&document.destination.ip).is_some_and(|ip| self.has_address(ip))
    }

    /// Whether a name in document form is this one, or below it. A dot inside of a label ends no label.
    fn has_name(&self, other: &str) -> bool {
        let Self::Name(name) = self else { return false };
        other
            .strip_suffix(name.as_str())
            .is_some_and(|rest| label_start(other.as_bytes(), rest.len()) == Some(rest.len()))
    }

    fn has_address(&self, other: IpAddr) -> bool {
        let Self::Network(network) = self else { return false };
        network.address().is_ipv4() == other.is_ipv4() && Network::new(other, network.prefix()) == Some(*network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indicator(text: &str) -> String {
        text.parse::<Indicator>().map_or_else(|error| error.to_string(), |indicator| indicator.to_string())
    }

    #[test]
    fn indicators_in_every_form() {
        for (text, meant) in [
            ("Evil.Example.", "evil.example"),
            ("*.evil.example", "evil.example"),
            (".evil.example", "evil.example"),
            ("evil[.]example", "evil.example"),
            ("evil(dot)example", "evil.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("hxxp://evil[.]example/a.php?b=c", "evil.example"),
            ("hXXps[://]evil.example", "evil.example"),
            ("https://user:word@evil.example:8443/", "evil.example"),
            ("http://[2001:db8::7]:80/", "2001:db8::7"),
            ("hxxp[:]//evil[.]example", "evil.example"),
            ("192[.]0[.]2[.]7", "192.0.2.7"),
            ("192.0.2.9/24", "192.0.2.0/24"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            (r"a\.b.example", r"a\.b.example"),
            ("_ldap._tcp.example", "_ldap._tcp.example"),
            ("com", "com"),
        ] {
            assert_eq!(indicator(text), meant, "{text}");
        }
        for text in
            ["", ".", "a..b", "192.0.2.0/33", "/var/log/x.json", "a b", "http://", r"a\99", "10", &"x".repeat(300)]
        {
            assert!(text.parse::<Indicator>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_covers_itself_and_what_is_below_at_a_label() {
        let covers = |indicator: &str, name: &str| indicator.parse::<Indicator>().unwrap().has_name(name);
        for name in ["evil.test", "www.evil.test", r"a\\.evil.test", r"a\.b.evil.test"] {
            assert!(covers("evil.test", name), "{name}");
        }
        for name in [r"not\.evil.test", r"not\\\.evil.test", "notevil.test", "test", "", "evil.test.example"] {
            assert!(!covers("evil.test", name), "{name}");
        }
        assert!(covers(r"not\046evil.test", r"a.not\.evil.test"));
        assert!(!covers(r"not\.evil.test", "not.evil.test"));
    }

    #[test]
    fn a_network_has_the_addresses_of_its_own_version() {
        let has = |indicator: &str, ip: &str| indicator.parse::<Indicator>().unwrap().has_address(address(ip).unwrap());
        assert!(has("192.0.2.0/24", "192.0.2.255") && has("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(!has("192.0.2.0/24", "192.0.3.0"));
        assert!(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:ffff::1") && !has("2001:db8::/32", "2001:db9::"));
        assert!(has("2001:db8::7", "2001:db8::7") && !has("2001:db8::7", "2001:db8::8"));
    }
}
