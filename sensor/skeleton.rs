//! The kernel object and its record types, as `build.rs` generates them from `probes/`.
#![allow(clippy::all, clippy::pedantic, missing_docs, unsafe_code, dead_code, non_camel_case_types)]

include!(concat!(env!("OUT_DIR"), "/dnstrail.skel.rs"));
