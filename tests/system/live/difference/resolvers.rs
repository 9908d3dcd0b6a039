//! unbound, dnsmasq, BIND and systemd-resolved in a namespace, each with a log of its queries.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::super::clients::{Client, Running};
use super::super::lab::{Lab, Network};
use super::super::servers::listening;
use super::shape::Server;

/// Where shapes are sent.
pub const SERVERS: [Server; 4] = [
    Server { v4: "10.53.0.2", v6: "fd53::2" },
    Server { v4: "10.53.0.3", v6: "fd53::3" },
    Server { v4: "10.53.0.4", v6: "fd53::4" },
    Server { v4: "10.53.0.5", v6: "fd53::5" },
];

/// A server that runs, and its log.
pub struct Resolver {
    pub name: &'static str,
    pub running: Running,
    log: PathBuf,
    read: u64,
    /// The text that stands before the name in a line of the log.
    before: &'static str,
}

/// One line of a log.
pub struct Asked {
    pub server: &'static str,
    pub line: String,
    /// As the server writes it, in lower case.
    pub name: String,
}

impl Resolver {
    /// The questions that it logged since the last call.
    pub fn asked(&mut self) -> Vec<Asked> {
        let file = fs::File::open(&self.log).unwrap_or_else(|error| panic!("{}: {error}", self.log.display()));
        let length = file.metadata().expect("an open file").len();
        let mut bytes = vec![0; usize::try_from(length - self.read).expect("a log fits memory")];
        file.read_exact_at(&mut bytes, self.read).expect("the log is readable");
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read += bytes.len() as u64;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter_map(|line| self.line(line)).collect()
    }

    fn line(&self, line: &str) -> Option<Asked> {
        let (_, rest) = line.split_once(self.before)?;
        let name = match self.name {
            // `10.54.0.1 name. A IN`: the address stands before the name.
            "unbound" => rest.split(' ').nth(1)?,
            // `query[A] name from 10.54.0.1`
            "dnsmasq" => rest.split_once("] ")?.1.split(" from ").next()?,
            _ => rest.split(' ').next()?,
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        Some(Asked { server: self.name, line: line.to_owned(), name })
    }
}

/// All four, asked through the network of `lab`, running in `other`.
pub fn start(lab: &Lab, other: &Network) -> Vec<Resolver> {
    vec![unbound(lab, other), dnsmasq(lab, other), bind(lab, other), resolved(lab, other)]
}

fn run(network: &Network, program: &str, arguments: &[&str], server: Server) -> Running {
    listening(Client::program(network, program, arguments).start(), &[server.v4, server.v6], 53)
}

fn unbound(lab: &Lab, network: &Network) -> Resolver {
    let server = SERVERS[0];
    let (file, log) = (lab.path("difference-unbound.conf"), lab.path("difference-unbound.log"));
    let configuration = format!(
        "server:\n  interface: {}\n  interface: {}\n  num-threads: 1\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  \
         directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"{}\"\n  log-queries: yes\n  \
         module-config: \"iterator\"\n  access-control: 0.0.0.0/0 allow_snoop\n  access-control: ::/0 allow_snoop\n  \
         incoming-num-tcp: 200\n  so-rcvbuf: 4m\n  local-zone: \".\" static\n  local-zone: \"test.\" redirect\n  \
         local-data: \"test. 300 IN A 192.0.2.1\"\nremote-control:\n  control-enable: no\n",
        server.v4,
        server.v6,
        lab.scratch.path().display(),
        log.display(),
    );
    fs::write(&file, configuration).expect("unbound.conf");
    let running = run(network, "unbound", &["-d", "-c", &file.to_string_lossy()], server);
    Resolver { name: "unbound", running, log, read: 0, before: "info: " }
}

fn dnsmasq(lab: &Lab, network: &Network) -> Resolver {
    let server = SERVERS[1];
    let log = lab.path("difference-dnsmasq.log");
    let arguments = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file",
        "--bind-interfaces",
        &format!("--listen-address={}", server.v4),
        &format!("--listen-address={}", server.v6),
        "--cache-size=0",
        "--log-queries",
        &format!("--log-facility={}", log.display()),
        "--address=/test/192.0.2.1",
        "--local=//",
    ];
    let running = run(network, "dnsmasq", &arguments, server);
    Resolver { name: "dnsmasq", running, log, read: 0, before: ": query[" }
}

fn bind(lab: &Lab, network: &Network) -> Resolver {
    let server = SERVERS[2];
    let folder = lab.path("difference-bind");
    fs::create_dir(&folder).expect("a scratch folder");
    let (file, log) = (folder.join("named.conf"), folder.join("queries"));
    let configuration = format!(
        r#"options {{ directory "{folder}"; listen-on {{ {v4}; }}; listen-on-v6 {{ {v6}; }}; recursion no; querylog yes;
  pid-file none; session-keyfile none; dnssec-validation no; allow-query {{ any; }}; notify no; tcp-clients 500; }};
controls {{ }};
logging {{ channel queries {{ file "{log}"; severity info; }}; category queries {{ queries; }}; category default {{ null; }}; }};
zone "test" {{ type primary; file "test.zone"; }};
"#,
        folder = folder.display(),
        log = log.display(),
        v4 = server.v4,
        v6 = server.v6,
    );
    fs::write(&file, configuration).expect("named.conf");
    let zone =
        "$TTL 300\n@ IN SOA ns hostmaster 1 3600 600 86400 300\n@ IN NS ns\nns IN A 192.0.2.1\n* IN A 192.0.2.1\n";
    fs::write(folder.join("test.zone"), zone).expect("a zone");
    let program = unpacked().join("usr/sbin/named");
    let script = format!("{} exec {} -f -n 1 -c {} 2>/dev/null", libraries(), program.display(), file.display());
    let running = run(network, "sh", &["-c", &script], server);
    Resolver { name: "BIND", running, log, read: 0, before: "): query: " }
}

/// systemd-resolved wants an account of its own, and its configuration in /etc/systemd: both are given to it in
/// a mount namespace. It asks unbound.
fn resolved(lab: &Lab, network: &Network) -> Resolver {
    let server = SERVERS[3];
    let (file, log) = (lab.path("resolved.conf"), lab.path("difference-resolved.log"));
    let configuration = format!(
        "[Resolve]\nDNS={}\nFallbackDNS=\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\nCache=no\nReadEtcHosts=no\n\
         DNSStubListener=no\nDNSStubListenerExtra={}\nDNSStubListenerExtra=[{}]:53\n",
        SERVERS[0].v4, server.v4, server.v6
    );
    fs::write(&file, configuration).expect("resolved.conf");
    let program = unpacked().join("lib/systemd/systemd-resolved");
    let script = format!(
        "set -e; mount -t tmpfs tmpfs /run; mkdir /run/systemd; mount -t tmpfs tmpfs /etc/systemd; \
         cp {file} /etc/systemd/resolved.conf; \
         (cat /etc/passwd; echo systemd-resolve:x:0:0::/:/bin/false) > /run/passwd; \
         (cat /etc/group; echo systemd-resolve:x:0:) > /run/group; \
         mount --bind /run/passwd /etc/passwd; mount --bind /run/group /etc/group; \
         {libraries} SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console exec {program} > {log} 2>&1",
        file = file.display(),
        libraries = libraries(),
        program = program.display(),
        log = log.display(),
    );
    let running = run(network, "unshare", &["--mount", "sh", "-c", &script], server);
    Resolver { name: "systemd-resolved", running, log, read: 0, before: "Looking up RR for " }
}

/// Where `tests/system/install-resolvers` has unpacked BIND and systemd-resolved.
fn unpacked() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/tools/resolvers");
        let script = root.join("tests/system/install-resolvers");
        let status = Command::new(script).arg(&folder).status().expect("tests/system/install-resolvers");
        assert!(status.success(), "tests/system/install-resolvers failed");
        folder
    })
}

/// The setting by which the loader finds the unpacked libraries.
fn libraries() -> String {
    let folders: Vec<String> = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .iter()
        .flat_map(|machine| ["usr/lib", "lib"].map(|folder| unpacked().join(folder).join(machine)))
        .flat_map(|folder| [folder.display().to_string(), folder.join("systemd").display().to_string()])
        .collect();
    format!("LD_LIBRARY_PATH={}", folders.join(":"))
}
