/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_bench.c - `vine guest bench`: a link between two virtual machines beside the other ways
 * from one to the other, and beside the bare memory of a link.
 *
 * All rows are measured in turn, several rounds, so that a machine that changes its mind changes it
 * for all alike.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>
#include <vine/spsc.h>
#include <vine/talk.h>

#include "arch/cpu/cpu.h"
#include "utils/atomic.h"
#include "utils/tables.h"

#include "connect.h"
#include "guest_sample.h"
#include "guest_wire.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "settings.h"
#include "status.h"
#include "times.h"
#include "verb.h"

#define SMALL_BYTES 64
#define LARGE_BYTES (1U << 20)
#define ROUNDS      5
#define P50         500000
#define P99         990000
#define LINE_BATCH  10 /* round trips between looks at the clock */
#define CODE_SLOTS  64
#define CODE_BATCH  1000
#define RINGS_MAX   30

#define AGENT_SECONDS 60

struct bench_values {
    const char *appliance;
    const char *agent, *tcp, *serial, *link, *bell, *data;
    uint64_t seconds;
    bool asleep, json;
};

struct bench {
    struct vine_pipe *pipe;
    struct vine_procedure *noop, *copy;
    struct vine_pipe *shared; /* to an agent that passes tasks on */
    struct vine_procedure *shared_noop;
    struct vine_data *there, *back;
    struct guest_lines lines;
    struct guest_bell bell;
    struct code {
        struct vine_slot slots[CODE_SLOTS];
        _Alignas(VINE_CACHE_LINE) uint64_t consumed;
        struct vine_spsc_producer producer;
        struct vine_spsc_consumer consumer;
    } *code;
    int tcp_fd, serial_fd;
    uint64_t trips; /* over the bare lines, so far */
    struct times *times;
    unsigned char *bytes, *other; /* LARGE_BYTES each */
};

typedef int (*trip_fn)(struct bench *bench);

static int trip_line(struct bench *bench)
{
    const uint64_t deadline_ns = human_now_ns() + VINE_NS_PER_SECOND;

    for (int i = 0; i < LINE_BATCH; i++) {
        vine__store_release_u64(bench->lines.there, ++bench->trips);
        for (uint64_t looks = 0; vine__load_acquire_u64(bench->lines.back) != bench->trips;
             looks++) {
            if (looks % 4096 == 4095 && human_now_ns() > deadline_ns)
                return -ETIMEDOUT;
            vine__cpu_relax();
        }
    }
    return 0;
}

/* Code of ours that nobody else has a part in: how fast this machine runs it. */
static int trip_code(struct bench *bench)
{
    struct code *code = bench->code;
    char message[VINE_SPSC_BYTES];
    int error = 0;

    for (int i = 0; i < CODE_BATCH && error >= 0; i++) {
        error = vine_spsc_push(&code->producer, bench->bytes, sizeof(message));
        if (error == 0)
            error = vine_spsc_pop(&code->consumer, message);
    }
    return error < 0 ? error : 0;
}

/* Both sides sleep, and are woken by interrupts. Who is not there yet hears no ring. */
static int trip_bell(struct bench *bench)
{
    const struct guest_bell *bell = &bench->bell;
    int error = -EAGAIN;

    for (int rings = 0; error == -EAGAIN && rings < RINGS_MAX; rings++) {
        error = vine__doorbell_ring(bell->doorbell, bell->peer, bell->peer_vector);
        if (error == 0)
            error = vine__doorbell_wait(bell->doorbell, bell->vector, VINE_NS_PER_SECOND);
    }
    return error;
}

static int run_noop(struct vine_pipe *pipe, struct vine_procedure *noop, const void *bytes)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof(options), .bytes = bytes, .bytes_size = SMALL_BYTES};

    return vine_task_run(pipe, noop, &options, VINE_NS_PER_SECOND, NULL, NULL);
}

static int trip_noop(struct bench *bench)
{
    return run_noop(bench->pipe, bench->noop, bench->bytes);
}

static int trip_agent(struct bench *bench)
{
    return run_noop(bench->shared, bench->shared_noop, bench->bytes);
}

static int trip_tcp_small(struct bench *bench)
{
    return guest_wire_trip(bench->tcp_fd, bench->bytes, bench->other, SMALL_BYTES);
}

static int trip_serial_small(struct bench *bench)
{
    return guest_wire_trip(bench->serial_fd, bench->bytes, bench->other, SMALL_BYTES);
}

/* What is there is made there and used there: the far side alone copies. */
static int trip_in_place(struct bench *bench)
{
    const struct vine_task_options options = {.size_bytes = sizeof(options),
                                              .inputs = &bench->there,
                                              .input_count = 1,
                                              .outputs = &bench->back,
                                              .output_count = 1};
    const int error =
        vine_task_run(bench->pipe, bench->copy, &options, VINE_NS_PER_SECOND, NULL, NULL);
    const unsigned char *const result = error == 0 ? vine_data_view(bench->back) : NULL;

    return error != 0 ? error : result[LARGE_BYTES - 1] == bench->bytes[LARGE_BYTES - 1] ? 0 : -EIO;
}

static int trip_copied(struct bench *bench)
{
    int error = vine_data_write(bench->there, 0, bench->bytes, LARGE_BYTES);

    if (error == 0)
        error = trip_in_place(bench);
    return error != 0 ? error : vine_data_read(bench->back, 0, bench->other, LARGE_BYTES);
}

static int trip_tcp_large(struct bench *bench)
{
    return guest_wire_trip(bench->tcp_fd, bench->bytes, bench->other, LARGE_BYTES);
}

static int trip_serial_large(struct bench *bench)
{
    return guest_wire_trip(bench->serial_fd, bench->bytes, bench->other, LARGE_BYTES);
}

enum {
    ROW_CODE,
    ROW_BELL,
    ROW_LINE,
    ROW_NOOP,
    ROW_AGENT,
    ROW_TCP_SMALL,
    ROW_SERIAL_SMALL,
    ROW_IN_PLACE,
    ROW_COPIED,
    ROW_TCP_LARGE,
    ROW_SERIAL_LARGE,
    ROW_COUNT,
};

static const struct row {
    const char *key, *text;
    trip_fn trip;
    uint32_t per_trip; /* round trips in one call */
    bool is_large;
    bool is_ours; /* Vine's: beside it stands how much faster it is than the others */
} rows[ROW_COUNT] = {
    [ROW_CODE] = {"code", "a message within one machine", trip_code, CODE_BATCH, false, false},
    [ROW_BELL] = {"bell", "a doorbell, both asleep", trip_bell, 1, false, false},
    [ROW_LINE] = {"line", "a line of the bare memory", trip_line, LINE_BATCH, false, false},
    [ROW_NOOP] = {"noop", "a task over Vine", trip_noop, 1, false, true},
    [ROW_AGENT] = {"agent", "... through this guest's agent", trip_agent, 1, false, true},
    [ROW_TCP_SMALL] = {"tcp", "TCP over virtio-net", trip_tcp_small, 1, false, false},
    [ROW_SERIAL_SMALL] = {"serial", "virtio-serial", trip_serial_small, 1, false, false},
    [ROW_IN_PLACE] = {"in_place", "over Vine, in place", trip_in_place, 1, true, true},
    [ROW_COPIED] = {"copied", "over Vine, copied in and out", trip_copied, 1, true, true},
    [ROW_TCP_LARGE] = {"tcp_large", "TCP over virtio-net", trip_tcp_large, 1, true, false},
    [ROW_SERIAL_LARGE] = {"serial_large", "virtio-serial", trip_serial_large, 1, true, false},
};

struct results {
    bool is_measured[ROW_COUNT];
    int errors[ROW_COUNT];
    double ns[ROW_COUNT][ROUNDS]; /* of a round trip */
    double p99[ROW_COUNT][ROUNDS];
};

static int compare(const void *one, const void *other)
{
    const double a = *(const double *)one, b = *(const double *)other;

    return (a > b) - (a < b);
}

static double median(const double values[ROUNDS])
{
    double sorted[ROUNDS];

    memcpy(sorted, values, sizeof(sorted));
    qsort(sorted, ROUNDS, sizeof(sorted[0]), compare);
    return sorted[ROUNDS / 2];
}

static bool is_wanted(const struct bench *bench, unsigned row)
{
    if (bench->pipe == NULL)
        return row == ROW_BELL;
    switch (row) {
    case ROW_BELL:
        return false;
    case ROW_LINE:
        return bench->lines.there != NULL;
    case ROW_AGENT:
        return bench->shared != NULL;
    case ROW_TCP_SMALL:
    case ROW_TCP_LARGE:
        return bench->tcp_fd >= 0;
    case ROW_SERIAL_SMALL:
    case ROW_SERIAL_LARGE:
        return bench->serial_fd >= 0;
    default:
        return true;
    }
}

static int measure(struct bench *bench, const struct row *row, uint64_t budget_ns, double *ret_ns,
                   double *ret_p99)
{
    int error = row->trip(bench); /* not counted: it wakes whoever slept */
    const uint64_t begin = human_now_ns();
    uint64_t before = begin, now;

    times_clear(bench->times);
    do {
        if (error == 0)
            error = row->trip(bench);
        now = human_now_ns();
        times_record(bench->times, (now - before) / row->per_trip);
        before = now;
    } while (error == 0 && now - begin < budget_ns);
    *ret_ns = (double)times_percentile(bench->times, P50);
    *ret_p99 = (double)times_percentile(bench->times, P99);
    return error;
}

static void measure_all(struct bench *bench, uint64_t seconds, struct results *results)
{
    const uint64_t budget_ns = seconds * VINE_NS_PER_SECOND / ROUNDS / ROW_COUNT;

    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < ROW_COUNT; i++) {
            if (!is_wanted(bench, i) || results->errors[i] != 0)
                continue;
            results->is_measured[i] = true;
            results->errors[i] = measure(bench, &rows[i], budget_ns, &results->ns[i][round],
                                         &results->p99[i][round]);
        }
}

/* ---- telling --------------------------------------------------------------------------------- */

/* How many times as fast as another row this one is; 0: not known. */
static double times_as_fast(const struct results *results, unsigned row, unsigned other)
{
    const double ns = median(results->ns[row]);

    return results->is_measured[row] && results->is_measured[other] && results->errors[row] == 0 &&
                   results->errors[other] == 0 && ns > 0
               ? median(results->ns[other]) / ns
               : 0;
}

static unsigned tcp_of(unsigned row)
{
    return rows[row].is_large ? ROW_TCP_LARGE : ROW_TCP_SMALL;
}

static unsigned serial_of(unsigned row)
{
    return rows[row].is_large ? ROW_SERIAL_LARGE : ROW_SERIAL_SMALL;
}

/* "180": as exact as such a number is. */
static const char *brief(double ratio, char ret_text[HUMAN_MAX])
{
    snprintf(ret_text, HUMAN_MAX, ratio < 10 ? "%.1f" : "%.0f", ratio);
    return ret_text;
}

static void print_row(const struct results *results, unsigned row)
{
    const double ns = median(results->ns[row]);
    const double ratio = rows[row].is_ours ? times_as_fast(results, row, tcp_of(row)) : 0;
    char value[HUMAN_MAX], text[HUMAN_MAX];

    printf("  %-30s", rows[row].text);
    if (results->errors[row] != 0) {
        printf("%s\n", vine_error_text(results->errors[row]));
        return;
    }
    if (rows[row].is_large)
        printf("%9s/s", human_bytes((uint64_t)(2.0 * LARGE_BYTES * 1e9 / ns), text));
    printf("%9s", human_ns((uint64_t)ns, value));
    if (!rows[row].is_large)
        printf("  p99 %-7s", human_ns((uint64_t)median(results->p99[row]), text));
    if (ratio > 0)
        printf("  %s x as fast as TCP", brief(ratio, text));
    printf("\n");
}

/* What it comes to, in a sentence. */
static void print_meaning(const struct results *results)
{
    const double task = times_as_fast(results, ROW_NOOP, ROW_TCP_SMALL);
    const double in_place = times_as_fast(results, ROW_IN_PLACE, ROW_TCP_LARGE);
    const double copied = times_as_fast(results, ROW_COPIED, ROW_TCP_LARGE);
    char texts[3][HUMAN_MAX];

    if (task > 0 && in_place > 0 && copied > 0)
        printf("Over Vine a small task comes back %s times as fast as over TCP, and data %s times "
               "as\nfast where it is made and used in place, %s times where it is copied in and "
               "out.\n",
               brief(task, texts[0]), brief(in_place, texts[1]), brief(copied, texts[2]));
}

static void print_all(const struct results *results)
{
    bool is_large = false;

    printf("64 bytes there and back, medians of %d rounds\n", ROUNDS);
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        if (rows[i].is_large && !is_large)
            printf("1 MiB there and back, which is 2 MiB\n");
        is_large = rows[i].is_large;
        if (results->is_measured[i])
            print_row(results, i);
    }
    print_meaning(results);
}

static void set_ratio(json_t *row, const char *key, double ratio)
{
    if (ratio > 0)
        json_object_set_new(row, key, json_real(ratio));
}

static int print_json(const struct results *results)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < ROW_COUNT; i++) {
        json_t *row = json_object();

        if (!results->is_measured[i]) {
            json_decref(row);
            continue;
        }
        if (results->errors[i] != 0)
            json_object_set_new(row, "error", json_string(vine_error_text(results->errors[i])));
        json_object_set_new(row, "ns", json_real(median(results->ns[i])));
        json_object_set_new(row, "p99_ns", json_real(median(results->p99[i])));
        if (rows[i].is_large)
            json_object_set_new(row, "bytes_per_second",
                                json_real(2.0 * LARGE_BYTES * 1e9 / median(results->ns[i])));
        if (rows[i].is_ours) {
            set_ratio(row, "times_as_fast_as_tcp", times_as_fast(results, i, tcp_of(i)));
            set_ratio(row, "times_as_fast_as_serial", times_as_fast(results, i, serial_of(i)));
        }
        json_object_set_new(object, rows[i].key, row);
    }
    return json_print_line(object);
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int open_wires(const struct bench_values *values, struct bench *bench)
{
    if (values->link != NULL && guest_lines_open(values->link, &bench->lines) != STATUS_DONE)
        return STATUS_FAILED;
    if (bench->lines.there != NULL)
        bench->trips = vine__load_relaxed_u64(bench->lines.back);
    if (values->tcp != NULL) {
        bench->tcp_fd = guest_wire_connect(values->tcp);
        if (bench->tcp_fd < 0)
            message_error("cannot connect to %s: %s", message_escape(values->tcp),
                          vine_error_text(bench->tcp_fd));
    }
    if (values->serial != NULL) {
        bench->serial_fd = guest_wire_serial(values->serial);
        if (bench->serial_fd < 0)
            message_error("no serial port %s: %s", message_escape(values->serial),
                          vine_error_text(bench->serial_fd));
    }
    return (values->tcp != NULL && bench->tcp_fd < 0) ||
                   (values->serial != NULL && bench->serial_fd < 0)
               ? STATUS_FAILED
               : STATUS_DONE;
}

static int make_code(struct bench *bench)
{
    struct code *code = aligned_alloc(VINE_CACHE_LINE, sizeof(*code));
    int error;

    if (code == NULL)
        return -ENOMEM;
    memset(code, 0, sizeof(*code));
    bench->code = code;
    error = vine_spsc_producer_init(&code->producer, code->slots, CODE_SLOTS, &code->consumed);
    return error != 0
               ? error
               : vine_spsc_consumer_init(&code->consumer, code->slots, CODE_SLOTS, &code->consumed);
}

static int get_ready(struct bench *bench, const char *data)
{
    int error = make_code(bench);

    bench->times = calloc(1, sizeof(*bench->times));
    bench->bytes = malloc(LARGE_BYTES);
    bench->other = malloc(LARGE_BYTES);
    if (error == 0 && (bench->times == NULL || bench->bytes == NULL || bench->other == NULL))
        error = -ENOMEM;
    if (error == 0)
        error = guest_sample_fill(data, bench->bytes, LARGE_BYTES);
    if (error == 0 && bench->pipe == NULL)
        return STATUS_DONE;
    if (error == 0)
        error = vine_procedure_get(bench->pipe, "noop", &bench->noop);
    if (error == 0)
        error = vine_procedure_get(bench->pipe, "copy", &bench->copy);
    if (error == 0 && bench->shared != NULL)
        error = vine_procedure_get(bench->shared, "noop", &bench->shared_noop);
    if (error == 0)
        error = vine_data_create(bench->pipe, VINE_TYPE_BYTES, LARGE_BYTES, &bench->there);
    if (error == 0)
        error = vine_data_write(bench->there, 0, bench->bytes, LARGE_BYTES);
    if (error == 0)
        error = vine_data_expect(bench->pipe, VINE_TYPE_BYTES, LARGE_BYTES, &bench->back);
    if (error == 0)
        return STATUS_DONE;
    message_error("cannot begin: %s", vine_error_text(error));
    return status_of_error(error);
}

static int measure_and_tell(const struct bench_values *values, struct bench *bench)
{
    struct results results = {0};
    int status = get_ready(bench, values->data);

    if (status == STATUS_DONE)
        status = open_wires(values, bench);
    if (status != STATUS_DONE)
        return status;
    measure_all(bench, values->seconds, &results);
    for (unsigned i = 0; i < ROW_COUNT; i++)
        if (results.errors[i] != 0)
            status = STATUS_FAILED;
    if (values->json)
        (void)print_json(&results);
    else
        print_all(&results);
    return status;
}

static int run_bench(const struct arguments *arguments)
{
    struct bench_values *values = arguments->values;
    struct bench bench = {.tcp_fd = -1, .serial_fd = -1};
    struct settings settings;
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    struct connection connection = {
        .address = settings_address(&settings), .workers = 1, .spin_ns = values->asleep ? 1 : 0};
    struct connection shared = {.address = values->agent, .spin_ns = connection.spin_ns};

    if (values->seconds == 0)
        values->seconds = 8;
    if (values->bell != NULL)
        status = guest_bell_open(values->bell, &bench.bell);
    else
        status = connection_open(&connection, &bench.pipe);
    /* An agent that this machine starts may not be there yet. */
    if (status == STATUS_DONE && shared.address != NULL)
        status = connection_reopen(&shared, AGENT_SECONDS, &bench.shared);
    if (status == STATUS_DONE)
        status = measure_and_tell(values, &bench);
    vine_data_free(bench.there);
    vine_data_free(bench.back);
    vine_pipe_close(bench.pipe);
    vine_pipe_close(bench.shared);
    connection_close(&connection);
    guest_lines_close(&bench.lines);
    guest_bell_close(&bench.bell);
    free(bench.code);
    if (bench.tcp_fd >= 0)
        (void)close(bench.tcp_fd);
    if (bench.serial_fd >= 0)
        (void)close(bench.serial_fd);
    free(bench.times);
    free(bench.bytes);
    free(bench.other);
    settings_free(&settings);
    return status;
}

#define VALUE(field) .offset = offsetof(struct bench_values, field)

static const struct option bench_options[] = {
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(appliance),
     .value = "ADDRESS",
     .key = "appliance",
     .help = "the appliance, such as pci:auto"},
    {.name = "agent",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(agent),
     .value = "ADDRESS",
     .help = "beside a task through this `vine agent`, which has another link to it"},
    {.name = "tcp",
     .kind = OPTION_TEXT,
     VALUE(tcp),
     .value = "HOST:PORT",
     .help = "beside TCP to a `vine guest echo` there"},
    {.name = "serial",
     .kind = OPTION_TEXT,
     VALUE(serial),
     .value = "NAME",
     .help = "beside the virtio-serial port of this name"},
    {.name = "link",
     .kind = OPTION_TEXT,
     VALUE(link),
     .value = "NAME",
     .help = "beside the bare memory of this link"},
    {.name = "bell",
     .kind = OPTION_TEXT,
     VALUE(bell),
     .value = "NAME",
     .help = "measure the doorbells of this link, and nothing else"},
    {.name = "asleep",
     .kind = OPTION_FLAG,
     VALUE(asleep),
     .help = "sleep at once instead of looking for a while"},
    {.name = "data",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(data),
     .value = "PATH",
     .help = "send the first bytes of this file, or of the files of this directory (a pattern)"},
    {.name = "seconds",
     .kind = OPTION_COUNT,
     VALUE(seconds),
     .value = "N",
     .min = 1,
     .max = 3600,
     .help = "how long to measure (8)"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const bench_description[] = {
    "Measures what it takes to send 64 bytes and 1 MiB to another virtual machine and have as many "
    "back: by a task over Vine, in place and copied, and beside whatever else is named, at whose "
    "other end `vine guest echo` answers.",
    "Behind Vine's rows stands how many times as fast they are as TCP and virtio-serial between "
    "the "
    "same two machines. All are measured in turn, in rounds; a row is the median of its rounds.",
    "With --json each row is an object: `ns` and `p99_ns` of a round trip, `bytes_per_second` of "
    "1 MiB there and back, and `times_as_fast_as_tcp`, `times_as_fast_as_serial` of Vine's.",
    NULL,
};

const struct verb verb_guest_bench = {
    .name = "guest bench",
    .synopsis = "",
    .description = bench_description,
    .options = bench_options,
    .option_count = sizeof(bench_options) / sizeof(bench_options[0]),
    .values_size = sizeof(struct bench_values),
    .run = run_bench,
};
