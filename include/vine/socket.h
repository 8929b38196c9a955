/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/socket.h - reading and writing as coroutines do it: what looks blocking, and is not.
 *
 * Owns:     sockets, which are their micro-process's.
 * Threads:  coroutines, for sockets of their own micro-process.
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest.
 * Trust:    what comes is whatever a peer sends, and is not looked at.
 * Limits:   one coroutine at a time reads from a socket, and one writes.
 *
 * Each operation works on the coroutine's standard input and output, `that->socket`, which for the
 * first one of a connection is that connection; or, as vine_..._on, on the socket that it names.
 * What fails is raised: -ETIMEDOUT after the deadline, -EPIPE and -ECONNRESET when the peer is
 * gone. The end of what a peer sends is no error: 0 is read.
 *
 * A socket is a connection, a pipe between coroutines of the same micro-process, or joins the one's
 * input with the other's output: all operations are the same.
 *
 * What is written goes out when the micro-process blocks, all of it at once.
 */
#ifndef VINE_SOCKET_H
#define VINE_SOCKET_H

#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* ---- reading -------------------------------------------------------------------------------- */

/* Read what there is, at least a byte and at most `size_bytes`; 0 at the end. `bytes` is memory of
 * the heap. */
#define vine_read(length_lvalue, bytes, size_bytes)                                                \
    vine_read_on(that->socket, length_lvalue, bytes, size_bytes)
#define vine_read_on(socket_pointer, length_lvalue, bytes, size_bytes)                             \
    do {                                                                                           \
        vine__operation("vine_read",                                                               \
                        vine__read_begin(that, (socket_pointer), (bytes), (size_bytes)),           \
                        vine__read(that));                                                         \
        (length_lvalue) = (ssize_t)that->result;                                                   \
    } while (0)

/* Read exactly so many; fewer only at the end. */
#define vine_read_all(length_lvalue, bytes, size_bytes)                                            \
    vine_read_all_on(that->socket, length_lvalue, bytes, size_bytes)
#define vine_read_all_on(socket_pointer, length_lvalue, bytes, size_bytes)                         \
    do {                                                                                           \
        vine__operation("vine_read_all",                                                           \
                        vine__read_begin(that, (socket_pointer), (bytes), (size_bytes)),           \
                        vine__read_all(that));                                                     \
        (length_lvalue) = (ssize_t)that->result;                                                   \
    } while (0)

/* Read a line with its newline, of which at most size_bytes - 1 bytes at a time; a zero follows it.
 * 0 at the end. */
#define vine_readline(length_lvalue, text, size_bytes)                                             \
    vine_readline_on(that->socket, length_lvalue, text, size_bytes)
#define vine_readline_on(socket_pointer, length_lvalue, text, size_bytes)                          \
    do {                                                                                           \
        vine__operation("vine_readline",                                                           \
                        vine__read_begin(that, (socket_pointer), (text), (size_bytes)),            \
                        vine__readline(that));                                                     \
        (length_lvalue) = (ssize_t)that->result;                                                   \
    } while (0)

/*
 * Look at what has come without copying it: `bytes_lvalue` points to `length_lvalue` bytes in one
 * piece, at least `least` unless the end comes before (0: what there is, without blocking); valid
 * until this socket is read or looked at again. vine_skip takes bytes away from the front, which
 * are not valid then. At most VINE_LOOK_MAX bytes; -EMSGSIZE is raised where more is wanted.
 */
#define VINE_LOOK_MAX 16384
#define vine_look(length_lvalue, bytes_lvalue, least)                                              \
    vine_look_on(that->socket, length_lvalue, bytes_lvalue, least)
#define vine_look_on(socket_pointer, length_lvalue, bytes_lvalue, least)                           \
    do {                                                                                           \
        vine__operation("vine_look", vine__read_begin(that, (socket_pointer), NULL, (least)),      \
                        vine__look(that));                                                         \
        (length_lvalue) = (size_t)that->result;                                                    \
        (bytes_lvalue) = that->operand;                                                            \
    } while (0)
#define vine_skip(size_bytes) vine_skip_on(that->socket, size_bytes)
#define vine_skip_on(socket_pointer, size_bytes)                                                   \
    vine__do_at("vine_skip", vine__skip(that, (socket_pointer), (size_bytes)))

/* ---- writing -------------------------------------------------------------------------------- */

/* Write all of it. `bytes` is memory of the heap, or does not change. */
#define vine_write(bytes, size_bytes) vine_write_on(that->socket, bytes, size_bytes)
#define vine_write_on(socket_pointer, bytes, size_bytes)                                           \
    do {                                                                                           \
        vine__operation("vine_write",                                                              \
                        vine__write_begin(that, (socket_pointer), (bytes), (size_bytes)),          \
                        vine__write(that));                                                        \
    } while (0)

/* As printf. */
#define vine_writef(...) vine_writef_on(that->socket, __VA_ARGS__)
#define vine_writef_on(socket_pointer, ...)                                                        \
    do {                                                                                           \
        vine__operation("vine_writef", vine__writef(that, (socket_pointer), __VA_ARGS__),          \
                        vine__write(that));                                                        \
    } while (0)

/* Room to write into without a copy: at least `least` bytes (at most VINE_LOOK_MAX), of which
 * vine_wrote says how many were written, from the front. Valid until the coroutine blocks. */
#define vine_room(size_lvalue, pointer_lvalue, least)                                              \
    vine_room_on(that->socket, size_lvalue, pointer_lvalue, least)
#define vine_room_on(socket_pointer, size_lvalue, pointer_lvalue, least)                           \
    do {                                                                                           \
        vine__operation("vine_room", vine__write_begin(that, (socket_pointer), NULL, (least)),     \
                        vine__room(that));                                                         \
        (size_lvalue) = (size_t)that->result;                                                      \
        (pointer_lvalue) = that->operand;                                                          \
    } while (0)
#define vine_wrote(size_bytes) vine_wrote_on(that->socket, size_bytes)
#define vine_wrote_on(socket_pointer, size_bytes)                                                  \
    vine__do_at("vine_wrote", vine__wrote(that, (socket_pointer), (size_bytes)))

/* Let what was written go out when the micro-process blocks next, as it would by itself; here is
 * raised what became of earlier bytes. */
#define vine_flush()                  vine_flush_on(that->socket)
#define vine_flush_on(socket_pointer) vine__do_at("vine_flush", vine__flush(that, (socket_pointer)))

/* Wait until the kernel has taken all that was written; of a pipe, until its reader has, or waits
 * for more. */
#define vine_drain() vine_drain_on(that->socket)
#define vine_drain_on(socket_pointer)                                                              \
    vine__operation("vine_drain", vine__drain(that, (socket_pointer)), vine__drained(that))

/* Nothing more will be written: behind what was, the peer is told. */
#define vine_close_output() vine_close_output_on(that->socket)
#define vine_close_output_on(socket_pointer)                                                       \
    vine__operation("vine_close_output", vine__close_output(that, (socket_pointer)),               \
                    vine__drained(that))

/* Nothing more will be read: what comes is thrown away, and coroutines that write get -EPIPE. */
#define vine_close_input() vine_close_input_on(that->socket)
#define vine_close_input_on(socket_pointer)                                                        \
    vine__do_at("vine_close_input", vine__close_input(that, (socket_pointer)))

/* ---- from one to another --------------------------------------------------------------------- */

/*
 * Move so many bytes from one socket to another, as they come, and no more than the reader takes:
 * fewer only at the end of what is read. From one connection to another they do not come into the
 * heap. `moved_lvalue`: how many; where something is raised, some may have been moved as well.
 */
#define vine_splice(moved_lvalue, from_socket, to_socket, size_bytes)                              \
    do {                                                                                           \
        vine__operation("vine_splice",                                                             \
                        vine__splice(that, (from_socket), (to_socket), (size_bytes)),              \
                        vine__spliced(that));                                                      \
        (moved_lvalue) = (uint64_t)that->result;                                                   \
    } while (0)

/* The same for all that comes, up to the end; which is not told to who reads. */
#define vine_forward(from_socket, to_socket)                                                       \
    vine__operation("vine_forward", vine__splice(that, (from_socket), (to_socket), INT64_MAX),     \
                    vine__spliced(that))

/* ---- several at once ------------------------------------------------------------------------- */

enum vine_poll_events {
    VINE_POLL_READABLE = 1, /* there is something to read, or the end of it */
    VINE_POLL_HUNG_UP = 2,  /* the peer has ended; there may be something to read before that */
};

struct vine_poll {
    struct vine_socket *socket;
    uint8_t wanted; /* of enum vine_poll_events */
    uint8_t told;   /* of these, what there is */
};

/* Wait until one of the sockets has what is wanted of it; `index_lvalue` is the first that has, and
 * all of them are told. `polls`: `count` struct vine_poll, memory of the heap. Takes nothing from
 * them, and others may read from them meanwhile. */
#define vine_poll(index_lvalue, polls, count)                                                      \
    do {                                                                                           \
        vine__operation("vine_poll", vine__poll(that, (polls), (count)), vine__polled(that));      \
        (index_lvalue) = (size_t)that->result;                                                     \
    } while (0)

/* Wait until the peer has hung up: it sends nothing any more, or is gone. What it sent before can
 * still be read; where that is more than 64 KiB or so, it has to be, before this is known. */
#define vine_hang_up(socket_pointer)                                                               \
    vine__operation("vine_hang_up", vine__hang_up(that, (socket_pointer)), vine__polled(that))

/* ---- further connections --------------------------------------------------------------------- */

/*
 * Connect to "127.0.0.1:80", "[::1]:80", "unix:PATH", "unix:@NAME" or, by name, "host:80": names
 * are looked up by a thread beside, and their addresses tried in turn. The socket goes with the
 * coroutine that has made it: then, or by vine_close, what was written is still sent, and it is
 * closed. Raises what the kernel says, as -ECONNREFUSED; -ETIMEDOUT after the deadline; -ENOENT: no
 * host has that name; -EAGAIN: it cannot be looked up now; -EINVAL, -ENAMETOOLONG: it is no
 * address; -EMFILE: the micro-process has as many as it may; -ENOMEM.
 */
#define vine_connect(ret_socket, address_text)                                                     \
    do {                                                                                           \
        vine__operation("vine_connect", vine__connect(that, (address_text)),                       \
                        vine__connected(that));                                                    \
        (ret_socket) = that->on;                                                                   \
    } while (0)

/*
 * The same by TLS: "host:443", "[::1]:443". Whoever answers there has to have a certificate for
 * that very name or address, for which somebody vouches whom this machine trusts, or whom
 * $SSL_CERT_FILE names. Raises besides -EKEYREJECTED: it has none; -EPROTO: it does not speak TLS
 * as it should, or refuses us. A stream that ends without its peer's farewell ends with
 * -ECONNABORTED. The first of a core reads whom to trust from files, some ten milliseconds.
 */
#define vine_connect_tls(ret_socket, address_text)                                                 \
    do {                                                                                           \
        vine__operation("vine_connect_tls", vine__connect(that, (address_text)),                   \
                        vine__connected_tls(that));                                                \
        (ret_socket) = that->on;                                                                   \
    } while (0)

/* Listen, for this micro-process alone, at "127.0.0.1:0", "unix:PATH" ...: where the port is 0, the
 * kernel chooses, and vine_port tells which. Raises what vine_connect does, and -EADDRINUSE. */
#define vine_listen_at(ret_listener, address_text)                                                 \
    do {                                                                                           \
        vine__operation("vine_listen_at", vine__connect(that, (address_text)),                     \
                        vine__listened(that));                                                     \
        (ret_listener) = that->on;                                                                 \
    } while (0)
#define vine_port(listener_pointer) vine__port(listener_pointer)

/* The next one that connects there, for one of those who wait for that. A few are kept until they
 * are asked for; more are closed. The socket goes with the coroutine that accepts it. */
#define vine_accept(ret_socket, listener_pointer)                                                  \
    do {                                                                                           \
        vine__operation("vine_accept", vine__accept(that, (listener_pointer)),                     \
                        vine__accepted(that));                                                     \
        (ret_socket) = that->on;                                                                   \
    } while (0)

/* Be done with a socket. One of vine_connect, vine_listen_at or vine_accept is gone: who still
 * waits for it gets -ECANCELED. Of others both directions end, as by vine_close_input and
 * vine_close_output. */
#define vine_close(socket_pointer)                                                                 \
    vine__operation("vine_close", vine__close(that, (socket_pointer)), vine__closed(that))

/* ---- between coroutines ---------------------------------------------------------------------- */

#define VINE_PIPE_BYTES 4096 /* that nobody has read yet, and then the writer waits */

/* A pipe: what one coroutine writes to it is read from it by another. It goes with the coroutine
 * that has made it. Raises -ENOMEM. */
#define vine_pipe(ret_socket) vine__do_at("vine_pipe", (ret_socket) = vine__pipe(that))

/* Two ends: what is written to the one is read from the other. */
#define vine_pair(ret_one, ret_other)                                                              \
    do {                                                                                           \
        vine__do_at("vine_pair", (ret_one) = vine__pair(that));                                    \
        (ret_other) = (struct vine_socket *)that->operand;                                         \
    } while (0)

/* A child, as by vine_child, with an input and an output of its own. Of a pipe that is given to
 * children so, the input ends when the last of those who write has ended, and who writes gets
 * -EPIPE when the last of those who read has. Of `a | b | c`, b is
 *
 *     vine_child_on(b, NULL, self->a_to_b, self->b_to_c, self->b);
 */
#define vine_child_on(name, argument_pointer, input_socket, output_socket, ret_handle)             \
    vine__do_at("vine_child_on",                                                                   \
                (ret_handle) = vine__child_on(that, &vine__type_##name, (argument_pointer),        \
                                              (input_socket), (output_socket)))

/* ---- between requests ------------------------------------------------------------------------ */

/*
 * Wait for more, and after a while (a third of a second, or less where heaps are short) without
 * holding anything: then the heap goes back, and the first byte begins the first coroutine anew,
 * with all of its state zero and without its vine_finally. Before that it returns when something
 * has come or the peer has ended, and raises -ETIMEDOUT at the deadline, as vine_look does: so it
 * stands where a loop that serves one request after the other begins, and costs hardly more than
 * waiting. The first coroutine alone, without others and with nothing of vine_alloc or vine_keep.
 * Pipes that it has made, and what it was sent by vine_send and has not taken, go with the heap;
 * to park with an open mailbox of vine/mail.h is told of as a mistake (vine_mail_close). What is
 * kept outside (vine/outside.h) stays for when it begins anew.
 * At its deadline, or when the peer ends, a connection that holds nothing is closed.
 */
#define vine_park() vine__operation("vine_park", vine__park(that), vine__parked(that))

/* ---- what stands behind them; private -------------------------------------------------------- */

VINE_API void vine__read_begin(struct vine_coroutine *that, struct vine_socket *socket, void *bytes,
                               size_t size_bytes);
VINE_API bool vine__read(struct vine_coroutine *that);
VINE_API bool vine__read_all(struct vine_coroutine *that);
VINE_API bool vine__readline(struct vine_coroutine *that);
VINE_API bool vine__look(struct vine_coroutine *that);
VINE_API void vine__skip(struct vine_coroutine *that, struct vine_socket *socket,
                         size_t size_bytes);
VINE_API void vine__write_begin(struct vine_coroutine *that, struct vine_socket *socket,
                                const void *bytes, size_t size_bytes);
VINE_API bool vine__write(struct vine_coroutine *that);
VINE_API bool vine__room(struct vine_coroutine *that);
VINE_API void vine__wrote(struct vine_coroutine *that, struct vine_socket *socket,
                          size_t size_bytes);
VINE_API void vine__writef(struct vine_coroutine *that, struct vine_socket *socket,
                           const char *format, ...) VINE_PRINTF(3, 4);
VINE_API void vine__flush(struct vine_coroutine *that, struct vine_socket *socket);
VINE_API void vine__drain(struct vine_coroutine *that, struct vine_socket *socket);
VINE_API void vine__close_input(struct vine_coroutine *that, struct vine_socket *socket);
VINE_API struct vine_socket *vine__pipe(struct vine_coroutine *that);
VINE_API struct vine_socket *vine__pair(struct vine_coroutine *that);
VINE_API struct vine_coroutine *vine__child_on(struct vine_coroutine *that,
                                               const struct vine_coroutine_type *type,
                                               void *argument, struct vine_socket *input,
                                               struct vine_socket *output);
VINE_API void vine__splice(struct vine_coroutine *that, struct vine_socket *from,
                           struct vine_socket *to, uint64_t size_bytes);
VINE_API bool vine__spliced(struct vine_coroutine *that);
VINE_API void vine__connect(struct vine_coroutine *that, const char *address_text);
VINE_API bool vine__connected(struct vine_coroutine *that);
VINE_API bool vine__connected_tls(struct vine_coroutine *that);
VINE_API bool vine__listened(struct vine_coroutine *that);
VINE_API uint16_t vine__port(const struct vine_socket *listener);
VINE_API void vine__accept(struct vine_coroutine *that, struct vine_socket *listener);
VINE_API bool vine__accepted(struct vine_coroutine *that);
VINE_API void vine__poll(struct vine_coroutine *that, struct vine_poll *polls, size_t count);
VINE_API void vine__hang_up(struct vine_coroutine *that, struct vine_socket *socket);
VINE_API bool vine__polled(struct vine_coroutine *that);
VINE_API void vine__close(struct vine_coroutine *that, struct vine_socket *socket);
VINE_API bool vine__closed(struct vine_coroutine *that);
VINE_API void vine__park(struct vine_coroutine *that);
VINE_API bool vine__parked(struct vine_coroutine *that);
VINE_API bool vine__drained(struct vine_coroutine *that);
VINE_API void vine__close_output(struct vine_coroutine *that, struct vine_socket *socket);

VINE_END_DECLARATIONS

#endif
