//! Why a line of a list was not understood.

use crate::name;

/// A reason not to take an entry or a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::rules) enum Flaw {
    #[error(transparent)]
    Indicator(#[from] name::Flaw),
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
}
