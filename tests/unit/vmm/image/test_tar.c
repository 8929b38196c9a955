/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=image */
#include <errno.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/image/tar.h"

static unsigned char archive[16 * 512];
static size_t archive_size;

static void seal(unsigned char *header)
{
    unsigned sum = 0;

    memset(header + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static unsigned char *add(const char *name, char type, const char *text)
{
    unsigned char *const header = archive + archive_size;
    const size_t size = strlen(text);

    memcpy(header, name, strlen(name));
    snprintf((char *)header + 124, 12, "%011o", (unsigned)size);
    header[156] = (unsigned char)type;
    memcpy(header + 257, "ustar  ", 8); /* GNU's */
    memcpy(header + 512, text, size);
    seal(header);
    archive_size += 512 + (size + 511) / 512 * 512;
    return header;
}

static int empty(void **state)
{
    (void)state;
    memset(archive, 0, sizeof(archive));
    archive_size = 0;
    return 0;
}

static void expect(struct tar *tar, const char *path, const char *text)
{
    struct tar_file file;

    assert_int_equal(tar_next(tar, &file), 1);
    assert_string_equal(file.path, path);
    assert_int_equal(file.size, strlen(text));
    assert_memory_equal(file.bytes, text, file.size);
}

static void ordinary_files_come_one_after_another(void **state)
{
    char long_name[301];
    struct tar_file file;

    (void)state;
    memset(long_name, 'n', 300);
    long_name[300] = '\0';
    add("./", '5', "");
    add("./one", '0', "text");
    add("two", '\0', "");
    add("a/link", '2', "");
    add("././@LongLink", 'L', long_name);
    add("nnn", '0', "long");
    unsigned char *const header = add("name", '0', "far");
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    memcpy(header + 345, "./usr/share", 11);
    seal(header);
    archive_size += 1024; /* the end */

    struct tar tar = {.bytes = archive, .size = archive_size};
    expect(&tar, "one", "text");
    expect(&tar, "two", "");
    expect(&tar, long_name, "long");
    expect(&tar, "usr/share/name", "far");
    assert_int_equal(tar_next(&tar, &file), 0);
    assert_int_equal(tar_next(&tar, &file), 0);
}

static void an_archive_that_is_cut_is_damaged(void **state)
{
    struct tar_file file;

    (void)state;
    add("one", '0', "text");
    for (size_t size = 1; size < 516; size++) {
        unsigned char *copy = malloc(size); /* so that a sanitizer sees its end */
        memcpy(copy, archive, size);
        assert_int_equal(tar_next(&(struct tar){.bytes = copy, .size = size}, &file), -EBADMSG);
        free(copy);
    }
    assert_int_equal(tar_next(&(struct tar){.bytes = archive, .size = 516}, &file), 1);
}

static void a_header_that_lies_is_refused(void **state)
{
    struct tar_file file;
    struct tar tar = {.bytes = archive, .size = sizeof(archive)};

    (void)state;
    unsigned char *const header = add("one", '0', "text");
    header[0] = 'x'; /* the sum is of another one */
    assert_int_equal(tar_next(&tar, &file), -EBADMSG);
    memcpy(header + 124, "77777777777", 12);
    seal(header);
    assert_int_equal(tar_next(&tar, &file), -EBADMSG);
    memcpy(header + 124, "-0000000001", 12);
    seal(header);
    assert_int_equal(tar_next(&tar, &file), -EBADMSG);
}

static void a_long_name_without_its_file_is_refused(void **state)
{
    struct tar_file file;

    (void)state;
    add("././@LongLink", 'L', "name");
    struct tar tar = {.bytes = archive, .size = archive_size};
    assert_int_equal(tar_next(&tar, &file), -EBADMSG);
    tar = (struct tar){.bytes = archive, .size = archive_size + 512};
    assert_int_equal(tar_next(&tar, &file), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ordinary_files_come_one_after_another, empty),
        cmocka_unit_test_setup(an_archive_that_is_cut_is_damaged, empty),
        cmocka_unit_test_setup(a_header_that_lies_is_refused, empty),
        cmocka_unit_test_setup(a_long_name_without_its_file_is_refused, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
