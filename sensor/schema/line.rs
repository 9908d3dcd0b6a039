//! A line that is being written, and the documents that write it.

use std::rc::Rc;

use super::images::Images;
use super::limits::Limits;
use crate::json::Json;
use crate::process::Process;

/// The names and shapes of a line's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Elastic Common Schema.
    Ecs,
    /// Common Information Model of Splunk.
    SplunkCim,
    /// Open Cybersecurity Schema Framework 1.x.
    Ocsf,
}

/// A document that each schema has its fields for. The fields that every line has (host, agent, versions)
/// are written by [`Writer`](super::Writer).
pub trait Document {
    fn ecs(&self, line: &mut Line<'_>);
    fn cim(&self, line: &mut Line<'_>);
    fn ocsf(&self, line: &mut Line<'_>);

    /// The alert that the document raises.
    fn alert(&self) -> Option<Alert> {
        None
    }
}

/// An alert, as the priority of a line goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// The highest severity of the entries that match, where they have one.
    pub severity: Option<u8>,
}

/// A line that is being written.
#[derive(Debug)]
pub struct Line<'a> {
    pub json: Json<'a>,
    pub limits: Limits,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub sequence: u64,
    schema: Schema,
    images: &'a mut Images,
}

impl<'a> Line<'a> {
    pub(super) fn new(
        json: Json<'a>,
        limits: Limits,
        (time, sequence): (u64, u64),
        schema: Schema,
        images: &'a mut Images,
    ) -> Self {
        Self { json, limits, time, sequence, schema, images }
    }

    /// Writes the fields of an image: those of `before`, then what `between` adds for this document, then
    /// those of `after`. They are copied where the line of an earlier document had them. `form` is the schema of
    /// these fields: where it is not that of the line, they are written anew.
    #[inline]
    pub fn image(
        &mut self,
        form: Schema,
        image: &Rc<Process>,
        before: impl FnOnce(&mut Json<'_>, &Process, Limits),
        between: impl FnOnce(&mut Json<'_>),
        after: impl FnOnce(&mut Json<'_>, &Process, Limits),
    ) {
        let Self { json, limits, schema, images, .. } = self;
        if *schema != form {
            before(json, image, *limits);
            between(json);
            return after(json, image, *limits);
        }
        if let Some(fields) = images.get(image, *limits) {
            json.fields(fields.0);
            between(json);
            json.fields(fields.1);
            return;
        }
        let cuts = json.cuts().fields().len();
        let start = json.position();
        before(json, image, *limits);
        let middle = json.position();
        between(json);
        let rest = json.position();
        after(json, image, *limits);
        if json.cuts().fields().len() == cuts {
            let (before, after) = (json.range(start..middle), json.range(rest..json.position()));
            images.keep(image, (before, after));
        }
    }
}
