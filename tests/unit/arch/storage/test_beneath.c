/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Names that lead out of a folder, or to what is no file; and files that are read. */
#include "arch/storage/beneath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[] = "/tmp/vine-below-XXXXXX";
static int root;

static const char *in_scratch(const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *const file = fopen(in_scratch(name), "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int begin(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(scratch));
    assert_int_equal(mkdir(in_scratch("root"), 0700), 0);
    assert_int_equal(mkdir(in_scratch("root/folder"), 0700), 0);
    write_file("outside", "outside");
    write_file("root/file", "file");
    write_file("root/folder/deep", "deep file");
    assert_int_equal(symlink("../outside", in_scratch("root/out")), 0);
    assert_int_equal(symlink("/etc/passwd", in_scratch("root/absolute")), 0);
    assert_int_equal(symlink("../file", in_scratch("root/folder/within")), 0);
    assert_int_equal(symlink("loop", in_scratch("root/loop")), 0);
    assert_int_equal(symlink("/proc/self/root", in_scratch("root/magic")), 0);
    assert_int_equal(mkfifo(in_scratch("root/pipe"), 0600), 0);
    return vine__beneath_root(in_scratch("root"), &root);
}

static int end(void **state)
{
    char command[PATH_MAX + 16];

    (void)state;
    vine__beneath_close(root);
    (void)snprintf(command, sizeof(command), "rm -rf %s", scratch);
    return system(command);
}

static void what_leads_out_of_the_folder_is_refused(void **state)
{
    static const char *const names[] = {"..",       "../outside",  "folder/../../outside", "out",
                                        "absolute", "/etc/passwd", "magic/etc/passwd"};
    struct vine__beneath_status status;
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const int error = vine__beneath_open(root, names[i], true, &fd, &status);

        assert_true(error == -EXDEV || error == -ELOOP);
        /* At once, it may not know yet. */
        assert_true(vine__beneath_open(root, names[i], false, &fd, &status) < 0);
    }
    assert_int_equal(fd, -1);
}

static void what_is_neither_file_nor_folder_is_refused(void **state)
{
    struct vine__beneath_status status;
    int fd = -1;

    (void)state;
    assert_int_equal(vine__beneath_open(root, "pipe", true, &fd, &status), -EACCES);
    assert_int_equal(vine__beneath_open(root, "none", true, &fd, &status), -ENOENT);
    assert_int_equal(vine__beneath_open(root, "", true, &fd, &status), -ENOENT);
    assert_int_equal(vine__beneath_open(root, "loop", true, &fd, &status), -ELOOP);
    assert_int_equal(vine__beneath_open(root, "file/", true, &fd, &status), -ENOTDIR);
    assert_int_equal(vine__beneath_root(in_scratch("root/file"), &fd), -ENOTDIR);
    assert_int_equal(fd, -1);
}

static void files_and_folders_are_told_with_what_they_are(void **state)
{
    struct vine__beneath_status status;
    struct stat plain;
    char bytes[16] = "";
    int fd;

    (void)state;
    assert_int_equal(vine__beneath_open(root, "folder/within", true, &fd, &status), 0);
    assert_false(status.is_folder);
    assert_int_equal(status.size_bytes, 4);
    assert_int_equal(stat(in_scratch("root/file"), &plain), 0);
    assert_int_equal(status.modified_s, plain.st_mtim.tv_sec);
    assert_int_equal(status.modified_ns, plain.st_mtim.tv_nsec);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(vine__beneath_fetch(fd, 0, 100000), 0);
    assert_true(vine__beneath_is_here(fd, 0, 4));
    const int64_t size = vine__beneath_read_here(fd, bytes, sizeof(bytes), 1);

    /* A file system may not know how to do that. */
    assert_true(size == -EOPNOTSUPP || (size == 3 && strcmp(bytes, "ile") == 0));
    vine__beneath_close(fd);

    assert_int_equal(vine__beneath_open(root, "folder/", true, &fd, &status), 0);
    assert_true(status.is_folder);
    vine__beneath_close(fd);
    assert_int_equal(vine__beneath_open(root, ".", true, &fd, &status), 0);
    assert_true(status.is_folder);
    vine__beneath_close(fd);

    /* What has just been opened is known: at once, where the kernel can. */
    const int error = vine__beneath_open(root, "folder/deep", false, &fd, &status);

    assert_true(error == 0 || error == -EAGAIN);
    if (error == 0) {
        assert_int_equal(status.size_bytes, 9);
        vine__beneath_close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_leads_out_of_the_folder_is_refused),
        cmocka_unit_test(what_is_neither_file_nor_folder_is_refused),
        cmocka_unit_test(files_and_folders_are_told_with_what_they_are),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
