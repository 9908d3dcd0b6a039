//! Our own lines read back. `lines` takes them from files within bounds, `document` gives them their types,
//! `indicator` is what a person looks for, and `trail` relates one to the other; `step` writes a result.

mod document;
mod indicator;
mod lines;
mod moment;
mod step;
mod trail;

pub use document::{Document, Refusal};
pub use indicator::{Indicator, IndicatorError};
pub use lines::{LONGEST_LINE, Lines, ViewError};
pub use moment::Moment;
pub use trail::first_time;
pub use trail::{Found, Summary, Trail, TrailError};

#[cfg(test)]
mod tests;
