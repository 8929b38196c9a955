/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=guest */
#include <arpa/inet.h>
#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/guest/doorbell.h"
#include "vmm/guest/modules.h"
#include "vmm/guest/network.h"

static void a_line_of_modules_is_a_file_and_parameters(void **state)
{
    char line[] = "  /lib/modules/a.ko  x=1 y=2 \r", plain[] = "/b.ko", comment[] = " # /c.ko",
         none[] = " \t";
    char *file, *parameters;

    (void)state;
    assert_true(modules_parse_line(line, &file, &parameters));
    assert_string_equal(file, "/lib/modules/a.ko");
    assert_string_equal(parameters, "x=1 y=2");
    assert_true(modules_parse_line(plain, &file, &parameters));
    assert_string_equal(file, "/b.ko");
    assert_string_equal(parameters, "");
    assert_false(modules_parse_line(comment, &file, &parameters));
    assert_false(modules_parse_line(none, &file, &parameters));
}

static void a_doorbell_is_found_among_the_kernels_options(void **state)
{
    char device[16] = "as before";

    (void)state;
    assert_false(doorbell_find("", device, sizeof(device)));
    assert_false(doorbell_find("quiet vine.status=0000:00:02.0\n", device, sizeof(device)));
    assert_false(doorbell_find("xvine.doorbell=0000:00:03.0", device, sizeof(device)));
    assert_false(doorbell_find("vine.doorbell=", device, sizeof(device)));
    assert_false(doorbell_find("vine.doorbell=../../../etc", device, sizeof(device)));
    assert_false(doorbell_find("vine.doorbell=0000:00:03.00", device, sizeof(device)));
    assert_false(doorbell_find("vine.doorbell=0000:00:03,0", device, sizeof(device)));
    assert_string_equal(device, "as before");
    assert_true(doorbell_find("quiet vine.doorbell=0000:0a:1f.7 x=y\n", device, sizeof(device)));
    assert_string_equal(device, "0000:0a:1f.7");
    assert_false(doorbell_find("vine.doorbell=0000:0a:1f.7", device, 12));
}

static void an_address_has_a_prefix(void **state)
{
    static const char *const wrong[] = {"",
                                        "10.0.0.1",
                                        "10.0.0.1/",
                                        "10.0.0.1/33",
                                        "10.0.0.1/-1",
                                        "10.0.0.1/8x",
                                        "10.0.0/8",
                                        "10.0.0.1000/8",
                                        "1111.1111.1111.1111.1/8"};
    uint32_t address = 0, mask = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(network_parse(wrong[i], &address, &mask), -EINVAL);
    assert_int_equal(network_parse("10.1.2.3/20", &address, &mask), 0);
    assert_int_equal(ntohl(address), 0x0a010203);
    assert_int_equal(ntohl(mask), 0xfffff000);
    assert_int_equal(network_parse("10.1.2.3/0", &address, &mask), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(network_parse("10.1.2.3/32", &address, &mask), 0);
    assert_int_equal(mask, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_modules_is_a_file_and_parameters),
        cmocka_unit_test(a_doorbell_is_found_among_the_kernels_options),
        cmocka_unit_test(an_address_has_a_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
