/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The records that cross the ring: plain C types in host byte order, the one
 * truth for the kernel and the sensor. The sensor's types are generated from
 * the BTF of the built object; tests/event/mod.rs checks them again.
 */
#ifndef DNSTRAIL_EVENT_H
#define DNSTRAIL_EVENT_H

enum record_kind {
	RECORD_PACKET = 1,     /* struct packet_record */
	RECORD_PROCESS = 2,    /* struct process_record */
	RECORD_FORK = 3,       /* struct fork_record */
	RECORD_EXIT = 4,       /* struct exit_record */
	RECORD_CONNECTION = 5, /* struct connection_record */
};

enum record_flag {
	PACKET_EGRESS = 1 << 0,      /* leaves this host's socket; else it arrives */
	PROCESS_EXEC = 1 << 1,       /* taken at exec; else introduced later */
	PROCESS_DELETED = 1 << 2,    /* the executable has no name any more (unlinked, memfd) */
	PROCESS_CURRENT = 1 << 3,    /* taken by the process itself, so its arguments are in the record */
	PROCESS_PATH_CUT = 1 << 4,   /* a path has more components than PATH_COMPONENTS, or more bytes than LARGE_PATHS */
	PROCESS_KERNEL = 1 << 5,     /* a kernel thread: no executable, no arguments */
	PACKET_CLIENT = 1 << 6,      /* this socket is the end that asks: it opened the conversation */
	PACKET_SERVER = 1 << 7,      /* this socket is the end that answers; neither: not known */
	PACKET_UNBOUND = 1 << 8,     /* the program left the source address to the kernel: NAT may have changed it unnoticed */
	PACKET_ZEROCOPY = 1 << 9,    /* the bytes lie in pages of the sender's, which may change them until they leave */
	PACKET_SEVERAL = 1 << 10,    /* several processes wrote these bytes; the task wrote the first of them */
	PACKET_TRANSLATED = 1 << 11, /* NAT: struct ends_record stands before the bytes */
};

#define TASK_NAME_SIZE 16

struct record_header {
	__u32 kind;  /* enum record_kind */
	__u32 flags; /* enum record_flag */
	__u64 time;  /* ns, CLOCK_MONOTONIC */
};

/*
 * One program image in one process. exec keeps pid and start and changes
 * exec_id; pid reuse changes start. All zero: not known.
 */
struct task_key {
	__u32 pid;     /* thread group id in the initial pid namespace */
	__u32 exec_id; /* task_struct.self_exec_id, low 32 bits */
	__u64 start;   /* ns, CLOCK_BOOTTIME, of the thread group leader */
};

/* The task that sent, as it was at that moment. */
struct task_record {
	struct task_key process;
	__u32 tid;
	__u32 uid; /* effective, initial user namespace */
	__u32 gid;
	__u32 reserved;
	char name[TASK_NAME_SIZE]; /* the thread's name, NUL-padded */
};

struct packet_record {
	struct record_header header;
	struct task_record task;
	__u64 socket;            /* socket cookie, 0 when there is none */
	__u32 network_namespace; /* inode number */
	__u32 length;            /* bytes of the packet from its IP header on */
	__u32 captured;          /* bytes that follow, from the IP header on */
	__u32 segment_size;      /* the payload is several datagrams of this many bytes each, the last may be shorter; 0: one */
	__u8 bytes[];
};

/* The ends of a packet's conversation as the program sees them, where NAT shows others in the packet. */
struct ends_record {
	__u8 source[16]; /* as IPv6; an IPv4 address is mapped */
	__u8 destination[16];
	__u16 source_port; /* host byte order */
	__u16 destination_port;
	__u32 reserved;
};

/*
 * bytes: executable, working directory and cgroup, each as path components
 * from the leaf to the root, every one ended by NUL; then the arguments as
 * the kernel keeps them (each ended by NUL).
 */
struct process_record {
	struct record_header header;
	struct task_key process;
	struct task_key parent;
	__u32 uid; /* effective, initial user namespace */
	__u32 gid;
	__u32 namespace_pid; /* pid in the process's own pid namespace */
	__u32 pid_namespace; /* inode numbers */
	__u32 mount_namespace;
	__u32 network_namespace;
	char name[TASK_NAME_SIZE];        /* of the thread group leader */
	char parent_name[TASK_NAME_SIZE]; /* of the parent's thread group leader */
	__u32 executable_length; /* bytes of each part of `bytes`, in this order */
	__u32 directory_length;
	__u32 cgroup_length;
	__u32 arguments_length;
	__u32 arguments_total; /* what the process has; more than arguments_length when cut */
	__u32 length;          /* of `bytes` */
	__u64 executable_inode; /* 0: there is no executable */
	__u32 executable_device; /* the kernel's dev_t: 12 bits of major, 20 of minor */
	__u32 reserved;
	__u8 bytes[];
};

/* A new process (not a thread) that runs its parent's program. */
struct fork_record {
	struct record_header header;
	struct task_key child;
	struct task_key parent;
	__u32 namespace_pid;
	__u32 reserved;
};

/* The last thread of a process is gone. */
struct exit_record {
	struct record_header header;
	struct task_key process;
	__u32 code; /* as wait(2) gives it */
	__u32 reserved;
};

enum connection_stage {
	CONNECTION_OPENED = 1, /* the other end has accepted it */
	CONNECTION_FAILED = 2, /* it was never open */
	CONNECTION_CLOSED = 3, /* it was open, and is no more */
};

/*
 * A TCP connection of this host's, to an address that the sensor watches, or
 * that it may be about to: the sensor knows when it has read all before this.
 */
struct connection_record {
	struct record_header header;
	struct task_record task; /* the task that connected */
	__u64 socket;            /* the kernel's own address of it: unique while it is open */
	__u64 start;             /* ns, CLOCK_MONOTONIC, of the connect */
	__u64 sent;              /* bytes of payload, without retransmissions */
	__u64 received;
	__u8 source[16];         /* as IPv6; an IPv4 address is mapped */
	__u8 destination[16];
	__u16 source_port;       /* host byte order */
	__u16 destination_port;
	__u32 network_namespace; /* inode number */
	__u32 stage;             /* enum connection_stage */
	__u32 error;             /* errno that ended it, 0 when there is none */
};

/* Where the kernel side loses something. Index of the map `losses`. */
enum loss {
	LOSS_PACKET_RING,      /* a packet record did not fit into the ring */
	LOSS_PROCESS_RING,     /* a process, fork or exit record did not fit */
	LOSS_PACKET_READ,      /* the packet's bytes could not be read */
	LOSS_PACKET_CUT,       /* a packet longer than the record holds: its tail was lost */
	LOSS_CONNECTION_RING,  /* a connection record did not fit into the ring */
	LOSS_CONNECTION_TABLE, /* a connection did not fit into the map `connections` */
	LOSS_PACKET_MUTED,     /* a packet of a connection that the sensor muted */
	LOSS_PACKET_BUDGET,    /* a packet of a process that sent more than its share while the ring was filling */
	LOSS_SOCKET_TABLE,     /* a socket did not fit into the map `sockets`: its asker is not known */
	LOSS_MAX,
};

#endif
