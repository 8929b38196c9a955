/* SPDX-License-Identifier: Apache-2.0 */
/*
 * my_appliance.c - an appliance with a procedure of one's own: rot13.
 *
 *     cc my_appliance.c -lvine -lpthread -o my_appliance && ./my_appliance ./my.sock
 *
 * It serves until SIGTERM or SIGINT and then lets the tasks that it took end. This thread is the
 * loop, two others do the work. my_library.c shows the same for `vine appliance`.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include <vine/vine.h>

#define WORKERS    2
#define TEXT_BYTES (16u << 20)

static struct vine_appliance *appliance;

static int rot13(struct vine_call *call)
{
    size_t size, room;
    const uint8_t *input = vine_call_bytes(call, 0, &size);
    uint8_t *output = vine_call_output(call, 1, &room);

    if (size > room)
        return -VINE_EOVERFLOW;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = input[i]; /* may change: read once */
        const uint8_t lower = byte | 0x20;
        const int is_letter = lower >= 'a' && lower <= 'z';

        output[i] = (uint8_t)(!is_letter ? byte : lower < 'n' ? byte + 13 : byte - 13);
    }
    return vine_call_output_size(call, 1, size);
}

static const struct vine_argument rot13_arguments[] = {
    {"text", VINE_INPUT, VINE_TYPE_BYTES, 0, TEXT_BYTES},
    {"rotated", VINE_OUTPUT, VINE_TYPE_BYTES, 0, TEXT_BYTES},
};

static const struct vine_procedure_definition rot13_definition = {
    .size_bytes = sizeof(rot13_definition),
    .name = "rot13",
    .summary = "rotate letters by 13",
    .flags = VINE_ARGUMENTS_SHARED, /* every byte of the input is read once */
    .arguments = rot13_arguments,
    .argument_count = 2,
    .run = rot13,
};

static void on_signal(int number)
{
    (void)number;
    vine_appliance_stop(appliance);
}

static void *work(void *context)
{
    (void)context;
    vine_appliance_work(appliance);
    return NULL;
}

static void log_line(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    if (level <= VINE_LOG_WARNING)
        fprintf(stderr, "my_appliance: %s\n", message);
}

int main(int argc, char **argv)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof(options), .log = log_line};
    pthread_t threads[WORKERS];
    unsigned started = 0;
    int error;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: my_appliance [ADDRESS]\n");
        return 2;
    }
    error = vine_appliance_create(&options, &appliance);
    if (error == 0)
        error = vine_appliance_register(appliance, &rot13_definition);
    if (error == 0)
        error = vine_appliance_listen(appliance, argc > 1 ? argv[1] : NULL);
    if (error == 0) {
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        fprintf(stderr, "my_appliance: serving at %s\n", vine_appliance_address(appliance));
        while (started < WORKERS && pthread_create(&threads[started], NULL, work, NULL) == 0)
            started++;
        error = vine_appliance_serve(appliance);
        vine_appliance_stop(appliance); /* for the workers, should the loop have failed */
    }
    while (started > 0)
        pthread_join(threads[--started], NULL);
    if (error < 0)
        fprintf(stderr, "my_appliance: %s\n", vine_error_text(error));
    vine_appliance_destroy(appliance);
    return error < 0;
}
