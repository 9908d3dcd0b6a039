//! Rules of Adblock Plus, `uBlock` Origin and `AdGuard`, as far as they concern whole names:
//! `||name^`, `||name^$important`, `@@||name^`, `|https://name^`, also `||*.name^` (below the name only).
//! Cosmetic rules, rules with a path or a pattern, regular expressions, and rules whose options narrow
//! them to some requests are not applicable. Lists for `AdGuard` Home also hold hosts lines and plain lines.

use super::super::index::names::Scope;
use super::hosts;
use super::intake::Intake;
use crate::name;

/// Options that leave a rule about the whole name. Every other option narrows it (`$script`,
/// `$domain=…`), withdraws it (`$badfilter`) or changes something else.
const HARMLESS_OPTIONS: [&[u8]; 10] = [
    b"all",
    b"important",
    b"document",
    b"doc",
    b"popup",
    b"popunder",
    b"third-party",
    b"3p",
    b"network",
    b"match-case",
];
/// Marks of rules that act inside a page.
const COSMETIC: [&[u8]; 8] = [b"##", b"#@#", b"#?#", b"#$#", b"#%#", b"#@$#", b"#@%#", b"$$"];

/// Whether a line is an adblock rule, or the first line of a list of them. Lists of other formats may hold such
/// lines, too.
pub(super) fn is_rule(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    [b"||".as_slice(), b"@@", b"[Adblock", b"[uBlock"].iter().any(|mark| line.starts_with(mark))
}

pub(super) fn claims(line: &[u8]) -> bool {
    is_rule(line) || is_cosmetic(line)
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let rule = line.trim_ascii();
    if matches!(rule.first(), None | Some(b'!' | b'[')) {
        return;
    }
    if is_cosmetic(rule) {
        return intake.not_applicable();
    }
    if rule.first() == Some(&b'#') {
        return;
    }
    let (rule, allow) = rule.strip_prefix(b"@@").map_or((rule, false), |rule| (rule, true));
    if matches!(rule, [b'/', .., b'/']) || rule.starts_with(b"/") {
        return intake.not_applicable();
    }
    let (pattern, options) = match rule.iter().rposition(|byte| *byte == b'$') {
        Some(at) => (rule.get(..at).unwrap_or_default(), rule.get(at + 1..)),
        None => (rule, None),
    };
    if options.is_some_and(|options| !options.split(|byte| *byte == b',').all(is_harmless)) {
        return intake.not_applicable();
    }
    let Some(anchored) = pattern.strip_prefix(b"||").or_else(|| after_scheme(pattern)) else {
        if allow || options.is_some() || pattern.iter().any(|byte| matches!(byte, b'^' | b'|' | b'*')) {
            // A bare word is part of a URL in this syntax, unless it is a line of a list of names.
            return if allow && !pattern.iter().any(|byte| matches!(byte, b'^' | b'|' | b'*' | b'/')) {
                intake.entry(pattern, Scope::Suffix, true, None, line);
            } else {
                intake.not_applicable();
            };
        }
        return hosts::line(line, intake);
    };
    let name = ["^|", "^", "|", "/"].iter().find_map(|end| anchored.strip_suffix(end.as_bytes())).unwrap_or(anchored);
    if name.is_empty() {
        return intake.skip(name::Flaw::NoName.into(), line);
    }
    let (name, scope) = name.strip_prefix(b"*.").map_or((name, Scope::Suffix), |name| (name, Scope::Below));
    if name.iter().any(|byte| matches!(byte, b'*' | b'/' | b'^' | b'|' | b'?' | b'=')) {
        return intake.not_applicable();
    }
    intake.entry(name, scope, allow, None, line);
}

/// `|https://`, `://`.
fn after_scheme(pattern: &[u8]) -> Option<&[u8]> {
    let rest = pattern.strip_prefix(b"|").unwrap_or(pattern);
    ["https://", "http://", "://"].iter().find_map(|scheme| rest.strip_prefix(scheme.as_bytes()))
}

fn is_harmless(option: &[u8]) -> bool {
    let option = option.trim_ascii();
    HARMLESS_OPTIONS.contains(&option) || option.starts_with(b"dnsrewrite") || option.starts_with(b"reason=")
}

fn is_cosmetic(line: &[u8]) -> bool {
    // `##` alone opens a remark in plain lists; in a rule something follows at once.
    line.iter().enumerate().any(|(at, byte)| {
        matches!(byte, b'#' | b'$')
            && line
                .get(at..)
                .is_some_and(|rest| COSMETIC.iter().any(|mark| rest.strip_prefix(*mark).is_some_and(starts_selector)))
    }) && !line.starts_with(b"###")
}

fn starts_selector(after: &[u8]) -> bool {
    matches!(
        after.first(),
        Some(b'.' | b'#' | b'[' | b'*' | b'+' | b'^' | b':' | b'/' | b'@' | b'a'..=b'z' | b'A'..=b'Z')
    )
}
