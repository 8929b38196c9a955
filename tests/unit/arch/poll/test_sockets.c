/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "poll_tests.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/un.h>

static int listener(struct sockaddr_in *ret_address)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(*ret_address);

    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, size), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

/* A blocking client, of the test itself. */
static int client_of(const struct sockaddr_in *address)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

static void tcp_pair(int pair[2])
{
    struct sockaddr_in address;
    const int listening = listener(&address);

    pair[0] = client_of(&address);
    pair[1] = accept(listening, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listening);
}

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

static void descriptors_that_are_none_are_ebadf(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    char byte = 0;
    struct msghdr message = {0};
    static const uint8_t kinds[] = {
        VINE__POLL_READ,         VINE__POLL_WRITE,
        VINE__POLL_SYNC,         VINE__POLL_CLOSE,
        VINE__POLL_ACCEPT,       VINE__POLL_RECEIVE,
        VINE__POLL_SEND,         VINE__POLL_READY,
        VINE__POLL_CONNECT,      VINE__POLL_RECEIVE_MESSAGE,
        VINE__POLL_SEND_MESSAGE, VINE__POLL_SHUTDOWN,
        VINE__POLL_READV,        VINE__POLL_TRUNCATE,
    };

    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct watched watched = WATCHED(kinds[i], .fd = 999, .bytes = &byte);
        struct sockaddr_in address = {.sin_family = AF_INET};

        if (kinds[i] == VINE__POLL_CONNECT) {
            watched.operation.address = (struct sockaddr *)&address;
            watched.operation.size = sizeof(address);
        } else if (kinds[i] == VINE__POLL_RECEIVE_MESSAGE || kinds[i] == VINE__POLL_SEND_MESSAGE) {
            watched.operation.message = &message;
        } else if (kinds[i] == VINE__POLL_READY) {
            watched.operation.flags = POLLIN;
        }
        (void)run(poller, &watched);
        assert_int_equal(watched.results[0], -EBADF);
    }
    vine__poller_destroy(poller);
}

static void what_is_no_socket_is_enotsock(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char byte = 0;

    assert_int_equal(pipe(pair), 0);
    struct watched send = WATCHED(VINE__POLL_SEND, .fd = pair[1], .bytes = &byte, .size = 1);
    struct watched receive = WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .bytes = &byte, .size = 1);
    struct watched accepting = WATCHED(VINE__POLL_ACCEPT, .fd = pair[0]);

    assert_int_equal(run(poller, &send), -ENOTSOCK);
    assert_int_equal(run(poller, &receive), -ENOTSOCK);
    assert_int_equal(run(poller, &accepting), -ENOTSOCK);
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void nobody_listens_is_econnrefused(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct sockaddr_in address;

    close(listener(&address));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct watched connecting = WATCHED(VINE__POLL_CONNECT, .fd = fd, .size = sizeof(address),
                                        .address = (struct sockaddr *)&address);

    assert_int_equal(run(poller, &connecting), -ECONNREFUSED);
    close(fd);
    vine__poller_destroy(poller);
}

static void connecting_and_accepting_meet(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct sockaddr_in address;
    const int listening = listener(&address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct watched accepting = WATCHED(VINE__POLL_ACCEPT, .fd = listening, .flags = SOCK_CLOEXEC);
    struct watched connecting = WATCHED(VINE__POLL_CONNECT, .fd = fd, .size = sizeof(address),
                                        .address = (struct sockaddr *)&address);

    vine__poller_begin(poller, &accepting.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_int_equal(run(poller, &connecting), 0);
    assert_true(wait_for(poller, &accepting) >= 0);
    assert_int_equal(fcntl(accepting.result, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(accepting.result, F_GETFL) & O_NONBLOCK, 0);

    /* Both ways, and the end of one. */
    char bytes[6] = "";
    struct watched receive =
        WATCHED(VINE__POLL_RECEIVE, .fd = accepting.result, .bytes = bytes, .size = 6);
    struct watched send =
        WATCHED(VINE__POLL_SEND, .fd = fd, .bytes = (void *)(uintptr_t) "hello", .size = 6);

    vine__poller_begin(poller, &receive.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_int_equal(run(poller, &send), 6);
    assert_int_equal(wait_for(poller, &receive), 6);
    assert_string_equal(bytes, "hello");

    struct watched ending = WATCHED(VINE__POLL_SHUTDOWN, .fd = fd, .flags = SHUT_WR);

    receive = WATCHED(VINE__POLL_RECEIVE, .fd = accepting.result, .bytes = bytes, .size = 6);
    assert_int_equal(run(poller, &ending), 0);
    assert_int_equal(run(poller, &receive), 0);

    struct watched closing = WATCHED(VINE__POLL_CLOSE, .fd = accepting.result);

    assert_int_equal(run(poller, &closing), 0);
    assert_int_equal(fcntl(accepting.result, F_GETFD), -1);
    close(listening);
    close(fd);
    vine__poller_destroy(poller);
}

static void a_multishot_accept_takes_one_after_another_until_it_is_cancelled(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct sockaddr_in address;
    const int listening = listener(&address);
    struct watched accepting = WATCHED(VINE__POLL_ACCEPT, .fd = listening, .is_multishot = true);
    int clients[10];

    vine__poller_begin(poller, &accepting.operation);
    for (uint32_t i = 0; i < 10; i++) {
        clients[i] = client_of(&address);
        wait_for_calls(poller, &accepting, i + 1);
        assert_true(accepting.result >= 0);
        assert_int_equal(accepting.flags[i], VINE__POLL_MORE);
    }
    assert_int_equal(vine__poller_pending(poller), 1);
    vine__poller_cancel(poller, &accepting.operation);
    assert_int_equal(accepting.calls, 10);
    assert_int_equal(wait_for(poller, &accepting), -ECANCELED);
    assert_int_equal(accepting.calls, 11);
    for (uint32_t i = 0; i < 10; i++) {
        close(clients[i]);
        close(accepting.results[i]);
    }
    close(listening);
    vine__poller_destroy(poller);
}

static void no_descriptor_left_ends_an_accept_with_emfile_and_the_next_one_goes_on(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct sockaddr_in address;
    const int listening = listener(&address);
    struct rlimit limit;
    struct rlimit none;
    struct watched accepting = WATCHED(VINE__POLL_ACCEPT, .fd = listening, .is_multishot = true);
    const int client = client_of(&address);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const int32_t result = run(poller, &accepting);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -EMFILE);
    assert_int_equal(accepting.calls, 1);
    accepting = WATCHED(VINE__POLL_ACCEPT, .fd = listening);
    assert_true(run(poller, &accepting) >= 0);
    close(accepting.result);
    close(client);
    close(listening);
    vine__poller_destroy(poller);
}

static void a_reset_by_the_peer_is_told_to_who_receives(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char byte;

    tcp_pair(pair);
    struct watched receive = WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .bytes = &byte, .size = 1);

    vine__poller_begin(poller, &receive.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    reset(pair[1]);
    assert_int_equal(wait_for(poller, &receive), -ECONNRESET);

    struct watched send = WATCHED(VINE__POLL_SEND, .fd = pair[0], .bytes = &byte, .size = 1);

    assert_int_equal(run(poller, &send), -EPIPE);
    close(pair[0]);
    vine__poller_destroy(poller);
}

static void receive_send_and_readiness_of_one_descriptor_are_apart(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    static char much[8 << 20];
    char byte = 0;

    tcp_pair(pair);
    struct watched receive = WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .bytes = &byte, .size = 1);
    struct watched send = WATCHED(VINE__POLL_SEND, .fd = pair[0], .bytes = much,
                                  .size = sizeof(much), .flags = MSG_WAITALL);
    struct watched ready = WATCHED(VINE__POLL_READY, .fd = pair[0], .flags = POLLIN);

    /* More than fits: it waits for who reads, while the others wait for who writes. */
    vine__poller_begin(poller, &ready.operation);
    vine__poller_begin(poller, &send.operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    vine__poller_begin(poller, &receive.operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(receive.calls + send.calls + ready.calls, 0);
    assert_int_equal(vine__poller_pending(poller), 3);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(wait_for(poller, &receive), 1);
    assert_int_equal(byte, 'x');
    (void)wait_for(poller, &ready);
    assert_true((ready.result & POLLIN) != 0);
    assert_int_equal(send.calls, 0);

    size_t taken = 0;
    while (taken < sizeof(much)) {
        const ssize_t size = recv(pair[1], much, sizeof(much), MSG_DONTWAIT);

        if (size > 0)
            taken += (size_t)size;
        else
            (void)vine__poller_sleep(poller, UINT32_MAX, 1000000);
    }
    assert_int_equal(wait_for(poller, &send), sizeof(much));
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void a_receive_of_all_waits_for_all_of_it(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char bytes[8] = "";

    tcp_pair(pair);
    struct watched receive =
        WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .bytes = bytes, .size = 7, .flags = MSG_WAITALL);

    vine__poller_begin(poller, &receive.operation);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(receive.calls, 0);
        assert_int_equal(write(pair[1], &"abcdefg"[i], 1), 1);
        (void)vine__poller_poll(poller, UINT32_MAX);
    }
    assert_int_equal(wait_for(poller, &receive), 7);
    assert_string_equal(bytes, "abcdefg");

    /* The end of the stream before all of it: what there was. */
    receive =
        WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .bytes = bytes, .size = 7, .flags = MSG_WAITALL);
    vine__poller_begin(poller, &receive.operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(write(pair[1], "xyz", 3), 3);
    close(pair[1]);
    assert_int_equal(wait_for(poller, &receive), 3);
    close(pair[0]);
    vine__poller_destroy(poller);
}

static void descriptors_pass_with_messages(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    int passed[2];
    char byte = 'p';
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = ""};
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(passed), 0);
    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &passed[1], sizeof(int));
    struct watched send = WATCHED(VINE__POLL_SEND_MESSAGE, .fd = pair[0], .message = &message);
    assert_int_equal(run(poller, &send), 1);

    int taken = -1;
    byte = 0;
    memset(&control, 0, sizeof(control));
    struct watched receive = WATCHED(VINE__POLL_RECEIVE_MESSAGE, .fd = pair[1], .message = &message,
                                     .flags = MSG_CMSG_CLOEXEC);
    assert_int_equal(run(poller, &receive), 1);
    assert_int_equal(byte, 'p');
    assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
    memcpy(&taken, CMSG_DATA(&control.header), sizeof(int));
    assert_int_equal(write(taken, "q", 1), 1);
    assert_int_equal(read(passed[0], &byte, 1), 1);
    assert_int_equal(byte, 'q');
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(passed[i]);
    }
    close(taken);
    vine__poller_destroy(poller);
}

static void a_multishot_readiness_tells_of_each_event(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct watched ready =
        WATCHED(VINE__POLL_READY, .fd = pair[0], .flags = POLLIN, .is_multishot = true);

    vine__poller_begin(poller, &ready.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    for (uint32_t i = 1; i <= 5; i++) {
        assert_int_equal(write(pair[1], "x", 1), 1);
        wait_for_calls(poller, &ready, i);
        assert_int_equal(ready.flags[i - 1], VINE__POLL_MORE);
        assert_true((ready.result & POLLIN) != 0);
        assert_int_equal(read(pair[0], &byte, 1), 1);
    }
    /* What stays as it is is no event. */
    assert_int_equal(write(pair[1], "x", 1), 1);
    wait_for_calls(poller, &ready, 6);
    for (int i = 0; i < 10; i++)
        (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(ready.calls, 6);
    vine__poller_cancel(poller, &ready.operation);
    assert_int_equal(wait_for(poller, &ready), -ECANCELED);
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void reads_and_writes_of_pipes_wait_for_the_other_end(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    int pair[2];
    static char much[1 << 20];
    char bytes[4] = "";
    size_t taken = 0;

    assert_int_equal(pipe(pair), 0);
    struct watched reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = bytes, .size = 4,
                                     .offset = VINE__POLL_STREAM);
    struct iovec vector = {.iov_base = much, .iov_len = sizeof(much)};

    vine__poller_begin(poller, &reading.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    assert_int_equal(write(pair[1], "abc", 3), 3);
    assert_int_equal(wait_for(poller, &reading), 3);
    assert_memory_equal(bytes, "abc", 3);

    /* More than the pipe holds: what fits is written, and the next write waits for room. */
    struct watched writing = WATCHED(VINE__POLL_WRITEV, .fd = pair[1], .vector = &vector, .size = 1,
                                     .offset = VINE__POLL_STREAM);
    size_t written = (size_t)run(poller, &writing);

    assert_in_range(written, 1, sizeof(much) - 1);
    struct watched next = WATCHED(VINE__POLL_WRITE, .fd = pair[1], .bytes = much, .size = 1,
                                  .offset = VINE__POLL_STREAM);

    vine__poller_begin(poller, &next.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    while (taken < written) {
        const ssize_t size = read(pair[0], much, sizeof(much));

        assert_true(size > 0);
        taken += (size_t)size;
    }
    assert_int_equal(wait_for(poller, &next), 1);

    reading = WATCHED(VINE__POLL_READ, .fd = pair[0], .bytes = bytes, .size = 4,
                      .offset = VINE__POLL_STREAM);
    assert_int_equal(read(pair[0], bytes, 1), 1);
    vine__poller_begin(poller, &reading.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    close(pair[1]);
    assert_int_equal(wait_for(poller, &reading), 0);
    close(pair[0]);
    vine__poller_destroy(poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_that_are_none_are_ebadf),
        cmocka_unit_test(what_is_no_socket_is_enotsock),
        cmocka_unit_test(nobody_listens_is_econnrefused),
        cmocka_unit_test(connecting_and_accepting_meet),
        cmocka_unit_test(a_multishot_accept_takes_one_after_another_until_it_is_cancelled),
        cmocka_unit_test(no_descriptor_left_ends_an_accept_with_emfile_and_the_next_one_goes_on),
        cmocka_unit_test(a_reset_by_the_peer_is_told_to_who_receives),
        cmocka_unit_test(receive_send_and_readiness_of_one_descriptor_are_apart),
        cmocka_unit_test(a_receive_of_all_waits_for_all_of_it),
        cmocka_unit_test(descriptors_pass_with_messages),
        cmocka_unit_test(a_multishot_readiness_tells_of_each_event),
        cmocka_unit_test(reads_and_writes_of_pipes_wait_for_the_other_end),
    };
    return RUN_OVER_BACKENDS(tests);
}
