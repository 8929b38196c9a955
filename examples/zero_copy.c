/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zero_copy.c - fill data where the appliance reads it, look at the result where it wrote it.
 *
 *     cc zero_copy.c -lvine -o zero_copy && ./zero_copy [ADDRESS]
 *
 * The input lies in our half of the pipe and the output in the appliance's; nobody on our side
 * copies a byte. What lies in the appliance's half may change under us: here each byte is read
 * once.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vine/vine.h>

#define SIZE (1u << 20)

static int run(struct vine_pipe *pipe)
{
    struct vine_procedure *copy = NULL;
    struct vine_data *input = NULL, *output = NULL;
    struct vine_pipe_stats before, after;
    int error = vine_procedure_get(pipe, "copy", &copy);

    if (error == 0)
        error = vine_data_create(pipe, VINE_TYPE_BYTES, SIZE, &input);
    if (error == 0)
        error = vine_data_expect(pipe, VINE_TYPE_BYTES, SIZE, &output);
    if (error == 0) {
        const struct vine_task_options options = {
            .size_bytes = sizeof(options),
            .inputs = &input,
            .input_count = 1,
            .outputs = &output,
            .output_count = 1,
        };

        vine_pipe_get_stats(pipe, &before);
        memset(vine_data_map(input), 'v', SIZE); /* in place */
        error = vine_task_run(pipe, copy, &options, VINE_FOREVER, NULL, NULL);
    }
    if (error == 0) {
        const uint8_t *result = vine_data_view(output); /* in place, too */
        const uint64_t size = vine_data_size(output);
        uint64_t count = 0;

        for (uint64_t i = 0; i < size; i++)
            count += result[i] == 'v';
        error = vine_data_check(output); /* it was there all the while */
        vine_pipe_get_stats(pipe, &after);
        printf("%llu of %u bytes came back, %llu were copied on our side\n",
               (unsigned long long)count, SIZE,
               (unsigned long long)(after.bytes_copied - before.bytes_copied));
    }
    vine_data_free(output);
    vine_data_free(input);
    return error;
}

int main(int argc, char **argv)
{
    struct vine_pipe *pipe = NULL;
    int error;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: zero_copy [ADDRESS]\n");
        return 2;
    }
    error = vine_pipe_open(argc > 1 ? argv[1] : NULL, NULL, &pipe);
    if (error == 0)
        error = run(pipe);
    if (error < 0)
        fprintf(stderr, "zero_copy: %s: %s\n", argc > 1 ? argv[1] : "the default appliance",
                vine_error_text(error));
    vine_pipe_close(pipe);
    return error < 0;
}
