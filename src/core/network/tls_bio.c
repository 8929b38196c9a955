/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between OpenSSL and the connection below: it reads what came, where it lies, and writes into
 * memory that grows.
 */
#include "core/network/tls_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *bytes, size_t size, size_t *ret_size)
{
    struct tls_connection *const connection = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (connection->in_size == 0) {
        if (!connection->has_below_ended)
            BIO_set_retry_read(bio);
        return 0;
    }
    size = size < connection->in_size ? size : connection->in_size;
    memcpy(bytes, connection->in, size);
    connection->in += size;
    connection->in_size -= size;
    *ret_size = size;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *ret_size)
{
    struct tls_connection *const connection = BIO_get_data(bio);
    const size_t needed = connection->out_size + size;

    BIO_clear_retry_flags(bio);
    if (needed > connection->out_room) {
        const size_t room = needed < 2 * connection->out_room ? 2 * connection->out_room : needed;
        unsigned char *const out = realloc(connection->out, room);

        if (out == NULL)
            return 0;
        connection->out = out;
        connection->out_room = room;
    }
    memcpy(connection->out + connection->out_size, bytes, size);
    connection->out_size = needed;
    *ret_size = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_connection *const connection = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return connection->has_below_ended && connection->in_size == 0;
    default:
        return 0;
    }
}

static void make_method(void)
{
    BIO_METHOD *const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vine");

    if (made == NULL)
        return;
    if (BIO_meth_set_read_ex(made, bio_read) == 1 && BIO_meth_set_write_ex(made, bio_write) == 1 &&
        BIO_meth_set_ctrl(made, bio_control) == 1)
        method = made;
    else
        BIO_meth_free(made);
}

int vine__tls_attach(struct tls_connection *connection)
{
    BIO *bio;

    /* One for the process, which OpenSSL keeps reading from all cores. */
    (void)pthread_once(&method_once, make_method);
    bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL)
        return -ENOMEM;
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(connection->ssl, bio, bio);
    return 0;
}
