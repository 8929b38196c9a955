/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Files that go out by the kernel: where that cannot be, one that is cut off, a peer that does not
 * read, and all of it in its order. */
#include "network_tests.h"

#define FILE_BYTES (3 * 1024 * 1024 + 17)

/* An open file of so many bytes, of a pattern, without a name. */
static int make_file(size_t size)
{
    char name[] = "/tmp/vine-send-file-XXXXXX";
    const int fd = mkstemp(name);
    unsigned char *const bytes = malloc(size);

    assert_true(fd >= 0 && bytes != NULL);
    unlink(name);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 4096);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
    return fd;
}

struct served {
    struct arrivals arrivals;
    struct vine_connection *connection;
    int peer; /* which does not block */
    int file;
};

static void open_served(struct served *served, const char *address)
{
    open_cores(1);
    listen_at(&served->arrivals, address, VINE_BALANCE_HERE);
    served->peer = connect_plainly(&served->arrivals);
    served->connection = served->arrivals.connections[0];
    assert_int_equal(fcntl(served->peer, F_SETFL, O_NONBLOCK), 0);
    served->file = make_file(FILE_BYTES);
}

static void close_served(struct served *served)
{
    close(served->peer);
    close(served->file);
    close_connection(served->connection);
    close_listener(&served->arrivals);
    close_cores();
}

static void expect_pattern(struct served *served, size_t from, size_t size)
{
    unsigned char bytes[65536];

    for (size_t done = 0; done < size;) {
        const size_t left = size - done;
        const ssize_t part = read(served->peer, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

        for (ssize_t i = 0; i < part; i++) {
            const size_t at = from + done + (size_t)i;

            assert_int_equal(bytes[i], (unsigned char)(at * 7 + at / 4096));
        }
        if (part > 0)
            done += (size_t)part;
        else
            assert_true(part < 0 && errno == EAGAIN);
        step_all();
    }
}

static void pipes_send_no_files(void **state)
{
    struct vine_connection *connection;
    int in[2], out[2];

    (void)state;
    open_cores(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &connection), 0);
    assert_false(vine__connection_sends_files(connection));
    close_connection(connection);
    close(in[1]);
    close(out[0]);
    close_cores();
}

/* All of it, part by part, while the peer reads. Returns how it has ended. */
static int send_file(struct served *served, size_t at, size_t size)
{
    for (size_t done = 0; done < size;) {
        struct sent sent = {.calls = 0};

        vine__send_file(served->connection, &sent.send, &served->file, at + done, size - done,
                        on_sent);
        assert_int_equal(sent.calls, 0);
        until(sent.calls == 1);
        if (sent.error != 0)
            return sent.error;
        assert_in_range(sent.send.sent, 1, size - done);
        expect_pattern(served, at + done, sent.send.sent);
        done += sent.send.sent;
    }
    return 0;
}

static void where_the_file_ends_it_ends_with_eio(void **state)
{
    struct served served;

    (void)state;
    open_served(&served, "127.0.0.1:0");
    assert_int_equal(ftruncate(served.file, 5000), 0);
    assert_int_equal(send_file(&served, 1000, FILE_BYTES - 1000), -EIO);
    close_served(&served);
}

static void what_is_no_file_ends_with_an_error(void **state)
{
    struct served served;
    struct sent sent = {.calls = 0};
    const int folder = open("/", O_RDONLY | O_CLOEXEC);

    (void)state;
    open_served(&served, "127.0.0.1:0");
    vine__send_file(served.connection, &sent.send, &folder, 0, 10, on_sent);
    until(sent.calls == 1);
    assert_true(sent.error < 0);
    assert_int_equal(send_all(served.connection, "more", 4), 0); /* nothing was sent of it */
    close(folder);
    close_served(&served);
}

/* As much as there is room for; what comes then has to wait. */
static void fill(struct served *served)
{
    struct sent sent = {.calls = 0};

    do {
        sent.calls = 0;
        vine__send_file(served->connection, &sent.send, &served->file, 0, FILE_BYTES, on_sent);
        step_often();
    } while (sent.calls == 1 && sent.error == 0);
    assert_int_equal(sent.calls, 0);
    vine_send_cancel(&sent.send);
    until(sent.calls == 1);
    assert_int_equal(sent.error, -ECANCELED);
}

static void a_peer_that_does_not_read_is_waited_for_until_the_deadline(void **state)
{
    struct served served;
    struct sent sent = {.calls = 0};

    (void)state;
    open_served(&served, local_address());
    fill(&served);
    sent.send.deadline_ns = stepped.clock_ns + 1000 * 1000 * 1000;
    vine__send_file(served.connection, &sent.send, &served.file, 0, FILE_BYTES, on_sent);
    step_often();
    assert_int_equal(sent.calls, 0);
    stepped.clock_ns += 2 * VINE_NS_PER_SECOND;
    until(sent.calls == 1);
    assert_int_equal(sent.error, -ETIMEDOUT);
    close_served(&served);
}

static void a_file_on_its_way_is_cancelled_when_its_connection_closes(void **state)
{
    struct served served;
    struct sent sent = {.calls = 0}, behind = {.calls = 0};

    (void)state;
    open_served(&served, local_address());
    fill(&served);
    vine__send_file(served.connection, &sent.send, &served.file, 0, FILE_BYTES, on_sent);
    vine_send(served.connection, &behind.send, "x", 1, on_sent);
    step_often();
    assert_int_equal(sent.calls, 0); /* a Unix socket holds less than this */
    close_connection(served.connection);
    assert_int_equal(sent.calls, 1);
    assert_int_equal(sent.error, -ECANCELED);
    assert_int_equal(behind.error, -ECANCELED);
    close(served.peer);
    close(served.file);
    close_listener(&served.arrivals);
    close_cores();
}

static void a_peer_that_is_gone_ends_it(void **state)
{
    struct served served;
    struct sent sent = {.calls = 0};

    (void)state;
    open_served(&served, local_address());
    fill(&served);
    vine__send_file(served.connection, &sent.send, &served.file, 0, FILE_BYTES, on_sent);
    step_often();
    close(served.peer);
    until(sent.calls == 1);
    assert_true(sent.error == -EPIPE || sent.error == -ECONNRESET);
    served.peer = dup(served.file);
    close_served(&served);
}

static void files_go_out_behind_what_was_sent(void **state)
{
    const char *const addresses[] = {"127.0.0.1:0", local_address()};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct served served;
        struct sent head = {.calls = 0}, none = {.calls = 0}, file = {.calls = 0};
        struct received received;
        char bytes[8] = "";

        open_served(&served, addresses[i]);
        vine_send(served.connection, &head.send, "head", 4, on_sent);
        vine__send_file(served.connection, &none.send, &served.file, 7, 0, on_sent);
        vine__send_file(served.connection, &file.send, &served.file, 70000, 1, on_sent);
        until(read(served.peer, bytes, 4) == 4);
        assert_string_equal(bytes, "head");
        expect_pattern(&served, 70000, 1);
        until(file.calls == 1);
        assert_int_equal(head.error, 0);
        assert_int_equal(none.error, 0);
        assert_int_equal(file.error, 0);
        assert_int_equal(file.send.sent, 1);
        assert_int_equal(send_file(&served, 0, FILE_BYTES), 0);
        assert_int_equal(send_all(served.connection, "tail", 4), 0);
        until(read(served.peer, bytes, 4) == 4);
        assert_string_equal(bytes, "tail");
        /* And the peer is received from as ever. */
        assert_int_equal(write(served.peer, "back", 4), 4);
        assert_int_equal(receive_one(served.connection, &received), 4);
        close_served(&served);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipes_send_no_files),
        cmocka_unit_test(where_the_file_ends_it_ends_with_eio),
        cmocka_unit_test(what_is_no_file_ends_with_an_error),
        cmocka_unit_test(a_peer_that_does_not_read_is_waited_for_until_the_deadline),
        cmocka_unit_test(a_file_on_its_way_is_cancelled_when_its_connection_closes),
        cmocka_unit_test(a_peer_that_is_gone_ends_it),
        cmocka_unit_test(files_go_out_behind_what_was_sent),
    };

    return run_by_both(tests);
}
