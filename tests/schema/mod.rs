//! The documents as lines: golden ones for each occurrence, what is cut, and what hostile text
//! cannot do.

pub mod allocations;
mod conformance;
mod cuts;
mod documents;
mod fields;
mod formats;
mod generated;
mod hostile;
