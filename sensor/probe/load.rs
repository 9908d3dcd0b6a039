//! Loads the object for one way in. The way is tried with an empty program first: a kernel that
//! refuses it does so in milliseconds, and nothing was verified in vain.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::path::Path;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapType, ObjectBuilder, OpenObject, PrintLevel};

use super::program::{Place, first_of};
use super::refusal::Refusal;
use super::settings::{Observe, Settings};
use super::support::symbol_addresses;
use crate::event::program::{Program, Way, When};
use crate::skeleton::{DnstrailSkel, DnstrailSkelBuilder, OpenDnstrailSkel};

/// `INTEREST_DNS` of probes/port.bpf.h.
const INTEREST_DNS: u8 = 1;

/// A half-full ring is under pressure: then a process may put a 64th of it there in a second. That is a thousand
/// lookups and more; what a person or a daemon asks stays far below.
const PRESSURE: u64 = 2;
const SHARE: u64 = 64;

pub(super) type Skeleton = DnstrailSkel<'static>;

/// The object of `probes/trial.bpf.c`: for each way in that may be refused, an empty program of its name.
static TRIAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trial.bpf.o"));

thread_local! {
    /// The messages that libbpf prints while it works; they are shown when it fails.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The messages of libbpf on the way to an error, and the error.
pub(super) type Failure = (String, libbpf_rs::Error);

/// Runs `attempt`, and listens to libbpf meanwhile.
pub(super) fn listen<T>(attempt: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T, Failure> {
    SAID.take();
    let before =
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| SAID.with_borrow_mut(|said| said.push_str(&text)))));
    let outcome = attempt();
    libbpf_rs::set_print(before);
    outcome.map_err(|error| (SAID.take(), error))
}

/// Whether the kernel refuses even the plainest map, which every kernel knows: then the refusal is not about the
/// probes.
pub(super) fn is_bpf_refused() -> bool {
    !MapType::Array.is_supported().is_ok_and(|supported| supported)
}

/// Attaches the empty program of `way` and detaches it again. The way in cgroup is never refused as a whole, and a
/// way that no program takes need not be tried.
pub(super) fn try_out(way: Way, programs: &[&'static Program]) -> Result<(), Refusal> {
    if way == Way::Cgroup || programs.iter().all(|program| program.when != When::Way(way)) {
        return Ok(());
    }
    listen(|| {
        let mut object = ObjectBuilder::default().open_memory(TRIAL)?;
        for mut trial in object.progs_mut() {
            let is_wanted = trial.name() == way.name();
            trial.set_autoload(is_wanted);
        }
        let object = object.load()?;
        object.progs_mut().filter(|trial| trial.name() == way.name()).try_for_each(|trial| trial.attach().map(drop))
    })
    .map_err(|(said, error)| Refusal::new(first_of(way, programs), &said, &error))
}

/// The facts that choose the programs where this way in is tried.
pub(super) fn place(way: Way, cgroup2: bool) -> Place {
    // A kprobe never reaches what is stored with a socket.
    Place { way, cgroup2, stored: cgroup2 && way != Way::Kprobe && is_loadable("storage"), typed: is_loadable("typed") }
}

/// Whether this kernel takes the program of this name in `probes/trial.bpf.c`.
fn is_loadable(name: &str) -> bool {
    listen(|| {
        let mut object = ObjectBuilder::default().open_memory(TRIAL)?;
        for mut trial in object.progs_mut() {
            let is_wanted = trial.name() == name;
            trial.set_autoload(is_wanted);
        }
        object.load()
    })
    .is_ok()
}

/// Loads what `place` needs; leaves out optional programs that the kernel refuses.
pub(super) fn load(
    settings: &Settings,
    place: Place,
    programs: &[&'static Program],
    refused: &mut Vec<Refusal>,
) -> Result<Skeleton, Refusal> {
    loop {
        let is_wanted = |program: &&&Program| place.wants(program) && !is_left_out(program, refused);
        let wanted: Vec<_> = programs.iter().filter(is_wanted).map(|program| program.name).collect();
        let (said, error) = match listen(|| open(settings, place, &wanted)?.load()) {
            Ok(skeleton) => return Ok(skeleton),
            Err(failure) => failure,
        };
        let culprit =
            programs.iter().copied().find(|program| said.contains(&format!("prog '{}': failed", program.name)));
        // A refusal that is not about one program (no memory) is about the whole way.
        let refusal = Refusal::new(culprit.unwrap_or_else(|| first_of(place.way, programs)), &said, &error);
        if !refusal.program.is_optional() || is_left_out(refusal.program, refused) {
            return Err(refusal);
        }
        refused.push(refusal);
    }
}

/// Whether a program is left out: it is optional, and the kernel refused it.
pub(super) fn is_left_out(program: &Program, refused: &[Refusal]) -> bool {
    program.is_optional() && refused.iter().any(|refusal| refusal.program.name == program.name)
}

/// Opens the object, and chooses the programs with the names in `wanted`.
fn open(settings: &Settings, place: Place, wanted: &[&str]) -> libbpf_rs::Result<OpenDnstrailSkel<'static>> {
    // The object must outlive the skeleton that borrows it; this is one pointer for each load.
    let object: &'static mut MaybeUninit<OpenObject> = Box::leak(Box::new(MaybeUninit::uninit()));
    let mut skeleton = DnstrailSkelBuilder::default().open(object)?;
    skeleton.maps.ring.set_max_entries(settings.ring_bytes)?;
    if place.stored {
        skeleton.maps.hashed_states.set_max_entries(1)?;
    }
    if let Some(rodata) = skeleton.maps.rodata_data.as_deref_mut() {
        for port in &settings.ports {
            rodata.port_interests[usize::from(*port)] |= INTEREST_DNS;
            rodata.port_filter |= 1 << (port & 63);
        }
        rodata.observe = match settings.observe {
            Observe::Clients => 1,
            Observe::Servers => 2,
            Observe::All => 3,
        };
        rodata.packets_at_cgroup = place.cgroup2;
        rodata.states_are_stored = place.stored;
        rodata.tasks_are_typed = place.typed;
        rodata.ring_pressure = u64::from(settings.ring_bytes) / PRESSURE;
        rodata.ring_share = u64::from(settings.ring_bytes) / SHARE;
        if !place.cgroup2 {
            // No helper of a traced function reads what leaves in pages of the kernel's buffers.
            [rodata.vmemmap_base_at, rodata.page_offset_base_at] =
                symbol_addresses(Path::new("/"), ["vmemmap_base", "page_offset_base"]);
        }
    }
    for mut program in skeleton.open_object_mut().progs_mut() {
        let is_wanted = wanted.iter().any(|name| program.name() == *name);
        program.set_autoload(is_wanted);
    }
    Ok(skeleton)
}
