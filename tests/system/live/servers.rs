//! Resolvers inside a namespace: unbound and dnsmasq, and the server of `tests/system/clients` that
//! misbehaves on request.

use std::fs;
use std::io::Read;
use std::net::IpAddr;

use super::clients::{Client, Running, built};
use super::lab::{Lab, Network, until};

/// The address that unbound gives for every name below `.test`.
pub const ADDRESS_V4: &str = "192.0.2.1";
pub const ADDRESS_V6: &str = "2001:db8::1";

/// The address that the server of `tests/system/clients` gives for most names.
pub const SERVER_ADDRESS_V4: &str = "198.18.0.1";

/// unbound on 127.0.0.1 and `::1`, or on `addresses`: each name below `.test` has an A and an AAAA
/// record, so has `example.com`; all others do not exist. No other server is asked.
pub fn unbound(lab: &Lab, addresses: &[&str], port: u16) -> Running {
    unbound_in(lab, &lab.network, addresses, port)
}

pub fn unbound_in(lab: &Lab, network: &Network, addresses: &[&str], port: u16) -> Running {
    let interfaces = format!("  interface: {}\n", addresses.join("\n  interface: "));
    let configuration = format!(
        r#"server:
{interfaces}  port: {port}
  num-threads: 1
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  so-rcvbuf: 4m
  so-sndbuf: 4m
  local-zone: "." static
  local-zone: "test." redirect
  local-data: "test. 300 IN A {ADDRESS_V4}"
  local-data: "test. 300 IN AAAA {ADDRESS_V6}"
  local-zone: "example.com." redirect
  local-data: "example.com. 300 IN A {ADDRESS_V4}"
  local-data: "example.com. 300 IN AAAA {ADDRESS_V6}"
remote-control:
  control-enable: no
"#,
        directory = lab.scratch.path().display(),
    );
    let file = lab.path(&format!("unbound-{}-{port}.conf", addresses[0].replace(':', "_")));
    fs::write(&file, configuration).expect("unbound.conf");
    let running = Client::program(network, "unbound", &["-d", "-c", &file.to_string_lossy()]).start();
    listening(running, addresses, port)
}

/// unbound where glibc looks for a resolver, and the resolv.conf that says so.
pub fn local_resolver(lab: &Lab) -> (Running, std::path::PathBuf) {
    let file = lab.path("resolv.conf");
    fs::write(&file, "nameserver 127.0.0.1\n").expect("resolv.conf");
    (unbound(lab, &["127.0.0.1", "::1"], 53), file)
}

/// dnsmasq on 127.0.0.1, which asks `upstream`.
pub fn dnsmasq(lab: &Lab, upstream: &str) -> Running {
    let server = format!("--server={upstream}");
    let arguments = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file",
        "--bind-interfaces",
        "--listen-address=127.0.0.1",
        "--interface=lo",
        "--except-interface=none",
        "--cache-size=0",
        &server,
    ];
    let running = Client::program(&lab.network, "dnsmasq", &arguments).start();
    listening(running, &["127.0.0.1"], 53)
}

/// The server of `tests/system/clients` on 127.0.0.1 and `::1`, port 53.
pub fn misbehaving(lab: &Lab) -> Running {
    misbehaving_at(lab, &lab.network, &["127.0.0.1", "::1"], 53)
}

pub fn misbehaving_at(lab: &Lab, network: &Network, addresses: &[&str], port: u16) -> Running {
    let ready = lab.path(&format!("server-{port}.ready"));
    let port_text = port.to_string();
    let ready = ready.to_string_lossy();
    let arguments = [&[&*ready, &port_text], addresses].concat();
    let running = Client::program(network, &built().join("server").to_string_lossy(), &arguments).start();
    listening(running, addresses, port)
}

/// Waits until the kernel lists a datagram socket on each of `addresses`.
pub fn listening(mut running: Running, addresses: &[&str], port: u16) -> Running {
    until("a resolver listens", || {
        if let Some(status) = running.child.try_wait().expect("wait") {
            let mut said = String::new();
            if let Some(mut stderr) = running.child.stderr.take() {
                let _ = stderr.read_to_string(&mut said);
            }
            panic!("a resolver ended with {status}: {said}");
        }
        addresses.iter().all(|address| is_bound(running.pid(), address, port))
    });
    running
}

/// Whether `/proc/<pid>/net/udp` or `udp6` lists this local address: its words in host byte order.
fn is_bound(pid: u32, address: &str, port: u16) -> bool {
    let (file, bytes) = match address.parse().expect("an IP address") {
        IpAddr::V4(address) => ("udp", address.octets().to_vec()),
        IpAddr::V6(address) => ("udp6", address.octets().to_vec()),
    };
    let words: Vec<String> =
        bytes.as_chunks().0.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect();
    let local = format!("{}:{port:04X} ", words.concat());
    fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default().contains(&local)
}
