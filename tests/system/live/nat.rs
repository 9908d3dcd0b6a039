//! NAT between a program and its resolver: the documents have the addresses that the program sees and those that the
//! network sees, and each answer finds its query.

use std::fs;

use super::clients::{Client, Run, Running};
use super::documents::{Document, Lookup, Recording};
use super::lab::{Lab, Network, output};
use super::sensor::Sensor;
use super::servers::{unbound, unbound_in};

/// Docker's rules for its resolver in a container of a network of its own, with the chains and the order in which
/// Docker writes them.
const DOCKER: &str = "table ip nat {
  chain DOCKER_OUTPUT {
    ip daddr 127.0.0.11 tcp dport 53 counter dnat to 127.0.0.11:41953
    ip daddr 127.0.0.11 udp dport 53 counter dnat to 127.0.0.11:41953
  }
  chain DOCKER_POSTROUTING {
    ip saddr 127.0.0.11 tcp sport 41953 counter snat to :53
    ip saddr 127.0.0.11 udp sport 41953 counter snat to :53
  }
  chain OUTPUT {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.11 counter jump DOCKER_OUTPUT
  }
  chain POSTROUTING {
    type nat hook postrouting priority 100; policy accept;
    ip daddr 127.0.0.11 counter jump DOCKER_POSTROUTING
  }
}
";

/// kube-proxy's rules for one service with one endpoint, of which the packets are marked to be masqueraded.
fn kube_proxy(family: &str, service: &str, endpoint: &str, masquerade: &str) -> String {
    let rules = |protocol: &str| {
        format!("    {family} daddr {service} {protocol} dport 53 counter jump KUBE-SVC-{}\n", protocol.to_uppercase())
    };
    let service = |protocol: &str| {
        format!(
            "  chain KUBE-SVC-{} {{
    counter meta mark set mark or 0x4000
    meta l4proto {protocol} counter dnat to {endpoint}:53
  }}
",
            protocol.to_uppercase()
        )
    };
    format!(
        "table {family} nat {{
{}{}  chain KUBE-SERVICES {{
{}{}  }}
  chain OUTPUT {{
    type nat hook output priority -100; policy accept;
    counter jump KUBE-SERVICES
  }}
  chain POSTROUTING {{
    type nat hook postrouting priority 100; policy accept;
    meta mark & 0x4000 == 0x4000 counter {masquerade}
  }}
}}
",
        service("udp"),
        service("tcp"),
        rules("udp"),
        rules("tcp"),
    )
}

fn load(lab: &Lab, rules: &str) {
    let file = lab.path("nat");
    fs::write(&file, rules).expect("a file");
    output("ip", &["netns", "exec", &lab.network.name, "nft", "-f", &file.to_string_lossy()]);
}

/// The ways of a client that differ for NAT: the socket has a peer, or an address of its own, or neither.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("udp", "connected", "udp"),
    ("udp", "unconnected", "udp"),
    ("udp", "sendmsg", "udp"),
    ("tcp", "one", "tcp"),
    ("tcp", "bytewise", "tcp"),
];

/// A client that ran, the name it asked for, the transport, and whether its socket has a peer.
type Asked = (Run, String, &'static str, bool);

/// Runs every client with a name of its own.
fn ask(lab: &Lab, server: &str, label: &str) -> Vec<Asked> {
    let asked = CLIENTS.into_iter().enumerate().map(|(number, (client, mode, transport))| {
        let name = lab.name(&format!("{label}{number}"));
        let run = Client::new(lab, client, &[mode, server, "53", &name]).run();
        (run, name, transport, transport == "tcp" || mode == "connected")
    });
    asked.collect()
}

#[track_caller]
fn assert_nat(document: &Document, end: &str, address: &str, port: u64) {
    assert_eq!(document.text(&format!("{end}.nat.ip")), address, "{document:?}");
    assert_eq!(document.number(&format!("{end}.nat.port")), port, "{document:?}");
}

#[test]
fn live_nat_of_docker_does_not_hide_a_lookup() {
    let lab = Lab::new();
    load(&lab, DOCKER);
    let _resolver = unbound(&lab, &["127.0.0.11"], 41_953);
    let sensor = Sensor::start(&lab, &["--timeout", "1"]);
    let asked = ask(&lab, "127.0.0.11", "n");
    let recording = sensor.stop();
    for (run, name, transport, _) in &asked {
        let lookup = Lookup { client: "127.0.0.1", server: "127.0.0.11", ..Lookup::by(run, name).over(transport) };
        let [query, answer] = lookup.assert_in(&recording);
        assert_nat(&query, "destination", "127.0.0.11", 41_953);
        assert_nat(&answer, "source", "127.0.0.11", 41_953);
        assert_eq!(query.get("source.nat"), None, "{query:?}");
    }
    assert_eq!(recording.below(&lab.suffix).len(), 2 * asked.len(), "no timeout, and nothing twice");
}

/// The client's namespace has an address on its loopback interface, from which it asks; another namespace has the
/// resolver, and knows only the other address.
struct Cluster {
    lab: Lab,
    _elsewhere: Network,
    _resolver: Running,
}

const CLIENT: [&str; 2] = ["10.77.0.1", "fd77::1"];
const SERVICE: [&str; 2] = ["10.96.0.10", "fd96::a"];
const OUTSIDE: [&str; 2] = ["10.53.0.1", "fd53::1"];
const ENDPOINT: [&str; 2] = ["10.53.0.2", "fd53::2"];

impl Cluster {
    fn new() -> Self {
        let lab = Lab::new();
        let elsewhere = Network::new();
        lab.network.join(&elsewhere);
        lab.network.ip(&["address", "add", "10.77.0.1/32", "dev", "lo"]);
        lab.network.ip(&["address", "add", "fd77::1/128", "dev", "lo", "nodad"]);
        lab.network.ip(&["route", "add", "10.96.0.0/16", "via", ENDPOINT[0], "src", CLIENT[0]]);
        lab.network.ip(&["-6", "route", "add", "fd96::/64", "via", ENDPOINT[1], "src", CLIENT[1]]);
        let resolver = unbound_in(&lab, &elsewhere, &ENDPOINT, 53);
        Self { lab, _elsewhere: elsewhere, _resolver: resolver }
    }

    /// Asks through both families' rules.
    fn ask(&self, masquerade: &str) -> (Recording, [Vec<Asked>; 2]) {
        load(&self.lab, &kube_proxy("ip", SERVICE[0], ENDPOINT[0], masquerade));
        load(&self.lab, &kube_proxy("ip6", SERVICE[1], &format!("[{}]", ENDPOINT[1]), masquerade));
        let sensor = Sensor::start(&self.lab, &["--timeout", "1"]);
        let asked = [0, 1].map(|family| ask(&self.lab, SERVICE[family], &format!("f{family}n")));
        (sensor.stop(), asked)
    }
}

/// kube-proxy's rules, which change the destination and the source, and the source's port where `random`.
fn assert_cluster(masquerade: &str, random: bool) {
    let cluster = Cluster::new();
    let (recording, asked) = cluster.ask(masquerade);
    for (family, asked) in asked.iter().enumerate() {
        for (run, name, transport, has_peer) in asked {
            let mut documents = recording.below(name);
            assert_eq!(documents.len(), 2, "{documents:?}");
            // Where the socket has no address of its own, the source is seen behind NAT alone.
            let source = if *has_peer { CLIENT[family] } else { OUTSIDE[family] };
            let lookup = Lookup { client: source, server: SERVICE[family], ..Lookup::by(run, name).over(transport) };
            let query = documents.remove(0);
            lookup.assert_query(query);
            assert_nat(query, "destination", ENDPOINT[family], 53);
            if *has_peer {
                assert_eq!(query.text("source.nat.ip"), OUTSIDE[family], "{query:?}");
            }
            if *has_peer || random {
                let changed = query.number("source.nat.port") != query.number("source.port");
                assert_eq!(changed, random, "{query:?}");
            }
            let answer = documents.remove(0);
            Lookup { client: CLIENT[family], ..lookup }.assert_answer(answer);
            assert_nat(answer, "source", ENDPOINT[family], 53);
        }
    }
    let count: usize = asked.iter().map(Vec::len).sum();
    assert_eq!(recording.below(&cluster.lab.suffix).len(), 2 * count, "no timeout, and nothing twice");
}

#[test]
fn live_nat_of_kube_proxy_shows_both_addresses_of_both_ends() {
    assert_cluster("masquerade fully-random", true);
}

#[test]
fn live_nat_that_keeps_the_port_loses_no_answer() {
    assert_cluster("masquerade", false);
}

/// No more than the source is changed, as on a host that masquerades into a tunnel.
#[test]
fn live_nat_of_the_source_alone_loses_no_answer() {
    let cluster = Cluster::new();
    let rules = "table ip nat {
  chain POSTROUTING {
    type nat hook postrouting priority 100; policy accept;
    ip saddr 10.77.0.1 counter masquerade
  }
}
";
    load(&cluster.lab, rules);
    let target = format!("{}/32", ENDPOINT[0]);
    cluster.lab.network.ip(&["route", "add", &target, "dev", "veth", "src", CLIENT[0]]);
    let sensor = Sensor::start(&cluster.lab, &["--timeout", "1"]);
    let asked = ask(&cluster.lab, ENDPOINT[0], "s");
    let recording = sensor.stop();
    for (run, name, transport, has_peer) in &asked {
        let documents = recording.below(name);
        assert_eq!(documents.len(), 2, "{documents:?}");
        let source = if *has_peer { CLIENT[0] } else { OUTSIDE[0] };
        let lookup = Lookup { client: source, server: ENDPOINT[0], ..Lookup::by(run, name).over(transport) };
        lookup.assert_query(documents[0]);
        Lookup { client: CLIENT[0], ..lookup }.assert_answer(documents[1]);
        if *has_peer {
            assert_eq!(documents[0].text("source.nat.ip"), OUTSIDE[0]);
        }
    }
    assert_eq!(recording.below(&cluster.lab.suffix).len(), 2 * asked.len(), "no timeout, and nothing twice");
}
