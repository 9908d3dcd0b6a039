//! `event.*`: what kind of thing happened, when, and how it went.

use serde::Serialize;

use super::time::Instant;

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Event<'a> {
    pub sequence: u64,
    pub kind: Kind,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub category: &'static [Category],
    pub r#type: &'static [Type],
    pub action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// 0 to 100, of the list or its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    pub module: &'static str,
    pub dataset: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Event,
    Alert,
    State,
    Metric,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Category {
    Network,
    IntrusionDetection,
    Configuration,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Type {
    Connection,
    Protocol,
    Info,
    Start,
    End,
    Error,
    Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Success,
    Failure,
    Unknown,
}

pub(super) const MODULE: &str = "dnstrail";

impl Event<'_> {
    /// Without what only some documents say.
    pub(super) fn new(sequence: u64, action: &'static str, dataset: &'static str) -> Self {
        Self {
            sequence,
            kind: Kind::Event,
            category: &[],
            r#type: &[],
            action,
            outcome: None,
            severity: None,
            duration: None,
            start: None,
            end: None,
            reason: None,
            module: MODULE,
            dataset,
        }
    }
}
