//! The sensor as a child process: started and known to be ready, stopped by a signal, and what it
//! wrote, read and held against what every recording must keep.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clients::built;
use super::documents::{Document, Recording};
use super::lab::{Lab, cgroup_mount, until};

pub struct Sensor {
    child: Child,
    output: PathBuf,
    stderr: PathBuf,
}

/// `dnstrail` with `arguments`, the environment's `DNSTRAIL_*` taken away. Dies with the test.
pub fn dnstrail(arguments: &[&str]) -> Command {
    dnstrail_in(&[], arguments)
}

/// `dnstrail` with `arguments` in the place where `enter` takes it with the options `place`.
fn dnstrail_in(place: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(built().join("enter"));
    if is_alone() && !place.contains(&"--unmount") {
        command.arg("--unmount").arg(cgroup_mount());
    }
    command.args(place).arg("--").arg(program()).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DNSTRAIL_")) {
        command.env_remove(name);
    }
    command
}

/// The sensor under test.
pub fn program() -> PathBuf {
    std::env::var_os("DNSTRAIL_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_dnstrail").into(), PathBuf::from)
}

/// The option that adds to a way in: the sensor finds no cgroup v2 mounted, and sees packets by that way alone.
const ALONE: &str = "-alone";

fn way_in() -> String {
    std::env::var("DNSTRAIL_HOOKS").unwrap_or_else(|_| "auto".into())
}

/// `--hooks` as the environment wants it.
pub fn hooks() -> [String; 2] {
    let way = way_in();
    ["--hooks".into(), way.strip_suffix(ALONE).unwrap_or(&way).into()]
}

/// Whether the sensor is to find no cgroup v2.
pub fn is_alone() -> bool {
    way_in().ends_with(ALONE)
}

impl Sensor {
    /// Runs it with `--output` into the scratch folder, and waits until it says that it is ready.
    pub fn start(lab: &Lab, arguments: &[&str]) -> Self {
        Self::start_in(lab, &[], arguments)
    }

    /// Starts the sensor in the place where `enter` takes it with the options `place`.
    pub fn start_in(lab: &Lab, place: &[&str], arguments: &[&str]) -> Self {
        let output = lab.path("documents.json");
        let stderr = lab.path("stderr");
        let [hooks, way] = hooks();
        // Tests read one file, however large.
        let target = format!("file:{}?rotate_size=never", output.display());
        let child = dnstrail_in(place, &["run", &hooks, &way, "--output", &target])
            .arg("--ready-file")
            .arg(lab.path("ready"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&stderr).expect("no file for stderr"))
            .spawn()
            .expect("dnstrail does not start");
        Self { child, output, stderr }.until_ready(lab)
    }

    fn until_ready(mut self, lab: &Lab) -> Self {
        until("dnstrail makes its ready file", || {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("dnstrail ended with {status}: {}", self.said());
            }
            lab.path("ready").exists()
        });
        self
    }

    /// The sensor's messages to people so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until the stream holds what `wanted` looks for.
    pub fn until_written(&self, what: &str, wanted: impl Fn(&[Document]) -> bool) {
        until(what, || {
            let text = fs::read(&self.output).unwrap_or_default();
            // The last line may be half written.
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            wanted(&Document::lines(&text[..whole]))
        });
    }

    /// SIGTERM, the end, and the recording, which lost nothing.
    pub fn stop(self) -> Recording {
        let recording = self.stop_by(Signal::SIGTERM);
        recording.assert_nothing_lost();
        recording
    }

    pub fn stop_by(mut self, signal: Signal) -> Recording {
        self.signal(signal);
        let status = self.ended();
        assert!(status.success(), "dnstrail ended with {status}: {}", self.said());
        self.recording()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("the sensor is gone");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process of one of its parts.
    pub fn part(&self, name: &str) -> u32 {
        let parts = parts(self.pid());
        parts.iter().find(|(part, _)| part == name).unwrap_or_else(|| panic!("no part {name}: {parts:?}")).1
    }

    pub fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child)
    }

    pub fn recording(&self) -> Recording {
        let said = self.said();
        assert!(!said.contains("panicked"), "{said}");
        Recording::read(&fs::read(&self.output).expect("dnstrail made no output file"))
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Name and pid of each process that `parent` has started, `dnstrail-` left out of the name.
pub fn parts(parent: u32) -> Vec<(String, u32)> {
    let stats = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let of_child = |stat: String| {
        let (head, tail) = stat.rsplit_once(')')?;
        let (pid, name) = head.split_once(" (")?;
        let is_child = tail.split_whitespace().nth(1)? == parent.to_string();
        is_child.then(|| (name.trim_start_matches("dnstrail-").to_owned(), pid.parse().expect("a pid")))
    };
    stats.filter_map(of_child).collect()
}

/// Waits for the end of a process.
pub fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("dnstrail ends", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    status.expect("it ended")
}

/// A `dnstrail` that must end by itself: its status, stdout and stderr.
pub fn run_to_end(mut command: Command) -> (Option<i32>, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dnstrail does not start");
    let status = ended(&mut child);
    let mut texts = [String::new(), String::new()];
    child.stdout.take().expect("piped").read_to_string(&mut texts[0]).expect("stdout is text");
    child.stderr.take().expect("piped").read_to_string(&mut texts[1]).expect("stderr is text");
    let [stdout, stderr] = texts;
    (status.code(), stdout, stderr)
}

/// A copy of the sensor that every user may run: the build folder may be closed to them.
pub fn program_for_everyone(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("the scratch folder is ours");
    let copy = folder.join("dnstrail");
    fs::copy(program(), &copy).expect("a copy of dnstrail");
    copy
}
