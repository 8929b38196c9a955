/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_appliance.c - an appliance that has another one do a part of its work: its handlers are
 * coroutines, which await what that one does, while other tasks are served.
 *
 *     vine appliance --listen ./next.sock &
 *     chain_appliance --next ./next.sock --listen ./my.sock
 *
 * `hash_lines` answers each line of its input by its SHA-256, each of them a task over there.
 * `relay` is a stream to the other one's procedure `echo`, and what comes back: bytes go from pipe
 * to pipe, as they come, and a slow reader at the one end holds up the writer at the other.
 */
#include <stdio.h>

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/runtime.h>
#include <vine/serving.h>

static struct vine_remote next;

VINE_COROUTINE(hash_lines)
{
    struct {
        char line[1024];
        unsigned char digest[32];
        ssize_t length;
        size_t size, at;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->line, sizeof self->line);
        if (self->length == 0)
            break;
        vine_await(self->size, next, "sha256", .input = self->line,
                   .input_bytes = (size_t)self->length, .output = self->digest,
                   .output_max = sizeof self->digest);
        for (self->at = 0; self->at < self->size; self->at++)
            vine_writef("%02x", self->digest[self->at]);
        vine_write("\n", 1);
    }
    vine_end();
}

VINE_COROUTINE(send_back)
{
    char *self;

    vine_begin();
    vine_forward(vine_argument(), that->socket);
    vine_end();
}

VINE_COROUTINE(relay)
{
    struct {
        struct vine_socket *next;
        struct vine_coroutine *back;
    } *self;

    vine_begin();
    vine_connect_remote(self->next, next, "echo");
    vine_child(send_back, self->next, self->back);
    vine_forward(that->socket, self->next);
    vine_close_output_on(self->next);
    vine_join(self->back);
    vine_end();
}

static const struct vine_argument arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1U << 30},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1U << 30},
};

VINE_PROCEDURE(hash_lines, .summary = "the hash of each line",
               .coroutine = VINE_COROUTINE_OF(hash_lines), .arguments = arguments,
               .argument_count = 2);
VINE_PROCEDURE(relay, .summary = "what the next one's echo says",
               .coroutine = VINE_COROUTINE_OF(relay), .arguments = arguments, .argument_count = 2);

/* ---- the appliance --------------------------------------------------------------------------- */

static const char *address, *next_address;

static int begin(int argc, char **argv)
{
    const struct vine_service_options coroutines = {.size_bytes = sizeof(coroutines)};
    const struct vine_serving_options options = {.size_bytes = sizeof(options),
                                                 .coroutines = &coroutines};
    static struct vine_serving *serving;
    int error;

    (void)argc, (void)argv;
    error = vine_remote_add(next_address, &next);
    if (error == 0)
        error = vine_serving_create(&options, &serving);
    if (error == 0)
        error =
            vine_appliance_register(vine_serving_appliance(serving), &vine_procedure_hash_lines);
    if (error == 0)
        error = vine_appliance_register(vine_serving_appliance(serving), &vine_procedure_relay);
    if (error == 0)
        error = vine_serving_start(serving, address);
    if (error != 0) {
        fprintf(stderr, "chain_appliance: %s\n", vine_error_text(error));
        return 1;
    }
    fprintf(stderr, "chain_appliance: serving at %s\n",
            vine_appliance_address(vine_serving_appliance(serving)));
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {
        {"listen", VINE_OPTION_TEXT, &address, "ADDRESS", NULL, NULL, NULL,
         "where applications find it; `default` if nothing says"},
        {"next", VINE_OPTION_TEXT, &next_address, "ADDRESS", NULL, NULL, NULL,
         "where the other appliance is"},
    };
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "an appliance that has another one do a part of its work",
        .options = own,
        .option_count = sizeof(own) / sizeof(own[0]),
    };

    return vine_main(argc, argv, &options, begin);
}
