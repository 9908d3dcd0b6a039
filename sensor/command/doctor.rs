//! `dnstrail doctor`: the facts of this host, the ways in that are taken, and the remedy for each lack. The
//! command attaches the probes for a moment; `probe` judges the facts.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, print};
use crate::cli::config;
use crate::cli::value::RingSize;
use crate::probe::support::{MOUNT_CGROUP2, Support};
use crate::probe::{self, Hooks, Observe, Probes, Settings, WayIn};
use crate::sighting::Watch;

/// # Errors
/// Nothing can be attached, or stdout cannot be written.
pub fn doctor(json: bool) -> Result<(), Failure> {
    let settings = Settings {
        programs: Watch::default().programs(),
        ports: config::PORTS.to_vec(),
        observe: Observe::Clients,
        hooks: Hooks::Auto,
        ring_bytes: RingSize::DEFAULT.0,
    };
    let diagnosis = Diagnosis::make(&settings);
    print(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &diagnosis)?;
            writeln!(out)
        } else {
            diagnosis.write(out)
        }
    })?;
    if diagnosis.is_well() { Ok(()) } else { Err(Failure::Answered) }
}

/// The facts, and what followed from them.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    kernel: String,
    btf: bool,
    cgroup2: Option<String>,
    missing_capabilities: Vec<&'static str>,
    lockdown: Option<String>,
    host_pids: bool,
    /// The walls around a process that reads foreign bytes, and whether this kernel has each.
    walls: Vec<(&'static str, bool)>,
    /// Time until everything was attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<Times>,
    roles: Vec<Role>,
    /// Remedies that would make things better on a host where everything works.
    advice: Vec<String>,
    /// The reason why nothing could be attached, with the remedy.
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Times {
    trial: u128,
    load: u128,
    attach: u128,
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
    /// The verifier's log, where the program came to verification; the end of a long one.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

impl Diagnosis {
    /// Looks at this host and tries to attach.
    #[must_use]
    pub fn make(settings: &Settings) -> Self {
        let support = Support::read(Path::new("/"));
        let (ways_in, milliseconds, error) = match Probes::open(settings) {
            Ok(probes) => (probes.ways_in().to_vec(), Some(probes.times().into()), None),
            Err(error) => (error.ways_in(), None, Some(error.to_string())),
        };
        Self {
            advice: if error.is_none() { advice(&support) } else { Vec::new() },
            kernel: support.kernel,
            btf: support.btf,
            cgroup2: support.cgroup2.map(|path| path.display().to_string()),
            missing_capabilities: support.missing_capabilities,
            lockdown: support.lockdown,
            host_pids: support.host_pids,
            walls: super::parts::walls(),
            milliseconds,
            roles: ways_in.into_iter().map(Role::from).collect(),
            error,
        }
    }

    /// Whether every role is filled, by the best way in or by another one.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.error.is_none()
    }

    /// Writes the diagnosis for a person.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let missing = self.missing_capabilities.join(", ");
        writeln!(out, "kernel        {}", self.kernel)?;
        writeln!(out, "kernel types  {}", if self.btf { "shown" } else { "not shown" })?;
        writeln!(out, "cgroup v2     {}", self.cgroup2.as_deref().unwrap_or("not mounted"))?;
        writeln!(
            out,
            "privileges    {}",
            if missing.is_empty() { "enough".into() } else { format!("missing {missing}") }
        )?;
        if let Some(lockdown) = &self.lockdown {
            writeln!(out, "lockdown      {lockdown}")?;
        }
        let (stand, missing): (Vec<_>, Vec<_>) = self.walls.iter().partition(|(_, stands)| *stands);
        let names =
            |walls: Vec<&(&'static str, bool)>| walls.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let missing =
            if missing.is_empty() { String::new() } else { format!("; not on this kernel: {}", names(missing)) };
        writeln!(out, "separation    the reader has {}{missing}; parts: kernel, proc", names(stand))?;
        for role in &self.roles {
            role.write(out, self.is_well())?;
        }
        for advice in &self.advice {
            writeln!(out, "\nBetter: {advice}")?;
        }
        let has_log = self.roles.iter().flat_map(|role| &role.refused).any(|refusal| refusal.log.is_some());
        if self.is_well() && has_log {
            writeln!(out, "\nThe whole verifier log of each refusal: dnstrail doctor --json")?;
        }
        match (&self.error, self.milliseconds) {
            (Some(error), _) => writeln!(out, "\nNothing can be seen: {error}"),
            (None, Some(times)) => {
                let all = times.trial + times.load + times.attach;
                writeln!(out, "\nReady: all probes attached in {all} ms, and detached again.")
            }
            (None, None) => Ok(()),
        }
    }
}

impl Role {
    /// Where another role failed, this role was not tried to its end, so only its refusals are shown.
    fn write(&self, out: &mut impl Write, is_attached: bool) -> io::Result<()> {
        if !is_attached && self.refused.is_empty() {
            return Ok(());
        }
        let taken = if self.taken.is_empty() { "nothing".into() } else { self.taken.join(", ") };
        writeln!(out, "\n{}: {taken}", self.role)?;
        for refusal in &self.refused {
            writeln!(out, "  refused: {}: {}", refusal.hook, refusal.reason)?;
        }
        if let Some(not_seen) = self.not_seen {
            writeln!(out, "  not seen: {not_seen}")?;
        }
        Ok(())
    }
}

/// Advice for a host on which everything works, but not at its best.
fn advice(support: &Support) -> Vec<String> {
    let no_cgroup2 = support.cgroup2.is_none().then(|| {
        format!(
            "without cgroup v2 the packets are seen by traced functions, which the kernel may skip (counted as \
             kernel_probe_skipped); mount it with `{MOUNT_CGROUP2}` before dnstrail starts"
        )
    });
    let other_pids = (!support.host_pids).then(|| {
        "this is a pid namespace of its own, as containers have, while documents name processes by the host's pids, so \
         that /proc says less here about processes older than the sensor; run dnstrail on the host, or in the \
         host's pid namespace (Docker: --pid=host)"
            .into()
    });
    no_cgroup2.into_iter().chain(other_pids).collect()
}

impl From<WayIn> for Role {
    fn from(way: WayIn) -> Self {
        let refusal = |refusal: probe::Refusal| {
            let hook = refusal.hook();
            Refusal { hook, reason: refusal.reason, log: refusal.log }
        };
        let refused = way.refused.into_iter().map(refusal).collect();
        Self { role: way.role, taken: way.taken, refused, not_seen: way.not_seen }
    }
}

impl From<probe::Times> for Times {
    fn from(times: probe::Times) -> Self {
        let [trial, load, attach] = [times.trial, times.load, times.attach].map(|time: Duration| time.as_millis());
        Self { trial, load, attach }
    }
}
