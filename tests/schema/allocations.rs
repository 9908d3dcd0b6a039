//! Counts the allocations of a thread, and shows that documents need none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dnstrail::event::Stage;
use dnstrail::journal::{Body, Document};
use dnstrail::sighting::dns::{self, Occurrence};

use crate::support::samples;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "only an allocator sees what is allocated")]
// SAFETY: the system's allocator does it all; the count is a plain cell that allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: what the caller promises us, we promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; every pointer that we gave out is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often `work` allocates, on this thread.
pub fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn documents_need_none() {
    let (query, answer) = (samples::query(), samples::answer());
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches());
    let asked = || samples::asked(&query, &actor);
    let documents = [
        asked(),
        samples::answered(&answer, &actor),
        dns::Document { matches: &matches, alert: true, ..asked() },
        dns::Document { occurrence: Occurrence::Timeout { query_time: 1 }, ..asked() },
    ];
    let (closed, matches) = (samples::connection(Stage::Closed), samples::matches_of_address());
    let connection = Body::Connection(samples::connected(&closed, &actor, &matches));
    let mut writer = samples::writer();
    let mut line = Vec::with_capacity(dnstrail::schema::DEFAULT_LINE);
    for body in documents.into_iter().map(Body::Dns).chain([connection]) {
        let document = Document { time: samples::TIME, sequence: 1, body };
        // The first document of an image writes it down.
        document.write(&mut writer, &mut line);
        line.clear();
        assert_eq!(allocations(|| document.write(&mut writer, &mut line)), 0, "{document:?}");
        assert!(!line.is_empty());
    }
}
