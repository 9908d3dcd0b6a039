// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The ways in: thin entries onto the bodies of task.bpf.h and packet.bpf.h. */
#include "kernel.bpf.h"
#include "emit.bpf.h"
#include "task.bpf.h"
#include "packet.bpf.h"
#include "send.bpf.h"
#include "connect.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Keeps what crosses the ring in the object's BTF, from which the sensor's types are generated. */
const struct packet_record *packet_record_type;
const struct process_record *process_record_type;
const struct fork_record *fork_record_type;
const struct exit_record *exit_record_type;
const struct connection_record *connection_record_type;
const enum connection_stage *connection_stage_type;
const enum record_kind *record_kind_type;
const enum record_flag *record_flag_type;
const enum loss *loss_type;

/* Who a task is. */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	introduce(task, PROCESS_EXEC | PROCESS_CURRENT);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	task_forked(parent, child);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	task_exited(task);
	return 0;
}

/* What leaves and what comes back: the hooks that the kernel runs inside ip_finish_output and ip6_finish_output, and at the socket. */

static __always_inline bool find_transport(struct __sk_buff *skb, struct packet *packet, struct transport *transport)
{
	const u8 *data = (const void *)(long)skb->data;
	const u8 *end = (const void *)(long)skb->data_end;

	packet->skb = skb;
	packet->length = skb->len;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return data + IPV4_BYTES <= end && find_ipv4_transport(packet, data, transport);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && data + IPV6_BYTES <= end &&
	       find_ipv6_transport(packet, data, transport);
}

/* The verifier's own pointer to the socket cannot be followed; the context is the kernel's sk_buff. */
static __always_inline const struct sock *packet_socket(struct __sk_buff *skb)
{
	return BPF_CORE_READ((const struct sk_buff *)skb, sk);
}

SEC("cgroup_skb/egress")
int cgroup_egress(struct __sk_buff *skb)
{
	struct transport transport = {};
	struct packet_record head = {};
	struct packet packet = {};

	if (find_transport(skb, &packet, &transport) && is_wanted(&packet, &transport, true)) {
		head.socket = bpf_get_socket_cookie(skb);
		packet_leaves(&packet, &transport, packet_socket(skb), &head);
	}
	return 1;
}

SEC("cgroup_skb/ingress")
int cgroup_ingress(struct __sk_buff *skb)
{
	struct transport transport = {};
	struct packet_record head = {};
	struct packet packet = {};

	if (find_transport(skb, &packet, &transport) && is_wanted(&packet, &transport, false)) {
		head.socket = bpf_get_socket_cookie(skb);
		packet_arrives(&packet, &transport, packet_socket(skb), &head);
	}
	return 1;
}

/* Who sends, before anything leaves. */

static __always_inline int socket_used(struct bpf_sock_addr *ctx)
{
	const struct task_struct *task;
	struct task_record record;

	if (!is_dns_port(bpf_ntohs(ctx->user_port)))
		return 1;
	task = (const void *)bpf_get_current_task();
	if (is_kernel_thread(task))
		return 1;
	fill_task(&record, task);
	own_socket(bpf_get_socket_cookie(ctx), &record);
	return 1;
}

SEC("cgroup/connect4")
int cgroup_connect4(struct bpf_sock_addr *ctx)
{
	return socket_used(ctx);
}

SEC("cgroup/connect6")
int cgroup_connect6(struct bpf_sock_addr *ctx)
{
	return socket_used(ctx);
}

SEC("cgroup/sendmsg4")
int cgroup_sendmsg4(struct bpf_sock_addr *ctx)
{
	return socket_used(ctx);
}

SEC("cgroup/sendmsg6")
int cgroup_sendmsg6(struct bpf_sock_addr *ctx)
{
	return socket_used(ctx);
}

/* The functions themselves, where the kernel lets them be traced. */

#define ENTRIES(FUNCTION, BODY, ...)                        \
	SEC("?fentry/" #FUNCTION)                           \
	int BPF_PROG(fentry_##FUNCTION, __VA_ARGS__)        \
	{                                                   \
		BODY;                                       \
		return 0;                                   \
	}                                                   \
	SEC("?kprobe/" #FUNCTION)                           \
	int BPF_KPROBE(kprobe_##FUNCTION, __VA_ARGS__)      \
	{                                                   \
		BODY;                                       \
		return 0;                                   \
	}

ENTRIES(tcp_sendmsg, tcp_sends(sk, msg, size), struct sock *sk, struct msghdr *msg, size_t size)
ENTRIES(udp_sendmsg, udp_sends(sk, msg), struct sock *sk, struct msghdr *msg)
ENTRIES(udpv6_sendmsg, udp_sends(sk, msg), struct sock *sk, struct msghdr *msg)
ENTRIES(ip_finish_output, skb_leaves(skb), struct net *net, struct sock *sk, struct sk_buff *skb)
ENTRIES(ip6_finish_output, skb_leaves(skb), struct net *net, struct sock *sk, struct sk_buff *skb)
ENTRIES(sk_filter_trim_cap, skb_arrives(sk, skb), struct sock *sk, struct sk_buff *skb)

/* Gives every new socket its cookie, by which the functions above and the socket programs agree. */
SEC("?cgroup/sock_create")
int cgroup_sock_create(struct bpf_sock *ctx)
{
	bpf_get_socket_cookie(ctx);
	return 1;
}

/* TCP bytes may wait in the socket and leave later, without their sender. */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int length)
{
	struct task_record record;

	if (sk->sk_protocol != IPPROTO_TCP || length <= 0)
		return 0;
	if (!is_dns_port(bpf_ntohs(sk->__sk_common.skc_dport)) && !is_dns_port(sk->__sk_common.skc_num))
		return 0;
	fill_task(&record, (const void *)bpf_get_current_task());
	own_socket(bpf_get_socket_cookie(sk), &record);
	return 0;
}

/* Who connects to what was resolved. */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(connection_state, const struct sock *sk, int before, int state)
{
	if (connections_wanted && sk->sk_protocol == IPPROTO_TCP)
		connection_changes(sk, state);
	return 0;
}

/* What was there before us. */

/* Room for one process record; iterators are read by one task at a time. */
struct room {
	u8 bytes[PROCESS_SIZE(LARGE_PATHS, LARGE_ARGUMENTS)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct room);
} iterated SEC(".maps");

SEC("iter/task")
int tasks_before(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_record *record;
	u32 zero = 0, length;

	if (!task || BPF_CORE_READ(task, group_leader) != task)
		return 0;
	record = (void *)bpf_map_lookup_elem(&iterated, &zero);
	if (!record)
		return 0;
	fill_process(record, task, 0, LARGE_PATHS, LARGE_ARGUMENTS);
	length = written(record);
	if (length > LARGE_PATHS + COMPONENT_SIZE)
		return 0;
	bpf_seq_write(ctx->meta->seq, record, sizeof(*record) + length);
	if (!is_introduced(&record->process))
		remember(&record->process);
	return 0;
}

SEC("?iter/task_file")
int sockets_before(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_record record, *owner;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	u64 cookie;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	fill_task(&record, task);
	record.tid = 0;
	owner = bpf_map_lookup_elem(&owners, &cookie);
	/* A socket that several processes hold belongs to none of them until one sends. */
	if (owner && owner->tid == 0 && owner->process.start != record.process.start)
		__builtin_memset(&owner->process, 0, sizeof(owner->process));
	if (!owner)
		bpf_map_update_elem(&owners, &cookie, &record, BPF_NOEXIST);
	return 0;
}
