//! A list, an entry of it that matched, and what the list says about the entry.

use std::path::PathBuf;
use std::sync::Arc;

/// A list as the configuration describes it. Alerts hold a copy.
#[derive(Debug, Default)]
pub struct List {
    /// `rule.id`
    pub id: String,
    /// `rule.name`
    pub name: String,
    /// `rule.category`
    pub category: Option<String>,
    /// `rule.reference`
    pub reference: Option<String>,
    /// `threat.indicator.provider` / `threat.feed.name`
    pub feed: Option<String>,
    /// `event.severity`, 0 to 100.
    pub severity: Option<u8>,
    /// The file that the list was read from.
    pub path: PathBuf,
    /// Short hash of the content: `rule.version`.
    pub version: String,
}

/// One entry of one list that a name or an address matched.
#[derive(Debug, Clone)]
pub struct Entry {
    pub list: Arc<List>,
    /// 1-based line in `list.path`.
    pub line: u32,
    /// A name in document form (`evil.example`), or an address or CIDR.
    pub indicator: Arc<str>,
    /// The entry's own metadata (JSON lines, CSV).
    pub metadata: Option<Arc<Metadata>>,
}

/// The remarks of a list about one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 0 to 100; stands before the list's severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
}
