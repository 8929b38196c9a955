/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/keyspace/siphash.h"

static unsigned char bytes[64], key[16];

static void it_gives_what_its_paper_says(void **state)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd}, {2, 0x0d6c8009d9a94f5a},
        {7, 0xab0200f58b01d137}, {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5},
    };
    (void)state;

    for (size_t n = 0; n < sizeof(vectors) / sizeof(vectors[0]); n++)
        assert_true(vine__siphash(bytes, vectors[n].size, key, 2, 4) == vectors[n].hash);
    assert_true(vine__siphash(bytes, 0, key, 1, 3) == 0xabac0158050fc4dc);
}

static void each_byte_of_text_and_key_counts(void **state)
{
    const uint64_t hash = vine__siphash(bytes, sizeof(bytes), key, 1, 3);
    (void)state;

    for (size_t n = 0; n < sizeof(bytes); n++) {
        bytes[n] ^= 0x40;
        assert_true(vine__siphash(bytes, sizeof(bytes), key, 1, 3) != hash);
        bytes[n] ^= 0x40;
    }
    for (size_t n = 0; n < sizeof(key); n++) {
        key[n] ^= 1;
        assert_true(vine__siphash(bytes, sizeof(bytes), key, 1, 3) != hash);
        key[n] ^= 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_what_its_paper_says),
        cmocka_unit_test(each_byte_of_text_and_key_counts),
    };

    for (size_t n = 0; n < sizeof(bytes); n++)
        bytes[n] = (unsigned char)n;
    for (size_t n = 0; n < sizeof(key); n++)
        key[n] = (unsigned char)n;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
