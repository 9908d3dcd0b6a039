//! The programs that are chosen on this host: those that all kinds of sightings need, and those of the kinds that
//! are watched.

use super::settings::Hooks;
use crate::event::program::{Attach, Program, Way, When, program};

/// The programs that all kinds need. Every process that can send is introduced by them, so they are attached first.
pub const SHARED: &[Program] = &[
    program("process_exec", "tp_btf/sched_process_exec", TASKS, When::Always),
    program("process_fork", "tp_btf/sched_process_fork", TASKS, When::Always),
    program("process_exit", "tp_btf/sched_process_exit", TASKS, When::Always),
    program("tasks_before", "iter/task", "what was there before", When::Always)
        .attached(Attach::Iterator)
        .optional("processes that run before the start, until they send"),
];

const TASKS: &str = "who a task is";

/// The facts of a host by which programs are chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub way: Way,
    /// A cgroup v2 hierarchy is mounted.
    pub cgroup2: bool,
    /// The state of a socket is stored with it; else in a table, by its id.
    pub stored: bool,
    /// The current task is a pointer of its type, which programs follow by plain loads.
    pub typed: bool,
}

impl Place {
    pub fn wants(self, program: &Program) -> bool {
        match program.when {
            When::Always => true,
            When::Way(wanted) => self.way == wanted,
            When::Cgroup2 => self.cgroup2,
            When::Hashed => !self.stored,
            When::Cgroup2Hashed => self.cgroup2 && !self.stored,
            When::NoCgroup2(wanted) => !self.cgroup2 && self.way == wanted,
        }
    }
}

/// The ways that may be tried, best first.
pub(super) const fn candidates(hooks: Hooks) -> &'static [Way] {
    match hooks {
        Hooks::Auto => &[Way::Fentry, Way::Kprobe, Way::Cgroup],
        Hooks::Fentry => &[Way::Fentry],
        Hooks::Kprobe => &[Way::Kprobe],
        Hooks::Cgroup => &[Way::Cgroup],
    }
}

/// All programs that may be loaded, in the order of attaching. A program that several kinds list stands once.
pub(super) fn programs(of_kinds: &[&'static Program]) -> Vec<&'static Program> {
    let mut programs: Vec<&'static Program> = Vec::new();
    for program in SHARED.iter().chain(of_kinds.iter().copied()) {
        if programs.iter().all(|known| known.name != program.name) {
            programs.push(program);
        }
    }
    programs
}

/// The program that stands for a way where the way is refused as a whole.
pub(super) fn first_of(way: Way, programs: &[&'static Program]) -> &'static Program {
    let is_first = |program: &&&Program| program.when == When::Way(way) && !program.is_optional();
    programs.iter().find(is_first).copied().unwrap_or(&SHARED[0])
}
