//! All cases that need more than one module, in one binary.

mod bytes;
mod captures;
mod dns;
mod layout;
mod outputs;
mod packets;
mod pipeline;
mod streams;
