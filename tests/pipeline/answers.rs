//! The document of an answer, or of its absence.

use super::*;
use dnstrail::observe::Observe;

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.exec(key(7));
    scene.exec(key(8));
    scene
}

#[test]
fn query_and_answer() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "WWW.example.com")).by(7).to(&mut scene);
    let asked = scene.one();
    assert_eq!((&*asked.what, &*asked.name, asked.pid, asked.tid), ("query", "www.example.com", Some(7), Some(1007)));
    assert_eq!((asked.time, asked.query_time, asked.bytes), (START, None, 33));
    let reply = answer(1, "www.example.COM").answer(1, &[192, 0, 2, 9]).0;
    // The interrupted task does not matter; here even another socket owner is claimed.
    ingress(SERVER, CLIENT, &reply).at(START + 5).by(8).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, &*shown.name, shown.pid, shown.tid), ("answer", "www.example.com", Some(7), Some(1007)));
    assert_eq!((shown.time, shown.query_time), (START + 5, Some(START)));
    assert_eq!((shown.source.unwrap().to_string(), shown.client.unwrap().to_string()), (SERVER.into(), CLIENT.into()));
    ingress(SERVER, CLIENT, &reply).at(START + 9).to(&mut scene);
    let again = scene.one();
    assert_eq!((&*again.what, again.pid, again.query_time), ("duplicate", Some(7), Some(START)));
    assert_eq!(scene.metrics.traffic.messages.get(), 3);
    assert!(scene.metrics.losses.each().all(|(_, _, count)| count == 0));
}

#[test]
fn timeout_then_late() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "slow.example")).by(7).to(&mut scene);
    egress(CLIENT, SERVER, &query(1, "slow.example")).by(7).at(START + 2 * SECOND).to(&mut scene);
    assert_eq!(
        scene.shown().iter().map(|one| &*one.what).collect::<Vec<_>>(),
        ["query", "query"],
        "each sending is seen"
    );
    scene.tick(START + 5 * SECOND - 1);
    assert_eq!(scene.shown(), []);
    scene.tick(START + 6 * SECOND);
    let shown = scene.one();
    assert_eq!((&*shown.what, &*shown.name, shown.pid, shown.tid), ("timeout", "slow.example", Some(7), Some(1007)));
    assert_eq!((shown.time, shown.query_time, shown.bytes), (START + 5 * SECOND, Some(START), 30));
    assert_eq!((shown.source, shown.client), (CLIENT.parse().ok(), CLIENT.parse().ok()));
    ingress(SERVER, CLIENT, &answer(1, "slow.example").0).at(START + 7 * SECOND).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, shown.pid, shown.query_time), ("late", Some(7), Some(START)));
    ingress(SERVER, CLIENT, &answer(1, "slow.example").0).at(START + 8 * SECOND).to(&mut scene);
    assert_eq!(scene.one().what, "late duplicate");
}

#[test]
fn a_timeout_is_emitted_before_the_event_that_shows_it() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "slow.example")).by(7).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, "slow.example").0).at(START + 5 * SECOND).to(&mut scene);
    assert_eq!(scene.shown().iter().map(|one| &*one.what).collect::<Vec<_>>(), ["query", "timeout", "late"]);
}

#[test]
fn the_end_is_no_timeout() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    scene.finish(START + SECOND);
    assert_eq!(scene.one().what, "query");
    scene.finish(START + 5 * SECOND);
    assert_eq!(scene.one().what, "timeout");
}

#[test]
fn answers_that_are_none_of_ours() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    scene.shown();
    // A forged one: the right id and ports, another name. The kernel says whose socket it came to.
    ingress(SERVER, CLIENT, &answer(1, "b.example").0).by(8).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, shown.pid, shown.query_time), ("answer", Some(8), None));
    ingress("192.0.2.54:53", CLIENT, &answer(1, "a.example").0).to(&mut scene);
    let shown = scene.one();
    assert_eq!((shown.pid, shown.tid, shown.query_time), (None, None, None));
    // The question was never repeated by this server: the query's is shown.
    ingress(SERVER, CLIENT, &Builder::new(1, 0x8182).0).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, &*shown.name, shown.pid), ("answer", "a.example", Some(7)));
}

#[test]
fn several_questions_with_one_id() {
    let mut scene = scene();
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    egress(CLIENT, SERVER, &query(1, "b.example")).by(8).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, "b.example").0).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, "a.example").0).to(&mut scene);
    let shown: Vec<_> = scene.shown().into_iter().map(|one| (one.what, one.name, one.pid)).collect();
    let row = |what: &str, name: &str, pid| (what.to_owned(), name.to_owned(), Some(pid));
    assert_eq!(
        shown,
        [
            row("query", "a.example", 7),
            row("query", "b.example", 8),
            row("answer", "b.example", 8),
            row("answer", "a.example", 7)
        ]
    );
}

#[test]
fn both_ends_of_loopback_are_not_mixed_up() {
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:53");
    let play = |observe| {
        let mut scene = Scene::with(&Settings { observe, ..Settings::default() }, Arc::default());
        scene.exec(key(7));
        scene.exec(key(8));
        egress(client, server, &query(1, "a.example")).by(7).to(&mut scene);
        ingress(client, server, &query(1, "a.example")).by(8).at(START + 1).to(&mut scene);
        egress(server, client, &answer(1, "a.example").0).by(8).at(START + 2).to(&mut scene);
        ingress(server, client, &answer(1, "a.example").0).by(7).at(START + 3).to(&mut scene);
        scene.shown().into_iter().map(|one| (one.what, one.pid.unwrap(), one.query_time)).collect::<Vec<_>>()
    };
    let row = |what: &str, pid, time: Option<u64>| (what.to_owned(), pid, time.map(|time| START + time));
    let clients = [row("query", 7, None), row("answer", 7, Some(0))];
    let servers = [row("query", 8, None), row("answer", 8, Some(1))];
    assert_eq!(play(Observe::Clients), clients);
    assert_eq!(play(Observe::Servers), servers);
    let [[query, answer], [query_there, answer_there]] = [clients, servers];
    assert_eq!(play(Observe::All), [query, query_there, answer_there, answer]);
}

#[test]
fn captures_have_no_direction() {
    let mut scene = Scene::with(&Settings { observe: Observe::Servers, ..Settings::default() }, Arc::default());
    egress(CLIENT, SERVER, &query(1, "a.example")).direction(None).to(&mut scene);
    ingress(SERVER, CLIENT, &answer(1, "a.example").0).direction(None).at(START + 3).to(&mut scene);
    let shown: Vec<_> = scene.shown().into_iter().map(|one| (one.what, one.query_time)).collect();
    assert_eq!(shown, [("query".to_owned(), None), ("answer".to_owned(), Some(START))]);
}

#[test]
fn over_tcp_in_pieces() {
    let mut scene = scene();
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let two = [query(1, "a.example"), query(2, "b.example")]
        .map(|one| [&u16::try_from(one.len()).unwrap().to_be_bytes()[..], &one].concat())
        .concat();
    let send = |bytes| Sent { bytes, ..egress(CLIENT, SERVER, &[]).by(7) };
    send(tcp(client, server, 100, 2, b"")).to(&mut scene);
    for (at, byte) in two.iter().enumerate() {
        send(tcp(client, server, 101 + u32::try_from(at).unwrap(), 0x18, &[*byte]))
            .at(START + at as u64)
            .to(&mut scene);
    }
    send(tcp(client, server, 101, 0x18, &two)).to(&mut scene);
    let shown = scene.shown();
    assert_eq!(
        shown.iter().map(|one| (&*one.name, one.pid)).collect::<Vec<_>>(),
        [("a.example", Some(7)), ("b.example", Some(7))]
    );
    let reply = answer(2, "b.example").0;
    let framed = [&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], &reply].concat();
    let back = |bytes| Sent { bytes, ..ingress(SERVER, CLIENT, &[]) }.at(START + SECOND);
    back(tcp(server, client, 900, 0x12, b"")).to(&mut scene);
    back(tcp(server, client, 901, 0x18, &framed)).to(&mut scene);
    let shown = scene.one();
    assert_eq!(
        (&*shown.what, &*shown.name, shown.pid, shown.transport),
        ("answer", "b.example", Some(7), Some(Transport::Tcp))
    );
    assert_eq!(shown.query_time, Some(START + two.len() as u64 - 1));
}

#[test]
fn a_message_of_two_writers_is_the_first_ones() {
    let mut scene = scene();
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let two = [query(1, "a.example"), query(2, "b.example")]
        .map(|one| [&u16::try_from(one.len()).unwrap().to_be_bytes()[..], &one].concat());
    let send = |sequence, bytes: &[u8], pid| {
        Sent { bytes: tcp(client, server, sequence, 0x18, bytes), ..egress(CLIENT, SERVER, &[]) }.by(pid)
    };
    Sent { bytes: tcp(client, server, 100, 2, b""), ..egress(CLIENT, SERVER, &[]) }.by(7).to(&mut scene);
    let (begin, end) = two[0].split_at(two[0].len() - 1);
    send(101, begin, 7).to(&mut scene);
    let rest = [end, &two[1]].concat();
    send(101 + u32::try_from(begin.len()).unwrap(), &rest, 8).to(&mut scene);
    let shown: Vec<_> = scene.shown().into_iter().map(|one| (one.name, one.pid, one.marks.several_writers)).collect();
    assert_eq!(shown, [("a.example".to_owned(), Some(7), true), ("b.example".to_owned(), Some(8), false)]);
}

#[test]
fn over_udp_lite() {
    let mut scene = scene();
    let bytes = udp_lite(CLIENT.parse().unwrap(), SERVER.parse().unwrap(), &query(1, "a.example"));
    Sent { bytes, ..egress(CLIENT, SERVER, &[]) }.by(7).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.name, shown.pid, shown.transport), ("a.example", Some(7), Some(Transport::UdpLite)));
}

#[test]
fn other_ports_are_not_looked_at() {
    let mut scene = scene();
    egress(CLIENT, "192.0.2.53:5300", &query(1, "a.example")).by(7).to(&mut scene);
    assert_eq!(scene.shown(), []);
    let mut scene = Scene::with(&Settings { ports: vec![5300], ..Settings::default() }, Arc::default());
    egress(CLIENT, "192.0.2.53:5300", &query(1, "a.example")).to(&mut scene);
    egress(CLIENT, SERVER, &query(1, "b.example")).to(&mut scene);
    assert_eq!(scene.one().name, "a.example");
}

/// Malware that speaks another protocol to port 53 was counted, and not named (U10).
#[test]
fn bytes_that_are_no_dns_are_a_document_with_their_process() {
    let mut scene = scene();
    egress(CLIENT, SERVER, b"short").by(7).to(&mut scene);
    egress(CLIENT, SERVER, &[0x7f; 40]).by(7).to(&mut scene);
    ingress(SERVER, CLIENT, b"").by(7).to(&mut scene);
    let shown = scene.shown();
    let of = |one: &Shown| (one.what.clone(), one.pid, one.bytes, one.client, one.alert);
    let client = CLIENT.parse().ok();
    let expected = [5, 40, 0].map(|bytes| ("malformed".to_owned(), Some(7), bytes, client, false));
    assert_eq!(shown.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!(scene.metrics.traffic.messages_unreadable.get(), 3);
}

/// Lines about what a process sends must not cost more than sending it does.
#[test]
fn a_process_has_a_share_of_documents_for_what_is_no_dns() {
    let mut scene = scene();
    for _ in 0..100 {
        egress(CLIENT, SERVER, b"short").by(7).to(&mut scene);
    }
    egress(CLIENT, SERVER, b"short").by(8).to(&mut scene);
    let pids: Vec<_> = scene.shown().iter().map(|one| one.pid).collect();
    assert_eq!((pids.len(), pids.last()), (17, Some(&Some(8))));
    assert_eq!(scene.metrics.losses.message_invalid.get(), 84);
    egress(CLIENT, SERVER, b"short").by(7).at(START + SECOND).to(&mut scene);
    assert_eq!(scene.shown().iter().filter(|one| one.what == "malformed").count(), 1);
    // A replay shows all of them: no process floods a file.
    for _ in 0..100 {
        egress(CLIENT, SERVER, b"short").direction(None).to(&mut scene);
    }
    assert_eq!(scene.shown().len(), 100);
}

/// Names behind more questions than a message may have are matched all the same.
#[test]
fn a_listed_name_in_what_is_no_dns_is_an_alert() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("list.txt"), "evil.example\n").unwrap();
    let rules = dnstrail::rules::load(&[directory.path().to_owned()], None).complete().unwrap().rules;
    let mut scene = Scene::with(&Settings::default(), rules);
    scene.exec(key(7));
    let mut bytes = query(1, "www.evil.example");
    bytes[4..6].copy_from_slice(&[0xff, 0xff]);
    for _ in 0..100 {
        egress(CLIENT, SERVER, &bytes).by(7).to(&mut scene);
    }
    let shown = scene.shown();
    assert_eq!(shown.len(), 100, "an alert is never left out");
    assert_eq!((&*shown[99].what, &*shown[99].name, shown[99].alert), ("malformed", "www.evil.example", true));
    // A payload that comes to an open port accuses no process.
    ingress(SERVER, CLIENT, &bytes).by(7).to(&mut scene);
    assert!(!scene.one().alert);
}

#[test]
fn losses_are_reported_once_a_second() {
    let mut scene = scene();
    let bad = || Sent { bytes: vec![0x45, 0, 0], ..egress(CLIENT, SERVER, b"") };
    bad().to(&mut scene);
    scene.tick(START + SECOND);
    assert_eq!(scene.one().what, "packet_malformed+1=1");
    bad().at(START + SECOND).to(&mut scene);
    scene.tick(START + SECOND + 1);
    assert_eq!(scene.shown(), [], "once a second is enough");
    scene.finish(START + SECOND + 2);
    assert_eq!(scene.one().what, "packet_malformed+1=2");
    scene.finish(START + 9 * SECOND);
    assert_eq!(scene.shown(), [], "nothing new is nothing to tell");
}

#[test]
fn a_cut_message_is_emitted_in_part() {
    let mut scene = scene();
    let whole = answer(1, "a.example").answer(1, &[192, 0, 2, 9]).0;
    egress(CLIENT, SERVER, &query(1, "a.example")).by(7).to(&mut scene);
    ingress(SERVER, CLIENT, &whole[..whole.len() - 2]).to(&mut scene);
    let shown = scene.shown();
    assert_eq!((&*shown[1].what, shown[1].pid), ("answer", Some(7)));
    assert_eq!(scene.metrics.traffic.messages_malformed.get(), 1);
}

#[test]
fn multicast_has_no_timeouts() {
    let mut scene = scene();
    let group = "224.0.0.251:5353";
    egress("192.0.2.1:5353", group, &query(0, "printer.local")).by(7).to(&mut scene);
    assert_eq!(scene.one().pid, Some(7));
    let reply = Builder::new(0, 0x8400).record(1, &name("printer.local"), 1, 0x8001, 120, &[192, 0, 2, 77]).0;
    ingress("192.0.2.77:5353", group, &reply).by(7).at(START + 4).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, &*shown.name, shown.query_time), ("answer", "printer.local", Some(START)));
    // Another process only listens.
    ingress("192.0.2.77:5353", group, &reply).by(8).at(START + 4).to(&mut scene);
    let shown = scene.one();
    assert_eq!((shown.pid, shown.query_time), (Some(8), None));
    scene.tick(START + 10 * SECOND);
    assert_eq!(scene.shown(), []);
}

#[test]
fn a_query_that_is_no_query_is_emitted_and_not_waited_for() {
    let mut scene = scene();
    // A tunnel may set QR in what it sends to a server; the client is still who it is.
    egress(CLIENT, SERVER, &answer(1, "a.example").0).by(7).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, shown.pid, shown.client), ("answer", Some(7), CLIENT.parse().ok()));
    ingress(SERVER, CLIENT, &query(1, "a.example")).by(7).to(&mut scene);
    let shown = scene.one();
    assert_eq!((&*shown.what, shown.client), ("query", CLIENT.parse().ok()));
    scene.tick(START + 10 * SECOND);
    assert_eq!(scene.shown(), []);
}
