//! The kits of schemas/.
