//! Text of others on a terminal or in a log. An attacker chooses names of files, arguments of programs and
//! lines of lists; a terminal obeys control characters, and format characters turn text around (Unicode
//! TR 36, 2.5). Each of them is shown as its escape.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Shows what it holds, with escapes for all that a terminal obeys.
#[derive(Debug, Clone, Copy)]
pub struct Shown<T>(pub T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escape(out), "{}", self.0)
    }
}

struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_control) {
            let (plain, from) = rest.split_at(at);
            let mut letters = from.chars();
            self.0.write_str(plain)?;
            letters.next().map_or(Ok(()), |control| write!(self.0, "{}", control.escape_unicode()))?;
            rest = letters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// JSON as `serde_json` writes it, with escapes for the controls that it leaves as they are.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    // Those below are escaped in strings already; outside of strings they are white space.
    let left = |letter: char| letter >= '\u{7f}' && is_control(letter);
    if !text.contains(left) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if left(letter) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// Controls (general category Cc), line separators, and what changes the direction of text.
#[must_use]
pub fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "é\u{1b}[2J\u{7f}\u{9b}2J\u{202e}txt.\u{2066}";

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let shown = format!("<{}>", Shown(HOSTILE));
        assert_eq!(shown, r"<é\u{1b}[2J\u{7f}\u{9b}2J\u{202e}txt.\u{2066}>");
        assert_eq!(Shown("plain \\ \"text\"").to_string(), "plain \\ \"text\"");
    }

    #[test]
    fn json_says_the_same_without_controls() {
        let text = serde_json::to_string(HOSTILE).unwrap();
        let escaped = json(&text);
        assert!(!escaped.contains(is_control), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), HOSTILE);
    }
}
