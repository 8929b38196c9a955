/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime links=hiredis */
/*
 * `vine serve resp` and its clients: hiredis, with answers awaited and with callbacks; large values
 * through small heaps; clients that are slow, never read, half close, or go in the middle.
 */
#include "harness/logged.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <vine/resp.h>

#define LARGE_BYTES (3 << 20)
#define MANY        1000

/* How the service is started. */
struct way {
    const char *isolate, *backend, *heap;
};

static const struct way *way;
static struct vine_address address;
static pid_t serving;
static char *large;
static const char *cores = "--smp=1";

static void start_with(const char *option)
{
    static char program[1024];
    char isolate[64], backend[64], heap[64];

    assert_non_null(getenv("VINE_BUILD_DIR"));
    (void)snprintf(program, sizeof(program), "%s/vine-serve", getenv("VINE_BUILD_DIR"));
    (void)snprintf(isolate, sizeof(isolate), "--isolate=%s", way->isolate);
    (void)snprintf(backend, sizeof(backend), "--reactor-backend=%s", way->backend);
    (void)snprintf(heap, sizeof(heap), "--heap=%s", way->heap);
    logged_start(NULL, NULL, program,
                 WORDS(program, "resp", isolate, backend, heap, "--listen=127.0.0.1:0", cores,
                       "--overprovisioned", "--memory=256M", "--blocked-reactor-notify-ms=10000",
                       option));
}

static void start(const char *option)
{
    start_with(option);
    address = listening_address();
    serving = (pid_t)strtol(listen_for("process 0 (pid ") + 15, NULL, 10);
    (void)listen_for("ready");
}

static void stop(void)
{
    assert_int_equal(logged_stop(), 0);
    assert_false(was_said(" error "));
}

static int open_all(void **state)
{
    large = malloc(LARGE_BYTES);
    for (uint32_t n = 0, state_now = 1; large != NULL && n < LARGE_BYTES; n++) {
        state_now = state_now * 1664525 + 1013904223;
        large[n] = (char)(state_now >> 24);
    }
    return logged_open(state) != 0 || large == NULL;
}

static int close_all(void **state)
{
    free(large);
    return logged_close(state);
}

/* ---- hiredis --------------------------------------------------------------------------------- */

static redisContext *connect_hiredis(void)
{
    const struct timeval hang = {.tv_sec = HANG_MS / 1000};
    redisContext *const context = redisConnect("127.0.0.1", ntohs(address.ip4.sin_port));

    assert_true(context != NULL && context->err == 0);
    assert_int_equal(redisSetTimeout(context, hang), REDIS_OK);
    return context;
}

static redisReply *next_reply(redisContext *context)
{
    void *reply = NULL;

    if (redisGetReply(context, &reply) != REDIS_OK)
        fail_msg("hiredis: %s", context->errstr);
    assert_non_null(reply);
    return reply;
}

static void expect_integer(redisContext *context, int64_t wanted)
{
    redisReply *const reply = next_reply(context);

    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, wanted);
    freeReplyObject(reply);
}

static void expect_bytes(redisContext *context, int type, const char *bytes, size_t size)
{
    redisReply *const reply = next_reply(context);

    assert_int_equal(reply->type, type);
    assert_int_equal(reply->len, size);
    assert_memory_equal(reply->str, bytes, size);
    freeReplyObject(reply);
}

static void a_pipeline_of_hiredis_is_answered_in_order(void **state)
{
    redisContext *context;
    char text[32];
    (void)state;

    start(NULL);
    context = connect_hiredis();
    for (int n = 0; n < MANY; n++) {
        assert_int_equal(redisAppendCommand(context, "SET key:%d %d", n, n), REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "GET key:%d", n), REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "INCR count"), REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "GET none:%d", n), REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "INCR key:%d more", n), REDIS_OK);
    }
    for (int n = 0; n < MANY; n++) {
        expect_bytes(context, REDIS_REPLY_STATUS, "OK", 2);
        expect_bytes(context, REDIS_REPLY_STRING, text,
                     (size_t)snprintf(text, sizeof(text), "%d", n));
        expect_integer(context, n + 1);
        expect_bytes(context, REDIS_REPLY_NIL, "", 0);
        expect_bytes(context, REDIS_REPLY_ERROR, "ERR wrong number of arguments for 'incr' command",
                     48);
    }
    redisFree(context);
    stop();
}

static void values_are_larger_than_heaps(void **state)
{
    static const size_t sizes[] = {0,     1,     4095,   4096,    4097,       16383,
                                   16384, 16385, 100000, 1000000, LARGE_BYTES};
    const size_t count = sizeof(sizes) / sizeof(sizes[0]);
    redisContext *context;
    redisReply *reply;
    (void)state;

    start(NULL);
    context = connect_hiredis();
    for (size_t n = 0; n < count; n++) {
        /* hiredis reads when all is written, and what is not read holds up what is executed. */
        assert_int_equal(redisAppendCommand(context, "SET k%d %b", (int)n, large, sizes[n]),
                         REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "GET k%d", (int)n), REDIS_OK);
        expect_bytes(context, REDIS_REPLY_STATUS, "OK", 2);
        expect_bytes(context, REDIS_REPLY_STRING, large, sizes[n]);
        assert_int_equal(redisAppendCommand(context, "ECHO %b", large, sizes[n]), REDIS_OK);
        expect_bytes(context, REDIS_REPLY_STRING, large, sizes[n]);
        assert_int_equal(redisAppendCommand(context, "SET %b x", large, sizes[n]), REDIS_OK);
        assert_int_equal(redisAppendCommand(context, "MGET k%d %b", (int)n, large, sizes[n]),
                         REDIS_OK);
        expect_bytes(context, REDIS_REPLY_STATUS, "OK", 2);
        reply = next_reply(context);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->elements, 2);
        assert_int_equal(reply->element[0]->len, sizes[n]);
        assert_memory_equal(reply->element[0]->str, large, sizes[n]);
        assert_string_equal(reply->element[1]->str, "x");
        freeReplyObject(reply);
    }
    redisFree(context);
    stop();
}

static void commands_have_more_arguments_than_a_heap_has_room_for(void **state)
{
    const size_t count = 2 * 20000 + 1;
    const char **const words = calloc(count, sizeof(*words));
    size_t *const sizes = calloc(count, sizeof(*sizes));
    redisContext *context;
    redisReply *reply;
    (void)state;

    assert_true(words != NULL && sizes != NULL);
    start(NULL);
    context = connect_hiredis();
    for (size_t n = 1; n < count; n++) {
        words[n] = large + 3 * n;
        sizes[n] = 8;
    }
    words[0] = "MSET";
    sizes[0] = 4;
    assert_int_equal(redisAppendCommandArgv(context, (int)count, words, sizes), REDIS_OK);
    expect_bytes(context, REDIS_REPLY_STATUS, "OK", 2);
    for (size_t n = 1; n <= count / 2; n++)
        words[n] = words[2 * n - 1];
    words[0] = "MGET";
    assert_int_equal(redisAppendCommandArgv(context, (int)(count / 2 + 1), words, sizes), REDIS_OK);
    reply = next_reply(context);
    assert_int_equal(reply->elements, count / 2);
    for (size_t n = 1; n <= count / 2; n++) {
        assert_int_equal(reply->element[n - 1]->len, 8);
        assert_memory_equal(reply->element[n - 1]->str, words[n] + 3, 8);
    }
    freeReplyObject(reply);
    redisFree(context);
    free(words);
    free(sizes);
    stop();
}

/* Callbacks: this is the loop that hiredis is given. */
static struct {
    bool wants_to_write;
    uint32_t replies;
    bool is_over;
} loop;

static void want_write(void *nothing)
{
    (void)nothing;
    loop.wants_to_write = true;
}

static void want_no_write(void *nothing)
{
    (void)nothing;
    loop.wants_to_write = false;
}

static void see_reply(redisAsyncContext *context, void *given, void *wanted)
{
    const redisReply *const reply = given;

    (void)context;
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, (uintptr_t)wanted);
    loop.replies++;
}

static void see_over(const redisAsyncContext *context, int status)
{
    (void)context;
    assert_int_equal(status, REDIS_OK);
    loop.is_over = true;
}

static void so_are_those_with_callbacks(void **state)
{
    redisAsyncContext *context;
    (void)state;

    start(NULL);
    memset(&loop, 0, sizeof(loop));
    context = redisAsyncConnect("127.0.0.1", ntohs(address.ip4.sin_port));
    assert_true(context != NULL && context->err == 0);
    context->ev.addWrite = want_write;
    context->ev.delWrite = want_no_write;
    (void)redisAsyncSetDisconnectCallback(context, see_over);
    loop.wants_to_write = true;
    for (uintptr_t n = 1; n <= MANY; n++)
        assert_int_equal(redisAsyncCommand(context, see_reply, (void *)n, "INCR count"), REDIS_OK);
    redisAsyncDisconnect(context); /* behind the last reply */
    while (!loop.is_over) {
        struct pollfd ready = {
            .fd = context->c.fd,
            .events = (short)(POLLIN | (loop.wants_to_write ? POLLOUT : 0)),
        };

        assert_int_equal(poll(&ready, 1, HANG_MS), 1);
        if ((ready.revents & POLLOUT) != 0)
            redisAsyncHandleWrite(context);
        if (!loop.is_over && (ready.revents & (POLLIN | POLLHUP)) != 0)
            redisAsyncHandleRead(context);
    }
    assert_int_equal(loop.replies, MANY);
    stop();
}

/* ---- by hand --------------------------------------------------------------------------------- */

static int connect_plain(void)
{
    const struct timeval hang = {.tv_sec = HANG_MS / 1000};
    const int fd = try_connect(&address);
    const int one = 1;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof(hang)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &hang, sizeof(hang)), 0);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        assert_true(sent > 0);
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

static void send_line(int fd, const char *line)
{
    send_text(fd, line);
    send_text(fd, "\r\n");
}

static void receive_all(int fd, char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t part = recv(fd, bytes + done, size - done, 0);

        if (part <= 0)
            fail_msg("the end, and not %zu bytes more", size - done);
        done += (size_t)part;
    }
}

static void receive(int fd, const char *wanted)
{
    char bytes[1024];

    receive_all(fd, bytes, strlen(wanted));
    assert_memory_equal(bytes, wanted, strlen(wanted));
}

static void receive_end(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* A number of INFO. */
static uint64_t tells(int fd, const char *field)
{
    char text[8192], *at;
    size_t size = 0;

    send_line(fd, "INFO");
    do {
        const ssize_t part = recv(fd, text + size, sizeof(text) - 1 - size, 0);

        assert_true(part > 0);
        size += (size_t)part;
        text[size] = '\0';
        at = strchr(text, '\n');
    } while (at == NULL || size < (size_t)(at + 1 - text) + strtoul(text + 1, NULL, 10) + 2);
    at = strstr(text, field);
    assert_non_null(at);
    return strtoull(at + strlen(field) + 1, NULL, 10);
}

static void replies_to_what_came_together_go_out_together(void **state)
{
    static const char pings[] = "PING\r\nPING\r\nPING\r\nPING\r\nPING\r\nPING\r\nPING\r\nPING\r\n";
    static const char pongs[] = "+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n";
    char bytes[256];
    int fd;
    (void)state;

    start(NULL);
    fd = connect_plain();
    send_all(fd, pings, sizeof(pings) - 1);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), sizeof(pongs) - 1 + 7);
    assert_memory_equal(bytes, pongs, sizeof(pongs) - 1);
    (void)close(fd);
    stop();
}

static void who_half_closes_is_answered_first(void **state)
{
    int fd;
    (void)state;

    start(NULL);
    fd = connect_plain();
    send_line(fd, "SET a 1");
    send_line(fd, "ECHO \"two words\"");
    send_line(fd, "QUIT");
    send_line(fd, "PING");
    receive(fd, "+OK\r\n$9\r\ntwo words\r\n+OK\r\n");
    receive_end(fd);
    (void)close(fd);
    fd = connect_plain();
    send_line(fd, "GET a");
    send_line(fd, "INCR a");
    send_text(fd, "*2\r\n$4\r\nECHO\r\n$10000\r\nabc");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    receive(fd, "$1\r\n1\r\n:2\r\n");
    receive_end(fd);
    (void)close(fd);
    stop();
}

static void what_breaks_the_protocol_is_told_why(void **state)
{
    static const struct {
        const char *sent, *told;
    } wrong[] = {
        {"*2\r\n+4\r\n", "-ERR Protocol error: expected '$', got '+'\r\n"},
        {"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"*1048577\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
        {"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
        {"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
        {"PING \"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
    };
    (void)state;

    start(NULL);
    for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++) {
        const int fd = connect_plain();

        send_line(fd, "PING");
        send_text(fd, wrong[n].sent);
        receive(fd, "+PONG\r\n");
        receive(fd, wrong[n].told);
        receive_end(fd);
        (void)close(fd);
    }
    stop();
}

static void who_wants_protocol_3_is_told_in_it(void **state)
{
    static const struct vine_resp_reply_limits limits = {
        .depth_max = 4, .count_max = 100, .bulk_bytes_max = 1000, .line_bytes_max = 1000};
    struct vine_resp_reply_parser parser;
    struct vine_resp_element element = {.is_last = false};
    char bytes[4096];
    size_t size = 0, at = 0;
    uint32_t seen = 0;
    int fd;
    (void)state;

    start(NULL);
    fd = connect_plain();
    send_line(fd, "HELLO 3");
    vine_resp_reply_parser_init(&parser, &limits);
    while (!element.is_last) {
        const enum vine_resp_status status =
            vine_resp_parse_reply(&parser, bytes + at, size - at, &element);

        if (status == VINE_RESP_COMPLETE) {
            at += parser.consumed_bytes;
            if (seen++ == 0)
                assert_int_equal(element.type, VINE_RESP_MAP);
            continue;
        }
        assert_int_equal(status, VINE_RESP_MORE);
        const ssize_t part = recv(fd, bytes + size, sizeof(bytes) - size, 0);

        assert_true(part > 0);
        size += (size_t)part;
    }
    assert_int_equal(seen, 1 + 14); /* seven pairs, of which one is an empty array */
    assert_int_equal(at, size);
    send_line(fd, "GET none");
    receive(fd, "_\r\n");
    (void)close(fd);
    stop();
}

/* ---- clients that do not behave -------------------------------------------------------------- */

static void who_sends_bytes_one_by_one_holds_up_nobody(void **state)
{
    static const char head[] = "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5000\r\n";
    char command[sizeof(head) - 1 + 5002];
    int slow, quick;
    (void)state;

    memcpy(command, head, sizeof(head) - 1);
    memcpy(command + sizeof(head) - 1, large, 5000);
    memcpy(command + sizeof(command) - 2, "\r\n", 2);
    start(NULL);
    slow = connect_plain();
    quick = connect_plain();
    for (size_t n = 0; n < sizeof(command); n++) {
        send_all(slow, &command[n], 1);
        if (n % 100 == 0) {
            send_line(quick, "PING");
            receive(quick, "+PONG\r\n");
        }
    }
    receive(slow, "+OK\r\n");
    (void)close(slow);
    (void)close(quick);
    stop();
}

/* In KiB, of the process that serves. */
static uint64_t resident(void)
{
    char path[64], line[256];
    uint64_t pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)serving);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    pages = strtoull(strchr(line, ' '), NULL, 10);
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void who_never_reads_costs_no_memory(void **state)
{
    uint32_t count = 0, large_count = 0;
    char head[64], end[2];
    uint64_t before;
    int greedy, other;
    char *value;
    (void)state;

    start(NULL);
    greedy = connect_plain();
    other = connect_plain();
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n", LARGE_BYTES);
    send_text(other, head);
    send_all(other, large, LARGE_BYTES);
    send_text(other, "\r\n");
    receive(other, "+OK\r\n");
    before = resident();
    for (int n = 0; n < 100; n++) /* 300 MiB */
        send_line(greedy, "GET a");
    for (int n = 0; n < 100; n++) {
        send_line(other, "PING");
        receive(other, "+PONG\r\n");
    }
    if (before < 100 * 1024) /* a sanitizer's is what it is */
        assert_true(resident() < before + (30 << 10));
    /* Its value goes while it is told of it: it is told whole what it was told at all. */
    send_line(other, "DEL a");
    receive(other, ":1\r\n");
    value = malloc(LARGE_BYTES);
    assert_non_null(value);
    (void)snprintf(head, sizeof(head), "$%d\r\n", LARGE_BYTES);
    for (bool is_there = true; count < 100; count++) {
        receive_all(greedy, end, 2);
        if (end[1] == '-')
            is_there = false;
        receive(greedy, is_there ? head + 2 : "1\r\n");
        if (!is_there)
            continue;
        receive_all(greedy, value, LARGE_BYTES);
        assert_memory_equal(value, large, LARGE_BYTES);
        receive(greedy, "\r\n");
        large_count++;
    }
    assert_in_range(large_count, 1, 20); /* in what the kernel keeps of a connection */
    free(value);
    (void)close(greedy);
    (void)close(other);
    stop();
}

static void who_goes_in_the_middle_leaves_nothing(void **state)
{
    uint64_t before;
    int other;
    (void)state;

    start(NULL);
    other = connect_plain();
    send_line(other, "SET a 1");
    receive(other, "+OK\r\n");
    before = tells(other, "used_memory");
    for (int n = 0; n < 20; n++) {
        const int fd = connect_plain();

        send_text(fd, "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n5\r\n$1\r\nb\r\n$100000\r\n");
        send_all(fd, large, (size_t)n * 4000);
        (void)close(fd);
    }
    /* A guard against hangs is the test's own time. */
    while (tells(other, "total_connections_received") != 21 ||
           tells(other, "connected_clients") != 1)
        continue;
    assert_int_equal(tells(other, "used_memory"), before);
    send_line(other, "MGET a b");
    receive(other, "*2\r\n$1\r\n1\r\n$-1\r\n");
    (void)close(other);
    stop();
}

static void the_bound_on_memory_is_kept_and_told(void **state)
{
    char head[64];
    int fd;
    (void)state;

    start("--max-memory=2M");
    fd = connect_plain();
    send_line(fd, "SET a 1");
    receive(fd, "+OK\r\n");
    (void)snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n", LARGE_BYTES);
    send_text(fd, head);
    send_all(fd, large, LARGE_BYTES);
    send_text(fd, "\r\n");
    receive(fd, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    send_line(fd, "GET a");
    receive(fd, "$1\r\n1\r\n");
    assert_int_equal(tells(fd, "maxmemory"), 2 << 20);
    assert_int_equal(tells(fd, "refused_for_memory"), 1);
    (void)close(fd);
    stop();
}

static void on_more_cores_there_is_one_keyspace_too(void **state)
{
    int fds[8];
    (void)state;

    cores = "--smp=2";
    start(NULL);
    cores = "--smp=1";
    for (int n = 0; n < 8; n++)
        fds[n] = connect_plain();
    for (int round = 0; round < 50; round++)
        for (int n = 0; n < 8; n++) {
            char wanted[32];

            send_line(fds[n], "INCR count");
            (void)snprintf(wanted, sizeof(wanted), ":%d\r\n", 8 * round + n + 1);
            receive(fds[n], wanted);
        }
    assert_int_equal(tells(fds[0], "connected_clients"), 8);
    for (int n = 0; n < 8; n++)
        (void)close(fds[n]);
    stop();
}

static void more_processes_than_one_are_refused(void **state)
{
    (void)state;
    start_with("--processes=2");
    (void)listen_for("--processes 1");
    assert_int_equal(logged_end(), 2);
}

int main(void)
{
    static const struct way ways[] = {
        {"none", "io_uring", "64K"}, {"mprotect", "io_uring", "8K"}, {"none", "epoll", "64K"}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipeline_of_hiredis_is_answered_in_order),
        cmocka_unit_test(values_are_larger_than_heaps),
        cmocka_unit_test(commands_have_more_arguments_than_a_heap_has_room_for),
        cmocka_unit_test(so_are_those_with_callbacks),
        cmocka_unit_test(replies_to_what_came_together_go_out_together),
        cmocka_unit_test(who_half_closes_is_answered_first),
        cmocka_unit_test(what_breaks_the_protocol_is_told_why),
        cmocka_unit_test(who_wants_protocol_3_is_told_in_it),
        cmocka_unit_test(who_sends_bytes_one_by_one_holds_up_nobody),
        cmocka_unit_test(who_never_reads_costs_no_memory),
        cmocka_unit_test(who_goes_in_the_middle_leaves_nothing),
        cmocka_unit_test(the_bound_on_memory_is_kept_and_told),
        cmocka_unit_test(on_more_cores_there_is_one_keyspace_too),
        cmocka_unit_test(more_processes_than_one_are_refused),
    };
    int failed = 0;

    for (size_t n = 0; n < sizeof(ways) / sizeof(ways[0]); n++) {
        way = &ways[n];
        failed += cmocka_run_group_tests_name(way->isolate, tests, open_all, close_all);
    }
    return failed;
}
