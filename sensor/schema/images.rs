//! The fields of process images as lines have them. An image never changes, and its fields are most of a
//! line: they are written when the image is met, kept here, and copied from then on.

use std::fmt;
use std::rc::{Rc, Weak};

use super::limits::Limits;
use crate::process::Process;

/// Images that are kept. An image takes the place of another whose address leads to the same slot.
const SLOTS: usize = 512;

/// Bytes of one image that are kept: enough for all but generated command lines. Most images take a third.
const LONGEST: usize = 2_048;

/// At most `SLOTS * LONGEST` bytes of fields (1 MiB).
pub(super) struct Images(Vec<Slot>);

#[derive(Clone, Default)]
struct Slot {
    /// While this exists, no other image is at its address.
    image: Weak<Process>,
    /// The start of the process as it stands in the fields: the clock of the host may be set.
    start: u64,
    /// Fields, of which the first `middle` bytes stand before those that differ from document to document.
    fields: Vec<u8>,
    middle: usize,
}

impl Default for Images {
    fn default() -> Self {
        Self(vec![Slot::default(); SLOTS])
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Images({} of {SLOTS})", self.0.iter().filter(|slot| !slot.fields.is_empty()).count())
    }
}

fn slot(image: &Rc<Process>) -> usize {
    // The multiplier is the golden ratio's: neighbours in memory go to slots far apart.
    let address = Rc::as_ptr(image).addr() as u64;
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % SLOTS
}

impl Images {
    /// Bytes of all fields that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|slot| slot.fields.capacity()).sum()
    }

    /// The fields of an image in two parts, if they are kept and `limits` would cut none of them.
    pub(super) fn get(&self, image: &Rc<Process>, limits: Limits) -> Option<(&[u8], &[u8])> {
        let slot = &self.0[slot(image)];
        let kept = slot.image.as_ptr() == Rc::as_ptr(image) && slot.start == image.start();
        (kept && slot.fields.len() <= limits.never_cut()).then(|| slot.fields.split_at(slot.middle))
    }

    /// Keeps fields of which nothing was cut.
    pub(super) fn keep(&mut self, image: &Rc<Process>, (before, after): (&[u8], &[u8])) {
        if before.len() + after.len() > LONGEST {
            return;
        }
        let slot = &mut self.0[slot(image)];
        (slot.image, slot.start, slot.middle) = (Rc::downgrade(image), image.start(), before.len());
        slot.fields.clear();
        slot.fields.extend_from_slice(before);
        slot.fields.extend_from_slice(after);
    }
}
