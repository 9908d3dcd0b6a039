//! Which names are public suffixes: names below which strangers register theirs, so that an entry of
//! such a name would alert on half of the net.

use psl::{Psl, Type};

/// `com`, `co.uk`, and every single label that the list does not know (its default rule `*`). Suffixes
/// of the list's private part (`duckdns.org`) are listed on purpose, and are not meant.
pub(super) fn is_public_suffix(name: &str) -> bool {
    if !name.contains('.') {
        return true;
    }
    psl::List
        .suffix(name.as_bytes())
        .is_some_and(|suffix| suffix.as_bytes().len() == name.len() && suffix.typ() == Some(Type::Icann))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icann_suffixes_and_single_labels_are_too_wide() {
        for name in ["com", "co.uk", "xn--p1ai", "example", "lan"] {
            assert!(is_public_suffix(name), "{name}");
        }
        for name in ["evil.com", "evil.co.uk", "duckdns.org", "pages.dev", "evil.example"] {
            assert!(!is_public_suffix(name), "{name}");
        }
    }
}
