//! Programs that look names up: the small ones of `tests/system/clients`, built once, and real ones.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use super::lab::{self, Lab, Network, patience};

/// Every program of `tests/system/clients`, and how it is linked.
const PROGRAMS: [(&str, &[&str]); 13] = [
    ("connect", &[]),
    ("enter", &["-static"]),
    ("evade", &[]),
    ("hostile", &[]),
    ("owner", &["-pthread"]),
    ("resolve", &[]),
    ("server", &[]),
    ("shape", &["-pthread"]),
    ("single", &["-static"]),
    ("storm", &[]),
    ("tcp", &[]),
    ("udp", &[]),
    ("uring", &[]),
];

/// A program to be run inside a namespace, by way of `enter`, which then is that program.
pub struct Client {
    enter: Vec<OsString>,
    arguments: Vec<String>,
}

/// A client that has ended, and what is known of it.
#[derive(Debug)]
pub struct Run {
    pub pid: u32,
    pub executable: PathBuf,
    pub arguments: Vec<String>,
    pub output: Output,
}

/// A program that runs. Dropped, it is killed.
pub struct Running {
    pub child: Child,
    executable: PathBuf,
    arguments: Vec<String>,
}

impl Client {
    /// One of `tests/system/clients`, by name, in the namespace of `lab`.
    pub fn new(lab: &Lab, name: &str, arguments: &[&str]) -> Self {
        Self::program(&lab.network, &built().join(name).to_string_lossy(), arguments)
    }

    /// Any program.
    pub fn program(network: &Network, program: &str, arguments: &[&str]) -> Self {
        let arguments = std::iter::once(program).chain(arguments.iter().copied()).map(String::from).collect();
        Self { enter: vec!["--net".into(), network.file().into()], arguments }
    }

    /// Lets the program resolve by this resolv.conf.
    pub fn resolv_conf(mut self, file: &Path) -> Self {
        self.enter.extend(["--resolv".into(), file.into()]);
        self
    }

    /// Puts a file system that never answers in the place of this file, in a mount namespace of the program's own.
    pub fn stalled(mut self, file: &str) -> Self {
        self.enter.extend(["--stall".into(), file.into()]);
        self
    }

    pub fn cgroup(mut self, directory: &Path) -> Self {
        self.enter.extend(["--cgroup".into(), directory.into()]);
        self
    }

    pub fn user(mut self, id: u32) -> Self {
        self.enter.extend(["--user".into(), id.to_string().into()]);
        self
    }

    /// The program becomes pid 1 of a new pid namespace, as a child of `enter`.
    pub fn pid_namespace(mut self) -> Self {
        self.enter.push("--pid-namespace".into());
        self
    }

    pub fn start(self) -> Running {
        let program = &self.arguments[0];
        let executable =
            find(program).unwrap_or_else(|| panic!("{}", lab::missing(program, &std::io::ErrorKind::NotFound.into())));
        let child = Command::new(built().join("enter"))
            .args(&self.enter)
            .arg("--")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}", lab::missing("enter", &error)));
        Running { child, executable, arguments: self.arguments }
    }

    /// Waits for the end, which must be a good one.
    pub fn run(self) -> Run {
        let run = self.start().wait();
        assert!(
            run.output.status.success(),
            "{}: {} {}",
            run.arguments.join(" "),
            String::from_utf8_lossy(&run.output.stdout),
            String::from_utf8_lossy(&run.output.stderr)
        );
        run
    }

    /// Waits for the end, failure included: a download from a name that leads nowhere fails.
    pub fn run_to_any_end(self) -> Run {
        self.start().wait()
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(mut self) -> Run {
        let stdout = drain(self.child.stdout.take());
        let stderr = drain(self.child.stderr.take());
        let deadline = std::time::Instant::now() + patience() * 3;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(std::time::Instant::now() < deadline, "{} does not end", self.arguments.join(" "));
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        let text = |reader: std::thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader panicked");
        Run {
            pid: self.child.id(),
            executable: self.executable.clone(),
            arguments: self.arguments.clone(),
            output: Output { status, stdout: text(stdout), stderr: text(stderr) },
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The file that a program name means, links followed: what the kernel shows as its executable.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = if program.contains('/') {
        Some(PathBuf::from(program))
    } else {
        folders.map(|folder| folder.join(program)).find(|file| file.is_file())
    };
    found?.canonicalize().ok()
}

/// The folder of the built clients.
pub fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("DNSTRAIL_CLIENTS") {
            return folder.into();
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        std::fs::create_dir_all(&folder).expect("no folder for the clients");
        for (name, flags) in PROGRAMS {
            build(name, flags, &folder);
        }
        folder.canonicalize().expect("the folder was just made")
    })
}

fn build(name: &str, flags: &[&str], folder: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/clients").join(name).with_extension("c");
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .arg("-o")
        .arg(folder.join(name))
        .arg(&source)
        .output()
        .unwrap_or_else(|error| panic!("{}", lab::missing("cc", &error)));
    assert!(output.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn clients_are_built_without_a_warning() {
    for (name, _) in PROGRAMS {
        assert!(built().join(name).is_file(), "{name}");
    }
}
