//! Text inside a JSON string (RFC 8259 7): which characters are escaped, how long a text becomes, and
//! where it can be cut. JSON asks for escapes of the C0 controls only; a line is read by people, too, so all
//! that a terminal obeys is escaped.

use crate::shown::is_control;

/// Bytes of the longest escape that stands for one byte of a text.
const LONGEST: usize = 6;

/// How a character stands inside a JSON string.
enum Form {
    Itself,
    /// A backslash and this letter.
    Letter(u8),
    /// `\u` and four hexadecimal digits.
    Number,
}

impl Form {
    fn of(character: char) -> Self {
        match character {
            '"' => Self::Letter(b'"'),
            '\\' => Self::Letter(b'\\'),
            '\n' => Self::Letter(b'n'),
            '\r' => Self::Letter(b'r'),
            '\t' => Self::Letter(b't'),
            '\x08' => Self::Letter(b'b'),
            '\x0c' => Self::Letter(b'f'),
            control if is_control(control) => Self::Number,
            _ => Self::Itself,
        }
    }

    fn length(&self, character: char) -> usize {
        match self {
            Self::Itself => character.len_utf8(),
            Self::Letter(_) => 2,
            Self::Number => LONGEST,
        }
    }
}

/// Whether every byte is printable ASCII other than a quote and a backslash, so that the text stands in a
/// string as it is. Eight bytes are looked at together, as most texts are short.
#[inline]
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    match bytes.last_chunk::<WORD>() {
        Some(last) => {
            let (words, _) = bytes.as_chunks::<WORD>();
            words.iter().fold(0, |found, word| found | others(*word)) | others(*last) == 0
        }
        None => bytes.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')),
    }
}

/// Not zero where one of eight bytes is not plain. A byte below `n` sets its top bit in `x - n` and had not
/// set it in `x`; a byte above `0x7e` has its top bit set in `x + 1`, or in `x`.
#[inline]
fn others(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let x = u64::from_le_bytes(bytes);
    let below = |x: u64, n: u64| x.wrapping_sub(EACH * n) & !x;
    let is = |byte: u8| below(x ^ (EACH * u64::from(byte)), 1);
    (below(x, 0x20) | is(b'"') | is(b'\\') | x | x.wrapping_add(EACH)) & (EACH << 7)
}

/// Appends `text` as it stands between the quotes of a string.
#[inline]
pub(super) fn push(bytes: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        bytes.extend_from_slice(text.as_bytes());
    } else {
        push_escaped(bytes, text);
    }
}

#[cold]
fn push_escaped(bytes: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut itself = 0;
    for (at, character) in text.char_indices() {
        let form = Form::of(character);
        if matches!(form, Form::Itself) {
            continue;
        }
        bytes.extend_from_slice(text.as_bytes().get(itself..at).unwrap_or_default());
        itself = at + character.len_utf8();
        if let Form::Letter(letter) = form {
            bytes.extend_from_slice(&[b'\\', letter]);
        } else {
            let digit = |shift: u32| DIGITS[(u32::from(character) >> shift & 0xf) as usize];
            bytes.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
        }
    }
    bytes.extend_from_slice(text.as_bytes().get(itself..).unwrap_or_default());
}

/// The longest beginning of `text` that takes no more than `limit` bytes inside a string.
#[must_use]
pub fn beginning(text: &str, limit: usize) -> &str {
    if text.len() <= limit / LONGEST {
        return text;
    }
    if is_plain(text.as_bytes()) {
        return text.get(..limit).unwrap_or(text);
    }
    let mut left = limit;
    for (at, character) in text.char_indices() {
        match left.checked_sub(Form::of(character).length(character)) {
            Some(rest) => left = rest,
            None => return text.get(..at).unwrap_or_default(),
        }
    }
    text
}

/// Bytes that `text` takes inside a string, or `None` when they are more than `limit`.
#[must_use]
pub fn escaped_length(text: &str, limit: usize) -> Option<usize> {
    if text.len() > limit {
        return None;
    }
    let length = if is_plain(text.as_bytes()) {
        text.len()
    } else {
        text.chars().map(|character| Form::of(character).length(character)).sum()
    };
    (length <= limit).then_some(length)
}

/// No less than [`escaped_length`] of a text of so many bytes.
#[must_use]
pub fn longest_escaped(length: usize) -> usize {
    length.saturating_mul(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_json(text: &str) -> String {
        let mut bytes = Vec::new();
        push(&mut bytes, text);
        String::from_utf8(bytes).unwrap()
    }

    fn text() -> impl Strategy<Value = String> {
        "(\\PC|[\\x00-\\x7f]|[\\u{80}-\\u{a0}]|[\\u{200c}-\\u{206f}]|\\u{61c}|🦀){0,40}"
    }

    proptest! {
        #[test]
        fn a_reader_gets_the_text_back(text in text()) {
            let json = format!("\"{}\"", in_json(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.chars().any(is_control), "{}", json);
        }

        #[test]
        fn lengths_and_cuts_are_those_of_the_escaped_text(text in text(), limit in 0_usize..200) {
            let length = in_json(&text).len();
            prop_assert_eq!(escaped_length(&text, limit), (length <= limit).then_some(length));
            prop_assert!(length <= longest_escaped(text.len()));
            let cut = beginning(&text, limit);
            prop_assert!(text.starts_with(cut) && in_json(cut).len() <= limit);
            let next = text[cut.len()..].chars().next();
            prop_assert!(next.is_none_or(|next| in_json(cut).len() + in_json(&next.to_string()).len() > limit));
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let plain = (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&bytes), plain, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn controls_are_shown_by_number() {
        assert_eq!(in_json("a\x7fb\u{9b}31m"), r"a\u007fb\u009b31m");
        assert_eq!(in_json("\u{202e}gpj.exe\u{2066}\u{61c}\u{2028}"), r"\u202egpj.exe\u2066\u061c\u2028");
        assert_eq!(in_json("\0\n\x1b\"\\"), r#"\u0000\n\u001b\"\\"#);
        assert_eq!(in_json("é\u{a0}\u{200d}🦀"), "é\u{a0}\u{200d}🦀");
    }
}
