//! Every way a query leaves a process: each gives exactly one query and one answer, of the process
//! that asked.

use super::clients::Client;
use super::documents::{Lookup, actions, assert_single_thread};
use super::lab::Lab;
use super::sensor::Sensor;
use super::servers::{ADDRESS_V6, dnsmasq, local_resolver, misbehaving, unbound};

/// Runs a client of `tests/system/clients` once over IPv4 and once over IPv6, in each of its modes, and
/// holds the lookup of each against the recording.
fn assert_lookups(client: &str, modes: &[&str], transport: &str) {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1", "::1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for mode in modes {
        for (server, version) in [("127.0.0.1", "v4"), ("::1", "v6")] {
            let name = lab.name(&format!("{mode}.{version}"));
            let run = Client::new(&lab, client, &[mode, server, "53", &name]).run();
            runs.push((run, name, server));
        }
    }
    let recording = sensor.stop();
    for (run, name, server) in &runs {
        let documents = Lookup::by(run, name).over(transport).to(server).assert_in(&recording);
        // io_uring may send by a thread that the kernel gave the process.
        if client != "uring" {
            for document in &documents {
                assert_single_thread(document);
            }
        }
    }
    assert_eq!(recording.below(&lab.suffix).len(), runs.len() * 2);
}

#[test]
fn live_udp_connected_unconnected_and_in_segments() {
    assert_lookups("udp", &["connected", "write", "unconnected", "sendmsg"], "udp");
}

#[test]
fn live_tcp_in_one_send_however_the_prefix_is_split_off() {
    assert_lookups("tcp", &["one", "writev", "separate", "bytewise"], "tcp");
}

#[test]
fn live_io_uring_over_udp() {
    assert_lookups("uring", &["udp-send", "udp-sendmsg"], "udp");
}

#[test]
fn live_io_uring_over_tcp() {
    assert_lookups("uring", &["tcp-send"], "tcp");
}

#[test]
fn live_io_uring_by_the_polling_thread() {
    assert_lookups("uring", &["sqpoll-udp-send", "sqpoll-udp-sendmsg"], "udp");
}

#[test]
fn live_io_uring_by_the_polling_thread_over_tcp() {
    assert_lookups("uring", &["sqpoll-tcp-send"], "tcp");
}

#[test]
fn live_sendmmsg_gives_both_lookups_of_one_call() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("both");
    let run = Client::new(&lab, "udp", &["sendmmsg", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).assert_in(&recording);
    Lookup { qtype: "AAAA", ..Lookup::by(&run, &name) }.answered(&[ADDRESS_V6]).assert_in(&recording);
    assert_eq!(recording.below(&lab.suffix).len(), 4);
}

#[test]
fn live_mapped_address_on_an_ipv6_socket_is_ipv4() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("mapped");
    let run = Client::new(&lab, "udp", &["mapped", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).assert_in(&recording);
    assert_eq!(recording.below(&lab.suffix).len(), 2);
}

#[test]
fn live_pipelined_queries_of_one_connection_are_kept_apart() {
    for mode in ["pipelined", "turns"] {
        let lab = Lab::new();
        let _resolver = unbound(&lab, &["127.0.0.1"], 53);
        let sensor = Sensor::start(&lab, &[]);
        let names: Vec<String> = (0..8).map(|number| lab.name(&format!("n{number}"))).collect();
        let arguments: Vec<&str> =
            [mode, "127.0.0.1", "53"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let run = Client::new(&lab, "tcp", &arguments).run();
        let recording = sensor.stop();
        let ports: Vec<u64> = names
            .iter()
            .map(|name| Lookup::by(&run, name).over("tcp").assert_in(&recording)[0].number("source.port"))
            .collect();
        assert!(ports.windows(2).all(|pair| pair[0] == pair[1]), "one connection: {ports:?}");
        assert_eq!(recording.below(&lab.suffix).len(), names.len() * 2);
    }
}

#[test]
fn live_answer_in_odd_pieces_over_tcp_is_one_answer() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("split");
    let run = Client::new(&lab, "tcp", &["one", "::1", "53", &name]).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).over("tcp").to("::1").answered(&["198.18.0.1"]).assert_in(&recording);
    assert_eq!(recording.below(&lab.suffix).len(), 2);
}

#[test]
fn live_getaddrinfo_of_the_c_library() {
    let lab = Lab::new();
    let (_resolver, resolv_conf) = local_resolver(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("glibc");
    let run = Client::new(&lab, "resolve", &[&name]).resolv_conf(&resolv_conf).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).assert_in(&recording);
    Lookup { qtype: "AAAA", ..Lookup::by(&run, &name) }.answered(&[ADDRESS_V6]).assert_in(&recording);
    assert_eq!(recording.below(&lab.suffix).len(), 4);
}

#[test]
fn live_dig_over_udp_and_tcp() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1", "::1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for (server, transport, flag) in
        [("127.0.0.1", "udp", "+notcp"), ("::1", "udp", "+notcp"), ("127.0.0.1", "tcp", "+tcp"), ("::1", "tcp", "+tcp")]
    {
        let name = lab.name(&format!("n{}", runs.len()));
        let at = format!("@{server}");
        runs.push((Client::program(&lab.network, "dig", &[flag, &at, &name]).run(), name, server, transport));
    }
    let recording = sensor.stop();
    for (run, name, server, transport) in &runs {
        Lookup::by(run, name).over(transport).to(server).assert_in(&recording);
    }
    assert_eq!(recording.below(&lab.suffix).len(), runs.len() * 2);
}

#[test]
fn live_curl_and_busybox_wget() {
    let lab = Lab::new();
    let (_resolver, resolv_conf) = local_resolver(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for (program, arguments) in [("curl", vec!["-sS"]), ("busybox", vec!["wget", "-O", "-"])] {
        let name = lab.name(program);
        let address = format!("http://{name}/");
        let arguments = [arguments, vec![&address]].concat();
        let client = Client::program(&lab.network, program, &arguments).resolv_conf(&resolv_conf);
        // The address leads nowhere: only the lookup is of interest.
        runs.push((client.run_to_any_end(), name));
    }
    let recording = sensor.stop();
    for (run, name) in &runs {
        Lookup::by(run, name).assert_in(&recording);
        Lookup { qtype: "AAAA", ..Lookup::by(run, name) }.answered(&[ADDRESS_V6]).assert_in(&recording);
    }
    assert_eq!(recording.below(&lab.suffix).len(), runs.len() * 4);
}

#[test]
fn live_forwarder_asks_under_its_own_name() {
    let lab = Lab::new();
    let _upstream = unbound(&lab, &["127.0.0.2"], 53);
    let forwarder = dnsmasq(&lab, "127.0.0.2");
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("forwarded");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-query", "dns-answer", "dns-answer"]);
    let lookup = Lookup::by(&run, &name);
    lookup.assert_query(documents[0]);
    lookup.assert_answer(documents[3]);
    for document in &documents[1..3] {
        document.has(&[("process.name", "dnsmasq"), ("server.ip", "127.0.0.2")]);
        assert_eq!(document.number("process.pid"), u64::from(forwarder.pid()));
    }
}
