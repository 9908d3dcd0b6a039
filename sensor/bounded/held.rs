//! The heap bytes behind a value, for tables that are bounded in bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

/// The heap bytes that a value keeps from being freed, besides its own `size_of`.
pub trait Held {
    fn held(&self) -> usize;
}

/// Values without a heap.
macro_rules! none {
    ($($kind:ty),*) => {
        $(impl Held for $kind {
            fn held(&self) -> usize {
                0
            }
        })*
    };
}

none!((), bool, u8, u16, u32, u64, u128, usize, i64, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, &'static str);

impl Held for String {
    fn held(&self) -> usize {
        self.capacity()
    }
}

impl Held for Box<str> {
    fn held(&self) -> usize {
        self.len()
    }
}

impl<T: Held> Held for Vec<T> {
    fn held(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Held::held).sum::<usize>()
    }
}

impl<T: Held> Held for Box<T> {
    fn held(&self) -> usize {
        size_of::<T>() + (**self).held()
    }
}

impl<T: Held> Held for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, Held::held)
    }
}

impl<A: Held, B: Held> Held for (A, B) {
    fn held(&self) -> usize {
        self.0.held() + self.1.held()
    }
}

/// A value with several holders counts in whole for each of them: any one of them keeps it.
impl<T: Held> Held for Rc<T> {
    fn held(&self) -> usize {
        size_of::<T>() + 2 * size_of::<usize>() + (**self).held()
    }
}

/// A value behind an [`Arc`](std::sync::Arc) counts like one behind an [`Rc`].
impl<T: Held> Held for Arc<T> {
    fn held(&self) -> usize {
        size_of::<T>() + 2 * size_of::<usize>() + (**self).held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_what_the_allocator_was_asked_for() {
        assert_eq!(7_u64.held(), 0);
        assert_eq!(String::with_capacity(100).held(), 100);
        assert_eq!(Some(Box::<str>::from("four")).held(), 4);
        assert_eq!(vec![String::from("abc"); 2].held(), 2 * size_of::<String>() + 6);
        assert_eq!(Rc::new(String::from("abc")).held(), size_of::<String>() + 16 + 3);
        assert_eq!((1_u32, Box::new(2_u64)).held(), 8);
    }
}
