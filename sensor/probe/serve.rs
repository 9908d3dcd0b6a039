//! The part that holds the kernel side: it loads and attaches, and then does what the few requests ask. It keeps the
//! capabilities that BPF needs, and reads nothing that an attacker writes.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::attach::{AttachError, Attached, Opening};
use super::canary::{Canary, TOKEN};
use super::program::programs;
use super::request::Request;
use super::settings::Settings;
use crate::event::program::Program;
use crate::part::{Channel, Lost};
use crate::walls::{Calls, Privilege, Walls, holds, keep_only};

/// The outcome of attaching, for the process that asked.
pub(super) type Outcome = Result<Opening, AttachError>;

/// Privileges that loading may need, where the host gives them: for addresses of the kernel's variables, for locked
/// memory (before Linux 5.11), and for the port of the datagram that must come back.
const FOR_LOADING: [Privilege; 8] = [
    Privilege::CAP_BPF,
    Privilege::CAP_PERFMON,
    Privilege::CAP_NET_ADMIN,
    Privilege::CAP_SYS_ADMIN,
    Privilege::CAP_SYSLOG,
    Privilege::CAP_SYS_RESOURCE,
    Privilege::CAP_NET_BIND_SERVICE,
    Privilege::CAP_DAC_READ_SEARCH,
];

/// A hook that lost its program is attached again with these.
const FOR_SERVING: [Privilege; 3] = [Privilege::CAP_BPF, Privilege::CAP_PERFMON, Privilege::CAP_NET_ADMIN];

/// A host that knows no CAP_BPF, or gives CAP_SYS_ADMIN in its place.
const INSTEAD: Privilege = Privilege::CAP_SYS_ADMIN;

/// Serves as a process of its own, within its walls.
pub fn serve(channel: &Channel, settings: &Settings) {
    if let Err(error) = keep_only(&FOR_LOADING) {
        eprintln!("dnstrail: the part of the kernel side: {error}");
        return;
    }
    let confine = || {
        let mut keep = FOR_SERVING.to_vec();
        if !keep.iter().all(|privilege| holds(*privilege)) {
            keep.push(INSTEAD);
        }
        let reads = ["/sys", "/proc"].map(Into::into).to_vec();
        let walls = Walls { calls: Calls::Kernel, keep, reads, writes: Vec::new(), connects: false };
        if let Err(error) = walls.raise() {
            eprintln!("dnstrail: the part of the kernel side: {error}");
        }
    };
    // The other end is gone, and with it the reason for this one.
    let _ = answer(channel, settings, confine);
}

/// Serves as a thread of the process that asks, which keeps its privileges.
pub(super) fn serve_here(channel: &Channel, settings: &Settings) {
    let _ = answer(channel, settings, || {});
}

fn answer(channel: &Channel, settings: &Settings, confine: impl FnOnce()) -> Result<(), Lost> {
    let canary = Canary::new(&settings.ports);
    let token = canary.as_ref().map_or([0; TOKEN], Canary::token);
    if channel.receive(None)?.is_none_or(|message| Request::decode(&message.bytes) != Some(Request::Attach)) {
        return Err(Lost);
    }
    let mut attached = match Attached::open(settings) {
        Ok(attached) => attached,
        Err(error) => return send(channel, &token, &written(&Err(error))?, None),
    };
    let outcome = written(&Ok(std::mem::take(&mut attached.opening)))?;
    confine();
    send(channel, &token, &outcome, Some(&attached))?;
    let programs = programs(&settings.programs);
    loop {
        let Some(message) = channel.receive(None)? else { continue };
        match Request::decode(&message.bytes) {
            Some(Request::Apply(command)) => {
                attached.apply(&command);
                channel.send(&[1])?;
            }
            Some(Request::Judge(begun)) => channel.send(&[attached.judge(begun).into()])?,
            Some(Request::Look) => {
                let lost = attached.mend();
                // The number of the program, and whether it is attached again.
                let is_sent = canary.as_ref().is_some_and(Canary::send);
                let lost = lost.into_iter().flat_map(|(program, again)| [place_of(program, &programs), again.into()]);
                channel.send(&[u8::from(is_sent)].into_iter().chain(lost).collect::<Vec<_>>())?;
            }
            Some(Request::Skipped) => channel.send(attached.skipped().map(u64::to_ne_bytes).as_flattened())?,
            Some(Request::Sampled) => {
                let sampled = attached.take_sampled().into_iter().flat_map(|(process, count)| {
                    let words = [process.pid, process.exec_id].map(u32::to_ne_bytes);
                    [words.as_flattened(), [process.start, count].map(u64::to_ne_bytes).as_flattened()].concat()
                });
                // A message is never empty.
                channel.send(&[0].into_iter().chain(sampled).collect::<Vec<u8>>())?;
            }
            Some(Request::Detach) => {
                attached.detach();
                channel.send(&[1])?;
            }
            Some(Request::Attach) | None => return Err(Lost),
        }
    }
}

/// The outcome as JSON in memory of its own, and the records of earlier processes in another.
fn written(outcome: &Outcome) -> Result<[File; 2], Lost> {
    let before = outcome.as_ref().map_or(&[][..], |opening| &opening.before);
    let text = serde_json::to_vec(outcome).map_err(|_| Lost)?;
    Ok([memory(&text)?, memory(before)?])
}

/// Sends the token of the canary with the outcome and, where it attached, the shared maps.
fn send(channel: &Channel, token: &[u8], outcome: &[File], attached: Option<&Attached>) -> Result<(), Lost> {
    let shared = attached.map(Attached::shared);
    let descriptors: Vec<_> = outcome.iter().map(File::as_fd).chain(shared.into_iter().flatten()).collect();
    channel.send_with(token, &descriptors)
}

/// The place of a program among those that may be loaded.
fn place_of(program: &Program, programs: &[&'static Program]) -> u8 {
    let place = programs.iter().position(|other| other.name == program.name);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

fn memory(bytes: &[u8]) -> Result<File, Lost> {
    let mut file = File::from(memfd_create(c"dnstrail", MFdFlags::MFD_CLOEXEC).map_err(|_| Lost)?);
    file.write_all(bytes).and_then(|()| file.rewind()).map_err(|_| Lost)?;
    Ok(file)
}
