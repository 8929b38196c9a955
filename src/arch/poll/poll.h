/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/poll.h - operations that are handed to the kernel, and their ends.
 *
 * Owns:     a poller: the kernel's queues, and what waits for room in them. Operations and the
 *           memory that they name are the caller's, and the kernel's until they have ended.
 * Threads:  one, which made it; vine__poller_wake is for any, and for signal handlers.
 * Blocking: vine__poller_sleep alone.
 * Trust:    what comes through descriptors is not looked at here.
 * Limits:   any number of operations; 2^31 - 1 bytes each.
 *
 * An operation is begun by vine__poller_begin and ends exactly once (one that is `is_multishot`:
 * once for each event and a last time without VINE__POLL_MORE), within vine__poller_poll,
 * vine__poller_sleep or vine__poller_destroy, by a call of its function, which may begin it or
 * others anew. Never within the call that began it. Cancelling asks the kernel to hurry: the end
 * comes all the same, with -ECANCELED or with what was done before. The last call for an operation
 * is the last that the poller knows of it: its memory may be freed there.
 *
 * A function does not poll, sleep or destroy its poller; it may flush it.
 *
 * Caveats:  descriptors should be blocking ones: some kernels end operations on others with
 *           -EAGAIN. What is closed with an operation pending stays open for that operation under
 *           io_uring, and ends it with -ECANCELED under epoll: cancel first. A write to a pipe
 *           that nobody reads raises SIGPIPE (a send does not). A VINE__POLL_CALL, and under epoll
 *           an operation on a file, cannot be cancelled while it runs, only while it waits. A child
 *           after fork cannot use the poller.
 *
 * Backends: `uring` (io_uring by liburing; a few threads for VINE__POLL_CALL, before Linux 6.9
 * VINE__POLL_TRUNCATE, and what the kernel's own may not do to memory with a protection key),
 * `epoll` (readiness, and those threads for files, where io_uring is not to be had), `sim` (sim.h:
 * a simulated kernel that a test owns). All of them keep MSG_WAITALL for VINE__POLL_SEND and
 * VINE__POLL_RECEIVE alone. A connect to a Unix socket whose backlog is full waits under io_uring
 * and ends with -EAGAIN under epoll. VINE__POLL_WORD is io_uring's alone, from Linux 6.7 on.
 */
#ifndef VINE_ARCH_POLL_POLL_H
#define VINE_ARCH_POLL_POLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <vine/base.h>
#include <vine/fifo.h>

struct statx;
struct vine__poller;
struct vine__operation;

enum vine__poll_kind {
    VINE__POLL_NOTHING,     /* ends at the next poll, with 0 */
    VINE__POLL_READ,        /* fd bytes size offset; offset VINE__POLL_STREAM: where it stands */
    VINE__POLL_WRITE,       /* the same */
    VINE__POLL_READV,       /* fd vector count offset */
    VINE__POLL_WRITEV,      /* the same */
    VINE__POLL_SYNC,        /* fd; flags: VINE__POLL_DATA_ONLY */
    VINE__POLL_ALLOCATE,    /* fd mode offset length: fallocate */
    VINE__POLL_TRUNCATE,    /* fd offset: the new length */
    VINE__POLL_OPEN,        /* fd (folder or AT_FDCWD) path flags mode; ends with a descriptor */
    VINE__POLL_CLOSE,       /* fd */
    VINE__POLL_STAT,        /* fd path flags status: statx; mode: what to ask for
                             * beyond STATX_BASIC_STATS */
    VINE__POLL_RENAME,      /* fd path to_fd to_path flags */
    VINE__POLL_UNLINK,      /* fd path flags (AT_REMOVEDIR) */
    VINE__POLL_MAKE_FOLDER, /* fd path mode */
    VINE__POLL_ACCEPT,      /* fd flags; ends with a descriptor; may be multishot */
    VINE__POLL_CONNECT,     /* fd address address_size */
    VINE__POLL_RECEIVE, /* fd bytes size flags; or multishot into provided buffers: `buffers`, and
                                `size`: it ends by itself after so many bytes, where the kernel
                                knows how; 0: it goes on */
    VINE__POLL_SEND,    /* fd bytes size flags */
    VINE__POLL_RECEIVE_MESSAGE, /* fd message flags */
    VINE__POLL_SEND_MESSAGE,    /* fd message flags */
    VINE__POLL_SHUTDOWN,        /* fd flags: SHUT_RD ... */
    VINE__POLL_READY, /* fd flags: POLLIN ...; ends with those that are; may be multishot */
    VINE__POLL_WORD,  /* bytes offset: until somebody wakes who waits at this 32-bit word that
                             processes share (arch/wake/futex.h), ends with 0; -EAGAIN: it does not
                             hold `offset`; -ENOSYS: nobody here can wait so; another error: nobody
                             can at this word */
    VINE__POLL_CALL,  /* call context: run on a worker thread, for what no backend has an
                             operation for; ends with what it returned */
    VINE__POLL_KIND_COUNT,
};

#define VINE__POLL_STREAM    UINT64_MAX
#define VINE__POLL_DATA_ONLY 1U

/* How an operation ended. */
#define VINE__POLL_MORE 1U /* this was not the end */
#define VINE__POLL_BUFFER                                                                          \
    2U /* `buffer` names the provided buffer that holds what came: it is the
                              * function's now, to be released */

typedef void (*vine__poll_fn)(struct vine__operation *operation, int32_t result, uint32_t flags);
typedef int32_t (*vine__poll_call_fn)(void *context);

/* Zeroed, then filled by who begins it; not touched by its owner until it has ended. It can be
 * begun again then as it is. Of one that has been begun its end touches the first 16 bytes alone;
 * what sockets need is in the first 40. */
struct vine__operation {
    vine__poll_fn fn;
    uint8_t kind; /* enum vine__poll_kind */
    bool is_multishot;
    bool is_fixed;         /* `fd` is what vine__poller_register_file gave */
    uint8_t state;         /* the poller's */
    uint16_t buffer;       /* told with VINE__POLL_BUFFER */
    uint16_t buffer_index; /* of registered buffers, plus one; 0: none */
    int fd;
    uint32_t flags;
    uint32_t size;  /* bytes, or the count of `vector` */
    int32_t result; /* the poller's */
    union {
        void *bytes;
        const struct iovec *vector;
        const char *path;
        const struct sockaddr *address;
        struct msghdr *message;
        struct vine__poll_buffers *buffers;
        vine__poll_call_fn call;
    };
    struct vine_fifo_node node; /* the poller's: in the queue where it waits */
    void *backend;              /* likewise */
    uint32_t mode;
    int to_fd;
    uint64_t offset;
    union {
        struct statx *status;
        const char *to_path;
        uint64_t length;
        void *context; /* of `call` */
    };
};

enum vine__poll_backend {
    VINE__POLL_BACKEND_ANY, /* io_uring, else epoll */
    VINE__POLL_BACKEND_URING,
    VINE__POLL_BACKEND_EPOLL,
};

struct vine__poller_options {
    uint8_t backend;      /* enum vine__poll_backend */
    uint32_t queue_depth; /* operations given to the kernel at once; 0: 256 */
    char *ret_why;        /* [VINE__POLL_WHY_BYTES] or NULL: why not io_uring, a sentence; "" where
                           * it is io_uring */
};

#define VINE__POLL_WHY_BYTES 160

/* Returns 0, or a negative error: the backend that was asked for is not to be had. */
VINE_MUST_CHECK int vine__poller_create(struct vine__poller **ret_poller,
                                        const struct vine__poller_options *options);

/* What has not ended is cancelled and waited for; functions are called as ever, and what they begin
 * ends with -ECANCELED: who is told that should begin nothing. Provided buffers that are left go
 * with it. NULL is allowed. */
void vine__poller_destroy(struct vine__poller *poller);

/* "io_uring", "epoll" or "sim". */
const char *vine__poller_name(const struct vine__poller *poller);

/* Hand over an operation; the kernel hears of it at the next flush, poll or sleep at the latest.
 * Never fails: what cannot be begun ends with the error. */
void vine__poller_begin(struct vine__poller *poller, struct vine__operation *operation);

/* Ask for the end of an operation that has been begun and has not ended. */
void vine__poller_cancel(struct vine__poller *poller, struct vine__operation *operation);

/* How many operations have not ended. */
uint32_t vine__poller_pending(const struct vine__poller *poller);

/* Tell the kernel of what was begun. Returns whether it was told of anything. */
bool vine__poller_flush(struct vine__poller *poller);

/* Whether a poll is known to find something, at the price of a look at memory: where that cannot be
 * seen without asking the kernel, it says no. */
bool vine__poller_has_news(const struct vine__poller *poller);

/* Flush, and call the functions of at most `count_max` operations that have ended. Returns how
 * many. */
uint32_t vine__poller_poll(struct vine__poller *poller, uint32_t count_max);

#define VINE__POLL_FETCHED_MAX 32U

/* Have these addresses, at most VINE__POLL_FETCHED_MAX, brought into the caches when a sleep ends:
 * lines of memory or of code. They stay valid as long as the poller is there. */
void vine__poller_fetch_after_sleep(struct vine__poller *poller, const void *const *addresses,
                                    uint32_t count);

/* As vine__poller_poll; if nothing has ended wait until something has, the poller is woken, or
 * `timeout_ns` is over (VINE_FOREVER: none). A signal does not end it, but its handler may
 * wake. */
uint32_t vine__poller_sleep(struct vine__poller *poller, uint32_t count_max, uint64_t timeout_ns);

/* End a sleep that is going on, or the next one. Any thread; async-signal-safe. */
void vine__poller_wake(struct vine__poller *poller);

/* Buffers that the kernel chooses from when something comes: `count` (a power of two, at most
 * VINE__POLL_BUFFERS_MAX) of `size_bytes`, at most VINE__POLL_GROUPS_MAX times. An operation that
 * finds none ends with -ENOBUFS. Destroying: after what receives into them has ended. */
#define VINE__POLL_BUFFERS_MAX 32768U
#define VINE__POLL_GROUPS_MAX  64U

VINE_MUST_CHECK int vine__poller_buffers_create(struct vine__poller *poller, uint32_t count,
                                                uint32_t size_bytes,
                                                struct vine__poll_buffers **ret_buffers);
void vine__poller_buffers_destroy(struct vine__poller *poller, struct vine__poll_buffers *buffers);
unsigned char *vine__poll_buffer(const struct vine__poll_buffers *buffers, uint16_t index);

/* Where they are in memory: whole pages of the ring by which they are given back, and of the
 * buffers behind it. */
unsigned char *vine__poll_buffers_ring(const struct vine__poll_buffers *buffers,
                                       size_t *ret_size_bytes);
unsigned char *vine__poll_buffers_bytes(const struct vine__poll_buffers *buffers,
                                        size_t *ret_size_bytes);

/* Give it back to be filled again. */
void vine__poll_buffer_release(struct vine__poll_buffers *buffers, uint16_t index);

/* Files and buffers that the kernel keeps hold of, so that operations on them cost less. A backend
 * that cannot answers -ENOSYS, and operations go on by descriptor and address. Buffers are
 * registered once, all of them. -ENFILE: there is no place for another file. */
VINE_MUST_CHECK int vine__poller_register_file(struct vine__poller *poller, int fd,
                                               uint32_t *ret_index);
void vine__poller_unregister_file(struct vine__poller *poller, uint32_t index);
VINE_MUST_CHECK int vine__poller_register_buffers(struct vine__poller *poller,
                                                  const struct iovec *buffers, uint32_t count);

#endif
