//! A line as outputs see it: bytes, and the few facts that decide who takes it.

/// One document, as outputs see it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The document in `format`; one newline, at the end.
    pub bytes: &'a [u8],
    pub format: Format,
    pub kind: Kind,
    /// `event.severity`, 0 to 100, where a rule gave one.
    pub severity: Option<u8>,
    /// The time of the document in nanoseconds since the Unix epoch.
    pub time: u64,
}

/// `event.kind` of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Event,
    Alert,
    State,
    Metric,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Event, Kind::Alert, Kind::State, Kind::Metric];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Alert => "alert",
            Kind::State => "state",
            Kind::Metric => "metric",
        }
    }
}

/// A set of [`Kind`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    pub const ALL: Kinds = Kinds(0b1111);

    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Kinds(self.0 | 1 << kind as u8)
    }

    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ecs,
    SplunkCim,
    Ocsf,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Ecs, Format::SplunkCim, Format::Ocsf];
}
