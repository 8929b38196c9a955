/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=image */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/folder.h"
#include "vmm/image/cpio.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *make(struct cpio_entry *entries, size_t count, size_t *ret_size)
{
    const struct cpio_entry *wrong;
    void *bytes = NULL;

    assert_int_equal(cpio_make(entries, count, &bytes, ret_size, &wrong), 0);
    return bytes;
}

static void refuses(struct cpio_entry *entries, size_t count, int error, const char *path)
{
    const struct cpio_entry *wrong = NULL;
    void *bytes;
    size_t size;

    assert_int_equal(cpio_make(entries, count, &bytes, &size, &wrong), error);
    assert_string_equal(wrong->path, path);
}

static void what_is_no_path_is_refused(void **state)
{
    static const char *const paths[] = {"", "/a", "a/", "a//b", ".", "./a", "a/..", "../a"};
    static char long_path[CPIO_PATH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++)
        refuses(&(struct cpio_entry){.path = paths[i], .mode = S_IFREG}, 1, -EINVAL, paths[i]);
    memset(long_path, 'a', CPIO_PATH_MAX);
    refuses(&(struct cpio_entry){.path = long_path, .mode = S_IFREG}, 1, -EINVAL, long_path);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    refuses(&(struct cpio_entry){.path = "a", .mode = 0644}, 1, -EINVAL, "a");
    refuses(&(struct cpio_entry){.path = "a", .mode = S_IFCHR}, 1, -EINVAL, "a");
    refuses(&(struct cpio_entry){.path = "a", .mode = S_IFDIR, .bytes = "a", .size = 1}, 1, -EINVAL,
            "a");
    refuses(&(struct cpio_entry){.path = "a", .mode = S_IFREG, .size = (size_t)1 << 32}, 1, -EINVAL,
            "a");
}

static void two_files_of_one_path_are_refused(void **state)
{
    struct cpio_entry same[] = {{.path = "a/b", .mode = S_IFREG},
                                {.path = "a", .mode = S_IFDIR},
                                {.path = "a/b", .mode = S_IFREG}};

    (void)state;
    refuses(same, COUNT(same), -EEXIST, "a/b");
}

static void a_path_through_a_file_is_refused(void **state)
{
    /* What sorts between the two, byte by byte, must not hide them from each other. */
    struct cpio_entry entries[] = {{.path = "a/b/c", .mode = S_IFREG},
                                   {.path = "a/b", .mode = S_IFREG},
                                   {.path = "a/b.d", .mode = S_IFREG},
                                   {.path = "a/b-d", .mode = S_IFREG}};

    (void)state;
    refuses(entries, COUNT(entries), -ENOTDIR, "a/b/c");
}

/* As newc has it: thirteen numbers, the name, the bytes, each filled up to four; all up to 512. */
static void an_archive_has_these_bytes(void **state)
{
    static const char wanted[] =
        /* magic inode mode uid gid links mtime size, two devices, the name's length, no sum */
        "07070100000001000041ED00000000000000000000000200000000000000000000000000000000000000000000"
        "0"
        "0000000000200000000d\0"
        "07070100000002000081A400000000000000000000000100000000000000030000000000000000000000000000"
        "00"
        "000000000600000000d/f.x\0abc\0"
        "070701000000030000A1FF00000000000000000000000100000000000000050000000000000000000000000000"
        "00000000000300000000ln\0\0\0\0d/f.x\0\0\0"
        "070701000000000000000000000000000000000000000100000000000000000000000000000000000000000000"
        "00000000000B00000000TRAILER!!!\0\0\0\0";
    struct cpio_entry entries[] = {
        {.path = "ln", .mode = S_IFLNK | 0777, .bytes = "d/f.x", .size = 5},
        {.path = "d/f.x", .mode = S_IFREG | 0644, .bytes = "abc", .size = 3}};
    size_t size;

    (void)state;
    char *bytes = make(entries, COUNT(entries), &size);
    assert_int_equal(size % 512, 0);
    assert_true(size >= sizeof(wanted) - 1 && size < sizeof(wanted) + 511);
    assert_memory_equal(bytes, wanted, sizeof(wanted) - 1);
    for (size_t i = sizeof(wanted) - 1; i < size; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
}

static void the_order_of_the_entries_does_not_matter(void **state)
{
    struct cpio_entry one[] = {{.path = "b/z", .mode = S_IFREG | 0755, .bytes = "1", .size = 1},
                               {.path = "a", .mode = S_IFREG | 0644},
                               {.path = "b.c", .mode = S_IFREG | 0644},
                               {.path = "b", .mode = S_IFDIR | 0700}};
    struct cpio_entry other[] = {one[3], one[2], one[0], one[1]};
    size_t one_size, other_size;

    (void)state;
    char *bytes = make(one, COUNT(one), &one_size);
    char *again = make(other, COUNT(other), &other_size);
    assert_int_equal(one_size, other_size);
    assert_memory_equal(bytes, again, one_size);
    free(bytes);
    free(again);
}

static void an_archive_of_nothing_is_one(void **state)
{
    size_t size;

    (void)state;
    free(make(NULL, 0, &size));
    assert_int_equal(size, 512);
}

static void cpio_reads_what_was_written(void **state)
{
    struct cpio_entry entries[] = {
        {.path = "x/y/z", .mode = S_IFREG | 0600, .bytes = "four", .size = 4},
        {.path = "x/link", .mode = S_IFLNK | 0777, .bytes = "y/z", .size = 3}};
    char folder[] = "/tmp/vine-cpio-XXXXXX", command[512], line[512], all[2048] = "";
    size_t size, used = 0;

    (void)state;
    if (access("/usr/bin/cpio", X_OK) != 0) {
        print_message("skipped: there is no cpio\n");
        skip();
    }
    assert_int_equal(folder_make(folder), 0);
    char *bytes = make(entries, COUNT(entries), &size);
    snprintf(command, sizeof(command), "%s/archive", folder);
    FILE *file = fopen(command, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
    snprintf(
        command, sizeof(command),
        "cd %s && LC_ALL=C cpio --quiet -it <archive && cpio --quiet -i <archive && cat x/link",
        folder);
    file = popen(command, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s", line);
    assert_int_equal(pclose(file), 0);
    assert_string_equal(all, "x\nx/link\nx/y\nx/y/z\nfour");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(two_files_of_one_path_are_refused),
        cmocka_unit_test(a_path_through_a_file_is_refused),
        cmocka_unit_test(an_archive_has_these_bytes),
        cmocka_unit_test(the_order_of_the_entries_does_not_matter),
        cmocka_unit_test(an_archive_of_nothing_is_one),
        cmocka_unit_test(cpio_reads_what_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
