//! Facts that hold by construction, though the compiler cannot see it. A broken one is a fault of this program: a build
//! with debug assertions stops there, any other goes on with a default value, and the stream says that it happened.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static BROKEN: AtomicU64 = AtomicU64::new(0);

/// How often a fact did not hold since the start.
#[must_use]
pub fn broken() -> u64 {
    BROKEN.load(Relaxed)
}

/// A value that is always there.
pub trait Invariant<T> {
    /// The value; its default where the fact is broken, which is counted.
    fn holds(self) -> T;
}

impl<T: Default> Invariant<T> for Option<T> {
    #[inline]
    #[track_caller]
    fn holds(self) -> T {
        match self {
            Some(value) => value,
            None => count(),
        }
    }
}

#[cold]
#[track_caller]
fn count<T: Default>() -> T {
    BROKEN.fetch_add(1, Relaxed);
    debug_assert!(false, "a fact that holds by construction does not hold");
    T::default()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Arc;

    use super::*;
    use crate::host::Host;
    use crate::metrics::Metrics;
    use crate::pipeline::Pipeline;
    use crate::sighting::{Document, Settings};

    #[test]
    fn a_broken_fact_is_counted_for_the_stream_and_stops_a_debug_build() {
        assert_eq!(Some(3_u8).holds(), 3);
        let before = broken();
        let outcome = catch_unwind(|| None::<u8>.holds());
        assert_eq!(outcome.ok(), if cfg!(debug_assertions) { None } else { Some(0) });
        assert!(broken() > before);
        let metrics = Arc::new(Metrics::default());
        let mut pipeline = Pipeline::new(&Settings::default(), Host::default(), Arc::default(), Arc::clone(&metrics));
        pipeline.finish(1, &mut |_: u64, _: Document<'_>| ());
        assert!(metrics.losses.invariant_broken.get() > before, "the count reaches the stream");
    }
}
