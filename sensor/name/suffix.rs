//! Splits a name in document form at its public suffix. The whole Public Suffix List counts, its private
//! section included: below `github.io` each label has another owner, and `dns.question.registered_domain`
//! is there to separate the owners. A name under no rule follows the list's default
//! rule, `*`: its last label is the suffix.

use psl::{List, Psl, Type};

use super::Labels;

/// The parts of a name, for `dns.question.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Suffix<'a> {
    /// `top_level_domain`: `co.uk`.
    pub top_level_domain: Option<&'a str>,
    /// `registered_domain`: `example.co.uk`; none for a name that is itself a suffix.
    pub registered_domain: Option<&'a str>,
    /// `subdomain`: `www`, all that stands before the registered domain.
    pub subdomain: Option<&'a str>,
}

impl<'a> Suffix<'a> {
    /// The root has no parts. Neither has an IPv4 address in the place of a name: its last label is a
    /// number, which no top-level domain is (RFC 3696 2).
    #[must_use]
    pub fn of(name: &'a str) -> Self {
        let mut labels = Labels::of(name);
        let last = labels.clone().next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::default();
        }
        let length = List.find(labels.clone().map(str::as_bytes)).len;
        let Some((before, top_level_domain)) = name.len().checked_sub(length).and_then(|at| name.split_at_checked(at))
        else {
            return Self::default();
        };
        let Some(before) = before.strip_suffix('.') else {
            return Self { top_level_domain: Some(name), ..Self::default() };
        };
        labels = Labels::of(before);
        let label = labels.next().unwrap_or_default();
        Self {
            top_level_domain: Some(top_level_domain),
            registered_domain: name.get(before.len() - label.len()..),
            subdomain: labels.rest(),
        }
    }
}

/// Whether the name is a registry, below which anyone can register a name: `com`, `co.uk`, and every single
/// label that the list does not know (its default rule `*`). A suffix of the list's private section
/// (`duckdns.org`) has one owner and is no registry.
#[must_use]
pub fn is_registry(name: &str) -> bool {
    let suffix = List.find(Labels::of(name).map(str::as_bytes));
    !name.contains('.') || (suffix.len == name.len() && suffix.typ == Some(Type::Icann))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn split(name: &str, subdomain: &str, registered_domain: &str, top_level_domain: &str) {
        let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let expected = Suffix {
            top_level_domain: some(top_level_domain),
            registered_domain: some(registered_domain),
            subdomain: some(subdomain),
        };
        assert_eq!(Suffix::of(name), expected, "{name}");
    }

    #[test]
    fn public_suffixes() {
        split("www.example.com", "www", "example.com", "com");
        split("example.com", "", "example.com", "com");
        split("a.b.example.co.uk", "a.b", "example.co.uk", "co.uk");
        split("co.uk", "", "", "co.uk");
        split("com", "", "", "com");
        // A wildcard rule and its exception.
        split("a.b.c.ck", "a", "b.c.ck", "c.ck");
        split("a.www.ck", "a", "www.ck", "ck");
        split("_dmarc.example.com", "_dmarc", "example.com", "com");
    }

    #[test]
    fn private_suffixes() {
        split("www.someone.github.io", "www", "someone.github.io", "github.io");
        split("github.io", "", "", "github.io");
    }

    #[test]
    fn internationalised_suffixes() {
        split("www.example.xn--p1ai", "www", "example.xn--p1ai", "xn--p1ai");
        split("www.xn--85x722f.xn--55qx5d.cn", "www", "xn--85x722f.xn--55qx5d.cn", "xn--55qx5d.cn");
    }

    #[test]
    fn names_under_no_rule() {
        split("localhost", "", "", "localhost");
        split("db.server1.corp", "db", "server1.corp", "corp");
    }

    #[test]
    fn no_names() {
        split(".", "", "", "");
        split("", "", "", "");
        split("192.0.2.1", "", "", "");
        split("4.3.2.1.in-addr.arpa", "4.3.2", "1.in-addr.arpa", "in-addr.arpa");
        split("b.a.9.8.ip6.arpa", "b.a.9", "8.ip6.arpa", "ip6.arpa");
    }

    #[test]
    fn icann_suffixes_and_single_labels_are_registries() {
        for name in ["com", "co.uk", "xn--p1ai", "example", "lan"] {
            assert!(is_registry(name), "{name}");
        }
        for name in ["evil.com", "evil.co.uk", "duckdns.org", "pages.dev", "evil.example"] {
            assert!(!is_registry(name), "{name}");
        }
    }

    #[test]
    fn an_escaped_dot_ends_no_label() {
        split(r"www.evil\.com", "", r"www.evil\.com", r"evil\.com");
        split(r"a.evil\.example.com", "a", r"evil\.example.com", "com");
        split(r"a\\.example.com", r"a\\", "example.com", "com");
        split(r"a\\\.example.com", "", r"a\\\.example.com", "com");
        split(r"\255\000.com", "", r"\255\000.com", "com");
        split(r"\.", "", "", r"\.");
    }
}
