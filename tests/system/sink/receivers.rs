//! rsyslog and syslog-ng from the distribution, unprivileged, on free ports and sockets in a folder.

use std::fmt::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::outputs::{free_port, wait_until};

/// The folder where tests/system/install-syslog has unpacked the daemons.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/tools/syslog");
        let status = Command::new(root.join("tests/system/install-syslog"))
            .arg(&folder)
            .status()
            .expect("tests/system/install-syslog");
        assert!(status.success(), "tests/system/install-syslog failed");
        folder
    })
}

pub fn tool(name: &str) -> Command {
    let tools = tools();
    let mut command = Command::new(tools.join(name));
    let libraries = [
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
        "usr/lib/aarch64-linux-gnu",
        "lib/aarch64-linux-gnu",
        "usr/lib/syslog-ng",
    ];
    let libraries: Vec<_> = libraries.iter().map(|folder| tools.join(folder).display().to_string()).collect();
    command.env("LD_LIBRARY_PATH", libraries.join(":")).stdin(Stdio::null());
    command
}

pub fn module_folder(names: &[&str]) -> String {
    let mut folders = names.iter().map(|name| tools().join(name));
    folders.find(|folder| folder.exists()).expect("modules").display().to_string()
}

/// A CA, a certificate for the receiver (127.0.0.1 and logs.test), and one for the sensor.
pub struct Certificates {
    pub folder: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path) -> Self {
        let certificate = |name: &str, extra: &[&str]| {
            let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
            let mut openssl = tool("usr/bin/openssl");
            openssl.current_dir(folder).args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
            openssl
                .args(["-nodes", "-days", "2", "-keyout", &key, "-out", &out, "-subj", &format!("/CN={name}")])
                .args(extra);
            let output = openssl.output().expect("openssl");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
        certificate("ca", &[]);
        certificate("server", &[&signed[..], &["-addext", "subjectAltName=IP:127.0.0.1,DNS:logs.test"]].concat());
        certificate("client", &[&signed[..], &["-addext", "subjectAltName=DNS:sensor.test"]].concat());
        certificate("stranger", &["-addext", "subjectAltName=IP:127.0.0.1"]);
        Certificates { folder: folder.to_owned() }
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Parameters of an OUT that trusts and is trusted.
    pub fn parameters(&self) -> String {
        format!("ca={}&cert={}&key={}", self.file("ca.pem"), self.file("client.pem"), self.file("client.key"))
    }
}

/// One daemon with all its inputs; each input has a file of its name for its lines.
pub struct Daemon {
    child: Option<Child>,
    start: Box<dyn Fn() -> Child>,
    folder: PathBuf,
    pub ports: Ports,
    sockets: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub struct Ports {
    pub udp: u16,
    pub octet: u16,
    pub newline: u16,
    pub old: u16,
    pub tls: u16,
}

impl Ports {
    fn free() -> Self {
        Ports { udp: free_port(), octet: free_port(), newline: free_port(), old: free_port(), tls: free_port() }
    }
}

impl Daemon {
    pub fn rsyslog(folder: &Path, certificates: &Certificates) -> Self {
        let ports = Ports::free();
        let d = folder.display();
        let (ca, cert, key) =
            (certificates.file("ca.pem"), certificates.file("server.pem"), certificates.file("server.key"));
        let mut conf = format!(
            r#"global(workDirectory="{d}" maxMessageSize="64k" net.enableDNS="off" debug.onShutdown="off"
                defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{cert}" defaultNetstreamDriverKeyFile="{key}")
            main_queue(queue.type="direct")
            module(load="imudp") module(load="imtcp") module(load="imuxsock" sysSock.use="off")
            template(name="new" type="string" string="%msg%\n")
            template(name="old" type="string" string="%msg:2:$%\n")
            "#
        );
        for (name, template) in
            [("udp", "new"), ("octet", "new"), ("newline", "new"), ("tls", "new"), ("old", "old"), ("datagram", "old")]
        {
            let _ = writeln!(
                conf,
                "ruleset(name=\"{name}\") {{ action(type=\"omfile\" file=\"{d}/{name}.out\" template=\"{template}\") }}"
            );
        }
        for (name, port) in [("octet", ports.octet), ("newline", ports.newline), ("old", ports.old)] {
            let _ = writeln!(conf, "input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"{name}\")");
        }
        let _ = write!(
            conf,
            r#"input(type="imtcp" address="127.0.0.1" port="{}" ruleset="tls" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
            input(type="imudp" address="127.0.0.1" port="{}" ruleset="udp" rcvbufSize="200k")
            input(type="imuxsock" socket="{d}/datagram.sock" createPath="off" ruleset="datagram" rateLimit.interval="0" useSysTimeStamp="off" usePIDFromSystem="off")
            "#,
            ports.tls, ports.udp
        );
        std::fs::write(folder.join("rsyslog.conf"), conf).unwrap();
        let modules = module_folder(&["usr/lib/x86_64-linux-gnu/rsyslog", "usr/lib/aarch64-linux-gnu/rsyslog"]);
        let folder_of_start = folder.to_owned();
        let start = move || {
            let folder = &folder_of_start;
            let log = std::fs::File::create(folder.join("rsyslog.log")).unwrap();
            let mut daemon = tool("usr/sbin/rsyslogd");
            daemon.arg("-n").arg("-f").arg(folder.join("rsyslog.conf")).arg("-i").arg(folder.join("rsyslog.pid"));
            daemon.arg("-M").arg(&modules).stdout(log.try_clone().unwrap()).stderr(log).spawn().expect("rsyslogd")
        };
        Daemon { child: None, start: Box::new(start), folder: folder.to_owned(), ports, sockets: &["datagram.sock"] }
            .up()
    }

    pub fn syslog_ng(folder: &Path, certificates: &Certificates) -> Self {
        let ports = Ports::free();
        let d = folder.display();
        let mut conf = String::from(
            "@version: 3.38\noptions { log-msg-size(65536); use-dns(no); keep-hostname(yes); stats-freq(0); };\n",
        );
        let tls = format!(
            r#"tls(key-file("{}") cert-file("{}") ca-file("{}") peer-verify(required-trusted))"#,
            certificates.file("server.key"),
            certificates.file("server.pem"),
            certificates.file("ca.pem")
        );
        let local = r#"ip("127.0.0.1")"#;
        for (name, source) in [
            ("udp", format!(r#"syslog({local} port({}) transport("udp"))"#, ports.udp)),
            ("octet", format!(r#"syslog({local} port({}) transport("tcp"))"#, ports.octet)),
            ("newline", format!(r#"network({local} port({}) transport("tcp") flags(syslog-protocol))"#, ports.newline)),
            ("old", format!(r#"network({local} port({}) transport("tcp"))"#, ports.old)),
            ("tls", format!(r#"syslog({local} port({}) transport("tls") {tls})"#, ports.tls)),
            ("datagram", format!(r#"unix-dgram("{d}/datagram.sock")"#)),
            ("stream", format!(r#"unix-stream("{d}/stream.sock")"#)),
        ] {
            let _ = writeln!(
                conf,
                "log {{ source {{ {source}; }}; destination {{ file(\"{d}/{name}.out\" template(\"$MSG\\n\")); }}; flags(flow-control); }};"
            );
        }
        std::fs::write(folder.join("syslog-ng.conf"), conf).unwrap();
        let modules = module_folder(&["usr/lib/syslog-ng/3.38"]);
        let folder_of_start = folder.to_owned();
        let start = move || {
            let at = |name: &str| folder_of_start.join(name);
            let log = std::fs::File::create(at("syslog-ng.log")).unwrap();
            let mut daemon = tool("usr/sbin/syslog-ng");
            daemon.arg("-F").arg("--no-caps").arg("-f").arg(at("syslog-ng.conf")).arg("-R").arg(at("persist"));
            daemon.arg("-p").arg(at("syslog-ng.pid")).arg("-c").arg(at("control")).arg("--module-path").arg(&modules);
            daemon.stdout(log.try_clone().unwrap()).stderr(log).spawn().expect("syslog-ng")
        };
        Daemon {
            child: None,
            start: Box::new(start),
            folder: folder.to_owned(),
            ports,
            sockets: &["datagram.sock", "stream.sock"],
        }
        .up()
    }

    pub fn up(mut self) -> Self {
        self.start();
        self
    }

    pub fn start(&mut self) {
        self.child = Some((self.start)());
        let Ports { octet, newline, old, tls, .. } = self.ports;
        for port in [octet, newline, old, tls] {
            wait_until("the daemon listens", || {
                self.assert_alive();
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
        }
        for socket in self.sockets {
            wait_until("the daemon has its socket", || self.folder.join(socket).exists());
        }
    }

    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a daemon");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// Stops the daemon and waits until each of its threads stands still.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("a daemon").id());
        let stands = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        while !std::fs::read_dir(&tasks).expect("the daemon's threads").flatten().all(stands) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Ends the daemon, and waits until it is gone.
    pub fn stop(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal);
            let _ = child.wait();
            for socket in self.sockets {
                let _ = std::fs::remove_file(self.folder.join(socket));
            }
        }
    }

    pub fn output(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.out"))
    }

    fn assert_alive(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
        if ended.is_some() {
            let log = ["rsyslog.log", "syslog-ng.log"]
                .map(|log| std::fs::read_to_string(self.folder.join(log)).unwrap_or_default());
            panic!("the daemon has ended: {}", log.concat());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop(Signal::SIGKILL);
    }
}
