//! Where names wait while lists are read: parted by hash, so that making the final form (`compile`)
//! works on one part at a time, which fits the cache. Going through two million names in the order of
//! their hash in plain memory costs a cache miss and a page walk each.
//!
//! One buffer in chunks; each part owns a list of chunks and appends to its last one.

use super::memory::make_room;
use super::names::{read_number, write_number};

/// By the upper eight bits of the hash: two million names make parts of 300 KB.
pub(super) const PARTS: usize = 256;
/// A part wastes half a chunk on average, and the end of each chunk.
const CHUNK: usize = 1 << 13;
/// Chunk numbers are 32 bits wide; no more than 4 GiB of text is staged.
const MOST_CHUNKS: usize = 1 << 19;

/// A name as it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Staged<'a> {
    pub hash: u64,
    pub class: u16,
    pub line: u32,
    /// `u32::MAX`: none.
    pub details: u32,
    pub name: &'a [u8],
}

pub(super) struct Stage {
    chunks: Vec<u8>,
    parts: Vec<Part>,
    record: Vec<u8>,
    count: usize,
}

#[derive(Default, Clone, Copy)]
struct Extent {
    /// Of the chunks that are full, or had no room for the next record.
    chunks: usize,
    /// Bytes in the last one.
    last: usize,
}

#[derive(Default)]
struct Part {
    /// Chunk number and bytes used.
    chunks: Vec<(u32, u16)>,
}

/// How far [`Stage::back`] goes.
pub(super) struct Mark {
    bytes: usize,
    count: usize,
    parts: Vec<Extent>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let parts = std::iter::repeat_with(Part::default).take(PARTS).collect();
        Self { chunks: Vec::new(), parts, record: Vec::new(), count: 0 }
    }

    /// Names that wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a name; `false` when there is no room.
    pub(super) fn push(&mut self, staged: &Staged<'_>) -> bool {
        let Some(part) = self.parts.get_mut(part_of(staged.hash)) else { return false };
        self.record.clear();
        self.record.extend_from_slice(&staged.hash.to_le_bytes());
        write_number(staged.class.into(), &mut self.record);
        write_number(staged.line, &mut self.record);
        write_number(staged.details.wrapping_add(1), &mut self.record);
        write_number(u32::try_from(staged.name.len()).unwrap_or(u32::MAX), &mut self.record);
        let length = self.record.len() + staged.name.len();
        if length > CHUNK {
            return false;
        }
        if part.chunks.last().is_none_or(|(_, used)| usize::from(*used) + length > CHUNK) {
            let number = self.chunks.len() / CHUNK;
            if number >= MOST_CHUNKS {
                return false;
            }
            make_room(&mut self.chunks, CHUNK);
            self.chunks.resize(self.chunks.len() + CHUNK, 0);
            part.chunks.push((u32::try_from(number).unwrap_or(0), 0));
        }
        let Some((number, used)) = part.chunks.last_mut() else { return false };
        let start = *number as usize * CHUNK + usize::from(*used);
        let Some(place) = self.chunks.get_mut(start..start + length) else { return false };
        let (head, tail) = place.split_at_mut(self.record.len());
        head.copy_from_slice(&self.record);
        tail.copy_from_slice(staged.name);
        // A chunk has less than 2^16 bytes.
        *used += u16::try_from(length).unwrap_or(0);
        self.count += 1;
        true
    }

    pub(super) fn mark(&self) -> Mark {
        let extent = |part: &Part| Extent {
            chunks: part.chunks.len(),
            last: part.chunks.last().map_or(0, |(_, used)| usize::from(*used)),
        };
        Mark { bytes: self.chunks.len(), count: self.count, parts: self.parts.iter().map(extent).collect() }
    }

    /// Forgets what was added since.
    pub(super) fn back(&mut self, mark: &Mark) {
        self.chunks.truncate(mark.bytes);
        self.count = mark.count;
        for (part, extent) in self.parts.iter_mut().zip(&mark.parts) {
            part.chunks.truncate(extent.chunks);
            if let Some((_, used)) = part.chunks.last_mut() {
                *used = u16::try_from(extent.last).unwrap_or(0);
            }
        }
    }

    /// The names of one part, in the order they were added.
    pub(super) fn part(&self, part: usize) -> impl Iterator<Item = Staged<'_>> {
        let chunks = self.parts.get(part).map_or(&[][..], |part| &part.chunks);
        chunks.iter().flat_map(|(number, used)| {
            let start = *number as usize * CHUNK;
            let mut bytes = self.chunks.get(start..start + usize::from(*used)).unwrap_or_default();
            std::iter::from_fn(move || read(&mut bytes))
        })
    }
}

#[inline]
fn read<'a>(bytes: &mut &'a [u8]) -> Option<Staged<'a>> {
    let (hash, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    let class = u16::try_from(read_number(bytes)?).ok()?;
    let line = read_number(bytes)?;
    let details = read_number(bytes)?.wrapping_sub(1);
    let length = read_number(bytes)? as usize;
    let (name, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Staged { hash: u64::from_le_bytes(*hash), class, line, details, name })
}

fn part_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(number: u32, name: &str) -> Staged<'_> {
        let hash = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Staged { hash, class: 3, line: number, details: u32::MAX, name: name.as_bytes() }
    }

    #[test]
    fn names_come_back_part_by_part_in_order() {
        let names: Vec<String> = (0..50_000).map(|number| format!("name{number}.example")).collect();
        let mut stage = Stage::new();
        for (number, name) in (0..).zip(&names).take(30_000) {
            assert!(stage.push(&staged(number, name)));
        }
        let mark = stage.mark();
        for (number, name) in (30_000..).zip(&names[30_000..]) {
            assert!(stage.push(&staged(number, name)));
        }
        stage.back(&mark);
        assert_eq!(stage.len(), 30_000);
        let mut seen = 0;
        for part in 0..PARTS {
            let lines: Vec<u32> = stage.part(part).map(|staged| staged.line).collect();
            assert!(lines.is_sorted());
            for found in stage.part(part) {
                assert_eq!(found, staged(found.line, &names[found.line as usize]));
                assert_eq!(part_of(found.hash), part);
                seen += 1;
            }
        }
        assert_eq!(seen, 30_000);
        assert!(!stage.push(&staged(1, &"a".repeat(CHUNK))), "a record never spans chunks");
    }
}
