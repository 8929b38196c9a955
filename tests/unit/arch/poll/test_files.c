/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/folder.h"
#include "poll_tests.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char folder[] = "/tmp/vine-poll-XXXXXX";

static void path_of(const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", folder, name);
}

static int open_file(struct vine__poller *poller, const char *name, uint32_t flags)
{
    char path[256];

    path_of(name, path);
    struct watched opening = WATCHED(VINE__POLL_OPEN, .fd = AT_FDCWD, .path = path,
                                     .flags = flags | O_CLOEXEC, .mode = 0640);

    return run(poller, &opening);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_is_not_there_is_enoent(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct statx status;
    static const uint8_t kinds[] = {VINE__POLL_OPEN, VINE__POLL_STAT, VINE__POLL_RENAME,
                                    VINE__POLL_UNLINK, VINE__POLL_MAKE_FOLDER};

    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct watched watched =
            WATCHED(kinds[i], .fd = AT_FDCWD, .path = "/no/such/folder", .to_fd = AT_FDCWD);

        if (kinds[i] == VINE__POLL_STAT)
            watched.operation.status = &status;
        if (kinds[i] == VINE__POLL_RENAME)
            watched.operation.to_path = "/no/such/other";
        assert_int_equal(run(poller, &watched), -ENOENT);
    }
    vine__poller_destroy(poller);
}

static void a_file_that_is_open_to_read_is_not_written(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int made = open_file(poller, "read-only", O_CREAT | O_RDWR | O_TRUNC);
    const int fd = open_file(poller, "read-only", O_RDONLY);
    char byte = 0;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};

    assert_true(made >= 0 && fd >= 0);
    struct watched writing = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = &byte, .size = 1);
    assert_int_equal(run(poller, &writing), -EBADF);
    writing = WATCHED(VINE__POLL_WRITEV, .fd = fd, .vector = &vector, .size = 1);
    assert_int_equal(run(poller, &writing), -EBADF);
    struct watched cutting = WATCHED(VINE__POLL_TRUNCATE, .fd = fd, .offset = 5);
    assert_in_range(-run(poller, &cutting), EBADF, EINVAL);
    struct watched allocating = WATCHED(VINE__POLL_ALLOCATE, .fd = fd, .length = 4096);
    assert_int_equal(run(poller, &allocating), -EBADF);
    close(made);
    close(fd);
    vine__poller_destroy(poller);
}

static void a_full_disk_is_enospc(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    char byte = 0;

    assert_true(fd >= 0);
    struct watched writing =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = &byte, .size = 1, .offset = VINE__POLL_STREAM);
    assert_int_equal(run(poller, &writing), -ENOSPC);
    close(fd);
    vine__poller_destroy(poller);
}

static void a_file_that_may_not_grow_is_eperm(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = memfd_create("poll", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    static char bytes[8192];

    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
    struct watched writing =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = 100, .offset = 4096);
    assert_int_equal(run(poller, &writing), -EPERM);
    close(fd);
    vine__poller_destroy(poller);
}

static void a_limit_of_size_cuts_a_write_short_and_then_is_efbig(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = open_file(poller, "limited", O_CREAT | O_RDWR | O_TRUNC);
    struct rlimit before;
    struct rlimit limit;
    static char bytes[8192];

    assert_true(fd >= 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct watched cut = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = sizeof(bytes));
    struct watched none =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = 1, .offset = 4096);
    const int32_t first = run(poller, &cut);
    const int32_t second = run(poller, &none);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(first, 4096);
    assert_int_equal(second, -EFBIG);
    close(fd);
    vine__poller_destroy(poller);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void what_is_written_is_read_and_the_end_cuts_a_read_short(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = open_file(poller, "data", O_CREAT | O_RDWR | O_TRUNC);
    char bytes[16] = "";
    char more[16] = "";
    struct iovec vector[2] = {{.iov_base = bytes, .iov_len = 3}, {.iov_base = more, .iov_len = 9}};

    assert_true(fd >= 0);
    struct watched writing = WATCHED(VINE__POLL_WRITE, .fd = fd, .size = 10, .offset = 100,
                                     .bytes = (void *)(uintptr_t) "0123456789");
    assert_int_equal(run(poller, &writing), 10);
    struct watched reading =
        WATCHED(VINE__POLL_READ, .fd = fd, .bytes = bytes, .size = 16, .offset = 105);
    assert_int_equal(run(poller, &reading), 5);
    assert_string_equal(bytes, "56789");
    reading = WATCHED(VINE__POLL_READ, .fd = fd, .bytes = bytes, .size = 16, .offset = 110);
    assert_int_equal(run(poller, &reading), 0);
    reading = WATCHED(VINE__POLL_READV, .fd = fd, .vector = vector, .size = 2, .offset = 101);
    assert_int_equal(run(poller, &reading), 9);
    assert_memory_equal(bytes, "123", 3);
    assert_string_equal(more, "456789");

    /* As a stream: from where it stands. */
    assert_int_equal(lseek(fd, 98, SEEK_SET), 98);
    reading =
        WATCHED(VINE__POLL_READ, .fd = fd, .bytes = bytes, .size = 4, .offset = VINE__POLL_STREAM);
    assert_int_equal(run(poller, &reading), 4);
    assert_memory_equal(bytes,
                        "\0\0"
                        "01",
                        4);
    assert_int_equal(run(poller, &(struct watched){.operation = reading.operation}), 4);
    assert_memory_equal(bytes, "2345", 4);
    writing = WATCHED(VINE__POLL_WRITEV, .fd = fd, .vector = vector, .size = 1,
                      .offset = VINE__POLL_STREAM);
    assert_int_equal(run(poller, &writing), 3);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 109);
    close(fd);
    vine__poller_destroy(poller);
}

static void the_size_is_what_truncate_and_allocate_made_it(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const int fd = open_file(poller, "sized", O_CREAT | O_RDWR | O_TRUNC);
    struct statx status;
    struct watched asking =
        WATCHED(VINE__POLL_STAT, .fd = fd, .path = "", .flags = AT_EMPTY_PATH, .status = &status);

    assert_true(fd >= 0);
    struct watched cutting = WATCHED(VINE__POLL_TRUNCATE, .fd = fd, .offset = 12345);
    assert_int_equal(run(poller, &cutting), 0);
    struct watched syncing = WATCHED(VINE__POLL_SYNC, .fd = fd);
    assert_int_equal(run(poller, &syncing), 0);
    syncing = WATCHED(VINE__POLL_SYNC, .fd = fd, .flags = VINE__POLL_DATA_ONLY);
    assert_int_equal(run(poller, &syncing), 0);
    assert_int_equal(run(poller, &asking), 0);
    assert_int_equal(status.stx_size, 12345);
    assert_int_equal(status.stx_mode & 07777, 0640);

    struct watched allocating =
        WATCHED(VINE__POLL_ALLOCATE, .fd = fd, .offset = 4096, .length = 65536);
    assert_int_equal(run(poller, &allocating), 0);
    asking =
        WATCHED(VINE__POLL_STAT, .fd = fd, .path = "", .flags = AT_EMPTY_PATH, .status = &status);
    assert_int_equal(run(poller, &asking), 0);
    assert_int_equal(status.stx_size, 4096 + 65536);
    allocating = WATCHED(VINE__POLL_ALLOCATE, .fd = fd, .mode = FALLOC_FL_KEEP_SIZE,
                         .offset = 1 << 20, .length = 4096);
    assert_int_equal(run(poller, &allocating), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 4096 + 65536);
    close(fd);
    vine__poller_destroy(poller);
}

static void files_and_folders_come_move_and_go(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    char from[256];
    char to[256];
    char inner[256];

    path_of("folder", to);
    path_of("file", from);
    path_of("folder/moved", inner);
    close(open_file(poller, "file", O_CREAT | O_RDWR));
    struct watched making =
        WATCHED(VINE__POLL_MAKE_FOLDER, .fd = AT_FDCWD, .path = to, .mode = 0700);
    assert_int_equal(run(poller, &making), 0);
    making = WATCHED(VINE__POLL_MAKE_FOLDER, .fd = AT_FDCWD, .path = to, .mode = 0700);
    assert_int_equal(run(poller, &making), -EEXIST);
    struct watched moving = WATCHED(VINE__POLL_RENAME, .fd = AT_FDCWD, .path = from,
                                    .to_fd = AT_FDCWD, .to_path = inner);
    assert_int_equal(run(poller, &moving), 0);
    assert_int_equal(access(inner, F_OK), 0);
    struct watched removing =
        WATCHED(VINE__POLL_UNLINK, .fd = AT_FDCWD, .path = to, .flags = AT_REMOVEDIR);
    assert_int_equal(run(poller, &removing), -ENOTEMPTY);
    removing = WATCHED(VINE__POLL_UNLINK, .fd = AT_FDCWD, .path = inner);
    assert_int_equal(run(poller, &removing), 0);
    removing = WATCHED(VINE__POLL_UNLINK, .fd = AT_FDCWD, .path = to, .flags = AT_REMOVEDIR);
    assert_int_equal(run(poller, &removing), 0);
    vine__poller_destroy(poller);
}

static void many_writes_at_once_all_arrive(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_with_depth(8);
    const int fd = open_file(poller, "many", O_CREAT | O_RDWR | O_TRUNC);
    struct watched *many = calloc(500, sizeof(*many));
    uint16_t numbers[500];

    assert_true(fd >= 0 && many != NULL);
    for (uint16_t i = 0; i < 500; i++) {
        numbers[i] = i;
        many[i] =
            WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = &numbers[i], .size = 2, .offset = 2U * i);
        vine__poller_begin(poller, &many[i].operation);
    }
    for (uint16_t i = 0; i < 500; i++)
        assert_int_equal(wait_for(poller, &many[i]), 2);
    for (uint16_t i = 0; i < 500; i++) {
        uint16_t number;

        assert_int_equal(pread(fd, &number, 2, 2 * i), 2);
        assert_int_equal(number, i);
    }
    close(fd);
    free(many);
    vine__poller_destroy(poller);
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct call {
    pthread_t thread;
    sigset_t blocked;
    int32_t answer;
};

static int32_t call_fn(void *context)
{
    struct call *call = context;

    call->thread = pthread_self();
    (void)pthread_sigmask(SIG_SETMASK, NULL, &call->blocked);
    return call->answer;
}

static void a_call_runs_on_another_thread_that_no_signal_reaches(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct call call = {.answer = -12345};
    struct watched calling = WATCHED(VINE__POLL_CALL, .call = call_fn, .context = &call);

    assert_int_equal(run(poller, &calling), -12345);
    assert_false(pthread_equal(call.thread, pthread_self()));
    assert_true(sigismember(&call.blocked, SIGTERM));
    assert_true(sigismember(&call.blocked, SIGUSR1));
    vine__poller_destroy(poller);
}

struct gate {
    int ends[2];
};

/* Stays until the test writes a byte. */
static int32_t stay(void *context)
{
    const struct gate *gate = context;
    char byte;

    return read(gate->ends[0], &byte, 1) == 1 ? byte : -errno;
}

static uint32_t count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    uint32_t count = 0;

    assert_non_null(tasks);
    while (readdir(tasks) != NULL)
        count++;
    closedir(tasks);
    return count;
}

static void calls_beyond_the_workers_wait_and_can_be_cancelled(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    const uint32_t threads = count_threads();
    struct gate gate;
    struct watched calls[20];

    assert_int_equal(pipe(gate.ends), 0);
    for (uint32_t i = 0; i < 20; i++) {
        calls[i] = WATCHED(VINE__POLL_CALL, .call = stay, .context = &gate);
        vine__poller_begin(poller, &calls[i].operation);
    }
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_in_range(count_threads() - threads, 1, 8);

    /* The last one has no worker yet, whatever the number of workers. */
    vine__poller_cancel(poller, &calls[19].operation);
    vine__poller_cancel(poller, &calls[19].operation);
    assert_int_equal(calls[19].calls, 0);
    assert_int_equal(wait_for(poller, &calls[19]), -ECANCELED);
    for (uint32_t i = 0; i < 19; i++)
        assert_int_equal(calls[i].calls, 0);
    assert_int_equal(write(gate.ends[1], "abcdefghijklmnopqrs", 19), 19);
    for (uint32_t i = 0; i < 19; i++)
        assert_in_range(wait_for(poller, &calls[i]), 'a', 's');
    vine__poller_destroy(poller);
    /* The kernel lists a joined thread for a moment more; a worker that is left would stay there
     * until the test's time is over. */
    while (count_threads() > threads)
        sched_yield();
    close(gate.ends[0]);
    close(gate.ends[1]);
}

static void a_thousand_calls_all_return(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct watched *many = calloc(1000, sizeof(*many));
    struct call *calls = calloc(1000, sizeof(*calls));

    assert_true(many != NULL && calls != NULL);
    for (int32_t i = 0; i < 1000; i++) {
        calls[i].answer = i;
        many[i] = WATCHED(VINE__POLL_CALL, .call = call_fn, .context = &calls[i]);
        vine__poller_begin(poller, &many[i].operation);
    }
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(wait_for(poller, &many[i]), i);
    vine__poller_destroy(poller);
    free(many);
    free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_enoent),
        cmocka_unit_test(a_file_that_is_open_to_read_is_not_written),
        cmocka_unit_test(a_full_disk_is_enospc),
        cmocka_unit_test(a_file_that_may_not_grow_is_eperm),
        cmocka_unit_test(a_limit_of_size_cuts_a_write_short_and_then_is_efbig),
        cmocka_unit_test(what_is_written_is_read_and_the_end_cuts_a_read_short),
        cmocka_unit_test(the_size_is_what_truncate_and_allocate_made_it),
        cmocka_unit_test(files_and_folders_come_move_and_go),
        cmocka_unit_test(many_writes_at_once_all_arrive),
        cmocka_unit_test(a_call_runs_on_another_thread_that_no_signal_reaches),
        cmocka_unit_test(calls_beyond_the_workers_wait_and_can_be_cancelled),
        cmocka_unit_test(a_thousand_calls_all_return),
    };

    if (folder_make(folder) != 0)
        return 77;
    return RUN_OVER_BACKENDS(tests);
}
