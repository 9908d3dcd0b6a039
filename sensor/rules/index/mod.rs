//! The entries of all lists in a compact, read-only form: names are found by suffix, addresses by prefix.
//! Which list an entry belongs to and what a match means is left to `set`.
//!
//! | module | is for |
//! |---|---|
//! | `compile` | entries in the order they are read, and the read-only form made of them |
//! | `names` | names, found by suffix |
//! | `hash` | the hash of every suffix of a name |
//! | `networks` | addresses and ranges, found by prefix |
//! | `details` | what lists say about single entries |
//! | `memory` | memory for the large parts |

pub(super) mod compile;
pub(super) mod details;
pub(super) mod hash;
mod memory;
pub(super) mod names;
pub(super) mod networks;
