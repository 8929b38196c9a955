/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_echo.c - `vine guest echo`: the other end of what `vine guest bench` measures a link
 * beside.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/cpu/cpu.h"
#include "utils/atomic.h"

#include "guest_wire.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "status.h"
#include "verb.h"

#define MESSAGE_MAX (16U << 20)
#define RUNG_NS     (2 * VINE_NS_PER_SECOND) /* a doorbell that is silent for so long is left */
#define UNRUNG_MAX  60                       /* of these, for the first ring */
#define AWAKE_NS    UINT64_C(100000000)      /* a line that moves is watched for so long */

struct echo_values {
    uint64_t tcp_port;
    const char *serial, *link, *bell;
    bool json;
};

static void answer_all(int fd)
{
    unsigned char *buffer = malloc(MESSAGE_MAX);

    while (buffer != NULL && guest_wire_answer(fd, buffer, MESSAGE_MAX) == 0)
        continue;
    free(buffer);
}

static void *serve_tcp(void *context)
{
    const struct echo_values *values = context;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)values->tcp_port),
    };
    const int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 1) != 0) {
        message_error("cannot listen at port %u: %m", (unsigned)values->tcp_port);
        return NULL;
    }
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return NULL;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        answer_all(fd);
        (void)close(fd);
    }
}

static void *serve_serial(void *context)
{
    const struct echo_values *values = context;
    const int fd = guest_wire_serial(values->serial);

    if (fd < 0) {
        message_error("no serial port %s: %s", message_escape(values->serial), vine_error_text(fd));
        return NULL;
    }
    /* Between two who use it, it reads as ended. */
    for (;;) {
        answer_all(fd);
        (void)poll(NULL, 0, 10);
    }
}

/* Bare memory: while it moves it has the processor, and else a look now and then. */
static void *serve_lines(void *context)
{
    const struct echo_values *values = context;
    struct guest_lines lines;
    uint64_t seen = 0, moved_ns = 0;

    if (guest_lines_open(values->link, &lines) != STATUS_DONE)
        return NULL;
    for (uint64_t looks = 0;; looks++) {
        const uint64_t value = vine__load_acquire_u64(lines.back);

        if (value != seen) {
            seen = value;
            vine__store_release_u64(lines.there, value);
            moved_ns = 0;
        } else if (looks % 1024 == 0) {
            const uint64_t now_ns = human_now_ns();

            if (moved_ns == 0)
                moved_ns = now_ns;
            if (now_ns - moved_ns > AWAKE_NS)
                (void)poll(NULL, 0, 50);
        }
        vine__cpu_relax();
    }
}

/* A doorbell belongs to one process: we leave it to an appliance when its time is over. */
static int serve_bell(const char *name)
{
    struct guest_bell bell;
    int error = 0;
    bool was_rung = false;

    if (guest_bell_open(name, &bell) != STATUS_DONE)
        return STATUS_FAILED;
    for (int silent = 0; error == 0 && silent < (was_rung ? 1 : UNRUNG_MAX);) {
        error = vine__doorbell_wait(bell.doorbell, bell.vector, RUNG_NS);
        if (error == -EAGAIN) {
            silent++;
            error = 0;
            continue;
        }
        was_rung = true;
        silent = 0;
        if (error == 0)
            error = vine__doorbell_ring(bell.doorbell, bell.peer, bell.peer_vector);
    }
    guest_bell_close(&bell);
    return error == 0 ? STATUS_DONE : STATUS_FAILED;
}

static int echo(const struct arguments *arguments)
{
    const struct echo_values *values = arguments->values;
    pthread_t threads[3];
    int count = 0;
    void *(*const servers[])(void *) = {
        values->tcp_port != 0 ? serve_tcp : NULL,
        values->serial != NULL ? serve_serial : NULL,
        values->link != NULL ? serve_lines : NULL,
    };

    for (int i = 0; i < 3; i++)
        if (servers[i] != NULL &&
            pthread_create(&threads[count], NULL, servers[i], arguments->values) == 0)
            count++;
    if (count == 0 && values->bell != NULL)
        return serve_bell(values->bell);
    if (count == 0) {
        message_error("nothing to answer at: --tcp, --serial, --link or --bell");
        return STATUS_USAGE;
    }
    if (values->json) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string("answering"));
        (void)json_print_line(object);
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    return STATUS_FAILED; /* they end when they cannot go on alone, and have said why */
}

#define VALUE(field) .offset = offsetof(struct echo_values, field)

static const struct option echo_options[] = {
    {.name = "tcp",
     .kind = OPTION_COUNT,
     VALUE(tcp_port),
     .value = "PORT",
     .min = 1,
     .max = 65535,
     .help = "answer TCP connections to this port, one at a time"},
    {.name = "serial",
     .kind = OPTION_TEXT,
     VALUE(serial),
     .value = "NAME",
     .help = "answer at the virtio-serial port of this name"},
    {.name = "link",
     .kind = OPTION_TEXT,
     VALUE(link),
     .value = "NAME",
     .help = "answer in the bare memory of this link, in which no appliance listens"},
    {.name = "bell",
     .kind = OPTION_TEXT,
     VALUE(bell),
     .value = "NAME",
     .help = "ring back at this link's doorbell, and end when it is silent; without the others"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object when it answers, and one when it cannot"},
};

#undef VALUE

static const char *const echo_description[] = {
    "Runs in one virtual machine until it is ended, so that `vine guest bench` in another one has "
    "what to measure a link beside.",
    NULL,
};

const struct verb verb_guest_echo = {
    .name = "guest echo",
    .synopsis = "",
    .description = echo_description,
    .options = echo_options,
    .option_count = sizeof(echo_options) / sizeof(echo_options[0]),
    .values_size = sizeof(struct echo_values),
    .run = echo,
};
