/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Unix sockets: names, and descriptors that travel. */
#include "network_tests.h"

#include "harness/folder.h"

#include <dirent.h>
#include <sys/stat.h>

static char folder[] = "/tmp/vine-network-XXXXXX";

static uint32_t open_descriptors(void)
{
    DIR *const entries = opendir("/proc/self/fd");
    uint32_t count = 0;

    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Who asks whether somebody lives there has been a client for a moment. */
static void close_all(struct arrivals *arrivals)
{
    close_listener(arrivals);
    for (uint32_t i = 0; i < arrivals->count; i++)
        close_connection(arrivals->connections[i]);
}

static void a_name_of_a_living_listener_is_refused(void **state)
{
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    struct vine_listener *second = NULL;
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    (void)snprintf(text, sizeof(text), "unix:%s/socket", folder);
    listen_at(&arrivals, text, VINE_BALANCE_REUSE_PORT);
    address = address_of(text);
    assert_int_equal(vine_listen(&address, NULL, keep_arrival, NULL, &second), -EADDRINUSE);
    close_all(&arrivals);
    address = address_of(local_address());
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    assert_int_equal(vine_listen(&address, NULL, keep_arrival, NULL, &second), -EADDRINUSE);
    close_all(&arrivals);
    close_cores();
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_listener *listener = NULL;
    struct vine_address address;
    struct stat found;

    (void)state;
    open_cores(1);
    (void)snprintf(text, sizeof(text), "unix:%s/file", folder);
    const int fd = open(text + 5, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    address = address_of(text);
    assert_int_equal(vine_listen(&address, NULL, keep_arrival, NULL, &listener), -EADDRINUSE);
    assert_int_equal(stat(text + 5, &found), 0);
    assert_true(S_ISREG(found.st_mode));
    close_cores();
}

static void a_name_that_is_left_over_is_taken_over_and_removed_at_the_end(void **state)
{
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    struct arrivals arrivals;
    struct stat found;

    (void)state;
    open_cores(1);
    (void)snprintf(text, sizeof(text), "unix:%s/socket", folder);
    address = address_of(text);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, &address.any, address.size_bytes), 0);
    close(fd); /* the name stays */
    listen_at(&arrivals, text, VINE_BALANCE_HERE);
    assert_int_equal(stat(text + 5, &found), 0);
    assert_true(S_ISSOCK(found.st_mode));
    assert_int_equal(found.st_mode & 0077, 0); /* nobody else's */
    struct vine_connection *const client = connect_to(&arrivals.address);

    until(arrivals.count == 1);
    close_connection(client);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    assert_int_equal(stat(text + 5, &found), -1);
    close_cores();
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct carried {
    struct received received;
    char bytes[16];
    int descriptors[VINE_DESCRIPTORS_MAX];
};

static int64_t receive_carried(struct vine_connection *connection, struct carried *carried,
                               uint32_t count_max)
{
    memset(carried, 0, sizeof(*carried));
    vine_receive_descriptors(connection, &carried->received.receive, carried->bytes,
                             sizeof(carried->bytes), carried->descriptors, count_max, on_received);
    until(carried->received.calls == 1);
    return carried->received.size;
}

/* What a peer that is no friend sends: `count` descriptors with one byte. */
static void send_plainly(int fd, uint32_t count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {0};
    struct iovec piece = {.iov_base = (char[]){"!"}, .iov_len = 1};
    struct msghdr header = {.msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *const first = CMSG_FIRSTHDR(&header);

    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (uint32_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(first) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
    assert_int_equal(sendmsg(fd, &header, 0), 1);
}

static void more_descriptors_than_there_is_room_for_are_refused_and_closed(void **state)
{
    static const uint32_t counts[] = {2, 3, 17, 18, 100, 253};
    struct arrivals arrivals;
    struct carried carried;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);
    const uint32_t before = open_descriptors();

    for (uint32_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        send_plainly(fd, counts[i]);
        assert_int_equal(receive_carried(arrivals.connections[0], &carried,
                                         counts[i] <= 3 ? 1 : VINE_DESCRIPTORS_MAX),
                         -EMSGSIZE);
        assert_int_equal(carried.received.receive.descriptor_count, 0);
        assert_int_equal(open_descriptors(), before);
    }
    close(fd);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
}

static void descriptors_that_nobody_asked_for_are_dropped(void **state)
{
    struct arrivals arrivals;
    struct received received;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    const int fd = connect_plainly(&arrivals);
    const uint32_t before = open_descriptors();

    for (int i = 0; i < 10; i++) {
        send_plainly(fd, 253);
        assert_int_equal(receive_one(arrivals.connections[0], &received), 1);
        assert_int_equal(open_descriptors(), before);
    }
    close(fd);
    close_connection(arrivals.connections[0]);
    close_listener(&arrivals);
    close_cores();
}

static void descriptors_do_not_go_where_they_cannot(void **state)
{
    const int many[VINE_DESCRIPTORS_MAX + 1] = {0};
    struct sent sent = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, "127.0.0.1:0");
    vine_send_descriptors(pair.client, &sent.send, "x", 1, many, 1, on_sent);
    until(sent.calls == 1);
    assert_int_equal(sent.error, -EOPNOTSUPP);
    close_pair(&pair);
    open_pair(&pair, local_address());
    vine_send_descriptors(pair.client, &sent.send, "x", 1, many, VINE_DESCRIPTORS_MAX + 1, on_sent);
    until(sent.calls == 2);
    assert_int_equal(sent.error, -EINVAL);
    vine_send_descriptors(pair.client, &sent.send, "", 0, many, 1, on_sent);
    until(sent.calls == 3);
    assert_int_equal(sent.error, -EINVAL);
    vine_send_descriptors(pair.client, &sent.send, "x", 1, (int[]){-1}, 1, on_sent);
    until(sent.calls == 4);
    assert_int_equal(sent.error, -EBADF);
    close_pair(&pair);
    close_cores();
}

static void descriptors_arrive_as_what_they_were(void **state)
{
    struct sent sent = {.calls = 0};
    struct carried carried;
    struct pair pair;
    int ends[2];
    char byte;

    (void)state;
    open_cores(1);
    open_pair(&pair, local_address());
    for (uint32_t count = 1; count <= VINE_DESCRIPTORS_MAX; count += 5) {
        int descriptors[VINE_DESCRIPTORS_MAX];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        for (uint32_t i = 0; i < count; i++)
            descriptors[i] = ends[1];
        sent.calls = 0;
        vine_send_descriptors(pair.client, &sent.send, "take", 4, descriptors, count, on_sent);
        until(sent.calls == 1);
        assert_int_equal(sent.error, 0);
        assert_int_equal(receive_carried(pair.server, &carried, count), 4);
        assert_memory_equal(carried.bytes, "take", 4);
        assert_int_equal(carried.received.receive.descriptor_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(fcntl(carried.descriptors[i], F_GETFD), FD_CLOEXEC);
            assert_int_equal(write(carried.descriptors[i], "x", 1), 1);
            assert_int_equal(read(ends[0], &byte, 1), 1);
            close(carried.descriptors[i]);
        }
        close(ends[0]);
        close(ends[1]);
    }
    /* Bytes alone come with none. */
    assert_int_equal(send_all(pair.client, "plain", 5), 0);
    assert_int_equal(receive_carried(pair.server, &carried, 1), 5);
    assert_int_equal(carried.received.receive.descriptor_count, 0);
    close_pair(&pair);
    close_cores();
}

static void a_receive_of_descriptors_ends_at_its_deadline_and_with_the_stream(void **state)
{
    struct carried carried = {.received.calls = 0};
    struct sent sent = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, local_address());
    carried.received.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + VINE_NS_PER_SECOND;
    vine_receive_descriptors(pair.server, &carried.received.receive, carried.bytes, 1,
                             carried.descriptors, 1, on_received);
    step_often();
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(carried.received.calls == 1);
    assert_int_equal(carried.received.size, -ETIMEDOUT);
    vine_shutdown_send(pair.client, &sent.send, on_sent);
    assert_int_equal(receive_carried(pair.server, &carried, 1), 0);
    close_pair(&pair);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_a_living_listener_is_refused),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_name_that_is_left_over_is_taken_over_and_removed_at_the_end),
        cmocka_unit_test(more_descriptors_than_there_is_room_for_are_refused_and_closed),
        cmocka_unit_test(descriptors_that_nobody_asked_for_are_dropped),
        cmocka_unit_test(descriptors_do_not_go_where_they_cannot),
        cmocka_unit_test(descriptors_arrive_as_what_they_were),
        cmocka_unit_test(a_receive_of_descriptors_ends_at_its_deadline_and_with_the_stream),
    };

    if (folder_make(folder) != 0)
        return 1;
    return run_by_both(tests);
}
