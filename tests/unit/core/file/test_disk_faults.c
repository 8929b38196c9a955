/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Disks that are full, and disks that fail: real ones, over files of the test's. A disk becomes
 * full by what is written to it. It fails where the file below it has been cut off, or where the
 * file's own file system is full.
 */
#include "file_tests.h"

#include <vine/file_stream.h>

#include <sys/stat.h>

#include "harness/loop.h"

#define MIB         (1 << 20)
#define DISK_BYTES  (8 * MIB)
#define DATA_BYTES  (16 * MIB)
#define BLOCK_BYTES 65536

static unsigned char *data, *got; /* aligned, each DATA_BYTES */
static char disk[128], cut[128], narrow[128];

/* A byte by its place, so that nothing else is taken for it; never 0. */
static unsigned char byte_at(uint64_t place)
{
    return (unsigned char)(1 + place * 2654435761U / 4096 % 255);
}

static const char *path_of(const char *folder, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void open_file(struct vine_file *file, const char *path, int flags)
{
    *file = (struct vine_file){0};
    assert_int_equal(AWAIT(vine_file_open, file, NULL, path, flags, 0600), 0);
}

/* What the disk has of a file, without anybody's help. */
static size_t read_back(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    ssize_t part;

    assert_true(fd >= 0);
    while ((part = read(fd, got + size, DATA_BYTES - size)) > 0)
        size += (size_t)part;
    assert_true(part == 0);
    (void)close(fd);
    return size;
}

static void each_way(void (*test)(int flags))
{
    test(0);
    test(O_DIRECT);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

static void write_until_full(int flags)
{
    const char *const path = path_of(disk, "blocks");
    struct vine_file file;
    uint64_t size = 0;
    int64_t result;

    open_file(&file, path, O_RDWR | O_CREAT | O_TRUNC | flags);
    do {
        result = AWAIT(vine_file_write, &file, data + size, BLOCK_BYTES, size);
        assert_true(result == BLOCK_BYTES || result == -ENOSPC);
        assert_true(result == -ENOSPC || vine_file_count(&await_wish.op) == BLOCK_BYTES);
        size += vine_file_count(&await_wish.op);
    } while (result >= 0 && size < DATA_BYTES);
    assert_int_equal(result, -ENOSPC);
    assert_in_range(size, 4 * MIB, DISK_BYTES);
    /* What is written over takes no room. */
    assert_int_equal(AWAIT(vine_file_write, &file, data, BLOCK_BYTES, 0), BLOCK_BYTES);
    assert_int_equal(AWAIT(vine_file_sync, &file, 0), 0);
    close_file(&file);
    assert_true(read_back(path) >= size);
    assert_memory_equal(got, data, size);
    assert_int_equal(unlink(path), 0);
    sync();
}

static void a_full_disk_is_told_with_what_was_written_before(void **state)
{
    (void)state;
    each_way(write_until_full);
}

static void write_too_much_at_once(int flags)
{
    const char *const path = path_of(disk, "large");
    struct vine_file file;
    uint64_t count;

    open_file(&file, path, O_RDWR | O_CREAT | O_TRUNC | flags);
    assert_int_equal(AWAIT(vine_file_write, &file, data, DATA_BYTES, 0), -ENOSPC);
    count = vine_file_count(&await_wish.op);
    assert_true(count < DISK_BYTES);
    close_file(&file);
    assert_true(read_back(path) >= count);
    assert_memory_equal(got, data, count);
    /* There is room again when the file has gone, for who asks for it first, too. */
    assert_int_equal(unlink(path), 0);
    sync();
    open_file(&file, path, O_RDWR | O_CREAT | O_TRUNC | flags);
    assert_int_equal(AWAIT(vine_file_allocate, &file, 0, 0, DATA_BYTES), -ENOSPC);
    assert_int_equal(AWAIT(vine_file_truncate, &file, 0), 0);
    assert_int_equal(AWAIT(vine_file_allocate, &file, 0, 0, 4 * MIB), 0);
    assert_int_equal(AWAIT(vine_file_write, &file, data, 4 * MIB, 0), 4 * MIB);
    close_file(&file);
    assert_int_equal(unlink(path), 0);
    sync();
}

static void a_write_that_does_not_fit_says_how_much_did(void **state)
{
    (void)state;
    each_way(write_too_much_at_once);
}

static bool stream_is_done;

static void on_output(struct vine_output_stream *stream)
{
    (void)stream;
    stream_is_done = true;
}

static void on_input(struct vine_input_stream *stream)
{
    (void)stream;
    stream_is_done = true;
}

#define STREAM(begin, ...)                                                                         \
    (stream_is_done = false, begin(__VA_ARGS__), world_run_until(&stream_is_done))

static void stream_until_full(int flags)
{
    const char *const path = path_of(disk, "stream");
    struct vine_output_stream stream;
    struct vine_file file;
    size_t handed = 0, size;

    open_file(&file, path, O_RDWR | O_CREAT | O_TRUNC | flags);
    assert_int_equal(vine_output_stream_open(&stream, &file, NULL), 0);
    while (handed < DATA_BYTES && vine_output_stream_result(&stream) == 0) {
        STREAM(vine_output_stream_write, &stream, data + handed, BLOCK_BYTES, on_output);
        handed += BLOCK_BYTES;
    }
    /* It was behind by its buffers, and not by more. */
    assert_int_equal(vine_output_stream_result(&stream), -ENOSPC);
    assert_in_range(handed, 4 * MIB, DISK_BYTES + 2 * MIB);
    STREAM(vine_output_stream_flush, &stream, on_output);
    assert_int_equal(vine_output_stream_result(&stream), -ENOSPC);
    STREAM(vine_output_stream_close, &stream, on_output);
    assert_int_equal(vine_output_stream_result(&stream), -ENOSPC);
    close_file(&file);
    size = read_back(path);
    assert_in_range(size, 4 * MIB, DISK_BYTES);
    /* Of buffers that were under way together one may be missing, and nothing else. */
    for (size_t i = 0; i < size; i++)
        if (got[i] != data[i] && got[i] != 0)
            fail_msg("byte %zu is %u", i, got[i]);
    assert_memory_equal(got, data, 4 * MIB);
    assert_int_equal(unlink(path), 0);
    sync();
}

static void a_stream_tells_of_a_full_disk_and_goes_on_telling(void **state)
{
    (void)state;
    each_way(stream_until_full);
}

/* ---- a disk that fails ----------------------------------------------------------------------- */

#define CUT_AT (512 << 10)

/* Opens a device of 1 MiB of data whose second half has gone. */
static void open_cut(struct loop *loop)
{
    assert_int_equal(loop_open(loop, cut, MIB), 0);
    assert_int_equal(pwrite(loop->backing, data, MIB, 0), MIB);
    assert_int_equal(ftruncate(loop->backing, CUT_AT), 0);
}

static void read_what_is_gone(int flags)
{
    struct vine_file file;
    struct loop loop;

    open_cut(&loop);
    open_file(&file, loop.path, O_RDONLY | flags);
    assert_int_equal(AWAIT(vine_file_read, &file, got, 4096, CUT_AT - 4096), 4096);
    assert_memory_equal(got, data + CUT_AT - 4096, 4096);
    assert_int_equal(AWAIT(vine_file_read, &file, got, 4096, CUT_AT + BLOCK_BYTES), -EIO);
    assert_int_equal(vine_file_count(&await_wish.op), 0);
    /* Across the place where it begins to fail: as far as the kernel came. */
    assert_int_equal(AWAIT(vine_file_read, &file, got, BLOCK_BYTES, CUT_AT - 8192), -EIO);
    assert_true(vine_file_count(&await_wish.op) == 0 || vine_file_count(&await_wish.op) == 8192);
    assert_memory_equal(got, data + CUT_AT - 8192, vine_file_count(&await_wish.op));
    /* And through the core's buffers, where it is direct. */
    assert_int_equal(AWAIT(vine_file_read, &file, got + 1, 1000, CUT_AT + 5), -EIO);
    assert_int_equal(AWAIT(vine_file_read, &file, got + 1, 1000, CUT_AT - 2000), 1000);
    assert_memory_equal(got + 1, data + CUT_AT - 2000, 1000);
    close_file(&file);
    loop_close(&loop);
}

static void what_a_disk_cannot_read_is_eio_and_the_rest_is_read(void **state)
{
    (void)state;
    each_way(read_what_is_gone);
}

static void stream_to_what_is_gone(int flags)
{
    struct vine_input_stream stream;
    struct vine_file file;
    struct loop loop;
    size_t size = 0;
    int64_t result;

    open_cut(&loop);
    open_file(&file, loop.path, O_RDONLY | flags);
    assert_int_equal(vine_input_stream_open(&stream, &file, NULL), 0);
    for (;;) {
        STREAM(vine_input_stream_next, &stream, on_input);
        result = vine_input_stream_result(&stream);
        if (result <= 0)
            break;
        assert_memory_equal(vine_input_stream_bytes(&stream), data + size, (size_t)result);
        size += (size_t)result;
    }
    assert_int_equal(result, -EIO);
    assert_int_equal(size, CUT_AT);
    STREAM(vine_input_stream_close, &stream, on_input);
    close_file(&file);
    loop_close(&loop);
}

static void a_stream_ends_with_eio_behind_all_that_could_be_read(void **state)
{
    (void)state;
    each_way(stream_to_what_is_gone);
}

/* A device over a file of a file system that has no room for it. */
static void what_a_disk_cannot_keep_is_told_by_sync(void **state)
{
    struct vine_file file;
    struct loop loop;
    int64_t result = 0;

    (void)state;
    assert_int_equal(mount("none", narrow, "tmpfs", 0, "size=512k"), 0);
    assert_int_equal(loop_open(&loop, path_of(narrow, "image"), MIB), 0);
    /* The page cache takes it all; */
    open_file(&file, loop.path, O_RDWR);
    assert_int_equal(AWAIT(vine_file_write, &file, data, MIB, 0), MIB);
    result = AWAIT(vine_file_sync, &file, 0);
    assert_true(result == -EIO || result == -ENOSPC);
    close_file(&file);
    /* without it each write is told. */
    open_file(&file, loop.path, O_RDWR | O_DIRECT);
    for (uint64_t at = 0; at < MIB && result >= 0; at += BLOCK_BYTES) {
        result = AWAIT(vine_file_write, &file, data + at, BLOCK_BYTES, at);
        assert_true(result == BLOCK_BYTES || result == -EIO || result == -ENOSPC);
    }
    assert_true(result < 0);
    close_file(&file);
    loop_close(&loop);
    assert_int_equal(umount2(narrow, MNT_DETACH), 0);
}

/* ---- short reads ----------------------------------------------------------------------------- */

/* The kernel gives of such a file as much as it likes at once. */
static void what_comes_in_parts_is_read_whole(void **state)
{
    static const char path[] = "/proc/kallsyms";
    const size_t size = read_back(path);
    struct vine_file file;
    unsigned char *const again = malloc(DATA_BYTES);

    (void)state;
    assert_non_null(again);
    if (size < BLOCK_BYTES) {
        print_message("skipped: there is no long %s here\n", path);
        free(again);
        skip();
    }
    open_file(&file, path, O_RDONLY);
    assert_int_equal(AWAIT(vine_file_read, &file, again, DATA_BYTES, 0), size);
    assert_memory_equal(again, got, size);
    close_file(&file);
    free(again);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static int open_world(void **state)
{
    (void)state;
    world_open(1, 16);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    world_close();
    return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_is_told_with_what_was_written_before),
        TEST(a_write_that_does_not_fit_says_how_much_did),
        TEST(a_stream_tells_of_a_full_disk_and_goes_on_telling),
        TEST(what_a_disk_cannot_read_is_eio_and_the_rest_is_read),
        TEST(a_stream_ends_with_eio_behind_all_that_could_be_read),
        TEST(what_a_disk_cannot_keep_is_told_by_sync),
        TEST(what_comes_in_parts_is_read_whole),
    };
    struct loop loop;
    int failed;

    snprintf(world.folder, sizeof(world.folder), "/tmp/vine-disks-XXXXXX");
    if (!loop_may_mount() || folder_make(world.folder) != 0) {
        print_message("skipped: nothing may be mounted here\n");
        return 77;
    }
    snprintf(disk, sizeof(disk), "%s/disk", world.folder);
    snprintf(narrow, sizeof(narrow), "%s/narrow", world.folder);
    snprintf(cut, sizeof(cut), "%s/cut.img", world.folder);
    if (mkdir(disk, 0700) != 0 || mkdir(narrow, 0700) != 0 ||
        loop_open(&loop, path_of(world.folder, "disk.img"), DISK_BYTES) != 0 ||
        !loop_mount(&loop, disk)) {
        print_message("skipped: no loop device, or no mkfs.ext4\n");
        return 77;
    }
    if (posix_memalign((void **)&data, 4096, DATA_BYTES) != 0 ||
        posix_memalign((void **)&got, 4096, DATA_BYTES) != 0)
        return 1;
    for (uint64_t i = 0; i < DATA_BYTES; i++)
        data[i] = byte_at(i);
    failed = RUN_OVER_BOTH(tests);
    (void)umount2(disk, MNT_DETACH);
    loop_close(&loop);
    free(data);
    free(got);
    return failed;
}
