/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/keyspace.h>

#include "harness/failing_malloc.h"

#define NOW_MS 1000000

static struct vine_keyspace *keyspace;

static void start(uint64_t bytes_max)
{
    const struct vine_keyspace_options options = {
        .size_bytes = sizeof(options),
        .bytes_max = bytes_max,
        .hash_key = "sixteen letters",
    };

    assert_int_equal(vine_keyspace_create(&options, &keyspace), 0);
    vine_keyspace_set_time(keyspace, NOW_MS);
}

static int set(const char *key, const char *value, int64_t deadline_ms)
{
    return vine_keyspace_set(keyspace, key, strlen(key), value, strlen(value), deadline_ms);
}

static struct vine_keyspace_entry *find(const char *key)
{
    return vine_keyspace_find(keyspace, key, strlen(key));
}

static struct vine_keyspace_stats stats(void)
{
    struct vine_keyspace_stats stats;

    vine_keyspace_stats(keyspace, &stats);
    return stats;
}

/* NULL: there is none. */
static void assert_value(const char *key, const char *value)
{
    const struct vine_keyspace_entry *const entry = find(key);
    size_t size;

    if (value == NULL) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_memory_equal(vine_keyspace_value(entry, &size), value, strlen(value));
    assert_int_equal(size, strlen(value));
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void beyond_its_bound_it_takes_nothing(void **state)
{
    uint64_t empty, full;
    (void)state;

    start(0);
    empty = stats().bytes;
    assert_int_equal(set("key", "value", VINE_KEYSPACE_NEVER), 0);
    full = stats().bytes;
    vine_keyspace_destroy(keyspace);

    start(full);
    assert_int_equal(set("key", "value", VINE_KEYSPACE_NEVER), 0);
    assert_int_equal(set("another", "value", VINE_KEYSPACE_NEVER), -ENOMEM);
    assert_value("another", NULL);
    assert_value("key", "value");
    assert_int_equal(stats().refused, 1);
    /* A value that takes no more than there is has its place. */
    assert_int_equal(set("key", "other", VINE_KEYSPACE_NEVER), 0);
    assert_value("key", "other");
    assert_int_equal(set("key", "other", NOW_MS + 1), -ENOMEM);
    vine_keyspace_remove(keyspace, find("key"));
    assert_int_equal(stats().bytes, empty);
    assert_int_equal(set("new", "value", VINE_KEYSPACE_NEVER), 0);
    vine_keyspace_destroy(keyspace);
}

static void what_has_expired_makes_room(void **state)
{
    uint64_t full;
    (void)state;

    start(0);
    for (char key[] = "a"; key[0] <= 'h'; key[0]++)
        assert_int_equal(set(key, "value", NOW_MS), 0);
    full = stats().bytes;
    vine_keyspace_destroy(keyspace);

    start(full);
    for (char key[] = "a"; key[0] <= 'h'; key[0]++)
        assert_int_equal(set(key, "value", NOW_MS), 0);
    assert_int_equal(set("new", "value", VINE_KEYSPACE_NEVER), -ENOMEM);
    vine_keyspace_set_time(keyspace, NOW_MS + 1);
    assert_int_equal(set("new", "value", VINE_KEYSPACE_NEVER), 0);
    assert_value("new", "value");
    vine_keyspace_destroy(keyspace);
}

static void sizes_have_a_bound(void **state)
{
    struct vine_keyspace_entry *entry = NULL;
    (void)state;

    start(0);
    assert_int_equal(
        vine_keyspace_prepare(keyspace, "k", 1, (size_t)VINE_KEYSPACE_SIZE_MAX + 1, &entry),
        -VINE_ETOOBIG);
    assert_int_equal(
        vine_keyspace_prepare(keyspace, "k", (size_t)VINE_KEYSPACE_SIZE_MAX + 1, 1, &entry),
        -VINE_ETOOBIG);
    assert_null(entry);
    vine_keyspace_destroy(keyspace);
}

static void where_malloc_refuses_nothing_has_changed(void **state)
{
    struct vine_keyspace_options options = {.size_bytes = sizeof(options)};
    struct vine_keyspace *none = NULL;
    (void)state;

    vine__arena_fail_nth(1);
    assert_int_equal(vine_keyspace_create(&options, &none), -ENOMEM);
    vine__arena_fail_nth(0);
    assert_null(none);

    start(0);
    assert_int_equal(set("key", "value", VINE_KEYSPACE_NEVER), 0);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        const uint64_t before = stats().bytes;

        vine__arena_fail_nth(nth);
        assert_int_equal(set("key", "a value that wants another block, and a deadline", NOW_MS + 5),
                         -ENOMEM);
        vine__arena_fail_nth(0);
        assert_value("key", "value");
        assert_int_equal(vine_keyspace_deadline(find("key")), VINE_KEYSPACE_NEVER);
        assert_int_equal(stats().bytes, before);
    }
    vine__arena_fail_nth(1);
    assert_int_equal(vine_keyspace_set_deadline(keyspace, find("key"), NOW_MS + 1), -ENOMEM);
    vine__arena_fail_nth(0);
    assert_int_equal(vine_keyspace_deadline(find("key")), VINE_KEYSPACE_NEVER);
    vine_keyspace_destroy(keyspace);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void keys_and_values_are_any_bytes(void **state)
{
    static const char bytes[] = "\0\r\n\xff$";
    struct vine_keyspace_entry *entry;
    size_t size;
    (void)state;

    start(0);
    for (size_t key = 0; key <= 5; key++)
        assert_int_equal(
            vine_keyspace_set(keyspace, bytes, key, bytes, 5 - key, VINE_KEYSPACE_NEVER), 0);
    for (size_t key = 0; key <= 5; key++) {
        entry = vine_keyspace_find(keyspace, bytes, key);
        assert_non_null(entry);
        assert_memory_equal(vine_keyspace_value(entry, &size), bytes, 5 - key);
        assert_int_equal(size, 5 - key);
    }
    assert_int_equal(stats().keys, 6);
    vine_keyspace_destroy(keyspace);
}

static void who_holds_an_entry_has_it_as_it_was(void **state)
{
    struct vine_keyspace_entry *held, *gone;
    size_t size;
    (void)state;

    start(0);
    assert_int_equal(set("key", "12345", VINE_KEYSPACE_NEVER), 0);
    held = find("key");
    vine_keyspace_hold(held);
    assert_int_equal(set("key", "54321", VINE_KEYSPACE_NEVER), 0);
    assert_value("key", "54321");
    assert_memory_equal(vine_keyspace_value(held, &size), "12345", 5);
    gone = find("key");
    vine_keyspace_hold(gone);
    vine_keyspace_remove(keyspace, gone);
    assert_value("key", NULL);
    assert_memory_equal(vine_keyspace_value(gone, &size), "54321", 5);
    vine_keyspace_release(keyspace, held);
    vine_keyspace_release(keyspace, gone);
    vine_keyspace_destroy(keyspace); /* which asserts that nothing is left */
}

static void a_prepared_value_is_seen_when_it_is_put(void **state)
{
    struct vine_keyspace_entry *one, *two;
    (void)state;

    start(0);
    assert_int_equal(set("key", "former", NOW_MS + 10), 0);
    assert_int_equal(vine_keyspace_prepare(keyspace, "key", 3, 4, &one), 0);
    assert_int_equal(vine_keyspace_prepare(keyspace, "key", 3, 5, &two), 0);
    memcpy(vine_keyspace_prepared_value(one), "kept", 4);
    assert_value("key", "former");
    assert_int_equal(vine_keyspace_put(keyspace, one, VINE_KEYSPACE_KEEP), 0);
    assert_value("key", "kept");
    assert_int_equal(vine_keyspace_deadline(find("key")), NOW_MS + 10);
    assert_int_equal(stats().deadlines, 1);
    memcpy(vine_keyspace_prepared_value(two), "other", 5);
    assert_int_equal(vine_keyspace_put(keyspace, two, VINE_KEYSPACE_NEVER), 0);
    assert_value("key", "other");
    assert_int_equal(vine_keyspace_deadline(find("key")), VINE_KEYSPACE_NEVER);
    assert_int_equal(stats().deadlines, 0);
    assert_int_equal(vine_keyspace_prepare(keyspace, "never put", 9, 4, &one), 0);
    vine_keyspace_release(keyspace, one);
    vine_keyspace_destroy(keyspace);
}

static void a_room_that_is_much_too_large_is_given_back(void **state)
{
    static char large[100000];
    uint64_t small_bytes;
    (void)state;

    start(0);
    assert_int_equal(set("key", "small", VINE_KEYSPACE_NEVER), 0);
    small_bytes = stats().bytes;
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(set("key", large, VINE_KEYSPACE_NEVER), 0);
    assert_true(stats().bytes > small_bytes + 99000);
    assert_int_equal(set("key", "small", VINE_KEYSPACE_NEVER), 0);
    assert_int_equal(stats().bytes, small_bytes);
    vine_keyspace_destroy(keyspace);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void an_entry_is_there_until_its_deadline_is_past(void **state)
{
    (void)state;

    start(0);
    assert_int_equal(set("key", "value", NOW_MS + 5), 0);
    vine_keyspace_set_time(keyspace, NOW_MS + 5);
    assert_value("key", "value");
    assert_int_equal(vine_keyspace_expire(keyspace, 10), 0);
    vine_keyspace_set_time(keyspace, NOW_MS + 6);
    assert_int_equal(stats().keys, 1);
    assert_value("key", NULL);
    assert_int_equal(stats().keys, 0);
    assert_int_equal(stats().expired, 1);
    vine_keyspace_destroy(keyspace);
}

static void expiring_takes_the_earliest_first_and_no_more_than_it_may(void **state)
{
    char key[16];
    (void)state;

    start(0);
    assert_int_equal(vine_keyspace_next_deadline(keyspace), VINE_KEYSPACE_NEVER);
    for (int n = 0; n < 100; n++) {
        (void)snprintf(key, sizeof(key), "%d", n);
        assert_int_equal(set(key, "value", NOW_MS + n * 37 % 100), 0);
    }
    assert_int_equal(set("stays", "value", VINE_KEYSPACE_NEVER), 0);
    assert_int_equal(vine_keyspace_next_deadline(keyspace), NOW_MS);
    vine_keyspace_set_time(keyspace, NOW_MS + 50);
    assert_int_equal(vine_keyspace_expire(keyspace, 20), 20);
    assert_int_equal(vine_keyspace_next_deadline(keyspace), NOW_MS + 20);
    assert_int_equal(vine_keyspace_expire(keyspace, 100), 30);
    assert_int_equal(vine_keyspace_next_deadline(keyspace), NOW_MS + 50);
    assert_int_equal(vine_keyspace_expire(keyspace, 100), 0);
    assert_int_equal(stats().keys, 51);
    assert_int_equal(stats().deadlines, 50);
    assert_int_equal(stats().expired, 50);
    vine_keyspace_destroy(keyspace);
}

static void hits_and_misses_are_counted_of_those_who_ask_for_values(void **state)
{
    (void)state;

    start(0);
    assert_int_equal(set("key", "value", VINE_KEYSPACE_NEVER), 0);
    assert_non_null(vine_keyspace_get(keyspace, "key", 3));
    assert_null(vine_keyspace_get(keyspace, "none", 4));
    (void)find("key");
    assert_int_equal(stats().hits, 1);
    assert_int_equal(stats().misses, 1);
    vine_keyspace_destroy(keyspace);
}

/* ---- against a list -------------------------------------------------------------------------- */

#define KEYS   40
#define ROUNDS 60000

static struct {
    bool is_there;
    char value[64];
    int64_t deadline_ms;
} model[KEYS];

static uint64_t seed = 11;

static uint64_t chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void set_both(size_t index, const char *key, int64_t now_ms)
{
    const int64_t deadlines[] = {VINE_KEYSPACE_NEVER, VINE_KEYSPACE_KEEP,
                                 now_ms + (int64_t)chance(100)};
    const int64_t deadline_ms = deadlines[chance(3)];
    const size_t size = chance(sizeof(model[0].value) - 1);

    memset(model[index].value, 0, sizeof(model[index].value));
    memset(model[index].value, (int)('a' + chance(26)), size);
    if (deadline_ms != VINE_KEYSPACE_KEEP)
        model[index].deadline_ms = deadline_ms;
    else if (!model[index].is_there)
        model[index].deadline_ms = VINE_KEYSPACE_NEVER;
    model[index].is_there = true;
    assert_int_equal(set(key, model[index].value, deadline_ms), 0);
}

static void it_does_what_a_list_does(void **state)
{
    int64_t now_ms = NOW_MS;
    char key[16];
    (void)state;

    start(0);
    memset(model, 0, sizeof(model));
    for (int round = 0; round < ROUNDS; round++) {
        const size_t index = (size_t)chance(KEYS);
        struct vine_keyspace_entry *entry;

        (void)snprintf(key, sizeof(key), "key %zu", index);
        for (size_t n = 0; n < KEYS; n++)
            if (model[n].deadline_ms != VINE_KEYSPACE_NEVER && model[n].deadline_ms < now_ms)
                model[n].is_there = false;
        assert_value(key, model[index].is_there ? model[index].value : NULL);
        entry = find(key);
        if (entry != NULL)
            assert_int_equal(vine_keyspace_deadline(entry), model[index].deadline_ms);
        switch (chance(8)) {
        case 0:
            now_ms += (int64_t)chance(10);
            vine_keyspace_set_time(keyspace, now_ms);
            break;
        case 1:
            (void)vine_keyspace_expire(keyspace, chance(3));
            break;
        case 2:
            if (entry != NULL)
                vine_keyspace_remove(keyspace, entry);
            model[index].is_there = false;
            break;
        case 3:
            if (entry == NULL)
                break;
            model[index].deadline_ms =
                chance(2) ? now_ms + (int64_t)chance(50) : VINE_KEYSPACE_NEVER;
            assert_int_equal(vine_keyspace_set_deadline(keyspace, entry, model[index].deadline_ms),
                             0);
            break;
        default:
            set_both(index, key, now_ms);
        }
    }
    vine_keyspace_set_time(keyspace, INT64_MAX);
    while (vine_keyspace_expire(keyspace, 7) == 7)
        ;
    assert_int_equal(stats().deadlines, 0);
    vine_keyspace_destroy(keyspace);
}

static void many_keys_are_all_found(void **state)
{
    const uint64_t count = 100000;
    char key[16];
    (void)state;

    start(0);
    for (uint64_t n = 0; n < count; n++) {
        (void)snprintf(key, sizeof(key), "%llu", (unsigned long long)n);
        assert_int_equal(set(key, key, VINE_KEYSPACE_NEVER), 0);
    }
    assert_int_equal(stats().keys, count);
    for (uint64_t n = 0; n < count; n++) {
        (void)snprintf(key, sizeof(key), "%llu", (unsigned long long)n);
        assert_value(key, key);
        vine_keyspace_remove(keyspace, find(key));
    }
    assert_int_equal(stats().keys, 0);
    vine_keyspace_destroy(keyspace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beyond_its_bound_it_takes_nothing),
        cmocka_unit_test(what_has_expired_makes_room),
        cmocka_unit_test(sizes_have_a_bound),
        cmocka_unit_test(where_malloc_refuses_nothing_has_changed),
        cmocka_unit_test(keys_and_values_are_any_bytes),
        cmocka_unit_test(who_holds_an_entry_has_it_as_it_was),
        cmocka_unit_test(a_prepared_value_is_seen_when_it_is_put),
        cmocka_unit_test(a_room_that_is_much_too_large_is_given_back),
        cmocka_unit_test(an_entry_is_there_until_its_deadline_is_past),
        cmocka_unit_test(expiring_takes_the_earliest_first_and_no_more_than_it_may),
        cmocka_unit_test(hits_and_misses_are_counted_of_those_who_ask_for_values),
        cmocka_unit_test(it_does_what_a_list_does),
        cmocka_unit_test(many_keys_are_all_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
