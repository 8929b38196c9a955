/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets that a supervisor keeps: those that systemd passes, and those that it opens. */
#include "core/supervise/supervise_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/net/socket.h"

#define BACKLOG    4096
#define LOCAL_MODE 0600

static struct listening *next_of(struct listeners *listeners)
{
    if (listeners->count == VINE_SUPERVISE_LISTENERS_MAX) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "there can be %d sockets to listen on, and no more",
                 VINE_SUPERVISE_LISTENERS_MAX);
        return NULL;
    }
    listeners->all[listeners->count] = (struct listening){.fd = -1, .name = ""};
    return &listeners->all[listeners->count];
}

static void tell_where(const struct listening *listening)
{
    char text[VINE_ADDRESS_TEXT_BYTES];

    vine_address_print(&listening->address, text);
    vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "listening at %s%s%s", text,
             listening->is_own ? "" : ", passed as ",
             listening->is_own ? "" : (listening->name[0] != '\0' ? listening->name : "no name"));
}

/* ---- passed ---------------------------------------------------------------------------------- */

static int take_passed(struct listeners *listeners)
{
    const struct vine__socket_options as_it_is = {.gathers_small_writes = true};
    struct vine_inherited passed[VINE_SUPERVISE_LISTENERS_MAX];
    const uint32_t count =
        vine__inherited_take(passed, VINE_SUPERVISE_LISTENERS_MAX, &listeners->names);

    for (uint32_t i = 0; i < count; i++) {
        struct listening *const listening = next_of(listeners);

        if (listening == NULL)
            return EXIT_FAILED;
        int error = vine__socket_adopt_listener(passed[i].fd, &as_it_is);

        if (error == 0)
            error = vine__socket_get_address(passed[i].fd, &listening->address.any,
                                             sizeof(listening->address.local),
                                             &listening->address.size_bytes);
        if (error != 0) {
            vine_log(SUPERVISE_LOG, VINE_LOG_ERROR,
                     "descriptor %d, which was passed to us, is no socket that listens for "
                     "connections: %s",
                     passed[i].fd, vine_error_text(error));
            return EXIT_FAILED;
        }
        listening->fd = passed[i].fd;
        listening->name = passed[i].name;
        listeners->count++;
        tell_where(listening);
    }
    return 0;
}

/* ---- opened ---------------------------------------------------------------------------------- */

static int bind_and_listen(struct listening *listening)
{
    struct vine_address *const address = &listening->address;
    int error;

    if (address->any.sa_family == AF_UNIX)
        error =
            vine__socket_bind_local(listening->fd, &address->any, address->size_bytes, LOCAL_MODE);
    else
        error = vine__socket_bind(listening->fd, &address->any, address->size_bytes);
    if (error == 0)
        error = vine__socket_listen(listening->fd, BACKLOG);
    if (error == 0)
        error = vine__socket_get_address(listening->fd, &address->any, sizeof(address->local),
                                         &address->size_bytes);
    if (error == 0 && address->any.sa_family == AF_UNIX)
        vine__socket_identify(&address->any, &listening->device, &listening->inode);
    return error;
}

static int open_one(struct listeners *listeners, const char *text)
{
    const struct vine__socket_options plain = {.gathers_small_writes = true};
    struct listening *const listening = next_of(listeners);

    if (listening == NULL)
        return EXIT_FAILED;
    int error = vine_address_parse(text, &listening->address);

    if (error != 0) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR,
                 "'%s' is no address; right would be " VINE_ADDRESS_FORMS, text);
        return EXIT_USAGE;
    }
    error =
        vine__socket_create(listening->address.any.sa_family, SOCK_STREAM, &plain, &listening->fd);
    if (error == 0) {
        listening->is_own = true;
        listeners->count++;
        error = bind_and_listen(listening);
    }
    if (error != 0) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "cannot listen at %s: %s", text,
                 vine_error_text(error));
        return EXIT_FAILED;
    }
    tell_where(listening);
    return 0;
}

int vine__listeners_open(struct listeners *listeners, const struct vine_supervise_options *options)
{
    int code = take_passed(listeners);

    for (size_t i = 0; code == 0 && i < options->listen.count; i++)
        code = open_one(listeners, options->listen.texts[i]);
    if (code == 0 && listeners->count == 0 && options->listen_default != NULL)
        code = open_one(listeners, options->listen_default);
    if (code == 0 && listeners->count == 0) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "nobody says where to listen");
        code = EXIT_USAGE;
    }
    return code;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* What was passed to us goes on without us: who connects waits for those who come next. */
void vine__listeners_refuse_more(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        if (listeners->all[i].is_own)
            vine__socket_refuse_more(listeners->all[i].fd);
}

void vine__listeners_close(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        const struct listening *const listening = &listeners->all[i];

        if (listening->is_own && listening->address.any.sa_family == AF_UNIX)
            vine__socket_unlink(&listening->address.any, listening->device, listening->inode);
        vine__socket_close(listening->fd);
    }
    free(listeners->names);
    *listeners = (struct listeners){.count = 0};
}
