//! The one integration binary: each module tests one promise from outside.

mod bytes;
mod dns;
mod layers;
mod layout;
mod live;
mod packets;
mod pipeline;
mod streams;
