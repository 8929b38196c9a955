/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Micro-processes at both ends of a connection, on a reactor that is stepped, by a clock that the
 * test owns. */
#include "../network/network_tests.h"

#include "../socket/both_ends.h"
#include "core/process/process.h"

static uint32_t ended_count;
static int first_error;

static void ended(void *context, const struct vine__process_end *end)
{
    (void)context;
    ended_count++;
    if (first_error == 0)
        first_error = end->error;
}

/* One core with micro-processes, and two ends of a connection. */
static void open_all(struct pair *pair, const char *address)
{
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    const struct vine__processes_options options = {.count_max = 4};
    char why[VINE__GUARD_WHY_BYTES];

    ended_count = 0;
    first_error = 0;
    assert_int_equal(vine__guard_choose(&guard, why), 0);
    open_cores(1);
    assert_int_equal(vine__processes_prepare(), 0);
    assert_int_equal(vine__processes_start(&options), 0);
    open_pair(pair, address);
}

static void begin(struct vine_connection *connection, const struct vine_coroutine_type *type)
{
    const struct vine__process_options options = {.type = type, .ended = ended};

    assert_int_equal(vine__process_start(connection, &options), 0);
}

static void close_all(struct pair *pair)
{
    close_listener(&pair->arrivals);
    close_cores();
}

/* ---- all operations -------------------------------------------------------------------------- */

static void what_is_written_is_read_by_all_operations(void **state)
{
    const char *const addresses[] = {"127.0.0.1:0", local_address()};

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pair pair;

        seed_state = seed * 0x9E3779B97F4A7C15ULL + 1;
        written = seen = 0;
        open_all(&pair, addresses[seed % 2]);
        begin(pair.server, &vine__type_writes);
        begin(pair.client, &vine__type_reads);
        until(ended_count == 2);
        if (first_error != 0 || seen != STREAM_BYTES)
            fail_msg("seed %llu: %zu bytes, error %d", (unsigned long long)seed, seen, first_error);
        close_all(&pair);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

static char said[64];
static int timed_out;

VINE_COROUTINE(looks_for_too_much)
{
    struct {
        const char *there;
        size_t looked;
        char text[17];
        ssize_t length;
    } *self;

    vine_begin();
    vine_deadline(100);
    vine_look(self->looked, self->there, 10);
    vine_catch(timed_out)
    {
        vine_deadline(VINE_FOREVER);
    }
    vine_read(self->length, self->text, sizeof(self->text) - 1);
    memcpy(said, self->text, (size_t)self->length);
    vine_look(self->looked, self->there, 3);
    memcpy(said + strlen(said), self->there, self->looked);
    vine_skip(self->looked);
    vine_end();
}

static void what_a_look_in_vain_has_seen_can_be_read_and_more_follows(void **state)
{
    struct pair pair;

    (void)state;
    memset(said, 0, sizeof said);
    timed_out = 0;
    open_all(&pair, "127.0.0.1:0");
    begin(pair.server, &vine__type_looks_for_too_much);
    assert_int_equal(send_all(pair.client, "abcd", 4), 0);
    step_often();
    assert_int_equal(timed_out, 0);
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(said[0] != '\0');
    assert_int_equal(timed_out, -ETIMEDOUT);
    assert_string_equal(said, "abcd");
    assert_int_equal(send_all(pair.client, "efg", 3), 0);
    until(ended_count == 1);
    assert_string_equal(said, "abcdefg");
    assert_int_equal(first_error, 0);
    close_connection(pair.client);
    close_all(&pair);
}

VINE_COROUTINE(sleeps_for_others)
{
    struct {
        int i;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 3; self->i++) {
        vine_sleep(VINE_NS_PER_SECOND);
        vine_writef("%d", self->i);
    }
    vine_end();
}

static void who_sleeps_is_woken_in_time_again_and_again(void **state)
{
    struct received received = {.calls = 0};
    struct pair pair;

    (void)state;
    open_all(&pair, "127.0.0.1:0");
    begin(pair.server, &vine__type_sleeps_for_others);
    for (int i = 0; i < 3; i++) {
        received = (struct received){.calls = 0};
        vine_receive(pair.client, &received.receive, on_received);
        step_often();
        assert_int_equal(received.calls, 0);
        stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
        until(received.calls == 1);
        assert_int_equal(received.size, 1);
        assert_int_equal(received.bytes[0], '0' + i);
    }
    until(ended_count == 1);
    assert_int_equal(first_error, 0);
    close_connection(pair.client);
    close_all(&pair);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#define LONG_BYTES 40000 /* more than what there is room for at once */

static int begun;

VINE_COROUTINE(writes_at_length_and_parks)
{
    struct {
        char text[2];
        ssize_t length;
    } *self;

    vine_begin();
    if (++begun == 1) {
        vine_writef("%*d", LONG_BYTES, 7);
        vine_park();
    }
    vine_read(self->length, self->text, 1);
    vine_end();
}

static void a_long_text_leaves_nothing_behind_that_parking_minds(void **state)
{
    struct received received = {.calls = 0};
    struct pair pair;
    int64_t came = 0;

    (void)state;
    begun = 0;
    open_all(&pair, "127.0.0.1:0");
    begin(pair.server, &vine__type_writes_at_length_and_parks);
    while (came < LONG_BYTES)
        came += receive_one(pair.client, &received);
    assert_int_equal(came, LONG_BYTES);
    for (uint32_t i = 0; vine__process_count() > 0; i++) {
        assert_true(i < 100);
        stepped.clock_ns += VINE_NS_PER_SECOND / 100;
        step_often();
    }
    assert_int_equal(send_all(pair.client, "x", 1), 0);
    until(ended_count == 1);
    assert_int_equal(first_error, 0);
    close_connection(pair.client);
    close_all(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_by_all_operations),
        cmocka_unit_test(what_a_look_in_vain_has_seen_can_be_read_and_more_follows),
        cmocka_unit_test(who_sleeps_is_woken_in_time_again_and_again),
        cmocka_unit_test(a_long_text_leaves_nothing_behind_that_parking_minds),
    };

    return run_by_both(tests);
}
