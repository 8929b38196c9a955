/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "utils/tables.h"

#include "connect.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "processors.h"
#include "settings.h"
#include "status.h"
#include "verb.h"
#include "verdict.h"

#define ROUNDS_MAX      VERDICT_ROUNDS_MAX
#define ROUNDS_DEFAULT  5
#define SECONDS_DEFAULT 10
#define SHOWN_MAX       (HUMAN_MAX + 8)

struct bench_values {
    const char *appliance;
    uint64_t seconds;
    uint64_t rounds;
    bool json;
};

enum unit {
    UNIT_NS,
    UNIT_PER_SECOND,
    UNIT_BYTES_PER_SECOND,
};

/* The rows, in the order in which they are measured and shown. */
enum row_index {
    ROW_LINE,
    ROW_NOOP,
    ROW_NOOP_RATE,
    ROW_HASH_HERE,
    ROW_HASH_VINE,
    ROW_HASH_UNIX,
    ROW_HASH_TCP,
    ROW_RATE_HERE,
    ROW_RATE_VINE,
    ROW_RATE_UNIX,
    ROW_RATE_TCP,
    ROW_MEMCPY,
    ROW_COPIED,
    ROW_CRC_HERE,
    ROW_IN_PLACE,
    ROW_COUNT,
};

static const struct row {
    const char *key;
    const char *text;
    enum unit unit;
    int base; /* the row that it is compared with; -1: none */
    bench_fn measure;
} rows[ROW_COUNT] = {
    [ROW_LINE] = {"cache_line", "cache line to another core and back", UNIT_NS, -1, bench_line},
    [ROW_NOOP] = {"noop", "no-op task, one at a time", UNIT_NS, ROW_LINE, bench_noop},
    [ROW_NOOP_RATE] = {"noop_rate", "no-op tasks, 64 in flight", UNIT_PER_SECOND, -1,
                       bench_noop_rate},
    [ROW_HASH_HERE] = {"sha256_here", "SHA-256 of 4 KiB, here", UNIT_NS, -1, bench_hash_here},
    [ROW_HASH_VINE] = {"sha256_vine", "  over Vine", UNIT_NS, ROW_HASH_HERE, bench_hash_vine},
    [ROW_HASH_UNIX] = {"sha256_unix", "  over a Unix socket", UNIT_NS, ROW_HASH_HERE,
                       bench_hash_unix},
    [ROW_HASH_TCP] = {"sha256_tcp", "  over TCP", UNIT_NS, ROW_HASH_HERE, bench_hash_tcp},
    [ROW_RATE_HERE] = {"sha256_rate_here", "the same, many in flight: here", UNIT_PER_SECOND, -1,
                       bench_hash_here_rate},
    [ROW_RATE_VINE] = {"sha256_rate_vine", "  over Vine", UNIT_PER_SECOND, ROW_RATE_HERE,
                       bench_hash_vine_rate},
    [ROW_RATE_UNIX] = {"sha256_rate_unix", "  over a Unix socket", UNIT_PER_SECOND, ROW_RATE_HERE,
                       bench_hash_unix_rate},
    [ROW_RATE_TCP] = {"sha256_rate_tcp", "  over TCP", UNIT_PER_SECOND, ROW_RATE_HERE,
                      bench_hash_tcp_rate},
    [ROW_MEMCPY] = {"memcpy", "1 MiB by memcpy", UNIT_BYTES_PER_SECOND, -1, bench_memcpy},
    [ROW_COPIED] = {"copied", "  copied into a pipe", UNIT_BYTES_PER_SECOND, ROW_MEMCPY,
                    bench_copied},
    [ROW_CRC_HERE] = {"crc32_here", "CRC-32 of 1 MiB, here", UNIT_BYTES_PER_SECOND, -1,
                      bench_crc_here},
    [ROW_IN_PLACE] = {"crc32_in_place", "  by a task, in place", UNIT_BYTES_PER_SECOND,
                      ROW_CRC_HERE, bench_in_place},
};

struct results {
    double values[ROW_COUNT][ROUNDS_MAX];
    double p99s[ROW_COUNT][ROUNDS_MAX];
    int errors[ROW_COUNT];
    unsigned rounds;
};

static double median(const struct results *results, const double values[ROUNDS_MAX])
{
    return verdict_median(values, results->rounds);
}

static bool has(const struct results *results, unsigned row)
{
    return results->errors[row] == 0;
}

static bool is_compared(const struct results *results, unsigned row)
{
    return rows[row].base >= 0 && has(results, row) && has(results, (unsigned)rows[row].base);
}

/* How this row compares to its base, where it is compared. */
static double ratio_of(const struct results *results, unsigned row)
{
    return verdict_ratio(results->values[rows[row].base], results->values[row], results->rounds);
}

static enum verdict verdict_on(const struct results *results, unsigned row)
{
    return verdict_of(results->values[rows[row].base], results->values[row], results->rounds,
                      rows[row].unit == UNIT_NS);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static int get_procedures(struct bench *bench)
{
    const struct {
        const char *name;
        struct vine_procedure **procedure;
    } wanted[] = {{"noop", &bench->noop},
                  {"sha256", &bench->sha256},
                  {"crc32", &bench->crc32},
                  {"copy", &bench->copy}};
    int error = 0;

    for (size_t i = 0; i < VINE_ARRAY_COUNT(wanted) && error == 0; i++)
        error = vine_procedure_get(bench->pipe, wanted[i].name, wanted[i].procedure);
    if (error == 0)
        error = vine_accelerator_acquire(bench->pipe, NULL, VINE_PARALLEL, &bench->parallel);
    return error;
}

static void measure_all(struct bench *bench, uint64_t budget_ns, struct results *results)
{
    char line[128];

    for (unsigned round = 0; round < results->rounds; round++) {
        for (unsigned i = 0; i < ROW_COUNT; i++) {
            struct bench_sample sample = {0};

            if (results->errors[i] < 0)
                continue;
            snprintf(line, sizeof(line), "round %u of %u: %s", round + 1, results->rounds,
                     rows[i].text);
            message_progress(line);
            times_clear(bench->times);
            results->errors[i] = rows[i].measure(bench, budget_ns, &sample);
            results->values[i][round] = sample.value;
            results->p99s[i][round] = sample.p99;
        }
    }
    message_progress("");
}

/* ---- showing --------------------------------------------------------------------------------- */

static const char *show_value(enum unit unit, double value, char *ret_text)
{
    char number[HUMAN_MAX];

    switch (unit) {
    case UNIT_NS:
        return human_ns((uint64_t)value, ret_text);
    case UNIT_PER_SECOND:
        human_rate(value, number);
        break;
    default:
        human_bytes((uint64_t)value, number);
        break;
    }
    snprintf(ret_text, SHOWN_MAX, "%s/s", number);
    return ret_text;
}

static void show_row(const struct results *results, unsigned row)
{
    char value[SHOWN_MAX], p99[HUMAN_MAX + 8] = "", number[HUMAN_MAX], ratio[64] = "";

    if (results->errors[row] < 0) {
        printf("%-38s %s\n", rows[row].text, vine_error_text(results->errors[row]));
        return;
    }
    if (results->p99s[row][0] > 0)
        snprintf(p99, sizeof(p99), "p99 %s",
                 human_ns((uint64_t)median(results, results->p99s[row]), number));
    if (is_compared(results, row))
        snprintf(ratio, sizeof(ratio), "%.2f x", ratio_of(results, row));
    printf("%-38s %12s  %-13s %s\n", rows[row].text,
           show_value(rows[row].unit, median(results, results->values[row]), value), p99, ratio);
}

/* What the figures mean for somebody who wonders whether to hand work out. */
static void show_verdict(const struct results *results, uint64_t copied)
{
    char text[VERDICT_TEXT_MAX];

    if (is_compared(results, ROW_HASH_VINE))
        puts(verdict_of_one(ratio_of(results, ROW_HASH_VINE), verdict_on(results, ROW_HASH_VINE),
                            text));
    if (is_compared(results, ROW_RATE_VINE))
        puts(verdict_of_many(ratio_of(results, ROW_RATE_VINE), verdict_on(results, ROW_RATE_VINE),
                             text));
    if (has(results, ROW_IN_PLACE))
        printf("In place, the library copied %llu bytes.\n", (unsigned long long)copied);
}

static void set_verdict(json_t *object, const char *key, const struct results *results,
                        unsigned row)
{
    json_object_set_new(object, key,
                        is_compared(results, row)
                            ? json_string(verdict_word(verdict_on(results, row)))
                            : json_null());
}

static int show_json(const struct results *results, uint64_t copied)
{
    static const char *const units[] = {
        [UNIT_NS] = "ns", [UNIT_PER_SECOND] = "1/s", [UNIT_BYTES_PER_SECOND] = "B/s"};
    json_t *object = json_object();

    for (unsigned i = 0; i < ROW_COUNT; i++) {
        json_t *row = json_object(), *samples = json_array();

        json_object_set_new(row, "unit", json_string(units[rows[i].unit]));
        if (results->errors[i] < 0) {
            json_object_set_new(row, "error", json_string(vine_error_text(results->errors[i])));
        } else {
            for (unsigned k = 0; k < results->rounds; k++)
                json_array_append_new(samples, json_real(results->values[i][k]));
            json_object_set_new(row, "median", json_real(median(results, results->values[i])));
            if (results->p99s[i][0] > 0)
                json_object_set_new(row, "p99", json_real(median(results, results->p99s[i])));
        }
        if (is_compared(results, i)) {
            json_object_set_new(row, "ratio", json_real(ratio_of(results, i)));
            json_object_set_new(row, "ratio_to", json_string(rows[rows[i].base].key));
        }
        json_object_set_new(row, "samples", samples);
        json_object_set_new(object, rows[i].key, row);
    }
    json_object_set_new(object, "in_place_bytes_copied", json_unsigned(copied));
    set_verdict(object, "one_at_a_time", results, ROW_HASH_VINE);
    set_verdict(object, "many_in_flight", results, ROW_RATE_VINE);
    return json_print(object);
}

static int show(const struct results *results, const struct bench *bench, bool json)
{
    if (json)
        return show_json(results, bench->copied);
    printf("medians of %u rounds; ratios are of these, to the row farther out, or the first\n\n",
           results->rounds);
    for (unsigned i = 0; i < ROW_COUNT; i++)
        show_row(results, i);
    printf("\n");
    show_verdict(results, bench->copied);
    return STATUS_DONE;
}

static int set_up(struct bench *bench, struct connection *connection)
{
    bench->bytes = malloc(BENCH_COPY_BYTES);
    bench->other = malloc(BENCH_COPY_BYTES);
    bench->times = malloc(sizeof(*bench->times));
    if (bench->bytes == NULL || bench->other == NULL || bench->times == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    for (size_t i = 0; i < BENCH_COPY_BYTES; i++)
        bench->bytes[i] = (unsigned char)(i * 2654435761U >> 13);
    memset(bench->other, 0, BENCH_COPY_BYTES);
    int error = bench_start_servers(bench);
    if (error < 0) {
        message_error("cannot start the peers: %s", vine_error_text(error));
        return STATUS_FAILED;
    }
    const int status = connection_open(connection, &bench->pipe);
    if (status != STATUS_DONE)
        return status;
    error = get_procedures(bench);
    if (error < 0)
        message_error("the appliance lacks what is to be measured: %s", vine_error_text(error));
    return status_of_error(error);
}

static int run_bench(const struct arguments *arguments)
{
    const struct bench_values *values = arguments->values;
    struct settings settings;
    struct bench bench = {0};
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    struct results *results = calloc(1, sizeof(*results));
    struct connection connection = {.address = settings_address(&settings),
                                    .embedded.is_apart = true};
    const uint64_t seconds = values->seconds > 0 ? values->seconds : SECONDS_DEFAULT;
    if (results == NULL) {
        message_error("out of memory");
        status = STATUS_FAILED;
    } else {
        results->rounds = values->rounds > 0 ? (unsigned)values->rounds : ROUNDS_DEFAULT;
        status = set_up(&bench, &connection);
    }
    processors_keep_to(PROCESSORS_FIRST); /* for all rows alike */
    if (status == STATUS_DONE) {
        measure_all(&bench, seconds * VINE_NS_PER_SECOND / (results->rounds * ROW_COUNT), results);
        status = show(results, &bench, values->json);
        if (status == STATUS_DONE)
            status = status_of_error(vine_pipe_status(bench.pipe));
    }
    vine_accelerator_release(bench.parallel);
    vine_pipe_close(bench.pipe);
    connection_close(&connection);
    bench_stop_servers(&bench);
    free(bench.bytes);
    free(bench.other);
    free(bench.times);
    free(results);
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
     .help = "the appliance to measure; where nothing names one, one is started"},
    {.name = "seconds",
     .letter = 's',
     .kind = OPTION_COUNT,
     VALUE(seconds),
     .value = "N",
     .min = 1,
     .max = 86400,
     .help = "measure for about so long in all (10)"},
    {.name = "rounds",
     .kind = OPTION_COUNT,
     VALUE(rounds),
     .value = "N",
     .min = 1,
     .max = ROUNDS_MAX,
     .help = "measure each row so often, in turn, and show the medians (5)"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON, with all samples"},
};

#undef VALUE

static const char *const bench_description[] = {
    "Measures what a task costs on this machine: no-op tasks beside the floor, which is a cache "
    "line that "
    "goes to another core and back; hashes of 4 KiB over Vine, a Unix socket and TCP, whose "
    "peers it brings itself; 1 MiB copied and in place. It keeps to one processor, and its peers "
    "to the others; a named appliance stays where it is. The rows are measured in turn, several "
    "times, and medians are shown; where too many rounds contradict them, or the difference is "
    "within 5 %, nothing is said to pay.",
    "To compare a whole tree, run it twice: `vine run zstd DIR -o OUT`, and with --in-process.",
    NULL,
};

const struct verb verb_bench = {
    .name = "bench",
    .synopsis = "",
    .description = bench_description,
    .options = bench_options,
    .option_count = sizeof(bench_options) / sizeof(bench_options[0]),
    .values_size = sizeof(struct bench_values),
    .run = run_bench,
};
