/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/network.h - sockets of reactors: listeners, connections, datagrams.
 *
 * Owns:     connections, listeners and datagram sockets, until they are closed, and the buffers
 *           into which a core receives. Operations (struct vine_receive, vine_send ...) are the
 *           caller's memory, zeroed before their first use, and in use until their function is
 *           called.
 * Threads:  reactors only. A connection or datagram socket belongs to the core that got it; a
 *           listener to the core that made it.
 * Blocking: never. A function is called from the top of the loop, in the scheduling group of
 *           whoever began the operation, and never within the call that began it.
 * Trust:    bytes and descriptors are the peer's and not looked at; what a peer does ends in an
 *           error of an operation and nowhere else.
 * Limits:   one vine_receive at a time on a connection, any number of sends. Of what came and was
 *           not asked for a core holds VINE_RECEIVE_AHEAD buffers a connection or so; the rest
 *           waits in the kernel, and then with the peer.
 *
 * The stack below (`--network-stack`) is the kernel's; nothing here depends on which one it is.
 *
 * Deadlines are times (no durations) of VINE_CLOCK_COARSE, in nanoseconds; 0 or VINE_FOREVER: none.
 * What is not over then ends with -ETIMEDOUT. Each is read as its operation begins: to write it
 * later is for the next one.
 *
 * Each operation ends once, by its function, also where it was cancelled or its connection closed;
 * its memory is in use until then. To cancel one that is not under way does nothing.
 *
 * When the reactors stop, after all that the program has registered by vine_at_stop on the same
 * core, all operations end with -ECANCELED, and later ones with -VINE_ECLOSED; connections are
 * closed by their owners all the same.
 */
#ifndef VINE_NETWORK_H
#define VINE_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <vine/base.h>
#include <vine/reactor.h>
#include <vine/timer.h>

VINE_BEGIN_DECLARATIONS

struct vine_connection;
struct vine_listener;

#define VINE_RECEIVE_AHEAD 4

/* ---- addresses ------------------------------------------------------------------------------ */

/* Of IPv4, IPv6 or a Unix socket (also one without a name: `size_bytes` says how much there is). */
struct vine_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
        struct sockaddr_un local;
    };
    uint32_t size_bytes;
};

/* Room for any address as text: a name of 108 bytes, each as "\x00". */
#define VINE_ADDRESS_TEXT_BYTES 448

/* What an address looks like, for whoever tells that something is none. */
#define VINE_ADDRESS_FORMS                                                                         \
    "an address, as 127.0.0.1:80, [::1]:80, unix:PATH or unix:@NAME, with numbers and no names "   \
    "of hosts"

/*
 * Read "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" (the number of the interface), "unix:PATH" or
 * "unix:@NAME" (abstract). No names of hosts: looking them up takes time. Any thread.
 *
 * Returns 0; -EINVAL: it is none of these; -ENAMETOOLONG.
 */
VINE_API VINE_MUST_CHECK int vine_address_parse(const char *text, struct vine_address *ret_address);

/* Write it the same way; bytes that do not print become "\xNN", no address "-". Any thread. */
VINE_API void vine_address_print(const struct vine_address *address,
                                 char text[VINE_ADDRESS_TEXT_BYTES]);

/* The port, or 0 where there is none. Any thread. */
VINE_API uint16_t vine_address_port(const struct vine_address *address);

/* ---- listeners ------------------------------------------------------------------------------ */

/* How connections come to cores. */
enum vine_balance {
    VINE_BALANCE_REUSE_PORT, /* each core listens, and the kernel chooses by a hash. Unix sockets
                                cannot: they are distributed. Of a descriptor that was given each
                                core accepts: who waits longest for a connection gets it */
    VINE_BALANCE_DISTRIBUTE, /* one core listens, and gives each to the core with the fewest */
    VINE_BALANCE_HERE,       /* all stay with the core that listens */
};

/* A connection has come: on the core that owns it from now on, which closes it in the end.
 * `context` is the same on all cores, so that what they would write does not belong there. */
typedef void (*vine_accept_fn)(struct vine_connection *connection, void *context);

/* Zeroed fields are the defaults. */
struct vine_listen_options {
    size_t size_bytes;         /* sizeof(struct vine_listen_options) */
    uint8_t balance;           /* enum vine_balance */
    bool gathers_small_writes; /* Nagle's algorithm, which is off otherwise */
    bool is_ip6_only;          /* else "[::]:80" is for IPv4, too */
    uint32_t backlog;          /* connections that nobody has accepted yet; 0: 4096 */
    uint32_t keepalive_s;      /* ask a silent peer after so many seconds; 0: never */
    uint32_t mode;             /* of a Unix socket's name; 0: 0600 */
    uint32_t receive_bytes;    /* the kernel's buffers of each connection; 0: as it likes */
    uint32_t send_bytes;
    /* Called, on a core that accepts, for who comes when all descriptors are in use: to be told so
     * and closed soon, since it has the one that the listener keeps for that, and nobody else is
     * accepted there before, or for VINE_ACCEPT_REST_NS. NULL: such wait until there is room. */
    vine_accept_fn shed;
};

/*
 * Listen. `fn` is called with `context` for each connection that comes, on whichever core. When
 * memory runs out, or descriptors, accepting rests for VINE_ACCEPT_REST_NS, and those who connect
 * wait; with `shed` they are told where it is descriptors. A Unix socket's name that nobody listens
 * at any more is taken over; it is removed by vine_listener_close.
 *
 * Returns 0; -EADDRINUSE (also: another program has this port with SO_REUSEPORT); -EINVAL;
 *         -ENOMEM; what socket, bind and listen say.
 */
#define VINE_ACCEPT_REST_NS (50 * 1000 * 1000ULL)
VINE_API VINE_MUST_CHECK int vine_listen(const struct vine_address *address,
                                         const struct vine_listen_options *options,
                                         vine_accept_fn fn, void *context,
                                         struct vine_listener **ret_listener);

/*
 * The same on a socket that listens already and that somebody else has made: a supervisor
 * (vine/supervise.h), or systemd. Other processes may accept from it, too: a connection goes to one
 * that waits for it. The descriptor is the listener's, which closes it; a Unix socket's name stays.
 * Of the options `is_ip6_only` and `mode` have come too late, and a backlog of 0 is left as it is.
 *
 * Returns 0, or a negative error, and then the descriptor stays the caller's: -EBADF, -ENOTSOCK;
 *         -EINVAL: it does not listen, or of the options; -EAFNOSUPPORT: neither TCP nor a Unix
 *         socket for streams; -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int vine_listen_descriptor(int fd,
                                                    const struct vine_listen_options *options,
                                                    vine_accept_fn fn, void *context,
                                                    struct vine_listener **ret_listener);

/* Where it listens, until it is closed: with the port that the kernel chose if that was 0. */
VINE_API const struct vine_address *vine_listener_address(const struct vine_listener *listener);

/* Stop. `done`, unless it is NULL, is posted when no core accepts for it any more: `fn` is not
 * called after that, but may be until then, for those who have connected before: they are not
 * reset, unless the reactors stop. Connections are not concerned. The core that made it;
 * once, also if the reactors have stopped it. */
VINE_API void vine_listener_close(struct vine_listener *listener, struct vine_work *done);

/* ---- connecting ----------------------------------------------------------------------------- */

struct vine_connect;
typedef void (*vine_connect_fn)(struct vine_connect *connect);

struct vine_connect {
    /* Told when the function is called: 0 and a connection, or a negative error. */
    int error;
    struct vine_connection *connection;
    /* Wished for before. */
    uint64_t deadline_ns;
    bool gathers_small_writes;
    uint32_t keepalive_s;
    uint32_t receive_bytes, send_bytes; /* as in struct vine_listen_options */
    const struct vine_address *from;    /* the own address, or NULL; used in the call only */

    vine_connect_fn fn; /* what follows is private */
    struct vine_connection *begun;
    struct vine_address address;
    struct vine_work work;
    struct vine_timer timer;
    int wish;
    bool has_ended;
};

/* Connect to a TCP or Unix address, which is copied. Without io_uring a Unix socket whose queue is
 * full answers -EAGAIN at once; with it, that is waited for. */
VINE_API void vine_connect(struct vine_connect *connect, const struct vine_address *address,
                           vine_connect_fn fn);

/* Have it end soon, with -ECANCELED unless it has succeeded. */
VINE_API void vine_connect_cancel(struct vine_connect *connect);

/* ---- connections ---------------------------------------------------------------------------- */

struct vine_receive;
typedef void (*vine_receive_fn)(struct vine_receive *receive);

struct vine_receive {
    /* Told when the function is called. */
    const unsigned char *bytes; /* what came */
    int64_t size;               /* how much; 0: the peer has ended; or a negative error */
    uint16_t descriptor_count;  /* of vine_receive_descriptors */
    uint8_t descriptors_max;    /* private, as are these two */
    bool has_ended;
    bool has_deadline;
    /* Wished for before. */
    uint64_t deadline_ns;

    vine_receive_fn fn; /* what follows is private */
    struct vine_connection *connection;
    unsigned char *into;
    int *descriptors;
    uint32_t into_bytes;
    int wish;
    struct vine_work work;
};

/*
 * Ask for what comes next. `receive->bytes` is a view into a buffer of the core's, valid until the
 * next receive of this connection begins or it is closed.
 *
 * Ends with the size; 0 at the end of the stream, again and again; -ECONNRESET and the like;
 * -ETIMEDOUT; -ECANCELED; -VINE_ECLOSED.
 */
VINE_API void vine_receive(struct vine_connection *connection, struct vine_receive *receive,
                           vine_receive_fn fn);

/* The same into memory of the caller: at least one byte, at most `size` (which is not 0). */
VINE_API void vine_receive_into(struct vine_connection *connection, struct vine_receive *receive,
                                void *bytes, size_t size, vine_receive_fn fn);

/* Have it end soon, with -ECANCELED unless something has come. */
VINE_API void vine_receive_cancel(struct vine_receive *receive);

struct vine_send;
typedef void (*vine_send_fn)(struct vine_send *send);

struct vine_send {
    /* Told when the function is called. */
    int error;   /* 0: all is sent; or a negative error */
    size_t sent; /* how many bytes the stack took; all, if there is no error */
    /* Wished for before. */
    uint64_t deadline_ns;

    vine_send_fn fn; /* what follows is private */
    struct vine_connection *connection;
    struct vine_send *next;
    union {
        const unsigned char *bytes;
        const struct iovec *vector;
        uint64_t offset; /* of a file, which is the descriptor */
    };
    const int *descriptors;
    size_t size;           /* all of it */
    uint32_t vector_count; /* 0: `bytes` */
    uint8_t descriptor_count;
    uint8_t kind;
    bool has_ended;
    bool has_deadline;
    int wish;
    struct vine_work work;
    struct vine_timer timer;
};

/*
 * Send `size` bytes, which stay as they are until the function is called. Sends go out in the
 * order in which they began.
 *
 * Ends with 0: the stack has taken all; -ECONNRESET, -EPIPE and the like; -ETIMEDOUT; -ECANCELED;
 * -VINE_ECLOSED. If it was sent in part then nothing can follow it: those behind it, and later
 * ones, end with -EPIPE.
 */
VINE_API void vine_send(struct vine_connection *connection, struct vine_send *send,
                        const void *bytes, size_t size, vine_send_fn fn);

/* The same for `count` pieces, at most VINE_SEND_PIECES_MAX; the vector stays as it is, too. */
#define VINE_SEND_PIECES_MAX 1024
VINE_API void vine_send_vector(struct vine_connection *connection, struct vine_send *send,
                               const struct iovec *vector, uint32_t count, vine_send_fn fn);

/* Have it end soon, with -ECANCELED unless it is sent. */
VINE_API void vine_send_cancel(struct vine_send *send);

/* Behind all sends until now: tell the peer that nothing follows. It may go on sending. */
VINE_API void vine_shutdown_send(struct vine_connection *connection, struct vine_send *send,
                                 vine_send_fn fn);

/*
 * Close. Operations that have not ended do so with -ECANCELED: their functions are called later,
 * and their memory is in use until then. What the kernel has taken is still delivered. `done`,
 * unless it is NULL, is posted when all functions have been called and the kernel has let go of
 * everything. Once; the connection is gone for its owner.
 */
VINE_API void vine_connection_close(struct vine_connection *connection, struct vine_work *done);

/* The address of the peer, or our own. Returns 0, or -ENOTCONN and the like. */
VINE_API VINE_MUST_CHECK int vine_connection_get_peer(struct vine_connection *connection,
                                                      struct vine_address *ret_address);
VINE_API VINE_MUST_CHECK int vine_connection_get_address(struct vine_connection *connection,
                                                         struct vine_address *ret_address);

/* Who the peer of a Unix socket was when it connected, as its kernel says. */
#define VINE_CREDENTIALS_GROUPS_MAX 256
struct vine_credentials {
    int32_t process; /* 0: one that we do not see from here */
    uint32_t user;
    uint32_t group;
    uint32_t group_count; /* of others that it had; none, if they are more than there is room for */
    uint32_t groups[VINE_CREDENTIALS_GROUPS_MAX];
};

/* Returns 0; -EOPNOTSUPP: it is no Unix socket; -ENOTCONN and the like. */
VINE_API VINE_MUST_CHECK int
vine_connection_get_credentials(struct vine_connection *connection,
                                struct vine_credentials *ret_credentials);

/*
 * Have descriptors that this process was given be a connection, as a program that inetd starts has:
 * a socket (the same one as both), or pipes, terminals and files, one to read from and one to write
 * to. They are the connection's from then on, as copies that are blocking and close-on-exec: the
 * numbers are free again, and where they were 0, 1 or 2 there is /dev/null. To tell that nothing
 * follows, a pipe or a file is closed; nothing can tell a terminal's reader. What nobody reads is
 * -EPIPE; SIGPIPE is blocked on this core. Descriptors cannot travel over two (-EOPNOTSUPP), and
 * neither has an address.
 *
 * Returns 0; -EBADF: one is none, or cannot be read from or written to; -EINVAL: a socket that
 *         listens or carries messages, or a folder; -ENOMEM, -EMFILE. Then the caller keeps both,
 *         but for -ENOMEM, which closes them.
 */
VINE_API VINE_MUST_CHECK int vine_connection_adopt(int fd_in, int fd_out,
                                                   struct vine_connection **ret_connection);

/* ---- descriptors over Unix sockets ----------------------------------------------------------- */

#define VINE_DESCRIPTORS_MAX 16

/*
 * Send descriptors with at least one byte. They stay the caller's, who keeps them open until the
 * function is called. Ends as vine_send does, or with -EOPNOTSUPP: it is no Unix socket, or with
 * -EINVAL: no byte, or more than VINE_DESCRIPTORS_MAX.
 */
VINE_API void vine_send_descriptors(struct vine_connection *connection, struct vine_send *send,
                                    const void *bytes, size_t size, const int *descriptors,
                                    uint32_t count, vine_send_fn fn);

/*
 * As vine_receive_into, with up to `count_max` descriptors (1 .. VINE_DESCRIPTORS_MAX), which are
 * close-on-exec and the caller's from then on: `receive->descriptor_count`, perhaps 0. Other
 * receives drop descriptors, so that a peer cannot fill our table: where some may come use this
 * one alone.
 *
 * -EMSGSIZE: more came than there was room for (or than this process may open). None is kept, and
 * the bytes are lost: close the connection.
 */
VINE_API void vine_receive_descriptors(struct vine_connection *connection,
                                       struct vine_receive *receive, void *bytes, size_t size,
                                       int *descriptors, uint32_t count_max, vine_receive_fn fn);

/* ---- datagrams ------------------------------------------------------------------------------- */

/* A UDP socket. */
struct vine_udp;

struct vine_udp_options {
    size_t size_bytes; /* sizeof(struct vine_udp_options) */
    bool is_ip6_only;
    uint32_t receive_bytes, send_bytes; /* the kernel's buffers; 0: as it likes */
};

struct vine_datagram;
typedef void (*vine_datagram_fn)(struct vine_datagram *datagram);

/* One on its way, in either direction. */
struct vine_datagram {
    /* Told when the function is called. */
    int64_t size;                /* bytes, perhaps 0; or a negative error */
    struct vine_address address; /* who sent it */
    bool is_cut;                 /* there was more than there was room for, which is lost */
    /* Wished for before. */
    uint64_t deadline_ns;

    vine_datagram_fn fn; /* what follows is private */
    struct vine_udp *udp;
    void *bytes;
    size_t room_bytes;
    void *state;
    int wish;
    bool is_receive, has_ended, has_deadline;
    struct vine_work work;
    struct vine_timer timer;
};

/* Open one at `address` (port 0: the kernel chooses). Returns 0 or a negative error. */
VINE_API VINE_MUST_CHECK int vine_udp_open(const struct vine_address *address,
                                           const struct vine_udp_options *options,
                                           struct vine_udp **ret_udp);
VINE_API const struct vine_address *vine_udp_address(const struct vine_udp *udp);

/* Have one peer: only what that one sends comes, and the address of a send may be NULL. That nobody
 * is there may be told then, as -ECONNREFUSED. Returns 0 or a negative error. */
VINE_API VINE_MUST_CHECK int vine_udp_connect(struct vine_udp *udp,
                                              const struct vine_address *peer);

/* Any number of each may be on their way; which of several receives gets what comes first is not
 * said. `bytes` are in use until the function is called; `to` is copied. */
VINE_API void vine_udp_receive(struct vine_udp *udp, struct vine_datagram *datagram, void *bytes,
                               size_t size, vine_datagram_fn fn);
VINE_API void vine_udp_send(struct vine_udp *udp, struct vine_datagram *datagram, const void *bytes,
                            size_t size, const struct vine_address *to, vine_datagram_fn fn);

/* Have it end soon, with -ECANCELED unless it is over. */
VINE_API void vine_datagram_cancel(struct vine_datagram *datagram);

/* As vine_connection_close. */
VINE_API void vine_udp_close(struct vine_udp *udp, struct vine_work *done);

/* ---- what a core has seen -------------------------------------------------------------------- */

/* As metrics (vine/metrics.h) they are vine_network_NAME_total, or without that end where they go
 * up and down, and vine_tls_NAME_total. */
struct vine_network_counts {
    uint64_t connections; /* that are not closed */
    uint64_t accepted;
    uint64_t accept_rests; /* how often accepting rested for want of descriptors or memory */
    uint64_t shed;         /* of those accepted: given to the listener's `shed` */
    uint64_t refused;      /* that came, and nobody got: no memory, or the end of the listener */
    uint64_t connected;    /* by us */
    uint64_t connect_failures; /* whatever the reason, but for cancelling */
    uint64_t received_bytes, sent_bytes;
    uint64_t receives, sends;             /* of the kernel, in which these came and went */
    uint64_t receive_errors, send_errors; /* as it told them; the end of a stream is none */
    uint64_t datagrams_received, datagrams_sent;
    uint64_t deadlines;      /* that passed, of any operation */
    uint64_t held_back;      /* how often a connection was not received from: nobody asked */
    uint64_t buffers;        /* into which this core receives */
    uint64_t buffers_used;   /* of these, with something in them */
    uint64_t buffers_missed; /* how often there was none */
    uint64_t tls_handshakes; /* that succeeded, on either side */
    uint64_t tls_resumed;    /* of these, without a key exchange of their own */
    uint64_t tls_refusals;   /* handshakes that failed, whatever the reason, but for cancelling */
    uint64_t tls_failures;   /* sessions that failed after their handshake */
};

/* Of the calling core. */
VINE_API void vine_network_get_counts(struct vine_network_counts *ret_counts);

VINE_END_DECLARATIONS

#endif
