//! The process and the thread behind a sighting.

use std::rc::Rc;

use super::Process;
use crate::event::{Task, TaskKey};

/// The actor of a sighting. Each part is absent where it cannot be known.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// The program image.
    pub process: Option<Rc<Process>>,
    /// The thread, and its user at that time.
    pub task: Option<Task>,
}

impl Actor {
    /// The key of the program image, which is known from the thread even where the image is not.
    #[must_use]
    pub fn key(&self) -> Option<TaskKey> {
        self.process.as_ref().map(|process| process.key).or(self.task.map(|task| task.process))
    }

    /// The process id in the initial pid namespace.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.key().map(|key| key.pid)
    }
}
