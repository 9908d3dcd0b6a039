//! Attaches the probes, each role by the best way in that this kernel takes, and holds what is attached. Each
//! refusal is kept with its reason, for the start document and `dnstrail doctor`. `load` loads the programs.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::skel::Skel;
use libbpf_rs::{Iter, Link, ProgramMut, libbpf_sys};
use serde::{Deserialize, Serialize};

use super::controls::Controls;
use super::load::{Skeleton, is_bpf_refused, is_left_out, listen, load, place, try_out};
use super::program::{Place, candidates, programs};
use super::refusal::{Refusal, WayIn};
use super::settings::{Hooks, Settings};
use super::support::{MOUNT_CGROUP2, Support};
use crate::event::program::{Attach, Program, Skipped, Way};
use crate::event::{Command, TaskKey};

/// How long it took until the probes were attached.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Times {
    /// Ways in that may be refused are tried with an empty program.
    pub trial: Duration,
    /// The programs are fitted to this kernel and verified.
    pub load: Duration,
    /// The time to attach, with the reading of processes that run already.
    pub attach: Duration,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum AttachError {
    #[error("the probes need root, or the capabilities {}: run it with sudo", .0.join(", "))]
    Privilege(Vec<String>),
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
    Hooks { way: String, refused: Vec<Refusal> },
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
pub(super) struct Attached {
    /// Attached as long as they are held.
    links: Links,
    /// The links of those programs that read packets and that the kernel may skip: the ones of traced functions,
    /// where no cgroup v2 is mounted. Their counts are read also when the programs are detached.
    traced: Vec<&'static Program>,
    /// The program that sees connections, if it was taken.
    connects: Option<&'static Program>,
    controls: Controls,
    /// Where the cgroup v2 hierarchy is mounted.
    cgroup: Option<PathBuf>,
    skeleton: Skeleton,
    pub(super) opening: Opening,
}

/// The outcome of attaching.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Opening {
    /// Names of the programs that were taken.
    pub taken: Vec<String>,
    pub refused: Vec<Refusal>,
    pub times: Times,
    /// Records of the processes that ran before.
    #[serde(skip)]
    pub before: Vec<u8>,
}

impl Attached {
    /// Loads and attaches.
    ///
    /// # Errors
    /// The lack of this host, in one sentence with the remedy.
    pub(super) fn open(settings: &Settings) -> Result<Self, AttachError> {
        let support = Support::read("/".as_ref());
        if !support.missing_capabilities.is_empty() {
            let missing = support.missing_capabilities.iter().map(|name| (*name).to_owned()).collect();
            return Err(AttachError::Privilege(missing));
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
        let mut opening = Opening::default();
        let Opening { refused, times, before, .. } = &mut opening;
        let programs = programs(&settings.programs);
        let (skeleton, links) = open_best(settings, &programs, support.cgroup2.as_deref(), refused, times)?;
        let mut taken: Vec<_> = links.iter().map(|(program, _)| *program).collect();
        taken.extend(timed(&mut times.attach, || iterate(&skeleton, &programs, refused, before)));
        opening.taken = taken.iter().map(|program| program.name.to_owned()).collect();
        let with =
            |skipped| links.iter().map(|(program, _)| *program).filter(move |program| program.skipped == skipped);
        let traced = with(Skipped::Packets).filter(|_| support.cgroup2.is_none()).collect();
        let connects = with(Skipped::Connections).next();
        let controls = Controls::default();
        Ok(Self { links, traced, connects, controls, cgroup: support.cgroup2, skeleton, opening })
    }

    /// The maps that the reader shares with the kernel: the ring, and the flags and counts.
    pub(super) fn shared(&self) -> [BorrowedFd<'_>; 2] {
        [self.skeleton.maps.ring.as_fd(), self.skeleton.maps.bss.as_fd()]
    }

    /// The links that lost their program, by their place in [`PROGRAMS`], and whether another one took its place.
    pub(super) fn mend(&mut self) -> Vec<(&'static Program, bool)> {
        let Self { links, skeleton, cgroup, .. } = self;
        let mut lost = Vec::new();
        for (program, link) in links.iter_mut().filter(|(_, link)| !is_attached(link)) {
            let again = attach_one(skeleton, program, cgroup.as_deref()).and_then(Result::ok);
            lost.push((*program, again.is_some()));
            if let Some(again) = again {
                *link = again;
            }
        }
        lost
    }

    /// Does what the sensor asks of the kernel side.
    pub(super) fn apply(&mut self, command: &Command) {
        self.controls.apply(&self.skeleton, command);
    }

    /// See [`Controls::judge`].
    pub(super) fn judge(&self, begun: u64) -> bool {
        Controls::judge(&self.skeleton, begun)
    }

    /// See [`Controls::take_sampled`].
    pub(super) fn take_sampled(&self) -> Vec<(TaskKey, u64)> {
        Controls::take_sampled(&self.skeleton)
    }

    /// Nothing new enters the ring after this; what is in it can still be drained.
    pub(super) fn detach(&mut self) {
        self.links.clear();
    }

    /// Runs that the kernel skipped: of the probes that read packets, and of the one that sees connections.
    pub(super) fn skipped(&self) -> [u64; 2] {
        let runs =
            |program: &&'static Program| find(&self.skeleton, program).map_or(0, |program| skipped_runs(&program));
        // A skipped task probe loses nothing: the process is introduced with its first message.
        [self.traced.iter().map(runs).sum(), self.connects.iter().map(runs).sum()]
    }
}

/// A cgroup that a link has lost has no number. Before Linux 5.15 a kprobe is held by a perf event, which has no
/// information and cannot be detached from outside.
fn is_attached(link: &Link) -> bool {
    let Ok(info) = link.info() else { return true };
    !matches!(info.info, LinkTypeInfo::Cgroup(cgroup) if cgroup.cgroup_id == 0)
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
        _ => AttachError::Hooks { way: candidates(settings.hooks)[0].name().into(), refused },
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
