//! What the probes are set to.

/// Which ways in may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hooks {
    /// The best that attaches.
    #[default]
    Auto,
    Fentry,
    Kprobe,
    Cgroup,
}

/// Whose sightings of a conversation are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Observe {
    #[default]
    Clients,
    Servers,
    All,
}

/// What the probes are set to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Ports that carry DNS, UDP and TCP.
    pub ports: Vec<u16>,
    pub observe: Observe,
    pub hooks: Hooks,
    /// Bytes of the ring: a power of two of whole pages.
    pub ring_bytes: u32,
}
