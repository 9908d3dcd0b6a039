//! unbound.conf: `local-zone: "evil.example." always_nxdomain` covers the zone, `local-data:
//! "evil.example A 0.0.0.0"` the one name. Zone types that let the answer through are not applicable,
//! `always_transparent` is an exception.

use super::super::index::names::Scope;
use super::flaw::Flaw;
use super::intake::Intake;
use super::line::{without_remark, words};

pub(super) fn claims(line: &[u8]) -> bool {
    line.starts_with(b"local-zone:") || line.starts_with(b"local-data:")
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let setting = without_remark(line.trim_ascii());
    if setting.is_empty() {
        return;
    }
    let Some(colon) = setting.iter().position(|byte| *byte == b':') else { return intake.skip(Flaw::Syntax, line) };
    let (key, value) = setting.split_at(colon);
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let (first, rest) = quoted(value);
    match key {
        b"local-zone" => match rest {
            b"transparent" | b"typetransparent" | b"nodefault" | b"inform" | b"block_a" => intake.not_applicable(),
            b"always_transparent" => intake.entry(first, Scope::Suffix, true, None, line),
            b"" => intake.skip(Flaw::Syntax, line),
            _ => intake.entry(first, Scope::Suffix, false, None, line),
        },
        b"local-data" => {
            let mut words = words(first);
            match (words.next(), words.any(|word| matches!(word, b"A" | b"AAAA" | b"a" | b"aaaa"))) {
                (Some(name), true) => intake.entry(name, Scope::Exact, false, None, line),
                _ => intake.not_applicable(),
            }
        }
        // `server:` opens the section; the rest is about other things.
        _ if key.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && !key.is_empty() =>
        {
            if !value.is_empty() {
                intake.not_applicable();
            }
        }
        _ => intake.skip(Flaw::Syntax, line),
    }
}

/// The first word, which may be quoted, and what follows.
fn quoted(value: &[u8]) -> (&[u8], &[u8]) {
    if let Some((quote @ (b'"' | b'\''), inner)) = value.split_first() {
        let end = inner.iter().position(|byte| byte == quote).unwrap_or(inner.len());
        return (inner.get(..end).unwrap_or_default(), inner.get(end + 1..).unwrap_or_default().trim_ascii());
    }
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (first, rest) = value.split_at(end);
    (first, rest.trim_ascii())
}
