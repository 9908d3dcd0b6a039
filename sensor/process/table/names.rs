//! The questions of the table to the host: `/proc`, and the names of users and groups.

use std::rc::Rc;

use super::super::lineage::Lineage;
use super::super::namespaces::Sight;
use super::super::{Process, Processes, image};
use crate::event::{ProcessRecord, TaskKey};
use crate::host::{Answer, Facts};

impl Processes {
    /// Takes what `/proc` answered too late for its asker.
    pub(super) fn take_late_answers(&mut self) {
        while let Some(answer) = self.reader.late() {
            match answer {
                Answer::Facts(key, Some(facts)) => self.complete(&key, facts),
                Answer::Facts(_, None) => {}
                Answer::Accounts(namespace, seen) => self.namespaces.set(namespace, sight(seen)),
            }
        }
    }

    /// The image that a record describes.
    pub(super) fn image_of_record(&mut self, record: &ProcessRecord<'_>, lineage: Option<Lineage>) -> Process {
        let short_of_memory = self.is_short_of_memory();
        if short_of_memory && image::is_long(record) {
            self.metrics.losses.process_arguments_cut.add(1);
        }
        let is_incomplete = !record.has_arguments && !record.kernel_thread;
        let facts = if is_incomplete { self.read_facts(&record.process) } else { None };
        let names = self.names(&record.process, record.mount_namespace, (record.uid, record.gid));
        let Self { host, host_hash, .. } = self;
        image::of_record(record, image::Known { host, host_hash: *host_hash, lineage, facts, names, short_of_memory })
    }

    /// Facts from `/proc` about the process, if they can be had at once.
    fn read_facts(&mut self, process: &TaskKey) -> Option<Facts> {
        match self.reader.facts(*process)? {
            Answer::Facts(_, facts) => facts,
            Answer::Accounts(..) => None,
        }
    }

    /// Names of a user and a group. They hold only where the process sees the host's files: elsewhere the same
    /// number may be someone else.
    pub(in crate::process) fn names(
        &mut self,
        process: &TaskKey,
        mount_namespace: u32,
        (uid, gid): (u32, u32),
    ) -> (Option<Rc<str>>, Option<Rc<str>>) {
        if mount_namespace == 0 || self.host.mount_namespace == 0 {
            return (None, None);
        }
        let [passwd, group] = if mount_namespace == self.host.mount_namespace {
            [true; 2]
        } else {
            self.accounts_seen(process, mount_namespace)
        };
        (passwd.then(|| self.accounts.user(uid)).flatten(), group.then(|| self.accounts.group(gid)).flatten())
    }

    /// Whether a process sees each of the host's account files. A namespace is asked about once, as soon as one of
    /// its processes lives long enough for the question.
    fn accounts_seen(&mut self, process: &TaskKey, mount_namespace: u32) -> [bool; 2] {
        match self.namespaces.sight(mount_namespace) {
            Sight::Known(seen) => seen,
            Sight::Asked => [false; 2],
            Sight::Unknown => {
                let found = match self.reader.accounts(*process, mount_namespace) {
                    Some(Answer::Accounts(_, seen)) => sight(seen),
                    _ => Sight::Asked,
                };
                self.namespaces.set(mount_namespace, found);
                if let Sight::Known(seen) = found { seen } else { [false; 2] }
            }
        }
    }

    /// Whether names of user and group that were not known when the image was made may be known now.
    pub(super) fn may_be_named(&self, image: &Process) -> bool {
        image.mount_namespace != self.host.mount_namespace
            && image.user_name.is_none()
            && image.group_name.is_none()
            && matches!(self.namespaces.sight(image.mount_namespace), Sight::Known([true, _] | [_, true]))
    }

    pub(super) fn refresh_accounts(&mut self, now: u64) {
        let Self { accounts, reader, .. } = self;
        if accounts.refresh(now, |place| reader.account_file(place)) {
            self.namespaces.doubt();
        }
    }

    fn complete(&mut self, key: &TaskKey, facts: Facts) {
        if let Some(&slot) = self.images.get(key)
            && let Some(image) = self.slots[slot].image.clone()
            && image.arguments.is_none()
        {
            self.replace(slot, image::completed(&image, facts));
        }
    }
}

fn sight(seen: Option<[bool; 2]>) -> Sight {
    seen.map_or(Sight::Unknown, Sight::Known)
}
