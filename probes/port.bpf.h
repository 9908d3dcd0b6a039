/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which ports are of interest, and to what: the first test of every packet of the host. */
#ifndef DNSTRAIL_PORT_BPF_H
#define DNSTRAIL_PORT_BPF_H

#include "kernel.bpf.h"

/* A bit for each kind of sighting. */
#define INTEREST_DNS 1

/* The interest bits of each port. Set before the load. */
const volatile u8 port_interests[65536] = {};

/*
 * A bit for each port of interest, by the port's last six bits: nearly all
 * other ports end here, without a look into the large table. Set before the load.
 */
const volatile u64 port_filter = 0;

static __always_inline u32 port_interest(u16 port)
{
	u32 index = port;

	if (!(port_filter >> (index & 63) & 1))
		return 0;
	/* Before 6.14 the verifier takes a port whose bytes were swapped for any number. */
	asm volatile("" : "+r"(index));
	return port_interests[index & 0xffff];
}

static __always_inline bool is_dns_port(u16 port)
{
	return port_interest(port) & INTEREST_DNS;
}

#define SOURCE_OF_DNS 1
#define DESTINATION_OF_DNS 2

/* Without the filter: one of the two is known to be of interest. */
static __always_inline u32 dns_ends(u32 source, u32 destination)
{
	asm volatile("" : "+r"(source), "+r"(destination));
	return any((port_interests[source & 0xffff] & INTEREST_DNS) |
		   (port_interests[destination & 0xffff] & INTEREST_DNS) << 1);
}

#endif
