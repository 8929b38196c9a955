/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coroutine_appliance.c - an appliance whose procedures are coroutines: straight-line C that waits
 * for its task's data, or for another server, while others are served. Each task, or session, has a
 * micro-process of its own, and its faults are its own.
 *
 *     coroutine_appliance --listen ./my.sock --store 127.0.0.1:6379 --isolate best
 *
 * `echo` writes what it reads. `lookup` answers a key with its value, which a server of keys and
 * values has that speaks RESP, such as `vine serve resp` or Redis.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/runtime.h>
#include <vine/serving.h>

static const char *store = "127.0.0.1:6379";

VINE_COROUTINE(echo)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

VINE_COROUTINE(lookup)
{
    struct {
        struct vine_socket *store;
        char key[4096];
        char line[64];
        ssize_t length;
        uint64_t size, moved;
    } *self;

    vine_begin();
    vine_deadline(5 * VINE_NS_PER_SECOND);
    vine_read_all(self->length, self->key, sizeof self->key);
    vine_connect(self->store, store);
    vine_writef_on(self->store, "*2\r\n$3\r\nGET\r\n$%zd\r\n", self->length);
    vine_write_on(self->store, self->key, (size_t)self->length);
    vine_write_on(self->store, "\r\n", 2);
    vine_readline_on(self->store, self->length, self->line, sizeof self->line);
    if (self->length < 2 || self->line[0] != '$' || self->line[1] == '-')
        vine_raise(-VINE_EDATA); /* there is no such key, or it is no text */
    self->size = strtoull(self->line + 1, NULL, 10);
    vine_splice(self->moved, self->store, that->socket, self->size);
    vine_end();
}

static const struct vine_argument echo_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1U << 30},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1U << 30},
};
static const struct vine_argument lookup_arguments[] = {
    {"key", VINE_INPUT, VINE_TYPE_BYTES, 1, 4096},
    {"value", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1U << 20},
};

VINE_PROCEDURE(echo, .summary = "write what is read", .coroutine = VINE_COROUTINE_OF(echo),
               .arguments = echo_arguments, .argument_count = 2);
VINE_PROCEDURE(lookup, .summary = "the value of a key", .coroutine = VINE_COROUTINE_OF(lookup),
               .arguments = lookup_arguments, .argument_count = 2);

/* ---- the appliance --------------------------------------------------------------------------- */

static const char *address;
static uint64_t isolation;

static int begin(int argc, char **argv)
{
    const struct vine_service_options coroutines = {.size_bytes = sizeof(coroutines),
                                                    .isolation = (uint8_t)isolation};
    const struct vine_serving_options options = {.size_bytes = sizeof(options),
                                                 .coroutines = &coroutines};
    static struct vine_serving *serving;
    int error;

    (void)argc, (void)argv;
    error = vine_serving_create(&options, &serving);
    if (error == 0)
        error = vine_appliance_register(vine_serving_appliance(serving), &vine_procedure_echo);
    if (error == 0)
        error = vine_appliance_register(vine_serving_appliance(serving), &vine_procedure_lookup);
    if (error == 0)
        error = vine_serving_start(serving, address);
    if (error != 0) {
        fprintf(stderr, "coroutine_appliance: %s\n", vine_error_text(error));
        return 1;
    }
    fprintf(stderr, "coroutine_appliance: serving at %s\n",
            vine_appliance_address(vine_serving_appliance(serving)));
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {
        {"listen", VINE_OPTION_TEXT, &address, "ADDRESS", NULL, NULL, NULL,
         "where applications find it; `default` if nothing says"},
        {"store", VINE_OPTION_TEXT, &store, "ADDRESS", "127.0.0.1:6379", NULL, NULL,
         "where the server of keys and values listens"},
        {"isolate", VINE_OPTION_CHOICE, &isolation, "best|pku|mprotect|none", "best", NULL, NULL,
         "what keeps tasks from each other's memory"},
    };
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "an appliance whose procedures are coroutines",
        .options = own,
        .option_count = sizeof(own) / sizeof(own[0]),
    };

    return vine_main(argc, argv, &options, begin);
}
