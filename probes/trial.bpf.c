// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Whether a way in attaches at all: an empty program for each that kernels
 * refuse, which costs milliseconds where the probes cost a verification.
 */
#include "kernel.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/tcp_sendmsg")
int fentry(void *context)
{
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int kprobe(void *context)
{
	return 0;
}

/* Whether what is known of a socket can be stored with it, also by tracing programs (since Linux 5.11). */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} stored SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(storage, struct sock *sk)
{
	bpf_sk_storage_get(&stored, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	return 0;
}

/* Whether every program may follow the current task by its type (since Linux 5.15). */
SEC("cgroup_skb/egress")
int typed(struct __sk_buff *skb)
{
	return bpf_get_current_task_btf()->pid | 1;
}
