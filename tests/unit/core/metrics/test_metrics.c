/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What is registered on several cores, and the text that comes of it. */
#include "harness/stepped.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/metrics.h>
#include <vine/timer.h>

#include "core/metrics/metrics.h"

#define CORES 3

static struct stepped world;

static struct collected {
    char text[1 << 20];
    size_t length;
    uint32_t pieces;
    uint32_t ends;
    int error;
} collected;

static int start(void **state)
{
    (void)state;
    stepped_open(&world, CORES, 1, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (uint32_t core = 0; core < CORES; core++)
        vine__metrics_end(core);
    stepped_close(&world);
    return 0;
}

static void be_core(uint32_t core)
{
    (void)vine__reactor_enter(world.reactors[core]);
}

static void keep_text(void *context, const char *text, size_t size_bytes)
{
    (void)context;
    assert_int_equal(collected.ends, 0);
    assert_true(size_bytes > 0 && size_bytes < sizeof(collected.text) - collected.length);
    assert_int_equal(text[size_bytes - 1], '\n');
    memcpy(collected.text + collected.length, text, size_bytes);
    collected.length += size_bytes;
    collected.text[collected.length] = '\0';
    collected.pieces++;
    world.clock_ns += 1000000; /* the turn has used its time */
}

static void keep_end(void *context, int error)
{
    (void)context;
    assert_int_equal(vine_core(), 0);
    collected.ends++;
    collected.error = error;
}

static const char *collect(enum vine_metrics_form form)
{
    const struct vine_metrics_sink sink = {.text = keep_text, .done = keep_end};

    collected.length = 0;
    collected.pieces = 0;
    collected.ends = 0;
    collected.text[0] = '\0';
    be_core(0);
    assert_int_equal(vine_metrics_collect(form, &sink), 0);
    assert_int_equal(collected.ends, 0);
    stepped_settle(&world);
    assert_int_equal(collected.ends, 1);
    assert_int_equal(collected.error, 0);
    be_core(0);
    return collected.text;
}

static const uint64_t some_count = 7;

static struct vine_metric_description a_counter(const char *name)
{
    return (struct vine_metric_description){
        .name = name, .help = "Things.", .kind = VINE_METRIC_COUNTER, .count = &some_count};
}

static double ten(void *context)
{
    (void)context;
    return 10;
}

static int try_to_register(struct vine_metric_description description)
{
    struct vine_metric metric = {0};
    const int error = vine_metric_register(&metric, &description);

    vine_metric_unregister(&metric);
    return error;
}

static void names_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {NULL, "", "9_lives", "a-b", "a b", "a{b", "\xc3\xa4"};
    char long_name[VINE_METRIC_NAME_BYTES_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(try_to_register(a_counter(wrong[i])), -EINVAL);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(try_to_register(a_counter(long_name)), -EINVAL);
    assert_int_equal(try_to_register(a_counter(long_name + 1)), 0);
    assert_int_equal(try_to_register(a_counter("_:a9")), 0);
}

static void labels_that_are_none_are_refused(void **state)
{
    static const char *const wrong[] = {NULL, "", "core", "le", "a:b", "1a"};
    struct vine_metric_description description = a_counter("things_total");
    struct vine_label labels[VINE_METRIC_LABELS_MAX + 1];
    char value[2000];

    (void)state;
    description.labels = labels;
    description.label_count = 1;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        labels[0] = (struct vine_label){wrong[i], "x"};
        assert_int_equal(try_to_register(description), -EINVAL);
    }
    labels[0] = (struct vine_label){"a", NULL};
    assert_int_equal(try_to_register(description), -EINVAL);
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    labels[0] = (struct vine_label){"a", value};
    assert_int_equal(try_to_register(description), -EINVAL);
    labels[0] = labels[1] = (struct vine_label){"a", "x"};
    description.label_count = 2;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.label_count = VINE_METRIC_LABELS_MAX + 1;
    assert_int_equal(try_to_register(description), -EINVAL);
}

static void a_metric_has_one_source_of_its_kind(void **state)
{
    const int64_t level = 1;
    struct vine_metric_description description = a_counter("things_total");

    (void)state;
    description.fn = ten;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.fn = NULL;
    description.kind = VINE_METRIC_GAUGE;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.kind = VINE_METRIC_HISTOGRAM;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.kind = VINE_METRIC_KIND_COUNT;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.kind = VINE_METRIC_COUNTER;
    description.count = NULL;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.level = &level;
    assert_int_equal(try_to_register(description), -EINVAL);
    description.kind = VINE_METRIC_GAUGE;
    assert_int_equal(try_to_register(description), 0);
}

static void a_name_ends_with_its_unit(void **state)
{
    struct vine_metric_description description = a_counter("wait_seconds_total");

    (void)state;
    description.unit = "seconds";
    assert_int_equal(try_to_register(description), 0);
    description.name = "wait_seconds";
    assert_int_equal(try_to_register(description), 0);
    description.name = "waitseconds";
    assert_int_equal(try_to_register(description), -EINVAL);
    description.name = "seconds";
    assert_int_equal(try_to_register(description), -EINVAL);
    description.name = "wait_total";
    assert_int_equal(try_to_register(description), -EINVAL);
}

static void what_is_there_already_is_refused(void **state)
{
    struct vine_metric_description description = a_counter("things_total");
    const struct vine_label label = {"kind", "b"};
    struct vine_metric metrics[2];

    (void)state;
    assert_int_equal(vine_metric_register(&metrics[0], &description), 0);
    assert_int_equal(try_to_register(description), -EEXIST);
    description.labels = &label;
    description.label_count = 1;
    assert_int_equal(vine_metric_register(&metrics[1], &description), 0);
    assert_int_equal(try_to_register(description), -EEXIST);
    description.kind = VINE_METRIC_GAUGE;
    description.count = NULL;
    description.fn = ten;
    assert_int_equal(try_to_register(description), -EINVAL);
    vine_metric_unregister(&metrics[0]);
    vine_metric_unregister(&metrics[1]);
    vine_metric_unregister(&metrics[1]);
    assert_int_equal(try_to_register(description), 0);
}

static void nothing_registered_is_an_empty_text(void **state)
{
    (void)state;
    assert_string_equal(collect(VINE_METRICS_PROMETHEUS), "");
    assert_string_equal(collect(VINE_METRICS_TABLE), "");
}

static void all_cores_metrics_come_in_one_text(void **state)
{
    static uint64_t counts[CORES] = {1, UINT64_MAX, 3};
    static int64_t levels[CORES] = {-5, 0, 5};
    struct vine_metric metrics[CORES][3];

    (void)state;
    for (uint32_t core = 0; core < CORES; core++) {
        const struct vine_label labels[] = {{"group", "main"}, {"path", "a\"b\\c\nd"}};
        struct vine_metric_description description = a_counter("b_total");

        be_core(core);
        description.count = &counts[core];
        description.help = "One\nwith \\ in it.";
        assert_int_equal(vine_metric_register(&metrics[core][0], &description), 0);
        if (core == 1)
            continue;
        description = (struct vine_metric_description){
            .name = "a_bytes",
            .help = "Bytes.",
            .unit = "bytes",
            .kind = VINE_METRIC_GAUGE,
            .level = &levels[core],
            .labels = labels,
            .label_count = 2,
            .scale = 0.5,
        };
        assert_int_equal(vine_metric_register(&metrics[core][1], &description), 0);
        description.level = NULL;
        description.fn = ten;
        description.label_count = 0;
        assert_int_equal(vine_metric_register(&metrics[core][2], &description), 0);
    }
    assert_string_equal(collect(VINE_METRICS_PROMETHEUS),
                        "# HELP a_bytes Bytes.\n"
                        "# TYPE a_bytes gauge\n"
                        "# UNIT a_bytes bytes\n"
                        "a_bytes{core=\"0\"} 5\n"
                        "a_bytes{core=\"2\"} 5\n"
                        "a_bytes{core=\"0\",group=\"main\",path=\"a\\\"b\\\\c\\nd\"} -2.5\n"
                        "a_bytes{core=\"2\",group=\"main\",path=\"a\\\"b\\\\c\\nd\"} 2.5\n"
                        "# HELP b_total One\\nwith \\\\ in it.\n"
                        "# TYPE b_total counter\n"
                        "b_total{core=\"0\"} 1\n"
                        "b_total{core=\"1\"} 18446744073709551615\n"
                        "b_total{core=\"2\"} 3\n");
    counts[1] = 2;
    const char *const table = collect(VINE_METRICS_TABLE);

    assert_non_null(strstr(table, "  core 1    2\n"));
    assert_non_null(strstr(table, "  all       6\n"));
    /* Levels are not added up. */
    assert_null(strstr(table, "all       5"));
}

static void what_is_unregistered_is_told_no_more(void **state)
{
    const struct vine_metric_description description = a_counter("things_total");
    struct vine_metric metric;

    (void)state;
    assert_int_equal(vine_metric_register(&metric, &description), 0);
    assert_non_null(strstr(collect(VINE_METRICS_PROMETHEUS), "things_total{core=\"0\"} 7\n"));
    vine_metric_unregister(&metric);
    assert_string_equal(collect(VINE_METRICS_PROMETHEUS), "");
}

static void another_cores_metric_of_another_kind_is_left_out(void **state)
{
    struct vine_metric_description description = a_counter("things");
    struct vine_metric metrics[2];

    (void)state;
    assert_int_equal(vine_metric_register(&metrics[0], &description), 0);
    be_core(2);
    description.kind = VINE_METRIC_GAUGE;
    description.count = NULL;
    description.fn = ten;
    assert_int_equal(vine_metric_register(&metrics[1], &description), 0);
    assert_string_equal(collect(VINE_METRICS_PROMETHEUS), "# HELP things Things.\n"
                                                          "# TYPE things counter\n"
                                                          "things{core=\"0\"} 7\n");
}

static void a_histogram_has_cumulative_buckets(void **state)
{
    struct vine_histogram *histogram;
    struct vine_metric metric;
    struct vine_metric_description description = {
        .name = "wait_seconds", .help = "Waits.", .kind = VINE_METRIC_HISTOGRAM, .scale = 1e-9};

    (void)state;
    assert_int_equal(vine_histogram_create(&histogram), 0);
    description.histogram = histogram;
    assert_int_equal(vine_metric_register(&metric, &description), 0);
    assert_non_null(strstr(collect(VINE_METRICS_TABLE), "0 values"));
    vine_histogram_record(histogram, 0);
    vine_histogram_record(histogram, 255);
    vine_histogram_record(histogram, 256);
    vine_histogram_record(histogram, UINT64_C(1) << 41);
    const char *text = collect(VINE_METRICS_PROMETHEUS);

    assert_non_null(strstr(text, "# TYPE wait_seconds histogram\n"));
    assert_non_null(strstr(text, "wait_seconds_bucket{core=\"0\",le=\"0\"} 1\n"));
    assert_non_null(strstr(text, "wait_seconds_bucket{core=\"0\",le=\"2.55e-07\"} 2\n"));
    assert_non_null(strstr(text, "wait_seconds_bucket{core=\"0\",le=\"1.023e-06\"} 3\n"));
    assert_non_null(strstr(text, "wait_seconds_bucket{core=\"0\",le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(text, "wait_seconds_sum{core=\"0\"} 2199.023256063\n"));
    assert_non_null(strstr(text, "wait_seconds_count{core=\"0\"} 4\n"));
    text = collect(VINE_METRICS_TABLE);
    assert_non_null(strstr(text, "4 values, mean "));
    assert_non_null(strstr(text, "greatest 2199.023255552"));
    vine_metric_unregister(&metric);
    vine_histogram_destroy(histogram);
}

static double odd_number;

static double tell_odd_number(void *context)
{
    (void)context;
    return odd_number;
}

static void numbers_are_prometheus_ones(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{NAN, " NaN\n"},    {INFINITY, " +Inf\n"}, {-INFINITY, " -Inf\n"},
                 {0.5, " 0.5\n"},    {-0.25, " -0.25\n"},   {1e300, " 1e+300\n"},
                 {12345, " 12345\n"}};
    struct vine_metric metric;
    const struct vine_metric_description description = {
        .name = "odd", .help = "", .kind = VINE_METRIC_GAUGE, .fn = tell_odd_number};

    (void)state;
    (void)setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is there, numbers have commas */
    assert_int_equal(vine_metric_register(&metric, &description), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        odd_number = cases[i].number;
        assert_non_null(strstr(collect(VINE_METRICS_PROMETHEUS), cases[i].text));
    }
    (void)setlocale(LC_ALL, "C");
}

#define MANY 2000

static void many_metrics_come_in_whole_lines_and_several_turns(void **state)
{
    struct vine_metric *const metrics = calloc(MANY, sizeof(*metrics));

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        char value[16];
        const struct vine_label label = {"number", value};
        struct vine_metric_description description = a_counter("things_total");

        be_core(i % CORES);
        (void)snprintf(value, sizeof(value), "%u", i);
        description.labels = &label;
        description.label_count = 1;
        assert_int_equal(vine_metric_register(&metrics[i], &description), 0);
    }
    /* keep_text looks at the ends of all pieces. */
    const char *const text = collect(VINE_METRICS_PROMETHEUS);
    uint32_t lines = 0;

    assert_true(collected.pieces > 5);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, MANY + 2);
    free(metrics);
    for (uint32_t core = 0; core < CORES; core++)
        vine__metrics_end(core);
}

static uint64_t refreshed;

static void refresh(void *context)
{
    refreshed += *(const uint64_t *)context;
}

static void what_is_worked_out_together_is_worked_out_before_it_is_read(void **state)
{
    struct vine_metric metric;
    struct vine_metric_description description = a_counter("worked_out_total");
    static struct vine_metrics_refresh all;
    uint64_t by = 4;

    (void)state;
    description.count = &refreshed;
    assert_int_equal(vine_metric_register(&metric, &description), 0);
    assert_int_equal(vine_metrics_refresh_add(&all, refresh, &by), 0);
    assert_non_null(strstr(collect(VINE_METRICS_PROMETHEUS), "} 4\n"));
    assert_non_null(strstr(collect(VINE_METRICS_PROMETHEUS), "} 8\n"));
    vine_metrics_refresh_remove(&all);
    vine_metrics_refresh_remove(&all);
    assert_non_null(strstr(collect(VINE_METRICS_PROMETHEUS), "} 8\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_that_are_none_are_refused),
        TEST(labels_that_are_none_are_refused),
        TEST(a_metric_has_one_source_of_its_kind),
        TEST(a_name_ends_with_its_unit),
        TEST(what_is_there_already_is_refused),
        TEST(nothing_registered_is_an_empty_text),
        TEST(all_cores_metrics_come_in_one_text),
        TEST(what_is_unregistered_is_told_no_more),
        TEST(another_cores_metric_of_another_kind_is_left_out),
        TEST(a_histogram_has_cumulative_buckets),
        TEST(numbers_are_prometheus_ones),
        TEST(many_metrics_come_in_whole_lines_and_several_turns),
        TEST(what_is_worked_out_together_is_worked_out_before_it_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
