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
