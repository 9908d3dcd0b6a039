use super::*;

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
    }
}

fn table() -> Processes {
    Processes::new(Host { boot_time: 1_000_000, ..Host::default() }, Arc::default())
}

#[test]
fn image_of_an_exec() {
    let mut table = table();
    table.record(&record(key(10, 5, 1)));
    let image = table.get(&key(10, 5, 1)).unwrap();
    assert_eq!(image.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(&*image.name, "curl");
    assert_eq!(&*image.args, ["curl", "-s", "", "http://a.example/ b"]);
    assert_eq!(image.command_line.as_deref(), Some("curl -s  http://a.example/ b"));
    assert_eq!(image.args_cut, 0);
    assert_eq!(image.working_directory.as_deref(), Some("/home/me"));
    assert_eq!(image.start, 1_000_005);
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
    assert_eq!((&*image.args, image.args_cut), (&["a".to_owned(), "\u{fffd}".to_owned()][..], 297));
    assert_eq!(image.namespace_pid, Some(1));

    table.record(&ProcessRecord { arguments: b"", arguments_total: 0, ..record(key(2, 1, 1)) });
    assert_eq!(table.get(&key(2, 1, 1)).unwrap().command_line.as_deref(), Some(""), "known to be empty");

    table.record(&ProcessRecord { has_arguments: false, arguments: b"", ..record(key(3, 1, 1)) });
    assert_eq!(table.get(&key(3, 1, 1)).unwrap().command_line, None, "not known");

    let title = b"nginx: worker process\0\0\0\0";
    table.record(&ProcessRecord { at_exec: false, arguments: title, arguments_total: 25, ..record(key(4, 1, 1)) });
    assert_eq!(&*table.get(&key(4, 1, 1)).unwrap().args, ["nginx: worker process"]);
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
fn entity_ids_tell_hosts_boots_and_images_apart() {
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
    assert_eq!(image.start, 1_000_199);
    assert_eq!(image.command_line.as_deref(), Some("curl -s  http://a.example/ b"));
    let above = image.parent.as_ref().unwrap();
    assert_eq!((above.key.pid, image.parent_key), (198, Some(key(198, 198, 1))));
    assert!(above.parent.is_none());
    assert_ne!(above.entity_id, image.entity_id);

    table.fork(&Fork { time: 1, child: key(500, 1, 1), parent: key(77, 1, 1), namespace_pid: 500 });
    assert!(table.get(&key(500, 1, 1)).is_none(), "of an unknown parent nothing is known");
}

#[test]
fn a_parent_told_later_is_found() {
    let mut table = table();
    table.record(&ProcessRecord { parent: Some(key(1, 1, 1)), ..record(key(2, 2, 1)) });
    assert!(table.get(&key(2, 2, 1)).unwrap().parent.is_none());
    table.record(&record(key(1, 1, 1)));
    assert_eq!(table.get(&key(2, 2, 1)).unwrap().parent.as_ref().unwrap().key.pid, 1);
}

#[test]
fn exec_exit_and_pid_reuse() {
    let mut table = table();
    table.record(&record(key(10, 5, 1)));
    let asked = table.get(&key(10, 5, 1)).unwrap();
    table.record(&ProcessRecord { executable: b"wget\0", ..record(key(10, 5, 2)) });
    assert_eq!(&*asked.name, "curl", "who holds an image keeps it");
    assert_eq!(&*table.get(&key(10, 5, 2)).unwrap().name, "wget");
    assert_eq!(table.len(), (1, 1));
    // The exit names an exec that was never told.
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
    // It has dropped its privileges since.
    let image = table.of_task(&task, 1).unwrap();
    assert_eq!(
        (image.uid, image.user_name.as_deref(), image.group_name.as_deref()),
        (105, Some("resolver"), Some("resolver"))
    );
    task.process = key(2, 1, 1);
    let image = table.of_task(&task, 1).unwrap();
    assert_eq!((image.uid, image.user_name.as_deref()), (105, None));
}

/// A recorded `/proc/PID` whose root holds the given files, and the number of its mount namespace. The
/// real one is a file of nsfs; what counts is the inode number.
fn record_root(proc: &std::path::Path, pid: u32, files: &[&std::path::Path]) -> u32 {
    use std::os::unix::fs::MetadataExt;
    let directory = proc.join(pid.to_string());
    std::fs::create_dir_all(directory.join("ns")).unwrap();
    for file in files {
        let there = directory.join("root").join(file.strip_prefix("/").unwrap());
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&there);
        // The same inode, as the same file in another mount.
        std::fs::hard_link(file, there).unwrap();
    }
    let namespace = directory.join("ns/mnt");
    std::fs::write(&namespace, "").unwrap();
    u32::try_from(std::fs::metadata(namespace).unwrap().ino()).unwrap()
}

#[test]
fn users_of_a_mount_namespace_with_the_hosts_files() {
    let directory = tempfile::tempdir().unwrap();
    let (passwd, group) = (directory.path().join("passwd"), directory.path().join("group"));
    std::fs::write(&passwd, "web:x:33:33::/:\n").unwrap();
    std::fs::write(&group, "web:x:33:\n").unwrap();
    let proc = directory.path().join("proc");
    let (service, only_passwd) = (record_root(&proc, 20, &[&passwd, &group]), record_root(&proc, 21, &[&passwd]));
    let container = record_root(&proc, 22, &[]);
    let own = proc.join("22/root").join(passwd.strip_prefix("/").unwrap());
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::copy(&passwd, own).unwrap();
    let host = Host { mount_namespace: HOST_NAMESPACE, proc: proc.clone(), passwd, group, ..Host::default() };
    let mut table = Processes::new(host, Arc::default());
    let mut names = |pid: u32, exec_id: u32, mount_namespace: u32| {
        let key = key(pid, 1, exec_id);
        table.record(&ProcessRecord { mount_namespace, uid: 33, gid: 33, ..record(key) });
        let image = table.get(&key).unwrap();
        [image.user_name.is_some(), image.group_name.is_some()]
    };
    assert_eq!(names(20, 1, service), [true, true], "the same files");
    assert_eq!(names(21, 1, only_passwd), [true, false], "only one of them");
    assert_eq!(names(22, 1, container), [false, false], "files of its own, though they say the same");
    assert_eq!(names(23, 1, 99), [false, false], "already gone");
    assert_eq!(names(22, 2, service), [true, true], "known by the first one there, though not by this one");

    std::fs::remove_dir_all(proc.join("20")).unwrap();
    assert_eq!(names(24, 1, service), [true, true], "not looked at again");
    table.exit(&Exit { time: 2, process: key(20, 1, 1), code: 0 });
    table.record(&ProcessRecord { mount_namespace: service, uid: 33, gid: 33, ..record(key(25, 1, 1)) });
    let image = table.get(&key(25, 1, 1)).unwrap();
    assert_eq!(image.user_name, None, "the number may be that of another namespace by now");
}

#[test]
fn a_pid_that_went_to_another_process_vouches_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let passwd = directory.path().join("passwd");
    std::fs::write(&passwd, "web:x:33:33::/:\n").unwrap();
    let proc = directory.path().join("proc");
    let another = record_root(&proc, 20, &[&passwd]);
    let host = Host { mount_namespace: HOST_NAMESPACE, proc, passwd, ..Host::default() };
    let mut table = Processes::new(host, Arc::default());
    table.record(&ProcessRecord { mount_namespace: another + 1, uid: 33, ..record(key(20, 1, 1)) });
    assert_eq!(table.get(&key(20, 1, 1)).unwrap().user_name, None);
}

#[test]
fn proc_completes_only_the_same_program() {
    let root = tempfile::tempdir().unwrap();
    crate::host::proc::tests::record(root.path(), 10, 3, "/usr/bin/curl", b"curl\0-v\0");
    crate::host::proc::tests::record(root.path(), 11, 3, "/usr/bin/wget", b"wget\0");
    crate::host::proc::tests::record(root.path(), 12, 3, "/usr/bin/wget", b"wget\0");
    let mut table = Processes::new(Host { proc: root.path().to_owned(), ..Host::default() }, Arc::default());
    let told = |pid| ProcessRecord {
        at_exec: false,
        has_arguments: false,
        working_directory: b"",
        arguments: b"",
        arguments_total: 0,
        ..record(key(pid, 30_000_000, 1))
    };
    table.record(&told(10));
    let image = table.get(&key(10, 30_000_000, 1)).unwrap();
    assert_eq!(
        (image.command_line.as_deref(), image.working_directory.as_deref()),
        (Some("curl -v"), Some("/var/lib/resolver"))
    );
    table.record(&told(11));
    let image = table.get(&key(11, 30_000_000, 1)).unwrap();
    assert_eq!((&*image.name, image.command_line.as_deref()), ("curl", None), "it has called exec since");
    table.record(&ProcessRecord { executable: b"", ..told(12) });
    assert_eq!(table.get(&key(12, 30_000_000, 1)).unwrap().executable.as_deref(), Some("/usr/bin/wget"));
}

#[test]
fn told_again() {
    let mut table = table();
    table.record(&record(key(1, 1, 1)));
    table.record(&ProcessRecord { has_arguments: false, at_exec: false, ..record(key(1, 1, 1)) });
    assert!(table.get(&key(1, 1, 1)).unwrap().command_line.is_some(), "less is not taken");
    table.record(&ProcessRecord { at_exec: false, network_namespace: 8, ..record(key(1, 1, 1)) });
    assert_eq!(table.get(&key(1, 1, 1)).unwrap().network_namespace, 8, "more is");
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
            assert!(table.get(&resolver).is_some(), "who asks is not forgotten");
        }
    }
    assert_eq!(table.len(), (LIVE, 0));
    assert_eq!(metrics.losses.process_evicted.get(), u64::from(bomb) + 1 - LIVE as u64);
    for pid in 2..bomb + 2 {
        table.exit(&Exit { time: 2, process: key(pid, 2, 1), code: 0 });
    }
    assert_eq!(table.len(), (1, RETIRED));
    assert!(table.slots.len() <= LIVE + RETIRED + 1);
    assert_eq!(table.images.len(), 1 + RETIRED);
}
