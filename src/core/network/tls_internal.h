/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/tls_internal.h - the layer's own.
 *
 * OpenSSL reads from the view of what came below (`in`) and writes into memory (`out`), which is
 * then sent below, both by a BIO of ours; neither has memory while a connection is idle. Nothing is
 * received below unless somebody waits for it.
 */
#ifndef VINE_CORE_NETWORK_TLS_INTERNAL_H
#define VINE_CORE_NETWORK_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <vine/tls.h>

#include "core/network/network_internal.h"
#include "core/network/send_queue.h"
#include "utils/container_of.h"

#define TLS_SESSIONS 8U
#define TLS_ID_BYTES 32U

/* A session that a client may resume. */
struct tls_session {
    char name[256];
    SSL_SESSION *session;
};

struct vine_tls {
    pthread_mutex_t lock;
    SSL_CTX *context; /* under the lock */
    bool is_server;
    bool is_unverified;
    bool refuses_other_names;
    bool has_no_tickets;
    char *authorities;              /* for the next context */
    unsigned char id[TLS_ID_BYTES]; /* of whom it trusts: sessions are resumed among the same */
    unsigned char *protocols;       /* as they go over the wire */
    uint32_t protocols_bytes;
    vine_tls_choose_fn choose;
    void *choose_context;
    /* By connections, on any core, whose callbacks look here, and by its owner. */
    uint32_t references;
    uint32_t next_session;
    struct tls_session sessions[TLS_SESSIONS];
};

/* What is shown now, with a reference for the caller. */
SSL_CTX *vine__tls_context(struct vine_tls *tls);

void vine__tls_ref(struct vine_tls *tls);
void vine__tls_unref(struct vine_tls *tls);

/* The session that is remembered for `name`, or NULL. */
SSL_SESSION *vine__tls_session(struct vine_tls *tls, const char *name);
void vine__tls_remember(struct vine_tls *tls, const char *name, SSL_SESSION *session);

#define TLS_OUT_MAX   (64 * 1024U) /* so much is made at once, or a record more */
#define TLS_PLAIN_MAX (16 * 1024U) /* a record's */

struct tls_connection {
    struct vine_connection base;
    struct vine_connection *below;
    struct vine_tls *tls;
    struct vine_tls *chosen; /* by the name that the client asks for, or NULL */
    bool has_chosen;         /* it has been looked for */
    SSL *ssl;
    struct vine_tls_start *start; /* while it shakes hands */
    char *name;                   /* of a server */

    const unsigned char *in; /* what is left of the view */
    size_t in_size;
    bool is_receiving;    /* below */
    bool has_below_ended; /* nothing more comes from there: `below_end` */
    int below_end;

    unsigned char *out;
    size_t out_size, out_room;
    unsigned char *flight; /* what is being sent below */
    bool is_sending;       /* it is */
    bool has_failed;       /* `failure`: of the session, for good */
    bool has_ended;        /* the peer has said farewell */
    bool is_leaving;       /* it is closed, and our farewell goes out */
    bool is_gone;          /* below has been closed */
    bool has_farewell;     /* ours is said: nothing can be sent */
    bool is_shutting;      /* below */
    int failure;

    unsigned char *plain; /* what the reader looks at */

    struct vine__send_queue sends;
    struct vine_send *current; /* the first that is not encrypted as a whole */
    size_t current_done;       /* how much of it is */

    struct vine_receive receive;
    struct vine_send send;
    struct vine_send shutdown;
    struct vine_work closed; /* below */
};

static inline struct tls_connection *vine__tls_of(struct vine_connection *base)
{
    return VINE_CONTAINER_OF(base, struct tls_connection, base);
}

/* tls_connection.c: over `below`, with no handshake yet. NULL: no memory. */
struct tls_connection *vine__tls_create(struct vine_tls *tls, struct vine_connection *below);

/* tls_layer.c: something has happened. */
void vine__tls_go_on(struct tls_connection *connection);
/* The session is over: nothing can be sent, and what is to be received is that. */
void vine__tls_fail(struct tls_connection *connection, int error);
/* All sends, whose queue may hold what has been encrypted, and lost. */
void vine__tls_end_sends(struct tls_connection *connection, int error);
/* Our farewell; the end of the stream below comes behind it. */
void vine__tls_say_farewell(struct tls_connection *connection);

/* tls_bio.c: have OpenSSL read and write there. Returns 0 or -ENOMEM. */
int vine__tls_attach(struct tls_connection *connection);

#endif
