//! All cases that need more than one module, in one binary.

mod bytes;
mod captures;
mod dns;
mod layers;
mod layout;
mod live;
mod outputs;
mod package;
mod packets;
mod pipeline;
mod streams;
