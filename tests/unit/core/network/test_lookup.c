/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Addresses by the names of hosts. */
#include "network_tests.h"

#include <vine/lookup.h>

struct looked {
    struct vine_lookup lookup;
    uint32_t calls;
};

static void on_looked_up(struct vine_lookup *lookup)
{
    VINE_CONTAINER_OF(lookup, struct looked, lookup)->calls++;
}

static int look_up(struct looked *looked, const char *text)
{
    looked->calls = 0;
    vine_lookup(&looked->lookup, text, on_looked_up);
    assert_int_equal(looked->calls, 0);
    until(looked->calls == 1);
    return looked->lookup.error;
}

static void what_is_no_address_and_no_name_is_refused(void **state)
{
    static const char *const texts[] = {
        "",         "name",      ":80",      "name:",       "name:65536", "name:8x",
        "na me:80", "[name]:80", "name%:80", "[::1]:65536", "unix:",      "na/me:80",
    };
    struct looked looked = {.calls = 0};
    char text[400];

    (void)state;
    open_cores(1);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (look_up(&looked, texts[i]) != -EINVAL)
            fail_msg("\"%s\" ends with %d", texts[i], looked.lookup.error);
    memset(text, 'a', sizeof text);
    memcpy(text + 300, ":80", 4);
    assert_int_equal(look_up(&looked, text), -ENAMETOOLONG);
    close_cores();
}

static void an_address_is_what_it_says(void **state)
{
    struct looked looked = {.calls = 0};
    const struct vine_address expected = address_of("127.0.0.1:81");

    (void)state;
    open_cores(1);
    assert_int_equal(look_up(&looked, "127.0.0.1:81"), 0);
    assert_int_equal(looked.lookup.count, 1);
    assert_int_equal(looked.lookup.addresses[0].size_bytes, expected.size_bytes);
    assert_memory_equal(&looked.lookup.addresses[0].any, &expected.any, expected.size_bytes);
    assert_int_equal(look_up(&looked, "unix:@name"), 0);
    assert_int_equal(looked.lookup.addresses[0].any.sa_family, AF_UNIX);
    close_cores();
}

static void this_host_has_a_name(void **state)
{
    struct looked looked = {.calls = 0};

    (void)state;
    open_cores(1);
    assert_int_equal(look_up(&looked, "localhost:8081"), 0);
    assert_true(looked.lookup.count >= 1);
    for (uint32_t i = 0; i < looked.lookup.count; i++)
        assert_int_equal(vine_address_port(&looked.lookup.addresses[i]), 8081);
    close_cores();
}

static void who_cancels_is_told_at_once_and_once(void **state)
{
    struct looked looked = {.calls = 0};

    (void)state;
    open_cores(1);
    vine_lookup_cancel(&looked.lookup); /* there is none */
    vine_lookup(&looked.lookup, "localhost:80", on_looked_up);
    vine_lookup_cancel(&looked.lookup);
    vine_lookup_cancel(&looked.lookup);
    assert_int_equal(looked.calls, 0);
    until(looked.calls == 1);
    assert_int_equal(looked.lookup.error, -ECANCELED);
    vine_lookup_cancel(&looked.lookup); /* it is over */
    step_often();
    assert_int_equal(looked.calls, 1);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_address_and_no_name_is_refused),
        cmocka_unit_test(an_address_is_what_it_says),
        cmocka_unit_test(this_host_has_a_name),
        cmocka_unit_test(who_cancels_is_told_at_once_and_once),
    };

    return run_by_both(tests);
}
