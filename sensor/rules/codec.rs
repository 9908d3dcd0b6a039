//! Names in about half of their bytes: single bytes that stand for strings which a sample of the
//! names holds often (`.com`, `.pages.d`, `online`). Which names there are is left to `names`.
//!
//! A name as documents write it holds only 0x20 to 0x7e without capitals, so every other byte but 0
//! is free to stand for up to eight characters. The strings are learned by joining the most frequent
//! pairs of a sample, a few a round; a name is then written as the longest known strings from the left.

/// The longest string that one byte can stand for: what fits a machine word.
const LONGEST: usize = 8;
/// Names that the strings are learned from.
pub(super) const SAMPLE: usize = 16_384;
/// New strings in one round: few, so that a pair is counted after the better ones are joined.
const ROUND: usize = 12;
/// Below so many sightings in the sample a string is not worth its place.
const RARE: u32 = 16;
const PAIRS: usize = 1 << 16;
/// Bytes of a sample below which nothing is learned: so few names need not be short.
const WORTH_LEARNING: usize = 1 << 16;

/// What each byte of a coded name stands for.
#[derive(Clone)]
pub(super) struct Codec {
    /// Little-endian, padded with zeros.
    text: [u64; 256],
    length: [u8; 256],
}

impl Default for Codec {
    /// Each byte stands for itself.
    fn default() -> Self {
        let mut codec = Self { text: [0; 256], length: [1; 256] };
        for (byte, text) in (0_u64..).zip(&mut codec.text) {
            *text = byte;
        }
        codec
    }
}

impl Codec {
    /// Learns from [`SAMPLE`] names or less, which the caller has chosen evenly.
    pub(super) fn learn<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut codec = Self::default();
        // Zero parts the names and is never a code.
        let mut sample: Vec<u8> = Vec::with_capacity(SAMPLE * 24);
        for name in names {
            sample.extend_from_slice(name);
            sample.push(0);
        }
        if sample.len() < WORTH_LEARNING {
            return codec;
        }
        let mut free = (1..=u8::MAX).filter(|byte| !is_literal(*byte));
        let mut counts = vec![0_u32; PAIRS];
        let mut joined = vec![0_u8; PAIRS];
        loop {
            counts.fill(0);
            for pair in sample.windows(2) {
                counts[pair_of(pair[0], pair[1])] += 1;
            }
            let mut best: Vec<(u32, u8, u8)> = Vec::new();
            for first in 1..=u8::MAX {
                for second in 1..=u8::MAX {
                    let count = counts[pair_of(first, second)];
                    if count >= RARE && codec.len(first) + codec.len(second) <= LONGEST {
                        best.push((count, first, second));
                    }
                }
            }
            best.sort_unstable_by(|a, b| b.cmp(a));
            joined.fill(0);
            let mut new = 0;
            for (_, first, second) in best.into_iter().take(ROUND) {
                let Some(code) = free.next() else { break };
                let length = codec.length[usize::from(first)];
                codec.text[usize::from(code)] =
                    codec.text[usize::from(first)] | codec.text[usize::from(second)] << (8 * length);
                codec.length[usize::from(code)] = length + codec.length[usize::from(second)];
                joined[pair_of(first, second)] = code;
                new += 1;
            }
            if new == 0 {
                return codec;
            }
            join(&mut sample, &joined);
        }
    }

    /// Whether a coded name is this text.
    #[inline]
    pub(super) fn is(&self, coded: &[u8], text: &[u8]) -> bool {
        let mut at = 0;
        for code in coded {
            let code = usize::from(*code);
            let length = self.length[code];
            if (word(text, at) ^ self.text[code]) & mask(length) != 0 {
                return false;
            }
            at += usize::from(length);
        }
        // Past its end a text reads as zeros, which no string holds.
        at == text.len()
    }

    /// The name that `coded` stands for, added to `text`.
    pub(super) fn read(&self, coded: &[u8], text: &mut Vec<u8>) {
        for code in coded {
            let bytes = self.text[usize::from(*code)].to_le_bytes();
            text.extend(bytes.iter().take(self.len(*code)));
        }
    }

    fn len(&self, code: u8) -> usize {
        usize::from(self.length[usize::from(code)])
    }
}

/// The way back, only needed while a set is made.
pub(super) struct Encoder {
    /// Where the strings that begin with a pair of characters begin in `strings`.
    first: Vec<u8>,
    /// The longest first; a run for one pair ends where `pair` changes.
    strings: Vec<Coded>,
}

struct Coded {
    text: u64,
    mask: u64,
    pair: u16,
    length: u8,
    code: u8,
}

impl Encoder {
    pub(super) fn new(codec: &Codec) -> Self {
        let mut strings: Vec<Coded> = (0..=u8::MAX)
            .filter(|code| codec.len(*code) > 1)
            .map(|code| {
                let (text, length) = (codec.text[usize::from(code)], codec.length[usize::from(code)]);
                let [first, second, ..] = text.to_le_bytes();
                Coded { text, mask: mask(length), pair: u16::from_le_bytes([first, second]), length, code }
            })
            .collect();
        strings.sort_by(|a, b| (a.pair, b.length).cmp(&(b.pair, a.length)));
        let mut first = vec![u8::MAX; PAIRS];
        // There are fewer than 255 strings: literals and zero take their share of the bytes.
        for (index, string) in (0..u8::MAX).zip(&strings).rev() {
            first[usize::from(string.pair)] = index;
        }
        Self { first, strings }
    }

    /// Adds the coded form of `text` to `coded`.
    #[inline]
    pub(super) fn write(&self, text: &[u8], coded: &mut Vec<u8>) {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            let ahead = word(text, at);
            #[allow(clippy::cast_possible_truncation)] // the pair is the low half
            let pair = ahead as u16;
            let (mut code, mut length) = (*byte, 1);
            let mut index = usize::from(self.first[usize::from(pair)]);
            while let Some(string) = self.strings.get(index).filter(|string| string.pair == pair) {
                if (ahead ^ string.text) & string.mask == 0 {
                    (code, length) = (string.code, usize::from(string.length));
                    break;
                }
                index += 1;
            }
            coded.push(code);
            at += length;
        }
    }
}

/// Stands for itself in a coded name.
fn is_literal(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && !byte.is_ascii_uppercase()
}

fn pair_of(first: u8, second: u8) -> usize {
    usize::from(u16::from_le_bytes([first, second]))
}

#[inline]
fn mask(length: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(length))
}

/// Eight bytes from `at`, zeros past the end.
#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    if let Some(bytes) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        return u64::from_le_bytes(*bytes);
    }
    if let Some(bytes) = text.last_chunk::<8>() {
        let past = at + 8 - text.len();
        return if past < 8 { u64::from_le_bytes(*bytes) >> (8 * past) } else { 0 };
    }
    text.get(at..).unwrap_or_default().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Replaces each pair that has a code, from the left, in place.
fn join(sample: &mut Vec<u8>, joined: &[u8]) {
    let (mut read, mut write) = (0, 0);
    while read < sample.len() {
        let first = sample[read];
        let second = sample.get(read + 1).copied().unwrap_or(0);
        let code = joined[pair_of(first, second)];
        sample[write] = if code == 0 { first } else { code };
        read += if code == 0 { 1 } else { 2 };
        write += 1;
    }
    sample.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn learned() -> (Codec, Encoder) {
        let names: Vec<String> = (0..5000).map(|n| format!("shop{}.online-login{}.pages.example", n % 97, n)).collect();
        let codec = Codec::learn(names.iter().map(String::as_bytes));
        let encoder = Encoder::new(&codec);
        (codec, encoder)
    }

    #[test]
    fn what_is_frequent_gets_short() {
        let (_, encoder) = learned();
        let mut coded = Vec::new();
        encoder.write(b"shop1.online-login77.pages.example", &mut coded);
        assert!(coded.len() <= 12, "{} bytes of 34", coded.len());
    }

    static CODECS: LazyLock<[(Codec, Encoder); 2]> =
        LazyLock::new(|| [learned(), (Codec::default(), Encoder::new(&Codec::default()))]);

    proptest! {
        #[test]
        fn a_name_survives(text in r"[\x20-@\[-~]{0,80}", other in r"[\x20-@\[-~]{0,80}") {
            for (codec, encoder) in &*CODECS {
                let mut coded = Vec::new();
                encoder.write(text.as_bytes(), &mut coded);
                let mut back = Vec::new();
                codec.read(&coded, &mut back);
                prop_assert_eq!(&back, text.as_bytes());
                prop_assert!(codec.is(&coded, text.as_bytes()));
                prop_assert_eq!(codec.is(&coded, other.as_bytes()), text == other);
                prop_assert!(!codec.is(&coded, [text.as_bytes(), b"a"].concat().as_slice()));
            }
        }
    }
}
