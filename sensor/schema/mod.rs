//! The schemas of a line: the Elastic Common Schema, Splunk's Common Information Model and OCSF. Here are the
//! parts that all kinds of documents share, the limits of a line, and the writer. The parts of one kind stand
//! in its folder below `sighting`, and those of the sensor's own reports in `journal`. Each document is
//! written from the model, in one pass.

mod agent;
pub mod cim;
mod community_id;
pub mod ecs;
pub mod event;
mod images;
mod limits;
mod line;
pub mod ocsf;
mod writer;

pub use agent::Agent;
pub use event::Event;
pub use limits::{DEFAULT_LINE, LONGEST_LINE, Limits, SHORTEST_LINE};
pub use line::{Alert, Document, Line, Schema};
pub use writer::Writer;
