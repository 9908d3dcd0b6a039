//! The part that reads `/proc` of other processes and this host's two account files, with `CAP_SYS_PTRACE` and nothing
//! else. Each question goes to a thread of its own, for a process can keep its reader waiting; a thread that
//! waits for ever ends with the part, which can be killed.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::proc::ProcFs;
use super::question::{Question, Reply, encode_reply};
use crate::part::Channel;
use crate::walls::{Calls, Privilege, Walls};

/// Threads at a time. Each but one waits for a process that does not let itself be read; when all do, nothing
/// more is read until one comes back.
const WORKERS: usize = 16;

/// Bytes of stack of a thread, which holds paths and the buffers of one file.
const STACK: usize = 256 << 10;

/// The files that the part reads.
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) proc: ProcFs,
    pub(super) accounts: [PathBuf; 2],
}

/// Places of the threads that wait for a question.
type Idle = Mutex<Vec<usize>>;

/// Serves as a process of its own, within its walls.
pub fn serve(channel: &Channel, source: &Source) {
    // A replaced file of accounts is another one in the same folder.
    let folders = source.accounts.iter().filter_map(|path| path.parent().map(PathBuf::from));
    let reads = folders.chain([source.proc.root.clone()]).collect();
    let keep = vec![Privilege::CAP_SYS_PTRACE];
    let walls = Walls { calls: Calls::Processes, keep, reads, writes: Vec::new(), connects: false };
    if let Err(error) = walls.raise() {
        eprintln!("dnstrail: the part that reads /proc: {error}");
        return;
    }
    answer(channel, source);
}

/// Serves as a thread of the process that asks, which keeps its privileges.
pub(super) fn serve_here(channel: &Channel, source: &Source) {
    answer(channel, source);
}

fn answer(channel: &Channel, source: &Source) {
    let Ok(answers) = channel.try_clone().map(Arc::new) else { return };
    let idle = Arc::<Idle>::default();
    // Dropped at the end, so that no thread waits for another question.
    let mut workers = Vec::new();
    while let Ok(Some(message)) = channel.receive(None) {
        let Some((number, question)) = Question::decode(&message.bytes) else { return };
        let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let place = free.or_else(|| start(source, &answers, &idle, &mut workers));
        let worker = place.and_then(|place| workers.get(place));
        let is_taken = worker.is_some_and(|worker| worker.send((number, question)).is_ok());
        if !is_taken && channel.send(&encode_reply(number, &Reply::Busy)).is_err() {
            return;
        }
    }
}

/// Starts a thread more; its place.
fn start(
    source: &Source,
    answers: &Arc<Channel>,
    idle: &Arc<Idle>,
    workers: &mut Vec<Sender<(u64, Question)>>,
) -> Option<usize> {
    let place = workers.len();
    if place >= WORKERS {
        return None;
    }
    let (questions, asked) = channel::<(u64, Question)>();
    let (source, answers, idle) = (source.clone(), Arc::clone(answers), Arc::clone(idle));
    let work = move || {
        for (number, question) in asked {
            let (reply, file) = source.answer(question);
            let descriptors: Vec<BorrowedFd<'_>> = file.iter().map(File::as_fd).collect();
            // Before the answer, whose asker may ask again at once.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(place);
            if answers.send_with(&encode_reply(number, &reply), &descriptors).is_err() {
                break;
            }
        }
    };
    thread::Builder::new().name("proc".into()).stack_size(STACK).spawn(work).ok()?;
    workers.push(questions);
    Some(place)
}

impl Source {
    fn answer(&self, question: Question) -> (Reply, Option<File>) {
        match question {
            Question::Facts(process) => (Reply::Facts(self.proc.facts(&process)), None),
            Question::Accounts(process, mount_namespace) => {
                (Reply::Accounts(self.proc.sees(&process, mount_namespace, &self.accounts)), None)
            }
            Question::File(place) => {
                let path = self.accounts.get(usize::from(place));
                (Reply::File, path.and_then(|path| crate::input::regular(path).ok()))
            }
        }
    }
}
