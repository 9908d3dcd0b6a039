//! Columns (RFC 4180, with comma, semicolon, tab or bar), with a header that names them, which may
//! stand behind `#` (abuse.ch) or `#fields` (Zeek). The entry's column is the one that the list's
//! configuration names, by name or by number from 1, else the first of those that lists use.

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

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

/// A list with columns. The header says which they are.
#[derive(Default)]
pub(in crate::rules) struct Table {
    columns: Option<Columns>,
    fields: Vec<String>,
}

struct Columns {
    splitter: Splitter,
    value: usize,
    uuid: Option<usize>,
    source: Option<usize>,
    description: Option<usize>,
    severity: Option<usize>,
}

/// Whether some line names columns, and the first record after it has as many.
pub(super) fn has_header<'a>(lines: impl Iterator<Item = &'a [u8]>, column: Option<&str>) -> bool {
    let mut header: Option<(Splitter, usize)> = None;
    let mut fields = Vec::new();
    for line in lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if let Some((splitter, count)) = &mut header
            && !line.starts_with(b"#")
        {
            splitter.split(line, &mut fields);
            return fields.len() == *count;
        }
        if let Some(columns) = Columns::read(line, column, &mut fields)
            && fields.len() > 1
        {
            header = Some((columns.splitter, fields.len()));
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
        let Some(columns) = &mut self.columns else { return intake.skip(Flaw::Column, line) };
        columns.splitter.split(line, &mut self.fields);
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
        let mut splitter = Splitter::of(line);
        splitter.split(line, fields);
        for field in fields.iter_mut() {
            *field = field.trim().to_ascii_lowercase();
        }
        let find = |names: &[&str]| names.iter().find_map(|name| fields.iter().position(|field| field == name));
        let value = wanted.map_or_else(|| find(&VALUES), |wanted| find(&[wanted.to_ascii_lowercase().as_str()]))?;
        let source = find(&SOURCES).filter(|index| *index != value);
        Some(Self {
            splitter,
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
        Some(Self { splitter: Splitter::of(line), value, uuid: None, source: None, description: None, severity: None })
    }
}

/// Cuts lines into fields.
struct Splitter {
    delimiter: u8,
    reader: Box<Reader>,
    /// The field at hand, without its quotes.
    field: Vec<u8>,
}

impl Splitter {
    /// A splitter at the delimiter that occurs most in a line.
    fn of(line: &[u8]) -> Self {
        // This runs once or twice a list, and need not be quick.
        #[allow(clippy::naive_bytecount)]
        let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
        let most = DELIMITERS.into_iter().map(count).max().unwrap_or(0);
        Self::new(DELIMITERS.into_iter().find(|delimiter| count(*delimiter) == most).unwrap_or(b','))
    }

    fn new(delimiter: u8) -> Self {
        let reader = Box::new(ReaderBuilder::new().delimiter(delimiter).build());
        Self { delimiter, reader, field: Vec::new() }
    }

    /// The fields of a record, which ends with its line.
    fn split(&mut self, line: &[u8], fields: &mut Vec<String>) {
        fields.clear();
        self.reader.reset();
        // A field is no longer than its line.
        self.field.resize(line.len(), 0);
        let mut rest = line;
        while !self.field(&mut rest, fields) {}
    }

    /// Adds the next field. `true`: the record has no other.
    fn field(&mut self, rest: &mut &[u8], fields: &mut Vec<String>) -> bool {
        // Lists put spaces between a delimiter and a quote, which RFC 4180 does not know.
        let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace() && **byte != self.delimiter).count();
        *rest = rest.get(spaces..).unwrap_or_default();
        let mut length = 0;
        loop {
            let room = self.field.get_mut(length..).unwrap_or_default();
            let (result, read, written) = self.reader.read_field(rest, room);
            *rest = rest.get(read..).unwrap_or_default();
            length += written;
            match result {
                // The next call has no input, which ends the record.
                ReadFieldResult::InputEmpty => {}
                ReadFieldResult::Field { record_end } => {
                    let field = self.field.get(..length).unwrap_or_default();
                    fields.push(String::from_utf8_lossy(field).into_owned());
                    return record_end;
                }
                ReadFieldResult::OutputFull | ReadFieldResult::End => return true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_record() {
        let fields = |line: &str, delimiter| {
            let mut fields = Vec::new();
            Splitter::new(delimiter).split(line.as_bytes(), &mut fields);
            fields
        };
        assert_eq!(fields("a,b,c", b','), ["a", "b", "c"]);
        assert_eq!(fields(r#""a, b","say ""no""","" "#, b','), ["a, b", r#"say "no""#, " "]);
        assert_eq!(fields(r#""2026-01-01", "x", "evil.example""#, b','), ["2026-01-01", "x", "evil.example"]);
        assert_eq!(fields("a\t\tb", b'\t'), ["a", "", "b"]);
        assert_eq!(fields("a,,", b','), ["a", "", ""]);
        assert_eq!(fields("", b','), [""; 0]);
        assert_eq!(fields(r#""open, b"#, b','), ["open, b"]);
        assert_eq!(fields("a\rb,c", b',')[0], "a");
    }
}
