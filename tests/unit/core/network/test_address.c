/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Addresses from text and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vine/network.h>

#include <errno.h>
#include <string.h>

static void assert_refused(const char *text, int error)
{
    struct vine_address address, before;

    memset(&address, 0x5a, sizeof(address));
    before = address;
    assert_int_equal(vine_address_parse(text, &address), error);
    assert_memory_equal(&address, &before, sizeof(address));
}

static void assert_round(const char *text)
{
    struct vine_address address;
    char back[VINE_ADDRESS_TEXT_BYTES];

    assert_int_equal(vine_address_parse(text, &address), 0);
    vine_address_print(&address, back);
    assert_string_equal(back, text);
}

static void text_that_is_no_address_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        ":",
        "80",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:4294967376",
        "127.0.0:80",
        "127.0.0.256:80",
        "::1:80",
        "[::1]",
        "[::1",
        "[::1]80",
        "[]:80",
        "[::g]:80",
        "[::1%]:80",
        "[fe80::1%x]:80",
        "[fe80::1%4294967296]:80",
        "localhost:80",
        "unix:",
        "unix:@",
        " 127.0.0.1:80",
        "127.0.0.1 :80",
        "127.0.0.1:80 ",
        "127.0.0.1:+80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_refused(wrong[i], -EINVAL);
}

static void names_that_are_too_long_are_refused(void **state)
{
    char text[200] = "unix:";

    (void)state;
    memset(text + 5, 'a', 108);
    assert_refused(text, -ENAMETOOLONG);
    text[5] = '@';
    text[5 + 109] = '\0';
    memset(text + 6, 'a', 108);
    assert_refused(text, -ENAMETOOLONG);
    memset(text, '1', sizeof(text) - 1);
    memcpy(text + 190, ":80", 4);
    assert_refused(text, -EINVAL);
}

static void names_of_the_greatest_length_are_taken(void **state)
{
    char text[200] = "unix:";

    (void)state;
    memset(text + 5, 'a', 107);
    assert_round(text);
    text[5] = '@';
    memset(text + 6, 'a', 107);
    assert_round(text);
}

static void addresses_print_as_they_were_written(void **state)
{
    (void)state;
    assert_round("127.0.0.1:80");
    assert_round("0.0.0.0:0");
    assert_round("255.255.255.255:65535");
    assert_round("[::1]:80");
    assert_round("[fe80::1%2]:443");
    assert_round("[::ffff:10.0.0.1]:1");
    assert_round("unix:/tmp/name with spaces:80");
    assert_round("unix:@abstract");
}

static void bytes_that_do_not_print_are_escaped(void **state)
{
    struct vine_address address = {.local = {.sun_family = AF_UNIX}};
    char text[VINE_ADDRESS_TEXT_BYTES];

    (void)state;
    memcpy(address.local.sun_path, "\0a\0\x1b\\", 5);
    address.size_bytes = offsetof(struct sockaddr_un, sun_path) + 5;
    vine_address_print(&address, text);
    assert_string_equal(text, "unix:@a\\x00\\x1b\\x5c");
    memset(address.local.sun_path, 0, sizeof(address.local.sun_path));
    address.size_bytes = sizeof(address.local);
    vine_address_print(&address, text);
    assert_int_equal(strlen(text), VINE_ADDRESS_TEXT_BYTES - 1 - (448 - 6 - 107 * 4) + 1);
    /* More than there is, as a kernel would say of a cut one. */
    address.size_bytes = 5000;
    vine_address_print(&address, text);
    assert_true(strlen(text) < sizeof(text));
}

static void a_socket_without_a_name_and_no_address_print(void **state)
{
    struct vine_address address = {.local = {.sun_family = AF_UNIX}};
    char text[VINE_ADDRESS_TEXT_BYTES];

    (void)state;
    address.size_bytes = sizeof(sa_family_t);
    vine_address_print(&address, text);
    assert_string_equal(text, "unix:");
    memset(&address, 0, sizeof(address));
    vine_address_print(&address, text);
    assert_string_equal(text, "-");
    assert_int_equal(vine_address_port(&address), 0);
}

static void the_port_is_told(void **state)
{
    struct vine_address address;

    (void)state;
    assert_int_equal(vine_address_parse("127.0.0.1:8080", &address), 0);
    assert_int_equal(vine_address_port(&address), 8080);
    assert_int_equal(vine_address_parse("[::]:9", &address), 0);
    assert_int_equal(vine_address_port(&address), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_no_address_is_refused),
        cmocka_unit_test(names_that_are_too_long_are_refused),
        cmocka_unit_test(names_of_the_greatest_length_are_taken),
        cmocka_unit_test(addresses_print_as_they_were_written),
        cmocka_unit_test(bytes_that_do_not_print_are_escaped),
        cmocka_unit_test(a_socket_without_a_name_and_no_address_print),
        cmocka_unit_test(the_port_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
