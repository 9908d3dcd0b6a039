//! Names of users and groups: only where the process sees the host's files.

use std::path::Path;

use super::*;

#[test]
fn users_of_the_hosts_namespace_only() {
    let directory = tempfile::tempdir().unwrap();
    let (passwd, group) = (directory.path().join("passwd"), directory.path().join("group"));
    std::fs::write(&passwd, "root:x:0:0::/root:/bin/sh\nresolver:x:105:::/:\n").unwrap();
    std::fs::write(&group, "root:x:0:\nresolver:x:112:\n").unwrap();
    let host = Host { mount_namespace: HOST_NAMESPACE, passwd, group, ..Host::default() };
    let mut table = Processes::new(host, Arc::default());
    table.record(&record(key(1, 1, 1)));
    table.record(&ProcessRecord { mount_namespace: 99, ..record(key(2, 1, 1)) });
    let mut task = Task { process: key(1, 1, 1), tid: 1, uid: 105, gid: 112, name: [0; 16] };
    assert_eq!(table.get(&key(1, 1, 1)).unwrap().user_name.as_deref(), Some("root"));
    // The process has dropped its privileges since.
    let image = table.of_task(&task, 1).unwrap();
    assert_eq!(
        (image.uid, image.user_name.as_deref(), image.group_name.as_deref()),
        (105, Some("resolver"), Some("resolver"))
    );
    task.process = key(2, 1, 1);
    let image = table.of_task(&task, 1).unwrap();
    assert_eq!((image.uid, image.user_name.as_deref()), (105, None));
}

/// The mounts of a host, of a service with a `/tmp` of its own, of one with its own `group`, and of a container.
const HOST_MOUNTS: &str = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:4 / /proc rw - proc p rw\n";
const SERVICE_MOUNTS: &str = "11 10 8:1 / / rw - ext4 a rw\n12 11 8:1 /var/tmp/x /var/tmp rw - ext4 a rw\n";
const CONTAINER_MOUNTS: &str = "21 20 0:40 / / rw - overlay o rw\n";

/// A host with its account files, and `/proc` recorded with its own mounts.
fn recorded_host(folder: &Path) -> Host {
    let (passwd, group) = (folder.join("passwd"), folder.join("group"));
    std::fs::write(&passwd, "web:x:33:33::/:\n").unwrap();
    std::fs::write(&group, "web:x:33:\n").unwrap();
    let proc = folder.join("proc");
    record_mounts(&proc, "self", HOST_NAMESPACE, HOST_MOUNTS);
    Host { mount_namespace: HOST_NAMESPACE, proc, passwd, group, ..Host::default() }
}

/// Ticks and nanoseconds at which every recorded process began.
const TICKS: u64 = 3;
const START: u64 = 30_000_000;

fn record_process(host: &Host, pid: u32, namespace: u32, mounts: &str) {
    record_proc(&host.proc, pid, TICKS, "/usr/bin/curl", b"curl\0");
    record_mounts(&host.proc, &pid.to_string(), namespace, mounts);
}

/// Whether a process that begins in this namespace has names of its user and its group.
fn named(table: &mut Processes, key: TaskKey, mount_namespace: u32) -> [bool; 2] {
    table.record(&ProcessRecord { mount_namespace, uid: 33, gid: 33, ..record(key) });
    let image = table.get(&key).unwrap();
    [image.user_name.is_some(), image.group_name.is_some()]
}

#[test]
fn users_of_a_mount_namespace_with_the_hosts_files() {
    let folder = tempfile::tempdir().unwrap();
    let host = recorded_host(folder.path());
    let own_group = format!(
        "{SERVICE_MOUNTS}13 11 8:1 /srv/group {} rw - ext4 a rw\n",
        host.group.canonicalize().unwrap().display()
    );
    record_process(&host, 20, 120, SERVICE_MOUNTS);
    record_process(&host, 21, 121, &own_group);
    record_process(&host, 22, 122, CONTAINER_MOUNTS);
    record_process(&host, 24, 124, SERVICE_MOUNTS);
    let mut table = Processes::new(host, Arc::default());
    assert_eq!(named(&mut table, key(20, START, 1), 120), [true, true], "the same files");
    assert_eq!(named(&mut table, key(21, START, 1), 121), [true, false], "only one of them");
    assert_eq!(named(&mut table, key(22, START, 1), 122), [false, false], "files of its own");
    assert_eq!(named(&mut table, key(23, START, 1), 123), [false, false], "already gone");
    assert_eq!(named(&mut table, key(24, START + 10_000_000, 1), 124), [false, false], "the pid is another's");
    assert_eq!(named(&mut table, key(24, START, 1), 125), [false, false], "it is in another namespace by now");
}

#[test]
fn names_are_kept_for_a_namespace_as_long_as_it_has_processes() {
    let folder = tempfile::tempdir().unwrap();
    let host = recorded_host(folder.path());
    record_process(&host, 20, 120, SERVICE_MOUNTS);
    let mut table = Processes::new(host, Arc::default());
    assert_eq!(named(&mut table, key(19, START, 1), 120), [false, false], "gone before it could be asked about");
    assert_eq!(named(&mut table, key(20, START, 1), 120), [true, true]);
    let task = Task { process: key(19, START, 1), tid: 1, uid: 33, gid: 33, name: [0; 16] };
    assert_eq!(table.of_task(&task, 1).unwrap().user_name.as_deref(), Some("web"), "by the other one there");
    table.exit(&Exit { time: 2, process: key(20, START, 1), code: 0 });
    for pid in 30..110 {
        assert_eq!(named(&mut table, key(pid, START, 1), 120), [true, true], "it lives for a moment only");
        table.exit(&Exit { time: 2, process: key(pid, START, 1), code: 0 });
    }
    table.exit(&Exit { time: 2, process: key(19, START, 1), code: 0 });
    assert_eq!(named(&mut table, key(111, START, 1), 120), [false, false], "the number may be a new namespace's");
    table.exit(&Exit { time: 2, process: key(111, START, 1), code: 0 });
    assert_eq!(table.namespaces.len(), 0);
}
