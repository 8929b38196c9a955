/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Connections of which what is received lies apart, in memory of a colour. With protection keys,
 * where there are any, it has its key; elsewhere it lies apart all the same.
 */
#include "network_tests.h"

#include "arch/guard/guard.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define BYTES (100 * 1024U)

static unsigned char pattern[BYTES];

static struct vine_network_counts counts_now(void)
{
    struct vine_network_counts counts;

    vine_network_get_counts(&counts);
    return counts;
}

static void colours_have_buffers_of_their_own_from_the_first_byte_on(void **state)
{
    struct arrivals arrivals;
    struct received plain = {.calls = 0}, ones[2] = {{.calls = 0}};
    struct vine_network_counts before;
    int fds[3];

    (void)state;
    open_cores(1);
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    for (uint32_t i = 0; i < 3; i++)
        fds[i] = connect_plainly(&arrivals);
    before = counts_now();
    vine__connection_paint(arrivals.connections[0], 1);
    vine__connection_paint(arrivals.connections[1], 1);
    assert_int_equal(counts_now().buffers, before.buffers);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(send(fds[i], "x", 1, 0), 1);
    assert_int_equal(receive_one(arrivals.connections[0], &ones[0]), 1);
    const uint64_t more = counts_now().buffers - before.buffers;

    /* A few, once, for all of that colour. */
    assert_true(more > 0 && more * 4 <= before.buffers);
    assert_int_equal(receive_one(arrivals.connections[1], &ones[1]), 1);
    assert_int_equal(receive_one(arrivals.connections[2], &plain), 1);
    assert_int_equal(counts_now().buffers, before.buffers + more);
    assert_int_equal(counts_now().buffers_used, 3);
    /* No page is shared with what has another colour, or none. */
    const uintptr_t one = (uintptr_t)ones[0].receive.bytes, two = (uintptr_t)ones[1].receive.bytes;
    const uintptr_t other = (uintptr_t)plain.receive.bytes;

    assert_true(one / 4096 != other / 4096 && two / 4096 != other / 4096);
    assert_true((one > two ? one - two : two - one) < more * 8192);
    for (uint32_t i = 0; i < 3; i++) {
        close(fds[i]);
        close_connection(arrivals.connections[i]);
    }
    assert_int_equal(counts_now().buffers_used, 0);
    close_listener(&arrivals);
    close_cores();
}

/* Many that send at once find a bounded number of buffers, and all of it is read in the end. */
static void what_one_colour_holds_is_bounded_and_nobody_waits_for_ever(void **state)
{
    enum { COUNT = 200, SENT = 40 * 1024 };
    struct arrivals arrivals;
    static struct received received[COUNT];
    static uint64_t left[COUNT];
    struct vine_network_counts before;
    int fds[COUNT];
    uint32_t over = 0;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    memset(received, 0, sizeof(received));
    before = counts_now();
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_plainly(&arrivals);
        vine__connection_paint(arrivals.connections[i], 12);
        vine_receive(arrivals.connections[i], &received[i].receive, on_received);
        left[i] = SENT;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(send(fds[i], pattern, SENT, MSG_DONTWAIT), SENT);
    step_often();
    while (over < COUNT) {
        step_all();
        assert_true(counts_now().buffers_used <= 1024);
        assert_true(counts_now().buffers - before.buffers <= 1024);
        for (uint32_t i = 0; i < COUNT; i++) {
            if (received[i].calls == 0)
                continue;
            assert_true(received[i].size > 0 && (uint64_t)received[i].size <= left[i]);
            left[i] -= (uint64_t)received[i].size;
            over += left[i] == 0;
            received[i].calls = 0;
            if (left[i] != 0)
                vine_receive(arrivals.connections[i], &received[i].receive, on_received);
        }
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        close(fds[i]);
        close_connection(arrivals.connections[i]);
    }
    assert_int_equal(counts_now().buffers_used, 0);
    close_listener(&arrivals);
    close_cores();
}

/* Of many that were sent something and read no more than its beginning some have had nothing. */
static void who_waits_for_a_buffer_may_give_up_and_read_into_its_own_memory(void **state)
{
    enum { COUNT = 900, SENT = 20 * 1024 };
    struct arrivals arrivals;
    static struct received received[COUNT];
    static unsigned char own[SENT];
    int fds[COUNT];
    struct rlimit limit;
    uint32_t waiting = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    open_cores(1);
    listen_at(&arrivals, local_address(), VINE_BALANCE_HERE);
    memset(received, 0, sizeof(received));
    for (uint32_t i = 0; i < COUNT; i++) {
        fds[i] = connect_plainly(&arrivals);
        vine__connection_paint(arrivals.connections[i], 12);
        assert_int_equal(send(fds[i], pattern, SENT, MSG_DONTWAIT), SENT);
        vine_receive(arrivals.connections[i], &received[i].receive, on_received);
    }
    step_often();
    for (uint32_t i = 0; i < COUNT; i++) {
        struct vine_receive *const receive = &received[i].receive;

        if (received[i].calls != 0)
            continue;
        waiting++;
        vine_receive_cancel(receive);
        until(received[i].calls == 1);
        assert_int_equal(received[i].size, -ECANCELED);
        if (waiting % 2 == 0)
            continue; /* it is closed as it is */
        vine_receive_into(arrivals.connections[i], receive, own, sizeof(own), on_received);
        until(received[i].calls == 2);
        assert_true(received[i].size > 0);
        assert_memory_equal(own, pattern, (size_t)received[i].size);
        vine_receive(arrivals.connections[i], receive, on_received);
    }
    print_message("%u waited\n", waiting);
    assert_true(waiting > 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        close(fds[i]);
        close_connection(arrivals.connections[i]);
    }
    assert_int_equal(counts_now().buffers_used, 0);
    close_listener(&arrivals);
    close_cores();
}

/* ---- descriptors of any kind ----------------------------------------------------------------- */

/* Memory of that colour, which a sender's block is. */
static unsigned char *coloured_copy(uint32_t colour)
{
    void *memory;

    assert_int_equal(vine__guard_memory_map_coloured(BYTES, colour, &memory), 0);
    memcpy(memory, pattern, BYTES);
    return memory;
}

static void a_file_with_a_colour_is_read_and_written_whole(void **state)
{
    const int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    struct vine_connection *connection;
    struct received received;
    static unsigned char all[BYTES];
    size_t done = 0;

    (void)state;
    open_cores(1);
    assert_int_equal(pwrite(in, pattern, BYTES, 0), BYTES);
    assert_int_equal(vine_connection_adopt(in, dup(out), &connection), 0);
    vine__connection_paint(connection, 0);
    while (done < BYTES) {
        const int64_t size = receive_one(connection, &received);

        assert_true(size > 0 && done + (size_t)size <= BYTES);
        memcpy(all + done, received.receive.bytes, (size_t)size);
        done += (size_t)size;
    }
    assert_memory_equal(all, pattern, BYTES);
    assert_int_equal(receive_one(connection, &received), 0);

    unsigned char *const block = coloured_copy(0);

    assert_int_equal(send_all(connection, block, BYTES), 0);
    memset(all, 0, sizeof(all));
    assert_int_equal(pread(out, all, BYTES, 0), BYTES);
    assert_memory_equal(all, pattern, BYTES);
    vine__guard_memory_unmap(block, BYTES);
    close_connection(connection);
    close(out);
    close_cores();
}

static void who_gives_the_memory_gets_a_pipe_s_bytes_there(void **state)
{
    struct received received = {.calls = 0};
    struct vine_connection *connection;
    int in[2], out[2];

    (void)state;
    open_cores(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &connection), 0);
    vine__connection_paint(connection, 3 % vine__guard_colour_count());

    unsigned char *const block = coloured_copy(3 % vine__guard_colour_count());

    memset(block, 0, BYTES);
    assert_int_equal(write(in[1], pattern, 300), 300);
    vine_receive_into(connection, &received.receive, block, 200, on_received);
    until(received.calls == 1);
    assert_int_equal(received.size, 200);
    assert_memory_equal(block, pattern, 200);
    assert_int_equal(block[200], 0);
    assert_int_equal(receive_one(connection, &received), 100);
    assert_memory_equal(received.bytes, pattern + 200, 64);
    vine__guard_memory_unmap(block, BYTES);
    close(in[1]);
    close(out[0]);
    close_connection(connection);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_have_buffers_of_their_own_from_the_first_byte_on),
        cmocka_unit_test(what_one_colour_holds_is_bounded_and_nobody_waits_for_ever),
        cmocka_unit_test(who_waits_for_a_buffer_may_give_up_and_read_into_its_own_memory),
        cmocka_unit_test(a_file_with_a_colour_is_read_and_written_whole),
        cmocka_unit_test(who_gives_the_memory_gets_a_pipe_s_bytes_there),
    };
    const struct vine__guard_options options = {.wanted = VINE__GUARD_BEST};
    char why[VINE__GUARD_WHY_BYTES];
    int failures;

    for (uint32_t i = 0; i < BYTES; i++)
        pattern[i] = (unsigned char)(i % 251);
    if (vine__guard_choose(&options, why) != 0 || vine__guard_thread_start() != 0)
        return 1;
    print_message("guard %s\n", vine__guard_name(vine__guard_kind()));
    failures = run_by_both(tests);
    vine__guard_thread_stop();
    return failures;
}
