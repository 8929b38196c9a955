/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime procedures streams libzstd */
/*
 * zstd as a stream through an appliance on a reactor, beside libzstd in the process itself: the
 * same bytes, pieces, level and number of threads that compress. Ours is written by as many threads
 * of the application, which copy it into the pipe and read what comes.
 *
 *   bench_streams [ROUNDS]    9 without
 */
#include "bench.h"
#include "serving.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <vine/runtime.h>
#include <vine/service.h>
#include <vine/serving.h>
#include <vine/stream.h>

#include "../procedures/procedures.h"
#include "../procedures/streams/streams.h"

#define BYTES       (24U << 20) /* of each thread, in each round */
#define PIECE       (128U << 10)
#define THREADS_MAX 2U
#define ROUNDS_MAX  101
#define SLOWER      1.05 /* than libzstd in the process, at most */

static unsigned char *input;
static struct bench_application application;

/* ---- the appliance --------------------------------------------------------------------------- */

static const char *path;
static const struct vine_appliance_options *how;

static int begin(int argc, char **argv)
{
    static const struct vine_service_options coroutines = {.size_bytes = sizeof(coroutines)};
    const struct vine_serving_options options = {.size_bytes = sizeof(options),
                                                 .appliance = how,
                                                 .coroutines = &coroutines,
                                                 .worker_count = THREADS_MAX};
    struct vine_serving *serving = NULL;

    (void)argc;
    (void)argv;
    bench_check(vine_serving_create(&options, &serving), "create");
    bench_serving_offer(vine_serving_appliance(serving));
    for (size_t i = 0; i < vine_shipped_procedure_count; i++)
        if (strcmp(vine_shipped_procedures[i]->name, "zstd") == 0)
            bench_check(vine_appliance_register(vine_serving_appliance(serving),
                                                vine_streams_of(vine_shipped_procedures[i])),
                        "register");
    bench_check(vine_serving_start(serving, path), "start");
    return VINE_MAIN_GOES_ON;
}

/* What is free of two processors is the workers'. */
static void serve(const char *at, const struct vine_appliance_options *options)
{
    char name[] = "bench_streams", cores[] = "--smp=1", shared[] = "--overprovisioned";
    char *arguments[] = {name, cores, shared, NULL};

    path = at;
    how = options;
    bench_require(vine_main(3, arguments, NULL, begin) == 0, "reactors");
}

/* ---- both sides ------------------------------------------------------------------------------ */

struct side {
    pthread_t thread;
    uint64_t level;
    uint64_t made;
};

static void *compress_here(void *argument)
{
    struct side *const side = argument;
    ZSTD_CCtx *const context = ZSTD_createCCtx();
    unsigned char *const bytes = malloc(PIECE);
    ZSTD_inBuffer in = {input, 0, 0};
    size_t left = 1;

    bench_require(context != NULL && bytes != NULL, "memory");
    bench_require(
        !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, (int)side->level)) &&
            !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)),
        "a level");
    side->made = 0;
    while (left > 0) {
        ZSTD_outBuffer out = {bytes, PIECE, 0};

        if (in.pos == in.size && in.size < BYTES)
            in.size += PIECE;
        left = ZSTD_compressStream2(context, &out, &in,
                                    in.size < BYTES ? ZSTD_e_continue : ZSTD_e_end);
        bench_require(!ZSTD_isError(left), "to compress");
        side->made += out.pos;
        left = in.size < BYTES ? 1 : left;
    }
    (void)ZSTD_freeCCtx(context);
    free(bytes);
    return NULL;
}

/* Read what is there; with a time, wait for it. Returns whether it was the end. */
static bool read_some(struct vine_stream *stream, struct side *side, unsigned char *bytes,
                      uint64_t timeout_ns)
{
    size_t size = 1;
    int error = 0;

    while (error == 0 && size > 0) {
        error = vine_stream_read(stream, bytes, PIECE, timeout_ns, &size);
        side->made += error == 0 ? size : 0;
        timeout_ns = 0;
    }
    if (error != -EAGAIN)
        bench_check(error, "read");
    return error == 0;
}

static void *compress_there(void *argument)
{
    struct side *const side = argument;
    const struct vine_stream_options options = {.size_bytes = sizeof(options),
                                                .scalars = &side->level,
                                                .scalar_count = 1,
                                                .chunk_bytes = PIECE,
                                                .writes_max = 8};
    unsigned char *const bytes = malloc(PIECE);
    struct vine_stream *stream = NULL;

    bench_require(bytes != NULL, "memory");
    bench_check(vine_stream_open(application.pipe,
                                 bench_application_procedure(&application, "zstd"), &options,
                                 &stream),
                "a stream");
    side->made = 0;
    for (size_t done = 0; done < BYTES;) {
        void *memory = NULL;
        size_t size = 0;
        const int error = vine_stream_map(stream, VINE_FOREVER, &memory, &size);

        if (error == -EAGAIN) {
            (void)read_some(stream, side, bytes, VINE_FOREVER);
            continue;
        }
        bench_check(error, "map");
        memcpy(memory, input + done, PIECE);
        bench_check(vine_stream_commit(stream, PIECE), "commit");
        done += PIECE;
        (void)read_some(stream, side, bytes, 0);
    }
    bench_check(vine_stream_end(stream, VINE_FOREVER), "end");
    while (!read_some(stream, side, bytes, VINE_FOREVER))
        continue;
    vine_stream_close(stream);
    free(bytes);
    return NULL;
}

/* Seconds that `threads` of them take. */
static double measure(void *(*compress)(void *argument), uint32_t threads, uint64_t level,
                      uint64_t *ret_made)
{
    const uint64_t begin_ns = bench_now_ns();
    struct side sides[THREADS_MAX];

    for (uint32_t i = 0; i < threads; i++) {
        sides[i].level = level;
        bench_require(pthread_create(&sides[i].thread, NULL, compress, &sides[i]) == 0, "a thread");
    }
    for (uint32_t i = 0; i < threads; i++)
        bench_require(pthread_join(sides[i].thread, NULL) == 0, "join");
    *ret_made = sides[0].made;
    return (double)(bench_now_ns() - begin_ns) / 1e9;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Text of words from a list with a long tail, as source code has it: a third is left of it. */
static void make_input(void)
{
    uint64_t random = 88172645463325252ULL;
    size_t at = 0;

    input = malloc(BYTES);
    bench_require(input != NULL, "memory");
    while (at < BYTES) {
        uint64_t word;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        word = (random >> 20) % ((random & 15) == 0 ? 1000003 : (random & 3) == 0 ? 9973 : 211);
        word = word * 0x9e3779b97f4a7c15ULL;
        for (uint32_t i = 0; i < 3 + (word >> 61) && at < BYTES; i++)
            input[at++] = (unsigned char)("etaoinshrdlucmfwypvbgkjqxz_(){};"[word >> 5 * i & 31]);
        if (at < BYTES)
            input[at++] = (random >> 50) % 9 == 0 ? '\n' : ' ';
    }
}

static void contest(uint32_t threads, uint64_t level, uint32_t rounds)
{
    double here[ROUNDS_MAX], there[ROUNDS_MAX], ratios[ROUNDS_MAX];
    const double megabytes = (double)threads * BYTES / 1e6;
    uint64_t made_here = 0, made_there = 0;
    struct bench_row row = {.limit = "processors: who writes and reads, and the core, need some"};

    for (uint32_t i = 0; i < rounds; i++) {
        here[i] = measure(compress_here, threads, level, &made_here);
        there[i] = measure(compress_there, threads, level, &made_there);
        ratios[i] = there[i] / here[i];
    }
    bench_require(made_there < made_here + made_here / 100, "as small a frame");

    const double ratio = bench_median(ratios, rounds);

    (void)snprintf(row.what, sizeof(row.what), "zstd -%u, %u thread%s: libzstd", (unsigned)level,
                   threads, threads > 1 ? "s" : "");
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f MB/s",
                   megabytes / bench_median(here, rounds));
    row.is_met = true;
    bench_table_row(&row);
    (void)snprintf(row.what, sizeof(row.what), "zstd -%u, %u worker%s: a stream", (unsigned)level,
                   threads, threads > 1 ? "s" : "");
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f MB/s",
                   megabytes / bench_median(there, rounds));
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f (%.2f .. %.2f)", ratio, ratios[rounds / 4],
                   ratios[rounds - 1 - rounds / 4]);
    (void)snprintf(row.beside, sizeof(row.beside), "libzstd's time");
    (void)snprintf(row.bar, sizeof(row.bar), "at most %.2f", SLOWER);
    row.is_met = ratio <= SLOWER;
    bench_table_row(&row);
}

int main(int argc, char **argv)
{
    const struct bench_serving_options options = {.serve = serve};
    const char *const wish = getenv("VINE_BENCH_ROUNDS");
    const char *const given = argc > 1 ? argv[1] : wish;
    const uint32_t rounds = given != NULL ? (uint32_t)atoi(given) : 9;
    struct bench_serving serving;

    bench_require(rounds > 0 && rounds <= ROUNDS_MAX, "rounds");
    make_input();
    bench_serving_start(&serving, &options);
    bench_application_open(&application, &serving, VINE_WAIT_SLEEPY, 1);
    bench_table_begin("Streams",
                      "24 MiB for each thread, in pieces of 128 KiB, through an appliance of one "
                      "core and two workers, beside libzstd in the process.");
    contest(1, 1, rounds);
    contest(1, 3, rounds);
    contest(2, 3, rounds);
    bench_table_end();
    vine_pipe_close(application.pipe);
    bench_serving_stop(&serving);
    free(input);
    return 0;
}
