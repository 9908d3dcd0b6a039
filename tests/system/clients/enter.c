/*
 * enter [OPTION...] [--] PROGRAM...: takes this process to where it should run, and becomes PROGRAM.
 *
 *   --net FILE         into the network namespace of FILE
 *   --cgroup DIRECTORY into a cgroup
 *   --resolv FILE      into a mount namespace in which FILE stands at /etc/resolv.conf
 *   --unmount MOUNT    into a mount namespace without MOUNT
 *   --hide DIRECTORY   into a mount namespace in which DIRECTORY is empty
 *   --stall FILE       into a mount namespace in which FILE belongs to a file system that never answers
 *   --refuse-bpf       bpf(2) fails with EPERM, as under the seccomp profile of a container
 *   --spoil NAME       the BPF program NAME is none that the verifier takes, as one that a kernel does not know
 *   --user ID          to this user and group, with no other group
 *   --pid-namespace    into a new pid namespace, as a child
 *
 * The program dies with the test that started it: no server outlives a test run that was killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/fuse.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter_network(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail(file);
}

static void enter_cgroup(const char *directory)
{
	char file[4096];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", directory);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(file);
}

static void leave_mounts(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("a mount namespace");
}

static void resolve_by(const char *file)
{
	leave_mounts();
	if (mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL))
		fail("/etc/resolv.conf");
}

static void live_without(const char *mount_point)
{
	leave_mounts();
	if (umount2(mount_point, MNT_DETACH))
		fail(mount_point);
}

static void live_with_empty(const char *directory)
{
	leave_mounts();
	if (mount("none", directory, "tmpfs", 0, NULL))
		fail(directory);
}

/* Reads every request, and answers the first alone: without that one the kernel would not send the others. */
static void never_answer(int fuse)
{
	static char request[1 << 16] __attribute__((aligned(8)));

	for (;;) {
		const struct fuse_in_header *in = (const void *)request;
		struct {
			struct fuse_out_header header;
			struct fuse_init_out init;
		} reply = { .header.len = sizeof(reply),
			    .init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 } };

		if (read(fuse, request, sizeof(request)) < (ssize_t)sizeof(*in)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			exit(1);
		}
		reply.header.unique = in->unique;
		if (in->opcode == FUSE_INIT && write(fuse, &reply, sizeof(reply)) != sizeof(reply))
			exit(1);
	}
}

/* A child is the file system. It ends with this process, and then a process that waits for the file gets an error. */
static void live_with_stalled(const char *file)
{
	char options[128];
	pid_t child;
	int fuse;

	leave_mounts();
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100644,user_id=0,group_id=0,allow_other", fuse);
	if (fuse < 0 || mount("stalled", file, "fuse", 0, options))
		fail(file);
	child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		close(fuse);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A reader of the program's output waits for its end. */
	for (int fd = 0; fd < fuse; fd++)
		close(fd);
	never_answer(fuse);
}

static void refuse_bpf(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		fail("seccomp");
}

/* Makes the first instruction of a program that is being loaded read a register that was never set. */
static void spoil_if(const char *name, const struct seccomp_notif *call)
{
	struct bpf_insn spoiled = { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_3 };
	union bpf_attr attributes;
	char file[64];
	int memory;

	snprintf(file, sizeof(file), "/proc/%u/mem", call->pid);
	memory = open(file, O_RDWR | O_CLOEXEC);
	if (memory >= 0 && pread(memory, &attributes, sizeof(attributes), call->data.args[1]) > 0 &&
	    !strncmp(attributes.prog_name, name, BPF_OBJ_NAME_LEN - 1))
		if (pwrite(memory, &spoiled, sizeof(spoiled), attributes.insns) != sizeof(spoiled))
			fail("a program that cannot be written");
	close(memory);
}

/* A child is asked about each program before the kernel reads it; it ends with this process. */
static void spoil_program(const char *name)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_PROG_LOAD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
	int calls = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	pid_t child;

	if (calls < 0)
		fail("seccomp");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		close(calls);
		return;
	}
	/* PR_SET_PDEATHSIG does not do: Landlock lets the process that becomes the sensor send no signal out. */
	struct pollfd waited[] = { { .fd = calls, .events = POLLIN },
				   { .fd = syscall(SYS_pidfd_open, getppid(), 0), .events = POLLIN } };

	if (waited[1].fd < 0)
		fail("pidfd_open");
	for (;;) {
		struct seccomp_notif call = {};
		struct seccomp_notif_resp go_on = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

		if (poll(waited, 2, -1) < 0)
			continue;
		if (waited[1].revents)
			_exit(0);
		if (ioctl(calls, SECCOMP_IOCTL_NOTIF_RECV, &call))
			continue;
		spoil_if(name, &call);
		go_on.id = call.id;
		ioctl(calls, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
	}
}

static void become(const char *id)
{
	if (setgroups(0, NULL) || setgid(atoi(id)) || setuid(atoi(id)))
		fail("another user");
}

/* The program runs as pid 1 of a new pid namespace; this process waits for it. */
static void fork_into_pid_namespace(void)
{
	int status;
	pid_t child;

	if (unshare(CLONE_NEWPID))
		fail("a pid namespace");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int count, char **arguments)
{
	const char *user = NULL;
	int at = 1, pid_namespace = 0;

	for (; at < count && !strncmp(arguments[at], "--", 2); at++) {
		if (!strcmp(arguments[at], "--")) {
			at++;
			break;
		}
		if (!strcmp(arguments[at], "--pid-namespace")) {
			pid_namespace = 1;
			continue;
		}
		if (!strcmp(arguments[at], "--refuse-bpf")) {
			refuse_bpf();
			continue;
		}
		if (at + 1 == count)
			break;
		if (!strcmp(arguments[at], "--net"))
			enter_network(arguments[++at]);
		else if (!strcmp(arguments[at], "--cgroup"))
			enter_cgroup(arguments[++at]);
		else if (!strcmp(arguments[at], "--resolv"))
			resolve_by(arguments[++at]);
		else if (!strcmp(arguments[at], "--unmount"))
			live_without(arguments[++at]);
		else if (!strcmp(arguments[at], "--hide"))
			live_with_empty(arguments[++at]);
		else if (!strcmp(arguments[at], "--stall"))
			live_with_stalled(arguments[++at]);
		else if (!strcmp(arguments[at], "--spoil"))
			spoil_program(arguments[++at]);
		else if (!strcmp(arguments[at], "--user"))
			user = arguments[++at];
	}
	if (at >= count) {
		fprintf(stderr, "usage: enter [OPTION...] [--] PROGRAM...\n");
		return 1;
	}
	if (user)
		become(user);
	/* Last: a change of user takes it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pid_namespace)
		fork_into_pid_namespace();
	execvp(arguments[at], arguments + at);
	fail(arguments[at]);
}
