/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Programs on reactors whose memory is used up, that are stopped and continued, and that do not end
 * when they should. Each is a child of fork with its own vine_main; what it finds out is its exit
 * code, and what it says is read by the test.
 */
#include <vine/runtime.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/arena/arena.h"

#define HANG_S     60
#define TEXT_BYTES (1 << 20)
#define MIB        (UINT64_C(1) << 20)

/* ---- children -------------------------------------------------------------------------------- */

static struct {
    pid_t pid;
    int said; /* what it writes, both ways */
    int hears;
    char text[TEXT_BYTES];
    size_t length;
} child;

static void launch(int (*app_main)(int, char **), const char *option)
{
    char *argv[] = {
        "program", "--smp=2", "--overprovisioned", "--memory=64M", (char *)(uintptr_t)option, NULL};
    const struct rlimit no_core = {0};
    int ends[2], words[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC) | pipe2(words, O_CLOEXEC), 0);
    child.length = 0;
    child.text[0] = '\0';
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(words[0], STDIN_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(words[1]);
        setvbuf(stdout, NULL, _IONBF, 0);
        exit(vine_main(option != NULL ? 5 : 4, argv, NULL, app_main));
    }
    (void)close(ends[1]);
    (void)close(words[0]);
    child.said = ends[0];
    child.hears = words[1];
}

/* Read what it says, until there is a word, or with NULL until it ends. */
static void listen_for(const char *word)
{
    const time_t start = time(NULL);

    while (word == NULL || strstr(child.text, word) == NULL) {
        struct pollfd said = {.fd = child.said, .events = POLLIN};
        ssize_t got;

        if (time(NULL) - start > HANG_S)
            fail_msg("never said '%s', but %s", word, child.text);
        if (poll(&said, 1, 1000) <= 0)
            continue;
        got = read(child.said, child.text + child.length, TEXT_BYTES - 1 - child.length);
        if (got <= 0 && word != NULL)
            fail_msg("ended without '%s', but %s", word, child.text);
        if (got <= 0)
            return;
        child.length += (size_t)got;
        child.text[child.length] = '\0';
    }
}

static int end(void)
{
    int status;

    listen_for(NULL);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    child.pid = -1;
    (void)close(child.said);
    (void)close(child.hears);
    return status;
}

static void must_end_well(void)
{
    const int status = end();

    if (status != 0)
        fail_msg("status %x: %s", (unsigned int)status, child.text);
}

static int teardown(void **state)
{
    (void)state;
    if (child.pid > 0) {
        (void)kill(child.pid, SIGKILL);
        (void)waitpid(child.pid, NULL, 0);
        child.pid = -1;
    }
    return 0;
}

/* In children: say what is wrong, and end. */
#define DEMAND(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: not so: %s\n", __LINE__, #condition);                                 \
            _exit(9);                                                                              \
        }                                                                                          \
    } while (0)

/* ---- memory ---------------------------------------------------------------------------------- */

/* malloc, where it is the arena's; a sanitizer has its own. */
static void *take(size_t size)
{
    return vine__arena_is_used_for_malloc() ? malloc(size) : vine__arena_alloc(size);
}

static void give_back(void *block)
{
    if (vine__arena_is_used_for_malloc())
        free(block);
    else
        vine__arena_free(block);
}

static void *blocks; /* each has the next one in its first word */

/* Whichever core is called. Returns how many MiB it had. */
static int64_t use_up(void *nothing)
{
    static const size_t sizes[] = {1 << 20, 64 << 10, 4096, 256};
    int64_t bytes = 0;

    (void)nothing;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void **block;

        errno = 0;
        while ((block = take(sizes[i])) != NULL) {
            *block = blocks;
            blocks = block;
            bytes += (int64_t)sizes[i];
        }
        if (errno != ENOMEM)
            return -errno;
    }
    return bytes >> 20;
}

static int64_t give_all_back(void *nothing)
{
    (void)nothing;
    while (blocks != NULL) {
        void *const block = blocks;

        blocks = *(void **)block;
        give_back(block);
    }
    return 0;
}

static struct vine_core_call call;
static struct vine_file file;
static struct vine_file_op op;
static struct vine_input_stream stream;
static struct vine_reply file_reply;
static uint32_t answers;

static void see_sync(struct vine_file_op *ended)
{
    (void)ended;
    vine_core_call_reply(file_reply, vine_input_stream_open(&stream, &file, NULL));
}

/* On the full core: it lacks memory for what that takes, and goes on. */
static int64_t use_file_there(void *nothing)
{
    (void)nothing;
    file_reply = vine_core_call_defer();
    vine_file_adopt(&file, STDIN_FILENO);
    vine_file_op_init(&op, see_sync);
    vine_file_sync(&op, &file, 0); /* which no pipe does */
    return 0;
}

static void see_given_back(struct vine_core_call *ended)
{
    (void)ended;
    DEMAND(answers == 100);
    vine_stop(0);
}

static void see_used_there(struct vine_core_call *ended)
{
    /* The runtime's memory is malloc's, which a sanitizer has. */
    if (vine__arena_is_used_for_malloc())
        DEMAND(vine_core_call_result(ended) == -ENOMEM);
    vine_core_call(&call, 1, give_all_back, NULL, see_given_back);
}

static int64_t answer(void *nothing)
{
    (void)nothing;
    return 7;
}

static void ask_again(struct vine_core_call *ended)
{
    DEMAND(vine_core_call_result(ended) == 7);
    if (++answers < 100)
        vine_core_call(&call, 1, answer, NULL, ask_again);
    else
        vine_core_call(&call, 1, use_file_there, NULL, see_used_there);
}

static void see_used_up(struct vine_core_call *ended)
{
    void *ours = take(MIB);

    DEMAND(vine_core_call_result(ended) > 16 && vine_core_call_result(ended) <= 32);
    DEMAND(ours != NULL);
    give_back(ours);
    printf("used up\n");
    if (getenv("VINE_TEST_WAITS") == NULL)
        vine_core_call(&call, 1, answer, NULL, ask_again);
}

static int use_up_core_1(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    vine_core_call(&call, 1, use_up, NULL, see_used_up);
    return VINE_MAIN_GOES_ON;
}

static void a_core_whose_memory_is_used_up_says_so_and_works_and_so_do_others(void **state)
{
    (void)state;
    launch(use_up_core_1, NULL);
    must_end_well();
    assert_non_null(strstr(child.text, "core 1 memory: no room for 1048576 bytes"));
}

static void what_a_full_core_holds_is_told_when_somebody_asks(void **state)
{
    (void)state;
    assert_int_equal(setenv("VINE_TEST_WAITS", "1", 1), 0);
    launch(use_up_core_1, NULL);
    assert_int_equal(unsetenv("VINE_TEST_WAITS"), 0);
    listen_for("used up");
    assert_int_equal(kill(child.pid, SIGUSR1), 0);
    listen_for("state: core 1:");
    listen_for("arena 2: reserved 33554432 bytes");
    listen_for("    1048576 ");
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    (void)end();
}

static void a_program_that_wants_to_dies_of_it_with_a_dump(void **state)
{
    int status;

    (void)state;
    launch(use_up_core_1, "--abort-on-bad-alloc");
    status = end();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(child.text, "core 1 memory: no room for 1048576 bytes"));
    assert_non_null(strstr(child.text, "--abort-on-bad-alloc"));
    assert_non_null(strstr(child.text, "reserved 33554432 bytes"));
    assert_non_null(strstr(child.text, "block bytes"));
    assert_null(strstr(child.text, "used up"));
}

/* ---- stopped and continued ------------------------------------------------------------------- */

#define TIMERS 200

static struct vine_timer timers[TIMERS], last, every;
static uint32_t fired[TIMERS], periods;

static void see_timer(struct vine_timer *timer)
{
    fired[timer - timers]++;
}

static void see_period(struct vine_timer *timer)
{
    (void)timer;
    periods++;
}

static void see_last(struct vine_timer *timer)
{
    (void)timer;
    for (uint32_t i = 0; i < TIMERS; i++)
        DEMAND(fired[i] == 1);
    vine_stop(periods > 0 ? 0 : 1);
}

static int arm_timers(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (uint32_t i = 0; i < TIMERS; i++) {
        vine_timer_init(&timers[i], i % 2 == 0 ? VINE_CLOCK_STEADY : VINE_CLOCK_COARSE, see_timer);
        vine_timer_arm_after(&timers[i], (100 + i * 2) * UINT64_C(1000000));
    }
    vine_timer_init(&every, VINE_CLOCK_STEADY, see_period);
    vine_timer_arm_every(&every, 10000000);
    vine_timer_init(&last, VINE_CLOCK_STEADY, see_last);
    vine_timer_arm_after(&last, 1500 * UINT64_C(1000000));
    printf("ready\n");
    return VINE_MAIN_GOES_ON;
}

static void stop_for_ms(int ms)
{
    int status;

    assert_int_equal(kill(child.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
    assert_true(WIFSTOPPED(status));
    (void)poll(NULL, 0, ms); /* that time passes is what is looked at */
    assert_int_equal(kill(child.pid, SIGCONT), 0);
}

static void timers_that_were_due_while_it_was_stopped_come_once(void **state)
{
    uint32_t reports = 0;

    (void)state;
    launch(arm_timers, NULL);
    listen_for("ready");
    for (int i = 0; i < 3; i++)
        stop_for_ms(150);
    must_end_well();
    /* Who is stopped within a turn looks blocked; asleep, which it mostly is, it does not. */
    for (const char *at = child.text; (at = strstr(at, "has been blocked")) != NULL; at++)
        reports++;
    assert_in_range(reports, 0, 3 * 2);
}

/* More than are looked at in a turn. */
#define PEERS       600
#define PATIENCE_NS UINT64_C(1000000000)

static struct vine_address peer_address;
static struct vine_connect connects[PEERS];
static struct vine_receive receives[PEERS];
static uint32_t connected_count, received_count, late_count;

static void see_received(struct vine_receive *receive)
{
    late_count += receive->size <= 0;
    if (++received_count < PEERS)
        return;
    printf("%u were told that they were late\n", late_count);
    vine_stop(late_count == 0 ? 0 : 3);
}

static void see_connected(struct vine_connect *connect)
{
    DEMAND(connect->error == 0);
    if (++connected_count < PEERS)
        return;
    for (uint32_t i = 0; i < PEERS; i++) {
        receives[i].deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + PATIENCE_NS;
        vine_receive(connects[i].connection, &receives[i], see_received);
    }
    printf("ready\n");
}

static int wait_for_peers(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (uint32_t i = 0; i < PEERS; i++)
        vine_connect(&connects[i], &peer_address, see_connected);
    return VINE_MAIN_GOES_ON;
}

static void what_came_while_it_was_stopped_is_not_late(void **state)
{
    static int fds[PEERS];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status;

    (void)state;
    assert_int_equal(bind(fd, (void *)&address, size) | listen(fd, PEERS), 0);
    assert_int_equal(getsockname(fd, (void *)&address, &size), 0);
    memset(&peer_address, 0, sizeof(peer_address));
    memcpy(&peer_address.any, &address, size);
    peer_address.size_bytes = size;
    launch(wait_for_peers, *state != NULL ? *state : NULL);
    for (int i = 0; i < PEERS; i++) {
        fds[i] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fds[i] >= 0);
    }
    listen_for("ready");
    assert_int_equal(kill(child.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(child.pid, &status, WUNTRACED), child.pid);
    for (int i = 0; i < PEERS; i++)
        assert_int_equal(send(fds[i], "x", 1, MSG_NOSIGNAL), 1);
    (void)poll(NULL, 0, 1500); /* until their deadlines have passed */
    assert_int_equal(kill(child.pid, SIGCONT), 0);
    must_end_well();
    for (int i = 0; i < PEERS; i++)
        (void)close(fds[i]);
    (void)close(fd);
}

static void nor_is_it_by_epoll(void **state)
{
    void *option = "--reactor-backend=epoll";

    (void)state;
    what_came_while_it_was_stopped_is_not_late(&option);
}

/* ---- the end --------------------------------------------------------------------------------- */

static struct vine_stopper stopper;

static void never_stop(struct vine_stopper *self)
{
    (void)self;
    printf("stopping\n");
}

static int live_on(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    vine_at_stop(&stopper, never_stop);
    printf("ready\n");
    return VINE_MAIN_GOES_ON;
}

static void what_does_not_stop_is_left_after_a_limit_which_is_told(void **state)
{
    (void)state;
    launch(live_on, NULL);
    listen_for("ready");
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    listen_for("stopping");
    must_end_well();
    assert_non_null(strstr(child.text, "something did not stop in time, and was left"));
}

static void a_second_signal_ends_what_does_not_stop(void **state)
{
    int status;

    (void)state;
    launch(live_on, NULL);
    listen_for("ready");
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    listen_for("stopping");
    assert_int_equal(kill(child.pid, SIGTERM), 0);
    status = end();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

#define TEST(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_core_whose_memory_is_used_up_says_so_and_works_and_so_do_others),
        TEST(what_a_full_core_holds_is_told_when_somebody_asks),
        TEST(a_program_that_wants_to_dies_of_it_with_a_dump),
        TEST(timers_that_were_due_while_it_was_stopped_come_once),
        TEST(what_came_while_it_was_stopped_is_not_late),
        TEST(nor_is_it_by_epoll),
        TEST(a_second_signal_ends_what_does_not_stop),
        TEST(what_does_not_stop_is_left_after_a_limit_which_is_told),
    };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * PEERS) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    child.pid = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
