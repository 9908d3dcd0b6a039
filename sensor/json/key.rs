//! The names of fields.

/// The name of a field and what stands around it.
pub trait Name: Copy {
    /// Appends `"name":`.
    fn push(self, bytes: &mut Vec<u8>);
    /// Appends `"name":"`.
    fn push_text(self, bytes: &mut Vec<u8>);
    /// Appends `"name":{`.
    fn push_object(self, bytes: &mut Vec<u8>);
    /// Appends `"name":[`.
    fn push_list(self, bytes: &mut Vec<u8>);
}

/// A name that [`key!`](crate::json::key) has joined with what stands around it, when the program was built:
/// one copy of a constant takes half of the time of three.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub value: &'static str,
    pub text: &'static str,
    pub object: &'static str,
    pub list: &'static str,
}

/// The name of a field as a constant, for lines that are written often.
macro_rules! key {
    ($name:literal) => {
        $crate::json::Key {
            value: concat!("\"", $name, "\":"),
            text: concat!("\"", $name, "\":\""),
            object: concat!("\"", $name, "\":{"),
            list: concat!("\"", $name, "\":["),
        }
    };
}

pub(crate) use key;

impl Name for Key {
    #[expect(
        clippy::inline_always,
        reason = "a name is a constant of the caller: copied in place, its length is known"
    )]
    #[inline(always)]
    fn push(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.value.as_bytes());
    }

    #[expect(
        clippy::inline_always,
        reason = "a name is a constant of the caller: copied in place, its length is known"
    )]
    #[inline(always)]
    fn push_text(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.text.as_bytes());
    }

    #[expect(
        clippy::inline_always,
        reason = "a name is a constant of the caller: copied in place, its length is known"
    )]
    #[inline(always)]
    fn push_object(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.object.as_bytes());
    }

    #[expect(
        clippy::inline_always,
        reason = "a name is a constant of the caller: copied in place, its length is known"
    )]
    #[inline(always)]
    fn push_list(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.list.as_bytes());
    }
}

/// A name of this program, in which nothing is escaped.
impl Name for &'static str {
    fn push(self, bytes: &mut Vec<u8>) {
        bytes.push(b'"');
        bytes.extend_from_slice(self.as_bytes());
        bytes.extend_from_slice(b"\":");
    }

    fn push_text(self, bytes: &mut Vec<u8>) {
        self.push(bytes);
        bytes.push(b'"');
    }

    fn push_object(self, bytes: &mut Vec<u8>) {
        self.push(bytes);
        bytes.push(b'{');
    }

    fn push_list(self, bytes: &mut Vec<u8>) {
        self.push(bytes);
        bytes.push(b'[');
    }
}
