//! The programs of the object as one table: which role each fills, by which way in, and what is
//! not seen without it.

use super::settings::Hooks;

/// A kind of fact that the sensor must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Sends,
    Leaves,
    ComesBack,
    Tasks,
    Connects,
    Before,
}

impl Role {
    pub const ALL: [Role; 6] = [Role::Sends, Role::Leaves, Role::ComesBack, Role::Tasks, Role::Connects, Role::Before];

    pub const fn name(self) -> &'static str {
        match self {
            Role::Sends => "who sends",
            Role::Leaves => "what leaves",
            Role::ComesBack => "what comes back",
            Role::Tasks => "who a task is",
            Role::Connects => "who connects",
            Role::Before => "what was there before",
        }
    }
}

/// A family of hooks that find the sender, and the packets that leave and come back where no cgroup v2 is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Fentry,
    Kprobe,
    Cgroup,
}

impl Way {
    /// The ways that may be tried, best first.
    pub const fn candidates(hooks: Hooks) -> &'static [Way] {
        match hooks {
            Hooks::Auto => &[Way::Fentry, Way::Kprobe, Way::Cgroup],
            Hooks::Fentry => &[Way::Fentry],
            Hooks::Kprobe => &[Way::Kprobe],
            Hooks::Cgroup => &[Way::Cgroup],
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Way::Fentry => "fentry",
            Way::Kprobe => "kprobe",
            Way::Cgroup => "cgroup",
        }
    }

    /// The first program of the way, which stands for the way where the kernel refuses it as a whole.
    pub fn first_program(self) -> &'static Program {
        let is_first = |program: &&Program| program.when == When::Way(self) && !program.is_optional();
        PROGRAMS.iter().find(is_first).unwrap_or(&PROGRAMS[0])
    }
}

/// The facts that the programs are chosen by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub way: Way,
    /// A cgroup v2 hierarchy is mounted.
    pub cgroup2: bool,
    /// The record of a socket is stored with the socket; else in a table, by its id.
    pub stored: bool,
}

/// When a program is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// This way in was chosen.
    Way(Way),
    /// A cgroup v2 hierarchy is mounted.
    Cgroup2,
    /// What is known of a socket is kept by its id.
    Hashed,
    /// The same, and a cgroup v2 hierarchy is mounted.
    Cgroup2Hashed,
    /// None is mounted, and this way in was chosen.
    NoCgroup2(Way),
}

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attach {
    /// By its section name.
    Section,
    /// To the root of the cgroup v2 hierarchy.
    Cgroup,
    /// Run when it is read.
    Iterator,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    /// The name of the program in the object.
    pub name: &'static str,
    pub hook: &'static str,
    pub role: Role,
    pub attach: Attach,
    when: When,
    /// The gap when the kernel refuses the program; `None`: the way in fails without it.
    pub not_seen_without: Option<&'static str>,
}

impl Program {
    pub fn is_wanted(&self, place: Place) -> bool {
        match self.when {
            When::Always => true,
            When::Way(wanted) => place.way == wanted,
            When::Cgroup2 => place.cgroup2,
            When::Hashed => !place.stored,
            When::Cgroup2Hashed => place.cgroup2 && !place.stored,
            When::NoCgroup2(wanted) => !place.cgroup2 && place.way == wanted,
        }
    }

    /// The way in is taken without it where the kernel refuses it.
    pub const fn is_optional(&self) -> bool {
        self.not_seen_without.is_some()
    }
}

const fn program(name: &'static str, hook: &'static str, role: Role, attach: Attach, when: When) -> Program {
    Program { name, hook, role, attach, when, not_seen_without: None }
}

const fn optional(program: Program, not_seen: &'static str) -> Program {
    Program { not_seen_without: Some(not_seen), ..program }
}

/// In the order of attaching: tasks first, so that every process that can send is introduced;
/// what leaves last, so that no query is seen whose answer is not.
pub(super) const PROGRAMS: [Program; 28] = {
    use Attach::{Cgroup, Iterator, Section};
    use Role::{Before, ComesBack, Connects, Leaves, Sends, Tasks};
    use When::{Always, Cgroup2, Cgroup2Hashed, Hashed, NoCgroup2};
    const FENTRY: When = When::Way(Way::Fentry);
    const KPROBE: When = When::Way(Way::Kprobe);
    const CGROUP: When = When::Way(Way::Cgroup);
    [
        program("process_exec", "tp_btf/sched_process_exec", Tasks, Section, Always),
        program("process_fork", "tp_btf/sched_process_fork", Tasks, Section, Always),
        program("process_exit", "tp_btf/sched_process_exit", Tasks, Section, Always),
        optional(
            program("connection_state", "tp_btf/inet_sock_set_state", Connects, Section, Always),
            "connections to addresses that a listed name resolved to",
        ),
        optional(
            program("stream_state", "tp_btf/inet_sock_set_state", Sends, Section, Hashed),
            "who sends over TCP, after 8,192 connections",
        ),
        program("cgroup_sock_create", "cgroup/sock_create", Sends, Cgroup, Cgroup2Hashed),
        program("cgroup_sock_release", "cgroup/sock_release", Sends, Cgroup, Cgroup2Hashed),
        program("fentry_tcp_sendmsg", "fentry/tcp_sendmsg", Sends, Section, FENTRY),
        program("fentry_udp_sendmsg", "fentry/udp_sendmsg", Sends, Section, FENTRY),
        program("fentry_udpv6_sendmsg", "fentry/udpv6_sendmsg", Sends, Section, FENTRY),
        program("kprobe_tcp_sendmsg", "kprobe/tcp_sendmsg", Sends, Section, KPROBE),
        program("kprobe_udp_sendmsg", "kprobe/udp_sendmsg", Sends, Section, KPROBE),
        program("kprobe_udpv6_sendmsg", "kprobe/udpv6_sendmsg", Sends, Section, KPROBE),
        optional(
            program("sock_send_length", "tp_btf/sock_send_length", Sends, Section, Always),
            "which of several processes that share one socket queued bytes that leave later",
        ),
        program("cgroup_sendmsg4", "cgroup/sendmsg4", Sends, Cgroup, CGROUP),
        program("cgroup_sendmsg6", "cgroup/sendmsg6", Sends, Cgroup, CGROUP),
        program("cgroup_ingress", "cgroup_skb/ingress", ComesBack, Cgroup, Cgroup2),
        program("fentry_sk_filter_trim_cap", "fentry/sk_filter_trim_cap", ComesBack, Section, NoCgroup2(Way::Fentry)),
        program("kprobe_sk_filter_trim_cap", "kprobe/sk_filter_trim_cap", ComesBack, Section, NoCgroup2(Way::Kprobe)),
        program("fentry_inet_release", "fentry/inet_release", Sends, Section, NoCgroup2(Way::Fentry)),
        program("kprobe_inet_release", "kprobe/inet_release", Sends, Section, NoCgroup2(Way::Kprobe)),
        program("cgroup_egress", "cgroup_skb/egress", Leaves, Cgroup, Cgroup2),
        program("fentry_ip_finish_output", "fentry/ip_finish_output", Leaves, Section, NoCgroup2(Way::Fentry)),
        program("fentry_ip6_finish_output", "fentry/ip6_finish_output", Leaves, Section, NoCgroup2(Way::Fentry)),
        program("kprobe_ip_finish_output", "kprobe/ip_finish_output", Leaves, Section, NoCgroup2(Way::Kprobe)),
        program("kprobe_ip6_finish_output", "kprobe/ip6_finish_output", Leaves, Section, NoCgroup2(Way::Kprobe)),
        optional(
            program("tasks_before", "iter/task", Before, Iterator, Always),
            "processes that run before the start, until they send",
        ),
        optional(
            program("sockets_before", "iter/task_file", Before, Iterator, Always),
            "the owner of a socket opened before the start, until it sends",
        ),
    ]
};
