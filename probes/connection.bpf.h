/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * TCP connections to addresses that a listed name resolved to: opened, failed
 * and closed, with the task that connected. The sensor adds such an address
 * when it has read the answer, and a program may connect before that. So a
 * connection is also followed while the ring holds records that are not read
 * yet: the record of the connection stands behind the answer in the ring, and
 * the sensor decides.
 */
#ifndef DNSTRAIL_CONNECTION_BPF_H
#define DNSTRAIL_CONNECTION_BPF_H

#include "packet.bpf.h"

#define SOCK_DONE 1 /* include/net/sock.h, enum sock_flags: a FIN was received */

struct address {
	u8 bytes[16]; /* as IPv6; an IPv4 address is mapped */
};

/* The sensor adds an address before it gives the answer's record back, and takes away which it forgets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, u32);
} watched SEC(".maps");

/*
 * The state of each connection that is followed, by the address of its socket: no
 * cookie, which 5.10 does not give to a tracing program. Not least recently
 * used first out: the one that lives for days is wanted most.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct connection_record);
} connections SEC(".maps");

/*
 * Connections that were begun while the ring held records that were not read:
 * it is not known yet whether their addresses are watched. They have a table of
 * their own, to take no space from connections to watched addresses. The sensor
 * empties it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct connection_record);
} unjudged SEC(".maps");

/* Set by the sensor once there are lists. Until then this costs one test. */
u32 connections_wanted;

/* How many were put into `unjudged` so far. Read by the sensor. */
u64 connections_unjudged;

static __always_inline bool is_watched(const struct address *address)
{
	return bpf_map_lookup_elem(&watched, address);
}

/* In this order: the sensor writes `watched` first, and then gives the answer's record back. */
static __always_inline bool may_be_watched(const struct address *address)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) || is_watched(address);
}

static __always_inline void fill_ends(struct connection_record *record, const struct sock *sk)
{
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		map_ipv4(record->source, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_ipv4(record->destination, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&record->source, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&record->destination, sk, __sk_common.skc_v6_daddr);
	}
	record->destination_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/* Runs in the context of the task that connects. */
static __always_inline void connection_begins(const struct sock *sk, u64 socket)
{
	const struct task_struct *task = current_task();
	struct connection_record record = {};
	struct address address;
	bool is_waiting;
	long failed;

	/* An earlier socket may have had this address, and its end was not seen. */
	bpf_map_delete_elem(&connections, &socket);
	bpf_map_delete_elem(&unjudged, &socket);
	fill_ends(&record, sk);
	__builtin_memcpy(&address, record.destination, sizeof(address));
	is_waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	if (is_watched(&address))
		is_waiting = false;
	else if (!is_waiting)
		return;
	record.socket = socket;
	record.start = bpf_ktime_get_ns();
	record.network_namespace = packet_namespace(sk, NULL);
	if (!is_kernel_thread(task)) {
		fill_current(&record.task, task);
		if (!is_introduced(&record.task.process))
			introduce(PROCESS_CURRENT);
	}
	if (is_waiting) {
		failed = bpf_map_update_elem(&unjudged, &socket, &record, BPF_ANY);
		__sync_fetch_and_add(&connections_unjudged, 1);
	} else {
		failed = bpf_map_update_elem(&connections, &socket, &record, BPF_ANY);
	}
	if (failed)
		count_loss(LOSS_CONNECTION_TABLE);
}

static __always_inline void emit_connection(const struct connection_record *connection, const struct sock *sk)
{
	const struct tcp_sock *tcp = (const void *)sk;
	struct connection_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (!record) {
		count_loss(LOSS_CONNECTION_RING);
		return;
	}
	__builtin_memcpy(record, connection, sizeof(*record));
	fill_header(&record->header, RECORD_CONNECTION, 0);
	/* Not skc_num, which is taken back before the state changes to closed. */
	record->source_port = bpf_ntohs(BPF_CORE_READ((const struct inet_sock *)sk, inet_sport));
	record->sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	/* A FIN counts as a byte that was received. */
	record->received = BPF_CORE_READ(tcp, bytes_received) -
			   (BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1);
	record->error = BPF_CORE_READ(sk, sk_err);
	bpf_ringbuf_submit(record, wakeup());
}

/*
 * Judges a connection that was begun before its answer may have been read: it
 * is followed on only if its address may be watched.
 */
static __always_inline void judge_connection(const struct sock *sk, u64 socket, int state)
{
	struct connection_record *connection = bpf_map_lookup_elem(&unjudged, &socket);
	struct address address;

	if (!connection)
		return;
	__builtin_memcpy(&address, connection->destination, sizeof(address));
	if (may_be_watched(&address)) {
		connection->stage = state == TCP_ESTABLISHED ? CONNECTION_OPENED : CONNECTION_FAILED;
		emit_connection(connection, sk);
		if (state == TCP_ESTABLISHED && bpf_map_update_elem(&connections, &socket, connection, BPF_ANY))
			count_loss(LOSS_CONNECTION_TABLE);
	}
	bpf_map_delete_elem(&unjudged, &socket);
}

/* Runs before the state changes. The current task may be any task. */
static __always_inline void connection_changes(const struct sock *sk, int state)
{
	struct connection_record *connection;
	u64 socket = (u64)sk;
	bool was_open;

	if (state == TCP_SYN_SENT) {
		connection_begins(sk, socket);
		return;
	}
	if (state != TCP_ESTABLISHED && state != TCP_CLOSE)
		return;
	connection = bpf_map_lookup_elem(&connections, &socket);
	if (!connection) {
		judge_connection(sk, socket, state);
		return;
	}
	was_open = connection->stage == CONNECTION_OPENED;
	connection->stage = state == TCP_ESTABLISHED ? CONNECTION_OPENED :
			    was_open		     ? CONNECTION_CLOSED :
						       CONNECTION_FAILED;
	emit_connection(connection, sk);
	if (state != TCP_ESTABLISHED)
		bpf_map_delete_elem(&connections, &socket);
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(connection_state, const struct sock *sk, int before, int state)
{
	if (connections_wanted && sk->sk_protocol == IPPROTO_TCP)
		connection_changes(sk, state);
	return 0;
}

#endif
