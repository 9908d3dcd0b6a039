/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel's types, reduced to the fields that the probes read. Every access
 * is relocated (CO-RE) to where the running kernel keeps the field, so order
 * and gaps here mean nothing. Fields that moved between kernels are in
 * compat.bpf.h.
 */
#ifndef DNSTRAIL_KERNEL_BPF_H
#define DNSTRAIL_KERNEL_BPF_H

#include <stdbool.h>
#include <linux/types.h>
#include <asm/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#include <stddef.h>

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define AF_INET 2
#define AF_INET6 10
#define SOCK_RAW 3
/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_CLOSE 7
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h: a kernel thread */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct cred {
	kuid_t euid;
	kgid_t egid;
};

struct qstr {
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	const unsigned int i_nlink;
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct fs_struct {
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

struct signal_struct {
	atomic_t live;
};

struct kernfs_node {
	const char *name;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id {
	pids_cgrp_id = 11,
};

struct task_struct {
	unsigned int flags;
	int exit_code;
	int pid;
	int tgid;
	u64 start_boottime;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct css_set *cgroups;
};

typedef struct {
	long counter;
} atomic64_t;

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	u8 s6_addr[16];
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	u16 skc_num;
	unsigned short skc_family;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	u16 sk_type;
	u16 sk_protocol;
	int sk_err;
};

struct socket {
	struct sock *sk;
};

struct sk_buff {
	struct sk_buff *next;
	struct sock *sk;
	unsigned int len, data_len;
	u16 network_header;
	unsigned int end; /* an offset from head on 64-bit kernels */
	unsigned char *head, *data;
};

/* A bio_vec or an skb_frag; read as struct fragment. */
struct skb_frag {
	unsigned int offset;
};

struct skb_shared_info {
	u8 nr_frags;
	unsigned short gso_size;
	struct sk_buff *frag_list; /* more buffers behind this one, as of a datagram that came in fragments */
	struct skb_frag frags[1];
};

struct page {
	unsigned long flags;
};

struct iovec {
	void *iov_base;
	u64 iov_len;
};

struct iov_iter {
	u64 iov_offset;
	u64 count;
	u64 nr_segs;
};

struct msghdr {
	void *msg_name;
	struct iov_iter msg_iter;
};

struct inet_sock {
	__be16 inet_sport;
};

struct udp_sock {
	int pending; /* a datagram is being put together (UDP_CORK, MSG_MORE) */
};

struct tcp_sock {
	u32 write_seq;
	u64 bytes_sent, bytes_retrans, bytes_received;
};

struct linux_binprm;
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#pragma clang attribute pop

/* 0, and any number to the verifier. */
u64 zero;

/*
 * The same value, and any number to the verifier. Where it knows the values
 * that a program computes, it walks all that follows once for each of them.
 */
static __always_inline u64 any(u64 value)
{
	return value + *(const volatile u64 *)&zero;
}

/* As user space gives them: sockaddr_in and sockaddr_in6 agree up to the port. */
struct sockaddr_any {
	u16 family;
	__be16 port;
	__be32 ipv4; /* sockaddr_in6: the flow */
	u8 ipv6[16];
};

#endif
