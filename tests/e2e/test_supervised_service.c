/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * A service on reactors under a supervisor, with clients that never stop: its processes are killed
 * and exchanged, it is told to end, has few descriptors, and is started by systemd's own tool. The
 * program is examples/supervised_echo.c.
 */
#include "harness/logged.h"

#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>

#include "utils/atomic.h"

#define LOADERS 4

static char program[1024];

static void start_echo(prepare_fn prepare, const char *processes, const char *listen)
{
    char count[64], where[128];

    (void)snprintf(count, sizeof(count), "--processes=%s", processes);
    (void)snprintf(where, sizeof(where), "--listen=%s", listen);
    logged_start(prepare, NULL, program,
                 WORDS(program, count, where, "--smp=2", "--overprovisioned", "--memory=192M"));
}

/* ---- clients --------------------------------------------------------------------------------- */

/* Send a few bytes on a connection and have them back. Returns whether they came. */
static bool echo(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char text[8] = "";
    ssize_t size;

    if (send(fd, "hallo", 5, MSG_NOSIGNAL) != 5)
        return false;
    if (poll(&ready, 1, HANG_MS) != 1)
        return false;
    size = read(fd, text, sizeof(text));
    return size == 5 && memcmp(text, "hallo", 5) == 0;
}

/* Clients that come, are answered once, and go, as fast as they can. */
struct load {
    struct vine_address address;
    pthread_t threads[LOADERS];
    bool ends_when_refused;
    uint32_t is_over;            /* atomic */
    uint32_t answered;           /* atomic, and so are those below */
    uint32_t lost, last_refused; /* who had connected and was not answered; the last error */
    uint32_t refused;
};

static void *load_on(void *context)
{
    struct load *const load = context;

    while (vine__load_relaxed_u32(&load->is_over) == 0) {
        const int fd = try_connect(&load->address);

        if (fd < 0) {
            (void)vine__fetch_add_relaxed_u32(&load->refused, 1);
            vine__store_relaxed_u32(&load->last_refused, (uint32_t)-fd);
            if (load->ends_when_refused)
                return NULL;
            continue;
        }
        (void)vine__fetch_add_relaxed_u32(echo(fd) ? &load->answered : &load->lost, 1);
        (void)close(fd);
    }
    return NULL;
}

static void begin_load(struct load *load, const struct vine_address *address,
                       bool ends_when_refused)
{
    *load = (struct load){.address = *address, .ends_when_refused = ends_when_refused};
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_create(&load->threads[i], NULL, load_on, load), 0);
}

static void await_answers(struct load *load, uint32_t count)
{
    const uint32_t enough = vine__load_relaxed_u32(&load->answered) + count;
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);

    while (vine__load_relaxed_u32(&load->answered) < enough) {
        (void)poll(NULL, 0, 1);
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("nobody is answered any more:\n%s", logged.text);
    }
}

static void end_load(struct load *load)
{
    vine__store_relaxed_u32(&load->is_over, 1);
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_join(load->threads[i], NULL), 0);
}

/* How many sockets a process has open. */
static int count_sockets(int pid)
{
    char path[300], target[64];
    int count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *const folder = opendir(path);

    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
        const ssize_t length = readlink(path, target, sizeof(target) - 1);

        count += length > 7 && memcmp(target, "socket:", 7) == 0;
    }
    (void)closedir(folder);
    return count;
}

/* ---- tests ----------------------------------------------------------------------------------- */

enum { COUNT = 64 };

/* Connections that are answered. Returns how many of them the process of place 0 has. */
static int connect_many(const struct vine_address *address, int fds[COUNT])
{
    for (int i = 0; i < COUNT; i++) {
        fds[i] = try_connect(address);
        assert_true(fds[i] >= 0 && echo(fds[i]));
    }
    return count_sockets(logged_pid_at(0)) - 1; /* but the one that it accepts from */
}

static void the_connections_of_the_other_process_live(void **state)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);
    int fds[COUNT];
    int lived = 0;

    (void)state;
    start_echo(NULL, "2", "127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    int theirs = connect_many(&address, fds);

    /* Each has its part, or there would be nothing to see; of two on a busy machine one may have
     * had no time to wait for any. */
    while (theirs <= 0 || theirs >= COUNT) {
        assert_true(vine__clock_now_ns() < hang_ns);
        for (int i = 0; i < COUNT; i++)
            (void)close(fds[i]);
        while (count_sockets(logged_pid_at(0)) + count_sockets(logged_pid_at(1)) > 2)
            (void)poll(NULL, 0, 1);
        theirs = connect_many(&address, fds);
    }
    assert_int_equal(theirs + count_sockets(logged_pid_at(1)) - 1, COUNT);
    assert_int_equal(kill(logged_pid_at(0), SIGKILL), 0);
    (void)listen_for("was killed by SIGKILL");
    for (int i = 0; i < COUNT; i++)
        lived += echo(fds[i]);
    assert_int_equal(lived, COUNT - theirs);
    (void)listen_for("ms after the end of");
    for (int i = 0; i < COUNT; i++)
        (void)close(fds[i]);
    assert_int_equal(logged_stop(), 0);
}

static void killing_processes_under_load_refuses_nobody(void **state)
{
    struct load load;

    (void)state;
    start_echo(NULL, "2", "127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    begin_load(&load, &address, false);
    for (unsigned int i = 0; i < 10; i++) {
        await_answers(&load, 100);
        assert_int_equal(kill(logged_pid_at(i % 2), SIGKILL), 0);
        (void)listen_for("was killed by SIGKILL");
        (void)listen_for("ms after the end of");
        (void)listen_for("\n");
    }
    end_load(&load);
    assert_int_equal(load.refused, 0);
    /* Those alone that a killed one had accepted. */
    assert_true(load.lost <= 10 * LOADERS);
    assert_int_equal(logged_stop(), 0);
}

static void a_rolling_restart_under_load_loses_nobody(void **state)
{
    static const char *const places[] = {"127.0.0.1:0", "unix:@vine-rolling"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct load load;
        char place[64];

        (void)snprintf(place, sizeof(place), i == 0 ? "%s" : "%s-%d", places[i], (int)getpid());
        start_echo(NULL, "2", place);
        const struct vine_address address = listening_address();

        (void)listen_for(": ready");
        begin_load(&load, &address, false);
        for (int round = 0; round < 5; round++) {
            await_answers(&load, 100);
            tell(SIGHUP);
            (void)listen_for("rolling restart: done");
        }
        end_load(&load);
        assert_int_equal(load.refused, 0);
        assert_int_equal(load.lost, 0);
        assert_int_equal(logged_stop(), 0);
        assert_false(was_said("takes too long"));
    }
}

static void at_the_end_whoever_has_connected_is_answered(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct load load;
        int idle;

        start_echo(NULL, i % 2 == 0 ? "1" : "3", "127.0.0.1:0");
        const struct vine_address address = listening_address();

        (void)listen_for(": ready");
        idle = try_connect(&address); /* who says nothing holds nobody up for long */
        assert_true(idle >= 0);
        begin_load(&load, &address, true);
        await_answers(&load, 200);
        assert_int_equal(logged_stop(), 0);
        end_load(&load);
        assert_int_equal(load.lost, 0);
        assert_int_equal(load.last_refused, ECONNREFUSED);
        assert_false(was_said("takes too long"));
        assert_false(was_said("killed"));
        (void)close(idle);
    }
}

/* As systemd does by default: it says so to all of a service at once. */
static void who_is_told_by_others_than_the_supervisor_too_ends_as_well(void **state)
{
    (void)state;
    struct load load;
    int fd;

    start_echo(NULL, "2", "127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    begin_load(&load, &address, true);
    await_answers(&load, 200);
    tell(SIGTERM);
    while ((fd = try_connect(&address)) >= 0) /* until nobody else may */
        (void)close(fd);
    for (unsigned int place = 0; place < 2; place++)
        (void)kill(logged_pid_at(place), SIGTERM); /* where it is still there */
    assert_int_equal(logged_end(), 0);
    end_load(&load);
    assert_int_equal(load.lost, 0);
    assert_false(was_said("killed"));
}

static void limit_descriptors(void *nothing)
{
    const struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};

    (void)nothing;
    (void)setrlimit(RLIMIT_NOFILE, &few);
}

/* Who connects beyond that waits until others have gone. */
static void with_few_descriptors_all_are_served_in_the_end(void **state)
{
    enum { MANY = 200 };
    int fds[MANY];

    (void)state;
    start_echo(limit_descriptors, "2", "127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    for (int i = 0; i < MANY; i++) {
        fds[i] = try_connect(&address);
        assert_true(fds[i] >= 0);
    }
    for (int i = 0; i < MANY; i++) {
        assert_true(echo(fds[i]));
        (void)close(fds[i]);
    }
    assert_int_equal(kill(logged_pid_at(0), SIGKILL), 0);
    (void)listen_for("ms after the end of");
    assert_int_equal(logged_stop(), 0);
}

static void what_is_wrong_in_the_command_line_is_told_once(void **state)
{
    (void)state;
    logged_start(NULL, NULL, program, WORDS(program, "--processes=0", "--listen=127.0.0.1:0"));
    assert_int_equal(logged_end(), 2);
    assert_true(was_said("--processes: '0' is not what it takes"));
    assert_false(was_said("listening"));
    /* What only the machine can tell is found out by the first process. */
    logged_start(NULL, NULL, program,
                 WORDS(program, "--listen=127.0.0.1:0", "--cpuset=4000", "--memory=64M"));
    (void)listen_for("--cpuset 4000");
    assert_int_equal(logged_end(), 2);
    assert_null(strstr(logged.text + logged.seen, "--cpuset 4000"));
}

static void systemds_own_tool_starts_it(void **state)
{
    static const char tool[] = "/usr/bin/systemd-socket-activate";
    struct vine_address address;
    char where[64];

    (void)state;
    if (access(tool, X_OK) != 0) {
        print_message("skipped: there is no %s\n", tool);
        skip();
    }
    (void)snprintf(where, sizeof(where), "unix:@vine-activate-%d", (int)getpid());
    assert_int_equal(vine_address_parse(where, &address), 0);
    logged_start(NULL, NULL, tool,
                 WORDS(tool, "-l", where + 5, "--fdname=echo", program, "--processes=2", "--smp=1",
                       "--overprovisioned", "--memory=64M"));
    (void)listen_for("Listening on");
    const int fd = try_connect(&address);

    assert_true(fd >= 0);
    (void)listen_for("passed as echo");
    assert_true(echo(fd));
    (void)listen_for(": ready");
    (void)close(fd);
    assert_int_equal(logged_stop(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, logged_open, logged_close)
        TEST(the_connections_of_the_other_process_live),
        TEST(killing_processes_under_load_refuses_nobody),
        TEST(a_rolling_restart_under_load_loses_nobody),
        TEST(at_the_end_whoever_has_connected_is_answered),
        TEST(who_is_told_by_others_than_the_supervisor_too_ends_as_well),
        TEST(with_few_descriptors_all_are_served_in_the_end),
        TEST(what_is_wrong_in_the_command_line_is_told_once),
        TEST(systemds_own_tool_starts_it),
    };
    const char *const build = getenv("VINE_BUILD_DIR");

    (void)snprintf(program, sizeof(program), "%s/examples/supervised_echo",
                   build != NULL ? build : "..");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
