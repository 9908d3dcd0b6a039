//! Every count that the sensor keeps, by name. The stream, `--metrics` and the commands show them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that only grows, or a level that is set. Written by the one loop, read by others.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, amount: u64) {
        // One writer: a load and a store are enough, and cheaper than a locked add.
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Makes the struct, and the list of its fields by name with what each means.
macro_rules! counts {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $help:literal])+ $field:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name { $($(#[doc = $help])+ pub $field: Count,)+ }

        impl $name {
            /// Name, meaning and value of each.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($field), concat!($($help),+).trim_ascii_start(), self.$field.get())),+].into_iter()
            }
        }
    };
}

counts! {
    /// Traffic that was processed.
    Traffic {
        /// Packets read from the ring or a capture.
        packets,
        /// Bytes of those packets.
        packet_bytes,
        /// DNS messages decoded, whole or in part.
        messages,
        /// DNS messages of which only a part could be read.
        messages_malformed,
        /// Payloads on a DNS port that are no DNS message.
        messages_unreadable,
        /// Lines given to the outputs.
        documents,
        /// Documents that are alerts, their summaries not counted.
        alerts,
        /// Matches that were no alert, since their process had raised it within the alert window.
        alert_repeats,
        /// Connections to addresses that a listed name resolved to, opened or failed.
        connections,
    }
}

counts! {
    /// Losses by place. Each count reaches the stream as `dnstrail.loss.<name>`.
    Losses {
        /// Packet records that the kernel's ring had no space for.
        kernel_packet_ring,
        /// Process, fork and exit records that the kernel's ring had no space for.
        kernel_process_ring,
        /// Packets whose bytes the kernel side could not read.
        kernel_packet_read,
        /// Packets longer than a record holds, whose tail was lost.
        kernel_packet_cut,
        /// Connection records that the kernel's ring had no space for.
        kernel_connection_ring,
        /// Connections that the kernel side had no space to follow; each may have been to a listed address, or not.
        kernel_connection_table,
        /// Packets of TCP connections that were muted, because they were joined half-way and did not look like DNS.
        kernel_packet_muted,
        /// Packets of processes that sent more than their share while the ring was filling; the others are sampled.
        kernel_packet_budget,
        /// Sockets that the kernel side had no space to remember: the process that asked by one is not known.
        kernel_socket_table,
        /// Runs of the probe of connections that the kernel skipped while an address was watched. Each may have
        /// been a change of state of a connection to it, or of any other.
        kernel_connection_skipped,
        /// Runs of a probe that the kernel skipped, because one of the same probe was under way on that
        /// processor (only where no cgroup v2 is mounted). Each may have been a DNS message, or none.
        kernel_probe_skipped,
        /// Ring records that do not decode.
        record_invalid,
        /// Facts that hold by construction and did not: a fault of the sensor, after which a document may be wrong.
        invariant_broken,
        /// Packets left in the ring because the sensor had to end.
        packet_abandoned,
        /// Packets that are not IPv4 or IPv6 with a readable TCP or UDP header.
        packet_malformed,
        /// Frames of a capture that may carry IP in a way that is not read: an unknown link type or protocol, or
        /// encryption.
        frame_unread,
        /// Frames of a capture whose time lay far from that of the frames around them; they have the time of the
        /// frame before them.
        frame_time,
        /// Datagrams given up with fragments missing, or for lack of space.
        fragments_expired,
        /// TCP bytes that were never seen (a gap) or could not be framed.
        stream_bytes,
        /// TCP streams given up for lack of space.
        stream_evicted,
        /// Payloads on a DNS port that are no DNS message, and have no document either: their process had sent
        /// more of them than it may have documents in a second.
        message_invalid,
        /// Unanswered queries forgotten before their timeout for lack of space.
        transaction_evicted,
        /// Matches that queries could not remember for lack of space: the answer raises another alert.
        label_evicted,
        /// Process images that queries could not keep for lack of space: an answer that comes long after the end of
        /// its process may lack it.
        query_image_evicted,
        /// Alert windows that ended early for lack of space.
        window_evicted,
        /// Processes forgotten for lack of space.
        process_evicted,
        /// Processes of which only the beginning of the arguments was kept, for lack of space.
        process_arguments_cut,
        /// Readings of `/proc` that gave no answer in time, so that arguments or names of users are missing.
        process_unread,
        /// Messages and connections whose process the kernel named, but whose record was lost or forgotten.
        process_unknown,
        /// Addresses of listed names that are watched no more for lack of space: connections to them are missed.
        watch_evicted,
        /// Open connections to listed addresses forgotten for lack of space: their end is not emitted.
        connection_evicted,
        /// Documents that an output did not take.
        output_dropped,
        /// Documents that an output's receiver may not have read: its connection was reset.
        output_uncertain,
    }
}

counts! {
    /// Sizes of tables at the last look.
    Levels {
        /// Process images of live processes.
        processes_live,
        /// Process images of processes that are gone, kept for answers on their way.
        processes_retired,
        /// Queries without an answer yet.
        transactions_waiting,
        /// Queries kept after their answer or timeout.
        transactions_settled,
        /// Addresses of listed names that are watched.
        watched_addresses,
        /// Bytes of the fields of process images that are kept as lines have them.
        image_cache_bytes,
        /// 1 while a part of the kernel side sees nothing, else 0.
        blind,
    }
}

/// Bytes of the tables that other programs can fill, unless the user chooses another number (`--memory`).
pub const MEMORY: usize = 192 << 20;

/// A table that other programs can fill.
#[derive(Debug)]
pub struct Table {
    level: Count,
    bound: usize,
}

impl Table {
    /// The most bytes that the table may hold.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// Publishes the bytes that the table holds.
    pub fn set(&self, bytes: usize) {
        self.level.set(bytes as u64);
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        usize::try_from(self.level.get()).unwrap_or(usize::MAX)
    }
}

/// Makes the struct of all tables, each with its share of the memory in parts of [`PARTS`].
macro_rules! tables {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $help:literal])+ $field:ident = $parts:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name { $($(#[doc = $help])+ pub $field: Table,)+ }

        impl $name {
            /// Shares `bytes` out.
            fn of(bytes: usize) -> Self {
                const { assert!(0 $(+ $parts)+ == PARTS) };
                let bytes = bytes.saturating_sub(OWN);
                Self { $($field: Table { level: Count::default(), bound: bytes / PARTS * $parts },)+ }
            }

            /// Name, meaning and table of each.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, &Table)> {
                [$((stringify!($field), concat!($($help),+).trim_ascii_start(), &self.$field)),+].into_iter()
            }
        }
    };
}

/// Bytes of no table: the program, lines in the making, and memory that the allocator cannot give out again.
const OWN: usize = 12 << 20;

/// The parts that the tables have: mebibytes, where the memory is [`MEMORY`].
const PARTS: usize = 180;

tables! {
    /// The tables that other programs can fill, in bytes.
    Memory {
        /// Process images with their arguments.
        processes = 60,
        /// Queries, from their sighting until their answers are no longer awaited.
        queries = 34,
        /// Matches that queries remember.
        labels = 10,
        /// Process images that queries keep.
        query_images = 22,
        /// Open alert windows, with the process images that they keep.
        windows = 8,
        /// Watched addresses of listed names, with their matches.
        watched = 8,
        /// Open connections to listed addresses, with the process images that they keep.
        connections = 10,
        /// TCP streams: incomplete messages, and segments behind a gap.
        streams = 24,
        /// Incomplete datagrams.
        fragments = 4,
    }
}

/// All counts of one sensor.
#[derive(Debug)]
pub struct Metrics {
    pub traffic: Traffic,
    pub losses: Losses,
    pub levels: Levels,
    pub memory: Memory,
}

impl Metrics {
    /// `memory`: bytes of the tables that other programs can fill.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        let (traffic, losses, levels) = (Traffic::default(), Losses::default(), Levels::default());
        Self { traffic, losses, levels, memory: Memory::of(memory) }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(MEMORY)
    }
}
