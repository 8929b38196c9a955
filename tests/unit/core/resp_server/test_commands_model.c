/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Random commands, whose bytes come in pieces of any size and whose replies go out through any
 * room, against a list of keys that knows nothing of tables, sets, payloads and pieces.
 */
#include "unit/core/resp_server/resp_served.h"

#include <inttypes.h>

#include "unit/core/resp_server/random_commands.h"

#define COMMANDS  60000
#define PAIRS_MAX 200 /* a value that is left out makes keys of others */

/* ---- the list -------------------------------------------------------------------------------- */

struct pair {
    struct random_word key, value;
    int64_t deadline_ms; /* -1: none */
    bool is_there;
};

static struct pair pairs[PAIRS_MAX];

static struct {
    char bytes[RANDOM_COMMAND_MAX];
    size_t size;
} expected;

static const struct random_word *word(size_t index)
{
    return &by_chance.words[index];
}

static bool are_same(const struct random_word *one, const struct random_word *other)
{
    return one->size == other->size && memcmp(one->bytes, other->bytes, one->size) == 0;
}

static struct pair *find(const struct random_word *key)
{
    for (size_t n = 0; n < PAIRS_MAX; n++) {
        struct pair *const pair = &pairs[n];

        if (pair->is_there && pair->deadline_ms >= 0 && pair->deadline_ms < by_chance.now_ms)
            pair->is_there = false;
        if (pair->is_there && are_same(&pair->key, key))
            return pair;
    }
    return NULL;
}

static struct pair *make(const struct random_word *key)
{
    struct pair *pair = find(key);

    for (size_t n = 0; pair == NULL; n++) {
        assert_true(n < PAIRS_MAX);
        if (pairs[n].is_there)
            continue;
        pair = &pairs[n];
        pair->is_there = true;
        pair->key = *key;
        pair->deadline_ms = -1;
    }
    return pair;
}

VINE_PRINTF(1, 2) static void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    expected.size += (size_t)vsnprintf(expected.bytes + expected.size,
                                       sizeof(expected.bytes) - expected.size, format, arguments);
    va_end(arguments);
}

static void say_bulk(const struct random_word *bulk)
{
    say("$%zu\r\n", bulk->size);
    memcpy(expected.bytes + expected.size, bulk->bytes, bulk->size);
    expected.size += bulk->size;
    say("\r\n");
}

static void say_value(const struct pair *pair)
{
    if (pair == NULL)
        say("$-1\r\n");
    else
        say_bulk(&pair->value);
}

/* libc's reading of a number, held to be one if it is written the same way again. */
static bool number_of(const struct random_word *bytes, int64_t *ret_number)
{
    char text[32], again[32];

    if (bytes->size >= sizeof(text) || memchr(bytes->bytes, '\0', bytes->size) != NULL)
        return false;
    memcpy(text, bytes->bytes, bytes->size);
    text[bytes->size] = '\0';
    errno = 0;
    *ret_number = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof(again), "%lld", (long long)*ret_number);
    return errno == 0 && strcmp(text, again) == 0;
}

static bool is(const struct random_word *one, const char *text)
{
    return one->size == strlen(text) && strncasecmp(one->bytes, text, one->size) == 0;
}

#define NO_NUMBER "-ERR value is not an integer or out of range\r\n"

/* The moment that a count of units is. Returns whether it can be told in 64 bits, and the count in
 * milliseconds too. */
static bool moment(int64_t count, bool is_in_ms, bool is_from_now, int64_t *ret_ms)
{
    const __int128 ms = (__int128)count * (is_in_ms ? 1 : 1000);
    const __int128 at = ms + (is_from_now ? by_chance.now_ms : 0);

    *ret_ms = (int64_t)at;
    return ms >= INT64_MIN && ms <= INT64_MAX && at <= INT64_MAX;
}

static void do_set(void)
{
    static const char *const units[] = {"ex", "px", "exat", "pxat"};
    bool nx = false, xx = false, gets = false, keeps = false;
    int unit = -1;
    int64_t count = 0, deadline_ms = -1;
    size_t time = 0;
    struct pair *pair;

    for (size_t n = 3; n < by_chance.count; n++) {
        int which = -1;

        for (int u = 0; u < 4; u++)
            which = is(word(n), units[u]) ? u : which;
        if (which >= 0 && n + 1 < by_chance.count && !keeps && (unit < 0 || unit == which)) {
            unit = which;
            time = ++n;
        } else if (is(word(n), "nx") && !xx) {
            nx = true;
        } else if (is(word(n), "xx") && !nx) {
            xx = true;
        } else if (is(word(n), "get")) {
            gets = true;
        } else if (is(word(n), "keepttl") && unit < 0) {
            keeps = true;
        } else {
            say("-ERR syntax error\r\n");
            return;
        }
    }
    if (unit >= 0) {
        if (!number_of(word(time), &count)) {
            say(NO_NUMBER);
            return;
        }
        if (!moment(count, unit % 2 == 1, unit < 2, &deadline_ms) || count <= 0) {
            say("-ERR invalid expire time in 'set' command\r\n");
            return;
        }
    }
    pair = find(word(1));
    if (gets)
        say_value(pair);
    if ((pair != NULL && nx) || (pair == NULL && xx)) {
        if (!gets)
            say("$-1\r\n");
        return;
    }
    pair = make(word(1));
    pair->value = *word(2);
    if (!keeps)
        pair->deadline_ms = deadline_ms;
    if (!gets)
        say("+OK\r\n");
}

static void do_add(int64_t by, bool subtracts)
{
    struct pair *pair = find(word(1));
    int64_t number = 0;
    __int128 sum;

    if (subtracts && by == INT64_MIN) {
        say("-ERR decrement would overflow\r\n");
        return;
    }
    if (pair != NULL && !number_of(&pair->value, &number)) {
        say(NO_NUMBER);
        return;
    }
    sum = (__int128)number + (subtracts ? -(__int128)by : by);
    if (sum > INT64_MAX || sum < INT64_MIN) {
        say("-ERR increment or decrement would overflow\r\n");
        return;
    }
    pair = make(word(1));
    pair->value.size =
        (size_t)snprintf(pair->value.bytes, sizeof(pair->value.bytes), "%lld", (long long)sum);
    say(":%lld\r\n", (long long)sum);
}

static void do_expire(const char *name, bool is_in_ms, bool is_from_now)
{
    bool nx = false, xx = false, gt = false, lt = false;
    struct pair *const pair = find(word(1));
    int64_t count, at = 0;

    for (size_t n = 3; n < by_chance.count; n++) {
        nx |= is(word(n), "nx");
        xx |= is(word(n), "xx");
        gt |= is(word(n), "gt");
        lt |= is(word(n), "lt");
        if (is(word(n), "what")) {
            say("-ERR Unsupported option what\r\n");
            return;
        }
    }
    if (nx && (xx || gt || lt)) {
        say("-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    } else if (gt && lt) {
        say("-ERR GT and LT options at the same time are not compatible\r\n");
    } else if (!number_of(word(2), &count)) {
        say(NO_NUMBER);
    } else if (!moment(count, is_in_ms, is_from_now, &at)) {
        say("-ERR invalid expire time in '%s' command\r\n", name);
    } else if (pair == NULL || (nx && pair->deadline_ms >= 0) || (xx && pair->deadline_ms < 0) ||
               (gt && (pair->deadline_ms < 0 || at <= pair->deadline_ms)) ||
               (lt && pair->deadline_ms >= 0 && at >= pair->deadline_ms)) {
        say(":0\r\n");
    } else {
        pair->deadline_ms = at;
        if (at <= by_chance.now_ms)
            pair->is_there = false;
        say(":1\r\n");
    }
}

static void do_tell(bool is_in_ms, bool is_from_now)
{
    const struct pair *const pair = find(word(1));
    int64_t ms;

    if (pair == NULL || pair->deadline_ms < 0) {
        say(":%d\r\n", pair == NULL ? -2 : -1);
        return;
    }
    ms = pair->deadline_ms - (is_from_now ? by_chance.now_ms : 0);
    say(":%" PRId64 "\r\n", is_in_ms ? ms : (int64_t)(((__int128)ms + 500) / 1000));
}

static void do_one(const char *name)
{
    int64_t number = 0;
    struct pair *pair;

    if (strcmp(name, "get") == 0) {
        say_value(find(word(1)));
    } else if (strcmp(name, "set") == 0) {
        do_set();
    } else if (strcmp(name, "del") == 0 || strcmp(name, "exists") == 0) {
        for (size_t n = 1; n < by_chance.count; n++) {
            if ((pair = find(word(n))) != NULL) {
                number++;
                pair->is_there = name[0] == 'e';
            }
        }
        say(":%" PRId64 "\r\n", number);
    } else if (strcmp(name, "incr") == 0 || strcmp(name, "decr") == 0) {
        do_add(1, name[0] == 'd');
    } else if (strcmp(name, "incrby") == 0 || strcmp(name, "decrby") == 0) {
        if (number_of(word(2), &number))
            do_add(number, name[0] == 'd');
        else
            say(NO_NUMBER);
    } else if (strcmp(name, "mget") == 0) {
        say("*%zu\r\n", by_chance.count - 1);
        for (size_t n = 1; n < by_chance.count; n++)
            say_value(find(word(n)));
    } else if (strcmp(name, "mset") == 0) {
        for (size_t n = 1; n < by_chance.count; n += 2) {
            pair = make(word(n));
            pair->value = *word(n + 1);
            pair->deadline_ms = -1;
        }
        say("+OK\r\n");
    } else if (strcmp(name, "persist") == 0) {
        pair = find(word(1));
        say(":%d\r\n", pair != NULL && pair->deadline_ms >= 0);
        if (pair != NULL)
            pair->deadline_ms = -1;
    } else if (strstr(name, "ttl") != NULL || strstr(name, "time") != NULL) {
        do_tell(name[0] == 'p', strstr(name, "ttl") != NULL);
    } else if (strstr(name, "expire") != NULL) {
        do_expire(name, name[0] == 'p', strstr(name, "at") == NULL);
    } else if (by_chance.count == 1) {
        say("+PONG\r\n");
    } else {
        say_bulk(word(1));
    }
}

static void expect(void)
{
    static const struct {
        const char *name;
        int least, most;
    } counts[] = {
        {"get", 2, 2},       {"set", 3, 99},       {"del", 2, 99},        {"exists", 2, 99},
        {"incr", 2, 2},      {"decr", 2, 2},       {"incrby", 3, 3},      {"decrby", 3, 3},
        {"mget", 2, 99},     {"mset", 3, 99},      {"expire", 3, 99},     {"pexpire", 3, 99},
        {"expireat", 3, 99}, {"pexpireat", 3, 99}, {"persist", 2, 2},     {"echo", 2, 2},
        {"ping", 1, 2},      {"expiretime", 2, 2}, {"pexpiretime", 2, 2}, {"ttl", 2, 2},
        {"pttl", 2, 2},
    };
    const int count = (int)by_chance.count;

    expected.size = 0;
    for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
        const char *const name = counts[n].name;

        if (!is(word(0), name))
            continue;
        if (count < counts[n].least || count > counts[n].most ||
            (strcmp(name, "mset") == 0 && count % 2 == 0))
            say("-ERR wrong number of arguments for '%s' command\r\n", name);
        else
            do_one(name);
        return;
    }
    fail_msg("the list knows no %s", word(0)->bytes);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void send_in_pieces(struct served_connection *connection, const char *bytes, size_t size)
{
    const uint64_t piece_max = random_below(3) == 0 ? size : 1 + random_below(600);

    while (size > 0) {
        const size_t now = 1 + random_below(size < piece_max ? size : piece_max);

        served_send(connection, bytes, now);
        bytes += now;
        size -= now;
    }
}

static void run(uint32_t payload_bytes_min, bool splits)
{
    static char bytes[RANDOM_COMMAND_MAX];
    struct served_connection connection;

    served_start(0);
    served_connect(&connection);
    connection.limits.payload_bytes_min = payload_bytes_min;
    connection.splits = splits;
    memset(pairs, 0, sizeof(pairs));
    by_chance.now_ms = SERVED_NOW_MS;
    for (int n = 0; n < COMMANDS / 3; n++) {
        by_chance.now_ms += (int64_t)random_below(2000);
        vine_keyspace_set_time(served.keyspace, by_chance.now_ms);
        if (random_below(10) == 0)
            (void)vine_keyspace_expire(served.keyspace, random_below(3));
        connection.room_bytes = VINE_RESP_ROOM_MIN + random_below(3000);
        connection.output_bytes = 0;
        random_command();
        expect();
        send_in_pieces(&connection, bytes, random_bytes(bytes));
        if (connection.output_bytes != expected.size ||
            memcmp(connection.output, expected.bytes, expected.size) != 0)
            fail_msg("command %d, %s: expected %.200s, not %.200s", n, by_chance.words[0].bytes,
                     expected.bytes, connection.output);
    }
    vine_keyspace_set_time(served.keyspace, INT64_MAX);
    served_disconnect(&connection);
    served_stop();
}

static void random_commands_do_what_a_list_does(void **state)
{
    (void)state;
    by_chance.seed = 5;
    run(0, false);
}

static void so_they_do_where_values_come_as_payloads(void **state)
{
    (void)state;
    by_chance.seed = 6;
    run(100, false);
    run(1, false);
}

static void so_they_do_where_they_come_in_parts(void **state)
{
    (void)state;
    by_chance.seed = 7;
    run(0, true);
    run(50, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commands_do_what_a_list_does),
        cmocka_unit_test(so_they_do_where_values_come_as_payloads),
        cmocka_unit_test(so_they_do_where_they_come_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
