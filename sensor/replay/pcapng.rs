//! Blocks of a pcapng file (draft-ietf-opsawg-pcapng): sections in either byte order, interfaces
//! with their own time resolution, and the three kinds of packet block. Other blocks of any size are
//! passed over.
//!
//! Packet blocks are read here rather than by the `pcap-parser` crate, which collects the options
//! of each into a list, does not know the obsolete packet block, and reads the time offset of a
//! big-endian section wrongly.

use pcap_parser::{
    InterfaceDescriptionBlock, OptionCode, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_sectionheaderblock,
};

use super::link::Link;
use super::source::{BUFFER, Source};
use super::{Problem, Record};

/// Interfaces of one section. A host has some, and a file that has nothing else must not fill the memory.
const INTERFACES: usize = 65_536;
/// Type and length before a block's body, and the length once more behind it.
const BLOCK_HEADER: usize = 8;
const BLOCK_TRAILER: usize = 4;
/// Up to the byte-order magic of a section header.
pub(super) const FILE_HEADER: usize = 12;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Link,
    /// Bytes captured of each frame; 0 means no limit.
    snap_length: u32,
    /// Units of time stamps in one second.
    resolution: u64,
    /// Seconds to be added.
    offset: i64,
}

impl Pcapng {
    /// Whether these bytes begin a section header.
    pub(super) fn is_section(bytes: &[u8]) -> bool {
        matches!(bytes, [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x1a, 0x2b, 0x3c, 0x4d, ..])
            || matches!(bytes, [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a, ..])
    }

    /// The next packet; `source` is moved to its block. `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Option<Record>, Problem> {
        loop {
            let window = source.peek(FILE_HEADER)?;
            if window.is_empty() {
                return Ok(None);
            }
            if window.len() < FILE_HEADER {
                return Err(Problem::Cut);
            }
            if Self::is_section(window) {
                self.big_endian = window.get(8) == Some(&0x1a);
            }
            let kind = self.u32(window, 0)?;
            let length = self.u32(window, 4)?;
            let size = usize::try_from(length).unwrap_or(usize::MAX);
            if size < BLOCK_HEADER + BLOCK_TRAILER || !size.is_multiple_of(4) {
                return Err(Problem::Damaged("a block length that is impossible"));
            }
            if matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
                if size > BUFFER {
                    return Err(Problem::Damaged("a frame longer than any network carries"));
                }
                let block = source.peek(size)?.get(..size).ok_or(Problem::Cut)?;
                if self.u32(block, size - BLOCK_TRAILER)? != length {
                    return Err(Problem::Damaged("a block whose two lengths differ"));
                }
                if let Some(record) = self.block(kind, block)? {
                    return Ok(Some(record));
                }
            }
            if !source.skip(u64::from(length))? {
                return Err(Problem::Cut);
            }
        }
    }

    fn block(&mut self, kind: u32, block: &[u8]) -> Result<Option<Record>, Problem> {
        match kind {
            SECTION => {
                let (_, section) =
                    parse_sectionheaderblock(block).map_err(|_| Problem::Damaged("an unreadable section header"))?;
                if section.major_version != 1 {
                    return Err(Problem::Damaged("a version of pcapng that is not 1"));
                }
                self.interfaces.clear();
                Ok(None)
            }
            INTERFACE => {
                if self.interfaces.len() >= INTERFACES {
                    return Err(Problem::Damaged("more interfaces than a host can have"));
                }
                let interface = self.interface(block)?;
                self.interfaces.push(interface);
                Ok(None)
            }
            SIMPLE_PACKET => {
                let interface = self.described(0)?;
                let original = self.u32(block, BLOCK_HEADER)?;
                let limit = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
                let start = BLOCK_HEADER + 4;
                let room = block.len() - start - BLOCK_TRAILER;
                let captured = usize::try_from(original.min(limit)).unwrap_or(usize::MAX).min(room);
                let frame = start..start + captured;
                Ok(Some(Record { time: None, link: interface.link, original, frame, size: block.len() }))
            }
            _ => self.packet(kind, block).map(Some),
        }
    }

    /// The enhanced packet block, and the obsolete one, whose interface is a `u16`.
    fn packet(&self, kind: u32, block: &[u8]) -> Result<Record, Problem> {
        let number = match (kind, self.u32(block, 8)?) {
            (PACKET, both) if self.big_endian => both >> 16,
            (PACKET, both) => both & 0xffff,
            (_, number) => number,
        };
        let interface = self.described(number)?;
        let units = u64::from(self.u32(block, 12)?) << 32 | u64::from(self.u32(block, 16)?);
        let captured = usize::try_from(self.u32(block, 20)?).unwrap_or(usize::MAX);
        let original = self.u32(block, 24)?;
        let frame = 28..captured.saturating_add(28);
        if frame.end > block.len() - BLOCK_TRAILER {
            return Err(Problem::Damaged("a frame longer than its block"));
        }
        Ok(Record { time: Some(interface.time(units)), link: interface.link, original, frame, size: block.len() })
    }

    fn interface(&self, block: &[u8]) -> Result<Interface, Problem> {
        let parsed = if self.big_endian {
            parse_interfacedescriptionblock_be(block)
        } else {
            parse_interfacedescriptionblock_le(block)
        };
        let (_, InterfaceDescriptionBlock { linktype, snaplen, options, if_tsresol, .. }) =
            parsed.map_err(|_| Problem::Damaged("an unreadable interface description"))?;
        let offset = options.iter().find(|option| option.code == OptionCode::IfTsoffset);
        let offset = offset
            .and_then(|option| option.value.first_chunk::<8>())
            .map_or(0, |bytes| if self.big_endian { i64::from_be_bytes(*bytes) } else { i64::from_le_bytes(*bytes) });
        let power = u32::from(if_tsresol & 0x7f);
        let resolution = if if_tsresol & 0x80 == 0 { 10u64.checked_pow(power) } else { 1u64.checked_shl(power) };
        Ok(Interface {
            link: Link::new(linktype.0.cast_unsigned()),
            snap_length: snaplen,
            resolution: resolution.ok_or(Problem::Damaged("a time resolution that is impossible"))?,
            offset,
        })
    }

    fn described(&self, number: u32) -> Result<Interface, Problem> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.interfaces.get(index).copied().ok_or(Problem::Damaged("a frame of an interface that is not described"))
    }

    fn u32(&self, bytes: &[u8], place: usize) -> Result<u32, Problem> {
        let bytes = bytes.get(place..).and_then(|bytes| bytes.first_chunk::<4>());
        let bytes = bytes.ok_or(Problem::Damaged("a block too short for its kind"))?;
        Ok(if self.big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) })
    }
}

impl Interface {
    /// Nanoseconds since the Unix epoch. Times before it, or after 2554, become the nearest that fits.
    fn time(&self, units: u64) -> u64 {
        const NANOSECONDS: u64 = 1_000_000_000;
        let nanoseconds = if NANOSECONDS.is_multiple_of(self.resolution) {
            i128::from(units) * i128::from(NANOSECONDS / self.resolution)
        } else {
            i128::from(units) * i128::from(NANOSECONDS) / i128::from(self.resolution)
        };
        let nanoseconds = nanoseconds + i128::from(self.offset) * i128::from(NANOSECONDS);
        u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)
    }
}
