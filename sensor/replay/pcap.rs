//! Records of a pcap file: microseconds or nanoseconds, either byte order.

use pcap_parser::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};

use super::link::Link;
use super::source::Source;
use super::{Problem, Record};

/// Bytes of the header of a pcap file.
pub(super) const FILE_HEADER: usize = 24;
/// The low bits of the link type field are the link type; the bits above describe the frame check sequence.
const LINK_TYPE: u32 = 0xffff;

#[derive(Debug)]
pub(super) struct Pcap {
    link: Link,
    order: Order,
    nanoseconds: bool,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
    /// Little-endian, with eight more bytes in each record header (A. Kuznetzov's patched libpcap).
    Modified,
}

impl Pcap {
    /// `None`: these bytes are not the header of a pcap file.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let (_, header) = parse_pcap_header(bytes).ok()?;
        let order = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => Order::Modified,
            (false, true) => Order::Big,
            (false, false) => Order::Little,
        };
        let link = Link::new(header.network.0.cast_unsigned() & LINK_TYPE);
        Some(Self { link, order, nanoseconds: header.is_nanosecond_precision() })
    }

    /// The record at the place where `source` stands; `None` at the end.
    pub(super) fn next(&self, source: &mut Source) -> Result<Option<Record>, Problem> {
        if let Some(record) = self.record(source.window()) {
            return Ok(Some(record));
        }
        // The record is not whole in the window: fetch as many bytes as its header names.
        let header = self.header();
        let window = source.peek(header)?;
        if window.is_empty() {
            return Ok(None);
        }
        let length = window.get(8..12).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(Problem::Cut)?;
        let length = match self.order {
            Order::Big => u32::from_be_bytes(*length),
            Order::Little | Order::Modified => u32::from_le_bytes(*length),
        };
        let needed = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(header);
        if needed > super::source::BUFFER {
            return Err(Problem::Damaged("a frame longer than any network carries"));
        }
        let window = source.peek(needed)?;
        self.record(window).map(Some).ok_or(Problem::Cut)
    }

    fn header(&self) -> usize {
        match self.order {
            Order::Little | Order::Big => 16,
            Order::Modified => 24,
        }
    }

    fn record(&self, window: &[u8]) -> Option<Record> {
        let parse = match self.order {
            Order::Little => parse_pcap_frame,
            Order::Big => parse_pcap_frame_be,
            Order::Modified => parse_pcap_frame_modified,
        };
        let (_, LegacyPcapBlock { ts_sec, ts_usec, origlen, data, .. }) = parse(window).ok()?;
        let fraction = u64::from(ts_usec) * if self.nanoseconds { 1 } else { 1_000 };
        let size = self.header() + data.len();
        Some(Record {
            time: Some(u64::from(ts_sec) * 1_000_000_000 + fraction),
            link: self.link,
            original: origlen,
            frame: self.header()..size,
            size,
        })
    }
}
