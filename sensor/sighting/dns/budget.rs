//! The documents that processes may have for payloads that are no DNS message: any process can send as many of
//! these as it likes, and each costs it less than its document.

use std::collections::HashMap;

use crate::event::TaskKey;

/// Documents of one process in a second: enough to see what it sends.
const OF_PROCESS: u32 = 16;

/// Documents of all processes in a second, so that starting more of them gives no more lines. The number also
/// bounds the table.
const OF_ALL: u32 = 256;

const SECOND: u64 = 1_000_000_000;

/// The documents of the current second.
#[derive(Debug, Default)]
pub(super) struct Budget {
    second: u64,
    all: u32,
    /// Processes that are not known share one share.
    spent: HashMap<Option<TaskKey>, u32>,
}

impl Budget {
    /// Takes one document from the share of a process; `false`: the share is spent. `now`: nanoseconds.
    pub(super) fn take(&mut self, process: Option<TaskKey>, now: u64) -> bool {
        if self.second != now / SECOND {
            (self.second, self.all) = (now / SECOND, 0);
            self.spent.clear();
        }
        if self.all >= OF_ALL {
            return false;
        }
        let spent = self.spent.entry(process).or_default();
        let has_share = *spent < OF_PROCESS;
        if has_share {
            *spent += 1;
            self.all += 1;
        }
        has_share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_a_share_and_all_have_one_bound() {
        let mut budget = Budget::default();
        let key = |pid| Some(TaskKey { pid, exec_id: 1, start: 1 });
        let mut taken = |process, now| (0..1_000).filter(|_| budget.take(process, now)).count();
        assert_eq!(taken(key(1), 0), 16);
        assert_eq!(taken(key(2), SECOND / 2), 16, "one process spends nothing of another's share");
        assert_eq!(taken(None, SECOND - 1), 16);
        let others: usize = (3..1_000).map(|pid| taken(key(pid), SECOND - 1)).sum();
        assert_eq!(others, 256 - 3 * 16);
        assert_eq!(taken(key(1), SECOND), 16, "the next second is a new one");
        assert!(budget.spent.len() <= 256);
    }
}
