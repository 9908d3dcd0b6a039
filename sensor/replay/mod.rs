//! Captures (pcap, pcapng, gzip of either, `-` for standard input) as the events that the kernel would have
//! sent. The meaning of the packets is left to `pipeline`.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::event::{Event, Packet};
use crate::metrics::Metrics;

mod clock;
mod ether;
mod frame;
mod link;
mod pcap;
mod pcapng;
mod progress;
mod source;
mod tunnel;
mod wireless;

use clock::{Clock, Held, Verdict};
use frame::Frame;
use link::Link;
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
    clock: Clock,
    /// A frame that the clock held, while it is lent out.
    held: Held,
    frames: u64,
    /// The first unknown link type, and the frames of all unknown ones.
    unknown: Option<(u32, u64)>,
    ended: bool,
    /// The error at the end, while the clock still holds frames before it.
    failure: Option<ReplayError>,
    progress: Option<Progress>,
    shown: u64,
}

/// A capture that is not read, or not to its end. The frames before the error are good.
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
         convert the capture, or capture on Ethernet, Linux cooked (SLL, SLL2), 802.11, PPP, PKTAP or raw IP"
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
    /// The place of the frame in the window of the source.
    frame: Range<usize>,
    /// Bytes of the whole record.
    size: usize,
}

/// An IP packet in a frame.
#[derive(Debug)]
struct Found {
    /// Nanoseconds since the Unix epoch.
    time: u64,
    /// Bytes on the wire, from the IP header on.
    length: u32,
    /// The place of the packet in the window of the source; `None` for a packet that was held.
    place: Option<Range<usize>>,
}

/// A problem with a record; [`Capture`] adds the place.
#[derive(Debug)]
enum Problem {
    Read(io::Error),
    Cut,
    Damaged(&'static str),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        // The gzip reader's error for a file that is cut.
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Cut } else { Self::Read(error) }
    }
}

impl Capture {
    /// Opens a capture; `-` is standard input. Offsets in errors are those of the uncompressed
    /// capture. Frames that end in their link-layer header are counted as `packet_malformed`, frames that may
    /// carry IP in a way that is not read as `frame_unread`, and times set right as `frame_time`.
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
            clock: Clock::default(),
            held: Held::default(),
            frames: 0,
            unknown: None,
            ended: false,
            failure: None,
            progress: None,
            shown: 0,
        })
    }

    /// The next IP packet; `None` at the end. A frame without a time (simple packet block) has that of the
    /// frame before it, and so has one whose time no other frame agrees with.
    ///
    /// # Errors
    /// The rest of the capture cannot be read, or not all of it was; returned once, then `None`.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, ReplayError> {
        let Some(found) = self.settled()? else { return Ok(None) };
        let bytes = match found.place {
            Some(place) => self.source.window().get(place).unwrap_or_default(),
            None => &self.held.bytes,
        };
        Ok(Some(Event::Packet(Packet {
            time: found.time,
            direction: None,
            task: None,
            socket: 0,
            network_namespace: 0,
            length: found.length,
            bytes,
            ..Packet::default()
        })))
    }

    /// The time of the capture: nanoseconds since the Unix epoch, up to which everything was read.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The next packet whose time is settled. Without a place it is the held one.
    fn settled(&mut self) -> Result<Option<Found>, ReplayError> {
        loop {
            if let Some(held) = self.clock.take() {
                self.held = held;
                return Ok(Some(Found { time: self.held.time, length: self.held.length, place: None }));
            }
            let found = match self.next_packet() {
                Ok(Some(found)) => found,
                Ok(None) if self.clock.finish() => continue,
                Ok(None) => return self.failure.take().map_or(Ok(None), Err),
                Err(error) if self.clock.finish() => {
                    self.failure = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.clock.judge(found.time) == Verdict::Good {
                return Ok(Some(found));
            }
            let bytes = found.place.and_then(|place| self.source.window().get(place)).unwrap_or_default().to_vec();
            let wrong = self.clock.hold(Held { time: found.time, length: found.length, bytes });
            self.metrics.losses.frame_time.add(wrong);
        }
    }

    /// The next frame that carries an IP packet.
    fn next_packet(&mut self) -> Result<Option<Found>, ReplayError> {
        while let Some(record) = self.next_record()? {
            let frame = self.source.window().get(record.frame.clone()).unwrap_or_default();
            let content = match record.link.strip(frame) {
                Frame::Ip(start) => tunnel::innermost(frame, start),
                other => other,
            };
            match content {
                Frame::Ip(start) => {
                    let place = record.frame.start + start..record.frame.end;
                    let captured = u32::try_from(place.len()).unwrap_or(u32::MAX);
                    let length = record.original.saturating_sub(u32::try_from(start).unwrap_or(0)).max(captured);
                    let time = record.time.unwrap_or_else(|| self.clock.last());
                    return Ok(Some(Found { time, length, place: Some(place) }));
                }
                Frame::Short => self.metrics.losses.packet_malformed.add(1),
                Frame::Unread => {
                    self.metrics.losses.frame_unread.add(1);
                    if let Link::Unknown(number) = record.link {
                        self.unknown.get_or_insert((number, 0)).1 += 1;
                    }
                }
                Frame::Other => {}
            }
        }
        Ok(None)
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

    /// Frames read so far, of every content.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes read so far of the file as it is (compressed or not), and how many it has; unknown of a pipe.
    #[must_use]
    pub fn bytes_read(&self) -> (u64, Option<u64>) {
        self.source.progress()
    }

    /// Draws the progress, if stderr is a terminal, until the capture is dropped.
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
