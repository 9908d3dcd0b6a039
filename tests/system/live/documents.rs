//! The documents that the sensor wrote, and the ones that a lookup must have left there. The field names are those
//! that users see: a test that needs another one is a change of the product.

use serde_json::Value;

use super::clients::Run;
use super::sensor::is_alone;

/// One line.
#[derive(Clone, PartialEq)]
pub struct Document(pub Value);

/// Everything one run of the sensor wrote.
pub struct Recording {
    pub documents: Vec<Document>,
}

/// Counts of things that are set aside, not lost: other programs on this host may cause them.
const SET_ASIDE: [&str; 4] = ["packet_malformed", "message_invalid", "stream_bytes", "fragments_expired"];

impl Document {
    /// Each line as a document.
    pub fn lines(text: &[u8]) -> Vec<Self> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let value = serde_json::from_slice(line);
                Self(value.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line))))
            })
            .collect()
    }

    /// The value at a dotted path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |value, key| value.get(key))
    }

    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path} in {self:?}"))
    }

    #[track_caller]
    pub fn number(&self, path: &str) -> u64 {
        self.get(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {path} in {self:?}"))
    }

    /// The texts of an array.
    #[track_caller]
    pub fn texts(&self, path: &str) -> Vec<&str> {
        let values = self.get(path).and_then(Value::as_array);
        let values = values.unwrap_or_else(|| panic!("no array at {path} in {self:?}"));
        values.iter().map(|value| value.as_str().unwrap_or_else(|| panic!("no texts at {path}"))).collect()
    }

    pub fn action(&self) -> &str {
        self.text("event.action")
    }

    /// Asserts several texts at once.
    #[track_caller]
    pub fn has(&self, expected: &[(&str, &str)]) {
        for (path, text) in expected {
            assert_eq!(self.text(path), *text, "{path} in {self:?}");
        }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:#}", self.0)
    }
}

impl Recording {
    /// Reads a whole stream, and asserts what holds for every one: its first document is the start,
    /// its last the stop, and the sequence has no gap.
    pub fn read(text: &[u8]) -> Self {
        assert_eq!(text.last(), Some(&b'\n'), "the last line is whole");
        let recording = Self { documents: Document::lines(text) };
        for (at, document) in recording.documents.iter().enumerate() {
            assert_eq!(document.number("event.sequence"), at as u64 + 1, "{document:?}");
            assert!(document.text("@timestamp").ends_with('Z'), "{document:?}");
            assert!(document.text("ecs.version").starts_with("9."), "{document:?}");
        }
        let first = recording.documents.first().map(Document::action);
        let last = recording.documents.last().map(Document::action);
        assert_eq!((first, last), (Some("sensor-start"), Some("sensor-stop")));
        recording
    }

    /// Documents whose question is `suffix` or below it, in the order of the stream.
    pub fn below(&self, suffix: &str) -> Vec<&Document> {
        let belongs = |document: &&Document| {
            let name = document.get("dns.question.name").and_then(Value::as_str).unwrap_or_default();
            name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.documents.iter().filter(belongs).collect()
    }

    /// DNS documents of one process.
    pub fn of_process(&self, pid: u32) -> Vec<&Document> {
        let belongs = |document: &&Document| {
            document.get("process.pid").and_then(Value::as_u64) == Some(u64::from(pid)) && document.get("dns").is_some()
        };
        self.documents.iter().filter(belongs).collect()
    }

    /// A total of the stop document.
    #[track_caller]
    pub fn lost(&self, name: &str) -> u64 {
        let stop = self.documents.last().expect("a recording has a stop document");
        stop.number(&format!("dnstrail.loss.{name}.total"))
    }

    /// Where no cgroup v2 is mounted, a skipped probe may have met a packet of any program: there, what a
    /// test asked for is compared document by document.
    pub fn assert_nothing_lost(&self) {
        self.assert_nothing_lost_but(if is_alone() { &["kernel_probe_skipped"] } else { &[] });
    }

    #[track_caller]
    pub fn assert_nothing_lost_but(&self, expected: &[&str]) {
        let stop = self.documents.last().expect("a recording has a stop document");
        let losses = stop.get("dnstrail.loss").and_then(Value::as_object).expect("the stop document tells losses");
        for name in losses.keys().filter(|name| ![&SET_ASIDE, expected].concat().contains(&name.as_str())) {
            assert_eq!(self.lost(name), 0, "{name}");
        }
    }
}

/// The actions of some documents, in order.
pub fn actions<'a>(documents: &[&'a Document]) -> Vec<&'a str> {
    documents.iter().map(|document| document.action()).collect()
}

/// A lookup whose answer came: exactly one query and one answer, by the process that asked.
pub struct Lookup<'a> {
    pub run: &'a Run,
    pub name: String,
    pub qtype: &'a str,
    pub transport: &'a str,
    pub client: &'a str,
    pub server: &'a str,
    pub port: u64,
    /// Data of the answers, in order.
    pub answers: &'a [&'a str],
}

impl<'a> Lookup<'a> {
    /// A lookup of type A over UDP to 127.0.0.1 port 53, answered with unbound's address.
    pub fn by(run: &'a Run, name: &str) -> Self {
        Self {
            run,
            name: name.to_ascii_lowercase(),
            qtype: "A",
            transport: "udp",
            client: "127.0.0.1",
            server: "127.0.0.1",
            port: 53,
            answers: &[super::servers::ADDRESS_V4],
        }
    }

    pub fn over(self, transport: &'a str) -> Self {
        Self { transport, ..self }
    }

    /// To another server, on loopback, so that the client has the same address.
    pub fn to(self, server: &'a str) -> Self {
        Self { server, client: server, ..self }
    }

    pub fn answered(self, answers: &'a [&'a str]) -> Self {
        Self { answers, ..self }
    }

    /// Asserts that the recording holds this lookup once, and nothing else of this name and type.
    #[track_caller]
    pub fn assert_in(&self, recording: &Recording) -> [Document; 2] {
        let documents: Vec<&Document> = recording
            .below(&self.name)
            .into_iter()
            .filter(|document| document.text("dns.question.name") == self.name)
            .filter(|document| document.text("dns.question.type") == self.qtype)
            .collect();
        assert_eq!(actions(&documents), ["dns-query", "dns-answer"], "{documents:?}");
        let [query, answer] = [documents[0], documents[1]];
        self.assert_query(query);
        self.assert_answer(answer);
        assert_eq!(query.text("dns.id"), answer.text("dns.id"));
        assert_eq!(query.text("network.community_id"), answer.text("network.community_id"));
        assert!(query.text("@timestamp") < answer.text("@timestamp"), "{query:?}\n{answer:?}");
        [query.clone(), answer.clone()]
    }

    #[track_caller]
    pub fn assert_query(&self, document: &Document) {
        document.has(&[
            ("event.kind", "event"),
            ("event.action", "dns-query"),
            ("event.outcome", "unknown"),
            ("dns.type", "query"),
            ("network.direction", "egress"),
            ("source.ip", self.client),
            ("destination.ip", self.server),
        ]);
        assert_eq!(document.number("destination.port"), self.port);
        assert_eq!(document.get("dns.answers"), None, "{document:?}");
        self.assert_conversation(document);
    }

    #[track_caller]
    pub fn assert_answer(&self, document: &Document) {
        document.has(&[
            ("event.action", "dns-answer"),
            ("event.outcome", "success"),
            ("dns.type", "answer"),
            ("dns.response_code", "NOERROR"),
            ("network.direction", "ingress"),
            ("source.ip", self.server),
            ("destination.ip", self.client),
        ]);
        assert_eq!(document.number("source.port"), self.port);
        assert!(document.number("event.duration") > 0, "{document:?}");
        let answers = document.get("dns.answers").and_then(Value::as_array).expect("answers");
        let data: Vec<&str> = answers.iter().filter_map(|answer| answer.get("data")?.as_str()).collect();
        assert_eq!(data, self.answers, "{document:?}");
        self.assert_conversation(document);
    }

    #[track_caller]
    fn assert_conversation(&self, document: &Document) {
        let version = if self.server.contains(':') { "ipv6" } else { "ipv4" };
        document.has(&[
            ("dns.question.name", &self.name),
            ("dns.question.type", self.qtype),
            ("dns.question.class", "IN"),
            ("network.protocol", "dns"),
            ("network.transport", self.transport),
            ("network.type", version),
            ("client.ip", self.client),
            ("server.ip", self.server),
        ]);
        assert_eq!(document.get("event.category"), Some(&serde_json::json!(["network"])), "{document:?}");
        assert_process(document, self.run);
    }
}

/// The process of a document is that of `run`, a child of this test.
#[track_caller]
pub fn assert_process(document: &Document, run: &Run) {
    let executable = run.executable.to_string_lossy();
    let name = run.executable.file_name().expect("a file has a name").to_string_lossy();
    assert_eq!(document.number("process.pid"), u64::from(run.pid), "{document:?}");
    document.has(&[
        ("process.executable", &executable),
        ("process.name", &name),
        ("process.command_line", &run.arguments.join(" ")),
        ("process.user.id", "0"),
    ]);
    assert_eq!(document.texts("process.args"), run.arguments, "{document:?}");
    assert_eq!(document.number("process.args_count"), run.arguments.len() as u64);
    let directory = std::env::current_dir().expect("a working directory");
    document.has(&[("process.working_directory", &directory.to_string_lossy())]);
    assert!(!document.text("process.entity_id").is_empty());
    assert!(document.text("process.start") < document.text("@timestamp"), "{document:?}");
    assert_eq!(document.number("process.parent.pid"), u64::from(std::process::id()), "{document:?}");
    let parent = std::env::current_exe().expect("a test has an executable");
    document.has(&[("process.parent.executable", &parent.to_string_lossy())]);
}

/// The only thread of a process has its number.
#[track_caller]
pub fn assert_single_thread(document: &Document) {
    assert_eq!(document.number("process.thread.id"), document.number("process.pid"), "{document:?}");
}
