//! Lists and configurations on a file system that never answers: start, reload and end go on.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use dnstrail::rules::{self, Lookout, Reload};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hung::Hung;

const SECOND: Duration = Duration::from_secs(1);

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("dnstrail")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[test]
fn a_list_or_configuration_that_hangs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _hung = Hung::mount(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dnssec.pcap");
    for (arguments, code) in [
        (vec!["rules", "check", &path("list.txt")], 1),
        (vec!["rules", "check", &path("")], 1),
        (vec!["rules", "lookup", "a.example", "--rules", &path("rules.toml")], 2),
        (vec!["replay", capture, "--rules", &path("list.txt")], 2),
        (vec!["run", "--config", &path("dnstrail.toml")], 2),
    ] {
        let begin = Instant::now();
        let output = start(&arguments).wait_with_output().unwrap();
        let said = said(&output);
        assert!(said.contains("does not answer in time; look at its file system"), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(begin.elapsed() < SECOND * 15, "{arguments:?}: {:?}", begin.elapsed());
    }
}

#[test]
fn a_request_to_end_is_heard_while_a_list_hangs_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let _hung = Hung::mount(folder.path());
    let list = folder.path().join("list.txt");
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dnssec.pcap");
    let child = start(&["replay", capture, "--rules", &list.display().to_string()]);
    std::thread::sleep(SECOND);
    let asked = Instant::now();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    // The walls around the process look at the path first, and hear nothing meanwhile.
    assert!(asked.elapsed() < SECOND * 8, "{:?}", asked.elapsed());
    let said = said(&output);
    assert!(said.contains("was asked to end before the lists were read"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
}

/// Waits for a change; how long that took.
fn change(lookout: &mut Lookout) -> Duration {
    let begin = Instant::now();
    while begin.elapsed() < SECOND * 60 {
        let timeout = PollTimeout::try_from(SECOND).unwrap();
        let _ = poll(&mut [PollFd::new(lookout.as_fd(), PollFlags::POLLIN)], timeout);
        if lookout.take_change() {
            return begin.elapsed();
        }
    }
    panic!("no change was noticed");
}

fn reloaded(paths: &[PathBuf], previous: &rules::Load) -> rules::Load {
    let reload = Reload::start(paths.to_vec(), previous.rules.clone()).unwrap();
    let begin = Instant::now();
    while !reload.is_finished() {
        assert!(begin.elapsed() < SECOND * 30, "the reload hangs");
        reload.wait(SECOND);
    }
    reload.finish().expect("a load")
}

/// The list's last good entries stay, and the other list is watched and read.
fn hangs(mount: fn(&Path) -> Hung) {
    let folder = tempfile::tempdir().unwrap();
    let away = folder.path().join("away");
    fs::create_dir(&away).unwrap();
    let paths = [away.join("one.txt"), folder.path().join("two.txt")];
    fs::write(&paths[0], "one.example\n").unwrap();
    fs::write(&paths[1], "two.example\n").unwrap();
    let first = rules::load(&paths, None).complete().unwrap();
    let mut lookout = Lookout::start(first.watch.clone()).unwrap();
    let hung = mount(&away);

    fs::write(&paths[1], "two.example\nthree.example\n").unwrap();
    let noticed = change(&mut lookout);
    let second = reloaded(&paths, &first);
    let found = |load: &rules::Load, name: &str| !load.rules.matches_of_name(name).is_empty();
    assert!(found(&second, "one.example") && found(&second, "three.example"));
    let error = second.lists[0].error.as_ref().expect("the list cannot be read").to_string();
    assert!(error.contains("does not answer in time") && second.lists[0].kept, "{error}");
    assert!(second.lists[1].error.is_none());
    assert!(noticed < SECOND * 30, "{noticed:?}");

    // The file system is back, and so is the list.
    lookout.renew(second.watch.clone());
    drop(hung);
    change(&mut lookout);
    let third = reloaded(&paths, &second);
    assert!(third.lists[0].error.is_none(), "{:?}", third.lists[0]);
}

#[test]
fn a_list_that_begins_to_hang_keeps_its_entries_and_holds_up_no_other() {
    hangs(Hung::mount);
}

/// No signal ends such a wait: the thread is stuck, and nothing else.
#[test]
fn a_file_system_that_takes_requests_and_never_answers_holds_up_nothing() {
    hangs(Hung::take);
}
