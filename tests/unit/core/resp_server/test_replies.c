/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Replies that go out in pieces while others change what they tell, values that come as payloads,
 * memory that is not to be had, and connections that end in the midst of all this.
 */
#include "unit/core/resp_server/resp_served.h"

#include "harness/failing_malloc.h"

#define LARGE_BYTES 10000

static struct served_connection one, other;
static char large[LARGE_BYTES + 1];

static void begin(uint64_t bytes_max)
{
    served_start(bytes_max);
    served_connect(&one);
    served_connect(&other);
    memset(large, 'v', LARGE_BYTES);
}

static void end(void)
{
    served_between = NULL;
    served_disconnect(&one);
    served_disconnect(&other);
    served_stop(); /* which asserts that nothing is held any more */
}

static void send_text(struct served_connection *connection, const char *text)
{
    served_send(connection, text, strlen(text));
}

static void set_large(const char *key)
{
    char head[64];

    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%d\r\n", strlen(key), key,
                   LARGE_BYTES);
    served_send(&one, head, strlen(head));
    served_send(&one, large, LARGE_BYTES);
    one.output_bytes = 0;
    send_text(&one, "\r\n");
}

/* What one was answered: an array of the large value, `count` times. */
static void assert_large(size_t count)
{
    const char *at = one.output;

    for (size_t n = 0; n < count; n++) {
        assert_memory_equal(at, "$10000\r\n", 8);
        assert_memory_equal(at + 8, large, LARGE_BYTES);
        assert_memory_equal(at + 8 + LARGE_BYTES, "\r\n", 2);
        at += LARGE_BYTES + 10;
    }
    assert_ptr_equal(at, one.output + one.output_bytes);
}

/* ---- pieces ---------------------------------------------------------------------------------- */

static void others_overwrite(void)
{
    (void)served_ask(&other, "mset a 1 b 2 c 3");
}

static void others_delete(void)
{
    (void)served_ask(&other, "del a b c");
}

static void a_value_that_is_being_sent_stays_as_it_was(void **state)
{
    void (*const changes[])(void) = {others_overwrite, others_delete};
    (void)state;

    begin(0);
    for (size_t n = 0; n < 2; n++) {
        set_large("a");
        served_between = changes[n];
        (void)served_ask(&one, "get a");
        assert_large(1);
        served_between = NULL;
        set_large("a");
        served_between = changes[n];
        (void)served_ask(&one, "set a new get");
        assert_large(1);
        served_between = NULL;
    }
    end();
}

static void all_values_of_mget_are_those_of_one_moment(void **state)
{
    (void)state;

    begin(0);
    set_large("a");
    set_large("b");
    set_large("c");
    served_between = others_overwrite;
    (void)served_ask(&one, "mget a b c");
    served_between = NULL;
    assert_memory_equal(one.output, "*3\r\n", 4);
    one.output_bytes -= 4;
    memmove(one.output, one.output + 4, one.output_bytes);
    assert_large(3);
    assert_string_equal(served_ask(&one, "mget a b c"), "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    end();
}

static void a_command_waits_for_its_room(void **state)
{
    static const char many[] = "incr n\r\n";
    char bytes[VINE_RESP_ROOM_MIN];
    struct vine_resp_writer writer;
    struct vine_resp_argument arguments[] = {{.bytes = "incr", .size_bytes = 4},
                                             {.bytes = "n", .size_bytes = 1}};
    (void)state;

    begin(0);
    vine_resp_writer_init(&writer, bytes, sizeof(bytes), 2);
    writer.size_bytes = sizeof(bytes) - 10;
    assert_int_equal(vine_resp_execute(&one.session, arguments, 2, &writer), -ENOBUFS);
    assert_int_equal(writer.size_bytes, sizeof(bytes) - 10);
    vine_resp_writer_drain(&writer);
    assert_int_equal(vine_resp_execute(&one.session, arguments, 2, &writer), 0);
    assert_memory_equal(bytes, ":1\r\n", 4); /* it was executed once */
    for (int n = 0; n < 1000; n++)
        served_send(&one, many, sizeof(many) - 1);
    assert_string_equal(served_ask(&one, "get n"), "$4\r\n1001\r\n");
    end();
}

static void a_pipeline_is_answered_at_once(void **state)
{
    char pipeline[16 * 14 + 1] = "";
    (void)state;

    begin(0);
    for (int n = 0; n < 16; n++)
        memcpy(pipeline + (size_t)n * 14, "*1\r\n$4\r\nPING\r\n", 14);
    served_send(&one, pipeline, sizeof(pipeline) - 1);
    assert_int_equal(one.output_bytes, 16 * 7);
    for (size_t n = 0; n < 16; n++)
        assert_memory_equal(one.output + n * 7, "+PONG\r\n", 7);
    end();
}

/* ---- payloads -------------------------------------------------------------------------------- */

static uint64_t memory_used(void)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(served.keyspace, &stats);
    return stats.bytes;
}

#define HUGE_BYTES 400000U

static void a_payload_takes_memory_as_it_comes(void **state)
{
    char *const huge = malloc(HUGE_BYTES);
    const struct vine_keyspace_entry *entry;
    uint64_t used, most = 0;
    size_t size;
    (void)state;

    assert_non_null(huge);
    for (size_t n = 0; n < HUGE_BYTES; n++)
        huge[n] = (char)(n * 2654435761U >> 13);
    begin(0);
    used = memory_used() + 2000; /* what its other arguments take, and the table */
    one.limits.payload_bytes_min = 100;
    send_text(&one, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$400000\r\n");
    assert_true(memory_used() <= used + 16384);
    for (size_t come = 0; come < HUGE_BYTES; come += 1000) {
        served_send(&one, huge + come, 1000);
        most = memory_used() - used;
        assert_true(most <= 16384 || most <= 4 * (come + 1000));
    }
    assert_true(most >= HUGE_BYTES - 2000);
    send_text(&one, "\r\n");
    assert_string_equal(one.output, "+OK\r\n");
    entry = vine_keyspace_find(served.keyspace, "a", 1);
    assert_memory_equal(vine_keyspace_value(entry, &size), huge, HUGE_BYTES);
    assert_int_equal(size, HUGE_BYTES);
    end();
    free(huge);
}

static void a_payload_that_has_not_come_whole_is_no_value(void **state)
{
    struct vine_resp_argument arguments[] = {{.bytes = "set", .size_bytes = 3},
                                             {.bytes = "a", .size_bytes = 1}};
    struct vine_resp_writer writer;
    char bytes[VINE_RESP_ROOM_MIN + 1] = {0};
    (void)state;

    begin(0);
    vine_resp_take(&one.session, arguments, 2);
    vine_resp_take_payload(&one.session, 5000);
    assert_int_equal(vine_resp_put_payload(&one.session, large, 4999), 0);
    assert_int_equal(vine_resp_put_payload(&one.session, large, 2), -EINVAL);
    vine_resp_writer_init(&writer, bytes, VINE_RESP_ROOM_MIN, 2);
    assert_int_equal(vine_resp_execute(&one.session, NULL, 0, &writer), 0);
    assert_int_equal(bytes[0], '-');
    assert_null(vine_keyspace_find(served.keyspace, "a", 1));
    assert_string_equal(served_ask(&one, "ping"), "+PONG\r\n");
    end();
}

static void what_is_kept_of_a_command_counts_as_keys_do(void **state)
{
    uint64_t used;
    (void)state;

    begin(0);
    one.splits = true;
    used = memory_used();
    send_text(&one, "*901\r\n$6\r\nEXISTS\r\n");
    for (int n = 0; n < 800; n++)
        send_text(&one, "$0\r\n\r\n");
    /* An entry takes 48 bytes; the list of them is counted, too. */
    assert_true(memory_used() - used >= 800 * (48 + sizeof(struct vine_resp_argument)));
    end();
}

static void large_keys_and_texts_are_payloads_too(void **state)
{
    (void)state;

    begin(0);
    one.limits.payload_bytes_min = 3;
    one.output_bytes = 0;
    send_text(&one, "*3\r\n$3\r\nset\r\n$5\r\nlarge\r\n$3\r\nbox\r\n");
    send_text(&one, "*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n");
    send_text(&one, "*5\r\n$4\r\nmset\r\n$1\r\na\r\n$4\r\nwide\r\n$5\r\nlarge\r\n$1\r\nb\r\n");
    send_text(&one, "*3\r\n$4\r\nmget\r\n$5\r\nlarge\r\n$1\r\na\r\n");
    send_text(&one, "*2\r\n$4\r\necho\r\n$4\r\ntext\r\n");
    assert_string_equal(one.output, "+OK\r\n$3\r\nbox\r\n+OK\r\n*2\r\n$1\r\nb\r\n$4\r\nwide\r\n"
                                    "$4\r\ntext\r\n");
    end();
}

static void a_command_may_come_in_any_parts(void **state)
{
    char command[2000];
    size_t size = 0;
    (void)state;

    begin(0);
    one.splits = true; /* with room for four arguments, and all of it sent byte by byte */
    size += (size_t)snprintf(command, sizeof(command), "*41\r\n$4\r\nMSET\r\n");
    for (int n = 0; n < 20; n++)
        size += (size_t)snprintf(command + size, sizeof(command) - size,
                                 "$3\r\nk%02d\r\n$2\r\n%02d\r\n", n, n);
    size +=
        (size_t)snprintf(command + size, sizeof(command) - size,
                         "mget k00 \"k13\" none k07 k08 'k19'\r\nexists k01 k02 k03 k04 k05\r\n");
    for (size_t n = 0; n < size; n++)
        served_send(&one, command + n, 1);
    assert_string_equal(one.output, "+OK\r\n*6\r\n$2\r\n00\r\n$2\r\n13\r\n$-1\r\n$2\r\n07\r\n"
                                    "$2\r\n08\r\n$2\r\n19\r\n:5\r\n");
    end();
}

/* ---- memory ---------------------------------------------------------------------------------- */

#define REFUSED "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

static void beyond_the_bound_nothing_changes(void **state)
{
    uint64_t payload_min;
    (void)state;

    for (payload_min = 0; payload_min <= 100; payload_min += 100) {
        begin(6000);
        one.limits.payload_bytes_min = (uint32_t)payload_min;
        assert_string_equal(served_ask(&one, "mset a 1 b 2"), "+OK\r\n");
        set_large("a");
        assert_string_equal(one.output, REFUSED);
        one.output_bytes = 0;
        send_text(&one, "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n5\r\n$1\r\nb\r\n$10000\r\n");
        served_send(&one, large, LARGE_BYTES);
        send_text(&one, "\r\n");
        assert_string_equal(one.output, REFUSED);
        assert_string_equal(served_ask(&one, "mget a b"), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        assert_string_equal(served_ask(&one, "set a 3"), "+OK\r\n");
        end();
    }
}

static void what_malloc_refuses_is_answered_and_changes_nothing(void **state)
{
    static const char *const lines[] = {"set a 5 ex 100 get", "mset a 5 new 6", "expire a 100",
                                        "set new 1", "incr new"};
    (void)state;

    for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
        uint64_t nth = 1;
        bool was_refused = true;

        /* The harness allocates too: its failures are its own, so the command is executed here. */
        for (; was_refused; nth++) {
            struct vine_resp_writer writer;
            char line[64], bytes[VINE_RESP_ROOM_MIN + 1] = {0};

            begin(0);
            (void)served_ask(&one, "set a 1");
            (void)snprintf(line, sizeof(line), "%s\r\n", lines[n]);
            vine_resp_writer_init(&writer, bytes, VINE_RESP_ROOM_MIN, 2);
            while (vine_resp_parse(&one.parser, line, strlen(line)) == VINE_RESP_ROOM)
                served_grow(&one);
            vine__arena_fail_nth(nth);
            assert_int_equal(
                vine_resp_execute(&one.session, one.arguments, one.parser.argument_count, &writer),
                0);
            vine__arena_fail_nth(0);
            was_refused = strcmp(bytes, REFUSED) == 0;
            if (was_refused) {
                assert_string_equal(served_ask(&one, "mget a new"), "*2\r\n$1\r\n1\r\n$-1\r\n");
                assert_string_equal(served_ask(&one, "ttl a"), ":-1\r\n");
            }
            end();
        }
        assert_true(nth > 2); /* one was refused at least */
    }
}

static void large_names_are_unknown_or_without_memory(void **state)
{
    (void)state;

    for (uint64_t bytes_max = 0; bytes_max <= 6000; bytes_max += 6000) {
        begin(bytes_max);
        one.limits.payload_bytes_min = 100;
        one.output_bytes = 0;
        send_text(&one, "*2\r\n$10000\r\n");
        served_send(&one, large, LARGE_BYTES);
        send_text(&one, "\r\n$1\r\na\r\n");
        if (bytes_max == 0)
            assert_memory_equal(one.output, "-ERR unknown command 'vvv", 25);
        else
            assert_string_equal(one.output, REFUSED);
        assert_string_equal(served_ask(&one, "ping"), "+PONG\r\n");
        end();
    }
}

/* What is kept of a command between two parts of its answer is malloc's, one block. */
static void half_an_answer_without_memory_for_the_rest_is_the_last(void **state)
{
    (void)state;

    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct vine_resp_writer writer;
        char bytes[VINE_RESP_ROOM_MIN], line[] = "mget a none a\r\n";
        int result;

        begin(0);
        set_large("a");
        vine_resp_writer_init(&writer, bytes, sizeof(bytes), 2);
        assert_int_equal(vine_resp_parse(&one.parser, line, strlen(line)), VINE_RESP_COMPLETE);
        vine__arena_fail_nth(nth);
        result = vine_resp_execute(&one.session, one.arguments, one.parser.argument_count, &writer);
        vine__arena_fail_nth(0);
        assert_int_equal(result, nth == 1 ? 0 : -ENOBUFS);
        assert_int_equal(one.session.is_closing, nth == 1);
        assert_int_equal(vine_resp_is_executing(&one.session), nth > 1);
        end();
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void a_connection_may_end_within_a_command(void **state)
{
    struct vine_resp_writer writer;
    char bytes[VINE_RESP_ROOM_MIN], line[] = "mget a none a\r\n";
    (void)state;

    begin(0);
    set_large("a");
    vine_resp_writer_init(&writer, bytes, sizeof(bytes), 2);
    assert_int_equal(vine_resp_parse(&one.parser, line, strlen(line)), VINE_RESP_COMPLETE);
    assert_int_equal(
        vine_resp_execute(&one.session, one.arguments, one.parser.argument_count, &writer),
        -ENOBUFS);
    other.limits.payload_bytes_min = 4;
    send_text(&other, "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$4\r\nwide\r\n$1\r\nb\r\n$10000\r\nv");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_is_being_sent_stays_as_it_was),
        cmocka_unit_test(all_values_of_mget_are_those_of_one_moment),
        cmocka_unit_test(a_command_waits_for_its_room),
        cmocka_unit_test(a_pipeline_is_answered_at_once),
        cmocka_unit_test(a_payload_takes_memory_as_it_comes),
        cmocka_unit_test(a_payload_that_has_not_come_whole_is_no_value),
        cmocka_unit_test(what_is_kept_of_a_command_counts_as_keys_do),
        cmocka_unit_test(large_keys_and_texts_are_payloads_too),
        cmocka_unit_test(a_command_may_come_in_any_parts),
        cmocka_unit_test(large_names_are_unknown_or_without_memory),
        cmocka_unit_test(half_an_answer_without_memory_for_the_rest_is_the_last),
        cmocka_unit_test(beyond_the_bound_nothing_changes),
        cmocka_unit_test(what_malloc_refuses_is_answered_and_changes_nothing),
        cmocka_unit_test(a_connection_may_end_within_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
