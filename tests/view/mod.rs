//! Our own lines read back: the golden lines of each format, and `dnstrail trail` as a person types it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dnstrail::view::{Document, Refusal};
use flate2::Compression;
use flate2::write::GzEncoder;

fn golden(format: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/golden").join(format);
    let files = fs::read_dir(folder).expect("golden lines").map(|file| file.expect("an entry").path());
    let lines: Vec<String> = files.map(|path| fs::read_to_string(path).expect("a line")).collect();
    assert!(lines.len() > 20, "{} lines", lines.len());
    lines
}

/// No type here contradicts what the sensor writes.
#[test]
fn every_golden_line_in_ecs_is_read() {
    for line in golden("ecs") {
        let document = Document::read(line.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal:?}: {line}"));
        assert!(document.time.starts_with("2026-11-21T03:10:30") && document.host.name == "web-1", "{document:?}");
    }
}

#[test]
fn lines_of_other_formats_and_programs_are_refused() {
    for format in ["splunk-cim", "ocsf"] {
        for line in golden(format) {
            assert_eq!(Document::read(line.as_bytes()).unwrap_err(), Refusal::Format(format), "{line}");
        }
    }
    for line in ["", "{\"torn", "[]", "7", "{}", r#"{"event":{"dataset":"zeek.dns"}}"#, r#"{"event":7}"#] {
        assert_eq!(Document::read(line.as_bytes()).unwrap_err(), Refusal::NotOurs, "{line}");
    }
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("it is ours");
        path
    }

    /// `dnstrail trail` in this folder.
    fn trail(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
        command.arg("trail").args(arguments).current_dir(self.0.path()).output().expect("dnstrail")
    }
}

fn lookup(time: &str, process: &str, name: &str, ip: &str) -> String {
    format!(
        r#"{{"@timestamp":"{time}","event":{{"dataset":"dnstrail.dns","action":"dns-answer"}},"dns":{{"question":{{"name":"{name}","type":"A"}},"resolved_ip":["{ip}"]}},"process":{{"entity_id":"{process}","pid":7}}}}"#
    ) + "\n"
}

fn outcome(output: &Output) -> (Option<i32>, usize, String) {
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn trail_says_what_it_read_and_found() {
    let files = Files::new();
    files.file("a.json", lookup("2026-11-21T00:00:00Z", "a", "www.evil.example", "192.0.2.1") + "torn\n");
    let (code, lines, said) = outcome(&files.trail(&["evil[.]example", "hxxp://other.example/x", "a.json"]));
    assert_eq!((code, lines), (Some(0), 1), "{said}");
    let expected = "dnstrail: 1 documents in 1 file\n\
                    dnstrail: 1 lines that are no documents of dnstrail were skipped\n\
                    dnstrail: evil.example: 1 lookups, 0 connections\n\
                    dnstrail: other.example: nothing found\n\
                    dnstrail: 1 processes resolved an indicator\n";
    assert_eq!(said, expected);
    for indicator in ["192.0.2.0/24", "192[.]0[.]2[.]1", "https://www.evil.example:8443/a?b"] {
        assert_eq!(outcome(&files.trail(&[indicator, "a.json"])).0, Some(0), "{indicator}");
    }
    let (code, lines, said) = outcome(&files.trail(&["absent.example", "a.json"]));
    assert_eq!((code, lines), (Some(1), 0));
    assert!(said.ends_with("dnstrail: absent.example: nothing found\n"), "{said}");
}

#[test]
fn files_are_read_in_the_order_of_their_time() {
    let files = Files::new();
    files.file("new.json", lookup("2026-11-21T00:00:00Z", "a", "after.example", "192.0.2.9"));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(lookup("2026-11-20T00:00:00Z", "a", "evil.example", "192.0.2.1").as_bytes()).expect("a buffer");
    files.file("old.json.gz", gzip.finish().expect("a buffer"));
    for order in [["new.json", "old.json.gz"], ["old.json.gz", "new.json"]] {
        assert_eq!(outcome(&files.trail(&["evil.example", order[0], order[1]])).1, 2, "{order:?}");
    }
    let since = outcome(&files.trail(&["evil.example", "new.json", "old.json.gz", "--since", "2026-11-21"]));
    assert_eq!((since.0, since.1), (Some(1), 0), "{}", since.2);
}

#[test]
fn entries_of_lists_are_indicators() {
    let files = Files::new();
    let lookups = lookup("2026-11-21T00:00:00Z", "a", "www.evil.example", "192.0.2.1")
        + &lookup("2026-11-21T00:00:01Z", "b", "other.example", "192.0.2.66")
        + &lookup("2026-11-21T00:00:02Z", "c", "good.example", "192.0.2.3")
        + &lookup("2026-11-21T00:00:03Z", "a", "later.example", "192.0.2.4");
    files.file("a.json", lookups);
    files.file("new.txt", "evil.example\nabsent.example\n");
    files.file("networks.txt", "192.0.2.64/26\n");
    let (code, lines, said) = outcome(&files.trail(&["--rules", "new.txt,networks.txt", "a.json"]));
    assert_eq!((code, lines), (Some(0), 3), "{said}");
    assert!(said.contains("list new: 1 lookups") && said.contains("list networks: 1 lookups"), "{said}");
    let (code, lines, said) = outcome(&files.trail(&["good.example", "a.json", "--rules", "new.txt"]));
    assert_eq!((code, lines), (Some(0), 3), "{said}");
    files.file("absent.txt", "absent.example\n");
    assert_eq!(outcome(&files.trail(&["--rules", "absent.txt", "a.json"])).0, Some(1));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let files = Files::new();
    files.file("a.json", lookup("2026-11-21T00:00:00Z", "a", "evil.example", "192.0.2.1"));
    files.file("cim.json", &golden("splunk-cim")[0]);
    for (arguments, code, reason) in [
        (&["evil.example"][..], 2, "no file is given; give files of documents behind the indicators"),
        (&["--rules", "none.txt", "a.json"], 2, "none.txt"),
        (&["evil.example", "a.jsno"], 2, "a.jsno: no such file; give files of documents behind the indicators"),
        (&["evil.example", "/nonexistent/a.json"], 1, "/nonexistent/a.json: cannot be opened: No such file"),
        (&["evil..example", "a.json"], 2, "\"evil..example\": an empty label (two dots in a row); give a name"),
        (&["evil.example", "cim.json"], 2, "cim.json: line 1 is in the format splunk-cim, which is not read; give"),
        (&["evil.example", "a.json", "--since", "today"], 2, "give a day or a time"),
    ] {
        let (found, lines, said) = outcome(&files.trail(arguments));
        assert_eq!((found, lines), (Some(code), 0), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
        assert!(said.matches("os error").count() <= 1, "a cause stands once: {said}");
    }
}

/// A quarter of a megabyte of gzip unpacks to one line of 256 MiB: `ulimit -v` ends a reader that holds it.
#[test]
fn a_line_without_end_takes_no_memory() {
    let files = Files::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..256 {
        gzip.write_all(&[b'x'; 1 << 20]).expect("a buffer");
    }
    gzip.write_all(format!("\n{}", lookup("2026-11-21T00:00:00Z", "a", "evil.example", "192.0.2.1")).as_bytes())
        .expect("a buffer");
    files.file("bomb.json.gz", gzip.finish().expect("a buffer"));
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 300000; exec \"$0\" trail evil.example bomb.json.gz", env!("CARGO_BIN_EXE_dnstrail")])
        .current_dir(files.0.path())
        .output()
        .expect("sh");
    let (code, lines, said) = outcome(&output);
    assert_eq!((code, lines), (Some(0), 1), "{said}");
    assert!(said.contains("1 lines longer than 65536 bytes were skipped"), "{said}");
}
