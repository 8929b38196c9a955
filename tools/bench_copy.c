/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_copy.c - 1 MiB: copied in and out of a pipe against memcpy, and used in place against the
 * same work done here.
 */
#include <errno.h>
#include <isa-l/crc.h>
#include <string.h>

#include "utils/atomic.h"

#include "bench.h"
#include "human.h"

/* Runs `step` until the budget is used; the value is bytes a second. */
#define REPEAT(step)                                                                               \
    const uint64_t begin = human_now_ns();                                                         \
    uint64_t count = 0, now;                                                                       \
    int error = 0;                                                                                 \
    do {                                                                                           \
        step;                                                                                      \
        count++;                                                                                   \
        now = human_now_ns();                                                                      \
    } while (error == 0 && now - begin < budget_ns);                                               \
    ret_sample->value = (double)count * BENCH_COPY_BYTES * 1e9 / (double)(now - begin)

int bench_memcpy(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    REPEAT({
        memcpy(bench->other, bench->bytes, BENCH_COPY_BYTES);
        vine__compiler_barrier(); /* so that it is not left out */
    });
    return error;
}

int bench_copied(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct vine_data *data;
    const int created = vine_data_create(bench->pipe, VINE_TYPE_BYTES, BENCH_COPY_BYTES, &data);

    if (created < 0)
        return created;
    REPEAT(error = vine_data_write(data, 0, bench->bytes, BENCH_COPY_BYTES));
    vine_data_free(data);
    return error;
}

int bench_crc_here(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    uint32_t sum = 0;

    REPEAT(sum = crc32_gzip_refl(sum, bench->bytes, BENCH_COPY_BYTES));
    return error != 0 || sum == 1 ? -EIO : 0; /* the sum is looked at, so it is made */
}

static int run_in_place(struct bench *bench, struct vine_data *data)
{
    unsigned char sum[4];
    size_t size = sizeof(sum);
    const struct vine_task_options options = {
        .size_bytes = sizeof(options), .inputs = &data, .input_count = 1};

    return vine_task_run(bench->pipe, bench->crc32, &options, VINE_NS_PER_SECOND, sum, &size);
}

int bench_in_place(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample)
{
    struct vine_pipe_stats before, after;
    struct vine_data *data;
    const int created = vine_data_create(bench->pipe, VINE_TYPE_BYTES, BENCH_COPY_BYTES, &data);

    if (created < 0)
        return created;
    memcpy(vine_data_map(data), bench->bytes, BENCH_COPY_BYTES);
    vine_pipe_get_stats(bench->pipe, &before);
    REPEAT(error = run_in_place(bench, data));
    vine_pipe_get_stats(bench->pipe, &after);
    bench->copied += after.bytes_copied - before.bytes_copied;
    vine_data_free(data);
    return error;
}
