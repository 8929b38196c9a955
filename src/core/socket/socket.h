/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/socket/socket.h - a socket as it lies in a heap, and what a run brings it.
 *
 * A socket is the inside of a descriptor; or it joins two directions, each of which is a pipe to
 * other coroutines or that of a descriptor.
 *
 * Owns:     the inside of sockets.
 * Threads:  who runs in the heap; vine__socket_init outside, before anything runs.
 * Blocking: never.
 * Trust:    inside. Outside knows a socket by its place among those of the process, and reads `out`
 *           and `block` once.
 * Limits:   one reader and one writer at a time.
 */
#ifndef VINE_CORE_SOCKET_SOCKET_H
#define VINE_CORE_SOCKET_SOCKET_H

#include <vine/await.h>
#include <vine/below.h>
#include <vine/socket.h>

#include "core/state/state.h"
#include "core/vectoring/vectoring.h"

struct vine_socket {
    struct vine__incoming in;
    struct vine__outgoing out;
    uint16_t place;    /* among those of the process */
    uint8_t block;     /* which of the record's blocks it has taken in this run, from 1 */
    bool is_dirty;     /* something was written to it in this run */
    bool is_receiving; /* outside has been asked for more */
    uint8_t wants;     /* what outside is asked for in this run without blocking: VINE__WANTS_.. */
    bool is_watched;   /* whose end outside will tell of */
    bool has_hung_up;  /* as it has */
    bool is_listener;
    uint16_t port;                 /* of that */
    struct vine_coroutine *reader; /* who is blocked */
    struct vine_coroutine *writer;
    /* Where it reads from and writes to: pipes, or else descriptors' sockets, NULL: this one. */
    struct vine__flow *input, *output;
    struct vine_socket *source, *sink;
};

#define VINE__WANTS_MORE 1U /* to receive, of which nothing is there */
#define VINE__WANTS_END  2U /* to know when the peer ends */

/* One of the outside, beside that which the micro-process began with. */
struct vine__further {
    struct vine__beyond beyond;
    struct vine_socket socket; /* its place is set once it is connected */
    char text[];               /* what the ask is about, with a zero; outside reads it once */
};

/* What outside is asked to move from one of its sockets to another. */
struct vine__splicing {
    struct vine__beyond beyond;
    uint64_t bytes;
    uint16_t to; /* its place */
};

/* A file. */
struct vine__below {
    struct vine__beyond beyond;
    struct vine_below file; /* which outside writes, once */
    uint64_t offset, size;  /* of what is to be sent */
    uint32_t root;
    char path[]; /* as `text` above */
};

#define VINE__PROCEDURE_BYTES 32U /* of a procedure's name, with the zero */
#define VINE__SCALARS_MAX     8U

/* A task elsewhere, which outside reads once. */
struct vine__awaiting {
    struct vine__beyond beyond;
    struct vine_awaited awaited; /* `scalars` means nothing here: */
    uint64_t scalars[VINE__SCALARS_MAX];
    struct vine_remote remote;
    char procedure[VINE__PROCEDURE_BYTES];
};

#define VINE__FURTHER_TEXT_MAX 320U /* with the zero */

/* What makes a connection that is none of the network, outside: `own` is that of the micro-process,
 * or NULL, and `asked` a private copy. Returns 0 or a negative error. */
struct vine_connection;
typedef int (*vine__maker_fn)(struct vine_connection *own, const void *asked,
                              struct vine_connection **ret_connection);

#define VINE__MAKING_BYTES 128U

/* Ask for that; `that->on` is the socket, behind which (`text`) is a copy of `size_bytes` bytes, at
 * most VINE__MAKING_BYTES, for a function outside that says in the same run what makes it
 * (vine__outside_make): what lies in a heap until a run has ended says nothing of functions. And
 * whether it is there, or an error is raised. */
VINE_API void vine__make(struct vine_coroutine *that, const void *asked, size_t size_bytes);
VINE_API bool vine__made(struct vine_coroutine *that);

/* Bytes from coroutines to others of the same heap. */
struct vine__flow {
    struct vine__ring ring;
    uint32_t room_max;
    bool is_shut;     /* nothing more is written */
    bool is_deaf;     /* nothing more is read */
    bool has_readers; /* children were given it as their input, */
    bool has_writers; /* or output, of which there are so many: */
    uint32_t readers, writers;
    struct vine__waiters reading, writing;
    struct vine_coroutine *owner; /* with whom it goes */
    unsigned char *looked_at;     /* memory that it had before, or NULL */
    bool is_looked_at;
};

static inline void vine__socket_init(struct vine_socket *socket, uint16_t place)
{
    *socket = (struct vine_socket){.place = place};
}

/* socket.c: block until more has come, of which `kept` bytes that are there stay in front; returns
 * true if nothing will. And write what there is room for: how many bytes, or 0, and then it blocks,
 * or has an error. */
bool vine__socket_want(struct vine_coroutine *that, struct vine_socket *socket, uint32_t kept);
uint32_t vine__socket_put(struct vine_coroutine *that, struct vine_socket *socket,
                          const unsigned char *bytes, size_t size_bytes);

/* pipe.c: the same, and what is there in one piece. */
bool vine__flow_is_at_end(const struct vine__flow *pipe);
bool vine__flow_want(struct vine_coroutine *that, struct vine__flow *pipe);
uint32_t vine__flow_put(struct vine_coroutine *that, struct vine__flow *pipe,
                        const unsigned char *bytes, size_t size_bytes);
uint32_t vine__flow_peek(struct vine__flow *pipe, const unsigned char **ret_bytes);

/* pipe.c: the operations of socket.c where the socket's input or output is a pipe. */
bool vine__flow_read(struct vine_coroutine *that);
bool vine__flow_read_all(struct vine_coroutine *that);
bool vine__flow_readline(struct vine_coroutine *that);
bool vine__flow_look(struct vine_coroutine *that);
void vine__flow_skip(struct vine_coroutine *that, struct vine__flow *pipe, size_t size_bytes);
bool vine__flow_write(struct vine_coroutine *that);
bool vine__flow_room(struct vine_coroutine *that);
void vine__flow_wrote(struct vine_coroutine *that, struct vine__flow *pipe, size_t size_bytes);
bool vine__flow_drained(struct vine_coroutine *that);
int vine__flow_error(const struct vine__flow *pipe);
void vine__flow_shut(struct vine__flow *pipe);
void vine__flow_close_input(struct vine__flow *pipe);

/* VINE__ITEM_RECEIVED, VINE__ITEM_HUNG_UP. Inside. */
void vine__socket_hung_up(struct vine_socket *socket);
void vine__socket_received(struct vine_socket *socket, const struct vine__item *item);
/* VINE__ITEM_NEXT: what was there is gone, and what comes and goes has nothing to do with it. */
void vine__socket_renew(struct vine_socket *socket, const struct vine__item *item);

#endif
