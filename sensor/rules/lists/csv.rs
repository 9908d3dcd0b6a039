//! Columns (RFC 4180, with comma, semicolon, tab or bar), with a header that names them, which may
//! stand behind `#` (abuse.ch) or `#fields` (Zeek). The entry's column is the one that the list's
//! configuration names, by name or by number from 1, else the first of those that lists use.

use super::super::index::names::Scope;
use super::super::list::Metadata;
use super::flaw::Flaw;
use super::intake::Intake;

/// Columns that hold the entry, the likeliest first.
const VALUES: [&str; 15] = [
    "domain",
    "hostname",
    "host",
    "fqdn",
    "indicator",
    "ioc_value",
    "ioc",
    "value",
    "dst_host",
    "domains",
    "dst_ip",
    "ip_address",
    "ip",
    "url",
    "name",
];
const SOURCES: [&str; 5] = ["source", "reporter", "provider", "feed", "meta.source"];
const DESCRIPTIONS: [&str; 8] =
    ["description", "comment", "malware_printable", "malware", "threat_type", "threat", "meta.desc", "message"];
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Where the columns are, once the header was seen.
#[derive(Default)]
pub(in crate::rules) struct Table {
    columns: Option<Columns>,
    fields: Vec<String>,
}

struct Columns {
    delimiter: u8,
    value: usize,
    uuid: Option<usize>,
    source: Option<usize>,
    description: Option<usize>,
    severity: Option<usize>,
}

/// Whether some line names columns, and the first record after it has as many.
pub(super) fn has_header<'a>(lines: impl Iterator<Item = &'a [u8]>, column: Option<&str>) -> bool {
    let mut header: Option<(u8, usize)> = None;
    let mut fields = Vec::new();
    for line in lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if let Some((delimiter, count)) = header
            && !line.starts_with(b"#")
        {
            split(line, delimiter, &mut fields);
            return fields.len() == count;
        }
        if let Some(columns) = Columns::read(line, column, &mut fields)
            && fields.len() > 1
        {
            header = Some((columns.delimiter, fields.len()));
        } else if !line.starts_with(b"#") {
            return false;
        }
    }
    false
}

impl Table {
    pub(super) fn line(&mut self, line: &[u8], intake: &mut Intake<'_>) {
        let wanted = intake.options.column.clone();
        if self.columns.is_none() {
            self.columns = Columns::read(line, wanted.as_deref(), &mut self.fields);
            if self.columns.is_some() || line.trim_ascii_start().starts_with(b"#") {
                return;
            }
            self.columns = wanted.and_then(|column| Columns::numbered(line, &column));
        }
        if line.trim_ascii_start().starts_with(b"#") {
            return;
        }
        let Some(columns) = &self.columns else { return intake.skip(Flaw::Column, line) };
        split(line, columns.delimiter, &mut self.fields);
        let field = |index: usize| self.fields.get(index).map(|field| field.trim());
        let Some(value) = field(columns.value) else { return intake.skip(Flaw::Column, line) };
        let text =
            |index: Option<usize>| field(index?).filter(|text| !text.is_empty() && *text != "-").map(str::to_owned);
        let metadata = Metadata {
            uuid: text(columns.uuid),
            source: text(columns.source),
            description: text(columns.description),
            severity: text(columns.severity)
                .and_then(|text| text.parse().ok())
                .map(|severity| intake.severity(severity)),
        };
        intake.entry(value.as_bytes(), Scope::Suffix, false, Some(&metadata), line);
    }
}

impl Columns {
    /// A line that names the entry's column; its fields are left in `fields`.
    fn read(line: &[u8], wanted: Option<&str>, fields: &mut Vec<String>) -> Option<Self> {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"#fields").or_else(|| line.strip_prefix(b"#")).unwrap_or(line).trim_ascii();
        let delimiter = delimiter(line);
        split(line, delimiter, fields);
        for field in fields.iter_mut() {
            *field = field.trim().to_ascii_lowercase();
        }
        let find = |names: &[&str]| names.iter().find_map(|name| fields.iter().position(|field| field == name));
        let value = wanted.map_or_else(|| find(&VALUES), |wanted| find(&[wanted.to_ascii_lowercase().as_str()]))?;
        let source = find(&SOURCES).filter(|index| *index != value);
        Some(Self {
            delimiter,
            value,
            uuid: find(&["uuid"]),
            source,
            description: find(&DESCRIPTIONS),
            severity: find(&["severity"]),
        })
    }

    /// A table without a header.
    fn numbered(line: &[u8], column: &str) -> Option<Self> {
        let value = column.parse::<usize>().ok()?.checked_sub(1)?;
        Some(Self { delimiter: delimiter(line), value, uuid: None, source: None, description: None, severity: None })
    }
}

fn delimiter(line: &[u8]) -> u8 {
    // Once or twice a list: no need to be quick.
    #[allow(clippy::naive_bytecount)]
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    let most = DELIMITERS.into_iter().map(count).max().unwrap_or(0);
    DELIMITERS.into_iter().find(|delimiter| count(*delimiter) == most).unwrap_or(b',')
}

/// The fields of a record, without their quotes.
fn split(line: &[u8], delimiter: u8, fields: &mut Vec<String>) {
    fields.clear();
    let (mut field, mut quoted) = (Vec::new(), false);
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                field.push(b'"');
            }
            b'"' if quoted => quoted = false,
            b'"' if field.trim_ascii().is_empty() => {
                field.clear();
                quoted = true;
            }
            _ if byte == delimiter && !quoted => {
                fields.push(String::from_utf8_lossy(&std::mem::take(&mut field)).into_owned());
            }
            _ => field.push(byte),
        }
    }
    fields.push(String::from_utf8_lossy(&field).into_owned());
}
