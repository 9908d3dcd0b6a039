//! The processes above an image, which stay known after the processes in between have ended.

use std::mem::size_of;
use std::rc::Rc;

use super::Process;
use crate::event::TaskKey;
use crate::host::BootClock;

/// Ancestors that are kept, the parent not counted: more than lie between init and a program that a person runs
/// by ssh, sudo, a shell and a script. A longer line keeps the nearest.
pub const ANCESTORS: usize = 8;

/// One ancestor: less than an image, since thousands of descendants may keep it.
#[derive(Debug, Clone)]
pub struct Ancestor {
    pub key: TaskKey,
    pub entity_id: Rc<str>,
    pub name: Rc<str>,
    pub executable: Option<Rc<str>>,
    clock: BootClock,
}

impl Ancestor {
    fn of(image: &Process) -> Self {
        Self {
            key: image.key,
            entity_id: Rc::clone(&image.entity_id),
            name: Rc::clone(&image.name),
            executable: image.executable.clone(),
            clock: image.clock.clone(),
        }
    }

    /// When the process began: nanoseconds since the Unix epoch, by the clock of now.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.clock.at(self.key.start)
    }

    /// Bytes of memory, its texts counted as if no image had them.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.entity_id.len() + self.name.len() + self.executable.as_deref().map_or(0, str::len)
    }
}

/// The lineage that a child gets from its parent.
#[derive(Debug, Clone, Default)]
pub(super) struct Lineage {
    /// The parent's image, without a lineage of its own.
    pub(super) parent: Option<Rc<Process>>,
    pub(super) ancestors: Option<Rc<[Ancestor]>>,
    /// Whether another process than `parent` forked this one.
    pub(super) adopted: bool,
}

impl Lineage {
    /// The lineage of the children of this process.
    pub(super) fn below(parent: &Rc<Process>) -> Self {
        let ancestors = above(parent);
        let has_none = parent.parent.is_none() && parent.ancestors.is_none();
        let image = if has_none {
            Rc::clone(parent)
        } else {
            Rc::new(Process { parent: None, ancestors: None, ..(**parent).clone() })
        };
        Self { parent: Some(image), ancestors, adopted: false }
    }

    /// The lineage of a process whose image was `before`, and whose parent now is `parent`.
    pub(super) fn after(self, before: &Process, parent: Option<TaskKey>) -> Self {
        // An exec of the parent makes it no other process.
        let process = |key: TaskKey| (key.pid, key.start);
        let same_parent = parent.is_none() || parent.map(process) == before.parent_key.map(process);
        if same_parent && !before.adopted {
            let Self { parent, ancestors, .. } = self;
            let (parent, ancestors) =
                if parent.is_some() { (parent, ancestors) } else { (before.parent.clone(), before.ancestors.clone()) };
            return Self { parent, ancestors, adopted: false };
        }
        Self { ancestors: above(before), adopted: true, ..self }
    }
}

/// The process that forked this one, and the processes above. `None` where none is known.
fn above(process: &Process) -> Option<Rc<[Ancestor]>> {
    if process.adopted {
        return process.ancestors.clone();
    }
    let nearest = Ancestor::of(process.parent.as_deref()?);
    let rest = process.ancestors.as_deref().unwrap_or_default();
    Some(std::iter::once(nearest).chain(rest.iter().take(ANCESTORS - 1).cloned()).collect())
}
