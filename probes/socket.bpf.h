/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The state of a socket that carries DNS: its asker, its destination before
 * NAT, its end, and whether the sensor wants its packets at all.
 */
#ifndef DNSTRAIL_SOCKET_BPF_H
#define DNSTRAIL_SOCKET_BPF_H

#include "port.bpf.h"
#include "task.bpf.h"

/* A task that several processors may write at once. Its sum shows one that was read half-written, which is ignored. */
struct shared_task {
	struct task_record task;
	u64 sum; /* exclusive or of the words of the task, never 0 */
};

/* An address and a port as numbers. */
struct end {
	u8 address[16]; /* as IPv6; an IPv4 address is mapped */
	u16 port;       /* host byte order */
	u16 reserved;
	u32 tid; /* who sends there */
};

#define TARGETS 4 /* threads that send by one unconnected socket at the same time, distinguished by their last bits */
#define PEERS 4   /* other ends whose ports are of DNS, too; in turn */

#define HOLDER 1  /* one process was found to hold the socket, the asker */
#define HOLDERS 2 /* several were, and none is the asker */

struct socket_state {
	/* UDP: the last sender. TCP: the last writer, whose bytes are those from `from` until `until`. */
	struct shared_task asker;
	/* UDP: the task that began the datagram being put together. TCP: the writer of `before_from` until `from`. */
	struct shared_task before;
	u32 before_from, from, until; /* sequence numbers */
	u32 network_namespace;
	u8 has_written; /* the sequence numbers are valid */
	u8 is_holder;   /* the asker has sent nothing: HOLDER or HOLDERS */
	u8 has_opened;  /* TCP: this end sent the SYN */
	u8 is_muted;
	u8 next_asked, next_heard;
	u16 reserved;
	struct end targets[TARGETS];
	u32 asked[PEERS]; /* peers that this end asked first, and peers that asked it first, where both ports are of DNS */
	u32 heard[PEERS];
};

/* The record is in one of two maps: with the socket, where every hook that is taken may reach it; else by its id. */
const volatile bool states_are_stored = false;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} stored_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct socket_state);
} hashed_states SEC(".maps");

/* TCP connections whose packets the sensor does not want, by socket cookie, until their state says so. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} muted SEC(".maps");

/* The first content of a new record. */
const volatile struct socket_state no_state = {};

static __always_inline struct socket_state *hashed_state(u64 id, bool create)
{
	struct socket_state *state = bpf_map_lookup_elem(&hashed_states, &id);

	if (state || !create)
		return state;
	if (bpf_map_update_elem(&hashed_states, &id, (const void *)&no_state, BPF_NOEXIST))
		count_loss(LOSS_SOCKET_TABLE);
	return bpf_map_lookup_elem(&hashed_states, &id);
}

/* `sk`: as the verifier knows it in this program; `id`: see socket_id. NULL: there is none, or no space for one. */
static __always_inline struct socket_state *socket_state(void *sk, u64 id, bool create)
{
	struct socket_state *state;

	if (!states_are_stored)
		return hashed_state(id, create);
	state = bpf_sk_storage_get(&stored_states, sk, 0, create ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!state && create)
		count_loss(LOSS_SOCKET_TABLE);
	return state;
}

/* The socket is gone. State that is stored with it goes with it. */
static __always_inline void forget_socket(u64 id)
{
	if (!states_are_stored)
		bpf_map_delete_elem(&hashed_states, &id);
}

/*
 * Names a socket as the socket programs do, by its cookie. One that has none
 * yet (no socket program runs, or it is older than them) goes by its address,
 * which no cookie can equal.
 */
static __always_inline u64 socket_id(const struct sock *sk)
{
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return cookie ? cookie : (u64)sk;
}

static __always_inline u64 task_sum(const struct task_record *task)
{
	const u64 *words = (const void *)task;

	return (words[0] ^ words[1] ^ words[2] ^ words[3] ^ words[4] ^ words[5]) | 1ULL << 63;
}

static __always_inline void share_task(struct shared_task *shared, const struct task_record *task)
{
	shared->sum = 0;
	barrier();
	__builtin_memcpy(&shared->task, task, sizeof(*task));
	barrier();
	shared->sum = task_sum(task);
}

/* Copies a shared task. False: there is none. */
static __always_inline bool take_task(struct task_record *task, const struct shared_task *shared)
{
	u64 sum = *(const volatile u64 *)&shared->sum;

	if (!sum)
		return false;
	__builtin_memcpy(task, &shared->task, sizeof(*task));
	if (task_sum(task) == sum)
		return true;
	__builtin_memset(task, 0, sizeof(*task));
	return false;
}

static __always_inline bool is_same_image(const struct task_key *one, const struct task_key *other)
{
	return one->pid == other->pid && one->exec_id == other->exec_id && one->start == other->start;
}

static __always_inline bool is_kernel_thread(const struct task_struct *task)
{
	return FOLLOW(task, flags) & PF_KTHREAD;
}

/* `task` is the current one, and sends or writes: from now on it is the asker of this socket. True: it is a new asker. */
static __always_inline bool becomes_asker(struct socket_state *state, const struct task_record *task)
{
	bool is_known = is_same_image(&state->asker.task.process, &task->process);

	if (!is_known || state->asker.task.tid != task->tid || state->asker.task.uid != task->uid)
		share_task(&state->asker, task);
	state->is_holder = 0;
	return !is_known;
}

/* `task` becomes the asker of this socket, and is introduced to the sensor. */
static __always_inline void task_asks(struct socket_state *state, const struct task_record *task)
{
	if (becomes_asker(state, task) && !is_introduced(&task->process))
		introduce(PROCESS_CURRENT);
}

/* The current task writes bytes of the stream: those from `begin` until `end`. */
static __always_inline void task_writes(struct socket_state *state, const struct task_record *task, u32 begin,
					u32 end)
{
	if (!state->has_written || state->is_holder) {
		state->before.sum = 0;
		state->before_from = state->from = begin;
		state->has_written = 1;
	} else if (!is_same_image(&state->asker.task.process, &task->process)) {
		state->before_from = state->from;
		state->from = begin;
		share_task(&state->before, &state->asker.task);
	}
	state->until = end;
	task_asks(state, task);
}

/* How far one sequence number is behind another, modulo 2^32. */
static __always_inline int sequence_distance(u32 from, u32 to)
{
	return (int)(to - from);
}

/* An unconnected socket sends to this end, as the program gives it. */
static __always_inline void remember_target(struct socket_state *state, const struct end *target)
{
	struct end *place = &state->targets[target->tid % TARGETS];

	__builtin_memcpy(place, target, sizeof(*target));
}

static __always_inline const struct end *find_target(const struct socket_state *state, u32 tid)
{
	const struct end *place = &state->targets[tid % TARGETS];

	return place->tid == tid && place->port ? place : NULL;
}

static __always_inline bool is_among(const u32 *peers, u32 peer)
{
	for (int i = 0; i < PEERS; i++)
		if (peers[i] == peer)
			return true;
	return false;
}

#endif
