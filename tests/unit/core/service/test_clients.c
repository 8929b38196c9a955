/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* How often a client may come: each for itself, and of IPv6 each network. */
#include "../network/network_tests.h"

#include "core/service/service_internal.h"

#define SECOND VINE_NS_PER_SECOND

static struct vine__clients *clients;
static uint64_t now_ns;

static void open_clients(uint32_t rate)
{
    open_cores(1);
    assert_int_equal(vine__clients_create(rate, &clients), 0);
    now_ns = 1000 * SECOND;
}

static void close_clients(void)
{
    vine__clients_destroy(clients);
    close_cores();
}

static bool may(const char *text)
{
    struct vine_address address;

    assert_int_equal(vine_address_parse(text, &address), 0);
    return vine__clients_may(clients, &address, now_ns);
}

/* How many of a hundred that come at once. */
static uint32_t of_a_hundred(const char *text)
{
    uint32_t count = 0;

    for (int i = 0; i < 100; i++)
        count += may(text);
    return count;
}

static void a_client_has_its_rate_and_as_many_at_once(void **state)
{
    (void)state;
    open_clients(10);
    assert_int_equal(of_a_hundred("192.0.2.1:1"), 10);
    now_ns += SECOND / 10;
    assert_int_equal(of_a_hundred("192.0.2.1:2"), 1);
    now_ns += SECOND / 2;
    assert_int_equal(of_a_hundred("192.0.2.1:3"), 5);
    now_ns += 100 * SECOND;
    assert_int_equal(of_a_hundred("192.0.2.1:4"), 10);
    close_clients();
}

static void the_least_rate_is_one_a_second(void **state)
{
    (void)state;
    open_clients(1);
    assert_int_equal(of_a_hundred("192.0.2.1:1"), 1);
    now_ns += SECOND / 2;
    assert_int_equal(of_a_hundred("192.0.2.1:1"), 0);
    now_ns += SECOND / 2;
    assert_int_equal(of_a_hundred("192.0.2.1:1"), 1);
    close_clients();
}

static void clients_are_told_apart_by_address_or_network(void **state)
{
    (void)state;
    open_clients(5);
    assert_int_equal(of_a_hundred("192.0.2.1:1"), 5);
    assert_int_equal(of_a_hundred("192.0.2.2:1"), 5);
    assert_int_equal(of_a_hundred("[2001:db8::1]:1"), 5);
    assert_int_equal(of_a_hundred("[2001:db8::2:1]:1"), 0);
    assert_int_equal(of_a_hundred("[2001:db8:0:1::1]:1"), 5);
    assert_int_equal(of_a_hundred("[::ffff:192.0.2.1]:1"), 0);
    assert_int_equal(of_a_hundred("unix:@somebody"), 100);
    close_clients();
}

static void many_clients_have_room(void **state)
{
    struct vine_address address;
    uint32_t refused = 0;

    (void)state;
    open_clients(1);
    assert_int_equal(vine_address_parse("10.0.0.0:1", &address), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        address.ip4.sin_addr.s_addr = htonl(0x0a000000 + i);
        refused += !vine__clients_may(clients, &address, now_ns);
    }
    /* Who was forgotten may come again; who has never come is not mistaken for another one, but for
     * the few whose marks are the same. */
    assert_true(refused < 10);
    close_clients();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_has_its_rate_and_as_many_at_once),
        cmocka_unit_test(the_least_rate_is_one_a_second),
        cmocka_unit_test(clients_are_told_apart_by_address_or_network),
        cmocka_unit_test(many_clients_have_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
