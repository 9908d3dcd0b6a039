//! The programs of `probes/dns.bpf.h`.

use crate::event::program::When::{Always, Cgroup2, Cgroup2Hashed, Hashed, NoCgroup2};
use crate::event::program::{Attach, Program, Skipped, Way, When, program};

const SENDS: &str = "who sends";
const LEAVES: &str = "what leaves";
const COMES_BACK: &str = "what comes back";

const FENTRY: When = When::Way(Way::Fentry);
const KPROBE: When = When::Way(Way::Kprobe);
const CGROUP: When = When::Way(Way::Cgroup);

/// The gap where packets are read at functions of the kernel.
const AT_FUNCTIONS: &str = "bytes that TCP Fast Open sends with the SYN, and, before Linux 6.5, those that sendfile and \
                            splice send over TCP";

/// A program at a function or a tracepoint, whose skipped run may miss a packet.
const fn traced(name: &'static str, hook: &'static str, role: &'static str, when: When) -> Program {
    program(name, hook, role, when).skipped(Skipped::Packets)
}

const fn at_cgroup(name: &'static str, hook: &'static str, role: &'static str, when: When) -> Program {
    program(name, hook, role, when).attached(Attach::Cgroup)
}

/// In the order of attaching. Programs for packets that leave come last, so that no query is seen without its answer.
pub const PROGRAMS: &[Program] = &[
    program("stream_state", "tp_btf/inet_sock_set_state", SENDS, Hashed)
        .optional("who sends over TCP, after 8,192 connections"),
    at_cgroup("cgroup_sock_create", "cgroup/sock_create", SENDS, Cgroup2Hashed),
    at_cgroup("cgroup_sock_release", "cgroup/sock_release", SENDS, Cgroup2Hashed),
    traced("fentry_tcp_sendmsg", "fentry/tcp_sendmsg", SENDS, FENTRY),
    traced("fentry_udp_sendmsg", "fentry/udp_sendmsg", SENDS, FENTRY),
    traced("fentry_udpv6_sendmsg", "fentry/udpv6_sendmsg", SENDS, FENTRY),
    traced("kprobe_tcp_sendmsg", "kprobe/tcp_sendmsg", SENDS, KPROBE),
    traced("kprobe_udp_sendmsg", "kprobe/udp_sendmsg", SENDS, KPROBE),
    traced("kprobe_udpv6_sendmsg", "kprobe/udpv6_sendmsg", SENDS, KPROBE),
    traced("sock_send_length", "tp_btf/sock_send_length", SENDS, Always)
        .optional("which of several processes that share one socket queued bytes that leave later"),
    at_cgroup("cgroup_sendmsg4", "cgroup/sendmsg4", SENDS, CGROUP),
    at_cgroup("cgroup_sendmsg6", "cgroup/sendmsg6", SENDS, CGROUP),
    at_cgroup("cgroup_ingress", "cgroup_skb/ingress", COMES_BACK, Cgroup2),
    traced("fentry_sk_filter_trim_cap", "fentry/sk_filter_trim_cap", COMES_BACK, NoCgroup2(Way::Fentry)),
    traced("kprobe_sk_filter_trim_cap", "kprobe/sk_filter_trim_cap", COMES_BACK, NoCgroup2(Way::Kprobe)),
    traced("fentry_inet_release", "fentry/inet_release", SENDS, NoCgroup2(Way::Fentry)),
    traced("kprobe_inet_release", "kprobe/inet_release", SENDS, NoCgroup2(Way::Kprobe)),
    at_cgroup("cgroup_egress", "cgroup_skb/egress", LEAVES, Cgroup2),
    traced("fentry_ip_finish_output", "fentry/ip_finish_output", LEAVES, NoCgroup2(Way::Fentry)).leaving(AT_FUNCTIONS),
    traced("fentry_ip6_finish_output", "fentry/ip6_finish_output", LEAVES, NoCgroup2(Way::Fentry)),
    traced("kprobe_ip_finish_output", "kprobe/ip_finish_output", LEAVES, NoCgroup2(Way::Kprobe)).leaving(AT_FUNCTIONS),
    traced("kprobe_ip6_finish_output", "kprobe/ip6_finish_output", LEAVES, NoCgroup2(Way::Kprobe)),
    program("sockets_before", "iter/task_file", "what was there before", Always)
        .attached(Attach::Iterator)
        .optional("the owner of a socket opened before the start, until it sends"),
];
