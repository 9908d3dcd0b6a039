//! Real lines through the kits for rsyslog and syslog-ng, which write the same bytes as a file output.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;
use tempfile::TempDir;

use super::text;
use crate::sink::receivers::{module_folder, tool};
use crate::support::outputs::{free_port, wait_until};

/// The port and the folder that the kits name; a test replaces them.
const PORT: &str = "5514";
const FOLDER: &str = "/var/log/dnstrail";

/// So few documents that a receiver's socket holds them all.
const OVER_UDP: [&str; 1] = ["edns-opts.pcap"];
const OVER_TCP: [&str; 5] = ["dnssec.pcap", "dns6.pcap", "edns-opts.pcap", "fragments-sll.pcap", "frags.pcap"];

/// One daemon, with a kit's file as its configuration.
struct Receiver {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Receiver {
    /// Starts the daemon with the kit's text and a folder that it may write in.
    fn start(kit: &str, start: impl FnOnce(&str, &Path) -> Command) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let kit = text(kit);
        assert!(kit.contains(FOLDER) && kit.matches(PORT).count() >= 4);
        let kit =
            kit.replace(FOLDER, &folder.path().join("log").display().to_string()).replace(PORT, &port.to_string());
        let log = File::create(folder.path().join("said")).unwrap();
        let mut command = start(&kit, folder.path());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().expect("a daemon");
        let receiver = Receiver { folder, port, child };
        wait_until("the daemon listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        receiver
    }

    /// Sends the documents of captures, and compares.
    fn takes(&self, transport: &str, captures: &[&str]) {
        let sent = self.folder.path().join(transport);
        let mut replay = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
        replay.arg("replay");
        for capture in captures {
            replay.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(capture));
        }
        replay.arg("--output").arg(format!("file:{}", sent.display()));
        replay.arg("--output").arg(format!("syslog:{transport}://127.0.0.1:{}", self.port));
        let output = replay.output().expect("dnstrail");
        assert!(output.status.success(), "{output:?}");

        let sent = fs::read_to_string(sent).unwrap();
        assert!(sent.lines().count() > 20, "{sent}");
        let first: Value = serde_json::from_str(sent.lines().next().unwrap()).unwrap();
        let host = first["host"]["hostname"].as_str().expect("a name");
        let written = self.folder.path().join(format!("log/{host}.json"));
        wait_until("all bytes are written", || written.metadata().is_ok_and(|file| file.len() >= sent.len() as u64));
        assert!(fs::read_to_string(&written).unwrap() == sent, "{} differs from what was sent", written.display());
        fs::remove_file(written).unwrap();
    }
}

#[test]
fn rsyslog_writes_the_sent_lines() {
    let modules = module_folder(&["usr/lib/x86_64-linux-gnu/rsyslog", "usr/lib/aarch64-linux-gnu/rsyslog"]);
    let receiver = || {
        Receiver::start("rsyslog/dnstrail.conf", |kit, folder| {
            // schemas/README.md has this line.
            let first = format!("global(maxMessageSize=\"64k\")\nglobal(workDirectory=\"{}\")\n", folder.display());
            let file = folder.join("rsyslog.conf");
            fs::write(&file, first + kit).unwrap();
            let mut daemon = tool("usr/sbin/rsyslogd");
            daemon.arg("-n").arg("-f").arg(file).arg("-i").arg(folder.join("pid")).arg("-M").arg(&modules);
            daemon
        })
    };
    receiver().takes("tcp", &OVER_TCP);
    receiver().takes("udp", &OVER_UDP);
}

#[test]
fn syslog_ng_writes_the_sent_lines() {
    let modules = module_folder(&["usr/lib/syslog-ng/3.38"]);
    let receiver = || {
        Receiver::start("syslog-ng/dnstrail.conf", |kit, folder| {
            let file = folder.join("syslog-ng.conf");
            fs::write(&file, format!("@version: 3.38\n{kit}")).unwrap();
            let mut daemon = tool("usr/sbin/syslog-ng");
            daemon.arg("-F").arg("--no-caps").arg("-f").arg(file).arg("-R").arg(folder.join("persist"));
            daemon.arg("-p").arg(folder.join("pid")).arg("-c").arg(folder.join("control"));
            daemon.arg("--module-path").arg(&modules);
            daemon
        })
    };
    receiver().takes("tcp", &OVER_TCP);
    receiver().takes("udp", &OVER_UDP);
}
