/*
 * uring MODE SERVER PORT NAME: one lookup whose query is sent through io_uring.
 *
 *   udp-send      IORING_OP_SEND on a connected UDP socket
 *   udp-sendmsg   IORING_OP_SENDMSG on an unconnected UDP socket
 *   tcp-send      IORING_OP_SEND on a TCP connection
 *   sqpoll-…      the same, submitted by the kernel's polling thread
 *
 * By system calls, so that no liburing is needed.
 */
#include "query.h"

#include <linux/io_uring.h>
#include <sys/mman.h>

struct ring {
	int fd;
	unsigned flags;
	unsigned *tail, *mask, *array, *state;
	unsigned *done_head, *done_tail, *done_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;
};

static void *mapped(int fd, size_t length, off_t offset)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (at == MAP_FAILED)
		fail("mmap of the io_uring");
	return at;
}

static struct ring ring_open(unsigned flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 1000 };
	struct ring ring = { .flags = flags };
	char *submission, *completion;

	ring.fd = syscall(__NR_io_uring_setup, 4, &params);
	if (ring.fd < 0)
		fail("this kernel refuses io_uring (see /proc/sys/kernel/io_uring_disabled)");
	submission = mapped(ring.fd, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	completion = mapped(ring.fd, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
			    IORING_OFF_CQ_RING);
	ring.entries = mapped(ring.fd, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring.tail = (unsigned *)(submission + params.sq_off.tail);
	ring.mask = (unsigned *)(submission + params.sq_off.ring_mask);
	ring.array = (unsigned *)(submission + params.sq_off.array);
	ring.state = (unsigned *)(submission + params.sq_off.flags);
	ring.done_head = (unsigned *)(completion + params.cq_off.head);
	ring.done_tail = (unsigned *)(completion + params.cq_off.tail);
	ring.done_mask = (unsigned *)(completion + params.cq_off.ring_mask);
	ring.done = (struct io_uring_cqe *)(completion + params.cq_off.cqes);
	return ring;
}

/* Submits one entry and waits for its result. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *entry)
{
	unsigned tail = *ring->tail, at = tail & *ring->mask, enter = IORING_ENTER_GETEVENTS;
	int result;

	ring->entries[at] = *entry;
	ring->array[at] = at;
	__atomic_store_n(ring->tail, tail + 1, __ATOMIC_SEQ_CST);
	if (ring->flags & IORING_SETUP_SQPOLL &&
	    __atomic_load_n(ring->state, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		enter |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, enter, NULL, 0) < 0)
		fail("io_uring_enter");
	while (__atomic_load_n(ring->done_tail, __ATOMIC_ACQUIRE) == *ring->done_head)
		;
	result = ring->done[*ring->done_head & *ring->done_mask].res;
	__atomic_store_n(ring->done_head, *ring->done_head + 1, __ATOMIC_RELEASE);
	return result;
}

static void expect(int result, size_t length)
{
	if (result < 0) {
		errno = -result;
		fail("the send through io_uring failed");
	}
	if ((size_t)result != length)
		fail_plainly("io_uring sent only a part");
}

int main(int count, char **arguments)
{
	struct io_uring_sqe entry = { 0 };
	struct server server;
	struct query query;
	struct ring ring;
	const char *mode;
	unsigned flags = 0;
	int fd;

	if (count != 5)
		fail_plainly("usage: uring MODE SERVER PORT NAME");
	mode = arguments[1];
	if (!strncmp(mode, "sqpoll-", 7)) {
		flags = IORING_SETUP_SQPOLL;
		mode += 7;
	}
	server = server_from(arguments[2], arguments[3]);
	query = query_for(arguments[4]);
	ring = ring_open(flags);

	if (!strcmp(mode, "udp-send")) {
		fd = connected_to(&server, SOCK_DGRAM);
		entry.opcode = IORING_OP_SEND;
		entry.fd = fd;
		entry.addr = (uintptr_t)query.bytes;
		entry.len = query.length;
		expect(ring_do(&ring, &entry), query.length);
		datagram_answer(fd, &query);
	} else if (!strcmp(mode, "udp-sendmsg")) {
		struct iovec segment = { query.bytes, query.length };
		struct msghdr message = {
			.msg_name = &server.address,
			.msg_namelen = server.length,
			.msg_iov = &segment,
			.msg_iovlen = 1,
		};

		fd = socket_to(&server, SOCK_DGRAM);
		entry.opcode = IORING_OP_SENDMSG;
		entry.fd = fd;
		entry.addr = (uintptr_t)&message;
		entry.len = 1;
		expect(ring_do(&ring, &entry), query.length);
		datagram_answer(fd, &query);
	} else if (!strcmp(mode, "tcp-send")) {
		uint8_t bytes[2 + sizeof(query.bytes)];

		bytes[0] = query.length >> 8;
		bytes[1] = query.length & 0xff;
		memcpy(bytes + 2, query.bytes, query.length);
		fd = connected_to(&server, SOCK_STREAM);
		entry.opcode = IORING_OP_SEND;
		entry.fd = fd;
		entry.addr = (uintptr_t)bytes;
		entry.len = query.length + 2;
		expect(ring_do(&ring, &entry), query.length + 2);
		stream_answer(fd, &query);
	} else {
		fail_plainly("no such mode");
	}
	return 0;
}
