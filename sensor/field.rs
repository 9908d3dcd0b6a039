//! The fields of documents as tables: what each holds, and its name in every schema. The JSON Schema, the
//! index template and the list of fields in `schemas/` are generated from them.

/// A field of a document. A rule's match names the field whose value matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The path in ECS; `*` stands for a name that is not fixed.
    pub ecs: &'static str,
    /// The path of the attribute in OCSF that holds the same value; empty where there is none.
    pub ocsf: &'static str,
    /// The name in CIM; empty where there is none.
    pub cim: &'static str,
    pub holds: Holds,
    /// The field holds a list of such values. A list is never empty.
    pub list: bool,
    /// The list has each value once.
    pub distinct: bool,
    /// The field is present whenever the object that it stands in is.
    pub always: bool,
    /// The meaning, where the name does not say all.
    pub meaning: &'static str,
}

/// The values that a field may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Other fields.
    Object,
    /// Other fields; those of one element of a list are searched for together.
    Nested,
    /// A text of any length and characters.
    Text,
    /// A text for people.
    Message,
    /// A text in which parts are searched for.
    Wildcard,
    /// A name of the DNS: lower case, without the trailing dot, bytes outside 0x20–0x7e as `\DDD`.
    Name,
    /// A mnemonic of IANA, else the form of RFC 3597 (`TYPE65280`).
    Mnemonic,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A text of this form (a regular expression).
    Form(&'static str),
    /// RFC 3339 in UTC, with nanoseconds.
    Instant,
    Address,
    /// A whole number from the first to the last, both included.
    Number(u64, u64),
    Flag,
    /// A flag that is left out where it is false.
    True,
}

impl Holds {
    /// A whole number.
    pub const COUNT: Self = Self::Number(0, u64::MAX);
    /// A whole number other than zero.
    pub const POSITIVE: Self = Self::Number(1, u64::MAX);
    pub const U8: Self = Self::Number(0, u8::MAX as u64);
    pub const U16: Self = Self::Number(0, u16::MAX as u64);
    pub const U32: Self = Self::Number(0, u32::MAX as u64);

    /// The type of the field in ECS, which is that of its mapping in an index.
    #[must_use]
    pub const fn ecs_type(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Nested => "nested",
            Self::Text | Self::Name | Self::Mnemonic | Self::OneOf(_) | Self::Form(_) => "keyword",
            Self::Message => "match_only_text",
            Self::Wildcard => "wildcard",
            Self::Instant => "date",
            Self::Address => "ip",
            Self::Number(..) => "long",
            Self::Flag | Self::True => "boolean",
        }
    }
}

/// A field with its names in ECS, CIM and OCSF. See [`Field`].
#[must_use]
pub const fn field(
    ecs: &'static str,
    holds: Holds,
    cim: &'static str,
    ocsf: &'static str,
    meaning: &'static str,
) -> Field {
    Field { ecs, ocsf, cim, holds, list: false, distinct: false, always: false, meaning }
}

/// A field below `dnstrail`, which has this path in CIM, too, and stands under `unmapped` in OCSF.
#[must_use]
pub const fn own(path: &'static str, holds: Holds, meaning: &'static str) -> Field {
    field(path, holds, path, "", meaning)
}

impl Field {
    #[must_use]
    pub const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    #[must_use]
    pub const fn list(self) -> Self {
        Self { list: true, ..self }
    }

    /// A list that has each value once.
    #[must_use]
    pub const fn set(self) -> Self {
        Self { list: true, distinct: true, ..self }
    }
}

/// A table of fields.
pub type Fields = &'static [Field];

/// One `event.action`: which fields its documents have.
#[derive(Debug, Clone, Copy)]
pub struct Action {
    pub name: &'static str,
    /// The meaning of a document with this action.
    pub meaning: &'static str,
    /// `event.kind` may be one of these.
    pub kinds: &'static [&'static str],
    pub dataset: &'static str,
    /// The tables whose fields it may have, besides those of every document.
    pub tables: &'static [Fields],
    /// Fields of these tables that it always has, and that it never has.
    pub always: &'static [&'static [&'static str]],
    pub never: &'static [&'static str],
    /// Fields that have one of these values.
    pub values: &'static [(&'static str, &'static [&'static str])],
    /// Fields that hold one of these lists.
    pub lists: &'static [(&'static str, &'static [&'static [&'static str]])],
}
