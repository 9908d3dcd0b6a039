

mod bytes;
mod packets;
mod streams;
