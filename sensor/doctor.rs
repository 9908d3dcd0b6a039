//! `dnstrail doctor`: what this host allows, which ways in are taken, and the one command that
//! mends each lack. It attaches the probes for a moment; judging the facts is left to `probe`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::metrics::Metrics;
use crate::probe::support::Support;
use crate::probe::{Probes, Settings, WayIn};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    kernel: String,
    btf: bool,
    cgroup2: Option<String>,
    missing_capabilities: Vec<&'static str>,
    lockdown: Option<String>,
    /// Milliseconds to load, verify and attach everything.
    attach_ms: Option<u128>,
    roles: Vec<Role>,
    /// Why nothing could be attached, with the remedy.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names of the JSON")]
struct Role {
    role: &'static str,
    taken: Vec<&'static str>,
    refused: Vec<Refusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_seen: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    hook: &'static str,
    reason: String,
}

impl Diagnosis {
    /// Looks at this host and tries to attach.
    #[must_use]
    pub fn make(settings: &Settings) -> Self {
        let support = Support::read(Path::new("/"));
        let started = std::time::Instant::now();
        let attached = Probes::open(settings, &Arc::new(Metrics::default()), |_| ());
        let elapsed = started.elapsed().as_millis();
        let (roles, error) = match attached {
            Ok(probes) => (probes.ways_in().iter().cloned().map(Role::from).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self {
            kernel: support.kernel,
            btf: support.btf,
            cgroup2: support.cgroup2.map(|path| path.display().to_string()),
            missing_capabilities: support.missing_capabilities,
            lockdown: support.lockdown,
            attach_ms: error.is_none().then_some(elapsed),
            roles,
            error,
        }
    }

    /// Every role is filled, if not always by the best way in.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.error.is_none()
    }

    /// For a person.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let yes = |fact: bool| if fact { "yes" } else { "no" };
        writeln!(out, "kernel        {}", self.kernel)?;
        writeln!(out, "kernel types  {}", yes(self.btf))?;
        writeln!(out, "cgroup v2     {}", self.cgroup2.as_deref().unwrap_or("not mounted"))?;
        let missing = self.missing_capabilities.join(", ");
        writeln!(
            out,
            "privileges    {}",
            if missing.is_empty() { "enough".into() } else { format!("missing {missing}") }
        )?;
        if let Some(lockdown) = &self.lockdown {
            writeln!(out, "lockdown      {lockdown}")?;
        }
        for role in &self.roles {
            let taken = if role.taken.is_empty() { "nothing".into() } else { role.taken.join(", ") };
            writeln!(out, "\n{}: {taken}", role.role)?;
            for refusal in &role.refused {
                writeln!(out, "  refused: {}: {}", refusal.hook, refusal.reason)?;
            }
            if let Some(not_seen) = role.not_seen {
                writeln!(out, "  not seen: {not_seen}")?;
            }
        }
        match (&self.error, self.attach_ms) {
            (Some(error), _) => writeln!(out, "\nNothing can be seen: {error}"),
            (None, Some(elapsed)) => writeln!(out, "\nReady: all probes attached in {elapsed} ms, and detached again."),
            (None, None) => Ok(()),
        }
    }
}

impl From<WayIn> for Role {
    fn from(way: WayIn) -> Self {
        let refused = way.refused.into_iter().map(|(hook, reason)| Refusal { hook, reason }).collect();
        Self { role: way.role, taken: way.taken, refused, not_seen: way.not_seen }
    }
}
