//! The messages to the part that reads `/proc`. A question names a process by its pid and start, or one of the two
//! account files by its place, and never a path.

use super::proc::Facts;
use crate::event::TaskKey;

/// Bytes of a question: its number, its kind, and what it is about.
const QUESTION: usize = 32;

/// Bytes of a path at most, and of arguments. A longer path is absent, as one that cannot be read.
const TEXT: usize = 4096;

/// A question about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Facts(TaskKey),
    /// The account files of the host that the process sees; with the number of its mount namespace.
    Accounts(TaskKey, u32),
    /// The host's `passwd` (0) or `group` (1), open.
    File(u8),
}

/// The reply to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Facts(Option<Facts>),
    Accounts(Option<[bool; 2]>),
    /// The file comes with the message, if it can be opened.
    File,
    /// Every reader waits for a process that does not let itself be read.
    Busy,
}

impl Question {
    pub(super) fn encode(self, number: u64) -> [u8; QUESTION] {
        let (kind, process, detail) = match self {
            Self::Facts(process) => (1_u32, process, 0),
            Self::Accounts(process, namespace) => (2, process, namespace),
            Self::File(place) => (3, TaskKey { pid: 0, exec_id: 0, start: 0 }, place.into()),
        };
        let mut message = [0; QUESTION];
        let words = [process.pid, process.exec_id, detail].map(u32::to_ne_bytes);
        let parts =
            [&number.to_ne_bytes()[..], &process.start.to_ne_bytes(), &kind.to_ne_bytes(), words.as_flattened()];
        for (to, from) in message.iter_mut().zip(parts.concat()) {
            *to = from;
        }
        message
    }

    /// The number of the question, and the question; `None`: it is none.
    pub(super) fn decode(message: &[u8]) -> Option<(u64, Self)> {
        let message = <&[u8; QUESTION]>::try_from(message).ok()?;
        let mut rest = Rest(message);
        let (number, start, kind) = (rest.long()?, rest.long()?, rest.word()?);
        let process = TaskKey { start, pid: rest.word()?, exec_id: rest.word()? };
        let detail = rest.word()?;
        Some((
            number,
            match kind {
                1 => Self::Facts(process),
                2 => Self::Accounts(process, detail),
                3 => Self::File(u8::try_from(detail).ok().filter(|place| *place < 2)?),
                _ => return None,
            },
        ))
    }
}

pub(super) fn encode_reply(number: u64, reply: &Reply) -> Vec<u8> {
    let mut message = number.to_ne_bytes().to_vec();
    let mut word = |value: u32| message.extend(value.to_ne_bytes());
    match reply {
        Reply::Busy => word(0),
        Reply::Facts(None) => word(1),
        Reply::Facts(Some(facts)) => {
            word(2);
            word(facts.arguments_total);
            let texts = [&facts.executable, &facts.working_directory].map(|text| text.as_ref().map(String::as_bytes));
            for text in texts.into_iter().chain([facts.arguments.as_deref()]) {
                let text = text.filter(|text| text.len() <= TEXT);
                let length = text.map_or(u32::MAX, |text| u32::try_from(text.len()).unwrap_or(u32::MAX));
                message.extend(length.to_ne_bytes());
                message.extend(text.unwrap_or_default());
            }
        }
        Reply::Accounts(None) => word(3),
        Reply::Accounts(Some([passwd, group])) => word(4 | u32::from(*passwd) << 8 | u32::from(*group) << 9),
        Reply::File => word(5),
    }
    message
}

pub(super) fn decode_reply(message: &[u8]) -> Option<(u64, Reply)> {
    let mut rest = Rest(message);
    let (number, word) = (rest.long()?, rest.word()?);
    let reply = match word & 0xff {
        0 => Reply::Busy,
        1 => Reply::Facts(None),
        2 => {
            let arguments_total = rest.word()?;
            let mut text = || rest.text().map(|text| text.map(|text| String::from_utf8_lossy(text).into_owned()));
            let (executable, working_directory) = (text()?, text()?);
            let arguments = rest.text()?.map(<[u8]>::to_vec);
            Reply::Facts(Some(Facts { executable, arguments, arguments_total, working_directory }))
        }
        3 => Reply::Accounts(None),
        4 => Reply::Accounts(Some([word >> 8 & 1 == 1, word >> 9 & 1 == 1])),
        5 => Reply::File,
        _ => return None,
    };
    Some((number, reply))
}

/// The bytes of a message that are not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    /// Inner `None`: it is absent.
    #[allow(clippy::option_option, reason = "whether there is a text, and whether the message is whole")]
    fn text(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.word()?;
        if length == u32::MAX {
            return Some(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= TEXT)?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TaskKey = TaskKey { pid: 7, exec_id: 9, start: 1 << 40 };

    #[test]
    fn questions_and_replies_come_back_from_their_bytes() {
        for question in [Question::Facts(KEY), Question::Accounts(KEY, 4_026_531_841), Question::File(1)] {
            assert_eq!(Question::decode(&question.encode(3)), Some((3, question)));
        }
        let facts = Facts {
            executable: Some("/usr/bin/curl".into()),
            arguments: Some(b"curl\0-v\0".to_vec()),
            arguments_total: 8,
            working_directory: None,
        };
        for reply in [
            Reply::Facts(Some(facts)),
            Reply::Facts(Some(Facts::default())),
            Reply::Facts(None),
            Reply::Accounts(None),
            Reply::Accounts(Some([false, true])),
            Reply::File,
            Reply::Busy,
        ] {
            assert_eq!(decode_reply(&encode_reply(5, &reply)), Some((5, reply)));
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        assert_eq!(Question::decode(&Question::File(2).encode(1)), None, "there are two files");
        for length in (0..QUESTION).chain([QUESTION + 1, 4096]) {
            assert_eq!(Question::decode(&vec![1; length]), None, "{length}");
        }
        let facts = Facts { executable: Some("/x".into()), arguments: Some(vec![0; 40]), ..Facts::default() };
        let whole = encode_reply(1, &Reply::Facts(Some(facts)));
        for length in 0..whole.len() {
            assert_eq!(decode_reply(&whole[..length]), None, "{length}");
        }
        let longer_than_any = [&1_u64.to_ne_bytes()[..], &[2_u32, 0, 5000].map(u32::to_ne_bytes).concat(), &[0; 6000]];
        assert_eq!(decode_reply(&longer_than_any.concat()), None);
    }
}
