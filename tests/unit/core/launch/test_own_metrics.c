/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What the runtime tells of a core's memory by itself, under a clock that the test owns. */
#include "harness/stepped.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/metrics.h>

#include "core/arena/arena.h"
#include "core/launch/own_metrics.h"
#include "core/metrics/metrics.h"

#define MIB     (UINT64_C(1) << 20)
#define BLOCK   (8 * MIB)
#define SECOND  UINT64_C(1000000000)
#define USED    "vine_arena_used_bytes"
#define TOUCHED "vine_arena_touched_bytes"

static struct stepped world;
static struct vine__arena *arena;
static struct vine__own_metrics *own;
static char text[1 << 18];
static size_t length;
static uint32_t ends;

static int start(void **state)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    const char *what = "";

    (void)state;
    options.size_bytes = 64 * MIB;
    if (vine__arena_create(&options, &arena, &what) != 0)
        fail_msg("%s", what);
    assert_int_equal(vine__arena_attach(arena), 0);
    stepped_open(&world, 1, 1, NULL);
    assert_int_equal(vine__own_metrics_start(&own, arena), 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    vine__metrics_end(0);
    vine__own_metrics_free(own);
    stepped_close(&world);
    vine__arena_detach();
    vine__arena_destroy(arena);
    return 0;
}

static void keep_text(void *context, const char *some, size_t size_bytes)
{
    (void)context;
    assert_true(size_bytes < sizeof(text) - length);
    memcpy(text + length, some, size_bytes);
    length += size_bytes;
    text[length] = '\0';
}

static void keep_end(void *context, int error)
{
    (void)context;
    assert_int_equal(error, 0);
    ends++;
}

static void collect(void)
{
    const struct vine_metrics_sink sink = {.text = keep_text, .done = keep_end};

    length = 0;
    ends = 0;
    (void)vine__reactor_enter(world.reactors[0]);
    assert_int_equal(vine_metrics_collect(VINE_METRICS_PROMETHEUS, &sink), 0);
    stepped_settle(&world);
    assert_int_equal(ends, 1);
}

static uint64_t value_of(const char *name)
{
    char line[80];
    const char *at;

    (void)snprintf(line, sizeof(line), "\n%s{core=\"0\"} ", name);
    at = strstr(text, line);
    if (at == NULL)
        fail_msg("no %s in %s", name, text);
    return (uint64_t)strtod(at + strlen(line), NULL);
}

static void *take_block(void)
{
    unsigned char *const block = vine__arena_alloc(BLOCK);

    assert_non_null(block);
    memset(block, 1, BLOCK);
    return block;
}

static void memory_in_use_is_measured_for_whoever_asks_first(void **state)
{
    void *const block = take_block();

    (void)state;
    collect();
    assert_in_range(value_of(USED), BLOCK, 64 * MIB);
    assert_in_range(value_of(TOUCHED), BLOCK, 64 * MIB);
    vine__arena_free(block);
}

static void it_is_measured_anew_when_a_minute_has_passed_and_not_before(void **state)
{
    void *blocks[2];
    uint64_t used, touched;

    (void)state;
    blocks[0] = take_block();
    collect();
    used = value_of(USED);
    touched = value_of(TOUCHED);
    blocks[1] = take_block();
    world.clock_ns += 59 * SECOND;
    collect();
    assert_int_equal(value_of(USED), used);
    assert_int_equal(value_of(TOUCHED), touched);
    world.clock_ns += 2 * SECOND;
    collect();
    assert_in_range(value_of(USED), used + BLOCK, 64 * MIB);
    assert_in_range(value_of(TOUCHED), 2 * BLOCK, 64 * MIB);
    vine__arena_free(blocks[0]);
    vine__arena_free(blocks[1]);
    world.clock_ns += 61 * SECOND;
    collect();
    assert_in_range(value_of(USED), 0, used - 1);
    assert_in_range(value_of(TOUCHED), 2 * BLOCK, 64 * MIB);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_in_use_is_measured_for_whoever_asks_first),
        TEST(it_is_measured_anew_when_a_minute_has_passed_and_not_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
