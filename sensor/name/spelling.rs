//! A name as lists and people write it, in document form: lower case, an internationalised name as
//! punycode (UTS 46), no trailing dot, escapes as in `dns`. Schemes, ports and wildcards around a name are
//! left to `indicator`.

use std::fmt::Write;

use super::Flaw;

/// RFC 1035 2.3.4, in octets.
const LONGEST_LABEL: usize = 63;
/// RFC 1035 2.3.4: 255 octets on the wire are 253 characters with dots between labels.
const LONGEST_NAME: usize = 253;

/// Brings a name into document form. `buffer` holds the new form where it differs from `text`.
///
/// # Errors
/// The text is no name.
pub fn canonical<'a>(text: &'a [u8], buffer: &'a mut String) -> Result<&'a str, Flaw> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    if text.is_empty() {
        return Err(Flaw::NoName);
    }
    match shape(text) {
        Shape::Plain => {
            check(text)?;
            std::str::from_utf8(text).map_err(|_| Flaw::NotUtf8)
        }
        Shape::Capitals => {
            check(text)?;
            buffer.clear();
            buffer.push_str(std::str::from_utf8(text).map_err(|_| Flaw::NotUtf8)?);
            buffer.make_ascii_lowercase();
            Ok(buffer)
        }
        Shape::Escaped => {
            unescape(text, buffer)?;
            Ok(buffer)
        }
        Shape::Unicode => {
            let unicode = std::str::from_utf8(text).map_err(|_| Flaw::NotUtf8)?;
            let ascii = idna::domain_to_ascii(unicode).map_err(|_| Flaw::Idn)?;
            let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
            if let Shape::Other(byte) = shape(ascii.as_bytes()) {
                return Err(Flaw::Character(byte.into()));
            }
            check(ascii.as_bytes())?;
            buffer.clear();
            buffer.push_str(ascii);
            Ok(buffer)
        }
        Shape::Other(byte) => Err(Flaw::Character(byte.into())),
    }
}

/// The work that a name needs.
enum Shape {
    Plain,
    Capitals,
    Escaped,
    Unicode,
    /// The name holds a byte that host names do not.
    Other(u8),
}

const LETTER: u8 = 0;
const DOT: u8 = 1;
const CAPITAL: u8 = 2;
const BEYOND: u8 = 4;

/// The meaning of each byte in a name. A table, because millions of bytes are read at a time.
static MEANING: [u8; 256] = {
    let mut meaning = [BEYOND; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // less than 256
        match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => meaning[byte] = LETTER,
            b'.' => meaning[byte] = DOT,
            b'A'..=b'Z' => meaning[byte] = CAPITAL,
            _ => {}
        }
        byte += 1;
    }
    meaning
};

fn shape(text: &[u8]) -> Shape {
    let seen = text.iter().fold(0, |seen, byte| seen | MEANING[usize::from(*byte)]);
    if seen & BEYOND == 0 {
        return if seen & CAPITAL == 0 { Shape::Plain } else { Shape::Capitals };
    }
    let beyond = || text.iter().copied().filter(|byte| MEANING[usize::from(*byte)] == BEYOND);
    if beyond().any(|byte| byte == b'\\') {
        return Shape::Escaped;
    }
    match beyond().find(u8::is_ascii) {
        Some(byte) => Shape::Other(byte),
        None => Shape::Unicode,
    }
}

/// Labels of a name without escapes: none empty, none too long, the last not a number (a name that
/// ends in one is an address that cannot be read, as in the URL standard).
fn check(text: &[u8]) -> Result<(), Flaw> {
    if text.len() > LONGEST_NAME {
        return Err(Flaw::LongName);
    }
    let mut last: &[u8] = &[];
    for label in text.split(|byte| *byte == b'.') {
        check_label(label.len())?;
        last = label;
    }
    if last.first().is_some_and(u8::is_ascii_digit) && ends_in_number(last) {
        return Err(Flaw::Address);
    }
    Ok(())
}

fn check_label(length: usize) -> Result<(), Flaw> {
    match length {
        0 => Err(Flaw::EmptyLabel),
        1..=LONGEST_LABEL => Ok(()),
        _ => Err(Flaw::LongLabel),
    }
}

fn ends_in_number(last: &[u8]) -> bool {
    let hexadecimal = last.strip_prefix(b"0x").or_else(|| last.strip_prefix(b"0X"));
    hexadecimal.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) || last.iter().all(u8::is_ascii_digit)
}

/// RFC 1035 5.1 escapes, written as documents write them.
fn unescape(text: &[u8], name: &mut String) -> Result<(), Flaw> {
    name.clear();
    let (mut label, mut octets) = (0, 0);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let octet = match byte {
            b'.' => {
                check_label(label)?;
                label = 0;
                octets += 1;
                name.push('.');
                continue;
            }
            b'\\' => match bytes.next().ok_or(Flaw::Escape)? {
                hundreds @ b'0'..=b'9' => {
                    let (Some(tens @ b'0'..=b'9'), Some(ones @ b'0'..=b'9')) = (bytes.next(), bytes.next()) else {
                        return Err(Flaw::Escape);
                    };
                    let value =
                        [hundreds, tens, ones].iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
                    u8::try_from(value).map_err(|_| Flaw::Escape)?
                }
                escaped => escaped,
            },
            plain => plain,
        };
        label += 1;
        octets += 1;
        match octet.to_ascii_lowercase() {
            special @ (b'.' | b'"' | b'\\') => name.extend(['\\', char::from(special)]),
            printable @ 0x20..=0x7e => name.push(char::from(printable)),
            other => write!(name, "\\{other:03}").map_err(|_| Flaw::Escape)?,
        }
    }
    check_label(label)?;
    if octets > LONGEST_NAME { Err(Flaw::LongName) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, Flaw> {
        canonical(text.as_bytes(), &mut String::new()).map(str::to_owned)
    }

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for (text, expected) in [
            ("evil.example", "evil.example"),
            ("EVIL.Example.", "evil.example"),
            ("_dmarc.evil-1.example", "_dmarc.evil-1.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("bücher。example", "xn--bcher-kva.example"),
            (r"a\.b.example", r"a\.b.example"),
            (r"\065\046b.example", r"a\.b.example"),
            (r"a\032\255.example", r"a \255.example"),
            (r"\*.example", "*.example"),
        ] {
            assert_eq!(name(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = format!("{}example", "a.".repeat(125));
        for (text, flaw) in [
            ("", Flaw::NoName),
            (".", Flaw::NoName),
            ("a..example", Flaw::EmptyLabel),
            (long_label.as_str(), Flaw::LongLabel),
            (long_name.as_str(), Flaw::LongName),
            ("evil example", Flaw::Character(' ')),
            ("evil.exam*ple", Flaw::Character('*')),
            ("1.2.3.4.5", Flaw::Address),
            ("evil.0x1f", Flaw::Address),
            (r"a\25.example", Flaw::Escape),
            (r"a\256.example", Flaw::Escape),
        ] {
            assert_eq!(name(text), Err(flaw), "{text}");
        }
        assert_eq!(canonical(b"ev\xffil.example", &mut String::new()), Err(Flaw::NotUtf8));
    }
}
