//! dnsmasq.conf: `address=/evil.example/#`, `address=/a.example/b.example/0.0.0.0`, `server=/evil.example/`,
//! `local=/evil.example/`. `server=/name/#` sends the name to the usual servers: an exception.
//! `server=/name/address` only sends it elsewhere, and other settings concern other things: both are not
//! applicable.

use super::super::index::names::Scope;
use super::flaw::Flaw;
use super::intake::Intake;
use super::line::without_remark;

pub(super) fn claims(line: &[u8]) -> bool {
    ["address=/", "server=/", "local=/"].iter().any(|key| line.starts_with(key.as_bytes()))
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let setting = line.trim_ascii();
    if setting.first() == Some(&b'#') {
        return;
    }
    let setting = without_remark(setting);
    let Some(equals) = setting.iter().position(|byte| *byte == b'=') else { return intake.skip(Flaw::Syntax, line) };
    let (key, value) = setting.split_at(equals);
    let (key, value) = (key.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
    if !matches!(key, b"address" | b"server" | b"local") {
        // Any other setting of the program, but not any text with an equals sign.
        let is_setting = !key.is_empty()
            && key.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
        return if is_setting { intake.not_applicable() } else { intake.skip(Flaw::Syntax, line) };
    }
    let Some(names) = value.strip_prefix(b"/") else { return intake.not_applicable() };
    let Some(last) = names.iter().rposition(|byte| *byte == b'/') else { return intake.skip(Flaw::Syntax, line) };
    let (names, target) = names.split_at(last);
    let target = target.get(1..).unwrap_or_default();
    let allow = key != b"address" && target == b"#";
    if key == b"server" && !target.is_empty() && !allow {
        return intake.not_applicable();
    }
    for name in names.split(|byte| *byte == b'/') {
        // `*name` (without a dot) also matches `xname`: a pattern, refused as one.
        intake.entry(name, Scope::Suffix, allow, None, line);
    }
}
