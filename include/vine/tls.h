/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/tls.h - TLS above any connection, as a connection: vine_receive, vine_send and all the rest.
 *
 * Owns:     what it is given a connection for: that one is closed with the new one.
 * Threads:  as vine/network.h. A client's struct vine_tls belongs to the core that made it. A
 *           server's may be used and reloaded on all cores, and its `choose` is called on each.
 *           Tickets of one are good for all servers of a process.
 * Blocking: never, but for vine_tls_create of a client that trusts what this machine does: it reads
 *           the machine's certificates from files.
 * Trust:    what a peer sends goes through OpenSSL and nowhere else. A stream that ends without the
 *           peer's farewell ends with -ECONNABORTED, not with 0: somebody may have cut it.
 * Limits:   TLS 1.2 and 1.3. OpenSSL's memory for a connection is some ten KiB.
 */
#ifndef VINE_TLS_H
#define VINE_TLS_H

#include <stdbool.h>

#include <vine/base.h>
#include <vine/network.h>

VINE_BEGIN_DECLARATIONS

struct vine_tls;

/* Whose certificate a client is shown that asks for `name`: 0 and that one, or -ENOENT: there is
 * none for it. All else of that one holds, too: whom it trusts to vouch for clients, its protocols,
 * its tickets. It may be destroyed later. Called in the middle of a handshake: it may look things
 * up, and begin nothing. */
typedef int (*vine_tls_choose_fn)(void *context, const char *name, struct vine_tls **ret_tls);

/* Zeroed fields are the defaults. All texts are read in the call and not kept. */
struct vine_tls_options {
    size_t size_bytes; /* sizeof(struct vine_tls_options) */
    bool is_server;

    /* PEM. A server needs both; a client, if servers ask for them. The certificate may be followed
     * by those that vouch for it. */
    const char *certificate, *key;

    /* PEM: who is trusted to vouch for peers. NULL: a client trusts whom this machine trusts, and a
     * server does not ask. With it, a server refuses clients without a certificate. */
    const char *authorities;
    bool is_unverified; /* a client takes whatever certificate: only against who listens */

    /* Protocols to be spoken above, in the order of preference, with NULL behind the last; a peer
     * that offers others alone is refused. NULL: not negotiated. */
    const char *const *protocols;

    vine_tls_choose_fn choose; /* a server's */
    void *choose_context;
    bool refuses_other_names; /* those for which `choose` has none; else it is the default one */
    bool has_no_tickets;      /* sessions are not resumed */
};

/* Returns 0, -EINVAL: a text is not what it should be, or certificate and key do not belong
 * together; -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_tls_create(const struct vine_tls_options *options,
                                             struct vine_tls **ret_tls);

/* Show another certificate from now on. Connections that there are, and handshakes that have begun,
 * are not concerned. Returns as above; on failure the old one stays. */
VINE_API VINE_MUST_CHECK int vine_tls_reload(struct vine_tls *tls, const char *certificate,
                                             const char *key);

/* Connections that there are do not need it any more. NULL is allowed. */
VINE_API void vine_tls_destroy(struct vine_tls *tls);

struct vine_tls_start;
typedef void (*vine_tls_start_fn)(struct vine_tls_start *start);

#define VINE_TLS_WHY_BYTES 96

/* A handshake. */
struct vine_tls_start {
    /* Told when the function is called. */
    int error; /* 0; -EKEYREJECTED: the peer's certificate is not trusted or not of that name;
                  -EPROTO: the peer does not speak as it should, or refuses us; -ETIMEDOUT;
                  -ECANCELED; or the error of the connection below */
    struct vine_connection *connection; /* NULL: the one below has been closed, too */
    char why[VINE_TLS_WHY_BYTES];       /* a few words for people, where there are any */
    /* Wished for before. */
    uint64_t deadline_ns;

    vine_tls_start_fn fn; /* what follows is private */
    struct vine_connection *begun;
    struct vine_work work;
    struct vine_timer timer;
    bool has_ended;
};

/* Greet the client, or the server called `name` (which its certificate has to be for; a name or an
 * IP address), over `below`, on which nothing may be on its way. `below` is the handshake's from
 * now on. */
VINE_API void vine_tls_accept(struct vine_tls *tls, struct vine_tls_start *start,
                              struct vine_connection *below, vine_tls_start_fn fn);
VINE_API void vine_tls_connect(struct vine_tls *tls, struct vine_tls_start *start,
                               struct vine_connection *below, const char *name,
                               vine_tls_start_fn fn);

/* Have it end soon, with -ECANCELED unless it has. */
VINE_API void vine_tls_cancel(struct vine_tls_start *start);

/* What has been negotiated: the protocol above, "" if none, and whether a session was resumed.
 * `connection` is one of vine_tls_accept's or vine_tls_connect's. */
VINE_API void vine_tls_get_protocol(struct vine_connection *connection,
                                    char ret_protocol[VINE_TLS_WHY_BYTES]);
VINE_API bool vine_tls_was_resumed(struct vine_connection *connection);

VINE_END_DECLARATIONS

#endif
