//! The connections that are emitted: those to an address of a listed name, by any process; and the commands to the
//! kernel side to follow them, within bounds.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use dnstrail::event::{Command, Connection, ConnectionId, Exit, Stage};
use dnstrail::process::RETIRED_TIME;
use dnstrail::rules;
use dnstrail::sighting::{Name, Watch};

use super::*;

const NAME: &str = "www.evil.example";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const DAY: u64 = 24 * 3_600 * SECOND;

fn rules_of(list: &str) -> Arc<Rules> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("list.txt"), list).unwrap();
    rules::load(&[directory.path().to_owned()], None).complete().unwrap().rules
}

fn scene_of(list: &str) -> Scene {
    let mut scene = Scene::with(&Settings::default(), rules_of(list));
    scene.exec(key(7));
    scene.exec(key(8));
    scene
}

fn scene() -> Scene {
    scene_of("evil.example\n")
}

/// Process 7 asks for `name` and gets `answer`; its documents are dropped.
fn look_up(scene: &mut Scene, name: &str, time: u64, fill: impl FnOnce(Builder) -> Builder) {
    egress(CLIENT, SERVER, &query(1, name)).by(7).at(time).to(scene);
    ingress(SERVER, CLIENT, &fill(answer(1, name)).0).at(time).to(scene);
    scene.shown();
}

fn resolve(scene: &mut Scene, name: &str, address: Ipv4Addr, time: u64) {
    look_up(scene, name, time, |answer| answer.answer(1, &address.octets()));
}

fn commands(scene: &mut Scene) -> Vec<Command> {
    scene.pipeline.take_commands().collect()
}

fn connection(pid: u32, destination: IpAddr, stage: Stage, start: u64, time: u64) -> Connection {
    Connection {
        time,
        id: ConnectionId { begin: start, socket: pid.into() },
        stage,
        task: Some(task(pid)),
        start,
        source: CLIENT.parse().unwrap(),
        destination: SocketAddr::new(destination, 443),
        network_namespace: 1,
        sent: 0,
        received: 0,
        error: 0,
    }
}

fn connect(scene: &mut Scene, pid: u32, destination: IpAddr, stage: Stage, start: u64) -> Vec<Shown> {
    scene.push(&Event::Connection(connection(pid, destination, stage, start, start + SECOND)));
    scene.shown()
}

/// Anyone can send an answer to an open port: it accuses no process, and has nothing watched.
#[test]
fn unsolicited_answer_raises_no_alert_and_watches_nothing() {
    let mut scene = scene();
    let forged = answer(1, NAME).answer(1, &ADDRESS.octets()).0;
    ingress(SERVER, CLIENT, &forged).by(7).to(&mut scene);
    let shown = scene.one();
    assert_eq!((shown.alert, shown.query_time), (false, None));
    assert_eq!(shown.matches.len(), 1, "the label stays");
    assert_eq!(commands(&mut scene), []);
    // A capture names no process.
    Sent { direction: None, ..ingress(SERVER, CLIENT, &forged) }.to(&mut scene);
    assert!(scene.one().alert);
}

/// A user who has thousands of addresses watched does not evict those of others.
#[test]
fn full_watch_list_evicts_from_the_user_with_the_most_addresses() {
    let mut scene = scene();
    resolve(&mut scene, NAME, ADDRESS, START);
    commands(&mut scene);
    let flooder = Task { uid: 65_534, ..task(8) };
    for number in 0..5_000_u32 {
        let octets = (0x0a00_0001 + number).to_be_bytes();
        let ask = |sent: Sent| Sent { task: Some(flooder), time: START + u64::from(number), ..sent };
        ask(egress(CLIENT, SERVER, &query(1, NAME))).to(&mut scene);
        ask(ingress(SERVER, CLIENT, &answer(1, NAME).answer(1, &octets).0)).to(&mut scene);
        scene.shown();
    }
    assert!(scene.metrics.losses.watch_evicted.get() > 0);
    assert!(!commands(&mut scene).contains(&Command::Forget(ADDRESS.into())));
    let shown = connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START + SECOND);
    assert_eq!(shown.len(), 1);
}

/// A connection needs the answers that name its address, also where DNS documents are not wanted.
#[test]
fn only_watched_kinds_are_emitted() {
    for (watch, lookup, connection) in [
        (Watch::NONE.with(Name::Connection), 0, 1),
        (Watch::NONE.with(Name::Dns), 2, 0),
        (Watch::default(), 2, 1),
        (Watch::ALL, 2, 1),
        (Watch::NONE, 0, 0),
    ] {
        let mut scene = Scene::with(&Settings { watch, ..Settings::default() }, rules_of("evil.example\n"));
        scene.exec(key(7));
        egress(CLIENT, SERVER, &query(1, NAME)).by(7).to(&mut scene);
        ingress(SERVER, CLIENT, &answer(1, NAME).answer(1, &ADDRESS.octets()).0).to(&mut scene);
        assert_eq!(scene.shown().len(), lookup, "{watch:?}");
        let shown = connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START + SECOND);
        assert_eq!(shown.len(), connection, "{watch:?}");
    }
}

#[test]
fn any_process_that_connects_is_emitted() {
    let mut scene = scene();
    resolve(&mut scene, NAME, ADDRESS, START);
    assert_eq!(commands(&mut scene), [Command::Watch(ADDRESS.into())]);
    for pid in [7, 8] {
        for (stage, what) in [(Stage::Opened, "opened"), (Stage::Closed, "closed"), (Stage::Failed, "failed")] {
            let shown = connect(&mut scene, pid, ADDRESS.into(), stage, START + SECOND);
            let [shown] = &shown[..] else { panic!("{shown:?}") };
            assert_eq!((&*shown.what, &*shown.name, shown.pid), (what, NAME, Some(pid)));
            assert_eq!((shown.tid, shown.query_time), (Some(pid + 1000), Some(START)));
            assert_eq!(shown.matches, [("destination.ip 192.0.2.9".to_owned(), "evil.example".to_owned())]);
        }
    }
    assert_eq!(commands(&mut scene), []);
    assert_eq!(scene.metrics.traffic.connections.get(), 4);
    assert_eq!(scene.metrics.traffic.alerts.get(), 1, "the lookup's");
}

#[test]
fn what_no_listed_name_resolved_to_is_followed_no_more() {
    let mut scene = scene_of("evil.example\n@@||good.evil.example^\n");
    let other = Ipv4Addr::new(192, 0, 2, 8);
    resolve(&mut scene, "www.example", other, START);
    resolve(&mut scene, "good.evil.example", other, START);
    assert_eq!(commands(&mut scene), []);
    for stage in [Stage::Opened, Stage::Closed, Stage::Failed] {
        assert_eq!(connect(&mut scene, 7, other.into(), stage, START), []);
    }
    assert_eq!(commands(&mut scene), [Command::Release(ConnectionId { begin: START, socket: 7 })]);
    // A connection that was open when the name first resolved was not caused by it.
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START + SECOND), []);
    resolve(&mut scene, NAME, ADDRESS, START + 2 * SECOND);
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Closed, START + SECOND), []);
}

#[test]
fn lists_that_change_decide_anew() {
    let mut scene = scene_of("evil.example\nworse.example\n198.51.100.0/24\n");
    let [worse, listed] = [Ipv4Addr::new(192, 0, 2, 10), Ipv4Addr::new(198, 51, 100, 1)];
    resolve(&mut scene, NAME, ADDRESS, START);
    resolve(&mut scene, "worse.example", worse, START);
    resolve(&mut scene, "www.example", listed, START);
    assert_eq!(commands(&mut scene).len(), 3);
    scene.pipeline.set_rules(rules_of("# anew\nworse.example\nevil.example\n@@||www.evil.example^\n198.51.100.1\n"));
    assert_eq!(commands(&mut scene), [Command::Forget(ADDRESS.into())]);
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START), []);
    assert_eq!(connect(&mut scene, 7, worse.into(), Stage::Opened, START).len(), 1);
    scene.pipeline.set_rules(rules_of("other.example\n"));
    assert_eq!(commands(&mut scene).len(), 3, "two to forget, and the connection that was let go");
    // An open connection is emitted to its end.
    assert_eq!(connect(&mut scene, 7, worse.into(), Stage::Closed, START).len(), 1);
}

#[test]
fn aliases_hints_and_listed_addresses() {
    let mut scene = scene_of("cdn.test\n198.51.100.0/24\n");
    look_up(&mut scene, "www.example", START, |answer| {
        answer
            .record(1, &[0xc0, 12], 5, 1, 60, &name("edge.cdn.test"))
            .record(1, &name("edge.cdn.test"), 1, 1, 60, &[192, 0, 2, 1])
            .record(1, &name("edge.cdn.test"), 28, 1, 60, &Ipv6Addr::LOCALHOST.octets())
            .record(1, &name("edge.cdn.test"), 28, 1, 60, &[0x20; 16])
    });
    assert_eq!(
        commands(&mut scene),
        [Command::Watch(Ipv4Addr::new(192, 0, 2, 1).into()), Command::Watch(Ipv6Addr::from([0x20; 16]).into())]
    );
    // A listed address says nothing of its neighbours in the answer.
    look_up(&mut scene, "two.example", START, |answer| answer.answer(1, &[192, 0, 2, 2]).answer(1, &[198, 51, 100, 2]));
    assert_eq!(commands(&mut scene), [Command::Watch(Ipv4Addr::new(198, 51, 100, 2).into())]);
    let shown = connect(&mut scene, 7, Ipv4Addr::new(198, 51, 100, 2).into(), Stage::Opened, START);
    assert_eq!(shown[0].matches, [("destination.ip 198.51.100.2".to_owned(), "198.51.100.0/24".to_owned())]);
}

#[test]
fn sinkholes_are_never_watched() {
    let mut scene = scene();
    for address in ["0.0.0.0", "0.0.0.1", "127.0.0.1", "127.8.8.8", "169.254.1.1", "224.0.0.1", "255.255.255.255"] {
        resolve(&mut scene, NAME, address.parse().unwrap(), START);
    }
    for address in ["::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0"] {
        let address: Ipv6Addr = address.parse().unwrap();
        look_up(&mut scene, NAME, START, |answer| answer.answer(28, &address.octets()));
    }
    assert_eq!(commands(&mut scene), []);
    assert_eq!(connect(&mut scene, 7, Ipv4Addr::LOCALHOST.into(), Stage::Opened, START), []);
    assert_eq!(scene.metrics.traffic.alerts.get(), 13);
}

#[test]
fn an_address_is_watched_for_a_day_and_its_open_connections_for_ever() {
    let mut scene = scene();
    resolve(&mut scene, NAME, ADDRESS, START);
    resolve(&mut scene, NAME, ADDRESS, START + SECOND);
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START + SECOND).len(), 1);
    scene.push(&Event::Exit(Exit { time: START + SECOND, process: key(7), code: 0 }));
    scene.tick(START + DAY);
    assert_eq!(commands(&mut scene), [Command::Watch(ADDRESS.into())]);
    assert_eq!(connect(&mut scene, 8, ADDRESS.into(), Stage::Opened, START + DAY).len(), 1);
    scene.tick(START + DAY + SECOND);
    assert_eq!(commands(&mut scene), [Command::Forget(ADDRESS.into())]);
    assert_eq!(connect(&mut scene, 8, ADDRESS.into(), Stage::Failed, START + DAY + SECOND), []);
    // The process of the first is long forgotten, but not by its connection.
    const { assert!(DAY > RETIRED_TIME) };
    let closed = connect(&mut scene, 7, ADDRESS.into(), Stage::Closed, START + SECOND);
    assert_eq!((closed[0].pid, &*closed[0].name), (Some(7), NAME));
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Closed, START + SECOND), [], "once");
}

#[test]
fn captures_watch_nothing() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, NAME)).direction(None).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, NAME).answer(1, &ADDRESS.octets()).0).direction(None).to(&mut scene);
    assert_eq!(commands(&mut scene), []);
}

#[test]
fn as_many_addresses_as_the_kernel_holds() {
    const ROOM: u32 = 4_096;
    let mut scene = scene();
    let address = |number: u32| Ipv4Addr::from(0x0a00_0000 + number);
    for number in 0..ROOM {
        resolve(&mut scene, NAME, address(number), START + u64::from(number));
    }
    assert_eq!(commands(&mut scene).len(), ROOM as usize);
    // Resolved again, the first is no longer the oldest.
    resolve(&mut scene, NAME, address(0), START + SECOND);
    resolve(&mut scene, NAME, address(ROOM), START + SECOND);
    assert_eq!(commands(&mut scene), [Command::Forget(address(1).into()), Command::Watch(address(ROOM).into())]);
}

#[test]
fn one_answer_does_not_push_out_all_others() {
    let mut scene = scene();
    look_up(&mut scene, NAME, START, |mut answer| {
        for number in 0..4_000_u32 {
            answer = answer.answer(1, &(0x0a00_0000 + number).to_be_bytes());
        }
        answer
    });
    assert_eq!(commands(&mut scene).len(), 256);
}

#[test]
fn as_many_open_connections_as_the_kernel_holds() {
    const ROOM: u64 = 8_192;
    let mut scene = scene();
    resolve(&mut scene, NAME, ADDRESS, START);
    for number in 0..=ROOM {
        assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Opened, START + number).len(), 1);
    }
    assert_eq!(scene.metrics.losses.connection_evicted.get(), 1);
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Closed, START), []);
    assert_eq!(connect(&mut scene, 7, ADDRESS.into(), Stage::Closed, START + 1).len(), 1);
}

#[test]
fn of_whom_nothing_is_known_is_counted() {
    let mut scene = scene();
    resolve(&mut scene, NAME, ADDRESS, START);
    let shown = connect(&mut scene, 99, ADDRESS.into(), Stage::Opened, START);
    assert_eq!((shown[0].pid, shown[0].tid), (None, Some(1099)));
    assert_eq!(scene.metrics.losses.process_unknown.get(), 1);
}
