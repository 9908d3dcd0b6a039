//! The fields of a line that show less than was there.

use super::beginning;

/// The fields that show less than was there, in the order of the line, each once.
#[derive(Debug, Default, Clone)]
pub struct Cuts(Vec<&'static str>);

impl Cuts {
    pub fn add(&mut self, field: &'static str) {
        if !self.0.contains(&field) {
            self.0.push(field);
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[must_use]
    pub fn fields(&self) -> &[&'static str] {
        &self.0
    }

    /// As much of `text` as `limit` bytes of JSON hold.
    pub fn text<'t>(&mut self, text: &'t str, limit: usize, field: &'static str) -> &'t str {
        let shown = beginning(text, limit);
        if shown.len() < text.len() {
            self.add(field);
        }
        shown
    }

    /// As many of the first elements as `limit` allows.
    pub fn elements<'t, T>(&mut self, elements: &'t [T], limit: usize, field: &'static str) -> &'t [T] {
        match elements.get(..limit) {
            Some(shown) if shown.len() < elements.len() => {
                self.add(field);
                shown
            }
            _ => elements,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Json, Memory};

    #[test]
    fn cuts_name_their_fields_once_and_in_order() {
        let (mut bytes, mut memory) = (Vec::new(), Memory::default());
        let mut json = Json::open(&mut bytes, &mut memory);
        json.cut("whole", "abc", 3, "whole");
        json.cut("none", None, 0, "none");
        json.cut("line", "abc\n", 4, "process.command_line");
        json.cut("line", "abc\n", 0, "process.command_line");
        assert_eq!(json.cuts().elements(&[1, 2, 3], 2, "dns.answers"), [1, 2]);
        assert_eq!(json.cuts().elements(&[1, 2, 3], 3, "none"), [1, 2, 3]);
        json.close();
        assert_eq!(memory.cuts.fields(), ["process.command_line", "dns.answers"]);
        assert_eq!(bytes, br#"{"whole":"abc","line":"abc","line":""}"#);
        memory.cuts.clear();
        assert!(memory.cuts.fields().is_empty());
    }
}
