//! The elements of a list.

use std::net::IpAddr;

use super::value::push_ip;
use super::{Address, Cuts, Json};

/// The elements of a list that is being written.
#[derive(Debug)]
pub struct List<'l, 'a>(pub(super) &'l mut Json<'a>);

impl<'a> List<'_, 'a> {
    pub fn cuts(&mut self) -> &mut Cuts {
        self.0.cuts()
    }

    #[inline]
    pub fn text(&mut self, text: &str) {
        self.0.bytes.push(b'"');
        self.0.string(text);
    }

    /// See [`Json::cut`].
    #[inline]
    pub fn cut(&mut self, text: &str, limit: usize, field: &'static str) {
        let shown = self.cuts().text(text, limit, field);
        self.text(shown);
    }

    /// A text of this program, in which nothing is escaped.
    #[inline]
    pub fn literal(&mut self, text: &'static str) {
        self.0.bytes.push(b'"');
        self.0.bytes.extend_from_slice(text.as_bytes());
        self.0.bytes.extend_from_slice(b"\",");
    }

    pub fn number(&mut self, number: impl Into<u64>) {
        self.0.digits(number.into());
        self.0.bytes.push(b',');
    }

    #[inline]
    pub fn address(&mut self, address: &Address) {
        address.push_to(self.0.bytes);
    }

    #[inline]
    pub fn ip(&mut self, address: IpAddr) {
        push_ip(self.0.bytes, address);
    }

    /// An object, written by `fields`; one that got no field is no element.
    #[inline]
    pub fn object(&mut self, fields: impl FnOnce(&mut Json<'a>)) {
        let start = self.0.bytes.len();
        self.0.bytes.push(b'{');
        fields(self.0);
        self.0.end_of(start, start + 1, b'}');
    }
}
