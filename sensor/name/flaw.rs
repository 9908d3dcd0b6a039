//! Why a text is neither a name nor an address.

/// A reason why a text is no name, address or URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("no name")]
    NoName,
    #[error("{0:?} does not occur in names")]
    Character(char),
    #[error("an empty label (two dots in a row)")]
    EmptyLabel,
    #[error("a label of more than 63 octets")]
    LongLabel,
    #[error("a name of more than 253 characters")]
    LongName,
    #[error("an escape that is neither \\DDD nor a backslash and a character")]
    Escape,
    #[error("no valid internationalised name")]
    Idn,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("an address that cannot be read")]
    Address,
    #[error("a prefix length that the address cannot have")]
    Prefix,
    #[error("a URL with a path names one page, not the host (url_hosts = true takes the host)")]
    Path,
}
