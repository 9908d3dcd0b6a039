//! Notices when a list, a `rules.toml` or a directory of lists changes: written in place, replaced by a
//! rename (editors, download programs), or swapped behind a symbolic link (Kubernetes `ConfigMap`s).
//! Reading the lists again is left to `reload`.
//!
//! Directories are watched, not files, because a replaced file is another file. Events only say when to
//! look; the stamps of the last load decide whether something has changed. So no change between reading
//! and watching is missed, and other files in a directory cost nothing.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::stamp::Watched;
use crate::input;

/// Writers that replace several files do so within this time.
const QUIET: Duration = Duration::from_millis(250);
/// A writer that never rests does not put off the reload for longer.
const LONGEST_DELAY: Duration = Duration::from_secs(3);
/// A missing directory cannot be watched: the watcher looks for it again after this time.
const MISSING: Duration = Duration::from_secs(5);
/// As many symbolic links as the kernel follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Becomes readable when something near the lists happens; see [`Watcher::is_due`].
#[derive(Debug)]
pub struct Watcher {
    inotify: Arc<Inotify>,
    watched: Vec<Watched>,
    directories: HashMap<WatchDescriptor, Directory>,
    /// The time of the first event that was not looked into yet.
    first: Option<Instant>,
    /// The time of the last one.
    last: Option<Instant>,
    /// When to look for directories that are missing.
    retry: Option<Instant>,
}

#[derive(Debug, Default)]
struct Directory {
    path: PathBuf,
    /// Names in it that matter.
    names: HashSet<OsString>,
    /// Every name in it matters.
    all: bool,
}

impl Watcher {
    /// Watches what a load has read.
    ///
    /// # Errors
    /// The kernel gives no inotify instance (`fs.inotify.max_user_instances`).
    pub fn new(watched: Vec<Watched>, now: Instant) -> io::Result<Self> {
        let mut new = Self::idle()?;
        new.renew(watched, now);
        Ok(new)
    }

    /// Watches nothing yet.
    pub(super) fn idle() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let inotify = Arc::new(inotify);
        let (watched, directories) = (Vec::new(), HashMap::new());
        Ok(Self { inotify, watched, directories, first: None, last: None, retry: None })
    }

    /// Watches the files that another load has read; the descriptor stays the same. A file that has changed since
    /// it was read is due soon.
    pub fn renew(&mut self, watched: Vec<Watched>, now: Instant) {
        self.watched = watched;
        self.watch(now);
    }

    /// Takes the events that made the descriptor readable.
    pub fn read(&mut self, now: Instant) {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in events {
                let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                let directory = self.directories.get(&event.wd);
                let concerns = directory.is_some_and(|directory| {
                    event.name.as_ref().is_none_or(|name| directory.all || directory.names.contains(name))
                });
                if !lost && !concerns {
                    continue;
                }
                // A file that is being written is ready when it is closed. Only a link is complete at once.
                let still_written = event.mask.contains(AddWatchFlags::IN_MODIFY)
                    || event.mask.contains(AddWatchFlags::IN_CREATE)
                        && !directory
                            .zip(event.name.as_ref())
                            .is_some_and(|(directory, name)| is_link(&directory.path.join(name)));
                if self.first.is_some() || !still_written {
                    self.first.get_or_insert(now);
                    self.last = Some(now);
                }
            }
        }
    }

    /// How long until [`Watcher::is_due`] is worth asking; `None`: not before the descriptor is readable.
    #[must_use]
    pub fn timeout(&self, now: Instant) -> Option<Duration> {
        let due = [self.due(), self.retry].into_iter().flatten().min()?;
        Some(due.saturating_duration_since(now))
    }

    /// Whether the lists have changed since they were read, and their writer has come to rest.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if ![self.due(), self.retry].into_iter().flatten().any(|due| due <= now) {
            return false;
        }
        // Directories and links may be others now.
        self.watch(now);
        (self.first, self.last) = (None, None);
        self.watched.iter().any(Watched::has_changed)
    }

    fn due(&self) -> Option<Instant> {
        Some((self.last? + QUIET).min(self.first? + LONGEST_DELAY))
    }

    /// Watches the directories that the paths are in now.
    fn watch(&mut self, now: Instant) {
        let mut wanted: HashMap<PathBuf, Directory> = HashMap::new();
        let mut missing = false;
        for watched in &self.watched {
            let path = watched.path.clone();
            let steps = input::answered(&watched.path, move || Ok(steps(&path)));
            // A file system that does not answer is asked again later.
            missing |= steps.is_err();
            for (directory, name) in steps.unwrap_or_default() {
                wanted.entry(directory).or_default().names.extend(name);
            }
            if watched.is_directory() {
                wanted.entry(watched.path.clone()).or_default().all = true;
            }
        }
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut directories: HashMap<WatchDescriptor, Directory> = HashMap::new();
        for (path, directory) in wanted {
            let path = if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
            let (inotify, of_thread) = (Arc::clone(&self.inotify), path.clone());
            match input::answered(&path, move || Ok(inotify.add_watch(&of_thread, flags)?)) {
                Ok(descriptor) => {
                    // Two spellings of one directory share a descriptor.
                    let same = directories.entry(descriptor).or_default();
                    same.names.extend(directory.names);
                    same.all |= directory.all;
                    same.path = path;
                }
                Err(_) => missing = true,
            }
        }
        let before = std::mem::replace(&mut self.directories, directories);
        for descriptor in before.into_keys().filter(|descriptor| !self.directories.contains_key(descriptor)) {
            // One that the kernel has dropped with its directory is gone already.
            let _ = self.inotify.rm_watch(descriptor);
        }
        self.retry = missing.then_some(now + MISSING);
        // A change before the watch was there shows in the stamps.
        self.first.get_or_insert(now);
        self.last.get_or_insert(now);
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The directories, and the name in each, that decide what a path leads to: where it is, and where each
/// symbolic link on the way is.
pub(super) fn steps(path: &Path) -> Vec<(PathBuf, Option<OsString>)> {
    let mut steps = vec![(path.parent().unwrap_or(Path::new("")).to_owned(), path.file_name().map(OsString::from))];
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Some((link, target, rest)) = first_link(&path) else { break };
        let directory = link.parent().unwrap_or(Path::new("")).to_owned();
        steps.push((directory.clone(), link.file_name().map(OsString::from)));
        path = directory.join(target).join(rest);
        steps.push((path.parent().unwrap_or(Path::new("")).to_owned(), path.file_name().map(OsString::from)));
    }
    steps
}

/// The first symbolic link of a path, where it leads, and what follows it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf, PathBuf)> {
    let mut walked = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        walked.push(component);
        if let (Component::Normal(_), Ok(target)) = (component, fs::read_link(&walked)) {
            return Some((walked, target, components.as_path().to_owned()));
        }
    }
    None
}

fn is_link(path: &Path) -> bool {
    let of_thread = path.to_owned();
    input::answered(path, move || fs::symlink_metadata(of_thread))
        .is_ok_and(|metadata: Metadata| metadata.is_symlink() || metadata.nlink() > 1 || metadata.is_dir())
}
