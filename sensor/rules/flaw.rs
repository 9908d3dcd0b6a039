//! Why a line of a list was not understood.

/// What is wrong with an entry or a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
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
    #[error("a URL with a path speaks of one page, not of the host (url_hosts = true takes the host)")]
    Path,
    #[error("a public suffix: it would match strangers' names (allow_broad = true takes it all the same)")]
    PublicSuffix,
    #[error("a prefix that holds a large part of all addresses (allow_broad = true takes it all the same)")]
    BroadNetwork,
    #[error(
        "an address of every host, which blocking resolvers answer with (allow_broad = true takes it all the same)"
    )]
    LocalAddress,
    #[error("more than one word; a list of names has one entry a line")]
    Words,
    #[error("the line is not what this format holds")]
    Syntax,
    #[error("no JSON object with a \"value\"")]
    Json,
    #[error("the record has no such column")]
    Column,
    #[error("a line of more than 65536 bytes")]
    LongLine,
    #[error("the rule set holds as many entries as it can")]
    Full,
}
