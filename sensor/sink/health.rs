//! What one output has done, and whether it works: counts and changes, which each output keeps and the
//! set of outputs passes on.

use std::collections::VecDeque;

/// Counts of one output since it was opened, in lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Given to the output.
    pub lines: u64,
    /// Known not to have arrived.
    pub dropped: u64,
    /// Taken by the receiver's kernel, which then reset the connection: at most so many were not read.
    pub uncertain: u64,
    /// Sent a second time because the first was not acknowledged: at most so many arrived twice.
    pub resent: u64,
}

/// Changes kept while nobody takes them; of a longer row the oldest go, the counts stay.
const CHANGES: usize = 16;

/// Works or fails, and what is to be told of it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub tally: Tally,
    /// Why it fails.
    failing: Option<String>,
    changes: VecDeque<(bool, String)>,
}

impl Health {
    /// Tells of the first failure; a further one with another reason is told too.
    pub fn fail(&mut self, message: String) {
        if self.failing.as_deref() != Some(&message) {
            self.tell(true, message.clone());
            self.failing = Some(message);
        }
    }

    pub fn recover(&mut self, message: impl Into<String>) {
        if self.failing.take().is_some() {
            self.tell(false, message.into());
        }
    }

    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub fn take_change(&mut self) -> Option<(bool, String)> {
        self.changes.pop_front()
    }

    fn tell(&mut self, failing: bool, message: String) {
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((failing, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once() {
        let mut health = Health::default();
        health.recover("nothing was wrong");
        assert_eq!(health.take_change(), None);
        health.fail("full".into());
        health.fail("full".into());
        health.fail("gone".into());
        health.recover("back");
        let told: Vec<_> = std::iter::from_fn(|| health.take_change()).collect();
        assert_eq!(told, [(true, "full".into()), (true, "gone".into()), (false, "back".into())]);
        assert!(!health.is_failing());
    }

    #[test]
    fn untaken_changes_are_bounded() {
        let mut health = Health::default();
        for round in 0..100 {
            health.fail(format!("{round}"));
        }
        let told: Vec<_> = std::iter::from_fn(|| health.take_change()).collect();
        assert_eq!(told.len(), CHANGES);
        assert_eq!(told.last(), Some(&(true, "99".into())));
    }
}
