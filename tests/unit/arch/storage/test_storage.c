/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "arch/storage/storage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utils/bits.h"

static void what_is_no_file_has_the_alignment_that_suits_any(void **state)
{
    (void)state;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(vine__storage_block_bytes(ends[0]), VINE__STORAGE_ALIGN_DEFAULT);
    assert_int_equal(vine__storage_block_bytes(-1), VINE__STORAGE_ALIGN_DEFAULT);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void files_and_devices_have_places_and_pipes_have_none(void **state)
{
    (void)state;
    FILE *const file = tmpfile();
    const int device = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_false(vine__storage_has_places(ends[0]));
    assert_false(vine__storage_has_places(ends[1]));
    assert_true(vine__storage_has_places(device));
    assert_non_null(file);
    assert_true(vine__storage_has_places(fileno(file)));
    (void)fclose(file);
    (void)close(device);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void direct_io_goes_by_the_block_of_the_device(void **state)
{
    (void)state;
    char path[] = "/tmp/vine-storage-XXXXXX";
    const int made = mkstemp(path);
    static _Alignas(4096) char bytes[4096];

    assert_true(made >= 0);
    const uint32_t block_bytes = vine__storage_block_bytes(made);
    const int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

    (void)unlink(path);
    assert_true(vine__is_power_of_two_u64(block_bytes));
    assert_in_range(block_bytes, 512, 65536);
    if (fd >= 0 && block_bytes <= sizeof(bytes)) {
        assert_int_equal(pwrite(fd, bytes, block_bytes, block_bytes), block_bytes);
        assert_int_equal(pread(fd, bytes, block_bytes, block_bytes), block_bytes);
    } else {
        print_message("no direct I/O in /tmp: the size alone\n");
    }
    (void)close(fd);
    (void)close(made);
}

static void listing_what_is_no_folder_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/vine-storage-XXXXXX";
    const int fd = mkstemp(path);
    static uint64_t buffer[256];

    assert_true(fd >= 0);
    (void)unlink(path);
    assert_int_equal(vine__storage_list(fd, buffer, sizeof(buffer), true), -ENOTDIR);
    assert_int_equal(vine__storage_list(-1, buffer, sizeof(buffer), false), -EBADF);
    (void)close(fd);
}

static void entries_that_are_no_entries_end_the_list(void **state)
{
    (void)state;
    static uint64_t buffer[64];
    unsigned char *const bytes = (unsigned char *)buffer;
    const char *name = NULL;
    uint64_t inode;
    uint8_t type;
    const uint16_t sizes[] = {0, 1, 19, 600, UINT16_MAX};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(buffer, 'x', sizeof(buffer));
        memcpy(bytes + 16, &sizes[i], 2);
        assert_int_equal(vine__storage_entry(buffer, sizeof(buffer), 0, &name, &inode, &type), 0);
    }
    /* A name without an end. */
    memcpy(bytes + 16, &(uint16_t){32}, 2);
    assert_int_equal(vine__storage_entry(buffer, sizeof(buffer), 0, &name, &inode, &type), 0);
    bytes[31] = 0;
    assert_int_equal(vine__storage_entry(buffer, sizeof(buffer), 0, &name, &inode, &type), 32);
    assert_int_equal(strlen(name), 12);
    assert_int_equal(vine__storage_entry(buffer, 31, 0, &name, &inode, &type), 0);
    assert_int_equal(vine__storage_entry(buffer, 10, 0, &name, &inode, &type), 0);
    assert_int_equal(vine__storage_entry(buffer, 32, 40, &name, &inode, &type), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_file_has_the_alignment_that_suits_any),
        cmocka_unit_test(files_and_devices_have_places_and_pipes_have_none),
        cmocka_unit_test(direct_io_goes_by_the_block_of_the_device),
        cmocka_unit_test(listing_what_is_no_folder_is_refused),
        cmocka_unit_test(entries_that_are_no_entries_end_the_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
