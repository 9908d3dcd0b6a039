//! The kinds of sightings. A kind is a folder with its documents, its fields, and the state that it keeps from
//! one event to the next. Everything that lists all kinds is made by [`kinds!`] at the end of this file.

mod context;
mod flow;
mod route;

use crate::alert::Summary;
use crate::event;
use crate::event::program::Program;
use crate::field::{Action, Field};
use crate::metrics::Levels;
use crate::net::Framing;
use crate::observe::Observe;
use crate::schema::{self, Alert, Writer};

pub use context::{Context, Culprit};
pub use flow::{Flow, Marks, Side};
pub(crate) use route::{Packet, Routed};

/// A kind of sightings, with the state that it keeps from one event to the next.
pub trait Kind: Sized {
    /// The fields of its documents beside those that documents of all kinds share.
    const FIELDS: &'static [Field];
    /// The actions of its documents.
    const ACTIONS: &'static [Action];
    /// The programs of the kernel side that give it its sightings, beside those that all kinds need.
    const PROGRAMS: &'static [Program] = &[];
    /// Cuts the bytes of a TCP flow that the kind claims into messages.
    type Framing: Framing;
    /// Whether the kind is watched unless the user chooses others.
    const DEFAULT: bool = false;
    /// Other kinds that must see their sightings for this kind to work.
    const NEEDS: Watch = Watch::NONE;

    fn new(settings: &Settings, context: &Context) -> Self;

    /// Whether the packets of a flow are for this kind; `first` holds the payload of the packet at hand. The
    /// first kind in the order of [`kinds!`] that claims a flow gets it.
    fn claims(&self, _flow: &Flow, _first: &[u8], _context: &Context) -> bool {
        false
    }

    /// Takes one sighting, and emits the documents that follow from it.
    fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit);

    /// Emits documents that are due by their time. Called before each packet, so it must cost next to nothing.
    fn advance(&mut self, _now: u64, _context: &mut Context, _out: &mut dyn Emit) {}

    /// Publishes the sizes of its tables.
    fn publish(&self, _levels: &Levels) {}
}

/// A sighting before its bytes are read.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A datagram, or a message that the kind's framing cut from a TCP flow.
    Message { flow: &'a Flow, bytes: &'a [u8] },
    /// A change of state of a TCP connection.
    Connection(&'a event::Connection),
}

/// Settings that the user may change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The kinds that are emitted.
    pub watch: Watch,
    /// UDP and TCP ports that carry DNS.
    pub ports: Vec<u16>,
    /// The side of conversations that is emitted. A capture has only one.
    pub observe: Observe,
    /// Nanoseconds after which a query counts as not answered.
    pub timeout: u64,
    /// Nanoseconds in which one process raises one alert for one entry, and repeats are counted. With 0 each
    /// lookup raises its own alert.
    pub alert_window: u64,
}

impl Default for Settings {
    /// The default settings: DNS, multicast DNS and LLMNR; and the time after which the resolvers of glibc and musl,
    /// and `dig`, ask again (`timeout` in resolv.conf(5)), because no client waits for a later answer.
    fn default() -> Self {
        Self {
            watch: Watch::default(),
            ports: vec![53, 5353, 5355],
            observe: Observe::Clients,
            timeout: 5_000_000_000,
            alert_window: 0,
        }
    }
}

/// Takes documents, in their order.
pub trait Emit {
    /// `time`: nanoseconds since the Unix epoch.
    fn emit(&mut self, time: u64, document: Document<'_>);

    /// A second has passed since the last call. `culprits`: the processes to which losses since then are due.
    fn tick(&mut self, _now: u64, _culprits: &[Culprit]) {}
}

impl<F: FnMut(u64, Document<'_>)> Emit for F {
    fn emit(&mut self, time: u64, document: Document<'_>) {
        self(time, document);
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch(u32);

impl Watch {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u32::MAX);

    /// The kinds of the set, and the kinds that they need.
    #[must_use]
    fn with_needs(self) -> Self {
        let needed = Name::ALL.iter().filter(|kind| self.contains(**kind));
        needed.fold(self, |set, kind| Self(set.0 | kind.needs().0))
    }

    /// The programs of the kernel side that the kinds of the set need.
    #[must_use]
    pub fn programs(self) -> Vec<&'static Program> {
        let watch = self.with_needs();
        Name::ALL.iter().filter(|kind| watch.contains(**kind)).flat_map(|kind| kind.programs()).collect()
    }

    #[must_use]
    pub const fn with(self, kind: Name) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    #[must_use]
    pub const fn contains(self, kind: Name) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
}

impl Default for Watch {
    fn default() -> Self {
        Name::ALL.iter().filter(|kind| kind.is_default()).fold(Self::NONE, |set, kind| set.with(*kind))
    }
}

/// Makes everything that lists all kinds, from the names of their folders.
macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => { pastey::paste! {
        $(pub mod $kind;)+

        /// The name of a kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Name { $([<$kind:camel>],)+ }

        impl Name {
            pub const ALL: &'static [Self] = &[$(Self::[<$kind:camel>],)+];

            /// The name in `--watch`, and the end of `event.dataset`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::[<$kind:camel>] => stringify!($kind),)+ }
            }

            const fn is_default(self) -> bool {
                match self { $(Self::[<$kind:camel>] => <$kind::[<$kind:camel>] as Kind>::DEFAULT,)+ }
            }

            const fn needs(self) -> Watch {
                match self { $(Self::[<$kind:camel>] => <$kind::[<$kind:camel>] as Kind>::NEEDS,)+ }
            }

            /// The fields of the kind's documents.
            #[must_use]
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::[<$kind:camel>] => <$kind::[<$kind:camel>] as Kind>::FIELDS,)+ }
            }

            /// The actions of the kind's documents.
            #[must_use]
            pub const fn actions(self) -> &'static [Action] {
                match self { $(Self::[<$kind:camel>] => <$kind::[<$kind:camel>] as Kind>::ACTIONS,)+ }
            }

            /// The programs of the kernel side that the kind needs.
            #[must_use]
            pub const fn programs(self) -> &'static [Program] {
                match self { $(Self::[<$kind:camel>] => <$kind::[<$kind:camel>] as Kind>::PROGRAMS,)+ }
            }
        }

        /// The document of a sighting, or the summary of an alert's repeats.
        #[derive(Debug)]
        pub enum Document<'a> {
            $([<$kind:camel>]($kind::Document<'a>),)+
            Summary(Summary<'a>),
        }

        impl Document<'_> {
            /// The kind of the sighting. A summary has none.
            #[must_use]
            pub const fn kind(&self) -> Option<Name> {
                match self {
                    $(Self::[<$kind:camel>](_) => Some(Name::[<$kind:camel>]),)+
                    Self::Summary(_) => None,
                }
            }
        }

        /// A document with the report that stands where no sighting is described.
        #[derive(Debug)]
        pub enum Body<'a, R> {
            $([<$kind:camel>]($kind::Document<'a>),)+
            Report(R),
        }

        impl<'a> Document<'a> {
            /// The document, with a report in place of a summary.
            pub fn reported<R>(self, report: impl FnOnce(Summary<'a>) -> R) -> Body<'a, R> {
                match self {
                    $(Self::[<$kind:camel>](document) => Body::[<$kind:camel>](document),)+
                    Self::Summary(summary) => Body::Report(report(summary)),
                }
            }
        }

        impl<R: schema::Document> Body<'_, R> {
            /// Appends the document as one line.
            pub fn write(&self, writer: &mut Writer, time: u64, sequence: u64, line: &mut Vec<u8>) {
                match self {
                    $(Self::[<$kind:camel>](document) => writer.write(time, sequence, document, line),)+
                    Self::Report(report) => writer.write(time, sequence, report, line),
                }
            }

            /// The alert that the sighting raises.
            pub fn alert(&self) -> Option<Alert> {
                match self {
                    $(Self::[<$kind:camel>](document) => schema::Document::alert(document),)+
                    Self::Report(report) => report.alert(),
                }
            }
        }

        /// The state of all kinds that are watched.
        #[derive(Debug)]
        pub(crate) struct Kinds {
            $($kind: Option<route::Route<$kind::[<$kind:camel>]>>,)+
        }

        impl Kinds {
            pub(crate) fn new(settings: &Settings, context: &Context) -> Self {
                let watch = settings.watch.with_needs();
                Self {
                    $($kind: watch.contains(Name::[<$kind:camel>])
                        .then(|| route::Route::new(settings, context)),)+
                }
            }

            /// Gives a packet to the first kind that claims it.
            pub(crate) fn packet(
                &mut self,
                packet: &Packet<'_>,
                context: &mut Context,
                out: &mut dyn Emit,
            ) -> Routed {
                $(if let Some(kind) = &mut self.$kind
                    && let Some(routed) = kind.packet(packet, context, out)
                {
                    return routed;
                })+
                Routed::Unclaimed
            }

            /// Gives an event that is no packet to all kinds.
            pub(crate) fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit) {
                $(if let Some(kind) = &mut self.$kind {
                    kind.see(seen, context, out);
                })+
            }

            pub(crate) fn advance(&mut self, now: u64, context: &mut Context, out: &mut dyn Emit) {
                $(if let Some(kind) = &mut self.$kind {
                    kind.advance(now, context, out);
                })+
            }

            pub(crate) fn publish(&self, levels: &Levels) {
                $(if let Some(kind) = &self.$kind {
                    kind.publish(levels);
                })+
            }

            /// Hands out the messages behind gaps that will not be filled any more.
            pub(crate) fn sweep(&mut self, now: u64, captured: bool, context: &mut Context, out: &mut dyn Emit) {
                $(if let Some(kind) = &mut self.$kind {
                    kind.sweep(now, captured, context, out);
                })+
            }

            /// Hands out the messages behind any gap: no more packets follow.
            pub(crate) fn finish(&mut self, now: u64, captured: bool, context: &mut Context, out: &mut dyn Emit) {
                $(if let Some(kind) = &mut self.$kind {
                    kind.finish(now, captured, context, out);
                })+
            }
        }
    }};
}

kinds! { dns, connection }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_a_kind_are_taken_only_where_it_is_watched_or_needed() {
        let names = |watch: Watch| watch.programs().iter().map(|program| program.name).collect::<Vec<_>>();
        assert!(!names(Watch::NONE.with(Name::Dns)).contains(&"connection_state"));
        for watch in [Watch::default(), Watch::NONE.with(Name::Connection)] {
            assert!(names(watch).contains(&"connection_state"), "{watch:?}");
            assert!(names(watch).contains(&"cgroup_egress"), "connections need the answers: {watch:?}");
        }
        assert!(names(Watch::NONE).is_empty());
    }
}
