/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and what goes with them. A context of OpenSSL's is made anew for another one;
 * handshakes keep the one with which they began.
 */
#include "core/network/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "utils/atomic.h"

#define TICKET_KEY_BYTES 80

/* With which tickets are sealed: a client's next connection may come to another core. Written once,
 * before anybody reads. */
static unsigned char ticket_key[TICKET_KEY_BYTES];
static bool has_ticket_key;
static pthread_once_t ticket_key_once = PTHREAD_ONCE_INIT;

static void make_ticket_key(void)
{
    has_ticket_key = RAND_bytes(ticket_key, sizeof(ticket_key)) == 1;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* OpenSSL's own would ask at the terminal. */
static int no_password(char *text, int size, int is_for_writing, void *context)
{
    (void)text;
    (void)size;
    (void)is_for_writing;
    (void)context;
    return 0;
}

static BIO *open_text(const char *text)
{
    const size_t length = strlen(text);

    return length > INT32_MAX ? NULL : BIO_new_mem_buf(text, (int)length);
}

/* What has gone wrong since the errors were cleared, and clears them: -ENOMEM, -EINVAL, or 0 if a
 * text has just come to its end, which is an error to OpenSSL. */
static int why_it_ended(void)
{
    int error = 0;

    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            error = -ENOMEM;
        else if (error == 0 &&
                 (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE))
            error = -EINVAL;
    }
    return error;
}

/* The same where something is missing that has to be there. */
static int why_it_is_missing(void)
{
    const int error = why_it_ended();

    return error != 0 ? error : -EINVAL;
}

static int use_certificate(SSL_CTX *context, const char *text)
{
    BIO *const bio = open_text(text);
    X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_password, NULL);
    bool is_good = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;

    X509_free(certificate);
    while (is_good && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        is_good = SSL_CTX_add1_chain_cert(context, certificate) == 1;
        X509_free(certificate);
    }
    BIO_free(bio);
    return is_good ? why_it_ended() : why_it_is_missing();
}

static int use_key(SSL_CTX *context, const char *text)
{
    BIO *const bio = open_text(text);
    EVP_PKEY *const key =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    const bool is_good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                         SSL_CTX_check_private_key(context) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    if (!is_good)
        return why_it_is_missing();
    ERR_clear_error();
    return 0;
}

/* A server tells clients their names, so that they find the certificate that is meant. */
static int trust(SSL_CTX *context, const char *text)
{
    X509_STORE *const store = SSL_CTX_get_cert_store(context);
    BIO *const bio = open_text(text);
    X509 *certificate;
    bool is_good = bio != NULL;
    uint32_t count = 0;

    while (is_good && (certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        is_good = X509_STORE_add_cert(store, certificate) == 1 &&
                  SSL_CTX_add_client_CA(context, certificate) == 1;
        X509_free(certificate);
        count += is_good;
    }
    BIO_free(bio);
    return is_good && count > 0 ? why_it_ended() : why_it_is_missing();
}

/* ---- callbacks of handshakes ----------------------------------------------------------------- */

/* OpenSSL takes over the certificate of the chosen one, and not whether it asks clients for theirs.
 * Nor does it look at the name before it resumes a session: one that was agreed with somebody who
 * trusts others, or who does not ask, is no proof of who the client is. */
static bool take_over(SSL *ssl, const struct vine_tls *tls, struct vine_tls *chosen)
{
    const bool trusts_others = memcmp(chosen->id, tls->id, sizeof(tls->id)) != 0;
    SSL_SESSION *const session = SSL_get_session(ssl);

    if (trusts_others &&
        (SSL_session_reused(ssl) || session == NULL ||
         SSL_SESSION_set1_id_context(session, chosen->id, sizeof(chosen->id)) != 1))
        return false;

    SSL_CTX *const context = vine__tls_context(chosen);

    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), NULL);
    if (chosen->has_no_tickets) {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        (void)SSL_set_num_tickets(ssl, 0);
    }

    const bool is_good = SSL_set_SSL_CTX(ssl, context) != NULL;

    SSL_CTX_free(context);
    return is_good;
}

static int choose_by_name(SSL *ssl, int *ret_alert, void *context)
{
    const struct vine_tls *const tls = context;
    struct tls_connection *const connection = SSL_get_app_data(ssl);
    const char *const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    struct vine_tls *chosen = NULL;

    if (name != NULL && tls->choose(tls->choose_context, name, &chosen) != 0)
        chosen = NULL;
    /* Who is asked for another hello may not change its name (RFC 8446, 4.1.2): what was taken over
     * for the first one would go on to hold. */
    if (connection->has_chosen && chosen != connection->chosen) {
        *ret_alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (chosen != NULL) {
        /* Its callbacks look at it, and its owner may destroy it meanwhile. */
        if (!connection->has_chosen)
            vine__tls_ref(chosen);
        connection->has_chosen = true;
        connection->chosen = chosen;
        if (take_over(ssl, tls, chosen))
            return SSL_TLSEXT_ERR_OK;
        *ret_alert = SSL_AD_ACCESS_DENIED;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    connection->has_chosen = true;
    if (!tls->refuses_other_names)
        return SSL_TLSEXT_ERR_NOACK;
    *ret_alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_protocol, unsigned char *ret_size,
                           const unsigned char *offered, unsigned int offered_bytes, void *context)
{
    const struct vine_tls *const tls = context;
    unsigned char *chosen = NULL;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_size, tls->protocols, tls->protocols_bytes, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_protocol = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A server has given our client a session. Returns 1: it is ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_connection *const connection = SSL_get_app_data(ssl);

    if (connection->name == NULL)
        return 0;
    vine__tls_remember(connection->tls, connection->name, session);
    return 1;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static int set_up_server(const struct vine_tls *tls, SSL_CTX *context)
{
    (void)pthread_once(&ticket_key_once, make_ticket_key);
    if (!has_ticket_key ||
        SSL_CTX_set_tlsext_ticket_keys(context, ticket_key, sizeof(ticket_key)) != 1 ||
        SSL_CTX_set_session_id_context(context, tls->id, sizeof(tls->id)) != 1)
        return -ENOMEM;
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets remember */
    if (tls->choose != NULL) {
        SSL_CTX_set_tlsext_servername_callback(context, choose_by_name);
        SSL_CTX_set_tlsext_servername_arg(context, (void *)(uintptr_t)tls);
    }
    if (tls->protocols != NULL)
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, (void *)(uintptr_t)tls);
    if (tls->authorities != NULL)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static int set_up_client(const struct vine_tls *tls, SSL_CTX *context)
{
    if (!tls->is_unverified)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (!tls->is_unverified && tls->authorities == NULL &&
        SSL_CTX_set_default_verify_paths(context) != 1)
        return why_it_is_missing();
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    if (tls->protocols != NULL &&
        SSL_CTX_set_alpn_protos(context, tls->protocols, tls->protocols_bytes) != 0)
        return -ENOMEM;
    return 0;
}

static int make_context(const struct vine_tls *tls, const char *certificate, const char *key,
                        SSL_CTX **ret_context)
{
    int error = 0;

    ERR_clear_error();

    SSL_CTX *const context = SSL_CTX_new(TLS_method());

    if (context == NULL)
        return -ENOMEM;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        error = -EINVAL;
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (tls->has_no_tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        (void)SSL_CTX_set_num_tickets(context, 0);
    }
    if (error == 0 && certificate != NULL)
        error = use_certificate(context, certificate);
    if (error == 0 && key != NULL)
        error = use_key(context, key);
    if (error == 0 && tls->authorities != NULL)
        error = trust(context, tls->authorities);
    if (error == 0)
        error = tls->is_server ? set_up_server(tls, context) : set_up_client(tls, context);
    ERR_clear_error();
    if (error != 0)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    return error;
}

/* As they go over the wire: each with its length before it. */
static int set_protocols(struct vine_tls *tls, const char *const *protocols)
{
    size_t size = 0;

    for (size_t i = 0; protocols[i] != NULL; i++) {
        const size_t length = strlen(protocols[i]);

        if (length == 0 || length >= VINE_TLS_WHY_BYTES)
            return -EINVAL;
        size += 1 + length;
    }
    if (size == 0 || size > UINT16_MAX)
        return -EINVAL;
    tls->protocols = malloc(size);
    if (tls->protocols == NULL)
        return -ENOMEM;
    for (size_t i = 0; protocols[i] != NULL; i++) {
        const size_t length = strlen(protocols[i]);

        tls->protocols[tls->protocols_bytes] = (unsigned char)length;
        memcpy(tls->protocols + tls->protocols_bytes + 1, protocols[i], length);
        tls->protocols_bytes += (uint32_t)(1 + length);
    }
    return 0;
}

/* Tickets are sealed with one key on all cores and for all servers of a process. */
static int set_id(struct vine_tls *tls)
{
    const char *const text = tls->authorities != NULL ? tls->authorities : "";

    VINE_STATIC_ASSERT(TLS_ID_BYTES <= SSL_MAX_SID_CTX_LENGTH, "what OpenSSL compares");
    return EVP_Digest(text, strlen(text), tls->id, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

/* ---- life ------------------------------------------------------------------------------------ */

SSL_CTX *vine__tls_context(struct vine_tls *tls)
{
    SSL_CTX *context;

    pthread_mutex_lock(&tls->lock);
    context = tls->context;
    (void)SSL_CTX_up_ref(context);
    pthread_mutex_unlock(&tls->lock);
    return context;
}

void vine__tls_ref(struct vine_tls *tls)
{
    (void)vine__fetch_add_relaxed_u32(&tls->references, 1);
}

/* Acquire and release: the last one sees what the others did with it. */
void vine__tls_unref(struct vine_tls *tls)
{
    if (vine__fetch_sub_acq_rel_u32(&tls->references, 1) != 1)
        return;
    for (uint32_t i = 0; i < TLS_SESSIONS; i++)
        SSL_SESSION_free(tls->sessions[i].session);
    SSL_CTX_free(tls->context);
    free(tls->authorities);
    free(tls->protocols);
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls);
}

void vine_tls_destroy(struct vine_tls *tls)
{
    if (tls != NULL)
        vine__tls_unref(tls);
}

int vine_tls_create(const struct vine_tls_options *options, struct vine_tls **ret_tls)
{
    struct vine_tls_options wish = {0};
    struct vine_tls *tls;
    int error = 0;

    if (options->size_bytes < sizeof(size_t) || options->size_bytes > sizeof(wish))
        return -EINVAL;
    memcpy(&wish, options, options->size_bytes);
    if ((wish.certificate == NULL) != (wish.key == NULL) ||
        (wish.is_server && wish.certificate == NULL))
        return -EINVAL;
    tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        return -ENOMEM;
    tls->references = 1;
    (void)pthread_mutex_init(&tls->lock, NULL);
    tls->is_server = wish.is_server;
    tls->is_unverified = wish.is_unverified;
    tls->refuses_other_names = wish.refuses_other_names;
    tls->has_no_tickets = wish.has_no_tickets;
    tls->choose = wish.choose;
    tls->choose_context = wish.choose_context;
    if (wish.authorities != NULL && (tls->authorities = strdup(wish.authorities)) == NULL)
        error = -ENOMEM;
    if (error == 0)
        error = set_id(tls);
    if (error == 0 && wish.protocols != NULL)
        error = set_protocols(tls, wish.protocols);
    if (error == 0)
        error = make_context(tls, wish.certificate, wish.key, &tls->context);
    if (error != 0)
        vine__tls_unref(tls);
    else
        *ret_tls = tls;
    return error;
}

int vine_tls_reload(struct vine_tls *tls, const char *certificate, const char *key)
{
    SSL_CTX *context, *old;
    int error;

    if (certificate == NULL || key == NULL)
        return -EINVAL;
    error = make_context(tls, certificate, key, &context);
    if (error != 0)
        return error;
    pthread_mutex_lock(&tls->lock);
    old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    return 0;
}

/* ---- sessions of clients --------------------------------------------------------------------- */

SSL_SESSION *vine__tls_session(struct vine_tls *tls, const char *name)
{
    for (uint32_t i = 0; i < TLS_SESSIONS; i++)
        if (tls->sessions[i].session != NULL && strcmp(tls->sessions[i].name, name) == 0)
            return tls->sessions[i].session;
    return NULL;
}

void vine__tls_remember(struct vine_tls *tls, const char *name, SSL_SESSION *session)
{
    uint32_t place = tls->next_session % TLS_SESSIONS;

    for (uint32_t i = 0; i < TLS_SESSIONS; i++)
        if (tls->sessions[i].session != NULL && strcmp(tls->sessions[i].name, name) == 0)
            place = i;
    if (place == tls->next_session % TLS_SESSIONS)
        tls->next_session++;
    SSL_SESSION_free(tls->sessions[place].session);
    tls->sessions[place].session = session;
    memcpy(tls->sessions[place].name, name, strlen(name) + 1);
}
