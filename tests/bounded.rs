//! Bounded tables, when they are full: the next entry needs no memory.

use dnstrail::bounded::{Bounded, Bounds};

use crate::schema::allocations::allocations;

#[test]
fn a_full_table_allocates_nothing() {
    const ENTRIES: u64 = 1_000;
    let mut table = Bounded::new(Bounds { entries: 1_000, bytes: usize::MAX });
    let insert = |table: &mut Bounded<u64, u64>, keys: std::ops::Range<u64>| {
        for key in keys {
            table.insert(key, key, |_, _| {});
            table.touch(&(key / 2));
            table.change(&key, |value| *value += 1, |_, _| {});
        }
    };
    insert(&mut table, 0..10 * ENTRIES);
    assert_eq!(allocations(|| insert(&mut table, 10 * ENTRIES..40 * ENTRIES)), 0);
    assert_eq!(table.len() as u64, ENTRIES);
    // Entries that were taken out leave space for others.
    let work = || {
        table.retain(|key, _| key % 2 == 0);
        insert(&mut table, 40 * ENTRIES..41 * ENTRIES);
    };
    assert_eq!(allocations(work), 0);
}
