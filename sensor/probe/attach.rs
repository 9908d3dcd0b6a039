//! Loads the probes and attaches them, each role by the best way in that this kernel takes. What
//! was refused, and why, is kept: it is shown at start and by `dnstrail doctor`.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapType, OpenObject, PrintLevel, ProgramMut, libbpf_sys};

use super::program::{Attach, PROGRAMS, Program, Role, Way};
use super::ring::Ring;
use super::support::Support;
use super::watched::Watched;
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
    /// Bytes of the ring: a power of two of whole pages.
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
    #[error(
        "the bpf system call is refused to this process, in spite of its capabilities, as the seccomp profiles of \
         containers do: run dnstrail on the host, or allow `bpf` in the profile (Docker: --security-opt \
         seccomp=unconfined)"
    )]
    BpfRefused,
    #[error(
        "--hooks {0} is not possible here: the kernel refuses {1}: {2}; leave --hooks out to take the best that is"
    )]
    Hooks(&'static str, &'static str, String),
    #[error("the kernel refused the probes: {0}")]
    Load(String),
}

/// The attached probes. Dropped, they leave nothing behind in the kernel.
pub struct Probes {
    ring: Ring,
    /// Attached as long as they are held.
    links: Links,
    /// Those of them that read packets and that the kernel may skip: the functions', where no cgroup v2 is
    /// mounted. Their counts are read also when they are detached.
    traced: Vec<&'static Program>,
    /// The one that sees connections, if it was taken; and its skipped runs that are counted or did not matter.
    connects: Option<&'static Program>,
    skipped: Cell<u64>,
    watching: Rc<Cell<usize>>,
    skeleton: DnstrailSkel<'static>,
    ways_in: Vec<WayIn>,
}

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
        if is_bpf_refused() {
            return Err(AttachError::BpfRefused);
        }
        let mut refused = Vec::new();
        let (skeleton, links) = open_best(settings, support.cgroup2.as_deref(), &mut refused)?;
        let taken = iterate(&skeleton, &mut refused, &mut handle);
        let ways_in = ways_in(links.iter().map(|(program, _)| *program).chain(taken), &refused);
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
        let traced = links
            .iter()
            .map(|(program, _)| *program)
            .filter(|program| support.cgroup2.is_none() && ![Role::Tasks, Role::Connects].contains(&program.role))
            .collect();
        let connects = links.iter().map(|(program, _)| *program).find(|program| program.role == Role::Connects);
        let (skipped, watching) = (Cell::default(), Rc::default());
        Ok(Self { ring, links, traced, connects, skipped, watching, skeleton, ways_in })
    }

    pub fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// Nothing new enters the ring after this; what is in it can still be drained.
    pub fn detach(&mut self) {
        self.links.clear();
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
            (loss::LOSS_CONNECTION_RING, &metrics.losses.kernel_connection_ring),
            (loss::LOSS_CONNECTION_TABLE, &metrics.losses.kernel_connection_table),
        ] {
            if let Some(lost) = bss.losses.get(place.0 as usize) {
                // SAFETY: mapped, aligned, and written by the kernel side with atomic adds only.
                count.set(unsafe { AtomicU64::from_ptr((&raw const *lost).cast_mut()) }.load(Ordering::Relaxed));
            }
        }
        // Of a task probe that was skipped nothing is lost: the process is introduced with its first message.
        let skipped = self
            .traced
            .iter()
            .filter_map(|program| find(&self.skeleton, program))
            .map(|program| skipped_runs(&program));
        metrics.losses.kernel_probe_skipped.set(skipped.sum());
        let skipped = self.connects.and_then(|program| find(&self.skeleton, program));
        let skipped = skipped.map_or(0, |program| skipped_runs(&program));
        let growth = skipped.saturating_sub(self.skipped.replace(skipped));
        if self.watching.get() > 0 {
            metrics.losses.kernel_connection_skipped.add(growth);
        }
    }

    /// Stops sending the packets of a TCP connection that turned out to carry no DNS.
    pub fn mute(&self, socket: u64) {
        // A full table forgets the oldest: its packets are looked at again, and nothing is lost.
        let _ = self.skeleton.maps.muted.update(&socket.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY);
    }
}

impl Probes {
    /// Connections are followed from now on.
    pub fn want_connections(&self) {
        if let Some(bss) = self.skeleton.maps.bss_data.as_deref() {
            // SAFETY: mapped and aligned; the kernel side only reads it.
            let wanted = unsafe { AtomicU32::from_ptr((&raw const bss.connections_wanted).cast_mut()) };
            wanted.store(1, Ordering::Relaxed);
        }
    }

    /// Where the sensor says which connections it means.
    ///
    /// # Errors
    /// A descriptor that cannot be duplicated.
    pub fn watched(&self) -> Result<Watched, AttachError> {
        Watched::new(&self.skeleton.maps.watched, &self.skeleton.maps.connections, &self.watching)
            .map_err(|error| AttachError::Load(format!("the map of watched addresses cannot be shared: {error}")))
    }
}

/// How often the kernel did not run a program because it was running on that processor already
/// (`bpf_prog_info.recursion_misses`, since Linux 5.12; of kprobes since 6.7).
#[allow(unsafe_code)]
fn skipped_runs(program: &ProgramMut<'_>) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = u32::try_from(size_of_val(&info)).unwrap_or_default();
    let descriptor = program.as_fd().as_raw_fd();
    // SAFETY: both pointers are to live values, and `size` is that of `info`.
    let failed = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(descriptor, &raw mut info, &raw mut size) };
    if failed == 0 { info.recursion_misses } else { 0 }
}

/// Whether even the plainest map is refused, which every kernel knows: then it is not about the probes.
fn is_bpf_refused() -> bool {
    !MapType::Array.is_supported().is_ok_and(|supported| supported)
}

thread_local! {
    /// What libbpf says while it loads; shown when it fails.
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A program that the kernel refused, and its reason.
type Refusal = (&'static Program, String);
type Links = Vec<(&'static Program, Link)>;
type Skeleton = DnstrailSkel<'static>;

/// Takes the best way in that loads and attaches; what did not is kept in `refused`.
fn open_best(
    settings: &Settings,
    cgroup: Option<&Path>,
    refused: &mut Vec<Refusal>,
) -> Result<(Skeleton, Links), AttachError> {
    for way in Way::candidates(settings.hooks) {
        if *way == Way::Cgroup && cgroup.is_none() {
            return Err(AttachError::NoCgroup2);
        }
        match load(settings, *way, cgroup.is_some(), refused)
            .and_then(|skeleton| attach(&skeleton, *way, cgroup, refused).map(|links| (skeleton, links)))
        {
            Ok(open) => return Ok(open),
            Err(refusal) => refused.push(refusal),
        }
    }
    let (program, reason) = refused.pop().ok_or_else(|| AttachError::Load("no way in was tried".into()))?;
    Err(match settings.hooks {
        Hooks::Auto => AttachError::Load(format!("{}: {reason}", program.hook)),
        _ => AttachError::Hooks(Way::candidates(settings.hooks)[0].name(), program.hook, reason),
    })
}

/// Loads what `way` needs; leaves out optional programs that the kernel refuses.
fn load(settings: &Settings, way: Way, cgroup2: bool, refused: &mut Vec<Refusal>) -> Result<Skeleton, Refusal> {
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| LOG.with_borrow_mut(|log| log.push_str(&text)))));
    let mut left_out: Vec<&str> = Vec::new();
    loop {
        LOG.take();
        let wanted = |program: &Program| program.is_wanted(way, cgroup2) && !left_out.contains(&program.name);
        let error = match open(settings, cgroup2, wanted).and_then(OpenSkel::load) {
            Ok(skeleton) => return Ok(skeleton),
            Err(error) => error,
        };
        let log = LOG.take();
        let culprit = PROGRAMS.iter().find(|program| log.contains(&format!("prog '{}': failed", program.name)));
        match culprit {
            Some(program) if program.not_seen_without.is_some() && !left_out.contains(&program.name) => {
                left_out.push(program.name);
                refused.push((program, reason(&log, &error)));
            }
            // Not about one program (no memory, no privilege): told under the first.
            _ => return Err((culprit.unwrap_or(&PROGRAMS[0]), reason(&log, &error))),
        }
    }
}

fn open(
    settings: &Settings,
    cgroup2: bool,
    wanted: impl Fn(&Program) -> bool,
) -> libbpf_rs::Result<OpenDnstrailSkel<'static>> {
    // The object must outlive the skeleton that borrows it; this is one pointer for each load.
    let object: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut skeleton = DnstrailSkelBuilder::default().open(object)?;
    skeleton.maps.ring.set_max_entries(settings.ring_bytes)?;
    if let Some(rodata) = skeleton.maps.rodata_data.as_deref_mut() {
        for port in &settings.ports {
            rodata.dns_ports[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        rodata.observe = match settings.observe {
            Observe::Clients => 1,
            Observe::Servers => 2,
            Observe::All => 3,
        };
        rodata.packets_at_cgroup = cgroup2;
    }
    for mut loaded in skeleton.open_object_mut().progs_mut() {
        let program = PROGRAMS.iter().find(|program| loaded.name() == program.name);
        loaded.set_autoload(program.is_some_and(&wanted));
    }
    Ok(skeleton)
}

/// The sentence that matters in a log of many: the verifier's last words, else libbpf's first.
fn reason(log: &str, error: &libbpf_rs::Error) -> String {
    let told = log
        .split_once("-- END PROG LOAD LOG --")
        .and_then(|(verifier, _)| {
            verifier.lines().rev().map(str::trim).find(|line| {
                !line.is_empty()
                    && !line.starts_with("processed ")
                    && !line.starts_with("--")
                    && !line.ends_with("BEGIN PROG LOAD LOG --")
            })
        })
        .unwrap_or_else(|| log.lines().next().unwrap_or_default().trim_start_matches("libbpf: ").trim());
    if told.is_empty() { error.to_string() } else { format!("{told} ({error})") }
}

/// Attaches what was loaded, in the order of the table.
fn attach(skeleton: &Skeleton, way: Way, cgroup: Option<&Path>, refused: &[Refusal]) -> Result<Links, Refusal> {
    let mut links = Links::new();
    let root = cgroup.and_then(|path| File::open(path).ok());
    for program in &PROGRAMS {
        if !program.is_wanted(way, cgroup.is_some())
            || program.attach == Attach::Iterator
            || refused.iter().any(|(other, _)| other.name == program.name)
        {
            continue;
        }
        let Some(loaded) = find(skeleton, program) else { continue };
        let link = match (program.attach, &root) {
            (Attach::Cgroup, Some(root)) => loaded.attach_cgroup(root.as_raw_fd()),
            _ => loaded.attach(),
        };
        links.push((program, link.map_err(|error| (program, error.to_string()))?));
    }
    Ok(links)
}

fn find<'a>(skeleton: &'a Skeleton, program: &Program) -> Option<ProgramMut<'a>> {
    skeleton.object().progs_mut().find(|loaded| loaded.name() == program.name)
}

/// Runs the iterators: who runs already, and who owns the sockets that are open.
fn iterate(
    skeleton: &Skeleton,
    refused: &mut Vec<Refusal>,
    handle: &mut impl FnMut(&Event<'_>),
) -> Vec<&'static Program> {
    let mut taken = Vec::new();
    for program in PROGRAMS.iter().filter(|program| program.attach == Attach::Iterator) {
        if refused.iter().any(|(other, _)| other.name == program.name) {
            continue;
        }
        let Some(loaded) = find(skeleton, program) else { continue };
        match read(&loaded) {
            Ok(bytes) => {
                taken.push(program);
                for record in process_records(&bytes) {
                    // The time of such a record is not used: the process is older than the sensor.
                    if let Ok(event) = event::decode(record, Clock { epoch: 0 }) {
                        handle(&event);
                    }
                }
            }
            Err(error) => refused.push((program, error)),
        }
    }
    taken
}

fn read(iterator: &ProgramMut<'_>) -> Result<Vec<u8>, String> {
    let link = iterator.attach().map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    Iter::new(&link).map_err(|error| error.to_string())?.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn process_records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (record, tail) = rest.split_at_checked(event::process_record_length(rest)?)?;
        rest = tail;
        Some(record)
    })
}

/// What was taken and what was refused, by role.
fn ways_in(taken: impl Iterator<Item = &'static Program>, refused: &[Refusal]) -> Vec<WayIn> {
    let taken: Vec<_> = taken.collect();
    Role::ALL
        .into_iter()
        .map(|role| WayIn {
            role: role.name(),
            taken: taken.iter().filter(|program| program.role == role).map(|program| program.hook).collect(),
            refused: refused
                .iter()
                .filter(|(program, _)| program.role == role)
                .map(|(program, reason)| (program.hook, reason.clone()))
                .collect(),
            not_seen: refused
                .iter()
                .filter(|(program, _)| program.role == role)
                .find_map(|(program, _)| program.not_seen_without),
        })
        .collect()
}
