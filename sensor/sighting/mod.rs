//! The kinds of sightings: a folder for each kind holds its documents and the state between them.

pub mod connection;
pub mod dns;
