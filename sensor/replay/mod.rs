//! Captures (pcap, pcapng, gzip of either, `-` for standard input) as the events that the kernel
//! would have sent. What the packets mean is left to `pipeline`.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::event::{Event, Packet};
use crate::metrics::Metrics;

mod link;
mod pcap;
mod pcapng;
mod progress;
mod source;

use link::{Frame, Link};
use pcap::Pcap;
use pcapng::Pcapng;
pub use progress::Progress;
use source::Source;

/// A capture that is being read.
pub struct Capture {
    name: String,
    source: Source,
    format: Format,
    metrics: Arc<Metrics>,
    /// Bytes of the record that was lent out last.
    lent: usize,
    /// Of the last record that had a time.
    time: u64,
    frames: u64,
    /// Of link types that are not known: the first such, and the frames of all.
    unknown: Option<(u32, u64)>,
    ended: bool,
    progress: Option<Progress>,
    shown: u64,
}

/// Why a capture is not read, or not to its end. What came before the error is good.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("{name}: cannot be opened: {source}")]
    Open { name: String, source: io::Error },
    #[error("{name}: is no capture: it is neither pcap nor pcapng, nor one of these in gzip")]
    NotCapture { name: String },
    #[error("{name}: cannot be read from byte {offset} on, after {frames} frames: {source}")]
    Read { name: String, offset: u64, frames: u64, source: io::Error },
    /// The capture program was stopped, or the file is being copied.
    #[error("{name}: ends inside the record at byte {offset}; the {frames} frames before it were read")]
    Cut { name: String, offset: u64, frames: u64 },
    #[error("{name}: is damaged at byte {offset} ({what}); the {frames} frames before it were read")]
    Damaged { name: String, offset: u64, frames: u64, what: &'static str },
    #[error(
        "{name}: {frames} frames of link type {link_type} were passed over; \
         known are Ethernet, Linux cooked (SLL, SLL2), raw IP and BSD loopback"
    )]
    LinkType { name: String, link_type: u32, frames: u64 },
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// One captured frame.
#[derive(Debug)]
struct Record {
    /// Nanoseconds since the Unix epoch, where the record has a time.
    time: Option<u64>,
    link: Link,
    /// Bytes of the frame on the wire.
    original: u32,
    /// In the window of the source.
    frame: Range<usize>,
    /// Bytes of the whole record.
    size: usize,
}

/// What is wrong with a record; its place is added by [`Capture`].
#[derive(Debug)]
enum Problem {
    Read(io::Error),
    Cut,
    Damaged(&'static str),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        // How the gzip reader says that its file is cut.
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Cut } else { Self::Read(error) }
    }
}

impl Capture {
    /// Opens a capture; `-` is standard input. Offsets in errors are those of the uncompressed
    /// capture. Frames that end in their link-layer header are counted as `packet_malformed`.
    ///
    /// # Errors
    /// [`ReplayError::Open`], [`ReplayError::Read`], [`ReplayError::NotCapture`].
    pub fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self, ReplayError> {
        let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        let mut source = match Source::open(path) {
            Ok(source) => source,
            Err(source) => return Err(ReplayError::Open { name, source }),
        };
        let head = match source.peek(pcap::FILE_HEADER) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReplayError::NotCapture { name }),
            Err(source) => return Err(ReplayError::Read { name, offset: 0, frames: 0, source }),
        };
        let (format, header) = if Pcapng::is_section(head) {
            (Format::Pcapng(Pcapng::default()), 0)
        } else if let Some(pcap) = Pcap::new(head) {
            (Format::Pcap(pcap), pcap::FILE_HEADER)
        } else {
            return Err(ReplayError::NotCapture { name });
        };
        Ok(Self {
            name,
            source,
            format,
            metrics,
            lent: header,
            time: 0,
            frames: 0,
            unknown: None,
            ended: false,
            progress: None,
            shown: 0,
        })
    }

    /// The next IP packet; `None` at the end. A frame without a time (simple packet block) has
    /// that of the frame before it.
    ///
    /// # Errors
    /// The rest of the capture cannot be read, or not all of it was; said once, then `None`.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReplayError> {
        let (record, start) = loop {
            let Some(record) = self.next_record()? else {
                return Ok(None);
            };
            let frame = self.source.window().get(record.frame.clone()).unwrap_or_default();
            match record.link.strip(frame) {
                Frame::Ip(start) => break (record, start),
                Frame::Short => self.metrics.losses.packet_malformed.add(1),
                Frame::Other => {
                    if let Link::Unknown(number) = record.link {
                        self.unknown.get_or_insert((number, 0)).1 += 1;
                    }
                }
            }
        };
        let bytes = self.source.window().get(record.frame.start + start..record.frame.end).unwrap_or_default();
        let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let length = record.original.saturating_sub(u32::try_from(start).unwrap_or(0)).max(captured);
        Ok(Some(Event::Packet(Packet {
            time: self.time,
            direction: None,
            task: None,
            socket: 0,
            network_namespace: 0,
            length,
            bytes,
        })))
    }

    /// Gives every packet to `each`.
    ///
    /// # Errors
    /// As [`Self::next_event`].
    pub fn for_each(&mut self, mut each: impl FnMut(Event<'_>)) -> Result<(), ReplayError> {
        while let Some(event) = self.next_event()? {
            each(event);
        }
        Ok(())
    }

    /// Frames read so far, whatever they held.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes read so far of the file as it is (compressed or not), and how many it has; a pipe
    /// does not say.
    #[must_use]
    pub fn bytes_read(&self) -> (u64, Option<u64>) {
        self.source.progress()
    }

    /// Draws how far it is, if stderr is a terminal, until the capture is dropped.
    pub fn show_progress(&mut self) {
        let progress = Progress::new(&self.name, self.bytes_read().1);
        self.progress = (!progress.is_hidden()).then_some(progress);
    }

    fn next_record(&mut self) -> Result<Option<Record>, ReplayError> {
        if self.ended {
            return Ok(None);
        }
        match self.read_record() {
            Ok(Some(record)) => {
                self.frames += 1;
                self.time = record.time.unwrap_or(self.time);
                self.lent = record.size;
                if let Some(progress) = &self.progress {
                    let (read, _) = self.source.progress();
                    if read != self.shown {
                        self.shown = read;
                        progress.set(read);
                    }
                }
                Ok(Some(record))
            }
            Ok(None) => {
                self.ended = true;
                match self.unknown.take() {
                    None => Ok(None),
                    Some((link_type, frames)) => {
                        Err(ReplayError::LinkType { name: self.name.clone(), link_type, frames })
                    }
                }
            }
            Err(problem) => {
                self.ended = true;
                Err(self.placed(problem))
            }
        }
    }

    fn read_record(&mut self) -> Result<Option<Record>, Problem> {
        if !self.source.skip(std::mem::take(&mut self.lent) as u64)? {
            return Err(Problem::Cut);
        }
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.source),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.source),
        }
    }

    fn placed(&self, problem: Problem) -> ReplayError {
        let (name, offset, frames) = (self.name.clone(), self.source.offset(), self.frames);
        match problem {
            Problem::Read(source) => ReplayError::Read { name, offset, frames, source },
            Problem::Cut => ReplayError::Cut { name, offset, frames },
            Problem::Damaged(what) => ReplayError::Damaged { name, offset, frames, what },
        }
    }
}
