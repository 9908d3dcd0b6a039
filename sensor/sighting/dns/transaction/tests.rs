use super::*;
use proptest::prelude::*;

use crate::event::TaskKey;
use crate::sighting::Side;

const SECOND: u64 = 1_000_000_000;

fn conversation(port: u16, id: u16) -> Conversation {
    Conversation {
        client: format!("192.0.2.1:{port}").parse().unwrap(),
        server: "192.0.2.53:53".parse().unwrap(),
        transport: Transport::Udp,
        network_namespace: 1,
        side: Side::Client,
        id,
        socket: 0,
        is_translated: false,
    }
}

fn message(label: u8) -> Vec<u8> {
    vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, label, 0, 0, 1, 0, 1]
}

fn task(pid: u32) -> Task {
    Task { process: TaskKey { pid, exec_id: 1, start: 1 }, tid: pid, uid: 0, gid: 0, name: [0; 16] }
}

fn query(time: u64, bytes: &[u8], pid: u32) -> Query<'_> {
    Query {
        time,
        bytes,
        actor: Actor { process: None, task: Some(task(pid)) },
        direction: Some(Direction::Egress),
        behind_nat: None,
        marks: Marks::default(),
    }
}

fn table() -> Transactions {
    Transactions::new(5 * SECOND, Arc::default())
}

fn asker(answered: &Answered<'_>) -> u32 {
    answered.transaction.actor.task.unwrap().process.pid
}

#[test]
fn answered_again_and_late() {
    let mut table = table();
    let one = conversation(1000, 7);
    assert!(table.query(&one, query(10, &message(b'a'), 1)).0);
    assert!(!table.query(&one, query(11, &message(b'a'), 1)).0, "sent again");
    assert!(table.answer(&conversation(1001, 7), 12, &message(b'a'), None).is_none());
    assert!(table.answer(&conversation(1000, 8), 12, &message(b'a'), None).is_none());
    assert!(table.answer(&Conversation { side: Side::Server, ..one }, 12, &message(b'a'), None).is_none());
    assert!(table.answer(&Conversation { transport: Transport::Tcp, ..one }, 12, &message(b'a'), None).is_none());
    assert!(table.answer(&Conversation { network_namespace: 2, ..one }, 12, &message(b'a'), None).is_none());
    let answer = table.answer(&one, 12, &message(b'A'), None).unwrap();
    assert_eq!((answer.transaction.time, answer.late, answer.duplicate, asker(&answer)), (10, false, false, 1));
    let answer = table.answer(&one, 13, &message(b'a'), None).unwrap();
    assert_eq!((answer.late, answer.duplicate), (false, true));
    assert!(table.expire(100 * SECOND).is_none(), "answered");

    table.query(&one, query(200 * SECOND, &message(b'a'), 1));
    assert!(table.expire(205 * SECOND - 1).is_none());
    assert_eq!(table.expire(205 * SECOND).unwrap().time, 200 * SECOND);
    assert!(table.expire(205 * SECOND).is_none());
    let answer = table.answer(&one, 206 * SECOND, &message(b'a'), None).unwrap();
    assert_eq!((answer.late, answer.duplicate), (true, false));
    let answer = table.answer(&one, 207 * SECOND, &message(b'a'), None).unwrap();
    assert_eq!((answer.late, answer.duplicate), (true, true));
    assert!(table.expire(205 * SECOND + SETTLED_TIME).is_none());
    assert_eq!(table.len(), (0, 0));
    assert!(table.newest.is_empty());
}

#[test]
fn one_id_with_several_questions() {
    let mut table = table();
    let one = conversation(1000, 7);
    for label in *b"abc" {
        assert!(table.query(&one, query(u64::from(label), &message(label), u32::from(label))).0);
    }
    for label in *b"bca" {
        let answer = table.answer(&one, 200, &message(label), None).unwrap();
        assert_eq!((asker(&answer), answer.duplicate), (u32::from(label), false));
    }
    assert!(table.answer(&one, 200, &message(b'd'), None).is_none(), "a forged or foreign answer");
}

#[test]
fn an_answer_without_question_matches_by_id() {
    let mut table = table();
    table.query(&conversation(1000, 7), query(1, &message(b'a'), 1));
    let failure = [0, 1, 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(table.answer(&conversation(1000, 7), 2, &failure, None).is_some());
}

#[test]
fn a_port_and_id_used_again_by_another_process() {
    let mut table = table();
    let one = conversation(1000, 7);
    table.query(&one, query(1, &message(b'a'), 1));
    assert!(table.query(&one, query(2, &message(b'a'), 2)).0, "another asker repeats nothing");
    assert_eq!(asker(&table.answer(&one, 3, &message(b'a'), None).unwrap()), 2);
    // Where the kernel knows whose socket it was, that decides.
    table.query(&one, query(4, &message(b'b'), 1));
    table.query(&one, query(5, &message(b'b'), 2));
    assert_eq!(asker(&table.answer(&one, 6, &message(b'b'), Some(&task(1))).unwrap()), 1);
    assert_eq!(asker(&table.answer(&one, 6, &message(b'b'), Some(&task(2))).unwrap()), 2);
}

#[test]
fn a_lookup_repeated_after_its_answer_is_a_new_one() {
    let mut table = table();
    let one = conversation(1000, 7);
    for round in 0..100 {
        assert!(table.query(&one, query(round, &message(b'a'), 1)).0);
        assert!(!table.answer(&one, round, &message(b'a'), None).unwrap().duplicate);
    }
    assert_eq!(table.len(), (0, 1));
}

#[test]
fn zone_transfers_have_many_answers() {
    let mut table = table();
    let tcp = Conversation { transport: Transport::Tcp, ..conversation(1000, 7) };
    let mut transfer = message(b'a');
    transfer[16] = 252;
    table.query(&tcp, query(1, &transfer, 1));
    for _ in 0..3 {
        assert!(!table.answer(&tcp, 2, &transfer, None).unwrap().duplicate);
    }
}

#[test]
fn multicast() {
    let mut table = table();
    let group = Conversation {
        client: "192.0.2.1:5353".parse().unwrap(),
        server: "224.0.0.251:5353".parse().unwrap(),
        ..conversation(0, 0)
    };
    table.query(&group, query(1, &message(b'a'), 1));
    table.query(&group, query(1, &message(b'b'), 1));
    table.query(&group, query(1, &message(b'b'), 2));
    let mut response = message(b'b');
    (response[2], response[5], response[7]) = (0x84, 0, 1);
    // A responder answers the group; two sockets get the answer.
    let answer = Conversation { client: group.server, server: "192.0.2.9:5353".parse().unwrap(), ..group };
    for pid in [1, 2] {
        let answered = table.answer(&answer, 2, &response, Some(&task(pid))).unwrap();
        assert_eq!((asker(&answered), answered.duplicate, answered.transaction.bytes[13]), (pid, false, b'b'));
    }
    assert!(table.answer(&answer, 2, &response, Some(&task(3))).is_none(), "a listener did not ask");
    let other = Conversation { server: "192.0.2.10:5353".parse().unwrap(), ..answer };
    assert!(!table.answer(&other, 3, &response, Some(&task(1))).unwrap().duplicate, "another host may answer, too");
    assert!(table.expire(20 * SECOND).is_none(), "no host has to answer");
    assert_eq!(table.len().0, 0);

    let llmnr = Conversation {
        server: "[ff02::1:3]:5355".parse().unwrap(),
        client: "[fe80::1]:4000".parse().unwrap(),
        ..group
    };
    table.query(&llmnr, query(1, &message(b'a'), 1));
    let answer = Conversation { server: "[fe80::9]:5355".parse().unwrap(), ..llmnr };
    assert_eq!(asker(&table.answer(&answer, 2, &message(b'a'), None).unwrap()), 1);
    assert!(table.answer(&Conversation { id: 5, ..answer }, 2, &message(b'a'), None).is_none());
}

#[test]
fn a_clock_that_goes_back_blocks_nothing() {
    let mut table = table();
    table.query(&conversation(1, 1), query(1000 * SECOND, &message(b'a'), 1));
    table.query(&conversation(2, 1), query(10 * SECOND, &message(b'a'), 1));
    assert!(table.expire(16 * SECOND).is_some());
    assert!(table.expire(16 * SECOND).is_some());
    assert_eq!(table.len(), (0, 2));
}

#[test]
fn a_flood_stays_within_bounds_and_is_counted() {
    let metrics = Arc::new(Metrics::default());
    let mut table = Transactions::new(5 * SECOND, Arc::clone(&metrics));
    let flood = PENDING + 5000;
    for number in 0..flood {
        let one = conversation(u16::try_from(number / 60_000).unwrap(), u16::try_from(number % 60_000).unwrap());
        table.query(&one, query(1, &message(b'a'), 1));
    }
    assert_eq!(table.len(), (PENDING, 0));
    assert_eq!(metrics.losses.transaction_evicted.get(), 5000);
    while table.expire(10 * SECOND).is_some() {}
    assert_eq!(table.len(), (0, SETTLED));
    assert_eq!(table.newest.len(), SETTLED);
    for number in 0..flood {
        let name = u32::try_from(number).unwrap().to_be_bytes();
        let mut bytes = message(4);
        bytes.splice(12..14, [4].into_iter().chain(name));
        table.query(&conversation(9, 9), query(11 * SECOND, &bytes, 1));
    }
    assert!(table.len().0 <= SAME_KEY, "of one id");
    assert!(table.slots.len() <= PENDING + SETTLED + 1);
}

#[derive(Debug, Clone)]
enum Step {
    Ask { port: u16, id: u16, label: u8, asker: u32 },
    Answer { port: u16, id: u16, label: u8 },
    Wait(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a list that remembers everything.
    #[test]
    fn the_asker_is_right_in_any_order(steps in prop::collection::vec(prop_oneof![
        (0..2u16, 0..2u16, 0..3u8, 1..4u32).prop_map(|(port, id, label, asker)| Step::Ask { port, id, label, asker }),
        (0..2u16, 0..2u16, 0..3u8).prop_map(|(port, id, label)| Step::Answer { port, id, label }),
        (0..3u64).prop_map(|seconds| Step::Wait(seconds * SECOND)),
    ], 0..120)) {
        let mut table = table();
        let mut now = 1;
        // Port, id, label, asker, time, open.
        let mut model: Vec<(u16, u16, u8, u32, u64, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Ask { port, id, label, asker } => {
                    let open = model.iter().any(|one| (one.0, one.1, one.2, one.3, one.5) == (port, id, label, asker, true));
                    let (first, _) = table.query(&conversation(port, id), query(now, &message(label), asker));
                    prop_assert_eq!(first, !open);
                    if first {
                        model.retain(|one| (one.0, one.1, one.2) != (port, id, label) || one.5);
                        model.push((port, id, label, asker, now, true));
                    }
                }
                Step::Answer { port, id, label } => {
                    let answered = table.answer(&conversation(port, id), now, &message(label), None);
                    let same = |one: &&mut (u16, u16, u8, u32, u64, bool)| (one.0, one.1, one.2) == (port, id, label);
                    let waits = model.iter_mut().rev().filter(same).find(|one| one.5);
                    if let Some(one) = waits {
                        let answered = answered.unwrap();
                        prop_assert_eq!((asker(&answered), answered.transaction.time), (one.3, one.4));
                        prop_assert!(!answered.late && !answered.duplicate);
                        one.5 = false;
                    } else if let Some(one) = model.iter_mut().rev().find(same) {
                        let answered = answered.unwrap();
                        prop_assert_eq!(asker(&answered), one.3);
                        prop_assert!(answered.late || answered.duplicate);
                    } else {
                        prop_assert!(answered.is_none());
                    }
                }
                Step::Wait(time) => {
                    now += time;
                    let mut expired = Vec::new();
                    while let Some(one) = table.expire(now) {
                        expired.push((one.actor.task.unwrap().process.pid, one.time));
                    }
                    let mut due = Vec::new();
                    for one in model.iter_mut().filter(|one| one.5 && one.4 + 5 * SECOND <= now) {
                        due.push((one.3, one.4));
                        one.5 = false;
                    }
                    prop_assert_eq!(expired, due);
                    // A transaction settled long ago is forgotten; the model ends before.
                    if now > 25 * SECOND { return Ok(()); }
                }
            }
        }
    }
}
