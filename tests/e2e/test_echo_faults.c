/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers of the examples among clients that die, stall and reset, and servers that are stopped,
 * killed, and short of descriptors: whole processes, each by io_uring and by epoll. What is seen of
 * them is what anybody sees: sockets, /proc, exit codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_S    60
#define MIB       (UINT64_C(1) << 20)
#define PROMPT_MS 20000 /* nothing takes that long unless it hangs */

static const char *backend = "--reactor-backend=auto";

struct server {
    pid_t pid;
    int out, err;
    uint16_t port;
};

static struct server server = {.pid = -1, .out = -1, .err = -1};

/* ---- processes ------------------------------------------------------------------------------- */

static bool is_over(time_t start)
{
    return time(NULL) - start > HANG_S;
}

/* Wait until `condition` holds, which nobody tells us of: it is looked at now and then. */
#define wait_for(condition)                                                                        \
    do {                                                                                           \
        const time_t start = time(NULL);                                                           \
        while (!(condition)) {                                                                     \
            if (is_over(start))                                                                    \
                fail_msg("never came about: %s", #condition);                                      \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
    } while (0)

static void become(const char *program, const char *listen, rlim_t descriptors)
{
    const struct rlimit limit = {.rlim_cur = descriptors, .rlim_max = descriptors};
    char path[512], where[64];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(path, sizeof(path), "%s/examples/%s", getenv("VINE_BUILD_DIR"), program);
    (void)snprintf(where, sizeof(where), "--listen=%s", listen);
    if (descriptors > 0 && setrlimit(RLIMIT_NOFILE, &limit) != 0)
        _exit(1);
    (void)execl(path, program, "--overprovisioned", "--smp=2", "--memory=64M", backend, where,
                (char *)NULL);
    _exit(127);
}

/* Start it, and wait until it says where it listens. */
static void start_at(const char *program, const char *listen, rlim_t descriptors)
{
    char line[256] = "";
    size_t length = 0;
    const char *colon;
    int out[2], err[2];

    assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(err[1], STDERR_FILENO);
        become(program, listen, descriptors);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    server.out = out[0];
    server.err = err[0];
    (void)fcntl(server.err, F_SETFL, O_NONBLOCK);
    while (strchr(line, '\n') == NULL) {
        const ssize_t got = read(server.out, line + length, sizeof(line) - 1 - length);

        if (got <= 0)
            fail_msg("%s has ended: %s", program, line);
        length += (size_t)got;
    }
    colon = strrchr(line, ':');
    assert_non_null(colon);
    server.port = (uint16_t)atoi(colon + 1);
    assert_true(server.port != 0);
}

static void start(const char *program)
{
    start_at(program, "127.0.0.1:0", 0);
}

/* How it ended. */
static int wait_for_end(void)
{
    const time_t start = time(NULL);
    int status = 0;
    pid_t pid;

    while ((pid = waitpid(server.pid, &status, WNOHANG)) == 0) {
        if (is_over(start))
            fail_msg("the server does not end");
        (void)poll(NULL, 0, 2);
    }
    assert_int_equal(pid, server.pid);
    server.pid = -1;
    return status;
}

static void close_pipes(void)
{
    (void)close(server.out);
    (void)close(server.err);
}

static void end_well(void)
{
    assert_int_equal(kill(server.pid, SIGTERM), 0);
    assert_int_equal(wait_for_end(), 0);
    close_pipes();
}

static int teardown(void **state)
{
    (void)state;
    if (server.pid > 0) {
        (void)kill(server.pid, SIGKILL);
        (void)waitpid(server.pid, NULL, 0);
        server.pid = -1;
    }
    return 0;
}

/* What of a process's state is in /proc: a letter, T is stopped. */
static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    const char *behind;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 'X';
    (void)!fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    behind = strrchr(text, ')');
    return behind != NULL && behind[1] == ' ' ? behind[2] : '?';
}

static void stop_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGSTOP), 0);
    wait_for(state_of(pid) == 'T');
}

static uint64_t resident_bytes(pid_t pid)
{
    unsigned long long whole = 0, resident = 0;
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &whole, &resident), 2);
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t descriptors_of(pid_t pid)
{
    char path[64];
    uint32_t count = 0;
    DIR *folder;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

/* How often the server's log has a word by now. */
static uint32_t says(const char *word)
{
    static char text[65536];
    static size_t length;
    uint32_t count = 0;
    ssize_t got;

    length = 0;
    while ((got = read(server.err, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int dial(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(server.port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = PROMPT_MS / 1000};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const void *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static int must_dial(void)
{
    const int fd = dial();

    if (fd < 0)
        fail_msg("connect: %s", strerror(errno));
    return fd;
}

static unsigned char byte_at(uint64_t place)
{
    return (unsigned char)(place * 2654435761U >> 13);
}

/* Send so many bytes of the pattern from `from` on. Returns whether all went. */
static bool send_pattern(int fd, uint64_t from, size_t size)
{
    unsigned char bytes[4096];

    for (size_t at = 0; at < size;) {
        const size_t part = size - at < sizeof(bytes) ? size - at : sizeof(bytes);

        for (size_t i = 0; i < part; i++)
            bytes[i] = byte_at(from + at + i);
        if (send(fd, bytes, part, MSG_NOSIGNAL) != (ssize_t)part)
            return false;
        at += part;
    }
    return true;
}

static bool receive_pattern(int fd, uint64_t from, size_t size)
{
    unsigned char bytes[4096];

    for (size_t at = 0; at < size;) {
        const ssize_t got =
            recv(fd, bytes, size - at < sizeof(bytes) ? size - at : sizeof(bytes), 0);

        if (got <= 0)
            return false;
        for (ssize_t i = 0; i < got; i++)
            if (bytes[i] != byte_at(from + at + (size_t)i))
                return false;
        at += (size_t)got;
    }
    return true;
}

static void must_echo(int fd, uint64_t from, size_t size)
{
    assert_true(send_pattern(fd, from, size));
    assert_true(receive_pattern(fd, from, size));
}

/* ---- clients that die or stall --------------------------------------------------------------- */

#define CHILDREN  8
#define CHILD_FDS 16

/* Many connections with bytes on their way in both directions, until killed. */
static void make_load(int ready)
{
    struct pollfd fds[CHILD_FDS];
    char bytes[8192] = "";

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < CHILD_FDS; i++) {
        fds[i] = (struct pollfd){.fd = dial(), .events = POLLIN | POLLOUT};
        if (fds[i].fd < 0)
            _exit(1);
        (void)fcntl(fds[i].fd, F_SETFL, O_NONBLOCK);
    }
    for (uint64_t round = 0;; round++) {
        (void)poll(fds, CHILD_FDS, -1);
        for (int i = 0; i < CHILD_FDS; i++) {
            if ((fds[i].revents & POLLOUT) != 0)
                (void)!send(fds[i].fd, bytes, 1 + (round * 977 + (uint64_t)i) % 8000, MSG_NOSIGNAL);
            if ((fds[i].revents & POLLIN) != 0)
                (void)!recv(fds[i].fd, bytes, sizeof(bytes), 0);
        }
        if (round == 50)
            (void)!write(ready, "r", 1);
    }
}

static void clients_that_are_killed_leave_nothing_behind(void **state)
{
    pid_t children[CHILDREN];
    uint32_t descriptors;
    char byte;
    int ready[2], other;

    (void)state;
    start("tcp_echo");
    other = must_dial();
    must_echo(other, 0, 1000);
    descriptors = descriptors_of(server.pid);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            make_load(ready[1]);
    }
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    must_echo(other, 1000, 100000);
    assert_true(descriptors_of(server.pid) > descriptors);
    for (int i = 0; i < CHILDREN; i++) {
        assert_int_equal(kill(children[i], SIGKILL), 0);
        must_echo(other, (uint64_t)i, 10000);
        assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
    }
    wait_for(descriptors_of(server.pid) <= descriptors);
    must_echo(other, 5, 100000);
    (void)close(other);
    (void)close(ready[0]);
    (void)close(ready[1]);
    end_well();
}

#define STALLED 32

/* Fill connections until the server takes no more; then wait for a word, and read all of it. */
static void stall(int ready, int word)
{
    uint64_t sent[STALLED] = {0};
    int fds[STALLED], open_count = STALLED;
    struct timespec quiet = {.tv_nsec = 200000000};
    char byte;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < STALLED; i++)
        if ((fds[i] = dial()) < 0)
            _exit(1);
    /* Full is who takes nothing for a while. */
    while (open_count > 0) {
        struct pollfd polled[STALLED];

        for (int i = 0; i < STALLED; i++)
            polled[i] = (struct pollfd){.fd = fds[i], .events = POLLOUT};
        if (ppoll(polled, STALLED, &quiet, NULL) == 0)
            break;
        for (int i = 0; i < STALLED; i++) {
            unsigned char bytes[4096];

            if ((polled[i].revents & POLLOUT) == 0)
                continue;
            for (size_t at = 0; at < sizeof(bytes); at++)
                bytes[at] = byte_at(sent[i] + at);

            const ssize_t part = send(fds[i], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);

            if (part < 0 && errno != EAGAIN)
                _exit(2);
            sent[i] += part > 0 ? (uint64_t)part : 0;
        }
    }
    (void)!write(ready, "r", 1);
    if (read(word, &byte, 1) != 1)
        _exit(3);
    for (int i = 0; i < STALLED; i++)
        if (!receive_pattern(fds[i], 0, sent[i]))
            _exit(4);
    _exit(0);
}

static void a_client_that_is_stopped_is_not_buffered_for_and_loses_nothing(void **state)
{
    int ready[2], word[2], other, status;
    uint64_t before;
    pid_t child;
    char byte;

    (void)state;
    start("tcp_echo");
    other = must_dial();
    must_echo(other, 0, 100000);
    before = resident_bytes(server.pid);
    assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(word, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        stall(ready[1], word[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    stop_process(child);
    must_echo(other, 7, 1000000);
    /* What a connection may hold, and what sanitizers take, many times over; the clients would have
     * sent without end. */
    assert_in_range(resident_bytes(server.pid), 0, before + 64 * MIB);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(write(word[1], "w", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    must_echo(other, 9, 100000);
    (void)close(other);
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(word[i]);
    }
    end_well();
}

static void peers_that_reset_are_forgotten(void **state)
{
    const struct linger reset = {.l_onoff = 1};
    uint32_t descriptors;
    int other;

    (void)state;
    start("tcp_echo");
    other = must_dial();
    must_echo(other, 0, 1000);
    descriptors = descriptors_of(server.pid);
    for (int i = 0; i < 200; i++) {
        const int fd = must_dial();

        if (i % 2 == 0)
            assert_true(send_pattern(fd, 0, 3000));
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        (void)close(fd);
    }
    must_echo(other, 3, 100000);
    wait_for(descriptors_of(server.pid) <= descriptors);
    (void)close(other);
    end_well();
}

/* ---- servers that are stopped or killed ------------------------------------------------------ */

static void a_server_that_was_stopped_goes_on_where_it_was(void **state)
{
    enum { CONNECTIONS = 16, BYTES = 50000 };
    int fds[CONNECTIONS], late;

    (void)state;
    start("tcp_echo");
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = must_dial();
        must_echo(fds[i], 0, 10);
    }
    for (int round = 0; round < 3; round++) {
        stop_process(server.pid);
        for (int i = 0; i < CONNECTIONS; i++)
            assert_true(send_pattern(fds[i], (uint64_t)round, BYTES));
        late = must_dial(); /* the kernel takes it */
        assert_true(send_pattern(late, 0, 100));
        (void)poll(NULL, 0, 200); /* longer than a core may be blocked */
        assert_int_equal(kill(server.pid, SIGCONT), 0);
        for (int i = 0; i < CONNECTIONS; i++)
            assert_true(receive_pattern(fds[i], (uint64_t)round, BYTES));
        assert_true(receive_pattern(late, 0, 100));
        (void)close(late);
    }
    /* Time in which it did not run is no time in which it was blocked; what the log says of it, it
     * says once a core and stop at most. */
    assert_in_range(says("blocked"), 0, 3 * 2);
    for (int i = 0; i < CONNECTIONS; i++)
        (void)close(fds[i]);
    end_well();
}

static void
clients_of_a_server_that_is_killed_are_told_and_the_next_one_takes_its_port(void **state)
{
    enum { CONNECTIONS = 16 };
    int fds[CONNECTIONS], again;
    char where[64], byte;

    (void)state;
    start("tcp_echo");
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = must_dial();
        must_echo(fds[i], 0, 1000);
    }
    assert_int_equal(kill(server.pid, SIGKILL), 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        const ssize_t got = recv(fds[i], &byte, 1, 0);

        assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    }
    assert_true(WIFSIGNALED(wait_for_end()));
    close_pipes();
    (void)snprintf(where, sizeof(where), "127.0.0.1:%u", server.port);
    start_at("tcp_echo", where, 0);
    again = must_dial();
    must_echo(again, 0, 100000);
    (void)close(again);
    for (int i = 0; i < CONNECTIONS; i++)
        (void)close(fds[i]);
    end_well();
}

static void a_store_that_was_stopped_answers_all_that_was_asked(void **state)
{
    enum { KEYS = 200 };
    char line[64], answers[65536];
    size_t length = 0, lines = 0;
    int fd;

    (void)state;
    start("sharded_kv");
    fd = must_dial();
    stop_process(server.pid);
    for (int key = 0; key < KEYS; key++) {
        const int size = snprintf(line, sizeof(line), "SET %d %d\n", key, key * 3);

        assert_int_equal(send(fd, line, (size_t)size, MSG_NOSIGNAL), size);
    }
    assert_int_equal(kill(server.pid, SIGCONT), 0);
    while (lines < KEYS) {
        const ssize_t got = recv(fd, answers + length, sizeof(answers) - 1 - length, 0);

        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++)
            lines += answers[length + (size_t)i] == '\n';
        length += (size_t)got;
    }
    assert_int_equal(lines, KEYS);
    assert_int_equal(send(fd, "GET 77\n", 7, MSG_NOSIGNAL), 7);
    length = 0;
    do {
        const ssize_t got = recv(fd, answers + length, sizeof(answers) - 1 - length, 0);

        assert_true(got > 0);
        length += (size_t)got;
        answers[length] = '\0';
    } while (strchr(answers, '\n') == NULL);
    assert_non_null(strstr(answers, "231"));
    (void)close(fd);
    end_well();
}

/* ---- without descriptors --------------------------------------------------------------------- */

static void who_finds_no_descriptor_is_served_when_one_comes_back(void **state)
{
    enum { CLIENTS = 120, LIMIT = 64 };
    int fds[CLIENTS];
    uint32_t served = 0;

    (void)state;
    start_at("tcp_echo", "127.0.0.1:0", LIMIT);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = must_dial();
        assert_true(send_pattern(fds[i], (uint64_t)i, 10));
    }
    /* It takes as many as it can, and lives. */
    wait_for(descriptors_of(server.pid) >= LIMIT);
    /* Each that goes makes room for one that waits. */
    while (served < CLIENTS) {
        struct pollfd polled[CLIENTS];

        for (int i = 0; i < CLIENTS; i++)
            polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        if (poll(polled, CLIENTS, PROMPT_MS) <= 0)
            fail_msg("%u of %u were served", served, CLIENTS);
        for (int i = 0; i < CLIENTS; i++) {
            if (polled[i].revents == 0)
                continue;
            assert_true(receive_pattern(fds[i], (uint64_t)i, 10));
            (void)close(fds[i]);
            fds[i] = -1;
            served++;
        }
    }
    fds[0] = must_dial();
    must_echo(fds[0], 0, 100000);
    (void)close(fds[0]);
    end_well();
}

/* ---- many ------------------------------------------------------------------------------------ */

#define MANY 10000

/* What client `i` sends in a round, and gets back. */
static uint64_t token_of(int round, uint32_t i)
{
    return ((uint64_t)round << 32 | i) * UINT64_C(0x9e3779b97f4a7c15);
}

/* All at once: each has one on its way before the first is read. */
static void exchange_tokens(const int *fds, int round)
{
    for (uint32_t i = 0; i < MANY; i++) {
        const uint64_t token = token_of(round, i);

        assert_int_equal(send(fds[i], &token, sizeof(token), MSG_NOSIGNAL), sizeof(token));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t token = 0;

        assert_int_equal(recv(fds[i], &token, sizeof(token), MSG_WAITALL), sizeof(token));
        assert_int_equal(token, token_of(round, i));
    }
}

/* Without the minute in which the kernel keeps what was closed in good order. */
static void hang_up(int fd)
{
    const struct linger at_once = {.l_onoff = 1};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(fd);
}

static void ten_thousand_clients_are_served_at_once_and_leave_nothing_behind(void **state)
{
    static int fds[MANY];
    struct rlimit limit;
    uint32_t before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < MANY + 256) {
        print_message("skipped: a process may have %llu descriptors here\n",
                      (unsigned long long)limit.rlim_max);
        skip();
    }
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    start_at("tcp_echo", "127.0.0.1:0", limit.rlim_max);
    before = descriptors_of(server.pid);
    for (uint32_t i = 0; i < MANY; i++)
        fds[i] = must_dial();
    for (int round = 0; round < 3; round++)
        exchange_tokens(fds, round);
    assert_true(descriptors_of(server.pid) >= before + MANY);
    for (uint32_t i = 0; i < MANY; i++)
        hang_up(fds[i]);
    wait_for(descriptors_of(server.pid) <= before);
    end_well();
}

/* ---- the tests ------------------------------------------------------------------------------- */

#define TEST(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clients_that_are_killed_leave_nothing_behind),
        TEST(a_client_that_is_stopped_is_not_buffered_for_and_loses_nothing),
        TEST(peers_that_reset_are_forgotten),
        TEST(a_server_that_was_stopped_goes_on_where_it_was),
        TEST(clients_of_a_server_that_is_killed_are_told_and_the_next_one_takes_its_port),
        TEST(a_store_that_was_stopped_answers_all_that_was_asked),
        TEST(who_finds_no_descriptor_is_served_when_one_comes_back),
        TEST(ten_thousand_clients_are_served_at_once_and_leave_nothing_behind),
    };
    char path[512];
    int failed;

    (void)snprintf(path, sizeof(path), "%s/examples/tcp_echo", getenv("VINE_BUILD_DIR"));
    if (access(path, X_OK) != 0) {
        print_message("skipped: libvine-runtime was not built\n");
        return 77;
    }
    failed = cmocka_run_group_tests_name("as it is", tests, NULL, NULL);
    backend = "--reactor-backend=epoll";
    return failed + cmocka_run_group_tests_name("by epoll", tests, NULL, NULL);
}
