//! The one integration binary: each module tests one promise from outside.

mod layers;
mod layout;
mod live;
