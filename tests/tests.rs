//! The one integration binary: each module tests one promise from outside.

mod bytes;
mod captures;
mod dns;
mod layers;
mod layout;
mod live;
mod outputs;
mod packets;
mod pipeline;
mod streams;
