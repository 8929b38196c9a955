/* SPDX-License-Identifier: Apache-2.0 */
#include "on_reactors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/runtime.h>
#include <vine/service.h>
#include <vine/serving.h>

#include "../tools/message.h"
#include "../tools/server.h"
#include "../tools/status.h"

#include "ending.h"

#define HEAP_BYTES_MIN 4096U
#define HEAP_BYTES_MAX (8U << 20)

/* The process's only one. */
static struct {
    struct server server;
    struct vine_serving *serving;
    struct vine_service_options coroutines;
    uint32_t workers;
    bool pipes_stay;
    int error; /* that ends it */
    bool has_begun;
} own;

/* ---- it serves: on core 0 -------------------------------------------------------------------- */

static int tell_and_close(int error)
{
    server_unwatch(&own.server);
    ending_end();
    const int status = server_tell_end(&own.server, error);

    vine_serving_destroy(own.serving);
    own.serving = NULL;
    server_close(&own.server);
    return status;
}

static void be_ended(void *context, struct vine_serving *serving)
{
    (void)context;
    (void)serving;
    server_unwatch(&own.server);
    server_say_what_was_done(&own.server);
    vine_stop(tell_and_close(own.error));
}

static int make(void)
{
    struct vine_appliance_options appliance_options;
    const struct vine_serving_options options = {
        .size_bytes = sizeof options,
        .appliance = &appliance_options,
        .worker_count = own.workers,
        .ended = be_ended,
        .coroutines = &own.coroutines,
        .takes_over = own.server.options->takes_over,
        .pipes_stay = own.pipes_stay,
    };

    server_appliance_options(&own.server, &appliance_options);
    const int error = vine_serving_create(&options, &own.serving);
    if (error == -EOPNOTSUPP)
        message_error("--isolate: %s", vine_isolation_why());
    else if (error < 0)
        message_error("cannot make an appliance: %s", vine_error_text(error));
    return error;
}

static int begin(int argc, char **argv)
{
    (void)argc, (void)argv;
    own.has_begun = true;
    int error = make();
    if (error == 0)
        error = server_offer(&own.server, vine_serving_appliance(own.serving));
    if (error == 0) /* logs why not */
        error = vine_serving_start(own.serving, own.server.options->address);
    if (error < 0)
        return tell_and_close(error);
    own.error = ending_begin(&own.server);
    if (own.error == 0)
        own.error = server_watch(&own.server);
    if (own.error == 0) {
        server_say_ready(&own.server, own.workers, vine_core_count());
    } else {
        message_error("cannot start a thread: %s", strerror(-own.error));
        vine_appliance_stop(own.server.appliance);
    }
    return VINE_MAIN_GOES_ON;
}

/* ---- its options: before there is a core ----------------------------------------------------- */

static bool is_given(const struct arguments *arguments, const char *name)
{
    for (size_t i = 0; i < arguments->verb->option_count; i++)
        if (strcmp(arguments->verb->options[i].name, name) == 0)
            return (arguments->given & 1ULL << i) != 0;
    return false;
}

static int take_isolation(const char *word)
{
    static const char *const words[] = {
        [VINE_ISOLATE_BEST] = "best",
        [VINE_ISOLATE_PKU] = "pku",
        [VINE_ISOLATE_MPROTECT] = "mprotect",
        [VINE_ISOLATE_NONE] = "none",
    };
    char why[VINE_SERVICE_WHY_BYTES];

    for (uint8_t i = 0; word != NULL && i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i]) == 0) {
            own.coroutines.isolation = i;
            word = NULL;
        }
    if (word != NULL) {
        message_error("--isolate takes one of best, pku, mprotect and none, not '%s'",
                      message_escape(word));
        return STATUS_USAGE;
    }
    if (vine_isolation_check((enum vine_isolation)own.coroutines.isolation, why) == 0)
        return STATUS_DONE;
    message_error("--isolate pku: %s", why);
    return STATUS_USAGE;
}

static int take_coroutines(const struct arguments *arguments)
{
    const struct appliance_values *const values = arguments->values;

    own.coroutines = (struct vine_service_options){.size_bytes = sizeof own.coroutines};
    if (is_given(arguments, "heap")) {
        if (values->heap_bytes < HEAP_BYTES_MIN || values->heap_bytes > HEAP_BYTES_MAX ||
            (values->heap_bytes & (values->heap_bytes - 1)) != 0) {
            message_error("--heap takes a power of two from 4K to 8M, as 64K");
            return STATUS_USAGE;
        }
        own.coroutines.heap_bytes = (uint32_t)values->heap_bytes;
    }
    if (is_given(arguments, "run-limit"))
        own.coroutines.run_ns = values->run_ms != 0 ? values->run_ms * 1000000 : VINE_FOREVER;
    return take_isolation(values->isolate);
}

/* The runtime reads its options itself: "--NAME=VALUE" for each that was given. Returns how many
 * words there are, or 0: no memory. */
static size_t make_line(const struct arguments *arguments, char **ret_line)
{
    const struct appliance_values *const values = arguments->values;
    const struct option *const options = arguments->verb->options;
    const size_t first = arguments->verb->option_count - APPLIANCE_REACTOR_COUNT;
    size_t count = 0;
    int length = 0;

    ret_line[count++] = strdup("vine appliance");
    if (is_given(arguments, "spin"))
        length = asprintf(&ret_line[count++], "--idle-poll-time-us=%llu.%03llu",
                          (unsigned long long)values->spin_ns / 1000,
                          (unsigned long long)values->spin_ns % 1000);
    for (size_t i = 0; i < APPLIANCE_REACTOR_COUNT && length >= 0; i++) {
        if (values->reactor_flags[i])
            length = asprintf(&ret_line[count++], "--%s", options[first + i].name);
        for (size_t k = 0; k < values->reactors[i].count && length >= 0; k++)
            length = asprintf(&ret_line[count++], "--%s=%s", options[first + i].name,
                              values->reactors[i].texts[k]);
    }
    ret_line[count] = NULL;
    return length < 0 || ret_line[0] == NULL ? 0 : count;
}

int serve_on_reactors(const struct appliance *appliance, const struct arguments *arguments)
{
    const struct vine_options options = {
        .size_bytes = sizeof options,
        .name = "vine appliance",
        .defaults = arguments->verb->wishes,
    };
    char **const line = calloc((size_t)arguments->line_count + 4, sizeof *line);
    const size_t count = line != NULL ? make_line(arguments, line) : 0;
    int status = take_coroutines(arguments);

    if (count == 0) {
        message_error("out of memory");
        status = STATUS_FAILED;
    }
    if (status == STATUS_DONE)
        status = server_init(&own.server, &appliance->serve);
    if (status == STATUS_DONE) {
        own.pipes_stay = appliance->pipes_stay;
        own.workers = server_workers(&appliance->serve); /* before the first core is bound */
        status = vine_main((int)count, line, &options, begin);
        if (!own.has_begun)
            server_close(&own.server);
    }
    for (size_t i = 0; i < count; i++)
        free(line[i]);
    free(line);
    return status;
}
