//! The event of a document: what kind of thing happened, when, and how it went. Each schema has its own
//! names for these.

#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    pub action: &'static str,
    pub kind: Kind,
    pub categories: &'static [Category],
    pub types: &'static [Type],
    pub outcome: Option<Outcome>,
    /// 0 to 100, of the list or its entry.
    pub severity: Option<u8>,
    /// Nanoseconds.
    pub duration: Option<u64>,
    /// Nanoseconds since the Unix epoch, like `end`.
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub reason: Option<&'a str>,
    pub dataset: &'static str,
}

impl Event<'_> {
    /// An event without the parts that only some documents have.
    #[must_use]
    pub const fn new(action: &'static str, dataset: &'static str) -> Self {
        Self {
            action,
            kind: Kind::Event,
            categories: &[],
            types: &[],
            outcome: None,
            severity: None,
            duration: None,
            start: None,
            end: None,
            reason: None,
            dataset,
        }
    }

    /// Whether the event is, or ended in, a failure.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.types == [Type::Error] || self.outcome == Some(Outcome::Failure)
    }
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant,)+ }

        impl $name {
            pub const NAMES: &[&str] = &[$($text),+];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

names! {
    /// `event.kind`
    Kind { Event = "event", Alert = "alert", State = "state", Metric = "metric", }
}

names! {
    /// `event.category`
    Category {
        Network = "network",
        IntrusionDetection = "intrusion_detection",
        Configuration = "configuration",
    }
}

names! {
    /// `event.type`
    Type {
        Connection = "connection",
        Protocol = "protocol",
        Info = "info",
        Start = "start",
        End = "end",
        Error = "error",
        Change = "change",
    }
}

names! {
    /// `event.outcome`
    Outcome { Success = "success", Failure = "failure", Unknown = "unknown", }
}
