/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * Direct random reads of 4 KiB at several depths, beside fio's io_uring engine over the same file
 * on the same processor, with its files and buffers registered as ours are; and what two classes of
 * requests get of a device that is kept busy.
 *
 * The file is of half a GiB, in $TMPDIR or /var/tmp, and goes with the program.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <vine/file.h>

#include "core/file/file.h"
#include "core/file/io_queue.h"
#include "core/reactor/reactor.h"

#define FILE_BYTES    (UINT64_C(512) << 20)
#define BLOCK_BYTES   4096
#define DEPTH_MAX     128
#define ROUNDS        9
#define ROUNDS_MAX    99
#define ROUND_NS      700000000ULL
#define REST_NS       700000000L
#define IDLE_POLL_NS  200000 /* as --idle-poll-time-us has it */
#define CLASS_DEPTH   64     /* requests of each of two classes */
#define CLASS_AT_ONCE 32     /* that the device gets */

struct reading {
    double per_second;
    double cpu_ns; /* of each */
};

struct reader {
    struct vine_file_op op;
    unsigned char *bytes;
    uint32_t of_class;
};

static char path[256];
static uint32_t rounds = ROUNDS;

static struct {
    struct vine_file file;
    struct vine_file_op op;
    struct vine_work work;
    struct reader readers[DEPTH_MAX];
    uint32_t depth;
    uint32_t under_way;
    uint32_t class_count;
    uint64_t ended[2]; /* by class */
    uint64_t random;
    double used_s;     /* from the first read to the last */
    uint64_t spent_ns; /* begin, and in the end how long that took */
    uint64_t end_ns;
} bench;

static double used_seconds(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A device may lend more for a moment than it gives for long: each begins with the same credit. */
static void rest(void)
{
    const struct timespec moment = {.tv_nsec = REST_NS};

    (void)nanosleep(&moment, NULL);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void see_closed(struct vine_file_op *op)
{
    bench_check((int)vine_file_result(op), "close");
    vine_stop(0);
}

static void read_again(struct reader *reader)
{
    bench.random ^= bench.random << 13;
    bench.random ^= bench.random >> 7;
    bench.random ^= bench.random << 17;
    vine_file_read(&reader->op, &bench.file, reader->bytes, BLOCK_BYTES,
                   bench.random % (FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES);
}

static void see_read(struct vine_file_op *op)
{
    struct reader *const reader = (struct reader *)(void *)op;

    bench_require(vine_file_result(op) == BLOCK_BYTES, "a read");
    bench.ended[reader->of_class]++;
    /* As fio does: a timer would be set anew for each sleep. */
    if (bench_now_ns() < bench.end_ns) {
        read_again(reader);
    } else if (--bench.under_way == 0) {
        bench.used_s = used_seconds() - bench.used_s;
        bench.spent_ns = bench_now_ns() - bench.spent_ns;
        vine_file_op_init(&bench.op, see_closed);
        vine_file_close(&bench.op, &bench.file);
    }
}

static void see_opened(struct vine_file_op *op)
{
    struct vine_io_class classes[2] = {{0}};
    unsigned char *buffer = NULL;

    bench_check((int)vine_file_result(op), path);
    for (uint32_t i = 0; i < bench.class_count; i++)
        bench_check(vine_io_class_create("class", 100 * (i + 1), &classes[i]), "class");
    for (uint32_t i = 0; i < bench.depth; i++) {
        struct reader *const reader = &bench.readers[i];
        const size_t each = vine_file_buffer_size() / BLOCK_BYTES;

        if (i % each == 0)
            buffer = vine_file_buffer_get();
        bench_require(buffer != NULL, "a buffer");
        vine_file_op_init(&reader->op, see_read);
        reader->bytes = buffer + i % each * BLOCK_BYTES;
        reader->of_class = bench.class_count > 0 ? i % bench.class_count : 0;
        vine_file_op_set_class(&reader->op, classes[reader->of_class]);
        read_again(reader);
    }
    bench.under_way = bench.depth;
    bench.used_s = used_seconds();
    bench.spent_ns = bench_now_ns();
    bench.end_ns = bench.spent_ns + ROUND_NS;
}

static void begin(struct vine_work *work)
{
    (void)work;
    vine_file_op_init(&bench.op, see_opened);
    vine_file_open(&bench.op, &bench.file, NULL, path, O_RDONLY | O_DIRECT, 0);
}

static struct reading read_by_ours(uint32_t depth, uint32_t class_count, uint32_t requests_max,
                                   uint64_t idle_poll_ns)
{
    const struct vine__mesh_options mesh_options = {.core_count = 1, .idle_poll_ns = idle_poll_ns};
    const struct vine__poller_options poller_options = {.backend = VINE__POLL_BACKEND_ANY};
    const struct vine__file_options file_options = {.requests_max = requests_max};
    struct vine__mesh *mesh;
    struct vine__poller *poller;
    struct vine__reactor *reactor;

    rest();
    memset(&bench, 0, sizeof(bench));
    bench.depth = depth;
    bench.class_count = class_count;
    bench.random = bench_now_ns() | 1;
    bench_check(vine__mesh_create(&mesh, &mesh_options), "mesh");
    bench_check(vine__poller_create(&poller, &poller_options), "poller");
    bench_check(vine__reactor_create(&reactor, mesh, 0, poller), "reactor");
    (void)vine__reactor_enter(reactor);
    bench_check(vine__file_start(&file_options), "files");
    vine_work_init(&bench.work, begin);
    vine_work_post(&bench.work);
    vine__reactor_run(reactor);
    const double reads = (double)(bench.ended[0] + bench.ended[1]);

    (void)vine__reactor_enter(NULL);
    vine__reactor_destroy(reactor);
    vine__file_end(0);
    vine__mesh_destroy(mesh);
    return (struct reading){.per_second = reads / ((double)bench.spent_ns / 1e9),
                            .cpu_ns = bench.used_s * 1e9 / reads};
}

/* ---- fio ------------------------------------------------------------------------------------- */

/* The number behind the first `name` of JSON. */
static double number_of(const char *text, const char *name)
{
    const char *const at = text != NULL ? strstr(text, name) : NULL;

    return at != NULL ? strtod(at + strlen(name), NULL) : 0;
}

/* Returns false if there is no fio. */
static bool read_by_fio(uint32_t depth, struct reading *ret_reading)
{
    static char text[65536];
    char command[1024];

    (void)snprintf(command, sizeof(command),
                   "fio --name=read --filename='%s' --size=%llu --rw=randread --bs=%d --direct=1 "
                   "--ioengine=io_uring --registerfiles=1 --fixedbufs=1 --iodepth=%u "
                   "--time_based --runtime=%llums --randrepeat=0 --norandommap "
                   "--output-format=json 2>/dev/null",
                   path, (unsigned long long)FILE_BYTES, BLOCK_BYTES, depth,
                   (unsigned long long)(ROUND_NS / 1000000));
    rest();

    FILE *const pipe = popen(command, "r");

    if (pipe == NULL)
        return false;
    const size_t size = fread(text, 1, sizeof(text) - 1, pipe);

    text[size] = '\0';
    if (pclose(pipe) != 0)
        return false;
    const char *const read = strstr(text, "\"read\" : {");
    const double reads = number_of(read, "\"total_ios\" : ");
    const double spent_s = number_of(text, "\"job_runtime\" : ") / 1e3;
    const double portion =
        (number_of(text, "\"usr_cpu\" : ") + number_of(text, "\"sys_cpu\" : ")) / 100;

    ret_reading->per_second = number_of(read, "\"iops\" : ");
    ret_reading->cpu_ns = reads > 0 ? spent_s * portion * 1e9 / reads : 0;
    return reads > 0;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void make_file(void)
{
    static _Alignas(4096) unsigned char bytes[1 << 20];
    const char *const folder = getenv("TMPDIR");

    (void)snprintf(path, sizeof(path), "%s/vine-bench-XXXXXX",
                   folder != NULL && folder[0] != '\0' ? folder : "/var/tmp");
    const int fd = mkstemp(path);

    bench_require(fd >= 0, path);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 2654435761U >> 13);
    for (uint64_t at = 0; at < FILE_BYTES; at += sizeof(bytes))
        bench_require(write(fd, bytes, sizeof(bytes)) == sizeof(bytes), "write");
    bench_require(fsync(fd) == 0 && close(fd) == 0, "fsync");
}

static bool has_fio = true;

/* `row` says what was measured; ratios to fio's of the same moment; `bar` 0: none. */
static void show_row(const struct bench_row *row, double *ratios, double bar, bool is_least)
{
    struct bench_row out = *row;

    out.is_met = true;
    if (has_fio) {
        const double median = bench_median(ratios, rounds);

        (void)snprintf(out.ratio, sizeof(out.ratio), "%.2f (%.2f .. %.2f)", median,
                       ratios[rounds / 4], ratios[3 * rounds / 4]);
        (void)snprintf(out.beside, sizeof(out.beside), "fio");
        if (bar > 0) {
            (void)snprintf(out.bar, sizeof(out.bar), "%s %.2f", is_least ? "at least" : "at most",
                           bar);
            out.is_met = is_least ? median >= bar : median <= bar;
        }
    }
    bench_table_row(&out);
}

struct side {
    double per_second[ROUNDS_MAX], cpu_ns[ROUNDS_MAX], more[ROUNDS_MAX], dearer[ROUNDS_MAX];
};

static void note(struct side *side, uint32_t i, struct reading ours, const struct reading *fio)
{
    side->per_second[i] = ours.per_second;
    side->cpu_ns[i] = ours.cpu_ns;
    side->more[i] = 2 * ours.per_second / (fio[0].per_second + fio[1].per_second);
    side->dearer[i] = 2 * ours.cpu_ns / (fio[0].cpu_ns + fio[1].cpu_ns);
}

static void show(struct side *side, const char *how, uint32_t depth, bool has_bar)
{
    struct bench_row row = {.limit = NULL};

    (void)snprintf(row.what, sizeof(row.what), "reads in a second%s, depth %u", how, depth);
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f",
                   bench_median(side->per_second, rounds));
    show_row(&row, side->more, has_bar ? 0.97 : 0, true);
    (void)snprintf(row.what, sizeof(row.what), "processor time of each%s, depth %u", how, depth);
    (void)snprintf(row.measured, sizeof(row.measured), "%.2f us",
                   bench_median(side->cpu_ns, rounds) / 1e3);
    show_row(&row, side->dearer, has_bar ? 1 : 0, false);
}

static void compare_depth(uint32_t depth)
{
    static struct side sleeping, polling;

    for (uint32_t i = 0; i < rounds; i++) {
        struct reading fio[2] = {{0}};

        has_fio = has_fio && read_by_fio(depth, &fio[0]);
        const struct reading slept = read_by_ours(depth, 0, DEPTH_MAX, 0);
        const struct reading polled = read_by_ours(depth, 0, DEPTH_MAX, IDLE_POLL_NS);

        has_fio = has_fio && read_by_fio(depth, &fio[1]);
        note(&sleeping, i, slept, fio);
        note(&polling, i, polled, fio);
    }
    show(&sleeping, "", depth, true);
    show(&polling, ", polling when idle", depth, false);
}

static void compare_classes(void)
{
    struct bench_row row = {.what = "two classes, shares 1:2", .bar = "1:2 within 5 %"};
    double ratios[ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++) {
        (void)read_by_ours(2 * CLASS_DEPTH, 2, CLASS_AT_ONCE, 0);
        ratios[i] = (double)bench.ended[1] / (double)bench.ended[0];
    }
    const double median = bench_median(ratios, rounds);

    (void)snprintf(row.measured, sizeof(row.measured), "1:%.3f (%.3f .. %.3f)", median, ratios[0],
                   ratios[rounds - 1]);
    row.is_met = ratios[0] >= 2 * 0.95 && ratios[rounds - 1] <= 2 * 1.05;
    bench_table_row(&row);
}

int main(void)
{
    static const uint32_t depths[] = {1, 32, 128};

    const char *const asked = getenv("VINE_BENCH_ROUNDS");

    if (asked != NULL)
        rounds = (uint32_t)strtoul(asked, NULL, 10);
    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    bench_pin(0);
    make_file();
    bench_table_begin("Direct random reads of 4 KiB",
                      "One core and one processor; medians of nine rounds, fio's io_uring engine "
                      "before and after each, with registered files and buffers. Ours sleeps when "
                      "idle, as fio does (--idle-poll-time-us=0); and as it does by default.");
    for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++)
        compare_depth(depths[i]);
    compare_classes();
    bench_table_end();
    (void)unlink(path);
    return 0;
}
