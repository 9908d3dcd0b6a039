//! Names, arguments and lists with any content give one line of valid JSON below the cap, and the same line again
//! for the same document.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dnstrail::alert::{Match, Summary};
use dnstrail::event::{self, Stage, Task};
use dnstrail::journal::{Body, Document, ListState, Report, Status, WayIn};
use dnstrail::process::{Actor, Arguments, Container, Process};
use dnstrail::rules::{Entry, List, Metadata};
use dnstrail::schema::{DEFAULT_LINE, SHORTEST_LINE, Schema};
use dnstrail::sighting::connection;
use dnstrail::sighting::dns::{self, ANSWER_DATA};
use dnstrail::sink::{Backlog, OutputState, Tally};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::conformance::check_line_below;
use crate::support::formats;
use crate::support::samples::{self, ANSWER, QUERY, TIME, Wire};

/// Plain, controls, quotes, what some programs take for a line's end, emoji, and long.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z./-]{0,30}",
        "[\\x00-\\x20\"\\\\\\x7f{}:,]{0,300}",
        "(\\u{85}|\\u{2028}|\\u{2029}|\\u{feff}|🦀|\\PC){0,40}",
        "[\\x01\\n\"]{2000,3000}",
    ]
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 1..=63), vec(prop_oneof![Just(b'\n'), Just(b'"'), Just(0), Just(b'\\')], 63)]
}

fn image() -> impl Strategy<Value = Process> {
    (vec(text(), 10), vec(text(), 0..20), any::<[u32; 3]>(), any::<bool>()).prop_map(|(texts, args, numbers, known)| {
        let some = |at: usize| known.then(|| Rc::from(texts[at].as_str()));
        Process {
            // The sensor makes it, and never empty.
            entity_id: format!("id{}", texts[0]).into(),
            executable: some(1),
            name: texts[2].as_str().into(),
            arguments: known.then(|| Rc::new(args.iter().collect::<Arguments>().with_cut(numbers[2]))),
            working_directory: some(4),
            user_name: some(5),
            group_name: some(6),
            uid: numbers[0],
            gid: numbers[1],
            executable_deleted: known,
            container: some(7).map(|id| Container { id, runtime: None, pod: None }),
            parent: None,
            parent_key: Some(samples::parent().key),
            parent_name: some(8),
            ..samples::parent()
        }
    })
}

fn process() -> impl Strategy<Value = Process> {
    (image(), proptest::option::of(image()))
        .prop_map(|(child, parent)| Process { parent: parent.map(Rc::new), ..child })
}

fn hit() -> impl Strategy<Value = Match> {
    (vec(text(), 11), any::<u8>(), any::<u32>()).prop_map(|(texts, severity, line)| {
        let [id, name, category, reference, feed, path, version, uuid, source, description, indicator] =
            texts.try_into().unwrap();
        let severity = Some(severity % 101);
        let hit = Entry {
            list: Arc::new(List {
                id,
                name,
                category: Some(category),
                reference: Some(reference),
                feed: Some(feed),
                severity,
                path: PathBuf::from(path),
                version,
            }),
            line,
            indicator: indicator.as_str().into(),
            metadata: Some(Arc::new(Metadata {
                uuid: Some(uuid),
                source: Some(source),
                description: Some(description),
                severity,
            })),
        };
        Match { hit, field: &ANSWER_DATA, atomic: indicator }
    })
}

fn wire() -> impl Strategy<Value = Wire> {
    let name = || vec(label(), 1..=3);
    let record = (name(), prop_oneof![Just(1), Just(5), Just(16), Just(65), any::<u16>()], vec(any::<u8>(), 0..600));
    (any::<bool>(), name(), vec(record, 0..40), vec(any::<u8>(), 0..300)).prop_map(|(query, name, records, text)| {
        fn labels(name: &[Vec<u8>]) -> Vec<&[u8]> {
            name.iter().map(Vec::as_slice).collect()
        }
        let mut wire = Wire::new(1, if query { QUERY } else { ANSWER }).question(&labels(&name), 255);
        for (name, rtype, data) in &records {
            wire = wire.answer(&labels(name), *rtype, data);
        }
        let length = u16::try_from(text.len() + 2).unwrap().to_be_bytes();
        wire.edns(&[&15_u16.to_be_bytes()[..], &length, &[0, 0], &text].concat())
    })
}

fn caps() -> impl Strategy<Value = usize> {
    prop_oneof![Just(SHORTEST_LINE), Just(DEFAULT_LINE), Just(65_507)]
}

/// Checks the line, and that who asked is still in it.
fn check(document: &Document, cap: usize) -> Result<(), TestCaseError> {
    let mut writer = samples::writer().with_limit(cap);
    let (mut line, mut again) = (Vec::new(), Vec::new());
    document.write(&mut writer, &mut line);
    document.write(&mut writer, &mut again);
    prop_assert_eq!(&line, &again);
    let value = check_line_below(&line, cap);
    prop_assert_ne!(&value["event"]["action"], "document-cut");
    if matches!(document.body, Body::Dns(_)) {
        prop_assert_eq!(&value["process"]["pid"], 4000);
    }
    for schema in formats::OTHERS {
        line.clear();
        document.write(&mut formats::writer(schema).with_limit(cap), &mut line);
        let value = formats::check(schema, &line, cap);
        if matches!(document.body, Body::Dns(_)) {
            let path = if schema == Schema::Ocsf { "/actor/process/pid" } else { "/process_id" };
            prop_assert_eq!(value.pointer(path), Some(&4000.into()));
        }
    }
    Ok(())
}

/// Every text is as long as it can be at once: even in the shortest line all of it has a place.
#[test]
fn everything_at_once() {
    let long = "\u{1}".repeat(5_000);
    let some = || Some(Rc::from(long.as_str()));
    let image = Process {
        entity_id: long.as_str().into(),
        executable: some(),
        name: long.as_str().into(),
        arguments: Some(Rc::new(std::iter::repeat_n(&long, 100).collect::<Arguments>().with_cut(u32::MAX))),
        working_directory: some(),
        user_name: some(),
        group_name: some(),
        executable_deleted: true,
        container: Some(Container { id: long.as_str().into(), runtime: Some("containerd"), pod: None }),
        namespace_pid: Some(u32::MAX),
        ..samples::parent()
    };
    let process = Process { parent: Some(Rc::new(image.clone())), ..image };
    let task = Task { process: process.key, name: [1; 16], ..samples::task() };
    let actor = Actor { process: Some(Rc::new(process)), task: Some(task) };
    let mut hit = samples::hit(&long);
    let text = || Some(long.clone());
    hit.metadata = Some(Arc::new(Metadata { uuid: text(), source: text(), description: text(), severity: None }));
    hit.list = Arc::new(List {
        id: long.clone(),
        name: long.clone(),
        category: text(),
        reference: text(),
        feed: text(),
        severity: None,
        path: PathBuf::from(&long),
        version: long.clone(),
    });
    let matches: Vec<Match> =
        (0..50).map(|_| Match { hit: hit.clone(), field: &ANSWER_DATA, atomic: long.clone() }).collect();
    let name: &[&[u8]] = &[&[1; 63], &[2; 63], &[3; 63], &[4; 61]];
    let mut wire = Wire::new(u16::MAX, ANSWER | 0x0630).question(name, 65_535);
    for _ in 0..100 {
        wire = wire.answer(name, 16, &[&[255][..], &[1; 255]].concat());
    }
    let message = wire.edns(&[&15_u16.to_be_bytes()[..], &1_000_u16.to_be_bytes(), &[1; 1_000]].concat()).message();
    let summary = Summary {
        actor: &actor,
        matched: &matches[0],
        repeats: u64::MAX >> 1,
        first: 0,
        last: TIME,
        reason: "the table of alert windows is full",
    };
    let summary = Document { time: TIME, sequence: 1, body: Body::Report(Report::AlertSummary(summary)) };
    for cap in [SHORTEST_LINE, DEFAULT_LINE, 65_507] {
        check(&summary, cap).unwrap();
    }
    let event = event::Connection {
        sent: u64::MAX >> 2,
        received: u64::MAX >> 2,
        error: 104,
        ..samples::connection(Stage::Closed)
    };
    let asked = message.questions().next().unwrap().name;
    let connection = connection::Document { name: asked, ..samples::connected(&event, &actor, &matches) };
    let connection = Document { time: TIME, sequence: 1, body: Body::Connection(connection) };
    for cap in [SHORTEST_LINE, DEFAULT_LINE, 65_507] {
        check(&connection, cap).unwrap();
    }
    let lookup = dns::Document { matches: &matches, alert: true, ..samples::answered(&message, &actor) };
    let document = Document { time: TIME, sequence: u64::MAX >> 1, body: Body::Dns(lookup) };
    for cap in [SHORTEST_LINE, DEFAULT_LINE, 65_507] {
        check(&document, cap).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lookups(
        process in process(),
        name: [u8; 16],
        wire in wire(),
        matches in vec(hit(), 0..6),
        alert: bool,
        cap in caps(),
    ) {
        let message = wire.message();
        let task = Task { process: samples::parent().key, name, ..samples::task() };
        let actor = Actor { process: Some(Rc::new(process)), task: Some(task) };
        let lookup = if message.response {
            samples::answered(&message, &actor)
        } else {
            samples::asked(&message, &actor)
        };
        let alert = alert && !matches.is_empty();
        let body = Body::Dns(dns::Document { matches: &matches, alert, ..lookup });
        check(&Document { time: TIME, sequence: 1, body }, cap)?;
    }

    #[test]
    fn reports(texts in vec(text(), 6), many in 0_usize..40, cap in caps()) {
        let way = WayIn {
            role: "sends",
            taken: Some(texts[0].clone()),
            refused: vec![(texts[1].clone(), texts[2].clone()); many / 4],
            not_seen: Some(texts[3].clone()),
        };
        let list = ListState {
            id: texts[0].clone(),
            path: texts[1].clone(),
            version: texts[2].clone(),
            error: Some(texts[3].clone()),
            ..ListState::default()
        };
        let (ways_in, lists) = (vec![way; many], vec![list; many]);
        let metrics = dnstrail::metrics::Metrics::default();
        let backlog = Backlog { lines: 1, bytes: 2, away: Some(Duration::from_secs(3)) };
        let output = OutputState { name: texts[4].clone(), tally: Tally::default(), failing: true, backlog };
        let outputs = vec![output; many];
        let (uptime, resident) = (1, Some(2));
        let status =
            Status { uptime, resident, ways_in: &ways_in, lists: &lists, outputs: &outputs, metrics: &metrics };
        for report in [
            Report::Start { ways_in: &ways_in, command_line: &texts[4], walls: &[("no privileges", true), ("system calls", true), ("files", false)] },
            Report::Stop { reason: &texts[5], metrics: &metrics },
            Report::Status(status),
            Report::RulesLoaded { lists: &lists, elapsed: 1 },
            Report::Output { output: &texts[4], failing: true, message: &texts[5], dropped: 1 },
        ] {
            check(&Document { time: TIME, sequence: 1, body: Body::Report(report) }, cap)?;
        }
    }
}
