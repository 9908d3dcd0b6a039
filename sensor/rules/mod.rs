//! Blocklists: read every public format, compile, match a name by suffix.
use std::net::IpAddr;
use std::rc::Rc;

/// One compiled set of lists. Replaced as a whole on reload.
#[derive(Debug, Default)]
pub struct Rules {}

/// What the configuration says about a list; copied into alerts.
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
    /// Where it was read from.
    pub path: std::path::PathBuf,
    /// Short hash of the content: `rule.version`.
    pub version: String,
}

/// One entry of one list that a name or an address matched.
#[derive(Debug, Clone)]
pub struct Hit {
    pub list: Rc<List>,
    /// 1-based line in `list.path`.
    pub line: u32,
    /// The entry as names are written in documents (`evil.example`), or an address or CIDR.
    pub indicator: Rc<str>,
    /// The entry's own metadata (JSON lines, CSV).
    pub metadata: Option<Rc<Metadata>>,
}

/// What a list says about one entry.
#[derive(Debug, Default)]
pub struct Metadata {
    pub uuid: Option<String>,
    pub source: Option<String>,
    pub description: Option<String>,
    /// 0 to 100, overrides the list's.
    pub severity: Option<u8>,
}

impl Rules {
    /// Adds the hits of a name as documents write it (lower case, no trailing dot, `\DDD`
    /// escapes): the longest match of every list that has one, longest first; none where an allow list wins.
    pub fn match_name(&self, _name: &str, _hits: &mut Vec<Hit>) {}

    /// Adds the hits of a resolved address.
    pub fn match_address(&self, _address: IpAddr, _hits: &mut Vec<Hit>) {}
}
