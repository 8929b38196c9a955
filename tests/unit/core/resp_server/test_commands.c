/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/resp_server/resp_served.h"

#include "core/resp_server/commands.h"

static struct served_connection one;

static int start(void **state)
{
    (void)state;
    served_start(0);
    served_connect(&one);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    served_disconnect(&one);
    served_stop();
    served_between = NULL;
    return 0;
}

struct exchange {
    const char *line, *reply;
};

static void assert_exchanges(const struct exchange *exchanges, size_t count)
{
    for (size_t n = 0; n < count; n++)
        assert_string_equal(served_ask(&one, exchanges[n].line), exchanges[n].reply);
}

#define ASSERT_EXCHANGES(...)                                                                      \
    do {                                                                                           \
        static const struct exchange exchanges[] = {__VA_ARGS__};                                  \
        assert_exchanges(exchanges, sizeof(exchanges) / sizeof(exchanges[0]));                     \
    } while (0)

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_no_command_is_answered_with_an_error(void **state)
{
    (void)state;
    ASSERT_EXCHANGES(
        {"NONE", "-ERR unknown command 'NONE', with args beginning with: \r\n"},
        {"none \"a\\nb\" c",
         "-ERR unknown command 'none', with args beginning with: 'a b' 'c' \r\n"},
        {"\"get\\r\\nx\" k", "-ERR unknown command 'get  x', with args beginning with: 'k' \r\n"},
        {"client|id x", "-ERR unknown command 'client|id', with args beginning with: 'x' \r\n"},
        {"get", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"GET a b", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"set a", "-ERR wrong number of arguments for 'set' command\r\n"},
        {"mset a b c", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"ping a b", "-ERR wrong number of arguments for 'ping' command\r\n"},
        {"client", "-ERR wrong number of arguments for 'client' command\r\n"},
        {"client setname", "-ERR wrong number of arguments for 'client|setname' command\r\n"},
        {"client none", "-ERR unknown subcommand 'none'. Try CLIENT HELP.\r\n"},
        {"config set a b", "-ERR unknown subcommand 'set'. Try CONFIG HELP.\r\n"},
        {"select 1", "-ERR DB index is out of range\r\n"},
        {"select x", "-ERR value is not an integer or out of range\r\n"},
        {"hello 4", "-NOPROTO unsupported protocol version\r\n"},
        {"hello x", "-ERR Protocol version is not an integer or out of range\r\n"},
        {"hello 3 what", "-ERR Syntax error in HELLO option 'what'\r\n"},
        {"hello 3 auth other pw",
         "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
        {"client setname \"a b\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"client setname 12345678901234567890123456789012",
         "-ERR Client names are of 31 bytes at most\r\n"},
        {"client setinfo what x", "-ERR Unrecognized option 'what'\r\n"}, );
    assert_int_equal(one.session.protocol, 2);
}

static void a_very_long_unknown_command_is_shown_in_part(void **state)
{
    char line[900];
    const char *reply;
    (void)state;

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    line[300] = ' ';
    line[310] = ' ';
    reply = served_ask(&one, line);
    assert_memory_equal(reply, "-ERR unknown command 'xxx", 25);
    assert_true(strlen(reply) < 400);
    assert_string_equal(reply + strlen(reply) - 5, "x' \r\n");
}

static void a_browsers_request_is_not_answered(void **state)
{
    (void)state;
    assert_string_equal(served_ask(&one, "POST / HTTP/1.1\r\nHost: here\r\nSET a b"), "");
    assert_true(one.session.is_closing);
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    (void)state;
    ASSERT_EXCHANGES(
        {"set a b nx xx", "-ERR syntax error\r\n"}, {"set a b ex", "-ERR syntax error\r\n"},
        {"set a b ex 1 px 1", "-ERR syntax error\r\n"},
        {"set a b keepttl ex 1", "-ERR syntax error\r\n"},
        {"set a b ex 1 keepttl", "-ERR syntax error\r\n"},
        {"set a b what", "-ERR syntax error\r\n"},
        {"set a b ex x", "-ERR value is not an integer or out of range\r\n"},
        {"set a b ex 0", "-ERR invalid expire time in 'set' command\r\n"},
        {"set a b px -1", "-ERR invalid expire time in 'set' command\r\n"},
        {"set a b ex 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
        {"set a b px 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
        {"get a", "$-1\r\n"},
        {"expire a 1 nx xx",
         "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
        {"expire a 1 gt lt", "-ERR GT and LT options at the same time are not compatible\r\n"},
        {"expire a 1 what", "-ERR Unsupported option what\r\n"},
        {"expire a x", "-ERR value is not an integer or out of range\r\n"},
        {"expire a 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
        {"pexpire a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"}, );
}

/* ---- commands -------------------------------------------------------------------------------- */

static void commands_do_what_redis_has_them_do(void **state)
{
    (void)state;
    ASSERT_EXCHANGES(
        {"PING", "+PONG\r\n"}, {"ping hello", "$5\r\nhello\r\n"}, {"Echo x", "$1\r\nx\r\n"},
        {"select 0", "+OK\r\n"}, {"dbsize", ":0\r\n"}, {"get a", "$-1\r\n"}, {"set a 1", "+OK\r\n"},
        {"GET a", "$1\r\n1\r\n"}, {"set a 2 nx", "$-1\r\n"}, {"set b 2 xx", "$-1\r\n"},
        {"set a 2 xx", "+OK\r\n"}, {"set b \"\" nx", "+OK\r\n"}, {"get b", "$0\r\n\r\n"},
        {"set a 3 get", "$1\r\n2\r\n"}, {"set c 3 get", "$-1\r\n"},
        {"set c 4 nx get", "$1\r\n3\r\n"}, {"set d 4 xx get", "$-1\r\n"}, {"exists d", ":0\r\n"},
        {"get c", "$1\r\n3\r\n"}, {"exists a b c d a", ":4\r\n"}, {"del a b d a", ":2\r\n"},
        {"mset x 1 y 2 x 3", "+OK\r\n"}, {"mget x z y", "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n"},
        {"incr x", ":4\r\n"}, {"incr n", ":1\r\n"}, {"decr m", ":-1\r\n"},
        {"incrby n 10", ":11\r\n"}, {"decrby n 1", ":10\r\n"}, {"get n", "$2\r\n10\r\n"},
        {"set n 9223372036854775807", "+OK\r\n"},
        {"incr n", "-ERR increment or decrement would overflow\r\n"},
        {"decrby n -9223372036854775808", "-ERR decrement would overflow\r\n"},
        {"set n x", "+OK\r\n"}, {"incr n", "-ERR value is not an integer or out of range\r\n"},
        {"incrby n 1x", "-ERR value is not an integer or out of range\r\n"},
        {"client getname", "$-1\r\n"}, {"client setname me", "+OK\r\n"},
        {"client getname", "$2\r\nme\r\n"}, {"client id", ":1\r\n"},
        {"client setinfo LIB-NAME hiredis", "+OK\r\n"}, {"client setinfo lib-ver 1.0", "+OK\r\n"},
        {"client setname \"\"", "+OK\r\n"}, {"client getname", "$-1\r\n"},
        {"config get save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
        {"config get APPEND* s?ve",
         "*4\r\n$4\r\nsave\r\n$0\r\n\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"},
        {"config get maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"},
        {"config get *x*y*z", "*0\r\n"}, {"", ""}, {"quit", "+OK\r\n"}, );
    assert_true(one.session.is_closing);
}

static void keys_go_when_their_time_has_come(void **state)
{
    (void)state;
    ASSERT_EXCHANGES({"ttl a", ":-2\r\n"}, {"set a 1", "+OK\r\n"}, {"ttl a", ":-1\r\n"},
                     {"expire a 100", ":1\r\n"}, {"ttl a", ":100\r\n"}, {"pttl a", ":100000\r\n"},
                     {"expiretime a", ":1700000100\r\n"}, {"pexpiretime a", ":1700000100000\r\n"},
                     {"expire a 200 nx", ":0\r\n"}, {"expire a 200 lt", ":0\r\n"},
                     {"expire a 200 gt xx", ":1\r\n"}, {"expire a 200 gt", ":0\r\n"},
                     {"expire a 200 lt", ":0\r\n"}, {"ttl a", ":200\r\n"}, {"persist a", ":1\r\n"},
                     {"persist a", ":0\r\n"}, {"expire a 5 xx", ":0\r\n"},
                     {"expire a 5 gt", ":0\r\n"}, {"pexpire a 1499 lt", ":1\r\n"},
                     {"ttl a", ":1\r\n"}, {"pexpire a 1500", ":1\r\n"}, {"ttl a", ":2\r\n"},
                     {"expireat a 1700000007", ":1\r\n"}, {"ttl a", ":7\r\n"},
                     {"pexpireat a 1700000008000", ":1\r\n"}, {"ttl a", ":8\r\n"},
                     {"set a 2 keepttl", "+OK\r\n"}, {"ttl a", ":8\r\n"}, {"incr a", ":3\r\n"},
                     {"ttl a", ":8\r\n"}, {"set a 2", "+OK\r\n"}, {"ttl a", ":-1\r\n"},
                     {"set b 1 ex 10", "+OK\r\n"}, {"set c 1 px 10000", "+OK\r\n"},
                     {"set d 1 exat 1700000010", "+OK\r\n"},
                     {"set e 1 PXAT 1700000010000", "+OK\r\n"}, {"expire a 0", ":1\r\n"},
                     {"get a", "$-1\r\n"}, {"expire none 1", ":0\r\n"}, {"dbsize", ":4\r\n"}, );
    vine_keyspace_set_time(served.keyspace, SERVED_NOW_MS + 10000);
    assert_string_equal(served_ask(&one, "exists b c d e"), ":4\r\n");
    vine_keyspace_set_time(served.keyspace, SERVED_NOW_MS + 10001);
    assert_string_equal(served_ask(&one, "exists b c d e"), ":0\r\n");
}

static void protocol_3_is_spoken_with_who_wants_it(void **state)
{
    (void)state;
    ASSERT_EXCHANGES(
        {"hello",
         "*14\r\n$6\r\nserver\r\n$4\r\nvine\r\n$7\r\nversion\r\n$5\r\n1.2.3\r\n$5\r\nproto\r\n:"
         "2\r\n"
         "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
         "$7\r\nmodules\r\n*0\r\n"},
        {"hello 3 auth default any setname me",
         "%7\r\n$6\r\nserver\r\n$4\r\nvine\r\n$7\r\nversion\r\n$5\r\n1.2.3\r\n$5\r\nproto\r\n:3\r\n"
         "$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
         "$7\r\nmodules\r\n*0\r\n"},
        {"client getname", "$2\r\nme\r\n"}, {"get a", "_\r\n"}, {"mget a", "*1\r\n_\r\n"},
        {"config get save", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n"},
        {"command info none", "*1\r\n_\r\n"}, );
    assert_memory_equal(served_ask(&one, "hello 2"), "*14\r\n", 5);
    assert_string_equal(served_ask(&one, "get a"), "$-1\r\n");
}

static void info_tells_what_there_is(void **state)
{
    const char *info;
    (void)state;

    served.connections = 7;
    (void)served_ask(&one, "set a b ex 100");
    (void)served_ask(&one, "get a");
    (void)served_ask(&one, "get b");
    (void)served_ask(&one, "what");
    info = served_ask(&one, "INFO");
    assert_non_null(strstr(info, "# Server\r\nvine_version:1.2.3\r\n"));
    assert_non_null(strstr(info, "uptime_in_seconds:5\r\n"));
    assert_non_null(strstr(info, "connected_clients:7\r\n"));
    assert_non_null(strstr(info, "total_commands_processed:4\r\n"));
    assert_non_null(strstr(info, "total_error_replies:1\r\n"));
    assert_non_null(strstr(info, "keyspace_hits:1\r\nkeyspace_misses:1\r\n"));
    assert_non_null(strstr(info, "db0:keys=1,expires=1,avg_ttl=0\r\n"));
    info = served_ask(&one, "INFO clients nothing");
    assert_string_equal(info, "$32\r\n# Clients\r\nconnected_clients:7\r\n\r\n");
    (void)served_ask(&one, "hello 3");
    info = served_ask(&one, "INFO clients");
    assert_string_equal(info, "=36\r\ntxt:# Clients\r\nconnected_clients:7\r\n\r\n");
}

/* ---- the table ------------------------------------------------------------------------------- */

static void the_table_is_told_row_by_row(void **state)
{
    (void)state;
    ASSERT_EXCHANGES(
        {"command info get none",
         "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n"
         "*0\r\n*0\r\n*0\r\n$-1\r\n"},
        {"command docs none echo",
         "*2\r\n$4\r\necho\r\n*6\r\n$7\r\nsummary\r\n$15\r\nAnswer the text\r\n$5\r\nsince\r\n"
         "$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n"},
        {"config help", "*4\r\n+GET PATTERN...\r\n+    Settings whose names match\r\n+HELP\r\n"
                        "+    The parts of this command\r\n"}, );
}

/* Walk over a whole reply and count what lies at depth 1. */
static size_t count_elements(const char *bytes, size_t size)
{
    static const struct vine_resp_reply_limits limits = {
        .depth_max = 16, .count_max = 1000, .bulk_bytes_max = 1000, .line_bytes_max = 1000};
    struct vine_resp_reply_parser parser;
    struct vine_resp_element element = {.is_last = false};
    size_t count = 0;

    vine_resp_reply_parser_init(&parser, &limits);
    while (!element.is_last) {
        assert_int_equal(vine_resp_parse_reply(&parser, bytes, size, &element), VINE_RESP_COMPLETE);
        bytes += parser.consumed_bytes;
        size -= parser.consumed_bytes;
        count += element.depth == 1;
    }
    assert_int_equal(size, 0);
    return count;
}

static size_t count_reply(const char *line)
{
    (void)served_ask(&one, line);
    return count_elements(one.output, one.output_bytes);
}

static void all_commands_are_told_of_in_pieces(void **state)
{
    static const char *const names[] = {
#define NAME(name, ...) name,
        VINE__RESP_COMMANDS(NAME)
#undef NAME
    };
    char expected[32];
    size_t commands = 0;
    (void)state;

    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        commands += strchr(names[n], '|') == NULL;
    (void)snprintf(expected, sizeof(expected), ":%zu\r\n", commands);
    assert_string_equal(served_ask(&one, "command count"), expected);
    assert_int_equal(count_reply("command"), commands);
    assert_int_equal(count_reply("command info"), commands);
    assert_int_equal(count_reply("command docs"), 2 * commands);
    assert_int_equal(count_reply("command info client get config"), 3);
    assert_int_equal(count_reply("command docs client get config"), 6);
    assert_int_equal(count_reply("client help"), 10);
    (void)served_ask(&one, "hello 3");
    assert_int_equal(count_reply("command docs"), 2 * commands);
    assert_int_equal(count_reply("command"), commands);
}

/* Only the letters that can be seen there are compared. */
static void the_guide_has_a_row_for_each_command(void **state)
{
    static const struct {
        const char *name, *arguments, *summary;
    } rows[] = {
#define ROW(name, arity, first, last, step, flags, group, since, function, arguments, summary)     \
    {name, arguments, summary},
        VINE__RESP_COMMANDS(ROW)
#undef ROW
    };
    const char *const source = getenv("VINE_SOURCE_DIR");
    static char guide[1 << 16];
    char path[4096], row[512];
    FILE *file;
    size_t row_count = 0;
    (void)state;

    (void)snprintf(path, sizeof(path), "%s/docs/guides/resp.md", source != NULL ? source : ".");
    file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(guide, 1, sizeof(guide) - 1, file) > 0);
    (void)fclose(file);
    for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        char name[32];
        size_t size = 0;

        for (; rows[n].name[size] != '\0'; size++)
            name[size] = (char)(rows[n].name[size] == '|' ? ' ' : rows[n].name[size] & ~0x20);
        name[size] = '\0';
        (void)snprintf(row, sizeof(row), "\n| `%s%s%s` | %s |\n", name,
                       rows[n].arguments[0] != '\0' ? " " : "", rows[n].arguments, rows[n].summary);
        /* A '|' ends a cell. */
        for (char *at = strchr(row + 4, '|'); at != NULL && at < strchr(row + 4, '`');
             at = strchr(at + 2, '|')) {
            memmove(at + 1, at, strlen(at) + 1);
            *at = '\\';
        }
        if (strstr(guide, row) == NULL)
            fail_msg("docs/guides/resp.md lacks this row:%s", row);
    }
    for (const char *at = guide; (at = strstr(at, "\n| `")) != NULL; at++)
        row_count++;
    assert_int_equal(row_count, sizeof(rows) / sizeof(rows[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_command_is_answered_with_an_error, start, stop),
        cmocka_unit_test_setup_teardown(a_very_long_unknown_command_is_shown_in_part, start, stop),
        cmocka_unit_test_setup_teardown(a_browsers_request_is_not_answered, start, stop),
        cmocka_unit_test_setup_teardown(options_that_do_not_go_together_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(commands_do_what_redis_has_them_do, start, stop),
        cmocka_unit_test_setup_teardown(keys_go_when_their_time_has_come, start, stop),
        cmocka_unit_test_setup_teardown(protocol_3_is_spoken_with_who_wants_it, start, stop),
        cmocka_unit_test_setup_teardown(info_tells_what_there_is, start, stop),
        cmocka_unit_test_setup_teardown(the_table_is_told_row_by_row, start, stop),
        cmocka_unit_test_setup_teardown(all_commands_are_told_of_in_pieces, start, stop),
        cmocka_unit_test(the_guide_has_a_row_for_each_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
