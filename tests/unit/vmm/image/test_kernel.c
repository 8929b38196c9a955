/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=image */
#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lz4.h>

#include "vmm/image/kernel.h"

/* A bzImage of the smallest kind: one sector of set-up code behind the first, and a payload of two
 * blocks at 16 bytes from its end. */
#define PAYLOAD_AT  (2 * 512 + 16)
#define ELF_BYTES   5000
#define IMAGE_BYTES 4096

static unsigned char elf[ELF_BYTES], image[IMAGE_BYTES];
static size_t image_size;

static void put_32(unsigned char *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static size_t add_block(size_t at, size_t from, size_t size)
{
    const int packed = LZ4_compress_default((const char *)elf + from, (char *)image + at + 4,
                                            (int)size, (int)(IMAGE_BYTES - at - 4));

    assert_true(packed > 0);
    put_32(image + at, (size_t)packed);
    return at + 4 + (size_t)packed;
}

static int make_image(void **state)
{
    size_t at = PAYLOAD_AT;

    (void)state;
    memset(image, 0, sizeof(image));
    for (size_t i = 0; i < sizeof(elf); i++)
        elf[i] = (unsigned char)(i / 16);
    memcpy(elf, "\177ELF\2\1", 6);
    image[0x1f1] = 1;
    memcpy(image + 0x202, "HdrS\x0f\x02", 6);
    put_32(image + at, 0x184c2102);
    at = add_block(at + 4, 0, 3000);
    at = add_block(at, 3000, ELF_BYTES - 3000);
    put_32(image + at, ELF_BYTES);
    image_size = at + 4;
    put_32(image + 0x248, 16);
    put_32(image + 0x24c, image_size - PAYLOAD_AT);
    return 0;
}

static int unpack(size_t size)
{
    void *copy = malloc(size > 0 ? size : 1), *bytes = NULL; /* so that a sanitizer sees its end */
    size_t got;

    memcpy(copy, image, size);
    const int error = kernel_unpack(copy, size, &bytes, &got);
    free(copy);
    free(bytes);
    return error;
}

static void a_kernel_comes_out_as_it_went_in(void **state)
{
    void *bytes;
    size_t size;

    (void)state;
    assert_int_equal(kernel_unpack(image, image_size, &bytes, &size), 0);
    assert_int_equal(size, ELF_BYTES);
    assert_memory_equal(bytes, elf, size);
    free(bytes);
}

static void an_image_that_is_cut_is_damaged(void **state)
{
    (void)state;
    for (size_t size = 0; size < image_size; size++)
        assert_int_equal(unpack(size), -EBADMSG);
}

static void another_packing_is_not_supported(void **state)
{
    (void)state;
    memcpy(image + PAYLOAD_AT, "\x28\xb5\x2f\xfd", 4);
    assert_int_equal(unpack(image_size), -ENOTSUP);
}

static void what_is_no_image_is_refused(void **state)
{
    (void)state;
    image[0x202] = 'h';
    assert_int_equal(unpack(image_size), -EBADMSG);
    image[0x202] = 'H';
    image[0x206] = 7; /* a format without a payload that one can find */
    assert_int_equal(unpack(image_size), -EBADMSG);
}

static void sizes_that_are_not_so_are_refused(void **state)
{
    (void)state;
    put_32(image + image_size - 4, ELF_BYTES - 1);
    assert_int_equal(unpack(image_size), -EBADMSG);
    put_32(image + image_size - 4, ELF_BYTES + 1);
    assert_int_equal(unpack(image_size), -EBADMSG);
    put_32(image + image_size - 4, 0xffffffff);
    assert_int_equal(unpack(image_size), -EBADMSG);
    put_32(image + image_size - 4, ELF_BYTES);
    assert_int_equal(unpack(image_size), 0);
    put_32(image + PAYLOAD_AT + 4, 0x7fffffff); /* of the first block */
    assert_int_equal(unpack(image_size), -EBADMSG);
}

static void what_is_in_it_must_be_an_elf_file(void **state)
{
    (void)state;
    elf[4] = 1; /* of 32 bits */
    size_t at = add_block(PAYLOAD_AT + 4, 0, 3000);
    at = add_block(at, 3000, ELF_BYTES - 3000);
    assert_int_equal(at + 4, image_size);
    put_32(image + at, ELF_BYTES);
    assert_int_equal(unpack(image_size), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_kernel_comes_out_as_it_went_in, make_image),
        cmocka_unit_test_setup(an_image_that_is_cut_is_damaged, make_image),
        cmocka_unit_test_setup(another_packing_is_not_supported, make_image),
        cmocka_unit_test_setup(what_is_no_image_is_refused, make_image),
        cmocka_unit_test_setup(sizes_that_are_not_so_are_refused, make_image),
        cmocka_unit_test_setup(what_is_in_it_must_be_an_elf_file, make_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
