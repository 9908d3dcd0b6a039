//! named.conf: `zone "evil.example" { type master; file "null.zone"; };`, on one line or over several.
//! Zones of type `forward`, `stub` and the like block nothing, and other statements concern other things:
//! both are not applicable.

use super::super::index::names::Scope;
use super::flaw::Flaw;
use super::intake::Intake;
use super::line::words;

/// The place of the reader in a statement.
#[derive(Default)]
pub(in crate::rules) struct Statements {
    /// Open braces.
    depth: u32,
    comment: bool,
}

pub(super) fn claims(line: &[u8]) -> bool {
    words(line).next().is_some_and(|word| word.eq_ignore_ascii_case(b"zone")) && line.contains(&b'"')
}

impl Statements {
    pub(super) fn line(&mut self, line: &[u8], intake: &mut Intake<'_>) {
        let text = line.trim_ascii();
        if self.comment {
            self.comment = !text.ends_with(b"*/");
            return;
        }
        if text.starts_with(b"/*") {
            self.comment = !text.ends_with(b"*/");
            return;
        }
        if text.starts_with(b"//") || text.starts_with(b"#") {
            return;
        }
        if self.depth == 0 {
            Self::statement(text, line, intake);
        }
        for byte in text {
            match byte {
                b'{' => self.depth = self.depth.saturating_add(1),
                b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn statement(text: &[u8], line: &[u8], intake: &mut Intake<'_>) {
        let mut words = words(text);
        let keyword = words.next().unwrap_or_default();
        if !keyword.eq_ignore_ascii_case(b"zone") {
            let known =
                keyword.first().is_some_and(u8::is_ascii_alphabetic) && (text.ends_with(b";") || text.contains(&b'{'));
            if known || matches!(keyword, b"};" | b"}" | b"{") {
                intake.not_applicable();
            } else {
                intake.skip(Flaw::Syntax, line);
            }
            return;
        }
        let Some(name) = text.split(|byte| *byte == b'"').nth(1) else { return intake.skip(Flaw::Syntax, line) };
        let elsewhere = ["type forward", "type stub", "type hint", "type static-stub", "type delegation-only"];
        if elsewhere
            .iter()
            .any(|kind| text.windows(kind.len()).any(|window| window.eq_ignore_ascii_case(kind.as_bytes())))
        {
            return intake.not_applicable();
        }
        intake.entry(name, Scope::Suffix, false, None, line);
    }
}
