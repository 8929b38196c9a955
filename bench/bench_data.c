/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data: 1 MiB in place, written, read, and copied by the appliance, beside memcpy; two small data
 * with a task; and how many copies are made on the way, as the library counts them.
 *
 *   bench_data [ROUNDS]    15 without
 */
#include "duet.h"
#include "serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_BYTES BENCH_LARGE_BYTES
#define SMALL_BYTES 64u

static struct bench_application application;
static struct vine_procedure *read_shared;
static struct vine_procedure *read_copied;
static struct vine_procedure *copy_own;
static struct vine_procedure *fill;
static struct vine_procedure *both;
static struct vine_data *large;  /* ours */
static struct vine_data *result; /* the appliance's, of the same size */
static unsigned char *private_memory;
static unsigned char *shared_memory;

/* Returns how long it ran over there. */
static uint64_t run(struct vine_procedure *procedure, struct vine_data *input,
                    struct vine_data *output)
{
    struct vine_task_stats stats;
    struct vine_task *task = NULL;
    const struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .inputs = &input,
        .input_count = input != NULL,
        .outputs = &output,
        .output_count = output != NULL,
    };

    bench_check(vine_task_issue(application.pipe, procedure, &options, &task), "issue");
    bench_check(vine_task_wait(task, VINE_FOREVER), "wait");
    vine_task_get_stats(task, &stats);
    vine_task_free(task);
    return stats.run_ns;
}

static struct vine_data *expect(size_t size_bytes)
{
    struct vine_data *data = NULL;

    bench_check(vine_data_expect(application.pipe, VINE_TYPE_BYTES, size_bytes, &data), "expect");
    return data;
}

static struct vine_data *create(size_t size_bytes)
{
    struct vine_data *data = NULL;

    bench_check(vine_data_create(application.pipe, VINE_TYPE_BYTES, size_bytes, &data), "create");
    return data;
}

static void open_all(const struct bench_serving *serving)
{
    bench_application_open(&application, serving, VINE_WAIT_STREAM, 0);
    read_shared = bench_application_procedure(&application, "read");
    read_copied = bench_application_procedure(&application, "copy");
    copy_own = bench_application_procedure(&application, "memcpy");
    fill = bench_application_procedure(&application, "fill");
    both = bench_application_procedure(&application, "both");
    large = create(LARGE_BYTES);
    memset(vine_data_map(large), 1, LARGE_BYTES);
    result = expect(LARGE_BYTES);
    run(fill, NULL, result);
    /* The same kind of pages as the halves have. */
    shared_memory = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    private_memory = aligned_alloc(4096, LARGE_BYTES);
    bench_require(shared_memory != MAP_FAILED && private_memory != NULL, "memory");
    memset(private_memory, 2, LARGE_BYTES);
}

/* ---- contests; the appliance follows --------------------------------------------------------- */

static void copy_in(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++) {
        memcpy(shared_memory, private_memory, LARGE_BYTES);
        __asm__ volatile("" : : "r"(shared_memory) : "memory");
    }
}

static void copy_out(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++) {
        memcpy(private_memory, shared_memory, LARGE_BYTES);
        __asm__ volatile("" : : "r"(private_memory) : "memory");
    }
}

static void write_large(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_data_write(large, 0, private_memory, LARGE_BYTES), "write");
}

static void read_large(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_data_read(result, 0, private_memory, LARGE_BYTES), "read");
}

/* The appliance's own time: how long it takes to wake the application is another matter. */
static void copy_of_its_own(struct duet *duet, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        duet->spent_ns += run(copy_own, NULL, NULL);
}

static void copy_over_there(struct duet *duet, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        duet->spent_ns += run(read_copied, large, NULL);
}

static void noops(struct duet *duet, uint64_t count)
{
    (void)duet;
    bench_noop_trips(&application, count);
}

static void input_in_place(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++)
        run(read_shared, large, NULL);
}

static void output_in_place(struct duet *duet, uint64_t count)
{
    (void)duet;
    for (uint64_t n = 0; n < count; n++) {
        struct vine_data *data = expect(LARGE_BYTES);

        run(fill, NULL, data);
        bench_require(vine_data_view(data) != NULL, "view");
        vine_data_free(data);
    }
}

static void small_data(struct duet *duet, uint64_t count)
{
    unsigned char bytes[SMALL_BYTES] = {3};

    (void)duet;
    for (uint64_t n = 0; n < count; n++) {
        struct vine_data *input = create(SMALL_BYTES);
        struct vine_data *output = expect(SMALL_BYTES);

        bench_check(vine_data_write(input, 0, bytes, SMALL_BYTES), "write");
        run(both, input, output);
        bench_check(vine_data_read(output, 0, bytes, SMALL_BYTES), "read");
        vine_data_free(input);
        vine_data_free(output);
    }
}

#define CONTEST(title, function, number, in, size, reference, ratio)                               \
    {                                                                                              \
        .name = title, .lead = function, .count = number, .unit = in, .bytes = size,               \
        .against = reference, .bar = ratio                                                         \
    }

static const struct duet_contest memcpy_in = CONTEST("memcpy of 1 MiB into shared memory", copy_in,
                                                     200, DUET_GIGABYTES, LARGE_BYTES, NULL, 0);
static const struct duet_contest memcpy_out = CONTEST(
    "memcpy of 1 MiB out of shared memory", copy_out, 200, DUET_GIGABYTES, LARGE_BYTES, NULL, 0);
static const struct duet_contest data_write = CONTEST("vine_data_write of 1 MiB", write_large, 200,
                                                      DUET_GIGABYTES, LARGE_BYTES, &memcpy_in, 0.9);
static const struct duet_contest data_read = CONTEST("vine_data_read of 1 MiB", read_large, 200,
                                                     DUET_GIGABYTES, LARGE_BYTES, &memcpy_out, 0.9);
static const struct duet_contest memcpy_there =
    CONTEST("memcpy of 1 MiB by the appliance", copy_of_its_own, 200, DUET_GIGABYTES, LARGE_BYTES,
            &memcpy_out, 0);
static const struct duet_contest task_copy =
    CONTEST("the appliance's private copy of 1 MiB", copy_over_there, 200, DUET_GIGABYTES,
            LARGE_BYTES, &memcpy_there, 0.9);
static const struct duet_contest noop = CONTEST("no-op task", noops, 10000, DUET_NS, 0, NULL, 0);
static const struct duet_contest task_input =
    CONTEST("task on 1 MiB in place", input_in_place, 10000, DUET_NS, 0, &noop, 0);
static const struct duet_contest task_output = CONTEST(
    "task whose result of 1 MiB is read in place", output_in_place, 5000, DUET_NS, 0, &noop, 0);
static const struct duet_contest task_small =
    CONTEST("task on two data of 64 B: made, written, run, read, freed", small_data, 5000, DUET_NS,
            0, &noop, 0);

/* ---- how often each byte is copied on our side ----------------------------------------------- */

static void count_copies(const char *what, duet_fn run_once, unsigned copies_wanted)
{
    struct bench_row row = {.limit = NULL};
    struct vine_pipe_stats before;
    struct vine_pipe_stats after;

    vine_pipe_get_stats(application.pipe, &before);
    run_once(NULL, 1);
    vine_pipe_get_stats(application.pipe, &after);

    const uint64_t bytes = after.bytes_copied - before.bytes_copied;

    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.2f copies, %llu B",
                   (double)bytes / LARGE_BYTES, (unsigned long long)bytes);
    (void)snprintf(row.bar, sizeof(row.bar), copies_wanted > 0 ? "%u copy" : "no copy",
                   copies_wanted);
    row.is_met = bytes == (uint64_t)copies_wanted * LARGE_BYTES;
    bench_table_row(&row);
}

int main(int argc, char **argv)
{
    static const struct duet_contest *const contests[] = {
        &memcpy_in, &memcpy_out, &data_write,  &data_read,  &memcpy_there, &task_copy,
        &noop,      &task_input, &task_output, &task_small, NULL};
    const int rounds = duet_rounds(argc, argv, 15);
    struct bench_serving serving;

    bench_serving_start(&serving, &(struct bench_serving_options){.is_pinned = true});
    open_all(&serving);
    duet_play("Data", contests, rounds, NULL);
    bench_table_begin("Data: copies on the application's side",
                      "As vine_pipe_get_stats counts them. On the other side, an appliance makes "
                      "one private copy of inputs, unless the procedure shares them.");
    count_copies("1 MiB filled in place, given to a task", input_in_place, 0);
    count_copies("a result of 1 MiB, read in place", output_in_place, 0);
    count_copies("1 MiB by vine_data_write", write_large, 1);
    count_copies("1 MiB by vine_data_read", read_large, 1);
    bench_table_end();
    vine_pipe_close(application.pipe);
    bench_serving_stop(&serving);
    return 0;
}
