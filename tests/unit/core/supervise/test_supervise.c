/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* The supervisor: what it refuses, who is started anew and what is told of it, signals, the end. */
#include "supervise_tests.h"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include "harness/folder.h"

#define TCP "127.0.0.1:0"

static char folder[] = "/tmp/vine-supervise-XXXXXX";

static const char *in_folder(const char *prefix, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s%s/%s", prefix, folder, name);
    return path;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_service_that_cannot_listen_ends_and_says_why(void **state)
{
    char path[128];

    (void)state;
    start_service(NULL, NULL, WORDS("plain"));
    assert_int_equal(logged_end(), 2);
    assert_true(was_said("nobody says where to listen"));
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "listen", "nonsense"));
    assert_int_equal(logged_end(), 2);
    assert_true(was_said("'nonsense' is no address; right would be"));
    start_service(NULL, NULL, WORDS("plain", "listen", in_folder("unix:", "no/such", path)));
    assert_int_equal(logged_end(), 1);
    assert_true(was_said("cannot listen at"));
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "processes", "257"));
    assert_int_equal(logged_end(), 2);
    assert_true(was_said("1 to 256 processes"));
}

static void an_address_that_somebody_has_is_refused_and_a_name_left_over_is_taken(void **state)
{
    struct vine_address address;
    struct stat found;
    char path[128], plain[128];

    (void)state;
    in_folder("", "socket", plain);
    in_folder("unix:", "socket", path);
    assert_int_equal(vine_address_parse(path, &address), 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, &address.any, address.size_bytes), 0);
    assert_int_equal(listen(fd, 1), 0);
    start_service(NULL, NULL, WORDS("plain", "listen", path));
    assert_int_equal(logged_end(), 1);
    /* Nobody listens any more. */
    close(fd);
    start_service(NULL, NULL, WORDS("plain", "listen", path));
    (void)listen_for(": ready");
    (void)ask(&address);
    assert_int_equal(logged_stop(), 0);
    assert_int_equal(stat(plain, &found), -1);
}

static void a_service_of_which_nothing_ever_comes_up_ends(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("dies", "listen", TCP, "processes", "2"));
    assert_int_equal(logged_end(), 1);
    assert_true(was_said("ended with the code 7 before it was ready"));
    assert_true(was_said("no process has ever been ready: giving up"));
    /* Who says that the command line is wrong is not asked again. */
    start_service(NULL, NULL, WORDS("refuses", "listen", TCP));
    (void)listen_for("ended with the code 2");
    assert_int_equal(logged_end(), 2);
    assert_null(strstr(logged.text + logged.seen, "ended with the code 2"));
    /* Nor who says nothing. */
    start_service(NULL, NULL, WORDS("sleeps", "listen", TCP, "start", "50"));
    assert_int_equal(logged_end(), 1);
    assert_true(was_said("takes too long to be ready, and is killed"));
}

/* ---- processes that die ---------------------------------------------------------------------- */

static void a_process_that_dies_is_started_anew_at_once_and_told_of(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    int pid = ask(&address).pid;

    for (int i = 0; i < 5; i++) {
        char words[64];
        double ms;

        tell_one(&address, "x");
        /* Whoever connects meanwhile waits, and is not refused. */
        const int fd = try_connect(&address);

        assert_true(fd >= 0);
        (void)snprintf(words, sizeof(words), "(pid %d) was killed by SIGKILL", pid);
        (void)listen_for(words);
        (void)listen_for("; its last words: coroutine 7, line 42\n");
        (void)listen_for(" serves, ");
        (void)snprintf(words, sizeof(words), "ms after the end of pid %d", pid);
        (void)listen_for(words);
        /* Deaths of those who have served are no reason to wait. */
        assert_int_equal(sscanf(strrchr(logged.text, ',') + 1, "%lf ms", &ms), 1);
        assert_true(ms < 5000);
        char text[256];

        assert_true(say(fd, "hallo", text) > 0);
        assert_int_not_equal(take_reply(text).pid, pid);
        pid = take_reply(text).pid;
    }
    tell_one(&address, "q");
    (void)listen_for("ended with the code 3\n");
    (void)listen_for("ms after the end of");
    assert_int_equal(logged_stop(), 0);
}

static void when_one_dies_the_others_go_on(void **state)
{
    char text[256];
    struct reply reply;

    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "processes", "3"));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    for (int i = 0; i < 20; i++) {
        /* What somebody else has accepted lives. */
        const int victim = ask(&address).pid;
        const int fd = try_connect(&address);

        assert_true(fd >= 0);
        assert_true(say(fd, "hallo", text) > 0);
        reply = take_reply(text);
        assert_int_equal(kill(victim, SIGKILL), 0);
        assert_true(ask(&address).pid > 0);
        (void)listen_for("was killed by SIGKILL");
        (void)listen_for("ms after the end of");
        assert_true(reply.index < 3);
    }
    assert_int_equal(logged_stop(), 0);
}

static char state_of(int pid)
{
    char path[32], text[256];
    char state = '-';

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return '-';
    const ssize_t size = read(fd, text, sizeof(text) - 1);

    text[size > 0 ? size : 0] = '\0';
    (void)close(fd);
    if (strrchr(text, ')') != NULL)
        state = strrchr(text, ')')[2];
    return state;
}

static void the_dead_are_buried_and_take_no_descriptor_with_them(void **state)
{
    char path[64];
    int before = 0, after = 0;

    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "listen", "[::1]:0"));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)logged.pid);
    for (int i = 0; i <= 20; i++) {
        DIR *const open_ones = opendir(path);
        const int pid = ask(&address).pid;

        after = 0;
        for (const struct dirent *entry; (entry = readdir(open_ones)) != NULL;)
            after++;
        (void)closedir(open_ones);
        before = i == 0 ? after : before;
        tell_one(&address, "x");
        (void)listen_for("ms after the end of");
        assert_int_equal(state_of(pid), '-');
    }
    assert_int_equal(before, after);
    assert_int_equal(logged_stop(), 0);
}

static void close_others(void *nothing)
{
    (void)nothing;
    (void)close_range(3, ~0U, 0); /* what who runs the tests has left open */
}

static void a_process_has_its_sockets_and_nothing_else_of_the_supervisors(void **state)
{
    (void)state;
    start_service(close_others, NULL, WORDS("plain", "listen", TCP, "listen", "[::1]:0"));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    /* Standard three, two sockets, what it says, and the client. */
    assert_int_equal(ask(&address).descriptors, 3 + 2 + 1 + 1);
    assert_int_equal(logged_stop(), 0);
}

static void nobody_is_left_when_the_supervisor_is_killed(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("stubborn", "listen", TCP, "processes", "4"));
    (void)listen_for(": ready");
    tell(SIGKILL);
    /* Its log ends when all who could write to it have gone. */
    assert_int_equal(logged_end(), -1);
}

static void limit_descriptors(void *nothing)
{
    const struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};

    (void)nothing;
    (void)setrlimit(RLIMIT_NOFILE, &few);
}

static void few_descriptors_suffice(void **state)
{
    (void)state;
    start_service(limit_descriptors, NULL,
                  WORDS("plain", "processes", "8", "listen", TCP, "listen", TCP, "listen", TCP,
                        "listen", TCP, "listen", TCP, "listen", TCP, "listen", TCP, "listen", TCP));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    tell_one(&address, "x");
    (void)listen_for("ms after the end of");
    tell(SIGHUP);
    (void)listen_for("rolling restart: done");
    (void)ask(&address);
    assert_int_equal(logged_stop(), 0);
}

/* Where there is no room for a process, the others go on, and it comes when there is. */
static void limit_descriptors_more(void *nothing)
{
    const struct rlimit few = {.rlim_cur = 16, .rlim_max = 16};

    close_others(nothing);
    (void)setrlimit(RLIMIT_NOFILE, &few);
}

static void without_descriptors_those_serve_that_there_are(void **state)
{
    (void)state;
    start_service(limit_descriptors_more, NULL, WORDS("plain", "processes", "8", "listen", TCP));
    const struct vine_address address = listening_address();

    (void)listen_for("cannot be started: ");
    (void)listen_for(" serves, ");
    (void)ask(&address);
    assert_int_equal(logged_stop(), 0);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void who_has_connected_before_the_end_is_served(void **state)
{
    enum { COUNT = 100 };
    char path[128];

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        int fds[COUNT];
        char text[256];

        start_service(NULL, NULL,
                      WORDS("plain", "listen", kind == 0 ? TCP : in_folder("unix:", "s", path)));
        const struct vine_address address = listening_address();

        (void)listen_for(": ready");
        for (int i = 0; i < COUNT; i++) {
            fds[i] = try_connect(&address);
            assert_true(fds[i] >= 0);
            assert_int_equal(send(fds[i], "hallo", 5, MSG_NOSIGNAL), 5);
        }
        assert_int_equal(logged_stop(), 0);
        for (int i = 0; i < COUNT; i++)
            assert_true(read(fds[i], text, sizeof(text)) > 0);
        for (int i = 0; i < COUNT; i++)
            close(fds[i]);
        const int refused = try_connect(&address);

        assert_true(refused == -ECONNREFUSED || refused == -ENOENT);
    }
}

static void who_does_not_end_in_time_is_killed(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("stubborn", "listen", TCP, "processes", "2", "drain", "100"));
    (void)listen_for(": ready");
    assert_int_equal(logged_stop(), 0);
    assert_true(was_said("takes too long to end, and is killed"));
}

static void a_second_signal_hastens(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("stubborn", "listen", TCP, "drain", "3600000"));
    (void)listen_for(": ready");
    tell(SIGINT);
    (void)listen_for("SIGINT: stopping");
    tell(SIGTERM);
    (void)listen_for("SIGTERM again: hastening");
    tell(SIGTERM);
    assert_int_equal(logged_end(), 0);
}

static void state_dumps_are_asked_of_all(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "processes", "2"));
    (void)listen_for(": ready");
    tell(SIGUSR1);
    (void)listen_for("SIGUSR1 was here");
    (void)listen_for("SIGUSR1 was here");
    assert_int_equal(logged_stop(), 0);
}

struct terminal {
    int master;
    char name[64];
    bool ignores_hangup;
};

static void open_terminal(struct terminal *terminal)
{
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal->master >= 0);
    assert_int_equal(grantpt(terminal->master) | unlockpt(terminal->master), 0);
    assert_int_equal(ptsname_r(terminal->master, terminal->name, sizeof(terminal->name)), 0);
}

static void take_terminal(void *context)
{
    const struct terminal *const terminal = context;

    (void)setsid();
    (void)ioctl(open(terminal->name, O_RDWR), TIOCSCTTY, 0);
    (void)signal(SIGHUP, terminal->ignores_hangup ? SIG_IGN : SIG_DFL);
}

static void a_service_ends_with_its_terminal_unless_it_shall_outlive_it(void **state)
{
    struct terminal terminal = {.ignores_hangup = false};

    (void)state;
    open_terminal(&terminal);
    start_service(take_terminal, &terminal, WORDS("plain", "listen", TCP));
    (void)listen_for(": ready");
    tell(SIGHUP); /* which means something else while it is there */
    (void)listen_for("rolling restart: done");
    (void)close(terminal.master);
    (void)listen_for("the terminal has gone: stopping");
    assert_int_equal(logged_end(), 0);

    terminal.ignores_hangup = true;
    open_terminal(&terminal);
    start_service(take_terminal, &terminal, WORDS("plain", "listen", TCP));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    (void)close(terminal.master);
    (void)listen_for("rolling restart: done");
    (void)ask(&address);
    assert_int_equal(logged_stop(), 0);
}

static void a_rolling_restart_refuses_nobody(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "processes", "2"));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    for (int round = 0; round < 3; round++) {
        const int before = ask(&address).pid;
        bool is_done = false;
        char words[64];

        tell(SIGHUP);
        while (!is_done) {
            struct pollfd said = {.fd = logged.said, .events = POLLIN};

            (void)ask(&address);
            if (poll(&said, 1, 0) == 1)
                (void)listen_for("\n");
            is_done = strstr(logged.text, "rolling restart: done") != NULL;
        }
        /* Each new one served before the old one was told. */
        logged.seen = 0;
        (void)listen_for("rolling restart: of 2 processes");
        for (int i = 0; i < 2; i++) {
            (void)listen_for(" serves, ");
            (void)listen_for("has been replaced");
        }
        (void)listen_for("rolling restart: done");
        logged.seen = 0;
        (void)snprintf(words, sizeof(words), "(pid %d) ended with the code 0", before);
        (void)listen_for(words);
        for (int i = 0; i < 10; i++)
            assert_int_not_equal(ask(&address).pid, before);
        logged.length = 0;
        logged.seen = 0;
        logged.text[0] = '\0';
    }
    assert_int_equal(logged_stop(), 0);
}

static void a_rolling_restart_that_fails_leaves_those_that_serve(void **state)
{
    char mark[128];

    (void)state;
    in_folder("", "mark", mark);
    (void)unlink(mark);
    start_service(NULL, NULL, WORDS("once", "listen", TCP, "mark", mark));
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    const int pid = ask(&address).pid;

    for (int i = 0; i < 2; i++) {
        tell(SIGHUP);
        (void)listen_for("ended with the code 8 before it was ready");
        (void)listen_for("rolling restart: given up, the old processes stay");
        assert_int_equal(ask(&address).pid, pid);
    }
    /* And where there is nobody, it is tried again and again, ever more seldom. */
    tell_one(&address, "x");
    (void)listen_for("was not ready 3 times, one after the other; the next one starts in 100 ms");
    (void)listen_for("was not ready 4 times, one after the other; the next one starts in 200 ms");
    (void)unlink(mark);
    (void)listen_for("ms after the end of");
    assert_int_not_equal(ask(&address).pid, pid);
    assert_int_equal(logged_stop(), 0);
}

static void signals_that_come_together_do_no_harm(void **state)
{
    (void)state;
    start_service(NULL, NULL, WORDS("plain", "listen", TCP, "processes", "3"));
    const struct vine_address address = listening_address();

    (void)listen_for("process 0");
    for (int i = 0; i < 20; i++) {
        tell(SIGHUP);
        tell(SIGUSR1);
        if (i % 4 == 0)
            tell_one(&address, "x");
        (void)ask(&address);
    }
    assert_int_equal(logged_stop(), 0);
}

static int make_folder(void **state)
{
    (void)state;
    return folder_make(folder);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "service") == 0)
        return service(argc, argv);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, logged_open, logged_close)
        TEST(a_service_that_cannot_listen_ends_and_says_why),
        TEST(an_address_that_somebody_has_is_refused_and_a_name_left_over_is_taken),
        TEST(a_service_of_which_nothing_ever_comes_up_ends),
        TEST(a_process_that_dies_is_started_anew_at_once_and_told_of),
        TEST(when_one_dies_the_others_go_on),
        TEST(the_dead_are_buried_and_take_no_descriptor_with_them),
        TEST(a_process_has_its_sockets_and_nothing_else_of_the_supervisors),
        TEST(nobody_is_left_when_the_supervisor_is_killed),
        TEST(few_descriptors_suffice),
        TEST(without_descriptors_those_serve_that_there_are),
        TEST(who_has_connected_before_the_end_is_served),
        TEST(who_does_not_end_in_time_is_killed),
        TEST(a_second_signal_hastens),
        TEST(state_dumps_are_asked_of_all),
        TEST(a_service_ends_with_its_terminal_unless_it_shall_outlive_it),
        TEST(a_rolling_restart_refuses_nobody),
        TEST(a_rolling_restart_that_fails_leaves_those_that_serve),
        TEST(signals_that_come_together_do_no_harm),
    };

    return cmocka_run_group_tests(tests, make_folder, NULL);
}
