/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/service.h - a listener that gives each connection a micro-process.
 *
 * Owns:     a service that runs: its listener, and what its connections run in.
 * Threads:  reactors: what is started on a core stops there.
 * Blocking: never.
 * Trust:    clients are believed of nothing; what a service's code does to its own heap ends that
 *           connection alone, as far as the guard holds (--isolate).
 * Limits:   as many connections as there are heaps, on each core.
 */
#ifndef VINE_SERVICE_H
#define VINE_SERVICE_H

#include <vine/network.h>
#include <vine/state.h>
#include <vine/tls.h>

VINE_BEGIN_DECLARATIONS

/* What a service is. Zeroed fields are the defaults. */
struct vine_service {
    size_t size_bytes; /* sizeof(struct vine_service) */
    const char *name;
    const char *summary; /* one sentence */
    const struct vine_coroutine_type *coroutine;
    /* Called on core 0 before it is first served, with the options' argument: 0; or why not, which
     * is logged: then it does not start, and `vine serve` ends with 2 without another try. */
    int (*begin)(const void *argument);
    bool is_on_one_core; /* all its connections share what only one core may touch: core 0 */
    /* What a client is sent that has asked for something when its micro-process ends by a fault or
     * an error that it did not catch, if nothing of an answer was written. NULL: nothing. */
    const char *farewell;
    /* And one for whom there is no room. NULL: nothing; it is closed. */
    const char *refusal;
    /* Runs once, beside the connections, on core 0, in a micro-process of its own without a
     * connection; they reach it by vine/mail.h. One that fails is begun anew 100 ms later. When the
     * reactors stop it is cancelled once core 0 has no connections any more. Or NULL. */
    const struct vine_coroutine_type *central;
    /* How many sockets and files a connection may have beside its own, if the options do not say;
     * 0: 16. Of services on the same cores the greatest counts for all. */
    uint32_t sockets;
};

/* Declare one whose connections run the coroutine `name`, defined before in this file. What follows
 * are fields: VINE_SERVICE(echo, .summary = "send back what comes"). */
#define VINE_SERVICE(name_, ...)                                                                   \
    VINE_API const struct vine_service vine_service_##name_ = {.size_bytes =                       \
                                                                   sizeof(struct vine_service),    \
                                                               .name = #name_,                     \
                                                               .coroutine = &vine__type_##name_,   \
                                                               __VA_ARGS__}

/* The type of a coroutine, for the field `central`. */
#define VINE_COROUTINE_OF(name) (&vine__type_##name)

/*
 * Load a library with a service: the one that VINE_SERVICE declares there under the file's own name
 * (`chat.so`: chat; `chat-room.so`: chat_room). A name without a slash is one of the folder that
 * this process is in. It stays loaded. A fault anywhere in its code counts as its coroutines' own.
 * Before services start; core 0, or before vine_main.
 *
 * Returns 0; -ENOEXEC: it cannot be loaded, or has no such service, and `why` has a sentence; or
 *         -ENOSPC.
 */
#define VINE_SERVICE_WHY_BYTES 512
VINE_API VINE_MUST_CHECK int vine_service_load(const char *path,
                                               const struct vine_service **ret_service,
                                               char why[VINE_SERVICE_WHY_BYTES]);

/* What guards micro-processes from each other. */
enum vine_isolation {
    VINE_ISOLATE_BEST, /* pku where it can be had, else mprotect */
    VINE_ISOLATE_PKU,
    VINE_ISOLATE_MPROTECT,
    VINE_ISOLATE_NONE,
};

struct vine_service_options {
    size_t size_bytes; /* sizeof(struct vine_service_options) */
    struct vine_listen_options listen;
    uint8_t isolation;    /* enum vine_isolation; one for all services of the program */
    uint32_t heap_bytes;  /* the greatest heap; 0: 64 KiB */
    uint32_t connections; /* with a heap at most, on each core; 0: 16384. Who is idle in vine_park
                             has none */
    uint32_t connections_max; /* of this process in all; 0: as many as there are descriptors */
    uint32_t client_rate; /* connections a second of one address (of IPv6: one /64), with as many
                                 at once; 0: any */
    uint32_t sockets;     /* that each may have beside its connection, files among them; at most 63;
                             0: as the service says */
    const void *argument; /* of its coroutines, who read it: no memory of a heap */
    struct vine_tls *tls; /* speak TLS with clients; it stays. NULL: do not */
    uint64_t tls_ns;      /* in which a client has to finish its handshake; 0: 10 seconds */
    uint64_t drain_ns;    /* for what goes on when the reactors stop; 0: 3 seconds */
    uint64_t run_ns;      /* processor time of a coroutine between two of its operations that wait;
                             who uses more is ended as by a fault. One for all services of the
                             program; 0: 1 second; VINE_FOREVER: no limit */
};

struct vine_running;

/* Have coroutines' vine_access (vine/access_log.h) append to this file, which is made if it is not
 * there; `path` stays. Before services start; core 0. NULL: it goes nowhere, as at first. */
VINE_API void vine_service_log_access(const char *path);

/*
 * Serve at `address`, on all cores. Core 0.
 *
 * Returns 0; what vine_listen returns; -EOPNOTSUPP: the isolation cannot be had, and
 *         vine_isolation_why() says why; -VINE_ECONFIG: its `begin` has refused, as the log says.
 */
VINE_API VINE_MUST_CHECK int vine_service_start(const struct vine_service *service,
                                                const struct vine_address *address,
                                                const struct vine_service_options *options,
                                                struct vine_running **ret_running);

/* The same at a socket that listens, as a supervisor passes it on (vine/supervise.h). It is the
 * service's if this succeeds. */
VINE_API VINE_MUST_CHECK int vine_service_start_at(const struct vine_service *service, int fd,
                                                   const struct vine_service_options *options,
                                                   struct vine_running **ret_running);

typedef void (*vine_service_done_fn)(void *context, int error);

/*
 * Run a service for one connection that is there already, as a program that inetd starts does: of
 * vine_connection_adopt, say. It is the service's in any case. Of the options `listen` means
 * nothing. `done`, unless it is NULL, is called with `context` when that one has ended, its
 * connection is closed and all that it wrote is the kernel's: `error` is what it raised, or 0. Core
 * 0; what else runs on it goes on, and who wants to end the program calls vine_stop in `done`.
 *
 * Returns 0; what vine_service_start returns; -ENOMEM, -EAGAIN: there is no heap. `done` is not
 *         called then.
 */
VINE_API VINE_MUST_CHECK int vine_service_run_here(const struct vine_service *service,
                                                   struct vine_connection *connection,
                                                   const struct vine_service_options *options,
                                                   vine_service_done_fn done, void *context);

/* Hang up on the client of whichever connection vine_service_run_here was given with this `done`
 * and `context`, if it has not ended: its micro-process finds that out as if the client had gone.
 * Core 0. */
VINE_API void vine_service_hang_up(vine_service_done_fn done, const void *context);

/* Where it listens. */
VINE_API const struct vine_address *vine_service_address(const struct vine_running *running);

/* Whether this machine can have an isolation, as far as that is known before the reactors run. Any
 * thread. Returns 0, or -EOPNOTSUPP and a sentence. */
VINE_API VINE_MUST_CHECK int vine_isolation_check(enum vine_isolation isolation,
                                                  char why[VINE_SERVICE_WHY_BYTES]);

/* Which guard there is, "none"; and why it is not a better one, or "". */
VINE_API const char *vine_isolation_name(void);
VINE_API const char *vine_isolation_why(void);

VINE_END_DECLARATIONS

#endif
