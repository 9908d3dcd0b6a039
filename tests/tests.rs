mod bytes;
mod captures;
mod packets;
mod streams;
