/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ten_line_echo.c - the shortest appliance with a coroutine: ten lines or so say what it does and
 * what it takes, the rest is the program around it.
 *
 *     ten_line_echo ./my.sock & vine run echo FILE -o out --appliance ./my.sock
 *
 * A task gets its input back, and a session (vine/stream.h) is answered while it goes on.
 */
#include <stdio.h>

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/runtime.h>
#include <vine/serving.h>

VINE_COROUTINE(echo)
{
    char *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

static const struct vine_argument echo_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1U << 30},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1U << 30},
};
VINE_PROCEDURE(echo, .coroutine = VINE_COROUTINE_OF(echo), .arguments = echo_arguments,
               .argument_count = 2);

/* ---- the program around it ------------------------------------------------------------------- */

static int begin(int argc, char **argv)
{
    const struct vine_service_options coroutines = {.size_bytes = sizeof(coroutines)};
    const struct vine_serving_options options = {.size_bytes = sizeof(options),
                                                 .coroutines = &coroutines};
    struct vine_serving *serving = NULL;
    int error = vine_serving_create(&options, &serving);

    if (error == 0)
        error = vine_appliance_register(vine_serving_appliance(serving), &vine_procedure_echo);
    if (error == 0)
        error = vine_serving_start(serving, argc > 1 ? argv[1] : NULL);
    if (error != 0) {
        fprintf(stderr, "ten_line_echo: %s\n", vine_error_text(error));
        return 1;
    }
    fprintf(stderr, "ten_line_echo: serving at %s\n",
            vine_appliance_address(vine_serving_appliance(serving)));
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_options options = {.size_bytes = sizeof(options),
                                         .summary = "an appliance that sends back what it gets",
                                         .operands = "[ADDRESS]"};

    return vine_main(argc, argv, &options, begin);
}
