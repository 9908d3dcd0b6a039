//! All cases that need more than one module, in one binary.

mod bytes;
mod captures;
mod conformance;
mod dns;
mod documents;
mod formats;
mod kits;
mod layers;
mod layout;
mod live;
mod manual;
mod net;
mod outputs;
mod package;
mod pipeline;
mod readme;
mod rules;
