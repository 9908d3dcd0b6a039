//! Fields that many lines have alike, as the line before had them.

/// Runs of fields that are kept. A run takes the place of another whose key leads to the same slot.
const SLOTS: usize = 64;

/// Bytes of a run that are kept. A longer run is written anew for each line.
const LONGEST: usize = 192;

/// The values that a run of fields depends on.
pub type Key = [u64; 4];

/// The runs of fields that lines had, by their keys: at most 15 KiB.
#[derive(Debug, Clone)]
pub(super) struct Repeated(Box<[Slot]>);

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    /// 0: nothing is kept here.
    length: usize,
    bytes: [u8; LONGEST],
}

impl Default for Repeated {
    fn default() -> Self {
        Self(vec![Slot { key: Key::default(), length: 0, bytes: [0; LONGEST] }; SLOTS].into())
    }
}

fn slot(key: Key) -> usize {
    // The multiplier is the golden ratio's: keys that are alike go to slots far apart.
    let mixed = key.into_iter().fold(0_u64, |mixed, word| (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (mixed >> 32) as usize % SLOTS
}

impl Repeated {
    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<&[u8]> {
        let Slot { key: known, length, bytes } = &self.0[slot(key)];
        if *length == 0 || *known != key {
            return None;
        }
        bytes.get(..*length)
    }

    pub(super) fn keep(&mut self, key: Key, fields: &[u8]) {
        let slot = &mut self.0[slot(key)];
        if let Some(bytes) = slot.bytes.get_mut(..fields.len()) {
            bytes.copy_from_slice(fields);
            (slot.key, slot.length) = (key, fields.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A run is given back for its own key only, however many others share its slot.
        #[test]
        fn a_run_belongs_to_its_key(keys in proptest::collection::vec([0..3_u64, 0..9, 0..9, 0..9], 1..200)) {
            let mut repeated = Repeated::default();
            let fields = |key: Key| format!("{key:?}").repeat(1 + usize::try_from(key[1]).unwrap()).into_bytes();
            for key in keys {
                let found = repeated.get(key).map(<[u8]>::to_vec);
                prop_assert!(found.is_none_or(|found| found == fields(key)));
                repeated.keep(key, &fields(key));
                let kept = repeated.get(key).map(<[u8]>::to_vec);
                prop_assert_eq!(kept, Some(fields(key)).filter(|fields| fields.len() <= LONGEST));
            }
        }
    }
}
