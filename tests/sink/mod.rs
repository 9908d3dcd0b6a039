//! Outputs against real files, pipes and sockets.

mod ends;
mod files;
mod names;
mod network;
mod odd_files;
mod standard_output;
