//! The outputs against real files, pipes and sockets.

mod files;
mod network;
mod standard_output;
