//! Reads `/proc/PID` on threads of its own. Such a file can keep its reader waiting for as long as the process
//! pleases: `cmdline` waits for a lock of the process's memory, which a page of a file system that does not
//! answer can hold. The loop waits a moment; an answer that comes later is handed out later, and a thread that
//! waits for ever can still be killed with the sensor.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Host;
use super::proc::{Facts, ProcFs};
use crate::event::TaskKey;
use crate::metrics::Metrics;

/// How long the loop waits for one answer, which usually takes 0.1 ms. The ring holds far more than what
/// happens in that time.
const PATIENCE: Duration = Duration::from_millis(250);

/// Threads at a time. Each but one waits for a process that does not let itself be read; when all do, nothing
/// more is read until one comes back.
const WORKERS: usize = 16;

/// Bytes of stack of a thread, which holds paths and the buffers of one file.
const STACK: usize = 256 << 10;

/// A question about a process.
#[derive(Debug, Clone, Copy)]
enum Question {
    Facts(TaskKey),
    /// The account files of the host that the process sees; with the number of its mount namespace.
    Accounts(TaskKey, u32),
}

/// The answer to a question.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `None`: there is no such process any more.
    Facts(TaskKey, Option<Facts>),
    /// Whether the mount namespace of this number shows the host's `passwd` and `group`. `None`: the process
    /// that was asked about is there no more.
    Accounts(u32, Option<[bool; 2]>),
}

/// An answer with the number of its question.
type Numbered = (u64, Answer);

/// The threads, and their answers.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Option<Source>,
    metrics: Arc<Metrics>,
    running: Arc<AtomicUsize>,
    /// The thread that waits for questions. Those that did not come back in time get no more.
    worker: Option<Sender<(u64, Question)>>,
    answers: (Sender<Numbered>, Receiver<Numbered>),
    asked: u64,
    /// Answers that came when their asker had stopped waiting.
    late: VecDeque<Answer>,
}

#[derive(Debug, Clone)]
struct Source {
    proc: ProcFs,
    accounts: [PathBuf; 2],
}

impl Reader {
    pub(crate) fn new(host: &Host, metrics: Arc<Metrics>) -> Self {
        let accounts = [host.passwd.clone(), host.group.clone()];
        let source = Source { proc: ProcFs::new(&host.proc), accounts };
        Self {
            source: (host.proc != Path::new("")).then_some(source),
            metrics,
            running: Arc::default(),
            worker: None,
            answers: channel(),
            asked: 0,
            late: VecDeque::new(),
        }
    }

    /// `None` where no answer came in time.
    pub(crate) fn facts(&mut self, process: TaskKey) -> Option<Answer> {
        self.ask(Question::Facts(process))
    }

    /// `None` where no answer came in time.
    pub(crate) fn accounts(&mut self, process: TaskKey, mount_namespace: u32) -> Option<Answer> {
        self.ask(Question::Accounts(process, mount_namespace))
    }

    /// The next answer that came too late for its asker.
    pub(crate) fn late(&mut self) -> Option<Answer> {
        self.late.pop_front().or_else(|| Some(self.answers.1.try_recv().ok()?.1))
    }

    fn ask(&mut self, question: Question) -> Option<Answer> {
        let source = self.source.as_ref()?;
        if self.worker.is_none() {
            self.worker = start(source, &self.answers.0, &self.running);
        }
        self.asked += 1;
        let sent = self.worker.as_ref().is_some_and(|worker| worker.send((self.asked, question)).is_ok());
        let answer = if sent { self.wait() } else { None };
        if answer.is_none() {
            self.worker = None;
            self.metrics.losses.process_unread.add(1);
        }
        answer
    }

    fn wait(&mut self) -> Option<Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (number, answer) = self.answers.1.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            if number == self.asked {
                return Some(answer);
            }
            self.late.push_back(answer);
        }
    }
}

fn start(source: &Source, answers: &Sender<Numbered>, running: &Arc<AtomicUsize>) -> Option<Sender<(u64, Question)>> {
    if running.load(Relaxed) >= WORKERS {
        return None;
    }
    let (questions, asked) = channel::<(u64, Question)>();
    let (source, answers, count) = (source.clone(), answers.clone(), Arc::clone(running));
    running.fetch_add(1, Relaxed);
    let started = thread::Builder::new().name("proc".into()).stack_size(STACK).spawn(move || {
        for (number, question) in asked {
            if answers.send((number, source.answer(question))).is_err() {
                break;
            }
        }
        count.fetch_sub(1, Relaxed);
    });
    match started {
        Ok(_) => Some(questions),
        Err(error) => {
            debug_assert_ne!(error.kind(), io::ErrorKind::InvalidInput, "the name holds no NUL");
            running.fetch_sub(1, Relaxed);
            None
        }
    }
}

impl Source {
    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Facts(process) => Answer::Facts(process, self.proc.facts(&process)),
            Question::Accounts(process, mount_namespace) => {
                Answer::Accounts(mount_namespace, self.proc.sees(&process, mount_namespace, &self.accounts))
            }
        }
    }
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
        assert_eq!(reader.running.load(Relaxed), WORKERS);
        assert_eq!(metrics.losses.process_unread.get(), 20);
        for file in files.iter().take(WORKERS) {
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
