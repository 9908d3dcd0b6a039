//! Asks the part that reads `/proc/PID` (`serve`). Such a file can keep its reader waiting for as long as the process
//! pleases: `cmdline` waits for a lock of the process's memory, which a page of a file system that does not
//! answer can hold. The loop waits a moment; an answer that comes later is handed out later.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Host;
use super::proc::Facts;
use super::question::{self, Question, Reply};
use super::serve::serve_here;
use crate::event::TaskKey;
use crate::metrics::Metrics;
use crate::part::Channel;

/// How long the loop waits for one answer, which usually takes 0.1 ms. The ring holds far more than what
/// happens in that time.
const PATIENCE: Duration = Duration::from_millis(250);

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `None`: there is no such process any more.
    Facts(TaskKey, Option<Facts>),
    /// Whether the mount namespace of this number shows the host's `passwd` and `group`. `None`: the process
    /// that was asked about is there no more.
    Accounts(u32, Option<[bool; 2]>),
}

/// The connection to the part, and its answers.
#[derive(Debug)]
pub(crate) struct Reader {
    part: Option<Arc<Channel>>,
    /// Without one, no process is asked about.
    has_proc: bool,
    metrics: Arc<Metrics>,
    asked: u64,
    /// Questions whose askers stopped waiting, oldest first; the part answers a few of them later.
    waiting: VecDeque<(u64, Question)>,
    /// Answers that came when their asker had stopped waiting.
    late: VecDeque<Answer>,
}

/// Late questions that are remembered: as many as the part has under way.
const WAITING: usize = 64;

impl Reader {
    /// Asks the part that the host names, or a thread of this process where it names none.
    pub(crate) fn new(host: &Host, metrics: Arc<Metrics>) -> Self {
        let is_named = |path: &PathBuf| path != Path::new("");
        let has_proc = is_named(&host.proc);
        let is_needed = has_proc || is_named(&host.passwd);
        let part = host.part.clone().or_else(|| if is_needed { start(host) } else { None });
        Self { part, has_proc, metrics, asked: 0, waiting: VecDeque::new(), late: VecDeque::new() }
    }

    /// `None` where no answer came in time.
    pub(crate) fn facts(&mut self, process: TaskKey) -> Option<Answer> {
        self.ask(Question::Facts(process)).and_then(|(reply, _)| answer(Question::Facts(process), reply))
    }

    /// `None` where no answer came in time.
    pub(crate) fn accounts(&mut self, process: TaskKey, mount_namespace: u32) -> Option<Answer> {
        let question = Question::Accounts(process, mount_namespace);
        self.ask(question).and_then(|(reply, _)| answer(question, reply))
    }

    /// The host's `passwd` (0) or `group` (1), if it can be opened. Outer `None`: no answer came in time.
    #[allow(clippy::option_option, reason = "whether there is an answer, and the answer")]
    pub(crate) fn account_file(&mut self, place: u8) -> Option<Option<File>> {
        Some(self.ask(Question::File(place))?.1)
    }

    /// The next answer that came too late for its asker.
    pub(crate) fn late(&mut self) -> Option<Answer> {
        while !self.waiting.is_empty() && self.late.is_empty() {
            let (number, reply, _) = self.receive(Instant::now())?;
            self.keep_late(number, reply);
        }
        self.late.pop_front()
    }

    fn ask(&mut self, question: Question) -> Option<(Reply, Option<File>)> {
        let is_asked = self.has_proc || matches!(question, Question::File(_));
        let part = self.part.as_ref().filter(|_| is_asked)?;
        self.asked += 1;
        let is_sent = part.send(&question.encode(self.asked)).is_ok();
        let answer = if is_sent { self.wait() } else { None };
        let Some((reply, file)) = answer.filter(|(reply, _)| *reply != Reply::Busy) else {
            self.metrics.losses.process_unread.add(1);
            if is_sent {
                self.waiting.push_back((self.asked, question));
                self.waiting.truncate(WAITING);
            }
            return None;
        };
        Some((reply, file))
    }

    fn wait(&mut self) -> Option<(Reply, Option<File>)> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (number, reply, file) = self.receive(end)?;
            if number == self.asked {
                return Some((reply, file));
            }
            self.keep_late(number, reply);
        }
    }

    fn receive(&self, end: Instant) -> Option<(u64, Reply, Option<File>)> {
        let message = self.part.as_ref()?.receive(Some(end)).ok()??;
        let (number, reply) = question::decode_reply(&message.bytes)?;
        Some((number, reply, message.descriptors.into_iter().next().map(File::from)))
    }

    fn keep_late(&mut self, number: u64, reply: Reply) {
        let Some(place) = self.waiting.iter().position(|(waiting, _)| *waiting == number) else { return };
        let asked = self.waiting.remove(place);
        self.late.extend(asked.and_then(|(_, question)| answer(question, reply)));
    }
}

/// `None` where the reply does not fit the question.
fn answer(question: Question, reply: Reply) -> Option<Answer> {
    match (question, reply) {
        (Question::Facts(process), Reply::Facts(facts)) => Some(Answer::Facts(process, facts)),
        (Question::Accounts(_, namespace), Reply::Accounts(seen)) => Some(Answer::Accounts(namespace, seen)),
        _ => None,
    }
}

fn start(host: &Host) -> Option<Arc<Channel>> {
    let (asks, serves) = Channel::pair().ok()?;
    let source = host.source();
    thread::Builder::new().name("proc".into()).spawn(move || serve_here(&serves, &source)).ok()?;
    Some(Arc::new(asks))
}

#[cfg(test)]
mod tests {
    use super::super::proc::tests::{record, record_stuck};
    use super::*;
    use std::fs;

    fn host(root: &Path) -> Host {
        Host { proc: root.to_owned(), ..Host::default() }
    }

    fn key(pid: u32) -> TaskKey {
        TaskKey { pid, exec_id: 1, start: 30_000_000 }
    }

    #[test]
    fn a_process_that_cannot_be_read_holds_up_no_other() {
        let root = tempfile::tempdir().unwrap();
        let metrics = Arc::<Metrics>::default();
        let mut reader = Reader::new(&host(root.path()), Arc::clone(&metrics));
        let file = record_stuck(root.path(), 10);
        record(root.path(), 11, 3, "/usr/bin/wget", b"wget\0");
        let begin = Instant::now();
        assert!(reader.facts(key(10)).is_none());
        assert!(matches!(reader.facts(key(11)), Some(Answer::Facts(_, Some(facts))) if facts.arguments.is_some()));
        assert!(begin.elapsed() < PATIENCE * 10, "{:?}", begin.elapsed());
        assert_eq!(metrics.losses.process_unread.get(), 1);
        assert!(reader.late().is_none());

        fs::write(file, b"curl\0").unwrap();
        let answer = loop {
            if let Some(answer) = reader.late() {
                break answer;
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(matches!(answer, Answer::Facts(late, Some(_)) if late == key(10)), "{answer:?}");
    }

    #[test]
    fn threads_are_bounded() {
        let root = tempfile::tempdir().unwrap();
        let metrics = Arc::<Metrics>::default();
        let mut reader = Reader::new(&host(root.path()), Arc::clone(&metrics));
        let files: Vec<_> = (0..20).map(|pid| record_stuck(root.path(), pid + 1)).collect();
        for pid in 0..16 {
            assert!(reader.facts(key(pid + 1)).is_none());
        }
        let begin = Instant::now();
        for pid in 16..20 {
            assert!(reader.facts(key(pid + 1)).is_none());
        }
        assert!(begin.elapsed() < PATIENCE * 4, "those without a thread are not waited for");
        assert_eq!(metrics.losses.process_unread.get(), 20);
        for file in files.iter().take(16) {
            fs::write(file, b"x\0").unwrap();
        }
        record(root.path(), 99, 3, "/usr/bin/wget", b"wget\0");
        while !matches!(reader.facts(key(99)), Some(Answer::Facts(_, Some(_)))) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn nothing_is_read_where_no_proc_is() {
        let metrics = Arc::<Metrics>::default();
        let mut reader = Reader::new(&Host::default(), Arc::clone(&metrics));
        assert!(reader.facts(key(1)).is_none());
        assert_eq!(metrics.losses.process_unread.get(), 0);
    }
}
