//! Programs of the kernel side, as the rows of a table. Each kind of sightings lists its own; `probe` adds those
//! that all kinds need, loads and attaches them.

/// One program of the object: the fact that it provides, the case in which it is wanted, and the gap without it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The name in the object.
    pub name: &'static str,
    pub hook: &'static str,
    /// The fact that the program makes known, as the start document and `dnstrail doctor` name it.
    pub role: &'static str,
    pub attach: Attach,
    pub when: When,
    /// The gap when the kernel refuses the program; `None`: the way in fails without it.
    pub not_seen_without: Option<&'static str>,
    /// The gap that the program leaves.
    pub not_seen_with: Option<&'static str>,
    /// The loss when the kernel skips a run, because the program is running on that processor already.
    pub skipped: Skipped,
}

/// A family of hooks that find the sender, and the packets that leave and come back where no cgroup v2 is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Fentry,
    Kprobe,
    Cgroup,
}

/// The hosts on which a program is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// This way in was chosen.
    Way(Way),
    /// A cgroup v2 hierarchy is mounted.
    Cgroup2,
    /// The state of a socket is kept by its id.
    Hashed,
    /// A cgroup v2 hierarchy is mounted, and the state of a socket is kept by its id.
    Cgroup2Hashed,
    /// No cgroup v2 hierarchy is mounted, and this way in was chosen.
    NoCgroup2(Way),
}

/// How a program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// By its section name.
    Section,
    /// To the root of the cgroup v2 hierarchy.
    Cgroup,
    /// Run when it is read.
    Iterator,
}

/// The loss when the kernel skips a run of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    Nothing,
    /// Packets, where no cgroup v2 is mounted.
    Packets,
    /// Connections, while addresses are watched.
    Connections,
}

impl Way {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Cgroup => "cgroup",
        }
    }
}

/// A program that its way in cannot do without, attached by its section name, whose skipped runs lose nothing.
#[must_use]
pub const fn program(name: &'static str, hook: &'static str, role: &'static str, when: When) -> Program {
    Program {
        name,
        hook,
        role,
        attach: Attach::Section,
        when,
        not_seen_without: None,
        not_seen_with: None,
        skipped: Skipped::Nothing,
    }
}

impl Program {
    #[must_use]
    pub const fn attached(self, attach: Attach) -> Self {
        Self { attach, ..self }
    }

    /// The way in is taken without the program where the kernel refuses it.
    #[must_use]
    pub const fn optional(self, not_seen_without: &'static str) -> Self {
        Self { not_seen_without: Some(not_seen_without), ..self }
    }

    #[must_use]
    pub const fn leaving(self, not_seen_with: &'static str) -> Self {
        Self { not_seen_with: Some(not_seen_with), ..self }
    }

    #[must_use]
    pub const fn skipped(self, skipped: Skipped) -> Self {
        Self { skipped, ..self }
    }

    #[must_use]
    pub const fn is_optional(&self) -> bool {
        self.not_seen_without.is_some()
    }
}
