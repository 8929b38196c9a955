/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "poll_tests.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "arch/clock/clock.h"

/* ---- provided buffers ---------------------------------------------------------------------- */

static void buffers_of_odd_number_or_of_no_size_are_refused(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct vine__poll_buffers *buffers = NULL;
    static const struct {
        uint32_t count;
        uint32_t size_bytes;
    } wrong[] = {{0, 64}, {3, 64}, {65536, 64}, {4, 0}, {4, UINT32_MAX}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(
            vine__poller_buffers_create(poller, wrong[i].count, wrong[i].size_bytes, &buffers),
            -EINVAL);
    assert_null(buffers);
    vine__poller_buffers_destroy(poller, NULL);
    vine__poller_destroy(poller);
}

static void there_are_so_many_groups_and_no_more(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct vine__poll_buffers *groups[VINE__POLL_GROUPS_MAX];
    struct vine__poll_buffers *more = NULL;

    for (uint32_t i = 0; i < VINE__POLL_GROUPS_MAX; i++)
        assert_int_equal(vine__poller_buffers_create(poller, 1, 1, &groups[i]), 0);
    assert_int_equal(vine__poller_buffers_create(poller, 1, 1, &more), -ENOSPC);
    assert_null(more);
    vine__poller_buffers_destroy(poller, groups[5]);
    assert_int_equal(vine__poller_buffers_create(poller, 1, 1, &more), 0);
    vine__poller_destroy(poller); /* with all of them */
}

static void
where_no_buffer_is_left_a_receive_ends_with_enobufs_and_goes_on_with_new_ones(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct vine__poll_buffers *buffers;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(vine__poller_buffers_create(poller, 4, 16, &buffers), 0);
    struct watched receive =
        WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .is_multishot = true, .buffers = buffers);

    vine__poller_begin(poller, &receive.operation);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    /* Each buffer is filled as far as it goes: three and a half of them. */
    assert_int_equal(write(pair[1], "0123456789abcdef0123456789ABCDEF0123456789-----+++++++/", 55),
                     55);
    for (uint32_t i = 0; i < 4; i++) {
        wait_for_calls(poller, &receive, i + 1);
        assert_int_equal(receive.results[i], i < 3 ? 16 : 7);
        assert_int_equal(receive.flags[i], VINE__POLL_MORE | VINE__POLL_BUFFER);
        assert_in_range(receive.buffers[i], 0, 3);
    }
    assert_memory_equal(vine__poll_buffer(buffers, receive.buffers[1]), "0123456789ABCDEF", 16);
    assert_memory_equal(vine__poll_buffer(buffers, receive.buffers[3]), "++++++/", 7);

    assert_int_equal(write(pair[1], "more", 4), 4);
    assert_int_equal(wait_for(poller, &receive), -ENOBUFS);
    assert_int_equal(receive.calls, 5);
    assert_int_equal(receive.flags[4], 0);

    /* One comes back; nothing that came meanwhile is lost. */
    const uint16_t released = receive.buffers[2];
    vine__poll_buffer_release(buffers, released);
    receive = WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .is_multishot = true, .buffers = buffers);
    vine__poller_begin(poller, &receive.operation);
    wait_for_calls(poller, &receive, 1);
    assert_int_equal(receive.results[0], 4);
    assert_int_equal(receive.buffers[0], released);
    assert_memory_equal(vine__poll_buffer(buffers, released), "more", 4);
    if (!receive.is_over)
        vine__poller_cancel(poller, &receive.operation);
    (void)wait_for(poller, &receive);
    vine__poller_buffers_destroy(poller, buffers);
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

static void buffers_go_round_many_times_and_the_end_has_none(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct vine__poll_buffers *buffers;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(vine__poller_buffers_create(poller, 2, 8, &buffers), 0);
    struct watched receive =
        WATCHED(VINE__POLL_RECEIVE, .fd = pair[0], .is_multishot = true, .buffers = buffers);

    vine__poller_begin(poller, &receive.operation);
    for (uint32_t i = 0; i < 70000; i++) {
        assert_int_equal(write(pair[1], &i, sizeof(i)), sizeof(i));
        wait_for_calls(poller, &receive, i + 1);
        assert_int_equal(receive.result, sizeof(i));
        assert_memory_equal(vine__poll_buffer(buffers, receive.operation.buffer), &i, sizeof(i));
        vine__poll_buffer_release(buffers, receive.operation.buffer);
        if (receive.is_over)
            fail_msg("it ended at %u", i);
    }
    close(pair[1]);
    assert_int_equal(wait_for(poller, &receive), 0);
    vine__poller_buffers_destroy(poller, buffers);
    close(pair[0]);
    vine__poller_destroy(poller);
}

static void several_receive_into_one_group(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    struct vine__poll_buffers *buffers;
    struct watched receives[10];
    int pairs[10][2];

    assert_int_equal(vine__poller_buffers_create(poller, 16, 8, &buffers), 0);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        receives[i] = WATCHED(VINE__POLL_RECEIVE, .fd = pairs[i][0], .is_multishot = true,
                              .buffers = buffers);
        vine__poller_begin(poller, &receives[i].operation);
    }
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(write(pairs[i][1], &i, sizeof(i)), sizeof(i));
    for (uint32_t i = 0; i < 10; i++) {
        wait_for_calls(poller, &receives[i], 1);
        assert_memory_equal(vine__poll_buffer(buffers, receives[i].buffers[0]), &i, sizeof(i));
        vine__poller_cancel(poller, &receives[i].operation);
        assert_int_equal(wait_for(poller, &receives[i]), -ECANCELED);
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    vine__poller_buffers_destroy(poller, buffers);
    vine__poller_destroy(poller);
}

#define CROWD       200 /* more than the completion queue of a poller of CROWD_DEPTH has room for */
#define CROWD_DEPTH 4

struct crowd {
    struct watched receives[CROWD];
    int pairs[CROWD][2];
    struct watched reads[CROWD_DEPTH / 2];
    unsigned char byte;
};

static void crowd_begin(struct crowd *crowd, struct vine__poller *poller, int fd)
{
    struct vine__poll_buffers *buffers;

    assert_int_equal(vine__poller_buffers_create(poller, 256, 8, &buffers), 0);
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, crowd->pairs[i]), 0);
        crowd->receives[i] = WATCHED(VINE__POLL_RECEIVE, .fd = crowd->pairs[i][0],
                                     .is_multishot = true, .buffers = buffers);
        vine__poller_begin(poller, &crowd->receives[i].operation);
    }
    for (uint32_t i = 0; i < CROWD_DEPTH / 2; i++) {
        crowd->reads[i] = WATCHED(VINE__POLL_READ, .fd = fd, .bytes = &crowd->byte, .size = 1);
        vine__poller_begin(poller, &crowd->reads[i].operation);
    }
}

static uint32_t crowd_calls(const struct crowd *crowd)
{
    uint32_t calls = 0;

    for (uint32_t i = 0; i < CROWD; i++)
        calls += crowd->receives[i].calls;
    return calls;
}

/* Receives that end would have to be begun anew, which brings more ends. */
static void no_receive_ends_because_its_owner_takes_few_ends_at_a_time(void **state)
{
    (void)state;
    struct vine__poller *const poller = poller_with_depth(CROWD_DEPTH);
    struct crowd *const crowd = calloc(1, sizeof(*crowd));
    const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;

    assert_non_null(crowd);
    assert_true(fd >= 0);
    crowd_begin(crowd, poller, fd);
    assert_true(vine__poller_poll(poller, CROWD_DEPTH) <= CROWD_DEPTH);
    for (uint32_t i = 0; i < CROWD; i++)
        assert_int_equal(write(crowd->pairs[i][1], "x", 1), 1);
    while (crowd_calls(crowd) < CROWD) {
        assert_true(vine__poller_poll(poller, CROWD_DEPTH) <= CROWD_DEPTH);
        for (uint32_t i = 0; i < CROWD_DEPTH / 2; i++) {
            if (!crowd->reads[i].is_over)
                continue;
            crowd->reads[i].is_over = false;
            vine__poller_begin(poller, &crowd->reads[i].operation);
        }
        assert_true(vine__clock_now_ns() < hang_ns);
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(crowd->receives[i].calls, 1);
        assert_int_equal(crowd->receives[i].flags[0], VINE__POLL_MORE | VINE__POLL_BUFFER);
    }
    vine__poller_destroy(poller);
    for (uint32_t i = 0; i < CROWD; i++) {
        close(crowd->pairs[i][0]);
        close(crowd->pairs[i][1]);
    }
    close(fd);
    free(crowd);
}

/* ---- registered files and buffers ----------------------------------------------------------- */

static void registered_files_serve_operations_or_are_enosys(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t index = 77;
    int pair[2];
    char bytes[4] = "";

    assert_int_equal(pipe(pair), 0);
    if (tested_backend == VINE__POLL_BACKEND_EPOLL) {
        assert_int_equal(vine__poller_register_file(poller, pair[0], &index), -ENOSYS);
    } else {
        assert_int_equal(vine__poller_register_file(poller, -1, &index), -EBADF);
        assert_int_equal(vine__poller_register_file(poller, 999, &index), -EBADF);
        assert_int_equal(index, 77);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(vine__poller_register_file(poller, pair[0], &index), 0);
            struct watched reading =
                WATCHED(VINE__POLL_READ, .fd = (int)index, .is_fixed = true, .bytes = bytes,
                        .size = 4, .offset = VINE__POLL_STREAM);

            assert_int_equal(write(pair[1], "abc", 3), 3);
            assert_int_equal(run(poller, &reading), 3);
            vine__poller_unregister_file(poller, index);
            reading = WATCHED(VINE__POLL_READ, .fd = (int)index, .is_fixed = true, .bytes = bytes,
                              .size = 4, .offset = VINE__POLL_STREAM);
            assert_int_equal(run(poller, &reading), -EBADF);
        }
    }
    close(pair[0]);
    close(pair[1]);
    vine__poller_destroy(poller);
}

/* What is registered is open until it is let go of, and a destroyed poller lets go at once. */
static void a_destroyed_poller_keeps_no_registered_file_open(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t index;
    int pair[2];
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (vine__poller_register_file(poller, pair[0], &index) == -ENOSYS)
        assert_int_equal(tested_backend, VINE__POLL_BACKEND_EPOLL);
    close(pair[0]);
    vine__poller_destroy(poller);
    assert_int_equal(read(pair[1], &byte, 1), 0);
    close(pair[1]);
}

static void registered_buffers_serve_operations_or_are_enosys(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    static unsigned char memory[2][4096];
    const struct iovec vectors[2] = {{.iov_base = memory[0], .iov_len = 4096},
                                     {.iov_base = memory[1], .iov_len = 4096}};
    const int fd = memfd_create("poll", MFD_CLOEXEC);

    if (tested_backend == VINE__POLL_BACKEND_EPOLL) {
        assert_int_equal(vine__poller_register_buffers(poller, vectors, 2), -ENOSYS);
    } else {
        assert_int_equal(vine__poller_register_buffers(poller, vectors, 2), 0);
        memcpy(memory[1], "registered", 10);
        struct watched writing =
            WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = memory[1], .size = 10, .buffer_index = 2);
        assert_int_equal(run(poller, &writing), 10);
        struct watched reading = WATCHED(VINE__POLL_READ, .fd = fd, .bytes = memory[0] + 100,
                                         .size = 100, .buffer_index = 1);
        assert_int_equal(run(poller, &reading), 10);
        assert_memory_equal(memory[0] + 100, "registered", 10);
        /* It lies in another one than the operation says. */
        reading =
            WATCHED(VINE__POLL_READ, .fd = fd, .bytes = memory[0], .size = 100, .buffer_index = 2);
        assert_int_equal(run(poller, &reading), -EFAULT);
    }
    close(fd);
    vine__poller_destroy(poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_of_odd_number_or_of_no_size_are_refused),
        cmocka_unit_test(there_are_so_many_groups_and_no_more),
        cmocka_unit_test(
            where_no_buffer_is_left_a_receive_ends_with_enobufs_and_goes_on_with_new_ones),
        cmocka_unit_test(buffers_go_round_many_times_and_the_end_has_none),
        cmocka_unit_test(several_receive_into_one_group),
        cmocka_unit_test(no_receive_ends_because_its_owner_takes_few_ends_at_a_time),
        cmocka_unit_test(registered_files_serve_operations_or_are_enosys),
        cmocka_unit_test(a_destroyed_poller_keeps_no_registered_file_open),
        cmocka_unit_test(registered_buffers_serve_operations_or_are_enosys),
    };
    return RUN_OVER_BACKENDS(tests);
}
