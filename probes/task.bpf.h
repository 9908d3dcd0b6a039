/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The identity of a task. A process is introduced to the sensor once: at exec, or
 * with its first DNS message when it was there before us or its record did
 * not fit. So an introduction always precedes the packets that name it.
 */
#ifndef DNSTRAIL_TASK_BPF_H
#define DNSTRAIL_TASK_BPF_H

#include "compat.bpf.h"
#include "emit.bpf.h"

#define PATH_COMPONENTS 48   /* depth of a path, mounts included; deeper ones are marked as cut */
#define CGROUP_COMPONENTS 16 /* nested containers stay below 10 */
#define COMPONENT_SIZE 256   /* longest component, its NUL included */

/* Space for the three paths and for the arguments: nearly all fit the small record. */
#define SMALL_PATHS 768
#define SMALL_ARGUMENTS 1024
#define LARGE_PATHS 8192
#define LARGE_ARGUMENTS 16384

#define ARGUMENTS_MAX (1 << 30) /* beyond any MAX_ARG_STRINGS in use: the bounds are not set */

/* The last component may begin at the very end of the space for paths. */
#define PROCESS_SIZE(paths, arguments) (sizeof(struct process_record) + (paths) + COMPONENT_SIZE + (arguments))

struct image {
	u32 exec_id;
	u32 second; /* in which `bytes` were put into the ring; see budget.bpf.h */
	u64 start;
	u64 bytes;
};

/*
 * Processes that were introduced to the sensor, by pid, from then until they
 * exit. One that finds no space is introduced with each of its sockets. Not
 * least recently used first out: each processor keeps free entries of such a map
 * for itself, so that many processors leave few, and each change costs more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct image);
} introduced SEC(".maps");

static __always_inline void fill_key(struct task_key *key, const struct task_struct *task)
{
	const struct task_struct *leader = FOLLOW(task, group_leader);

	key->pid = FOLLOW(leader, tgid);
	key->exec_id = task_exec_id(leader);
	key->start = FOLLOW(leader, start_boottime);
}

static __always_inline void fill_name(char *name, const struct task_struct *task)
{
	if (tasks_are_typed)
		__builtin_memcpy(name, task->comm, TASK_NAME_SIZE);
	else
		bpf_core_read(name, TASK_NAME_SIZE, &task->comm);
}

static __always_inline void fill_task(struct task_record *record, const struct task_struct *task)
{
	const struct cred *cred = FOLLOW(task, cred);

	fill_key(&record->process, task);
	record->tid = FOLLOW(task, pid);
	record->uid = FOLLOW(cred, euid.val);
	record->gid = FOLLOW(cred, egid.val);
	record->reserved = 0;
	fill_name(record->name, task);
}

/* The thread id of the current task. The helper that gives it is not for socket programs until Linux 6.10. */
static __always_inline u32 current_tid(void)
{
	return FOLLOW(current_task(), pid);
}

/* Fills in the current task in fewer reads: numbers that lie side by side are read at once. */
static __always_inline void fill_current(struct task_record *record, const struct task_struct *task)
{
	const struct cred *cred;
	u32 ids[2]; /* pid, tgid; euid, egid */

	if (tasks_are_typed) {
		fill_task(record, task);
		return;
	}
	cred = BPF_CORE_READ(task, cred);
	bpf_core_read(ids, sizeof(ids), &task->pid);
	record->tid = ids[0];
	record->process.pid = ids[1];
	/* A thread has it from its leader, and exec leaves no other thread. */
	record->process.exec_id = task_exec_id(task);
	record->process.start = BPF_CORE_READ(task, group_leader, start_boottime);
	bpf_core_read(ids, sizeof(ids), &cred->euid);
	record->uid = ids[0];
	record->gid = ids[1];
	record->reserved = 0;
	BPF_CORE_READ_INTO(&record->name, task, comm);
}

#define INITIAL_PID_NAMESPACE 0xeffffffc /* include/linux/proc_ns.h: PROC_PID_INIT_INO */

struct namespace_pid {
	u32 pid; /* in the process's own pid namespace */
	u32 inode; /* of that namespace */
};

static __always_inline struct namespace_pid task_namespace_pid(const struct task_struct *leader)
{
	const struct pid *pid = FOLLOW(leader, thread_pid);
	const u32 level = FOLLOW(pid, level);
	struct upid upid = {};

	if (!level)
		return (struct namespace_pid){ .pid = FOLLOW(leader, tgid), .inode = INITIAL_PID_NAMESPACE };
	bpf_core_read(&upid, sizeof(upid), (void *)&pid->numbers + level * bpf_core_type_size(struct upid));
	return (struct namespace_pid){ .pid = upid.nr, .inode = BPF_CORE_READ(upid.ns, ns.inum) };
}

static __always_inline bool is_introduced(const struct task_key *key)
{
	/* A map's key may lie in the memory of the ring only in newer kernels (6.1 refuses it): on the stack always. */
	u32 pid = key->pid;
	const struct image *image = bpf_map_lookup_elem(&introduced, &pid);

	return image && image->exec_id == key->exec_id && image->start == key->start;
}

static __always_inline void remember(const struct task_key *key)
{
	struct image image = { .exec_id = key->exec_id, .start = key->start };
	u32 pid = key->pid;

	bpf_map_update_elem(&introduced, &pid, &image, BPF_ANY);
}

/*
 * How much of a record is written. It is kept in the record, not in a
 * register: so every turn of a loop looks the same to the verifier, which
 * else follows each possible length on its own.
 */
static __always_inline u32 written(const struct process_record *record)
{
	return *(const volatile u32 *)&record->length;
}

/* Writes one component with its NUL. False: there is no space, or no name. */
static __always_inline bool write_component(struct process_record *record, u32 limit, const void *name)
{
	u32 offset = written(record);
	long length;

	if (offset > limit)
		return false;
	length = bpf_probe_read_kernel_str(record->bytes + offset, COMPONENT_SIZE, name);
	if (length <= 0)
		return false;
	*(volatile u32 *)&record->length = offset + length;
	return true;
}

/* Writes the components of a path, leaf first. */
static __noinline int write_path(struct process_record *record, u32 limit, const struct path *path)
{
	const struct mount *mount = (void *)BPF_CORE_READ(path, mnt) - bpf_core_field_offset(struct mount, mnt);
	const struct dentry *dentry = BPF_CORE_READ(path, dentry), *root = BPF_CORE_READ(mount, mnt.mnt_root);

	for (int i = 0; i < PATH_COMPONENTS; i++) {
		const struct dentry *parent;

		if (dentry == root) {
			const struct mount *below = BPF_CORE_READ(mount, mnt_parent);

			if (below == mount)
				return 0;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			root = BPF_CORE_READ(below, mnt.mnt_root);
			mount = below;
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (!write_component(record, limit, BPF_CORE_READ(dentry, d_name.name))) {
			record->header.flags |= PROCESS_PATH_CUT;
			return 0;
		}
		/* Its own parent and no mount's root: a memfd, or a file that lost its way to the root. */
		if (parent == dentry)
			return 0;
		dentry = parent;
	}
	record->header.flags |= PROCESS_PATH_CUT;
	return 0;
}

static __noinline int write_cgroup(struct process_record *record, u32 limit, const struct task_struct *task)
{
	struct kernfs_node *node = task_cgroup(task);

	for (int i = 0; i < CGROUP_COMPONENTS; i++) {
		struct kernfs_node *parent = kernfs_parent(node);

		if (!parent || !write_component(record, limit, BPF_CORE_READ(node, name)))
			break;
		node = parent;
	}
	return 0;
}

/* Writes the arguments from the current task's own memory. False: they need more space than this. */
static __always_inline bool write_arguments(struct process_record *record, u32 limit, u32 room, u64 start, u64 total)
{
	u32 offset = written(record);
	u64 length = total;

	if (length > room) {
		if (room < LARGE_ARGUMENTS)
			return false;
		length = room;
	}
	if (offset > limit + COMPONENT_SIZE || !length)
		return true;
	if (bpf_probe_read_user(record->bytes + offset, length, (void *)start)) {
		/* Paged out: the sensor reads them elsewhere. */
		record->header.flags &= ~PROCESS_CURRENT;
		return true;
	}
	record->arguments_length = length;
	*(volatile u32 *)&record->length = offset + length;
	return true;
}

static __always_inline bool is_deleted(const struct dentry *dentry)
{
	return !FOLLOW(dentry, d_hash.pprev) || !FOLLOW(dentry, d_inode, i_nlink);
}

/* False: the paths or the arguments need more space than this. */
static __noinline bool fill_process(struct process_record *record, const struct task_struct *task, u32 flags,
				    u32 paths, u32 arguments)
{
	const struct task_struct *leader = FOLLOW(task, group_leader);
	const struct task_struct *parent = FOLLOW(leader, real_parent, group_leader);
	const struct cred *cred = FOLLOW(task, cred);
	const struct mm_struct *mm = FOLLOW(task, mm);
	const struct fs_struct *fs = FOLLOW(task, fs);
	const struct namespace_pid own = task_namespace_pid(leader);
	struct file *file;

	fill_header(&record->header, RECORD_PROCESS, flags);
	fill_key(&record->process, leader);
	fill_key(&record->parent, parent);
	record->uid = FOLLOW(cred, euid.val);
	record->gid = FOLLOW(cred, egid.val);
	record->namespace_pid = own.pid;
	record->pid_namespace = own.inode;
	record->mount_namespace = FOLLOW(task, nsproxy, mnt_ns, ns.inum);
	record->network_namespace = FOLLOW(task, nsproxy, net_ns, ns.inum);
	fill_name(record->name, leader);
	fill_name(record->parent_name, parent);
	record->executable_length = 0;
	record->directory_length = 0;
	record->executable_inode = 0;
	record->executable_device = 0;
	record->reserved = 0;
	record->arguments_length = 0;
	record->arguments_total = 0;
	record->length = 0;

	if (mm) {
		file = FOLLOW(mm, exe_file);
		if (file) {
			if (is_deleted(FOLLOW(file, f_path.dentry)))
				record->header.flags |= PROCESS_DELETED;
			record->executable_inode = FOLLOW(file, f_inode, i_ino);
			record->executable_device = FOLLOW(file, f_inode, i_sb, s_dev);
			write_path(record, paths, &file->f_path);
		}
		record->executable_length = written(record);
		write_path(record, paths, &fs->pwd);
		record->directory_length = written(record) - record->executable_length;
	} else {
		record->header.flags |= PROCESS_KERNEL;
	}
	write_cgroup(record, paths, task);
	record->cgroup_length = written(record) - record->executable_length - record->directory_length;
	if (written(record) > paths)
		return false;
	if (mm) {
		u64 start = FOLLOW(mm, arg_start);
		u64 total = FOLLOW(mm, arg_end) - start;

		if (total > ARGUMENTS_MAX)
			total = 0;
		record->arguments_total = total;
		if (flags & PROCESS_CURRENT)
			return write_arguments(record, paths, arguments, start, total);
	}
	return true;
}

static __always_inline void introduce_large(const struct task_struct *task, u32 flags)
{
	struct process_record *record;

	record = bpf_ringbuf_reserve(&ring, PROCESS_SIZE(LARGE_PATHS, LARGE_ARGUMENTS), 0);
	if (!record) {
		count_loss(LOSS_PROCESS_RING);
		return;
	}
	fill_process(record, task, flags, LARGE_PATHS, LARGE_ARGUMENTS);
	remember(&record->process);
	bpf_ringbuf_submit(record, wakeup());
}

/*
 * Introduces the current task to the sensor. On failure it will be tried again
 * with its next message. Not static: so it is verified once, and not for each
 * state that it may be called in.
 */
__noinline int introduce(u32 flags)
{
	const struct task_struct *task = current_task();
	struct process_record *record;

	/* A task that exits has lost its image, and was introduced while it had one. Kernel threads never have one. */
	if (!FOLLOW(task, mm) && !(FOLLOW(task, flags) & PF_KTHREAD))
		return 0;
	record = bpf_ringbuf_reserve(&ring, PROCESS_SIZE(SMALL_PATHS, SMALL_ARGUMENTS), 0);
	if (!record) {
		count_loss(LOSS_PROCESS_RING);
		return 0;
	}
	if (!fill_process(record, task, flags, SMALL_PATHS, SMALL_ARGUMENTS)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		introduce_large(task, flags);
		return 0;
	}
	remember(&record->process);
	bpf_ringbuf_submit(record, wakeup());
	return 0;
}

static __always_inline void task_forked(const struct task_struct *parent, const struct task_struct *child)
{
	struct fork_record *record;

	/* A thread; a kernel thread; or a child given to another parent, which is introduced later instead. */
	if (FOLLOW(child, tgid) == FOLLOW(parent, tgid) || FOLLOW(child, flags) & PF_KTHREAD ||
	    FOLLOW(child, real_parent, tgid) != FOLLOW(parent, tgid))
		return;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		count_loss(LOSS_PROCESS_RING);
		return;
	}
	fill_key(&record->child, child);
	fill_key(&record->parent, parent);
	if (!is_introduced(&record->parent)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return;
	}
	record->namespace_pid = task_namespace_pid(child).pid;
	record->reserved = 0;
	fill_header(&record->header, RECORD_FORK, 0);
	remember(&record->child);
	bpf_ringbuf_submit(record, wakeup());
}

static __always_inline void task_exited(const struct task_struct *task)
{
	struct exit_record *record;
	struct task_key key;

	if (FOLLOW(task, signal, live.counter))
		return;
	fill_key(&key, task);
	if (!is_introduced(&key))
		return;
	bpf_map_delete_elem(&introduced, &key.pid);
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		count_loss(LOSS_PROCESS_RING);
		return;
	}
	record->process = key;
	record->code = FOLLOW(task, exit_code);
	record->reserved = 0;
	fill_header(&record->header, RECORD_EXIT, 0);
	bpf_ringbuf_submit(record, wakeup());
}

#endif
