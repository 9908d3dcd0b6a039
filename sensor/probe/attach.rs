//! Attaches the probes, each role by the best way in that this kernel takes. Each refusal is kept with its
//! reason, for the start document and `dnstrail doctor`. `load` loads the programs.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libbpf_rs::skel::Skel;
use libbpf_rs::{Iter, Link, ProgramMut, libbpf_sys};

use super::check::{Check, Sight};
use super::controls::Controls;
use super::load::{Skeleton, is_bpf_refused, is_left_out, listen, load, place, try_out};
use super::program::{Place, candidates, programs};
use super::refusal::{Refusal, WayIn};
use super::ring::{Ring, monotonic};
use super::settings::{Hooks, Settings};
use super::support::{MOUNT_CGROUP2, Support};
use crate::event::program::{Attach, Program, Skipped, Way};
use crate::event::{self, Command, Event, TaskKey};
use crate::metrics::Metrics;
use crate::skeleton::types::loss;

/// How long it took until the probes were attached.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Ways in that may be refused are tried with an empty program.
    pub trial: Duration,
    /// The programs are fitted to this kernel and verified.
    pub load: Duration,
    /// The time to attach, with the reading of processes that run already.
    pub attach: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the probes need root, or the capabilities {}: run it with sudo", .0.join(", "))]
    Privilege(Vec<&'static str>),
    #[error(
        "this kernel ({0}) does not show its types (/sys/kernel/btf/vmlinux is missing), and the probes are fitted to \
         them: boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' kernels are since Linux 5.8"
    )]
    NoBtf(String),
    #[error(
        "no cgroup v2 hierarchy is mounted, and this kernel's packets are seen there: mount it with `{MOUNT_CGROUP2}`"
    )]
    NoCgroup2(Vec<Refusal>),
    #[error(
        "this container has a cgroup namespace of its own, so only its own packets would be seen: run dnstrail on the \
         host, or in the host's cgroup namespace (Docker: --cgroupns host)"
    )]
    CgroupNamespace,
    #[error(
        "the bpf system call is refused to this process, in spite of its capabilities, as the seccomp profiles of \
         containers do: run dnstrail on the host, or allow `bpf` in the profile (Docker: --security-opt \
         seccomp=unconfined)"
    )]
    BpfRefused,
    #[error(
        "--hooks {way} is not possible here (leave --hooks out to take the best that is): the kernel refuses {}",
        last(refused)
    )]
    Hooks { way: &'static str, refused: Vec<Refusal> },
    #[error("the kernel refuses {}", last(.0))]
    Refused(Vec<Refusal>),
    #[error("what the kernel's side and the sensor share cannot be used: {0}")]
    Shared(String),
}

impl AttachError {
    /// The roles, each with its way in and its refusals, as far as it was tried.
    #[must_use]
    pub fn ways_in(&self) -> Vec<WayIn> {
        match self {
            Self::NoCgroup2(refused) | Self::Hooks { refused, .. } | Self::Refused(refused) => {
                WayIn::of_roles(refused.iter().map(|refusal| refusal.program), &[], refused)
            }
            Self::Privilege(_) | Self::NoBtf(_) | Self::CgroupNamespace | Self::BpfRefused | Self::Shared(_) => {
                Vec::new()
            }
        }
    }
}

/// The refusal after which nothing was left to try.
fn last(refused: &[Refusal]) -> String {
    refused.last().map(ToString::to_string).unwrap_or_default()
}

/// The attached probes. Dropped, they leave nothing behind in the kernel.
pub struct Probes {
    ring: Ring,
    /// Attached as long as they are held.
    links: Links,
    /// The links of those programs that read packets and that the kernel may skip: the ones of traced functions,
    /// where no cgroup v2 is mounted. Their counts are read also when the programs are detached.
    traced: Vec<&'static Program>,
    /// The program that sees connections, if it was taken; and its skipped runs that are counted or did not matter.
    connects: Option<&'static Program>,
    skipped: Cell<u64>,
    /// Records of the processes that ran before, until they are handed out.
    before: Vec<u8>,
    /// The commands that the events of one record ask for.
    commands: Vec<Command>,
    controls: Controls,
    check: Check,
    /// Where the cgroup v2 hierarchy is mounted.
    cgroup: Option<PathBuf>,
    skeleton: Skeleton,
    ways_in: Vec<WayIn>,
    times: Times,
}

impl Probes {
    /// Loads and attaches. [`Probes::drain`] hands out the events from then on.
    ///
    /// # Errors
    /// The lack of this host, in one sentence with the remedy.
    pub fn open(settings: &Settings) -> Result<Self, AttachError> {
        let support = Support::read("/".as_ref());
        if !support.missing_capabilities.is_empty() {
            return Err(AttachError::Privilege(support.missing_capabilities));
        }
        if !support.btf {
            return Err(AttachError::NoBtf(support.kernel));
        }
        if !support.host_cgroups {
            return Err(AttachError::CgroupNamespace);
        }
        if is_bpf_refused() {
            return Err(AttachError::BpfRefused);
        }
        let mut refused = Vec::new();
        let mut times = Times::default();
        let programs = programs(&settings.programs);
        let (skeleton, links) = open_best(settings, &programs, support.cgroup2.as_deref(), &mut refused, &mut times)?;
        let mut taken: Vec<_> = links.iter().map(|(program, _)| *program).collect();
        let mut before = Vec::new();
        taken.extend(timed(&mut times.attach, || iterate(&skeleton, &programs, &mut refused, &mut before)));
        let ways_in = WayIn::of_roles(programs.iter().copied(), &taken, &refused);
        let idle = skeleton
            .maps
            .bss_data
            .as_deref()
            .map_or(std::ptr::null_mut(), |bss| (&raw const bss.reader_idle).cast_mut());
        if idle.is_null() {
            return Err(AttachError::Shared("the object has no .bss".into()));
        }
        // SAFETY: mapped and aligned as long as `skeleton` lives; the ring is dropped before it.
        let idle = unsafe { AtomicU32::from_ptr(idle) };
        let ring = skeleton
            .maps
            .ring
            .as_fd()
            .try_clone_to_owned()
            .and_then(|map| Ok(Ring::new(map, settings.ring_bytes, idle)?))
            .map_err(|error| AttachError::Shared(format!("the ring: {error}")))?;
        let with =
            |skipped| links.iter().map(|(program, _)| *program).filter(move |program| program.skipped == skipped);
        let traced = with(Skipped::Packets).filter(|_| support.cgroup2.is_none()).collect();
        let connects = with(Skipped::Connections).next();
        Ok(Self {
            ring,
            links,
            traced,
            connects,
            skipped: Cell::default(),
            before,
            commands: Vec::new(),
            controls: Controls::default(),
            check: Check::new(&settings.ports),
            cgroup: support.cgroup2,
            skeleton,
            ways_in,
            times,
        })
    }

    /// Hands out a bounded number of events; processes that ran before the start come first. The commands of `handle`
    /// are applied before the event's record is given back to the ring. True: there may be more.
    pub fn drain(&mut self, metrics: &Metrics, handle: &mut impl FnMut(&Event<'_>, &mut Vec<Command>)) -> bool {
        let Self { ring, before, commands, controls, check, skeleton, .. } = self;
        ring.read_clock();
        let mut take = |record: &[u8], clock| {
            match event::decode(record, clock) {
                Ok(Event::Packet(packet)) if check.takes(&packet) => {}
                Ok(event) => handle(&event, commands),
                Err(_) => metrics.losses.record_invalid.add(1),
            }
            for command in commands.drain(..) {
                controls.apply(skeleton, &command);
            }
        };
        for record in process_records(&std::mem::take(before)) {
            take(record, ring.clock());
        }
        let begun = monotonic();
        let more = ring.drain(&mut take);
        if ring.is_drained() {
            controls.judge(skeleton, begun);
        }
        more
    }

    /// Looks whether the kernel side still sees, every ten seconds, and puts back hooks that lost their program.
    pub fn check(&mut self) -> Vec<Sight> {
        let Self { links, check, skeleton, cgroup, .. } = self;
        check.turn(monotonic(), links, |program| attach_one(skeleton, program, cgroup.as_deref())?.ok())
    }

    /// Sleeps until there may be records, one of `others` is readable, or a tick is due; no longer than `most`.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], most: Option<Duration>) {
        self.ring.wait(others, most);
    }

    /// Most bytes of the ring that waited when they were drained, since this was last asked.
    pub fn take_fill(&mut self) -> u64 {
        self.ring.take_fill()
    }

    /// Does what the sensor asks of the kernel side.
    pub fn apply(&mut self, command: &Command) {
        self.controls.apply(&self.skeleton, command);
    }

    /// Nothing new enters the ring after this; what is in it can still be drained.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    #[must_use]
    pub fn ways_in(&self) -> &[WayIn] {
        &self.ways_in
    }

    #[must_use]
    pub fn times(&self) -> Times {
        self.times
    }

    /// Processes that sent more than their share since the last call, and how many of their packets were left out.
    pub fn take_sampled(&mut self, metrics: &Metrics) -> Vec<(TaskKey, u64)> {
        self.controls.take_sampled(&self.skeleton, monotonic(), metrics.losses.kernel_packet_budget.get())
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
            (loss::LOSS_PACKET_MUTED, &metrics.losses.kernel_packet_muted),
            (loss::LOSS_PACKET_BUDGET, &metrics.losses.kernel_packet_budget),
            (loss::LOSS_SOCKET_TABLE, &metrics.losses.kernel_socket_table),
        ] {
            if let Some(lost) = bss.losses.get(place.0 as usize) {
                // SAFETY: mapped, aligned, and written by the kernel side with atomic adds only.
                count.set(unsafe { AtomicU64::from_ptr((&raw const *lost).cast_mut()) }.load(Ordering::Relaxed));
            }
        }
        // A skipped task probe loses nothing: the process is introduced with its first message.
        let skipped = self
            .traced
            .iter()
            .filter_map(|program| find(&self.skeleton, program))
            .map(|program| skipped_runs(&program));
        metrics.losses.kernel_probe_skipped.set(skipped.sum());
        let skipped = self.connects.and_then(|program| find(&self.skeleton, program));
        let skipped = skipped.map_or(0, |program| skipped_runs(&program));
        let growth = skipped.saturating_sub(self.skipped.replace(skipped));
        if self.controls.watches() {
            metrics.losses.kernel_connection_skipped.add(growth);
        }
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

type Links = Vec<(&'static Program, Link)>;

/// Takes the best way in that loads and attaches; what did not is kept in `refused`.
fn open_best(
    settings: &Settings,
    programs: &[&'static Program],
    cgroup: Option<&Path>,
    refused: &mut Vec<Refusal>,
    times: &mut Times,
) -> Result<(Skeleton, Links), AttachError> {
    for way in candidates(settings.hooks) {
        if *way == Way::Cgroup && cgroup.is_none() {
            return Err(AttachError::NoCgroup2(std::mem::take(refused)));
        }
        let open = timed(&mut times.trial, || try_out(*way, programs).map(|()| place(*way, cgroup.is_some())))
            .and_then(|place| Ok((place, timed(&mut times.load, || load(settings, place, programs, refused))?)))
            .and_then(|(place, skeleton)| {
                let links = timed(&mut times.attach, || attach(&skeleton, place, programs, cgroup, refused))?;
                Ok((skeleton, links))
            });
        match open {
            Ok(open) => return Ok(open),
            Err(refusal) => {
                // A program of all ways is refused in each: the last refusal stays.
                refused.retain(|earlier| earlier.program.name != refusal.program.name);
                refused.push(refusal);
            }
        }
    }
    let refused = std::mem::take(refused);
    Err(match settings.hooks {
        Hooks::Auto => AttachError::Refused(refused),
        _ => AttachError::Hooks { way: candidates(settings.hooks)[0].name(), refused },
    })
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = work();
    *sum += start.elapsed();
    outcome
}

/// Attaches what was loaded, in the order of the table; leaves out optional programs that the kernel refuses.
fn attach(
    skeleton: &Skeleton,
    place: Place,
    programs: &[&'static Program],
    cgroup: Option<&Path>,
    refused: &mut Vec<Refusal>,
) -> Result<Links, Refusal> {
    let mut links = Links::new();
    for program in programs.iter().copied() {
        if !place.wants(program) || program.attach == Attach::Iterator || is_left_out(program, refused) {
            continue;
        }
        let Some(link) = attach_one(skeleton, program, cgroup) else { continue };
        match link {
            Ok(link) => links.push((program, link)),
            Err(refusal) if program.is_optional() => refused.push(refusal),
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(links)
}

/// The attached program. `None`: the program was not loaded.
fn attach_one(skeleton: &Skeleton, program: &'static Program, cgroup: Option<&Path>) -> Option<Result<Link, Refusal>> {
    let loaded = find(skeleton, program)?;
    let link = listen(|| match (program.attach, cgroup) {
        (Attach::Cgroup, Some(root)) => loaded.attach_cgroup(File::open(root)?.as_raw_fd()),
        _ => loaded.attach(),
    });
    Some(link.map_err(|(said, error)| Refusal::new(program, &said, &error)))
}

fn find<'a>(skeleton: &'a Skeleton, program: &Program) -> Option<ProgramMut<'a>> {
    skeleton.object().progs_mut().find(|loaded| loaded.name() == program.name)
}

/// Runs the iterators, which list the processes that run already and the holders of open sockets. Appends process
/// records.
fn iterate(
    skeleton: &Skeleton,
    programs: &[&'static Program],
    refused: &mut Vec<Refusal>,
    records: &mut Vec<u8>,
) -> Vec<&'static Program> {
    let mut taken = Vec::new();
    for program in programs.iter().copied().filter(|program| program.attach == Attach::Iterator) {
        if is_left_out(program, refused) {
            continue;
        }
        let Some(loaded) = find(skeleton, program) else { continue };
        match listen(|| read(&loaded)) {
            Ok(bytes) => {
                taken.push(program);
                records.extend_from_slice(&bytes);
            }
            Err((said, error)) => refused.push(Refusal::new(program, &said, &error)),
        }
    }
    taken
}

fn read(iterator: &ProgramMut<'_>) -> libbpf_rs::Result<Vec<u8>> {
    let link = iterator.attach()?;
    let mut bytes = Vec::new();
    Iter::new(&link)?.read_to_end(&mut bytes)?;
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
