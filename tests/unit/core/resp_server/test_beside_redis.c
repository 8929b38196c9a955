/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * The same bytes to a server of ours and to a redis-server of Debian 12: the same bytes come back.
 */
#include "unit/core/resp_server/resp_served.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/core/resp_server/random_commands.h"

#define COMMANDS 20000
#define BATCH    50
#define HANG_MS  100000 /* a guard */
#define NEAR_S   60     /* clocks of two processes, read one after the other */
#define VERSION  "v=7.0."
/* Its checker is the server under another name, and comes without a service that would be started
 * where the package of that is installed. */
#define PROGRAM   "redis-check-rdb"
#define PACKAGE   "redis-tools"
#define REDIS     "redis-server"
#define THE_MARK  "$8\r\nthe mark\r\n"
#define MARK_SENT "*2\r\n$4\r\nECHO\r\n" THE_MARK

static struct {
    char folder[64], socket[96];
    pid_t pid;
    char received[SERVED_BYTES];
    size_t size;
} redis;

/* ---- redis ----------------------------------------------------------------------------------- */

/* Start the server, with its standard output at *ret_output. */
static pid_t start_server(char *const arguments[], int *ret_output)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execvp(PROGRAM, arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    *ret_output = ends[0];
    return pid;
}

/* Read until a word has come. Returns whether it has, before the end. */
static bool read_until(int output, const char *word)
{
    char text[8192];
    size_t size = 0;

    for (;;) {
        struct pollfd readable = {.fd = output, .events = POLLIN};
        ssize_t got;

        assert_int_equal(poll(&readable, 1, HANG_MS), 1);
        got = read(output, text + size, sizeof(text) - 1 - size);
        if (got <= 0)
            return false;
        size += (size_t)got;
        text[size] = '\0';
        if (strstr(text, word) != NULL)
            return true;
        if (size == sizeof(text) - 1)
            size = 0;
    }
}

static bool is_that_version(void)
{
    char *arguments[] = {REDIS, "--version", NULL};
    int output;
    const pid_t pid = start_server(arguments, &output);
    const bool is_it = read_until(output, VERSION);

    (void)close(output);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return is_it;
}

static int start_redis(void **state)
{
    int output;
    (void)state;

    (void)snprintf(redis.folder, sizeof(redis.folder), "/tmp/vine-redis-XXXXXX");
    if (!is_that_version() || mkdtemp(redis.folder) == NULL)
        return 0;
    (void)snprintf(redis.socket, sizeof(redis.socket), "%s/socket", redis.folder);

    char *arguments[] = {REDIS, "--port", "0",          "--unixsocket", redis.socket, "--save",
                         "",    "--dir",  redis.folder, "--appendonly", "no",         NULL};

    redis.pid = start_server(arguments, &output);
    assert_true(read_until(output, "eady to accept connections"));
    return 0;
}

static int stop_redis(void **state)
{
    (void)state;
    if (redis.pid == 0)
        return 0;
    (void)kill(redis.pid, SIGKILL);
    (void)waitpid(redis.pid, NULL, 0);
    (void)unlink(redis.socket);
    (void)rmdir(redis.folder);
    return 0;
}

static void skip_without_redis(void)
{
    if (redis.pid != 0)
        return;
    print_message("no " REDIS " of version 7.0 (package: " PACKAGE ")\n");
    skip();
}

static int connect_redis(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", redis.socket);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_redis(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        assert_true(sent > 0);
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* Read some more. Returns false at the end. */
static bool receive_redis(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    ssize_t got;

    assert_int_equal(poll(&readable, 1, HANG_MS), 1);
    assert_true(redis.size < sizeof(redis.received) - 1);
    got = read(fd, redis.received + redis.size, sizeof(redis.received) - 1 - redis.size);
    if (got <= 0)
        return false;
    redis.size += (size_t)got;
    redis.received[redis.size] = '\0';
    return true;
}

/* All that redis says to some bytes, by what it says to the mark behind them. */
static void ask_redis(int fd, const char *bytes, size_t size)
{
    const size_t mark_size = sizeof(THE_MARK) - 1;

    redis.size = 0;
    send_redis(fd, bytes, size);
    send_redis(fd, MARK_SENT, sizeof(MARK_SENT) - 1);
    while (redis.size < mark_size ||
           memcmp(redis.received + redis.size - mark_size, THE_MARK, mark_size) != 0)
        assert_true(receive_redis(fd));
    redis.size -= mark_size;
}

/* ---- both ------------------------------------------------------------------------------------ */

static struct served_connection ours;
static bool comes_in_parts;

static void start_ours(void)
{
    struct timespec now;

    served_start(0);
    served_connect(&ours);
    ours.limits.arguments_max = VINE_RESP_ARGUMENTS_MAX;
    ours.limits.bulk_bytes_max = VINE_RESP_BULK_BYTES_MAX;
    ours.limits.inline_bytes_max = VINE_RESP_INLINE_BYTES_MAX;
    if (comes_in_parts) {
        ours.splits = true;
        ours.limits.payload_bytes_min = 20;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    vine_keyspace_set_time(served.keyspace, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static void stop_ours(void)
{
    served_disconnect(&ours);
    served_stop();
}

static void assert_same(int fd, const char *bytes, size_t size)
{
    size_t same = 0;

    ours.output_bytes = 0;
    served_send(&ours, bytes, size);
    ask_redis(fd, bytes, size);
    if (redis.size == ours.output_bytes && memcmp(redis.received, ours.output, redis.size) == 0)
        return;
    while (redis.received[same] == ours.output[same])
        same++;
    same -= same < 40 ? same : 40;
    fail_msg("seed now %#llx\nredis says:\n%.100s\nwe say:\n%.100s\nto:\n%.3000s",
             (unsigned long long)by_chance.seed, redis.received + same, ours.output + same, bytes);
}

static void compare(const char *protocol)
{
    static char batch[BATCH * RANDOM_COMMAND_MAX];
    const int fd = connect_redis();

    start_ours();
    ask_redis(fd, "FLUSHALL\r\n", 10);
    ask_redis(fd, protocol, strlen(protocol)); /* each tells of itself */
    served_send(&ours, protocol, strlen(protocol));
    by_chance.now_ms = 0;
    for (int n = 0; n < COMMANDS / BATCH; n++) {
        size_t size = 0;

        for (int each = 0; each < BATCH; each++) {
            random_command();
            size += random_bytes(batch + size);
        }
        assert_same(fd, batch, size);
    }
    stop_ours();
    (void)close(fd);
}

static void random_commands_are_answered_alike(void **state)
{
    (void)state;
    skip_without_redis();
    by_chance.seed = 3;
    compare("HELLO 2\r\n");
}

static void so_they_are_in_protocol_3(void **state)
{
    (void)state;
    skip_without_redis();
    by_chance.seed = 4;
    compare("HELLO 3\r\n");
}

static void so_they_are_in_parts(void **state)
{
    (void)state;
    skip_without_redis();
    by_chance.seed = 8;
    comes_in_parts = true;
    compare("HELLO 2\r\n");
    comes_in_parts = false;
}

static const char *const said[] = {
    "",
    "  ",
    "ping",
    " PING \"a b\" ",
    "echo \"\\x41\\n\\\\\"",
    "echo 'it\\'s'",
    "ECHO \"\"",
    "echo x\"y\"",
    "get",
    "get a b",
    "nothing",
    "nothing a b 'c d' \"\\x01\\r\\n\"",
    "get\\r\\n",
    "client",
    "client nothing",
    "CLIENT setname",
    "client setname \"a b\"",
    "client setname me",
    "client getname",
    "client setname ''",
    "client getname",
    "config nothing",
    "config get",
    "command nothing",
    "select",
    "select 0",
    "select 99",
    "select -1",
    "select x",
    "hello x",
    "hello 1",
    "hello 4",
    "hello 3 nothing",
    "hello 3 auth a",
    "hello 3 setname 'a b'",
    "ping a b",
    "echo",
    "set a",
    "set a b c",
    "set a 1 ex 10 ex 20 get",
    "persist a",
    "mset a",
    "mset a b c",
    "config get save",
    "config get nothing",
    "config get *ppendonl?",
    "expire a 1 nothing",
    "del",
    "exists",
    "echo "
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    "b "
    "cccccccccccccccccccccccccccccccccc",
    "*0\r\n*-1",
    "command info nothing",
    "command docs nothing",
    "client id x",
    "client|id",
    "client setname 'a\\x7f'",
    /* numbers */
    "set n 9223372036854775806",
    "incr n",
    "incr n",
    "incrby n 1",
    "decrby n -1",
    "decrby n 9223372036854775807",
    "decrby n -9223372036854775808",
    "incrby n -9223372036854775808",
    "decr n",
    "incrby n 9223372036854775807",
    "get n",
    "incrby n 9223372036854775808",
    "incrby n -9223372036854775809",
    "incrby n +1",
    "incrby n 1e3",
    "incrby n ''",
    "incrby n 01",
    "set n 010",
    "incr n",
    "set n ' 1'",
    "incr n",
    "set n 1.0",
    "incr n",
    "set n ''",
    "incr n",
    "set n -0",
    "incr n",
    "set n 99999999999999999999",
    "decr n",
    "set n -1",
    "incr n",
    "get n",
    "del n",
    "decr n",
    /* times */
    "set n 1 px 0",
    "set n 1 ex -1",
    "set n 1 ex 9223372036854775807",
    "set n 1 px 9223372036854775807",
    "set n 1 exat 1",
    "get n",
    "set n 1 keepttl ex 1",
    "set n 1 ex 1 px 1",
    "set n 1 nx xx",
    "set n 1 nx get",
    "set n 2 get xx",
    "set n 2 ex",
    "set n 2 nothing",
    "ttl n",
    "expire n 9223372036854775807",
    "pexpire n -9223372036854775808",
    "expire n x",
    "expire n 100 nx gt",
    "expire n 100 gt lt",
    "expire n 100 xx",
    "expire n 0",
    "exists n n",
    "expire n 100",
    "persist n",
};

static void lines_and_errors_are_answered_alike(void **state)
{
    int fd;
    (void)state;

    skip_without_redis();
    fd = connect_redis();
    ask_redis(fd, "FLUSHALL\r\n", 10);
    start_ours();
    for (size_t n = 0; n < sizeof(said) / sizeof(said[0]); n++) {
        char line[1000];
        const int size = snprintf(line, sizeof(line), "%s\r\n", said[n]);

        assert_same(fd, line, (size_t)size);
    }
    stop_ours();
    (void)close(fd);
}

/* Bulks of all sizes about those at which something changes. */
static void large_values_are_answered_alike(void **state)
{
    static char bytes[SERVED_BYTES / 2];
    int fd;
    (void)state;

    skip_without_redis();
    fd = connect_redis();
    ask_redis(fd, "FLUSHALL\r\n", 10);
    start_ours();
    ours.splits = true;
    ours.limits.payload_bytes_min = 4096;
    for (size_t value = 1; value <= 150000; value = value * 3 / 2 + 1) {
        static const char *const heads[] = {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n",
                                            "*2\r\n$4\r\nECHO\r\n", "*2\r\n$3\r\nGET\r\n",
                                            "*2\r\n$4\r\nINCR\r\n", "*2\r\n$5\r\nNeVeR\r\n"};

        for (size_t n = 0; n < sizeof(heads) / sizeof(heads[0]); n++) {
            size_t size = (size_t)snprintf(bytes, sizeof(bytes), "%s$%zu\r\n", heads[n], value);

            memset(bytes + size, '7', value);
            size += value;
            size += (size_t)snprintf(bytes + size, sizeof(bytes) - size,
                                     "\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
            assert_same(fd, bytes, size);
        }
    }
    stop_ours();
    (void)close(fd);
}

/* Times from now: the two clocks are read at two moments. */
static void times_are_told_alike(void **state)
{
    static const char *const lines[] = {"SET t 1 EX 100000\r\n",
                                        "TTL t\r\n",
                                        "PTTL t\r\n",
                                        "EXPIRETIME t\r\n",
                                        "PEXPIRETIME t\r\n",
                                        "EXPIRE t 200000 GT\r\n",
                                        "TTL t\r\n"};
    int fd;
    (void)state;

    skip_without_redis();
    fd = connect_redis();
    ask_redis(fd, "FLUSHALL\r\n", 10);
    start_ours();
    for (size_t n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
        const int64_t near = (strstr(lines[n], "P") == lines[n] ? 1000 : 1) * NEAR_S;
        int64_t difference;

        ask_redis(fd, lines[n], strlen(lines[n]));
        ours.output_bytes = 0;
        served_send(&ours, lines[n], strlen(lines[n]));
        assert_int_equal(redis.received[0], ours.output[0]);
        difference = strtoll(redis.received + 1, NULL, 10) - strtoll(ours.output + 1, NULL, 10);
        assert_true(difference <= near && difference >= -near);
    }
    stop_ours();
    (void)close(fd);
}

static void who_breaks_the_protocol_is_told_alike(void **state)
{
    static const char *const streams[] = {
        "*x\r\n",      "*\r\n",         "*2147483648\r\n", "*01\r\n",
        "*+1\r\n",     "*1\r\n$-1\r\n", "*1\r\n$x\r\n",    "*1\r\n$536870913\r\n",
        "*1\r\n$\r\n", "*1\r\n:1\r\n",  "*1\r\nPING\r\n",  "*1\r\n\r\n\r\n",
        "SET \"k\r\n", "SET 'k\r\n",    "SET \"k\"x\r\n",  "PING\r\n*1\r\n$x\r\n",
    };
    (void)state;

    skip_without_redis();
    for (size_t n = 0; n < sizeof(streams) / sizeof(streams[0]); n++) {
        const int fd = connect_redis();

        start_ours();
        served_send(&ours, streams[n], strlen(streams[n]));
        assert_true(ours.is_broken);
        redis.size = 0;
        send_redis(fd, streams[n], strlen(streams[n]));
        while (receive_redis(fd))
            ;
        assert_string_equal(ours.output, redis.received);
        stop_ours();
        (void)close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_commands_are_answered_alike),
        cmocka_unit_test(so_they_are_in_protocol_3),
        cmocka_unit_test(so_they_are_in_parts),
        cmocka_unit_test(lines_and_errors_are_answered_alike),
        cmocka_unit_test(large_values_are_answered_alike),
        cmocka_unit_test(times_are_told_alike),
        cmocka_unit_test(who_breaks_the_protocol_is_told_alike),
    };
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
