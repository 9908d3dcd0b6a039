//! How it ends: by signals, by a closed pipe, after a set time; and how it refuses to begin.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::clients::{Client, built};
use super::documents::{Lookup, Recording};
use super::lab::{Lab, until};
use super::sensor::{Sensor, dnstrail, ended, hooks, program, program_for_everyone, run_to_end};
use super::servers::unbound;

#[test]
fn live_signals_drain_and_end_with_0() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let lab = Lab::new();
        let _resolver = unbound(&lab, &["127.0.0.1"], 53);
        let sensor = Sensor::start(&lab, &[]);
        let mut runs = Vec::new();
        for number in 0..20 {
            let name = lab.name(&format!("n{number}"));
            runs.push((Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run(), name));
        }
        let recording = sensor.stop_by(signal);
        for (run, name) in &runs {
            Lookup::by(run, name).assert_in(&recording);
        }
    }
}

#[test]
fn live_closed_pipe_ends_with_0() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let [hooks, way] = hooks();
    let mut sensor = dnstrail(&["run", &hooks, &way, "--ready-file"])
        .arg(lab.path("ready"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dnstrail does not start");
    let mut line = String::new();
    BufReader::new(sensor.stdout.take().expect("piped")).read_line(&mut line).expect("the first line");
    assert!(line.contains(r#""action":"sensor-start""#), "{line}");
    until("dnstrail makes its ready file", || lab.path("ready").exists());
    // The next line finds the pipe closed.
    Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name("closed")]).run();
    assert_eq!(ended(&mut sensor).code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut sensor.stderr.take().expect("piped"), &mut said).expect("text");
    assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{said}");
}

#[test]
fn live_head_of_the_stream_ends_the_pipeline_with_0() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let [hooks, way] = hooks();
    let script = r#"{ "$0" run "$@"; echo $? >"$STATUS"; } | head -1"#;
    let mut pipeline = Command::new(built().join("enter"))
        .args(["--", "sh", "-c", script])
        .arg(program())
        .args([&hooks, &way, "--ready-file"])
        .arg(lab.path("ready"))
        .env("STATUS", lab.path("status"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh does not start");
    until("dnstrail makes its ready file", || lab.path("ready").exists());
    Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name("headed")]).run();
    assert!(ended(&mut pipeline).success());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut pipeline.stdout.take().expect("piped"), &mut text).expect("text");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(std::fs::read_to_string(lab.path("status")).expect("the status").trim(), "0");
}

#[test]
fn live_duration_ends_it_by_itself() {
    let lab = Lab::new();
    let output = lab.path("documents.json");
    let [hooks, way] = hooks();
    let started = std::time::Instant::now();
    let command =
        dnstrail(&["run", &hooks, &way, "--duration", "2", "--output", &format!("file:{}", output.display())]);
    let (code, stdout, stderr) = run_to_end(command);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(started.elapsed().as_secs_f64() >= 2.0);
    assert_eq!(stdout, "");
    Recording::read(&std::fs::read(output).expect("a file"));
}

/// Lines that an output did not take were lost with exit code 0.
#[test]
fn live_lost_lines_end_with_1_and_their_number() {
    let lab = Lab::new();
    let [hooks, way] = hooks();
    let output = format!("file:{}", lab.path("documents.json").display());
    let arguments = ["run", &hooks, &way, "--duration", "1", "--output", "file:/dev/full", "--output", &output];
    let (code, stdout, stderr) = run_to_end(dnstrail(&arguments));
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    let recording = Recording::read(&std::fs::read(lab.path("documents.json")).expect("a file"));
    // Every document is lost there, the last one about the stop as well.
    let lost = recording.documents.len();
    assert!(stderr.ends_with(&format!("dnstrail: {lost} lines were lost: see the outputs above\n")), "{stderr}");
}

#[test]
fn live_missing_privilege_is_one_sentence_and_1() {
    let lab = Lab::new();
    let [hooks, way] = hooks();
    let mut command = Command::new(built().join("enter"));
    command.args(["--user", "65534", "--"]).arg(program_for_everyone(lab.scratch.path()));
    command.args(["run", &hooks, &way]).current_dir("/").stdin(Stdio::null());
    let (code, stdout, stderr) = run_to_end(command);
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    assert_eq!(stderr.trim().lines().count(), 1, "{stderr}");
    assert!(stderr.contains("root") || stderr.contains("CAP_BPF"), "it says what to do: {stderr}");
}

#[test]
fn live_wrong_usage_is_2() {
    let _lab = Lab::new();
    for arguments in [
        &["run", "--no-such-flag"][..],
        &["run", "--hooks", "magic"],
        &["run", "--output", "carrier-pigeon"],
        &["run", "--observe", "nobody"],
        &["run", "--config", "/no/such/file.toml"],
        &["no-such-command"],
    ] {
        let (code, stdout, stderr) = run_to_end(dnstrail(arguments));
        assert_eq!((code, &*stdout), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty());
    }
}

#[test]
fn live_unwritable_output_is_one_sentence_and_not_0() {
    let _lab = Lab::new();
    let [hooks, way] = hooks();
    let command = dnstrail(&["run", &hooks, &way, "--output", "file:/no/such/folder/documents.json"]);
    let (code, stdout, stderr) = run_to_end(command);
    assert!(matches!(code, Some(1 | 2)), "{code:?} {stderr}");
    assert_eq!(stdout, "");
    assert!(stderr.contains("/no/such/folder/documents.json"), "{stderr}");
}
