//! Packets of every shape, fragments, and TCP segments put in order.

mod packets;
mod streams;
