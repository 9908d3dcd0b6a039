//! One entry a line: `evil.example`, `*.evil.example`, `.evil.example`, `192.0.2.7`, `192.0.2.0/24`,
//! `https://evil.example:8080`. Remarks after `#`; lines that begin with `;`, `!` or `//` are remarks.

use super::flaw::Flaw;
use super::intake::Intake;
use super::line::{without_remark, words};
use crate::name::{Indicator, Urls};

pub(super) fn claims(line: &[u8]) -> bool {
    let mut words = words(without_remark(line));
    match (words.next(), words.next()) {
        // A single label is more likely prose.
        (Some(word), None) => {
            word.iter().any(|byte| matches!(byte, b'.' | b':' | b'['))
                && Indicator::read(word, Urls::Hosts, &mut String::new()).is_ok()
        }
        _ => false,
    }
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let entry = without_remark(line).trim_ascii();
    if entry.is_empty() || is_remark(entry) {
        return;
    }
    if entry.iter().any(u8::is_ascii_whitespace) {
        return intake.skip(Flaw::Words, line);
    }
    intake.word(entry, line);
}

pub(super) fn is_remark(line: &[u8]) -> bool {
    matches!(line, [b';' | b'!', ..] | [b'/', b'/', ..])
}
