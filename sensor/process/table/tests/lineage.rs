//! Parents and ancestors, in every order in which they are described and end.

use super::*;

fn ancestors(table: &mut Processes, key: TaskKey) -> Vec<u32> {
    let image = table.get(&key).unwrap();
    image.ancestors.as_deref().unwrap_or_default().iter().map(|ancestor| ancestor.key.pid).collect()
}

#[test]
fn ancestors_are_kept_when_they_have_ended() {
    let mut table = table();
    let of = |pid: u32| key(pid, u64::from(pid), 2);
    table.record(&ProcessRecord { executable: b"init\0", ..record(of(1)) });
    for pid in 2..30 {
        let child = TaskKey { exec_id: 1, ..of(pid) };
        table.fork(&Fork { time: 1, child, parent: of(pid - 1), namespace_pid: pid });
        let executable = format!("{pid}\0");
        let parent = Some(of(pid - 1));
        table.record(&ProcessRecord { parent, executable: executable.as_bytes(), ..record(of(pid)) });
    }
    let (last, longest) = (of(5), of(29));
    assert_eq!(ancestors(&mut table, last), [3, 2, 1]);
    assert_eq!(table.get(&last).unwrap().ancestors.as_ref().unwrap()[2].executable.as_deref(), Some("/init"));
    assert_eq!(ancestors(&mut table, longest), [27, 26, 25, 24, 23, 22, 21, 20], "the nearest");
    for pid in 1..29 {
        table.exit(&Exit { time: 2, process: of(pid), code: 0 });
    }
    table.tick(2 + RETIRED_TIME);
    assert_eq!(table.len(), (1, 0));
    assert_eq!(ancestors(&mut table, longest), [27, 26, 25, 24, 23, 22, 21, 20]);
    assert_eq!(table.bytes(), table.slots.iter().map(|slot| slot.bytes).sum::<usize>());
}

#[test]
fn a_daemon_keeps_who_started_it() {
    let mut table = table();
    let of = |pid: u32| key(pid, u64::from(pid), 1);
    table.record(&record(of(1)));
    table.record(&ProcessRecord { parent: Some(of(1)), ..record(of(10)) });
    table.fork(&Fork { time: 1, child: of(11), parent: of(10), namespace_pid: 11 });
    table.fork(&Fork { time: 1, child: of(12), parent: of(11), namespace_pid: 12 });
    for pid in [11, 10] {
        table.exit(&Exit { time: 2, process: of(pid), code: 0 });
    }
    // Its parents have ended, so the kernel has given it to init.
    let daemon = TaskKey { exec_id: 2, ..of(12) };
    table.record(&ProcessRecord { time: 3, parent: Some(of(1)), executable: b"daemon\0", ..record(daemon) });
    assert_eq!(table.get(&daemon).unwrap().parent.as_ref().unwrap().key, of(1));
    assert_eq!(ancestors(&mut table, daemon), [11, 10, 1]);
    // Nor does another exec change that.
    table.fork(&Fork { time: 4, child: of(13), parent: daemon, namespace_pid: 13 });
    assert_eq!(ancestors(&mut table, of(13)), [11, 10, 1], "and gives that to its children");
    let again = TaskKey { exec_id: 3, ..of(12) };
    table.record(&ProcessRecord { time: 4, parent: Some(of(1)), ..record(again) });
    assert_eq!(ancestors(&mut table, again), [11, 10, 1]);
}

#[test]
fn ancestors_described_later_are_found() {
    let mut table = table();
    let of = |pid: u32| key(pid, u64::from(pid), 1);
    for pid in (1..6).rev() {
        table.record(&ProcessRecord { parent: (pid > 1).then(|| of(pid - 1)), ..record(of(pid)) });
    }
    assert_eq!(ancestors(&mut table, of(5)), [3, 2, 1]);
    assert_eq!(ancestors(&mut table, of(3)), [1]);
    assert_eq!(ancestors(&mut table, of(2)), [0; 0]);
    assert_eq!(table.get(&of(2)).unwrap().parent.as_ref().unwrap().key, of(1));
}

#[test]
fn a_parent_described_later_is_found() {
    let mut table = table();
    table.record(&ProcessRecord { parent: Some(key(1, 1, 1)), ..record(key(2, 2, 1)) });
    assert!(table.get(&key(2, 2, 1)).unwrap().parent.is_none());
    table.record(&record(key(1, 1, 1)));
    assert_eq!(table.get(&key(2, 2, 1)).unwrap().parent.as_ref().unwrap().key.pid, 1);
}
