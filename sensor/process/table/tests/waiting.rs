//! Processes that nothing was asked about yet.

use super::super::waiting::WAITING_PART;
use super::*;

fn exit(process: TaskKey, time: u64) -> Exit {
    Exit { time, process, code: 0 }
}

/// A process forked by `parent`, which runs its own program from then on.
fn spawn(table: &mut Processes, parent: TaskKey, pid: u32) -> TaskKey {
    let forked = key(pid, u64::from(pid), parent.exec_id);
    table.fork(&Fork { time: 1, child: forked, parent, namespace_pid: pid });
    let child = TaskKey { exec_id: parent.exec_id + 1, ..forked };
    table.record(&ProcessRecord { parent: Some(parent), ..record(child) });
    child
}

fn shell(table: &mut Processes) -> TaskKey {
    let shell = key(10, 10, 1);
    table.record(&ProcessRecord { executable: b"bash\0bin\0usr\0", ..record(shell) });
    shell
}

#[test]
fn nothing_is_made_of_a_process_until_it_is_asked_for() {
    let mut table = table();
    let shell = shell(&mut table);
    for pid in 100..200 {
        let child = spawn(&mut table, shell, pid);
        table.exit(&exit(child, 2));
    }
    assert!(table.slots.is_empty(), "{} images", table.slots.len());
    assert_eq!(table.len(), (1, 100));
    table.tick(2 + RETIRED_TIME);
    assert_eq!(table.len(), (1, 0));
    assert!(table.bytes() < 4_096, "{} bytes", table.bytes());
}

#[test]
fn an_ended_process_is_known_to_packets_on_their_way() {
    let mut table = table();
    let shell = shell(&mut table);
    let child = spawn(&mut table, shell, 100);
    table.exit(&exit(child, 2));
    table.exit(&exit(shell, 3));
    let image = table.get(&child).expect("it ended a moment ago");
    assert_eq!(image.executable.as_deref(), Some("/usr/bin/curl"));
    assert_eq!(image.parent.as_ref().expect("its parent too").name.as_ref(), "bash");
    assert_eq!(table.len().0, 0);
}

#[test]
fn a_lineage_is_known_long_after_the_processes_above_ended() {
    let mut table = table();
    let shell = shell(&mut table);
    let middle = spawn(&mut table, shell, 100);
    let child = spawn(&mut table, middle, 200);
    table.exit(&exit(middle, 2));
    table.exit(&exit(shell, 3));
    table.tick(3 + 10 * RETIRED_TIME);
    let image = table.get(&child).expect("it runs");
    assert_eq!(image.parent.as_ref().map(|parent| parent.key), Some(middle));
    let above: Vec<_> = image.ancestors.iter().flat_map(|list| list.iter().map(|above| above.key)).collect();
    assert_eq!(above, [shell]);
}

#[test]
fn a_parent_that_runs_another_program_is_what_it_was_to_its_children() {
    let mut table = table();
    let shell = shell(&mut table);
    let child = spawn(&mut table, shell, 100);
    table.record(&ProcessRecord { executable: b"other\0", ..record(TaskKey { exec_id: 2, ..shell }) });
    table.tick(1 + 10 * RETIRED_TIME);
    assert_eq!(table.get(&child).expect("it runs").parent.as_ref().expect("a parent").name.as_ref(), "bash");
}

#[test]
fn every_image_of_a_process_that_runs_one_program_after_the_other_is_known() {
    let mut table = table();
    let shell = shell(&mut table);
    let first = spawn(&mut table, shell, 100);
    let second = TaskKey { exec_id: first.exec_id + 1, ..first };
    table.record(&ProcessRecord { parent: Some(shell), executable: b"second\0", ..record(second) });
    assert_eq!(table.get(&first).expect("a moment ago").name.as_ref(), "curl");
    assert_eq!(table.get(&second).expect("it runs").name.as_ref(), "second");
}

#[test]
fn records_that_wait_have_a_bound_and_none_is_lost_by_it() {
    let mut table = table();
    let shell = shell(&mut table);
    let arguments = vec![b'a'; 16_000];
    let bound = table.metrics.memory.processes.bound() / WAITING_PART;
    let most = u32::try_from(bound / 16_000).expect("a few") + 300;
    for pid in 100..100 + most {
        let forked = key(pid, 5, 2);
        table.record(&ProcessRecord { parent: Some(shell), arguments: &arguments, ..record(forked) });
        assert!(table.waiting.bytes() < bound + 32_000);
    }
    assert!((100..100 + most).all(|pid| table.get(&key(pid, 5, 2)).is_some()));
}
