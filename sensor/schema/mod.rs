//! The fields of documents. Each schema (ECS, CIM, OCSF) writes a sighting in its own names.

/// A field of a document. A rule's match names the field whose value matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The path in ECS.
    pub ecs: &'static str,
    /// The path of the attribute in OCSF that holds the same value.
    pub ocsf: &'static str,
}
