//! A line that would be too long: what gives way, in which order, and that it says so.

use std::rc::Rc;

use dnstrail::alert::Match;
use dnstrail::journal::{Body, Document};
use dnstrail::process::Process;
use dnstrail::schema::{DEFAULT_LINE, LONGEST_LINE, SHORTEST_LINE};
use dnstrail::sighting::dns::{self, ANSWER_NAME};
use serde_json::Value;

use crate::support::conformance::{check_line, check_line_below};
use crate::support::samples::{self, ANSWER, TIME, WWW, Wire};

fn write(lookup: dns::Document) -> (Value, String) {
    let mut line = Vec::new();
    Document { time: TIME, sequence: 1, body: Body::Dns(lookup) }.write(&mut samples::writer(), &mut line);
    (check_line(&line), String::from_utf8(line).unwrap())
}

fn cut(document: &Value) -> Vec<&str> {
    document["dnstrail"]["cut"].as_array().map(|cut| cut.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn verbose(arguments: usize) -> Process {
    let arguments = (0..arguments).map(|number| format!("--option-{number:05}={}", "x".repeat(80))).collect();
    Process { arguments: Some(Rc::new(arguments)), ..samples::process() }
}

#[test]
fn arguments_give_way_first() {
    let (message, actor) = (samples::answer(), samples::actor(verbose(500)));
    let (document, _) = write(samples::answered(&message, &actor));
    assert_eq!(cut(&document), ["process.command_line", "process.args"]);
    assert_eq!(document["process"]["args_count"], 500);
    assert_eq!(document["dns"]["answers"].as_array().unwrap().len(), 5);
    let shown = document["process"]["command_line"].as_str().unwrap();
    assert!(shown.len() >= 512 && actor.process.unwrap().command_line().unwrap().starts_with(shown));
    assert!(document["process"]["args"].as_array().unwrap().len() >= 5);
}

#[test]
fn a_browser_is_not_cut() {
    let (message, actor) = (samples::answer(), samples::actor(verbose(16)));
    let (document, _) = write(samples::answered(&message, &actor));
    assert_eq!(cut(&document), [""; 0]);
    assert_eq!(document["process"]["args"].as_array().unwrap().len(), 16);
}

#[test]
fn answers_say_how_many_there_were() {
    let mut wire = Wire::new(1, ANSWER).question(WWW, 1);
    for number in 0..200 {
        wire = wire.answer(WWW, 1, &[192, 0, 2, number]);
    }
    let actor = samples::actor(samples::process());
    let (document, line) = write(samples::answered(&wire.message(), &actor));
    assert_eq!(cut(&document)[0], "dns.answers");
    assert_eq!(document["dnstrail"]["dns"]["answers_count"], 200);
    let shown = document["dns"]["answers"].as_array().unwrap().len();
    assert!((25..200).contains(&shown), "{shown}");
    assert_eq!(document["dns"]["resolved_ip"].as_array().unwrap().len(), shown);
    assert!(line.find("\"parent\":{\"pid\"").unwrap() < 5_000, "{line}");
}

/// Splunk extracts no field that stands behind the first 5,000 characters.
#[test]
fn identity_stands_first() {
    let mut wire = Wire::new(1, ANSWER).question(WWW, 16);
    for number in 0..100_u8 {
        wire = wire.answer(WWW, 16, &[&[200][..], &[b'a' + number % 26; 200]].concat());
    }
    let (actor, matches) = (samples::actor(verbose(500)), samples::matches());
    let message = wire.message();
    let (_, line) = write(dns::Document { matches: &matches, alert: true, ..samples::answered(&message, &actor) });
    for field in [
        "\"sequence\":",
        "\"action\":",
        "\"rule\":{\"id\":",
        "\"question\":{\"name\":",
        "\"process\":{\"pid\":4242,\"name\":\"curl\",\"executable\":\"/usr/bin/curl\",\"entity_id\":",
        "\"parent\":{\"pid\":4000,\"name\":\"bash\",\"executable\":\"/usr/bin/bash\",\"entity_id\":",
    ] {
        let at = line.find(field).unwrap_or_else(|| panic!("{field} in {line}"));
        assert!(at < 5_000, "{field} at {at}");
    }
}

#[test]
fn a_long_text_shows_its_beginning() {
    let text: Vec<u8> = (0..60).flat_map(|_| [&[100][..], &[b'q'; 100]].concat()).collect();
    let message = Wire::new(1, ANSWER).question(WWW, 16).answer(WWW, 16, &text).message();
    let actor = samples::actor(samples::process());
    let (document, _) = write(samples::answered(&message, &actor));
    assert_eq!(cut(&document), ["dns.answers"]);
    let shown = document["dns"]["answers"][0]["data"].as_str().unwrap();
    assert!(shown.len() > 2_000 && message.records().next().unwrap().data.starts_with(shown));
}

#[test]
fn a_wider_cap_shows_more() {
    let (message, actor) = (samples::answer(), samples::actor(verbose(500)));
    let lookup = samples::answered(&message, &actor);
    let document = Document { time: TIME, sequence: 1, body: Body::Dns(lookup) };
    let mut line = Vec::new();
    document.write(&mut samples::writer().with_limit(usize::MAX), &mut line);
    let value = check_line_below(&line, LONGEST_LINE);
    assert_eq!(cut(&value), [""; 0]);
    assert_eq!(value["process"]["args"].as_array().unwrap().len(), 500);
}

#[test]
fn many_matches_keep_the_first() {
    let (message, actor) = (samples::answer(), samples::actor(samples::process()));
    let mut matches = samples::matches();
    for number in 0..200 {
        let name = format!("host-{number}.evil.example");
        matches.push(Match { hit: samples::hit(&name), field: &ANSWER_NAME, atomic: name });
    }
    let lookup = || dns::Document { matches: &matches, alert: true, ..samples::answered(&message, &actor) };
    let (document, _) = write(lookup());
    assert!(cut(&document).contains(&"threat.enrichments"));
    assert_eq!(document["threat"]["enrichments"][0]["indicator"]["name"], "evil.example");
    let mut line = Vec::new();
    let body = Body::Dns(lookup());
    Document { time: TIME, sequence: 1, body }.write(&mut samples::writer().with_limit(0), &mut line);
    let document = check_line_below(&line, SHORTEST_LINE);
    assert_eq!(document["threat"]["enrichments"][0]["indicator"]["name"], "evil.example");
    assert_eq!(document["process"]["pid"], 4242);
}

/// The kept form of an image is used only where a new one would be the same.
#[test]
fn an_image_is_written_once_and_read_in_every_line() {
    let query = samples::query();
    let lines = |process: &Process, limit: usize| {
        let actor = samples::actor(process.clone());
        let mut writer = samples::writer().with_limit(limit);
        [(); 2].map(|()| {
            let body = Body::Dns(samples::asked(&query, &actor));
            let mut line = Vec::new();
            Document { time: TIME, sequence: 1, body }.write(&mut writer, &mut line);
            line
        })
    };
    for arguments in [1, 40, 400, 4_000] {
        let process = verbose(arguments);
        for limit in [DEFAULT_LINE, SHORTEST_LINE, LONGEST_LINE, SHORTEST_LINE] {
            let [first, second] = lines(&process, limit);
            assert_eq!(first, second);
            // A copy has nothing written.
            assert_eq!(first, lines(&process.clone(), limit)[0], "{arguments} arguments, {limit} bytes");
        }
        let other = Process { uid: 0, user_name: None, ..process.clone() };
        let [line, _] = lines(&other, DEFAULT_LINE);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["process"]["user"], serde_json::json!({ "id": "0" }));
    }
}
