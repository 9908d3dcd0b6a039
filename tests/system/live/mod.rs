//! The sensor live: real programs look names up on this very kernel, and the documents are held
//! against what is known of them. Every test here needs root, is named `live_…`, and fails, never
//! skips, where something is missing.
//!
//! These variables steer a run from outside (an emulated guest, a forced way in):
//! `DNSTRAIL_HOOKS` is given to `--hooks`, `DNSTRAIL_SLOWNESS` multiplies every deadline,
//! `DNSTRAIL_PROGRAM` is the sensor and `DNSTRAIL_CLIENTS` the folder of the built clients, where
//! they are not those of this build.

mod clients;
mod documents;
mod lab;
mod sensor;
mod servers;

mod answers;
mod connections;
mod difference;
mod disguises;
mod ending;
mod evasions;
mod hostile;
mod hostile_processes;
mod lacks;
mod lists;
mod load;
mod metrics;
mod names;
mod nat;
mod newcomer;
mod parity;
mod processes;
mod selection;
mod separation;
mod storm;
mod transports;
