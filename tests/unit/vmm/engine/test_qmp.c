/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * The client of QEMU's control protocol against a server that the test plays, in one thread, with a
 * clock of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "vmm/engine/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"

struct pair {
    struct vine__qmp *qmp;
    int server;
};

static struct pair begin(void)
{
    struct pair pair;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(vine__qmp_open(ends[0], 1000, &pair.qmp), 0);
    pair.server = ends[1];
    return pair;
}

static void end(struct pair *pair)
{
    vine__qmp_close(pair->qmp);
    (void)close(pair->server);
}

static void say(struct pair *pair, const char *text)
{
    assert_int_equal(send(pair->server, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_heard(struct pair *pair, const char *expected)
{
    char text[1024] = "";
    size_t size = 0;

    while (size < strlen(expected)) {
        const ssize_t got = recv(pair->server, text + size, sizeof(text) - 1 - size, MSG_DONTWAIT);

        if (got <= 0)
            break;
        size += (size_t)got;
    }
    assert_string_equal(text, expected);
}

static struct vine__qmp_message take(struct pair *pair)
{
    struct vine__qmp_message message;

    assert_true(vine__qmp_next(pair->qmp, &message));
    return message;
}

static void expect_none(struct pair *pair)
{
    struct vine__qmp_message message;

    assert_false(vine__qmp_next(pair->qmp, &message));
}

static struct pair begin_ready(void)
{
    struct pair pair = begin();

    say(&pair, GREETING);
    assert_int_equal(vine__qmp_process(pair.qmp, 0), 0);
    expect_heard(&pair, "{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
    say(&pair, "{\"return\": {}, \"id\": 1}\n");
    assert_int_equal(vine__qmp_process(pair.qmp, 0), 0);
    assert_int_equal(take(&pair).kind, VINE__QMP_READY);
    assert_int_equal(vine__qmp_deadline_ns(pair.qmp), VINE_FOREVER);
    return pair;
}

static void a_greeting_is_answered_and_then_commands_go(void **state)
{
    struct pair pair = begin();
    uint64_t id;

    (void)state;
    assert_int_equal(vine__qmp_send(pair.qmp, "stop", NULL, -1, 5, &id), -EAGAIN);
    assert_int_equal(vine__qmp_deadline_ns(pair.qmp), 1000);
    end(&pair);
    pair = begin_ready();
    assert_int_equal(
        vine__qmp_send(pair.qmp, "device_del", json_pack("{s:s}", "id", "a"), -1, 5, &id), 0);
    expect_heard(&pair, "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"a\"},\"id\":2}\n");
    assert_int_equal(id, 2);
    end(&pair);
}

static void answers_find_their_commands_in_any_order(void **state)
{
    struct pair pair = begin_ready();
    struct vine__qmp_message message;
    uint64_t ids[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(vine__qmp_send(pair.qmp, "query-status", NULL, -1, 5, &ids[i]), 0);
    say(&pair, "{\"id\": 3, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\\nway\"}}\n"
               "{\"return\": {\"running\": true}, \"id\": 2}\n");
    assert_int_equal(vine__qmp_process(pair.qmp, 0), 0);
    message = take(&pair);
    assert_int_equal(message.kind, VINE__QMP_ANSWER);
    assert_int_equal(message.id, ids[1]);
    assert_int_equal(message.error, -VINE_EFAILED);
    assert_string_equal(message.text, "no way");
    vine__qmp_message_fini(&message);
    message = take(&pair);
    assert_int_equal(message.id, ids[0]);
    assert_int_equal(message.error, 0);
    assert_true(json_is_true(json_object_get(message.value, "running")));
    vine__qmp_message_fini(&message);
    end(&pair);
}

static void an_event_comes_with_its_data_even_in_pieces(void **state)
{
    static const char text[] = "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}, "
                               "\"timestamp\": {\"seconds\": 1}}\n";
    struct pair pair = begin_ready();
    struct vine__qmp_message message;

    (void)state;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        expect_none(&pair);
        say(&pair, (char[]){text[i], '\0'});
        assert_int_equal(vine__qmp_process(pair.qmp, 0), 0);
    }
    message = take(&pair);
    assert_int_equal(message.kind, VINE__QMP_EVENT);
    assert_string_equal(message.name, "SHUTDOWN");
    assert_string_equal(json_string_value(json_object_get(message.value, "reason")), "guest-reset");
    vine__qmp_message_fini(&message);
    end(&pair);
}

static void a_descriptor_goes_with_its_command_and_no_copy_stays(void **state)
{
    struct pair pair = begin_ready();
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char text[256];
    struct iovec iov = {text, sizeof(text)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct stat ours;
    struct stat theirs;
    int ends[2];
    int fd;
    uint64_t id;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(vine__qmp_send(pair.qmp, "add-fd", NULL, ends[1], 5, &id), 0);
    assert_true(recvmsg(pair.server, &message, MSG_DONTWAIT) > 0);
    assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
    assert_int_equal(fstat(ends[1], &ours) | fstat(fd, &theirs), 0);
    assert_int_equal(ours.st_ino, theirs.st_ino);
    (void)close(fd);
    (void)close(ends[1]);
    /* Nobody holds the writing end any more. */
    assert_int_equal(read(ends[0], text, 1), 0);
    (void)close(ends[0]);
    end(&pair);
}

static void a_command_without_an_answer_times_out_and_a_late_answer_is_dropped(void **state)
{
    struct pair pair = begin_ready();
    struct vine__qmp_message message;
    uint64_t id;

    (void)state;
    assert_int_equal(vine__qmp_send(pair.qmp, "stop", NULL, -1, 500, &id), 0);
    assert_int_equal(vine__qmp_deadline_ns(pair.qmp), 500);
    assert_int_equal(vine__qmp_process(pair.qmp, 499), 0);
    expect_none(&pair);
    assert_int_equal(vine__qmp_process(pair.qmp, 500), 0);
    message = take(&pair);
    assert_int_equal(message.id, id);
    assert_int_equal(message.error, -ETIMEDOUT);
    say(&pair, "{\"return\": {}, \"id\": 2}\n");
    assert_int_equal(vine__qmp_process(pair.qmp, 501), 0);
    expect_none(&pair);
    end(&pair);
}

static void a_server_that_does_not_read_blocks_nobody(void **state)
{
    struct pair pair = begin_ready();
    char *const large = malloc(100001);
    uint64_t id;
    int sent = 0;
    int error;

    (void)state;
    memset(large, 'x', 100000);
    large[100000] = '\0';
    while ((error = vine__qmp_send(pair.qmp, "x", json_pack("{s:s}", "a", large), -1, 500, &id)) ==
           0)
        sent++;
    assert_int_equal(error, -EAGAIN);
    assert_int_equal(sent, VINE__QMP_COMMANDS_MAX);
    assert_true(vine__qmp_wants_write(pair.qmp));
    /* Half a command cannot be taken back. */
    assert_int_equal(vine__qmp_process(pair.qmp, 500), -ETIMEDOUT);
    assert_false(vine__qmp_wants_write(pair.qmp));
    free(large);
    end(&pair);
}

static void a_server_that_does_not_greet_in_time_is_given_up(void **state)
{
    struct pair pair = begin();
    uint64_t id;

    (void)state;
    assert_int_equal(vine__qmp_process(pair.qmp, 999), 0);
    assert_int_equal(vine__qmp_process(pair.qmp, 1000), -ETIMEDOUT);
    /* For ever. */
    say(&pair, GREETING);
    assert_int_equal(vine__qmp_process(pair.qmp, 0), -ETIMEDOUT);
    assert_int_equal(vine__qmp_send(pair.qmp, "stop", NULL, -1, 5, &id), -ETIMEDOUT);
    end(&pair);
}

static void what_is_no_message_of_the_protocol_ends_the_connection(void **state)
{
    static const char *const bad[] = {
        "hello\n",
        "{}\n",
        "[]\n",
        "7\n",
        "{\"return\": {}}\n",
        "{\"return\": {}, \"id\": 0}\n",
        "{\"return\": {}, \"id\": 2}\n", /* never asked */
        "{\"return\": {}, \"id\": \"1\"}\n",
        "{\"return\": {}, \"error\": {}, \"id\": 1}\n",
        "{\"error\": 7, \"id\": 1}\n",
        "{\"event\": 7}\n",
        "{\"event\": \"STOP\", \"data\": 7}\n",
        "{\"event\": \"STOP\", \"event\": \"STOP\"}\n",
        "{\"event\": \"STOP\"\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pair pair = begin_ready();

        say(&pair, bad[i]);
        if (vine__qmp_process(pair.qmp, 0) != -VINE_EPROTOCOL)
            fail_msg("%s", bad[i]);
        expect_none(&pair);
        end(&pair);
    }
    struct pair pair = begin();

    say(&pair, "{\"event\": \"STOP\"}\n");
    assert_int_equal(vine__qmp_process(pair.qmp, 0), -VINE_EPROTOCOL);
    end(&pair);
}

static void a_line_without_end_ends_the_connection(void **state)
{
    struct pair pair = begin_ready();
    char bytes[4096];
    int error = 0;
    size_t total = 0;

    (void)state;
    memset(bytes, ' ', sizeof(bytes));
    while (error == 0 && total < 4 * VINE__QMP_LINE_BYTES) {
        const ssize_t size = send(pair.server, bytes, sizeof(bytes), MSG_DONTWAIT);

        total += size > 0 ? (size_t)size : 0;
        error = vine__qmp_process(pair.qmp, 0);
    }
    assert_int_equal(error, -VINE_EPROTOCOL);
    end(&pair);
}

static void a_flood_of_events_waits_in_the_socket(void **state)
{
    struct pair pair = begin_ready();
    struct vine__qmp_message message;
    const int count = 2 * VINE__QMP_MESSAGES_MAX + 7;
    int taken = 0;

    (void)state;
    static const char line[] = "{\"event\": \"E\"}\n";
    char *const text = calloc((size_t)count, sizeof(line));

    for (int i = 0; i < count; i++)
        memcpy(text + (size_t)i * (sizeof(line) - 1), line, sizeof(line));
    say(&pair, text);
    free(text);
    while (taken < count) {
        const int before = taken;

        assert_int_equal(vine__qmp_process(pair.qmp, 0), 0);
        while (vine__qmp_next(pair.qmp, &message)) {
            vine__qmp_message_fini(&message);
            taken++;
        }
        /* Who polls is told to come again, though the socket has nothing more. */
        assert_true(vine__qmp_deadline_ns(pair.qmp) == (taken < count ? 0 : VINE_FOREVER));
        assert_in_range(taken - before, 1, VINE__QMP_MESSAGES_MAX);
    }
    expect_none(&pair);
    end(&pair);
}

static void what_was_said_before_the_end_is_still_told(void **state)
{
    struct pair pair = begin_ready();
    uint64_t id;

    (void)state;
    /* A command that it never reads: that is no reason to lose its last words. */
    assert_int_equal(vine__qmp_send(pair.qmp, "quit", NULL, -1, 500, &id), 0);
    say(&pair, "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"host-qmp-quit\"}}\n");
    (void)close(pair.server);
    int error = 0;

    for (int turn = 0; turn < 3 && error == 0; turn++)
        error = vine__qmp_process(pair.qmp, 0);
    assert_int_equal(error, -VINE_EPEERLOST);
    struct vine__qmp_message message = take(&pair);

    assert_string_equal(message.name, "SHUTDOWN");
    vine__qmp_message_fini(&message);
    pair.server = -1;
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_is_answered_and_then_commands_go),
        cmocka_unit_test(answers_find_their_commands_in_any_order),
        cmocka_unit_test(an_event_comes_with_its_data_even_in_pieces),
        cmocka_unit_test(a_descriptor_goes_with_its_command_and_no_copy_stays),
        cmocka_unit_test(a_command_without_an_answer_times_out_and_a_late_answer_is_dropped),
        cmocka_unit_test(a_server_that_does_not_read_blocks_nobody),
        cmocka_unit_test(a_server_that_does_not_greet_in_time_is_given_up),
        cmocka_unit_test(what_is_no_message_of_the_protocol_ends_the_connection),
        cmocka_unit_test(a_line_without_end_ends_the_connection),
        cmocka_unit_test(a_flood_of_events_waits_in_the_socket),
        cmocka_unit_test(what_was_said_before_the_end_is_still_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
