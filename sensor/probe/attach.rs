//! Loads the probes and attaches them, each role by the best way in that this kernel takes. What
//! was refused, and why, is kept: it is shown at start and by `dnstrail doctor`.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{Iter, Link, MapCore, MapFlags, OpenObject, PrintLevel, ProgramMut};

use super::ring::Ring;
use super::support::Support;
use crate::event::{self, Clock, Event};
use crate::metrics::Metrics;
use crate::skeleton::types::loss;
use crate::skeleton::{DnstrailSkel, DnstrailSkelBuilder, OpenDnstrailSkel};

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
    /// Bytes of the ring; rounded up to a power of two of pages.
    pub ring_bytes: u32,
}

/// How one role is filled on this kernel.
#[derive(Debug, Clone)]
pub struct WayIn {
    pub role: &'static str,
    /// The hooks that were taken; empty: the role is not filled.
    pub taken: Vec<&'static str>,
    /// Hooks that the kernel refused, and its reason.
    pub refused: Vec<(&'static str, String)>,
    /// What is not seen because of that.
    pub not_seen: Option<&'static str>,
}

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the probes need root, or the capabilities {}: run dnstrail as root", .0.join(", "))]
    Privilege(Vec<&'static str>),
    #[error(
        "this kernel ({0}) does not show its types (/sys/kernel/btf/vmlinux is missing), and the probes are fitted to \
         them: boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' kernels are since Linux 5.8"
    )]
    NoBtf(String),
    #[error(
        "no cgroup v2 hierarchy is mounted, and this kernel's packets are seen there: \
         mount it with `mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2`"
    )]
    NoCgroup2,
    #[error("--hooks {0} is not possible: {1}")]
    Hooks(&'static str, String),
    #[error("the kernel refused to load the probes: {0}")]
    Load(String),
    #[error("{0} could not be attached: {1}")]
    Attach(&'static str, libbpf_rs::Error),
}

/// The attached probes. Dropped, they leave nothing behind in the kernel.
pub struct Probes {
    ring: Ring,
    /// Attached as long as they are held.
    _links: Vec<Link>,
    skeleton: DnstrailSkel<'static>,
    ways_in: Vec<WayIn>,
}

/// Programs that may be refused without loss of the rest: program, hook, what is not seen then.
const OPTIONAL: [(&str, &str, &str); 2] = [
    (
        "sock_send_length",
        "tp_btf/sock_send_length",
        "which of several processes that share one TCP connection queued bytes that leave later",
    ),
    ("sockets_before", "iter/task_file", "the owner of a socket opened before the start, until it sends"),
];

impl Probes {
    /// Loads and attaches. `handle` gets every event; processes that run already come first.
    ///
    /// # Errors
    /// What this host lacks, in one sentence with the remedy.
    pub fn open(
        settings: &Settings,
        metrics: &Arc<Metrics>,
        mut handle: impl FnMut(&Event<'_>) + 'static,
    ) -> Result<Self, AttachError> {
        let support = Support::read("/".as_ref());
        if !support.missing_capabilities.is_empty() {
            return Err(AttachError::Privilege(support.missing_capabilities));
        }
        if !support.btf {
            return Err(AttachError::NoBtf(support.kernel));
        }
        if matches!(settings.hooks, Hooks::Fentry | Hooks::Kprobe) {
            let name = if settings.hooks == Hooks::Fentry { "fentry" } else { "kprobe" };
            return Err(AttachError::Hooks(name, "this version attaches to cgroups only".into()));
        }
        let cgroup = support.cgroup2.ok_or(AttachError::NoCgroup2)?;
        let (skeleton, refused) = load(settings)?;
        let (links, mut ways_in) = attach(&skeleton, cgroup, &refused)?;
        ways_in.push(iterate(&skeleton, &refused, &mut handle));
        let idle = skeleton
            .maps
            .bss_data
            .as_deref()
            .map_or(std::ptr::null_mut(), |bss| (&raw const bss.reader_idle).cast_mut());
        if idle.is_null() {
            return Err(AttachError::Load("the object has no .bss".into()));
        }
        // SAFETY: mapped and aligned as long as `skeleton` lives; the ring is dropped before it.
        let idle = unsafe { AtomicU32::from_ptr(idle) };
        let ring = Ring::new(&skeleton.maps.ring, idle, Arc::clone(metrics), handle)
            .map_err(|error| AttachError::Load(format!("the ring cannot be mapped: {error}")))?;
        Ok(Self { ring, _links: links, skeleton, ways_in })
    }

    pub fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    #[must_use]
    pub fn ways_in(&self) -> &[WayIn] {
        &self.ways_in
    }

    /// Copies the kernel side's loss counts into `metrics`.
    pub fn count_losses(&self, metrics: &Metrics) {
        let Some(bss) = self.skeleton.maps.bss_data.as_deref() else { return };
        for (place, count) in [
            (loss::LOSS_PACKET_RING, &metrics.losses.kernel_packet_ring),
            (loss::LOSS_PROCESS_RING, &metrics.losses.kernel_process_ring),
            (loss::LOSS_PACKET_READ, &metrics.losses.kernel_packet_read),
            (loss::LOSS_PACKET_CUT, &metrics.losses.kernel_packet_cut),
        ] {
            if let Some(lost) = bss.losses.get(place.0 as usize) {
                // SAFETY: mapped, aligned, and written by the kernel side with atomic adds only.
                count.set(unsafe { AtomicU64::from_ptr((&raw const *lost).cast_mut()) }.load(Ordering::Relaxed));
            }
        }
    }

    /// Stops sending the packets of a TCP connection that turned out to carry no DNS.
    pub fn mute(&self, socket: u64) {
        // A full table forgets the oldest: its packets are looked at again, and nothing is lost.
        let _ = self.skeleton.maps.muted.update(&socket.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY);
    }
}

thread_local! {
    /// What libbpf says while it loads; shown when it fails.
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A hook that was refused, and the kernel's reason.
type Refused = Vec<(&'static str, String)>;

/// Loads all programs; leaves out optional ones that the kernel refuses.
fn load(settings: &Settings) -> Result<(DnstrailSkel<'static>, Refused), AttachError> {
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| LOG.with_borrow_mut(|log| log.push_str(&text)))));
    let mut refused = Refused::new();
    loop {
        LOG.take();
        let error = match open(settings, &refused).and_then(OpenSkel::load) {
            Ok(skeleton) => return Ok((skeleton, refused)),
            Err(error) => error,
        };
        let log = LOG.take();
        let optional = OPTIONAL.iter().find(|(program, ..)| {
            log.contains(&format!("prog '{program}': failed")) && !refused.iter().any(|(name, _)| name == program)
        });
        match optional {
            Some((program, ..)) => refused.push((program, reason(&log, &error))),
            None => return Err(AttachError::Load(reason(&log, &error))),
        }
    }
}

fn open(settings: &Settings, refused: &Refused) -> libbpf_rs::Result<OpenDnstrailSkel<'static>> {
    // The object must outlive the skeleton that borrows it; this is one pointer for each load.
    let object: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut skeleton = DnstrailSkelBuilder::default().open(object)?;
    skeleton.maps.ring.set_max_entries(ring_bytes(settings.ring_bytes))?;
    if let Some(rodata) = skeleton.maps.rodata_data.as_deref_mut() {
        for port in &settings.ports {
            rodata.dns_ports[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        rodata.observe = match settings.observe {
            Observe::Clients => 1,
            Observe::Servers => 2,
            Observe::All => 3,
        };
    }
    let optional = |program: &str| !refused.iter().any(|(name, _)| *name == program);
    skeleton.progs.sock_send_length.set_autoload(optional("sock_send_length"));
    skeleton.progs.sockets_before.set_autoload(optional("sockets_before"));
    Ok(skeleton)
}

/// The kernel takes a power of two of whole pages.
fn ring_bytes(wanted: u32) -> u32 {
    const LEAST: u32 = 1 << 18;
    wanted.clamp(LEAST, 1 << 30).next_power_of_two()
}

/// The sentence that matters in a log of many: the verifier's last words, else libbpf's first.
fn reason(log: &str, error: &libbpf_rs::Error) -> String {
    let told = log
        .lines()
        .map(|line| line.trim_start_matches("libbpf: ").trim())
        .find(|line| line.contains("failed to find") || line.contains("not found") || line.contains("unknown func"))
        .or_else(|| {
            let (verifier, _) = log.split_once("-- END PROG LOAD LOG --")?;
            verifier
                .lines()
                .rev()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with("processed ") && !line.starts_with("--"))
        })
        .unwrap_or_else(|| log.lines().next().unwrap_or_default().trim_start_matches("libbpf: ").trim());
    if told.is_empty() { error.to_string() } else { format!("{told} ({error})") }
}

fn attach(
    skeleton: &DnstrailSkel<'_>,
    cgroup: PathBuf,
    refused: &Refused,
) -> Result<(Vec<Link>, Vec<WayIn>), AttachError> {
    let mut links = Vec::new();
    let programs = &skeleton.progs;
    let mut tracing = |name, program: &ProgramMut<'_>| -> Result<&'static str, AttachError> {
        links.push(program.attach().map_err(|error| AttachError::Attach(name, error))?);
        Ok(name)
    };
    // Tasks first: from here on every process that can send is introduced.
    let tasks = vec![
        tracing("tp_btf/sched_process_exec", &programs.process_exec)?,
        tracing("tp_btf/sched_process_fork", &programs.process_fork)?,
        tracing("tp_btf/sched_process_exit", &programs.process_exit)?,
    ];
    let mut sends = Vec::new();
    let late = way_in_refused("sock_send_length", refused);
    if late.is_empty() {
        sends.push(tracing("tp_btf/sock_send_length", &programs.sock_send_length)?);
    }
    let root = File::open(&cgroup).map_err(|_| AttachError::NoCgroup2)?;
    let mut on_cgroup = |name, program: &ProgramMut<'_>| -> Result<&'static str, AttachError> {
        links.push(program.attach_cgroup(root.as_raw_fd()).map_err(|error| AttachError::Attach(name, error))?);
        Ok(name)
    };
    for (name, program) in [
        ("cgroup/connect4", &programs.cgroup_connect4),
        ("cgroup/connect6", &programs.cgroup_connect6),
        ("cgroup/sendmsg4", &programs.cgroup_sendmsg4),
        ("cgroup/sendmsg6", &programs.cgroup_sendmsg6),
    ] {
        sends.push(on_cgroup(name, program)?);
    }
    let back = on_cgroup("cgroup_skb/ingress", &programs.cgroup_ingress)?;
    let leaves = on_cgroup("cgroup_skb/egress", &programs.cgroup_egress)?;
    let not_seen = OPTIONAL.iter().find(|(name, ..)| *name == "sock_send_length" && !late.is_empty());
    let whole = |role, taken| WayIn { role, taken, refused: Vec::new(), not_seen: None };
    Ok((
        links,
        vec![
            WayIn { role: "who sends", taken: sends, refused: late, not_seen: not_seen.map(|(.., text)| *text) },
            whole("what leaves", vec![leaves]),
            whole("what comes back", vec![back]),
            whole("who a task is", tasks),
        ],
    ))
}

/// The refusal of one optional program, by the name of its hook.
fn way_in_refused(program: &str, refused: &Refused) -> Refused {
    let hook = OPTIONAL.iter().find(|(name, ..)| *name == program).map_or("", |(_, hook, _)| *hook);
    refused.iter().filter(|(name, _)| *name == program).map(|(_, reason)| (hook, reason.clone())).collect()
}

/// Runs the iterators: who runs already, and who owns the sockets that are open.
fn iterate(skeleton: &DnstrailSkel<'_>, refused: &Refused, handle: &mut impl FnMut(&Event<'_>)) -> WayIn {
    let mut way = WayIn {
        role: "what was there before",
        taken: Vec::new(),
        refused: way_in_refused("sockets_before", refused),
        not_seen: None,
    };
    let read = |program: &ProgramMut<'_>| -> Result<Vec<u8>, String> {
        let link = program.attach().map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let mut iterator = Iter::new(&link).map_err(|error| error.to_string())?;
        iterator.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    match read(&skeleton.progs.tasks_before) {
        Ok(bytes) => {
            way.taken.push("iter/task");
            for record in process_records(&bytes) {
                // Times in these records are not used: the processes are older than the sensor.
                if let Ok(event) = event::decode(record, Clock { epoch: 0 }) {
                    handle(&event);
                }
            }
        }
        Err(reason) => way.refused.push(("iter/task", reason)),
    }
    if way.refused.iter().all(|(hook, _)| *hook != "iter/task_file") {
        match read(&skeleton.progs.sockets_before) {
            Ok(_) => way.taken.push("iter/task_file"),
            Err(reason) => way.refused.push(("iter/task_file", reason)),
        }
    }
    if !way.refused.is_empty() {
        way.not_seen = Some(OPTIONAL[1].2);
    }
    way
}

fn process_records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (record, tail) = rest.split_at_checked(event::process_record_length(rest)?)?;
        rest = tail;
        Some(record)
    })
}
