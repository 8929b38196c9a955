/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/posix_internal.h - the stack of the kernel: sockets, moved by arch/poll.
 *
 * Receiving: one multishot operation a connection, which fills buffers of the core's pool as data
 * comes. What nobody has asked for is held, and beyond a few buffers the operation is cancelled:
 * the rest stays in the socket. It is begun anew when all that was held has been read. An idle
 * connection holds no buffer.
 *
 * Sending: one operation at a time, so that sends go out in order. They are copied:
 * decision 21.
 */
#ifndef VINE_CORE_NETWORK_POSIX_INTERNAL_H
#define VINE_CORE_NETWORK_POSIX_INTERNAL_H

#include "arch/guard/guard.h"
#include "core/network/network.h"
#include "core/network/network_internal.h"
#include "core/network/send_queue.h"
#include "utils/container_of.h"

/* ---- the pool -------------------------------------------------------------------------------- */

/* An odd number of cache lines, so that the beginnings of buffers fall into different sets of the
 * caches. */
#define POSIX_BUFFER_BYTES  (127 * VINE_CACHE_LINE)
#define POSIX_BUFFERS_FIRST 512U
#define POSIX_EXTENTS_MAX   6U /* each as large as all before: 512 << 5 buffers, 127 MiB */
#define POSIX_BUFFERS_MAX   (POSIX_BUFFERS_FIRST << (POSIX_EXTENTS_MAX - 1))
#define POSIX_NO_BUFFER     UINT32_MAX

/* Of each colour, where heaps have them: 128 << 3 buffers, 8 MiB, so that all together are about as
 * many as those of a core that has none. */
#define POSIX_COLOUR_FIRST   128U
#define POSIX_COLOUR_EXTENTS 4U

VINE_STATIC_ASSERT(POSIX_EXTENTS_MAX + VINE__GUARD_COLOURS_MAX * POSIX_COLOUR_EXTENTS <=
                       VINE__POLL_GROUPS_MAX,
                   "each extent is a group of the poller's");

/* Of a buffer that is not the kernel's: how much lies in it, and which one is next there. */
struct posix_held {
    uint32_t size;
    uint32_t next;
};

struct posix_extent {
    struct vine__poll_buffers *buffers;
    struct posix_held *held;
    uint32_t count;
    uint32_t used; /* that are not the kernel's */
};

/*
 * A core's buffers of one colour. It grows by extents when all are held. Buffers are named by
 * extent and index.
 *
 *     used = sum over extents of used = sum over connections of what they hold
 */
struct posix_pool {
    struct vine__network *network;
    struct posix_extent extents[POSIX_EXTENTS_MAX];
    uint32_t extent_count, extents_max;
    uint32_t first; /* how many buffers the first extent has */
    uint32_t used;
    uint8_t colour;            /* or VINE__CONNECTION_UNCOLOURED */
    struct vine__list waiting; /* connections that a reader waits for and that found none */
};

/* Of a core: those that have no colour, and those of each, which have no extent until somebody
 * receives there. */
struct posix_pools {
    bool is_closed;                 /* `plain` has the runtime's key */
    struct posix_sending *sendings; /* that nobody has; as many as there ever were at once */
    struct posix_pool plain;
    struct posix_pool coloured[VINE__GUARD_COLOURS_MAX];
};

VINE_MUST_CHECK int vine__posix_pools_open(struct posix_pools *pools,
                                           struct vine__network *network);
void vine__posix_pools_close(struct posix_pools *pools);

uint64_t vine__posix_pools_used(const struct posix_pools *pools);
void vine__posix_paint(struct vine_connection *base);

/* An extent of which the kernel has buffers; or -ENOBUFS: all are held; -ENOMEM: there are none. */
VINE_MUST_CHECK int vine__posix_pool_choose(struct posix_pool *pool, uint32_t *ret_extent);

static inline struct posix_held *vine__posix_held(const struct posix_pool *pool, uint32_t buffer)
{
    return &pool->extents[buffer >> 16].held[buffer & 0xffff];
}

static inline const unsigned char *vine__posix_bytes(const struct posix_pool *pool, uint32_t buffer)
{
    return vine__poll_buffer(pool->extents[buffer >> 16].buffers, (uint16_t)buffer);
}

/* The kernel has filled one. Returns its name. */
static inline uint32_t vine__posix_taken(struct posix_pool *pool, uint32_t extent, uint16_t index,
                                         uint32_t size)
{
    struct posix_held *const held = &pool->extents[extent].held[index];

    pool->extents[extent].used++;
    pool->used++;
    held->size = size;
    held->next = POSIX_NO_BUFFER;
    return extent << 16 | index;
}

/* Give it back to the kernel. Connections that wait for one begin to receive. */
void vine__posix_release(struct posix_pool *pool, uint32_t buffer);

/* ---- messages -------------------------------------------------------------------------------- */

#define POSIX_PIECES_AT_ONCE 16U

/* What the kernel takes in more than one piece, or gives with descriptors. */
struct posix_message {
    struct msghdr header;
    struct iovec pieces[POSIX_PIECES_AT_ONCE];
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * VINE_DESCRIPTORS_MAX)];
};

/* The one at `*message`, which is made if need be, without pieces. Returns NULL: no memory. */
struct posix_message *vine__posix_message(struct posix_message **message);

static inline struct posix_message *vine__posix_message_of(struct msghdr *header)
{
    return VINE_CONTAINER_OF(header, struct posix_message, header);
}

/* Have it carry descriptors, at most VINE_DESCRIPTORS_MAX. */
void vine__posix_message_put(struct posix_message *message, const int *descriptors, uint32_t count);

/* Give it room for so many. */
void vine__posix_message_expect(struct posix_message *message, uint32_t count_max);

/* Take those that came. Returns their number, or -EMSGSIZE: there were more, and none is open. */
int vine__posix_message_take(struct posix_message *message, int *ret_descriptors,
                             uint32_t count_max);

/* ---- connections ----------------------------------------------------------------------------- */

enum posix_receiving {
    POSIX_RECEIVES_NOT,
    POSIX_RECEIVES_AHEAD, /* multishot, into buffers of the pool */
    POSIX_RECEIVES_INTO,  /* once, into memory of the reader's */
};

/* What a connection has beside itself while it sends or connects, which it rarely does when there
 * are many: a core has as many as ever did so at once, and whoever needs one next gets the last
 * that was used, which the caches still have. */
struct posix_sending {
    struct vine__send_queue sends; /* the first is the kernel's */
    union {
        struct posix_connection *connection; /* whose it is; or of those that nobody has */
        struct posix_sending *next;
    };
    struct vine__operation operation;
    struct vine_connect *connect; /* while it connects, or NULL */
    struct posix_message
        *message; /* of sends in pieces or with descriptors: once one was, or NULL */
};

/* Nothing but what is needed while it waits for data: that is what nearly all do. */
struct posix_connection {
    struct vine_connection base;
    struct posix_pool *pool;
    int fd;
    int32_t end;
    uint8_t receiving;      /* enum posix_receiving: what the kernel does */
    uint8_t extent;         /* from which it receives */
    bool is_cancelling : 1; /* the kernel has been asked to stop that */
    bool is_sending : 1;    /* the operation of `sending` is the kernel's */
    bool is_broken : 1;     /* a send ended half way: nothing can follow it */
    bool is_closing : 1;    /* the descriptor */
    bool has_end : 1;       /* of the stream: `end` is 0 or an error */
    bool is_local : 1;      /* a Unix socket */
    bool is_waiting : 1;    /* for a buffer */
    uint16_t held_count;
    uint16_t held_offset;           /* what has been read of the first */
    uint32_t held_first, held_last; /* buffers that have not been read, POSIX_NO_BUFFER: none */
    uint32_t view;                  /* the buffer that its owner looks at */
    struct posix_sending *sending;  /* while it sends or connects, or NULL */
    union {
        struct vine__operation receive;
        struct vine__list waiting; /* in the pool's, when the kernel does not receive */
    };
};

VINE_STATIC_ASSERT(sizeof(struct posix_connection) <= 192, "an idle connection is small");
VINE_STATIC_ASSERT(POSIX_BUFFERS_MAX <= UINT16_MAX && POSIX_BUFFER_BYTES <= UINT16_MAX,
                   "what is held of a pool is counted by 16 bits, and so is a buffer");
/* Where thousands have a request at a time all of this is waited for: a line of each comes in. */
VINE_STATIC_ASSERT(offsetof(struct posix_sending, operation.node) <= VINE_CACHE_LINE,
                   "a send touches one line of this");
VINE_STATIC_ASSERT(offsetof(struct posix_connection, receive.fd) <= 2 * VINE_CACHE_LINE,
                   "a request touches two lines of this");

extern const struct vine__connection_ops vine__posix_connection_ops;

/* Take over `fd`, which is closed in any case. `is_counted`: as in vine__connection_init. Returns
 * NULL if there is no memory. */
struct posix_connection *vine__posix_connection_create(struct vine__network *network, int fd,
                                                       bool is_local, bool is_counted);

/* Close the descriptor if it is aborted and nothing is the kernel's any more. */
void vine__posix_connection_look(struct posix_connection *connection);

void vine__posix_connect(struct vine__network *network, struct vine_connect *connect);
void vine__posix_connect_cancel(struct vine_connect *connect);

/* posix_receive.c */
void vine__posix_receive(struct vine_connection *base, struct vine_receive *receive);
void vine__posix_watch_end(struct vine_connection *base);
void vine__posix_receive_cancel(struct vine_connection *base, struct vine_receive *receive);
void vine__posix_receive_abort(struct posix_connection *connection);
void vine__posix_receive_fini(struct posix_connection *connection);
/* The pool has a buffer again. */
void vine__posix_receive_resume(struct posix_connection *connection);

/* posix_send.c: what it sends or connects with. NULL: no memory. */
struct posix_sending *vine__posix_sending_take(struct posix_connection *connection);
/* It does so no more. */
void vine__posix_sending_give(struct posix_connection *connection);
void vine__posix_sendings_fini(struct posix_pools *pools);
void vine__posix_send(struct vine_connection *base, struct vine_send *send);
void vine__posix_send_cancel(struct vine_connection *base, struct vine_send *send);
void vine__posix_send_abort(struct posix_connection *connection);
/* The first send has ended so; or 1: it goes on. */
void vine__posix_send_see(struct posix_connection *connection, int outcome);

/* posix_send_file.c: go on with the first send, which is of a file. Returns 1: it is the kernel's,
 * or how it has ended. */
VINE_MUST_CHECK int vine__posix_send_file(struct posix_connection *connection);

/* ---- listeners ------------------------------------------------------------------------------- */

/* What accepts of one on one core. */
struct posix_part {
    struct vine__listener_part *part;
    int fd;
    int spare;                    /* a descriptor to give up; -1: there is none */
    bool is_accepting;            /* `accept` is the kernel's */
    bool is_resting;              /* `rest` is armed */
    struct vine_connection *shed; /* who has the spare one's place */
    bool takes_queued;            /* `queue_work` will */
    uint32_t handed;              /* connections on their way to other cores */
    uint32_t queue_count;
    struct vine_work queue_work;
    struct vine_timer rest;
    struct vine__operation accept;
};

/* posix_listener.c */
int vine__posix_listen(struct vine_listener *listener, const struct vine_listen_options *options);
void vine__posix_unlisten(struct vine_listener *listener);
void vine__posix_part_drop(struct vine__listener_part *part);
/* posix_accept.c */
void vine__posix_accept_begin(struct vine__listener_part *part);
void vine__posix_accept_end(struct vine__listener_part *part);
/* One that was shed has let its descriptor go. */
void vine__posix_shed_ended(struct vine_connection *connection);

/* posix_stream.c */
int vine__posix_adopt(struct vine__network *network, int fd_in, int fd_out,
                      struct vine_connection **ret_connection);

/* posix_udp.c */
int vine__posix_udp_open(struct vine__network *network, const struct vine_address *address,
                         const struct vine_udp_options *options, struct vine_udp **ret_udp);

static inline struct posix_connection *vine__posix_of(struct vine_connection *base)
{
    return VINE_CONTAINER_OF(base, struct posix_connection, base);
}

#endif
