/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=900 */
/*
 * `vine serve http` with very many connections: 10,000 that are idle, 100,000 in the long form, all
 * of which are still served, and whose memory is counted; and the end under load, which loses no
 * request that was taken.
 */
#include "harness/logged.h"

#include "http_clients.h"

#include <sys/resource.h>

#define EACH_BYTES_MAX 1000  /* of an idle connection; with a heap it has more than 4,096 */
#define CHILD_HAS      10000 /* connections of a client process */
#define SPARE          1000  /* descriptors that are needed otherwise */
#define CHILDREN_MAX   16
#define PROCESSES_MAX  16

/* ---- clients that are idle ------------------------------------------------------------------- */

/* A process with connections of its own: it does what is written to it, a byte each, and answers
 * with one. */
struct crowd {
    pid_t pid;
    int fd;
    uint32_t count;
};

enum { COME = 'c', ASK = 'a', GONE = 'g', DONE = '.' };

/* All connections of a client process come from an address of its own, for there are not so many
 * ports. */
static int connect_from(uint32_t number)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number)};
    const struct timeval hang = {.tv_sec = HANG_MS / 1000};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof(hang));
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, &address.any, address.size_bytes) == 0)
        return fd;
    (void)close(fd);
    return -errno;
}

/* Returns 0, or the exit code that says what went wrong. */
static int be_a_crowd(int fd, uint32_t count, uint32_t number)
{
    static int fds[CHILD_HAS];
    char word;

    while (read(fd, &word, 1) == 1 && word != GONE) {
        const char done = DONE;

        for (uint32_t i = 0; i < count; i++) {
            if (word == COME)
                fds[i] = connect_from(number);
            if (fds[i] < 0)
                return 2;
            if (ask(fds[i]) != 200)
                return 3;
        }
        if (write(fd, &done, 1) != 1)
            return 4;
    }
    return 0;
}

static void begin_crowd(struct crowd *crowd, uint32_t count, uint32_t number)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    crowd->count = count;
    crowd->pid = fork();
    assert_true(crowd->pid >= 0);
    if (crowd->pid == 0) {
        (void)close(pair[0]);
        _exit(be_a_crowd(pair[1], count, number));
    }
    (void)close(pair[1]);
    crowd->fd = pair[0];
}

static void have(struct crowd *crowd, char word)
{
    char done;
    int status = 0;

    assert_int_equal(write(crowd->fd, &word, 1), 1);
    if (word != GONE && read(crowd->fd, &done, 1) == 1)
        return;
    assert_int_equal(waitpid(crowd->pid, &status, 0), crowd->pid);
    if (status != 0)
        fail_msg("a crowd ended with %d: 2 is a connection, 3 an answer\n%s",
                 WIFEXITED(status) ? WEXITSTATUS(status) : -1, logged.text);
    (void)close(crowd->fd);
}

/* ---- the service ----------------------------------------------------------------------------- */

static void raise_descriptors(void *nothing)
{
    struct rlimit limit;

    (void)nothing;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The sum of a metric over all cores of all processes, of which each line has one. */
static uint64_t sum_of(const char *name)
{
    uint64_t sum = 0;

    for (const char *at = logged.text; (at = strstr(at, name)) != NULL; at++)
        if (at[strlen(name)] == ' ')
            sum += strtoull(at + strlen(name), NULL, 10);
    return sum;
}

/* Until so many connections are parked: without a heap. The test's time guards against hangs. */
static void await_parked(uint32_t count, uint32_t processes)
{
    uint64_t parked = 0;

    while (parked < count) {
        (void)poll(NULL, 0, 100);
        logged.length = logged.seen = 0;
        logged.text[0] = '\0';
        tell(SIGUSR1);
        for (uint32_t i = 0; i < processes; i++)
            (void)listen_for("vine_process_runs_total");
        (void)listen_for("\n");
        parked = sum_of("vine_process_parked");
    }
    assert_int_equal(parked, count);
    assert_int_equal(sum_of("vine_process_heaps"), 0);
}

static uint64_t weigh(const int pids[], uint32_t processes)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < processes; i++)
        bytes += private_bytes(pids[i]);
    return bytes;
}

static void very_many_idle_connections_are_served_and_take_little(void **state)
{
    const uint32_t wanted = getenv("VINE_TEST_LONG") != NULL ? 100000 : 10000;
    struct crowd crowds[CHILDREN_MAX], warm;
    uint32_t count = 0, processes, most;
    int pids[PROCESSES_MAX];
    char text[32];
    struct rlimit limit;
    uint64_t before, after;

    (void)state;
    raise_descriptors(NULL);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    most = limit.rlim_cur < 1000000 ? (uint32_t)limit.rlim_cur : 1000000;
    if (most < CHILD_HAS + SPARE) {
        print_message("skipped: %u descriptors are all that a process may have\n", most);
        skip();
    }
    /* Chance decides which process has a connection: each has room for half as many more. */
    processes = wanted + SPARE <= most ? 1 : wanted / ((most - SPARE) / 3 * 2) + 1;
    (void)snprintf(text, sizeof(text), "--processes=%u", processes);
    serve_prepared(raise_descriptors, "http", WORDS("--hello", "--smp=1", text));
    for (uint32_t i = 0; i < processes; i++)
        pids[i] = logged_pid_at(i);
    begin_crowd(&warm, 64 * processes, 0);
    have(&warm, COME);
    await_parked(warm.count, processes);
    before = weigh(pids, processes);
    for (uint32_t left = wanted; left > 0; left -= CHILD_HAS, count++) {
        begin_crowd(&crowds[count], CHILD_HAS, 1 + count);
        have(&crowds[count], COME);
    }
    await_parked(warm.count + wanted, processes);
    after = weigh(pids, processes);
    print_message("%u idle connections: %.0f bytes each\n", wanted,
                  (double)(after - before) / wanted);
    if (!is_sanitized())
        assert_true(after - before <= (uint64_t)wanted * EACH_BYTES_MAX);
    /* Each of them is still served. */
    for (uint32_t i = 0; i < count; i++)
        have(&crowds[i], ASK);
    have(&warm, ASK);
    for (uint32_t i = 0; i < count; i++)
        have(&crowds[i], GONE);
    have(&warm, GONE);
    stop_serving();
    assert_false(was_said("was killed"));
}

/* ---- the end --------------------------------------------------------------------------------- */

enum { BEGUN = 32 };

/* A request that the service has certainly taken: it wants the body. */
static void begin_request(int fd)
{
    static const char wanted[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char text[sizeof(wanted)];

    assert_true(send_text(fd, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                              "Expect: 100-continue\r\n\r\n"));
    assert_int_equal(recv(fd, text, sizeof(wanted) - 1, MSG_WAITALL), sizeof(wanted) - 1);
    assert_memory_equal(text, wanted, sizeof(wanted) - 1);
}

static void await_the_end(void)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);

    while (vine__load_relaxed_u32(&load.told_of_the_end) == 0) {
        (void)poll(NULL, 0, 1);
        assert_true(vine__clock_now_ns() < hang_ns);
    }
}

/* Whoever asks on and on is told which answer is the last. One that comes to ask so late that its
 * connection is closed is another matter: nobody has taken that request. */
static void at_the_end_under_load_every_request_that_was_taken_is_answered(void **state)
{
    static const char *const ways[][3] = {
        {"--processes=1", "--smp=1", "--reactor-backend=auto"},
        {"--processes=2", "--smp=1", "--reactor-backend=epoll"},
        {"--processes=1", "--smp=2", "--reactor-backend=auto"},
    };

    (void)state;
    for (int way = 0; way < 3; way++) {
        int fds[BEGUN];

        serve("http", "--hello", ways[way][0], ways[way][1], ways[way][2]);
        for (int i = 0; i < BEGUN; i++) {
            fds[i] = connect_now();
            begin_request(fds[i]);
        }
        begin_load(false);
        await_answers(500);
        tell(SIGTERM);
        await_the_end();
        for (int i = 0; i < BEGUN; i++) {
            char text[ANSWER_BYTES];

            assert_true(send_text(fds[i], "body"));
            assert_int_equal(receive_answer(fds[i], text), 200);
            assert_int_equal(receive_answer(fds[i], text), 0);
            (void)close(fds[i]);
        }
        assert_int_equal(logged_end(), 0);
        end_load();
        if (load.wrong != 0)
            fail_msg("%s %s: %u answered wrongly (%d)", ways[way][0], ways[way][1], load.wrong,
                     (int)load.last_wrong);
        assert_true(load.told_of_the_end > 0);
        assert_false(was_said("takes too long"));
        assert_false(was_said("was killed"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(very_many_idle_connections_are_served_and_take_little),
        cmocka_unit_test(at_the_end_under_load_every_request_that_was_taken_is_answered),
    };

    return cmocka_run_group_tests(tests, logged_open, logged_close);
}
