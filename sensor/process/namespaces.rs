//! Mount namespaces in which known processes live, and which of the host's account files each shows. A service
//! with `PrivateTmp=` sees the host's files, a container does not.

use std::collections::HashMap;

/// By inode number. A namespace is forgotten with its last process: the kernel gives its number to a new one.
#[derive(Debug, Default)]
pub(super) struct Namespaces(HashMap<u32, Namespace>);

#[derive(Debug, Default)]
struct Namespace {
    /// Images of live processes.
    members: usize,
    sight: Sight,
}

/// Knowledge of the account files in a mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sight {
    /// No process there could be asked about them yet.
    #[default]
    Unknown,
    /// An answer is on its way, and is not waited for.
    Asked,
    /// Whether `passwd` and `group` are the host's.
    Known([bool; 2]),
}

impl Namespaces {
    /// A process is there; see [`Namespaces::leave`].
    pub(super) fn enter(&mut self, number: u32) {
        if number != 0 {
            self.0.entry(number).or_default().members += 1;
        }
    }

    /// Takes back one [`Namespaces::enter`].
    pub(super) fn leave(&mut self, number: u32) {
        if let Some(namespace) = self.0.get_mut(&number) {
            namespace.members -= 1;
            if namespace.members == 0 {
                self.0.remove(&number);
            }
        }
    }

    /// The knowledge of a namespace; `Unknown` also for one without processes.
    pub(super) fn sight(&self, number: u32) -> Sight {
        self.0.get(&number).map_or(Sight::Unknown, |namespace| namespace.sight)
    }

    /// Notes the knowledge of a namespace. Nothing is kept for one without processes.
    pub(super) fn set(&mut self, number: u32, sight: Sight) {
        if let Some(namespace) = self.0.get_mut(&number) {
            namespace.sight = sight;
        }
    }

    /// Forgets all knowledge, because the account files were replaced: a mount of the old file shows that file still.
    pub(super) fn doubt(&mut self) {
        for namespace in self.0.values_mut() {
            namespace.sight = Sight::Unknown;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
