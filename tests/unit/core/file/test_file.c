/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "file_tests.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder_path[] = "/tmp/vine-file-XXXXXX";
static struct vine_file folder;

static int open_world(void **state)
{
    (void)state;
    world_open(1, 8);
    assert_int_equal(AWAIT(vine_file_open, &folder, NULL, folder_path, O_RDONLY | O_DIRECTORY, 0),
                     0);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    close_file(&folder);
    world_close();
    return 0;
}

/* A new, empty file of the folder. */
static void make(struct vine_file *file, const char *name, int flags)
{
    *file = (struct vine_file){0};
    assert_int_equal(
        AWAIT(vine_file_open, file, &folder, name, O_RDWR | O_CREAT | O_TRUNC | flags, 0600), 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void opening_what_is_not_there_is_refused(void **state)
{
    (void)state;
    struct vine_file file = {0};

    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "nothing", O_RDONLY, 0), -ENOENT);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "nothing/below", O_RDONLY, 0), -ENOENT);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, ".", O_RDWR, 0), -EISDIR);
    assert_false(file.is_open);
    assert_int_equal(AWAIT(vine_file_close, &file), -EBADF);
}

static void direct_io_does_not_go_with_appending(void **state)
{
    (void)state;
    struct vine_file file = {0};

    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "append",
                           O_RDWR | O_CREAT | O_DIRECT | O_APPEND, 0600),
                     -EINVAL);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "append", O_RDONLY, 0), -ENOENT);
}

static void impossible_offsets_and_vectors_are_refused(void **state)
{
    (void)state;
    struct vine_file file;
    char byte = 0;
    const struct iovec huge[2] = {{&byte, SIZE_MAX / 2}, {&byte, SIZE_MAX / 2 + 2}};
    static struct iovec many[1025];

    make(&file, "refused", 0);
    assert_int_equal(AWAIT(vine_file_read, &file, &byte, 1, (uint64_t)INT64_MAX), -EINVAL);
    assert_int_equal(AWAIT(vine_file_write, &file, &byte, 1, UINT64_MAX - 1), -EINVAL);
    assert_int_equal(AWAIT(vine_file_writev, &file, huge, 2, 0), -EINVAL);
    assert_int_equal(AWAIT(vine_file_readv, &file, many, 1025, 0), -EINVAL);
    assert_int_equal(AWAIT(vine_file_sync, &file, 2), -EINVAL);
    assert_int_equal(AWAIT(vine_file_truncate, &file, UINT64_MAX), -EINVAL);
    assert_int_equal(AWAIT(vine_file_list, &file, many, 16, true), -EINVAL);
    assert_int_equal(AWAIT(vine_file_list, &file, many, sizeof(many), true), -ENOTDIR);
    close_file(&file);
}

static void reading_a_folder_and_writing_what_is_read_only_are_errors(void **state)
{
    (void)state;
    struct vine_file file;
    char bytes[8] = "1234567";

    assert_int_equal(AWAIT(vine_file_read, &folder, bytes, 8, 0), -EISDIR);
    make(&file, "read_only", 0);
    close_file(&file);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "read_only", O_RDONLY, 0), 0);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, 8, 0), -EBADF);
    assert_int_equal(vine_file_count(&await_wish.op), 0);
    close_file(&file);
}

static void a_closed_descriptor_is_an_error(void **state)
{
    (void)state;
    struct vine_file file;
    char bytes[8];
    const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    vine_file_adopt(&file, fd);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 8, 0), 8);
    assert_int_equal(close(fd), 0);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 8, 0), -EBADF);
    assert_int_equal(AWAIT(vine_file_close, &file), -EBADF);
}

/* ---- no room --------------------------------------------------------------------------------- */

static void a_device_that_is_full_says_so(void **state)
{
    (void)state;
    struct vine_file file = {0};

    assert_int_equal(AWAIT(vine_file_open, &file, NULL, "/dev/full", O_WRONLY, 0), 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "x", 1, 0), -ENOSPC);
    assert_int_equal(vine_file_count(&await_wish.op), 0);
    close_file(&file);
}

static void a_disk_that_fills_up_tells_what_was_written(void **state)
{
    (void)state;
    char path[96];
    static char bytes[3 << 20];
    struct vine_file file = {0};
    struct stat status;

    (void)snprintf(path, sizeof(path), "%s/small", folder_path);
    assert_int_equal(mkdir(path, 0700), 0);
    if (mount("none", path, "tmpfs", 0, "size=1m") != 0) {
        print_message("no tmpfs without being root: left out\n");
        assert_int_equal(rmdir(path), 0);
        return;
    }
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "small/file", O_RDWR | O_CREAT, 0600),
                     0);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, sizeof(bytes), 0), -ENOSPC);
    assert_int_equal(vine_file_count(&await_wish.op), 1 << 20);
    assert_int_equal(fstat(vine_file_descriptor(&file), &status), 0);
    assert_int_equal(status.st_size, 1 << 20);
    assert_int_equal(AWAIT(vine_file_allocate, &file, 0, 0, 4 << 20), -ENOSPC);
    close_file(&file);
    assert_int_equal(umount(path), 0);
    assert_int_equal(rmdir(path), 0);
}

static void a_limit_of_size_tells_what_was_written(void **state)
{
    (void)state;
    struct vine_file file;
    struct rlimit before, limit;
    static char bytes[100000];

    make(&file, "limited", 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 10000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int64_t result = AWAIT(vine_file_write, &file, bytes, sizeof(bytes), 0);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, -EFBIG);
    assert_int_equal(vine_file_count(&await_wish.op), 10000);
    close_file(&file);
}

/* ---- reading and writing --------------------------------------------------------------------- */

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct vine_file file;
    char bytes[16] = "";

    make(&file, "plain", 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "hello, world", 12, 5), 12);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 5, 5), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 5, 0), 5);
    assert_memory_equal(bytes, "\0\0\0\0\0", 5);
    assert_int_equal(AWAIT(vine_file_write, &file, "", 0, 3), 0);
    close_file(&file);
}

static void a_read_at_the_end_is_short(void **state)
{
    (void)state;
    struct vine_file file;
    char bytes[16] = "";

    make(&file, "short", 0);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 16, 0), 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "hello", 5, 0), 5);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 16, 2), 3);
    assert_memory_equal(bytes, "llo", 3);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 16, 5), 0);
    assert_int_equal(AWAIT(vine_file_read, &file, bytes, 16, 500), 0);
    close_file(&file);
}

static void vectors_are_gathered_and_scattered(void **state)
{
    (void)state;
    struct vine_file file;
    char a[3] = "", b[8] = "";
    const struct iovec out[] = {{(void *)"ab", 2}, {NULL, 0}, {(void *)"cdefg", 5}};
    const struct iovec in[] = {{NULL, 0}, {a, 3}, {b, 8}};

    make(&file, "vector", 0);
    assert_int_equal(AWAIT(vine_file_writev, &file, out, 3, 1), 7);
    assert_int_equal(AWAIT(vine_file_readv, &file, in, 3, 1), 7);
    assert_memory_equal(a, "abc", 3);
    assert_memory_equal(b, "defg", 4);
    assert_int_equal(AWAIT(vine_file_readv, &file, in, 0, 1), 0);
    close_file(&file);
}

static void a_stream_takes_what_is_there(void **state)
{
    (void)state;
    struct vine_file reader, writer;
    int ends[2];
    char bytes[64];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    vine_file_adopt(&reader, ends[0]);
    vine_file_adopt(&writer, ends[1]);
    assert_int_equal(AWAIT(vine_file_write, &writer, "hello", 5, VINE_FILE_STREAM), 5);
    assert_int_equal(AWAIT(vine_file_read, &reader, bytes, 64, VINE_FILE_STREAM), 5);
    close_file(&writer);
    assert_int_equal(AWAIT(vine_file_read, &reader, bytes, 64, VINE_FILE_STREAM), 0);
    close_file(&reader);
}

static void truncating_allocating_and_syncing_do_so(void **state)
{
    (void)state;
    struct vine_file file;
    struct vine_file_status status;

    make(&file, "sizes", 0);
    assert_int_equal(AWAIT(vine_file_truncate, &file, 1000), 0);
    assert_int_equal(AWAIT(vine_file_stat, &file, &status), 0);
    assert_int_equal(status.size_bytes, 1000);
    assert_int_equal(AWAIT(vine_file_allocate, &file, 0, 0, 100000), 0);
    assert_int_equal(AWAIT(vine_file_sync, &file, 0), 0);
    assert_int_equal(AWAIT(vine_file_sync, &file, VINE_FILE_DATA_ONLY), 0);
    assert_int_equal(AWAIT(vine_file_stat, &file, &status), 0);
    assert_int_equal(status.size_bytes, 100000);
    assert_true(status.allocated_bytes >= 100000);
    close_file(&file);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static void a_read_that_waits_is_cancelled(void **state)
{
    (void)state;
    struct vine_file reader;
    struct wish wish;
    int ends[2];
    char byte;

    if (world_backend == VINE__POLL_BACKEND_EPOLL) {
        print_message("a worker's read cannot be cancelled: left out\n");
        return;
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    vine_file_adopt(&reader, ends[0]);
    vine_file_read(&wish_new(&wish)->op, &reader, &byte, 1, VINE_FILE_STREAM);
    for (int turn = 0; turn < 10; turn++)
        world_turn();
    assert_false(wish.is_done);
    vine_file_cancel(&wish.op);
    vine_file_cancel(&wish.op);
    assert_int_equal(wish_wait(&wish), -ECANCELED);
    vine_file_cancel(&wish.op); /* nothing is under way */
    assert_int_equal(wish.calls, 1);
    close_file(&reader);
    (void)close(ends[1]);
}

static void a_read_in_the_queue_is_cancelled_and_those_beside_it_are_not(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    static struct wish wishes[COUNT];
    static char bytes[COUNT][512];
    struct vine_file file;

    make(&file, "queued", 0);
    for (int i = 0; i < COUNT; i++)
        vine_file_write(&wish_new(&wishes[i])->op, &file, bytes[i], 512, (uint64_t)i * 512);
    vine_file_cancel(&wishes[COUNT - 1].op);
    vine_file_cancel(&wishes[20].op);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(wish_wait(&wishes[i]), i == 20 || i == COUNT - 1 ? -ECANCELED : 512);
    close_file(&file);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void a_rename_replaces_another_file(void **state)
{
    (void)state;
    struct vine_file file;
    char byte = 0;

    make(&file, "old", 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "o", 1, 0), 1);
    close_file(&file);
    make(&file, "new", 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "n", 1, 0), 1);
    close_file(&file);
    assert_int_equal(AWAIT(vine_file_rename, &folder, "missing", &folder, "new", 0), -ENOENT);
    assert_int_equal(AWAIT(vine_file_rename, &folder, "new", &folder, "old", RENAME_NOREPLACE),
                     -EEXIST);
    assert_int_equal(AWAIT(vine_file_rename, &folder, "new", &folder, "old", 0), 0);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "new", O_RDONLY, 0), -ENOENT);
    assert_int_equal(AWAIT(vine_file_open, &file, &folder, "old", O_RDONLY, 0), 0);
    assert_int_equal(AWAIT(vine_file_read, &file, &byte, 1, 0), 1);
    assert_int_equal(byte, 'n');
    close_file(&file);
}

static void folders_are_made_and_removed(void **state)
{
    (void)state;
    struct vine_file_status status;

    assert_int_equal(AWAIT(vine_file_make_folder, &folder, "below", 0700), 0);
    assert_int_equal(AWAIT(vine_file_make_folder, &folder, "below", 0700), -EEXIST);
    assert_int_equal(AWAIT(vine_file_stat_at, &folder, "below", 0, &status), 0);
    assert_true(S_ISDIR(status.mode));
    assert_int_equal(AWAIT(vine_file_unlink, &folder, "below", 0), -EISDIR);
    assert_int_equal(AWAIT(vine_file_unlink, &folder, "below", AT_REMOVEDIR), 0);
    assert_int_equal(AWAIT(vine_file_stat_at, &folder, "below", 0, &status), -ENOENT);
}

static void status_is_that_of_stat(void **state)
{
    (void)state;
    struct vine_file file;
    struct vine_file_status status;
    struct stat expected;

    make(&file, "status", 0);
    assert_int_equal(AWAIT(vine_file_write, &file, "12345", 5, 0), 5);
    assert_int_equal(AWAIT(vine_file_stat_at, &folder, "status", 0, &status), 0);
    assert_int_equal(fstat(vine_file_descriptor(&file), &expected), 0);
    assert_int_equal(status.size_bytes, expected.st_size);
    assert_int_equal(status.inode, expected.st_ino);
    assert_int_equal(status.device, expected.st_dev);
    assert_int_equal(status.mode, expected.st_mode);
    assert_int_equal(status.links, expected.st_nlink);
    assert_int_equal(status.user, expected.st_uid);
    assert_int_equal(status.allocated_bytes, expected.st_blocks * 512);
    assert_int_equal(status.modified_ns / 1000000000, expected.st_mtim.tv_sec);
    assert_int_equal(status.modified_ns % 1000000000, expected.st_mtim.tv_nsec);
    close_file(&file);
}

static void a_listing_of_ten_thousand_has_each_once(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    static bool is_there[COUNT];
    static uint64_t buffer[1024];
    struct vine_file large = {0};
    char name[32];

    assert_int_equal(AWAIT(vine_file_make_folder, &folder, "large", 0700), 0);
    assert_int_equal(AWAIT(vine_file_open, &large, &folder, "large", O_RDONLY | O_DIRECTORY, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof(name), "entry-%d", i);
        assert_int_equal(mknodat(vine_file_descriptor(&large), name, S_IFREG | 0600, 0), 0);
    }
    for (int round = 0; round < 2; round++) {
        int found = 0;
        int64_t size;
        bool from_start = true;

        memset(is_there, 0, sizeof(is_there));
        while ((size = AWAIT(vine_file_list, &large, buffer, sizeof(buffer), from_start)) > 0) {
            struct vine_file_entry entry;

            from_start = false;
            for (size_t at = 0; vine_file_list_next(buffer, (size_t)size, &at, &entry); found++) {
                const int i = (int)strtol(entry.name + strlen("entry-"), NULL, 10);

                assert_in_range(i, 0, COUNT - 1);
                assert_false(is_there[i]);
                is_there[i] = true;
                assert_true(entry.type == DT_REG || entry.type == DT_UNKNOWN);
            }
        }
        assert_int_equal(size, 0);
        assert_int_equal(found, COUNT);
    }
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof(name), "entry-%d", i);
        assert_int_equal(unlinkat(vine_file_descriptor(&large), name, 0), 0);
    }
    close_file(&large);
    assert_int_equal(AWAIT(vine_file_unlink, &folder, "large", AT_REMOVEDIR), 0);
}

static void a_listing_that_is_cut_off_ends_at_the_last_whole_entry(void **state)
{
    (void)state;
    static uint64_t buffer[256];
    struct vine_file_entry entry;
    size_t at = 0;
    const int64_t size = AWAIT(vine_file_list, &folder, buffer, sizeof(buffer), true);

    assert_true(size > 0);
    for (size_t cut = 0; cut < (size_t)size; cut++) {
        at = 0;
        while (vine_file_list_next(buffer, cut, &at, &entry))
            assert_true(at <= cut);
    }
    at = (size_t)size + 8;
    assert_false(vine_file_list_next(buffer, (size_t)size, &at, &entry));
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest files[] = {
        IN_A_WORLD(opening_what_is_not_there_is_refused),
        IN_A_WORLD(direct_io_does_not_go_with_appending),
        IN_A_WORLD(impossible_offsets_and_vectors_are_refused),
        IN_A_WORLD(reading_a_folder_and_writing_what_is_read_only_are_errors),
        IN_A_WORLD(a_closed_descriptor_is_an_error),
        IN_A_WORLD(a_device_that_is_full_says_so),
        IN_A_WORLD(a_disk_that_fills_up_tells_what_was_written),
        IN_A_WORLD(a_limit_of_size_tells_what_was_written),
        IN_A_WORLD(what_is_written_is_read),
        IN_A_WORLD(a_read_at_the_end_is_short),
        IN_A_WORLD(vectors_are_gathered_and_scattered),
        IN_A_WORLD(a_stream_takes_what_is_there),
        IN_A_WORLD(truncating_allocating_and_syncing_do_so),
        IN_A_WORLD(a_read_that_waits_is_cancelled),
        IN_A_WORLD(a_read_in_the_queue_is_cancelled_and_those_beside_it_are_not),
        IN_A_WORLD(a_rename_replaces_another_file),
        IN_A_WORLD(folders_are_made_and_removed),
        IN_A_WORLD(status_is_that_of_stat),
        IN_A_WORLD(a_listing_of_ten_thousand_has_each_once),
        IN_A_WORLD(a_listing_that_is_cut_off_ends_at_the_last_whole_entry),
    };

    if (folder_make(folder_path) != 0)
        return 1;
    return RUN_OVER_BOTH(files);
}
