//! Alerts, documents that only carry labels, and repeats: lists from files, packets by hand.

use std::fs;

use dnstrail::rules;

use super::*;

/// Lists by name and text, loaded as from the command line.
fn lists(files: &[(&str, &str)]) -> Arc<Rules> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    rules::load(&[directory.path().to_owned()], None).complete().unwrap().rules
}

fn scene_with(window: u64, files: &[(&str, &str)]) -> Scene {
    let mut scene = Scene::with(&Settings { alert_window: window, ..Settings::default() }, lists(files));
    scene.exec(key(7));
    scene.exec(key(8));
    scene
}

fn scene(files: &[(&str, &str)]) -> Scene {
    scene_with(0, files)
}

/// A query of its own: each has another id.
fn ask(scene: &mut Scene, id: u16, name: &str, time: u64) {
    egress(CLIENT, SERVER, &query(id, name)).by(7).at(time).to(scene);
}

fn reply(scene: &mut Scene, answer: &Builder, time: u64) {
    ingress(SERVER, CLIENT, &answer.0).at(time).to(scene);
}

/// Alert or not, and field and entry of each match.
fn gist(shown: &Shown) -> (bool, Vec<(&str, &str)>) {
    (shown.alert, shown.matches.iter().map(|(field, entry)| (&**field, &**entry)).collect())
}

const QUESTION: (&str, &str) = ("dns.question.name", "evil.example");

#[test]
fn the_query_alerts_and_what_follows_is_labelled() {
    let mut scene = scene(&[("list.txt", "evil.example\n")]);
    ask(&mut scene, 1, "WWW.Evil.example", START);
    let shown = scene.one();
    assert_eq!((gist(&shown), shown.pid), ((true, vec![QUESTION]), Some(7)));
    // Sent again; answered; answered again.
    ask(&mut scene, 1, "www.evil.example", START + SECOND);
    assert_eq!(gist(&scene.one()), (false, vec![QUESTION]));
    for what in ["answer", "duplicate"] {
        reply(&mut scene, &answer(1, "www.evil.example").answer(1, &[192, 0, 2, 9]), START + 2 * SECOND);
        let shown = scene.one();
        assert_eq!((&*shown.what, gist(&shown)), (what, (false, vec![QUESTION])));
    }
    // The next lookup is the next alert.
    ask(&mut scene, 2, "evil.example", START + 3 * SECOND);
    assert!(scene.one().alert);
    ask(&mut scene, 3, "notevil.example", START + 3 * SECOND);
    assert_eq!(gist(&scene.one()), (false, vec![]));
    assert_eq!(scene.metrics.traffic.alerts.get(), 2);
}

/// A listed name that is not the first question raises an alert, too (U10).
#[test]
fn every_question_is_matched() {
    let mut scene = scene(&[("list.txt", "evil.example\n")]);
    let two = Builder::new(1, 0x0100).question(&name("good.example"), 1, 1).question(&name("www.evil.example"), 1, 1);
    egress(CLIENT, SERVER, &two.0).by(7).at(START).to(&mut scene);
    let shown = scene.one();
    assert_eq!((shown.name.as_str(), gist(&shown)), ("good.example", (true, vec![QUESTION])));
}

#[test]
fn an_alias_and_an_address_alert_on_their_own() {
    let mut scene = scene(&[("list.txt", "evil.example\nsink.test\n203.0.113.0/24\n")]);
    ask(&mut scene, 1, "good.example", START);
    assert_eq!(gist(&scene.one()), (false, vec![]));
    reply(&mut scene, &answer(1, "good.example").answer(5, &name("cdn.sink.test")), START + 1);
    assert_eq!(gist(&scene.one()), (true, vec![("dns.answers.data", "sink.test")]));

    ask(&mut scene, 2, "evil.example", START + 2);
    assert!(scene.one().alert);
    // The question is known, the address is news.
    reply(&mut scene, &answer(2, "evil.example").answer(1, &[203, 0, 113, 7]), START + 3);
    assert_eq!(gist(&scene.one()), (true, vec![QUESTION, ("dns.resolved_ip", "203.0.113.0/24")]));
    reply(&mut scene, &answer(2, "evil.example").answer(1, &[203, 0, 113, 7]), START + 4);
    assert_eq!(gist(&scene.one()), (false, vec![QUESTION, ("dns.resolved_ip", "203.0.113.0/24")]));
}

#[test]
fn a_timeout_is_labelled() {
    let mut scene = scene(&[("list.txt", "evil.example\n")]);
    ask(&mut scene, 1, "evil.example", START);
    assert!(scene.one().alert);
    scene.tick(START + 6 * SECOND);
    let shown = scene.one();
    assert_eq!((&*shown.what, gist(&shown)), ("timeout", (false, vec![QUESTION])));
}

#[test]
fn rules_that_come_between_query_and_answer() {
    // A name that left the list keeps its label; a name that is new on the list is an alert.
    let mut scene = scene(&[("list.txt", "evil.example\n")]);
    ask(&mut scene, 1, "evil.example", START);
    ask(&mut scene, 2, "late.example", START);
    assert_eq!(scene.shown().iter().map(|shown| shown.alert).collect::<Vec<_>>(), [true, false]);
    scene.pipeline.set_rules(lists(&[("list.txt", "# another\nlate.example\n")]));
    reply(&mut scene, &answer(1, "evil.example"), START + 1);
    assert_eq!(gist(&scene.one()), (false, vec![QUESTION]));
    reply(&mut scene, &answer(2, "late.example"), START + 2);
    assert_eq!(gist(&scene.one()), (true, vec![("dns.question.name", "late.example")]));
    // The same list loaded again is no news.
    ask(&mut scene, 3, "late.example", START + 3);
    assert!(scene.one().alert);
    scene.pipeline.set_rules(lists(&[("list.txt", "late.example\n")]));
    reply(&mut scene, &answer(3, "late.example"), START + 4);
    assert_eq!(gist(&scene.one()), (false, vec![("dns.question.name", "late.example")]));
}

#[test]
fn an_exception_for_all_lists_wins_wherever_it_stands() {
    let manifest =
        "[[list]]\nid = \"a\"\npath = \"a.txt\"\n[[list]]\nid = \"b\"\npath = \"b.txt\"\naction = \"allow\"\n";
    let mut scene = scene(&[
        ("rules.toml", manifest),
        ("a.txt", "evil.example\nfar.good.evil.example\n"),
        ("b.txt", "good.evil.example\n"),
    ]);
    for (id, name, alert) in
        [(1, "evil.example", true), (2, "good.evil.example", false), (3, "x.far.good.evil.example", false)]
    {
        ask(&mut scene, id, name, START);
        assert_eq!(scene.one().alert, alert, "{name}");
    }
    reply(&mut scene, &answer(1, "evil.example").answer(5, &name("good.evil.example")), START + 1);
    assert_eq!(gist(&scene.one()), (false, vec![QUESTION]));
}

#[test]
fn every_list_is_named_the_longest_match_first() {
    let mut scene = scene(&[
        ("one.txt", "evil.example\n"),
        ("three.txt", "other.test\n"),
        ("two.txt", "www.evil.example\nevil.example\n"),
    ]);
    ask(&mut scene, 1, "www.evil.example", START);
    let shown = scene.one();
    assert_eq!(shown.lists, ["two", "one"]);
    assert_eq!(gist(&shown), (true, vec![("dns.question.name", "www.evil.example"), QUESTION]));
}

#[test]
fn repeats_within_the_window_are_events_and_counted() {
    let mut scene = scene_with(60 * SECOND, &[("list.txt", "evil.example\nworse.example\n")]);
    ask(&mut scene, 1, "a.evil.example", START);
    assert!(scene.one().alert, "the first is shown at once");
    for number in 2..=4 {
        ask(&mut scene, number, "b.evil.example", START + u64::from(number) * SECOND);
        assert_eq!(gist(&scene.one()), (false, vec![QUESTION]));
        reply(&mut scene, &answer(number, "b.evil.example"), START + u64::from(number) * SECOND + 1);
        assert_eq!(gist(&scene.one()), (false, vec![QUESTION]));
    }
    // Another entry, and another process, are no repeats; nor is a process that is not known.
    ask(&mut scene, 5, "worse.example", START + 5 * SECOND);
    egress(CLIENT, SERVER, &query(6, "evil.example")).by(8).at(START + 5 * SECOND).to(&mut scene);
    for id in [7, 8] {
        egress(CLIENT, SERVER, &query(id, "evil.example")).at(START + 5 * SECOND).to(&mut scene);
    }
    let queries = scene.shown().into_iter().filter(|shown| shown.what == "query");
    assert_eq!(queries.map(|shown| shown.alert).collect::<Vec<_>>(), [true; 4]);
    scene.tick(START + 60 * SECOND - 1);
    assert!(scene.shown().iter().all(|shown| shown.what == "timeout" && !shown.alert));
    scene.tick(START + 60 * SECOND);
    let shown = scene.one();
    assert_eq!((&*shown.what, shown.pid, shown.tid), ("3 more: the alert window has ended", Some(7), Some(1007)));
    assert_eq!((shown.time, shown.query_time), (START + 60 * SECOND, Some(START)));
    assert_eq!((gist(&shown), &*shown.lists[0]), ((false, vec![QUESTION]), "list"));
    // Windows without a repeat end in silence, and the next match is an alert again.
    scene.tick(START + 66 * SECOND);
    assert_eq!(scene.shown(), []);
    ask(&mut scene, 9, "evil.example", START + 67 * SECOND);
    assert!(scene.one().alert);
    assert_eq!((scene.metrics.traffic.alerts.get(), scene.metrics.traffic.alert_repeats.get()), (6, 3));
}

#[test]
fn one_new_entry_makes_the_document_an_alert() {
    let mut scene = scene_with(60 * SECOND, &[("list.txt", "evil.example\n203.0.113.7\n")]);
    ask(&mut scene, 1, "evil.example", START);
    ask(&mut scene, 2, "evil.example", START + 1);
    reply(&mut scene, &answer(2, "evil.example").answer(1, &[203, 0, 113, 7]), START + 2);
    assert_eq!(scene.shown().iter().map(|shown| shown.alert).collect::<Vec<_>>(), [true, false, true]);
    // A new image of the process has a window of its own.
    let next = TaskKey { exec_id: 2, ..key(7) };
    scene.exec(next);
    let mut sent = egress(CLIENT, SERVER, &query(3, "evil.example")).at(START + 3);
    sent.task = Some(Task { process: next, ..task(7) });
    sent.to(&mut scene);
    assert!(scene.one().alert);
}

#[test]
fn lists_that_are_loaded_again_do_not_end_a_window() {
    let mut scene = scene_with(60 * SECOND, &[("list.txt", "evil.example\n")]);
    ask(&mut scene, 1, "evil.example", START);
    scene.pipeline.set_rules(lists(&[("list.txt", "# new\nevil.example\n")]));
    ask(&mut scene, 2, "evil.example", START + 1);
    assert_eq!(scene.shown().iter().map(|shown| shown.alert).collect::<Vec<_>>(), [true, false]);
    scene.finish(START + 2);
    assert_eq!(scene.one().what, "1 more: the sensor stops");
    scene.finish(START + 3);
    assert_eq!(scene.shown(), []);
}

#[test]
fn a_clock_that_is_set_back_ends_windows() {
    let mut scene = scene_with(60 * SECOND, &[("list.txt", "evil.example\n")]);
    ask(&mut scene, 1, "evil.example", START);
    ask(&mut scene, 2, "evil.example", START);
    ask(&mut scene, 3, "evil.example", START - 30 * SECOND);
    let shown = scene.shown();
    let queries = shown.iter().filter(|shown| shown.what == "query");
    assert_eq!(queries.map(|shown| shown.alert).collect::<Vec<_>>(), [true, false, false]);
    let mut alerts = 0;
    let mut summaries = Vec::new();
    let packet = egress(CLIENT, SERVER, &query(4, "evil.example")).by(7).at(START - 3600 * SECOND);
    let packet = Packet {
        time: packet.time,
        direction: packet.direction,
        task: packet.task,
        socket: 0,
        network_namespace: 1,
        length: 0,
        bytes: &packet.bytes,
        ..Packet::default()
    };
    scene.pipeline.push(&Event::Packet(packet), &mut |_, document: Document<'_>| {
        if let Document::Dns(dns) = &document {
            alerts += u32::from(dns.alert);
        } else if let Document::Summary(summary) = document {
            summaries.push(summary.repeats);
        }
    });
    assert_eq!((alerts, summaries), (1, vec![2]));
}

/// More windows than the table holds: no first alert is dropped, and every repeat is in a summary.
#[test]
fn a_flood_of_entries_ends_windows_early_and_loses_nothing() {
    const ENTRIES: u32 = 6_000;
    let list = (0..ENTRIES).map(|number| format!("n{number}.example")).collect::<Vec<_>>().join("\n");
    let mut scene = scene_with(600 * SECOND, &[("list.txt", &list)]);
    let mut documents = Vec::new();
    for number in 0..ENTRIES {
        let name = format!("n{number}.example");
        for twice in 0..2u16 {
            // Each from a port and with an id of its own: all wait for their answer.
            let client = format!("192.0.2.1:{}", 20_000 + number);
            egress(&client, SERVER, &query(twice, &name)).by(7).at(START + u64::from(number)).to(&mut scene);
        }
        documents.append(&mut scene.shown());
    }
    let early = documents.iter().filter(|shown| shown.what == "1 more: the table of alert windows is full").count();
    assert_eq!(early, ENTRIES as usize - 4_096);
    assert_eq!(documents.iter().filter(|shown| shown.alert).count(), ENTRIES as usize);
    scene.finish(START + SECOND);
    let last = scene.shown().iter().filter(|shown| shown.what == "1 more: the sensor stops").count();
    assert_eq!(early + last, ENTRIES as usize);
    assert_eq!(scene.metrics.traffic.alert_repeats.get(), u64::from(ENTRIES));
}
