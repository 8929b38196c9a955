/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Under a manager of services as systemd is one: what it is told and when, and its sockets. */
#include "supervise_tests.h"

#include <sys/un.h>

#define TCP "127.0.0.1:0"

/* ---- a manager ------------------------------------------------------------------------------- */

static struct {
    int fd;
    char name[64];   /* as $NOTIFY_SOCKET has it */
    char text[8192]; /* the last message that was looked at */
} manager = {.fd = -1};

static void open_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int length =
        snprintf(manager.name, sizeof(manager.name), "@vine-manager-%d", (int)getpid());

    memcpy(address.sun_path, manager.name, (size_t)length);
    address.sun_path[0] = '\0';
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(manager.fd >= 0);
    assert_int_equal(bind(manager.fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length)),
                     0);
}

static void close_manager(void)
{
    (void)close(manager.fd);
    manager.fd = -1;
}

/* The next message that is neither of status nor for the watchdog. */
static const char *next_message(void)
{
    do {
        struct pollfd ready = {.fd = manager.fd, .events = POLLIN};

        if (poll(&ready, 1, HANG_MS) != 1)
            fail_msg("nothing is said");
        const ssize_t size = recv(manager.fd, manager.text, sizeof(manager.text) - 1, 0);

        assert_true(size > 0);
        manager.text[size] = '\0';
    } while (strncmp(manager.text, "STATUS=", 7) == 0 ||
             strncmp(manager.text, "WATCHDOG=1", 10) == 0);
    return manager.text;
}

/* Wait for this very message. */
static void await_message(const char *message)
{
    manager.text[0] = '\0';
    while (strcmp(manager.text, message) != 0) {
        struct pollfd ready = {.fd = manager.fd, .events = POLLIN};

        if (poll(&ready, 1, HANG_MS) != 1)
            fail_msg("'%s' is not said", message);
        const ssize_t size = recv(manager.fd, manager.text, sizeof(manager.text) - 1, 0);

        assert_true(size > 0);
        manager.text[size] = '\0';
    }
}

static void set_number(const char *name, long number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%ld", number);
    (void)setenv(name, text, 1);
}

/* Between fork and exec, as systemd does it. */
static void be_managed(void *watchdog_usec)
{
    (void)setenv("NOTIFY_SOCKET", manager.name, 1);
    if (watchdog_usec != NULL) {
        set_number("WATCHDOG_USEC", *(const long *)watchdog_usec);
        set_number("WATCHDOG_PID", getpid());
    }
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void the_manager_is_told_what_happens_in_order(void **state)
{
    (void)state;
    open_manager();
    start_service(be_managed, NULL, WORDS("plain", "listen", TCP, "processes", "2"));
    const struct vine_address address = listening_address();

    await_message("STATUS=1 of 2 processes serve");
    await_message("STATUS=2 of 2 processes serve");
    assert_string_equal(next_message(), "READY=1");
    /* Who dies is a change of status, and nothing else. */
    tell_one(&address, "x");
    await_message("STATUS=1 of 2 processes serve");
    await_message("STATUS=2 of 2 processes serve");
    tell(SIGHUP);
    assert_memory_equal(next_message(), "RELOADING=1\nMONOTONIC_USEC=", 27);
    assert_string_equal(next_message(), "READY=1");
    tell(SIGTERM);
    assert_string_equal(next_message(), "STOPPING=1");
    assert_int_equal(logged_end(), 0);
    close_manager();
}

static void what_never_serves_is_never_told_to_be_ready(void **state)
{
    (void)state;
    open_manager();
    start_service(be_managed, NULL, WORDS("dies", "listen", TCP));
    assert_int_equal(logged_end(), 1);
    assert_string_equal(next_message(), "STOPPING=1");
    close_manager();
}

static void the_watchdog_is_fed_while_somebody_serves(void **state)
{
    long often = 20000, never = 0;

    (void)state;
    open_manager();
    start_service(be_managed, &often, WORDS("plain", "listen", TCP));
    await_message("READY=1");
    for (int i = 0; i < 5; i++)
        await_message("WATCHDOG=1");
    assert_int_equal(logged_stop(), 0);
    await_message("STOPPING=1");
    start_service(be_managed, &never, WORDS("plain", "listen", TCP));
    await_message("READY=1");
    assert_int_equal(logged_stop(), 0);
    close_manager();
}

static void leave_a_wrong_address(void *nothing)
{
    (void)nothing;
    (void)setenv("NOTIFY_SOCKET", "@vine-nobody-is-there", 1);
}

static void a_manager_that_does_not_hear_is_told_of_once(void **state)
{
    (void)state;
    start_service(leave_a_wrong_address, NULL, WORDS("plain", "listen", TCP));
    (void)listen_for("$NOTIFY_SOCKET, @vine-nobody-is-there: ");
    (void)listen_for(": ready");
    assert_int_equal(logged_stop(), 0);
    assert_null(strstr(logged.text + logged.seen, "$NOTIFY_SOCKET"));
}

/* ---- sockets that are passed ----------------------------------------------------------------- */

static struct {
    int fds[3];
    int count;
    const char *names;
    long pid; /* 0: its own */
} passed;

static void pass(void *nothing)
{
    (void)nothing;
    for (int i = 0; i < passed.count; i++)
        (void)fcntl(passed.fds[i], F_DUPFD_CLOEXEC, 100 + i); /* out of the way: 100, 101 ... */
    for (int i = 0; i < passed.count; i++)
        (void)dup2(100 + i, 3 + i);
    set_number("LISTEN_FDS", passed.count);
    set_number("LISTEN_PID", passed.pid != 0 ? passed.pid : getpid());
    if (passed.names != NULL)
        (void)setenv("LISTEN_FDNAMES", passed.names, 1);
}

static int open_socket(const char *text, struct vine_address *ret_address)
{
    struct vine_address address;

    assert_int_equal(vine_address_parse(text, &address), 0);
    const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, &address.any, address.size_bytes), 0);
    assert_int_equal(listen(fd, 100), 0);
    *ret_address = (struct vine_address){.size_bytes = sizeof(address.local)};
    assert_int_equal(getsockname(fd, &ret_address->any, &ret_address->size_bytes), 0);
    return fd;
}

static void close_passed(void)
{
    for (int i = 0; i < passed.count; i++)
        (void)close(passed.fds[i]);
    passed.count = 0;
}

static void sockets_that_are_passed_are_served_by_their_names_and_outlive_us(void **state)
{
    struct vine_address one, other;
    char text[256];

    (void)state;
    passed.fds[0] = open_socket(TCP, &one);
    passed.fds[1] = open_socket("[::1]:0", &other);
    passed.count = 2;
    passed.names = "web:admin";
    passed.pid = 0;
    for (int round = 0; round < 2; round++) {
        start_service(pass, NULL, WORDS("plain", "processes", "2"));
        (void)listen_for("passed as web");
        (void)listen_for("passed as admin");
        (void)listen_for(": ready");
        assert_string_equal(ask(&one).name, "web");
        assert_string_equal(ask(&other).name, "admin");
        tell_one(&one, "x");
        (void)listen_for("ms after the end of");
        assert_string_equal(ask(&other).name, "admin");
        assert_int_equal(logged_stop(), 0);
    }
    /* Who comes when nobody is there waits for the next one. */
    const int fd = try_connect(&one);

    assert_true(fd >= 0);
    start_service(pass, NULL, WORDS("plain"));
    assert_true(say(fd, "hallo", text) > 0);
    assert_int_equal(logged_stop(), 0);
    close_passed();
}

static void what_is_passed_and_what_is_asked_for_are_both_served(void **state)
{
    struct vine_address one;

    (void)state;
    passed.fds[0] = open_socket(TCP, &one);
    passed.count = 1;
    passed.names = NULL;
    start_service(pass, NULL, WORDS("plain", "listen", TCP));
    (void)listen_for("passed as no name");
    const struct vine_address other = listening_address();

    (void)listen_for(": ready");
    assert_string_equal(ask(&one).name, "");
    assert_string_equal(ask(&other).name, "");
    assert_int_equal(logged_stop(), 0);
    close_passed();
}

static void what_is_meant_for_another_process_is_not_taken(void **state)
{
    struct vine_address one;

    (void)state;
    passed.fds[0] = open_socket(TCP, &one);
    passed.count = 1;
    passed.pid = getpid();
    start_service(pass, NULL, WORDS("plain"));
    assert_int_equal(logged_end(), 2);
    assert_true(was_said("nobody says where to listen"));
    passed.pid = 0;
    close_passed();
}

static void what_does_not_listen_is_refused(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    passed.fds[0] = ends[0];
    passed.fds[1] = ends[1];
    passed.count = 2;
    start_service(pass, NULL, WORDS("plain"));
    assert_int_equal(logged_end(), 1);
    assert_true(was_said("descriptor 3, which was passed to us, is no socket that listens"));
    close_passed();
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "service") == 0)
        return service(argc, argv);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, logged_open, logged_close)
        TEST(the_manager_is_told_what_happens_in_order),
        TEST(what_never_serves_is_never_told_to_be_ready),
        TEST(the_watchdog_is_fed_while_somebody_serves),
        TEST(a_manager_that_does_not_hear_is_told_of_once),
        TEST(sockets_that_are_passed_are_served_by_their_names_and_outlive_us),
        TEST(what_is_passed_and_what_is_asked_for_are_both_served),
        TEST(what_is_meant_for_another_process_is_not_taken),
        TEST(what_does_not_listen_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
