mod accounts;
mod lineage;
mod waiting;

use super::*;
use crate::host::BootClock;
use crate::host::proc::tests::{record as record_proc, record_mounts, record_stuck};
use crate::process::File;

const HOST_NAMESPACE: u32 = 4_026_531_841;

fn key(pid: u32, start: u64, exec_id: u32) -> TaskKey {
    TaskKey { pid, exec_id, start }
}

fn record(process: TaskKey) -> ProcessRecord<'static> {
    ProcessRecord {
        time: 1,
        process,
        parent: None,
        at_exec: true,
        deleted: false,
        path_cut: false,
        has_arguments: true,
        kernel_thread: false,
        uid: 0,
        gid: 0,
        namespace_pid: process.pid,
        pid_namespace: 1,
        mount_namespace: HOST_NAMESPACE,
        network_namespace: 7,
        name: *b"curl\0\0\0\0\0\0\0\0\0\0\0\0",
        parent_name: *b"bash\0\0\0\0\0\0\0\0\0\0\0\0",
        executable: b"curl\0bin\0usr\0",
        working_directory: b"me\0home\0",
        cgroup: b"session-1.scope\0user.slice\0",
        arguments: b"curl\0-s\0\0http://a.example/ b\0",
        arguments_total: 29,
        ..ProcessRecord::default()
    }
}

fn list(image: &Process) -> Vec<&str> {
    image.arguments.as_deref().map(|arguments| arguments.each().collect()).unwrap_or_default()
}

/// Some image.
pub(crate) fn image() -> Process {
    let mut table = table();
    table.record(&record(key(10, 5, 1)));
    (*table.get(&key(10, 5, 1)).unwrap()).clone()
}

fn table() -> Processes {
    Processes::new(Host { clock: BootClock::new(1_000_000), ..Host::default() }, Arc::default())
}

#[test]
fn image_of_an_exec() {
    let mut table = table();
    table.record(&record(key(10, 5, 1)));
    let image = table.get(&key(10, 5, 1)).unwrap();
    assert_eq!(image.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(&*image.name, "curl");
    assert_eq!(list(&image), ["curl", "-s", "", "http://a.example/ b"]);
    assert_eq!(image.command_line(), Some("curl -s  http://a.example/ b"));
    assert_eq!(image.args_cut(), 0);
    assert_eq!(image.working_directory.as_deref(), Some("/home/me"));
    assert_eq!(image.start(), 1_000_005);
    assert_eq!(image.parent_name.as_deref(), Some("bash"));
    assert_eq!((image.namespace_pid, image.user_name.as_deref()), (None, None));
    // Never by pid alone.
    assert!(table.get(&key(10, 5, 2)).is_none());
    assert!(table.get(&key(10, 6, 1)).is_none());
}

#[test]
fn arguments_cut_empty_and_foreign() {
    let mut table = table();
    table.record(&ProcessRecord {
        arguments: b"a\0\xff",
        arguments_total: 300,
        namespace_pid: 1,
        ..record(key(1000, 1, 1))
    });
    let image = table.get(&key(1000, 1, 1)).unwrap();
    assert_eq!((list(&image), image.args_cut()), (vec!["a", "\u{fffd}"], 297));
    assert_eq!(image.namespace_pid, Some(1));

    table.record(&ProcessRecord { arguments: b"", arguments_total: 0, ..record(key(2, 1, 1)) });
    assert_eq!(table.get(&key(2, 1, 1)).unwrap().command_line(), Some(""), "known to be empty");

    table.record(&ProcessRecord { has_arguments: false, arguments: b"", ..record(key(3, 1, 1)) });
    assert_eq!(table.get(&key(3, 1, 1)).unwrap().command_line(), None, "not known");

    let title = b"nginx: worker process\0\0\0\0";
    table.record(&ProcessRecord { at_exec: false, arguments: title, arguments_total: 25, ..record(key(4, 1, 1)) });
    assert_eq!(list(&table.get(&key(4, 1, 1)).unwrap()), ["nginx: worker process"]);
}

#[test]
fn kernel_threads_and_memfd() {
    let mut table = table();
    table.record(&ProcessRecord {
        kernel_thread: true,
        has_arguments: false,
        executable: b"",
        name: *b"kworker/0:1-eve\0",
        ..record(key(9, 1, 0))
    });
    let image = table.get(&key(9, 1, 0)).unwrap();
    assert_eq!((image.executable.as_deref(), &*image.name), (None, "kworker/0:1-eve"));

    table.record(&ProcessRecord { executable: b"memfd:x\0", deleted: true, ..record(key(8, 1, 0)) });
    let image = table.get(&key(8, 1, 0)).unwrap();
    assert_eq!(image.executable.as_deref(), Some("/memfd:x"));
    assert!(image.executable_deleted);
}

#[test]
fn entity_ids_differ_by_host_boot_and_image() {
    let id = |machine: &str, boot: &str, key| image::entity_id(image::host_hash(machine, boot), &key);
    let all = [
        id("m", "b", key(1, 1, 1)),
        id("m", "c", key(1, 1, 1)),
        id("mb", "", key(1, 1, 1)),
        id("n", "b", key(1, 1, 1)),
        id("m", "b", key(2, 1, 1)),
        id("m", "b", key(1, 2, 1)),
        id("m", "b", key(1, 1, 2)),
        id("m", "b", key(0x11, 1, 1)),
    ];
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    // A value that must never change between versions: SIEMs join on it.
    assert_eq!(&*id("machine", "boot", key(0xabc, 0x1234, 7)), "e8b5bf71bc29c8ae-abc-1234-7");
}

#[test]
fn fork_runs_the_parents_program_and_chains_stay_short() {
    let mut table = table();
    let mut parent = key(1, 1, 1);
    table.record(&record(parent));
    for generation in 2..200 {
        let child = key(generation, u64::from(generation), 1);
        table.fork(&Fork { time: 1, child, parent, namespace_pid: generation });
        parent = child;
    }
    let image = table.get(&parent).unwrap();
    assert_eq!(image.key.pid, 199);
    assert_eq!(image.start(), 1_000_199);
    assert_eq!(image.command_line(), Some("curl -s  http://a.example/ b"));
    let above = image.parent.as_ref().unwrap();
    assert_eq!((above.key.pid, image.parent_key), (198, Some(key(198, 198, 1))));
    assert!(above.parent.is_none());
    assert_ne!(above.entity_id, image.entity_id);

    table.fork(&Fork { time: 1, child: key(500, 1, 1), parent: key(77, 1, 1), namespace_pid: 500 });
    assert!(table.get(&key(500, 1, 1)).is_none(), "nothing is made up of an unknown parent");
}

#[test]
fn a_unit_is_shared_by_parent_and_child() {
    let mut table = table();
    table.record(&ProcessRecord { cgroup: b"ssh.service\0system.slice\0", ..record(key(1, 1, 1)) });
    let child = ProcessRecord { parent: Some(key(1, 1, 1)), ..record(key(2, 2, 1)) };
    table.record(&ProcessRecord { cgroup: b"ssh.service\0system.slice\0", ..child });
    let units = [key(1, 1, 1), key(2, 2, 1)].map(|key| table.get(&key).unwrap().unit.clone().unwrap());
    assert_eq!(units[0].name.as_deref(), Some("ssh.service"));
    assert!(Rc::ptr_eq(&units[0], &units[1]));
}

#[test]
fn exec_exit_and_pid_reuse() {
    let mut table = table();
    table.record(&record(key(10, 5, 1)));
    let asked = table.get(&key(10, 5, 1)).unwrap();
    table.record(&ProcessRecord { executable: b"wget\0", ..record(key(10, 5, 2)) });
    assert_eq!(&*asked.name, "curl", "an image that is held does not change");
    assert_eq!(&*table.get(&key(10, 5, 2)).unwrap().name, "wget");
    assert_eq!(table.len(), (1, 1));
    // The record of the exec that this exit names was lost.
    table.exit(&Exit { time: 2, process: key(10, 5, 3), code: 0 });
    assert_eq!(table.len(), (0, 2));
    // An exit of a later life of the pid does not touch this one.
    table.record(&record(key(10, 9, 1)));
    table.exit(&Exit { time: 3, process: key(10, 5, 3), code: 0 });
    assert_eq!(table.len(), (1, 2));
    // A record that comes late does not replace the image of now.
    table.record(&record(key(10, 9, 0)));
    assert_eq!(table.len(), (1, 3));

    assert!(table.get(&key(10, 5, 1)).is_some(), "an answer may still name it");
    table.tick(2 + RETIRED_TIME);
    assert_eq!(table.len(), (1, 0));
    assert!(table.get(&key(10, 5, 1)).is_none());
    assert!(table.get(&key(10, 9, 1)).is_some());
}

#[test]
fn a_process_that_cannot_be_read_is_completed_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = record_stuck(folder.path(), 10);
    let metrics = Arc::<Metrics>::default();
    let mut table = Processes::new(Host { proc: folder.path().to_owned(), ..Host::default() }, Arc::clone(&metrics));
    let known = key(10, 30_000_000, 1);
    table.record(&ProcessRecord { has_arguments: false, at_exec: false, arguments: b"", ..record(known) });
    assert_eq!(table.get(&known).unwrap().command_line(), None);
    assert_eq!(metrics.losses.process_unread.get(), 1);
    std::fs::write(&file, b"curl\0-v\0").unwrap();
    while table.get(&known).unwrap().command_line() != Some("curl -v") {
        table.tick(1);
    }
}

#[test]
fn a_start_follows_the_time_of_day() {
    let clock = BootClock::new(1_000_000);
    let mut table = Processes::new(Host { clock: clock.clone(), ..Host::default() }, Arc::default());
    table.record(&record(key(10, 5, 1)));
    let image = table.get(&key(10, 5, 1)).unwrap();
    assert_eq!(image.start(), 1_000_005);
    clock.set(3_000_000);
    assert_eq!(image.start(), 3_000_005);
}

#[test]
fn a_description_at_exit_does_not_replace_a_better_one() {
    let mut table = table();
    let known = key(10, 5, 1);
    table.record(&record(known));
    let exiting = ProcessRecord {
        at_exec: false,
        kernel_thread: true,
        executable: b"",
        working_directory: b"",
        arguments: b"",
        arguments_total: 0,
        mount_namespace: 0,
        ..record(known)
    };
    table.record(&exiting);
    table.exit(&Exit { time: 2, process: known, code: 0 });
    table.record(&exiting);
    let image = table.get(&known).unwrap();
    assert_eq!(image.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(image.command_line(), Some("curl -s  http://a.example/ b"));
    assert_eq!(image.mount_namespace, HOST_NAMESPACE);
}

#[test]
fn foreign_mounts_cut_paths_and_the_file_itself_are_kept() {
    // The sensor has a mount namespace of its own, as its unit gives it one.
    let host = Host { mount_namespace: 7, ..Host::default() };
    let mut table = Processes::new(host, Arc::default());
    table.record(&ProcessRecord { kernel_thread: true, at_exec: false, ..record(key(2, 1, 1)) });
    table.record(&record(key(1, 1, 1)));
    let file = File { device: (254, 1), inode: 4_711 };
    table.record(&ProcessRecord {
        mount_namespace: 99,
        path_cut: true,
        executable_inode: file.inode,
        executable_device: file.device,
        ..record(key(4, 1, 1))
    });
    table.record(&ProcessRecord { mount_namespace: 0, ..record(key(3, 1, 1)) });
    let mut marks = |pid| {
        let image = table.get(&key(pid, 1, 1)).unwrap();
        (image.mount_namespace, image.foreign_mounts, image.path_cut)
    };
    assert_eq!(marks(1), (HOST_NAMESPACE, false, false));
    assert_eq!(marks(4), (99, true, true));
    assert_eq!(marks(3), (0, false, false), "not known");
    assert_eq!(table.get(&key(4, 1, 1)).unwrap().executable_file, Some(file));
    assert_eq!(table.get(&key(1, 1, 1)).unwrap().executable_file, None);
}

#[test]
fn a_flood_of_long_command_lines_stays_within_bytes() {
    let metrics = Arc::new(Metrics::default());
    let mut table = Processes::new(Host::default(), Arc::clone(&metrics));
    let resolver = key(1, 1, 1);
    table.record(&record(resolver));
    let arguments = b"x\0".repeat(8_190);
    let flood =
        |pid, start| ProcessRecord { arguments: &arguments, arguments_total: 16_380, ..record(key(pid, start, 1)) };
    for start in 0..10_000 {
        // The same few pids again and again, as a loop of exec does; and as many that stay.
        table.record(&flood(2 + u32::try_from(start % 100).unwrap(), start));
        table.record(&flood(1_000 + u32::try_from(start).unwrap(), start));
        assert!(table.bytes() <= table.metrics.memory.processes.bound(), "{}", table.bytes());
    }
    assert!(table.get(&resolver).is_some(), "the one that was there is not pushed out");
    let last = table.get(&key(10_999, 9_999, 1)).unwrap();
    assert_eq!(last.args_cut(), 16_380 - 1_024, "and says so");
    assert!(metrics.losses.process_arguments_cut.get() > 0);
    let held: usize = table.slots.iter().map(|slot| slot.bytes).sum();
    assert_eq!(held + table.waiting.bytes(), table.bytes(), "every byte is accounted for");
}

#[test]
fn proc_completes_only_the_same_program() {
    let root = tempfile::tempdir().unwrap();
    record_proc(root.path(), 10, 3, "/usr/bin/curl", b"curl\0-v\0");
    record_proc(root.path(), 11, 3, "/usr/bin/wget", b"wget\0");
    record_proc(root.path(), 12, 3, "/usr/bin/wget", b"wget\0");
    let mut table = Processes::new(Host { proc: root.path().to_owned(), ..Host::default() }, Arc::default());
    let described = |pid| ProcessRecord {
        at_exec: false,
        has_arguments: false,
        working_directory: b"",
        arguments: b"",
        arguments_total: 0,
        ..record(key(pid, 30_000_000, 1))
    };
    table.record(&described(10));
    let image = table.get(&key(10, 30_000_000, 1)).unwrap();
    assert_eq!(
        (image.command_line(), image.working_directory.as_deref()),
        (Some("curl -v"), Some("/var/lib/resolver"))
    );
    table.record(&described(11));
    let image = table.get(&key(11, 30_000_000, 1)).unwrap();
    assert_eq!((&*image.name, image.command_line()), ("curl", None), "it has called exec since");
    table.record(&ProcessRecord { executable: b"", ..described(12) });
    assert_eq!(table.get(&key(12, 30_000_000, 1)).unwrap().executable.as_deref(), Some("/usr/bin/wget"));
}

#[test]
fn a_second_description_is_taken_when_it_has_more() {
    let mut table = table();
    table.record(&record(key(1, 1, 1)));
    table.record(&ProcessRecord { has_arguments: false, at_exec: false, ..record(key(1, 1, 1)) });
    assert!(table.get(&key(1, 1, 1)).unwrap().command_line().is_some(), "one without arguments is not taken");
    table.record(&ProcessRecord { at_exec: false, network_namespace: 8, ..record(key(1, 1, 1)) });
    assert_eq!(table.get(&key(1, 1, 1)).unwrap().network_namespace, 8, "one with arguments is");
    assert_eq!(table.len(), (1, 0));
}

#[test]
fn a_fork_bomb_stays_within_bounds_and_is_counted() {
    let metrics = Arc::new(Metrics::default());
    let mut table = Processes::new(Host::default(), Arc::clone(&metrics));
    let resolver = key(1, 1, 1);
    table.record(&record(resolver));
    let bomb = u32::try_from(LIVE).unwrap() * 2;
    for pid in 2..bomb + 2 {
        table.fork(&Fork { time: 1, child: key(pid, 2, 1), parent: resolver, namespace_pid: pid });
        if pid % 1000 == 0 {
            assert!(table.get(&resolver).is_some(), "a process that asks is not forgotten");
        }
    }
    let (live, retired) = table.len();
    assert!(
        live <= LIVE && table.bytes() <= table.metrics.memory.processes.bound() && retired == 0,
        "{live} of {} bytes",
        table.bytes()
    );
    assert!(live > LIVE / 2, "{live}");
    assert_eq!(metrics.losses.process_evicted.get(), u64::from(bomb) + 1 - live as u64);
    for pid in 2..bomb + 2 {
        table.exit(&Exit { time: 2, process: key(pid, 2, 1), code: 0 });
    }
    // As many images as records that wait to become one.
    assert_eq!(table.len(), (1, 2 * RETIRED));
    assert!(table.slots.len() <= LIVE + RETIRED + 1);
    assert_eq!(table.images.len(), 1 + RETIRED);
}
