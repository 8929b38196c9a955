/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Files that are read and written where memory is closed to threads of the kernel's, which may have
 * the rights to key 0 alone. Without protection keys it is memory like any other.
 */
#include "poll_tests.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "arch/guard/closed.h"
#include "arch/guard/guard.h"
#include "harness/folder.h"

#define BYTES 10000U

static char folder[] = "/tmp/vine-closed-XXXXXX";
static unsigned char *closed;
static int fd;

static int open_file(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    closed = vine__closed_alloc_raw(BYTES);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return closed != NULL && fd >= 0 ? 0 : -1;
}

static int close_file(void **state)
{
    (void)state;
    close(fd);
    vine__closed_free(closed);
    return 0;
}

static void no_memory_at_all_is_told(void **state)
{
    struct vine__poller *const poller = poller_create();
    void *const nothing =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct watched watched =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = nothing, .size = 4096, .offset = 0);

    (void)state;
    assert_true(nothing != MAP_FAILED);
    assert_int_equal(run(poller, &watched), -EFAULT);
    assert_int_equal(munmap(nothing, 4096), 0);
    vine__poller_destroy(poller);
}

static void what_is_written_there_is_read_there(void **state)
{
    struct vine__poller *const poller = poller_create();
    struct watched writing =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = closed, .size = BYTES, .offset = 0);
    struct watched reading =
        WATCHED(VINE__POLL_READ, .fd = fd, .bytes = closed, .size = BYTES, .offset = 0);

    (void)state;
    for (uint32_t i = 0; i < BYTES; i++)
        closed[i] = (unsigned char)(i * 7);
    assert_int_equal(run(poller, &writing), BYTES);
    memset(closed, 0, BYTES);
    assert_int_equal(run(poller, &reading), BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        assert_int_equal(closed[i], (unsigned char)(i * 7));
    vine__poller_destroy(poller);
}

static void what_is_appended_is_there_once(void **state)
{
    struct vine__poller *const poller = poller_create();
    struct iovec parts[] = {{closed, 3}, {closed + 100, 4}};
    struct watched writing = WATCHED(VINE__POLL_WRITEV, .fd = fd, .vector = parts, .size = 2,
                                     .offset = VINE__POLL_STREAM);
    char found[16];

    (void)state;
    assert_true(fcntl(fd, F_SETFL, O_APPEND) == 0);
    memcpy(closed, "one", 3);
    memcpy(closed + 100, "two\n", 4);
    assert_int_equal(run(poller, &writing), 7);
    writing = WATCHED(VINE__POLL_WRITEV, .fd = fd, .vector = parts, .size = 1,
                      .offset = VINE__POLL_STREAM);
    assert_int_equal(run(poller, &writing), 3);
    assert_int_equal(pread(fd, found, sizeof(found), 0), 10);
    assert_memory_equal(found, "onetwo\none", 10);
    vine__poller_destroy(poller);
}

static void what_a_file_is_is_told_there(void **state)
{
    struct vine__poller *const poller = poller_create();
    struct watched asking = WATCHED(VINE__POLL_STAT, .fd = fd, .path = "", .flags = AT_EMPTY_PATH,
                                    .status = (void *)closed);

    (void)state;
    assert_int_equal(write(fd, "12345", 5), 5);
    memset(closed, 0, sizeof(struct statx));
    assert_int_equal(run(poller, &asking), 0);
    assert_int_equal(((const struct statx *)(const void *)closed)->stx_size, 5);
    vine__poller_destroy(poller);
}

/* A thread of the kernel's from before there were keys, if io_uring is to be had: it has no rights
 * to what comes, and serves all pollers of this thread. */
static struct vine__poller *begin_before(void)
{
    struct vine__poller *poller;
    struct statx status;
    struct watched asking =
        WATCHED(VINE__POLL_STAT, .fd = AT_FDCWD, .path = "/", .status = &status);

    tested_backend = VINE__POLL_BACKEND_ANY;
    poller = poller_create();
    return run(poller, &asking) == 0 ? poller : NULL;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_file, close_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_memory_at_all_is_told),
        TEST(what_is_written_there_is_read_there),
        TEST(what_is_appended_is_there_once),
        TEST(what_a_file_is_is_told_there),
    };

    struct vine__poller *before;
    int result;

    if (folder_make(folder) != 0)
        return 1;
    before = begin_before();
    vine__guard_prepare();
    result = RUN_OVER_BACKENDS(tests);
    vine__poller_destroy(before);
    return before != NULL ? result : 1;
}
