//! All cases that need more than one module, in one binary.

mod dns;
