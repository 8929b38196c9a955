/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * The simulated kernel. Its clock is this test's: nothing here waits, whatever the latencies.
 */
#include "arch/poll/sim.h"
#include "poll_tests.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>

#define MS 1000000ULL

static struct vine__sim *sim_create(const struct vine__sim_options *options)
{
    struct vine__sim *sim = NULL;

    assert_int_equal(vine__sim_create(&sim, options), 0);
    return sim;
}

static struct vine__poller *poller_of(struct vine__sim *sim)
{
    struct vine__poller *poller = NULL;

    assert_int_equal(vine__poller_create_sim(&poller, sim), 0);
    assert_string_equal(vine__poller_name(poller), "sim");
    return poller;
}

/* Step all pollers, advance the clock to where the next of them has something; false: none has. */
static bool step(struct vine__sim *sim, struct vine__poller *const *pollers, uint32_t count)
{
    uint64_t next_ns = VINE_FOREVER;

    for (uint32_t i = 0; i < count; i++)
        (void)vine__poller_sleep(pollers[i], UINT32_MAX, VINE_FOREVER);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t until_ns = vine__sim_sleeps_until(pollers[i]);

        next_ns = until_ns < next_ns ? until_ns : next_ns;
    }
    if (next_ns == VINE_FOREVER)
        return false;
    vine__sim_advance(sim, next_ns);
    return true;
}

static int32_t run_sim(struct vine__sim *sim, struct vine__poller *poller, struct watched *watched)
{
    vine__poller_begin(poller, &watched->operation);
    while (!watched->is_over)
        if (!step(sim, &poller, 1))
            fail_msg("it waits for ever");
    return watched->result;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void latencies_and_chances_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct vine__sim *sim = NULL;

    assert_int_equal(vine__sim_create(&sim, &(struct vine__sim_options){.latency_min_ns = 2}),
                     -EINVAL);
    assert_int_equal(
        vine__sim_create(&sim, &(struct vine__sim_options){.short_per_thousand = 1001}), -EINVAL);
    assert_null(sim);
}

static void what_is_not_open_not_there_or_not_listened_to_is_told(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){.descriptor_max = 2});
    struct vine__poller *poller = poller_of(sim);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 7};
    int fds[2];
    int more;
    char byte = 0;

    struct watched reading = WATCHED(VINE__POLL_READ, .fd = 0, .bytes = &byte, .size = 1);
    assert_int_equal(run_sim(sim, poller, &reading), -EBADF);
    struct watched opening = WATCHED(VINE__POLL_OPEN, .path = "/none");
    assert_int_equal(run_sim(sim, poller, &opening), -ENOENT);
    assert_int_equal(vine__sim_socket(sim, &fds[0]), 0);
    struct watched connecting = WATCHED(VINE__POLL_CONNECT, .fd = fds[0], .size = sizeof(address),
                                        .address = (struct sockaddr *)&address);
    assert_int_equal(run_sim(sim, poller, &connecting), -ECONNREFUSED);
    struct watched sending = WATCHED(VINE__POLL_SEND, .fd = fds[0], .bytes = &byte, .size = 1);
    assert_int_equal(run_sim(sim, poller, &sending), -ENOTCONN);
    assert_int_equal(vine__sim_socket(sim, &fds[1]), 0);
    assert_int_equal(vine__sim_socket(sim, &more), -EMFILE);
    opening = WATCHED(VINE__POLL_OPEN, .path = "/new", .flags = O_CREAT | O_RDWR);
    assert_int_equal(run_sim(sim, poller, &opening), -EMFILE);
    struct watched closing = WATCHED(VINE__POLL_CLOSE, .fd = fds[1]);
    assert_int_equal(run_sim(sim, poller, &closing), 0);
    closing = WATCHED(VINE__POLL_CLOSE, .fd = fds[1]);
    assert_int_equal(run_sim(sim, poller, &closing), -EBADF);
    vine__poller_destroy(poller);
    vine__sim_destroy(sim);
}

static void a_full_disk_cuts_a_write_short_and_then_is_enospc(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){.disk_bytes = 1000});
    struct vine__poller *poller = poller_of(sim);
    static char bytes[2000];

    struct watched opening =
        WATCHED(VINE__POLL_OPEN, .path = "/file", .flags = O_CREAT | O_RDWR, .mode = 0600);
    const int fd = run_sim(sim, poller, &opening);
    struct watched writing = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = 2000,
                                     .offset = VINE__POLL_STREAM);
    assert_int_equal(run_sim(sim, poller, &writing), 1000);
    assert_int_equal(run_sim(sim, poller, &(struct watched){.operation = writing.operation}),
                     -ENOSPC);
    struct watched cutting = WATCHED(VINE__POLL_TRUNCATE, .fd = fd, .offset = 900);
    assert_int_equal(run_sim(sim, poller, &cutting), 0);
    writing = WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = 2000, .offset = 950);
    assert_int_equal(run_sim(sim, poller, &writing), 50);
    vine__poller_destroy(poller);
    vine__sim_destroy(sim);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void a_sleep_returns_at_once_and_says_until_when(void **state)
{
    (void)state;
    struct vine__sim *sim =
        sim_create(&(struct vine__sim_options){.latency_min_ns = 3 * MS, .latency_max_ns = 3 * MS});
    struct vine__poller *poller = poller_of(sim);
    const uint64_t start_ns = vine__sim_now_ns(sim);
    struct watched calling = WATCHED(VINE__POLL_STAT, .path = "/none");

    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 0);
    assert_true(vine__sim_sleeps_until(poller) == VINE_FOREVER);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, 5 * MS), 0);
    assert_int_equal(vine__sim_sleeps_until(poller), start_ns + 5 * MS);
    vine__poller_begin(poller, &calling.operation);
    assert_int_equal(vine__sim_sleeps_until(poller), start_ns + 3 * MS);
    vine__poller_wake(poller);
    assert_int_equal(vine__sim_sleeps_until(poller), start_ns);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 0);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 0);
    assert_int_equal(vine__sim_sleeps_until(poller), start_ns + 3 * MS);
    vine__sim_advance(sim, start_ns + 3 * MS - 1);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 0);
    vine__sim_advance(sim, start_ns + 3 * MS);
    assert_int_equal(vine__poller_sleep(poller, UINT32_MAX, VINE_FOREVER), 1);
    assert_int_equal(calling.result, -ENOENT);
    vine__poller_destroy(poller);
    vine__sim_destroy(sim);
}

/* ---- two pollers ----------------------------------------------------------------------------- */

#define PAYLOAD 50000

struct side {
    struct vine__operation operation;
    struct vine__poller *poller;
    unsigned char *bytes;
    uint32_t at;
    uint64_t trace; /* of what came when */
    struct vine__sim *sim;
};

static void go_on(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct side *side = (struct side *)operation;

    assert_int_equal(flags, 0);
    assert_true(result > 0);
    side->at += (uint32_t)result;
    side->trace = side->trace * 31 + (uint32_t)result + vine__sim_now_ns(side->sim);
    if (side->at == PAYLOAD)
        return;
    operation->bytes = side->bytes + side->at;
    operation->size = PAYLOAD - side->at;
    vine__poller_begin(side->poller, operation);
}

static uint64_t transfer(uint64_t seed)
{
    static unsigned char sent[PAYLOAD];
    static unsigned char came[PAYLOAD];
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){.seed = seed,
                                                                   .latency_min_ns = 1000,
                                                                   .latency_max_ns = MS,
                                                                   .short_per_thousand = 500,
                                                                   .stream_bytes = 1000});
    struct vine__poller *pollers[2] = {poller_of(sim), poller_of(sim)};
    int fds[2];

    for (uint32_t i = 0; i < PAYLOAD; i++)
        sent[i] = (unsigned char)(i * 7 + i / 256);
    memset(came, 0, sizeof(came));
    assert_int_equal(vine__sim_socketpair(sim, fds), 0);
    struct side sender = {.operation = {.fn = go_on,
                                        .kind = VINE__POLL_SEND,
                                        .fd = fds[0],
                                        .bytes = sent,
                                        .size = PAYLOAD},
                          .poller = pollers[0],
                          .bytes = sent,
                          .sim = sim};
    struct side receiver = {.operation = {.fn = go_on,
                                          .kind = VINE__POLL_RECEIVE,
                                          .fd = fds[1],
                                          .bytes = came,
                                          .size = PAYLOAD},
                            .poller = pollers[1],
                            .bytes = came,
                            .sim = sim};

    vine__poller_begin(pollers[0], &sender.operation);
    vine__poller_begin(pollers[1], &receiver.operation);
    while (receiver.at < PAYLOAD)
        if (!step(sim, pollers, 2))
            fail_msg("both wait for ever");
    assert_memory_equal(sent, came, PAYLOAD);
    vine__poller_destroy(pollers[0]);
    vine__poller_destroy(pollers[1]);
    vine__sim_destroy(sim);
    return sender.trace ^ receiver.trace;
}

static void what_one_sends_in_pieces_another_receives_and_a_seed_repeats(void **state)
{
    (void)state;
    const uint64_t first = transfer(1);

    assert_true(transfer(1) == first);
    assert_true(transfer(2) != first);
}

static void connections_are_made_accepted_and_closed(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(
        &(struct vine__sim_options){.latency_min_ns = 10, .latency_max_ns = 1000, .seed = 3});
    struct vine__poller *pollers[2] = {poller_of(sim), poller_of(sim)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 80};
    int listener;
    int client;
    char byte = 'x';

    assert_int_equal(vine__sim_listen(sim, (struct sockaddr *)&address, sizeof(address), &listener),
                     0);
    struct watched accepting = WATCHED(VINE__POLL_ACCEPT, .fd = listener, .is_multishot = true);
    vine__poller_begin(pollers[0], &accepting.operation);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(vine__sim_socket(sim, &client), 0);
        struct watched connecting =
            WATCHED(VINE__POLL_CONNECT, .fd = client, .size = sizeof(address),
                    .address = (struct sockaddr *)&address);

        assert_int_equal(run_sim(sim, pollers[1], &connecting), 0);
        while (accepting.calls == i)
            assert_true(step(sim, pollers, 2));
        assert_int_equal(accepting.flags[i], VINE__POLL_MORE);

        struct watched receiving =
            WATCHED(VINE__POLL_RECEIVE, .fd = accepting.result, .bytes = &byte, .size = 1);
        vine__poller_begin(pollers[0], &receiving.operation);
        while (step(sim, pollers, 2))
            continue; /* until all wait for each other */
        assert_int_equal(receiving.calls, 0);
        vine__sim_close(sim, client);
        while (!receiving.is_over)
            assert_true(step(sim, pollers, 2));
        assert_int_equal(receiving.result, 0);
        vine__sim_close(sim, accepting.results[i]);
    }
    vine__poller_cancel(pollers[0], &accepting.operation);
    (void)vine__poller_poll(pollers[0], UINT32_MAX);
    assert_int_equal(accepting.result, -ECANCELED);
    assert_int_equal(vine__sim_descriptors(sim), 1);
    vine__poller_destroy(pollers[0]);
    vine__poller_destroy(pollers[1]);
    vine__sim_destroy(sim);
}

static void two_sends_keep_their_order_whatever_their_latencies(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct vine__sim *sim = sim_create(
            &(struct vine__sim_options){.seed = seed, .latency_max_ns = MS, .stream_bytes = 64});
        struct vine__poller *poller = poller_of(sim);
        struct watched sends[10];
        char come[11] = "";
        int fds[2];

        assert_int_equal(vine__sim_pipe(sim, fds), 0);
        for (int i = 0; i < 10; i++) {
            sends[i] = WATCHED(VINE__POLL_WRITE, .fd = fds[1], .size = 1,
                               .bytes = (void *)(uintptr_t) & "0123456789"[i]);
            vine__poller_begin(poller, &sends[i].operation);
        }
        while (!sends[9].is_over)
            assert_true(step(sim, &poller, 1));
        struct watched reading = WATCHED(VINE__POLL_READ, .fd = fds[0], .bytes = come, .size = 10);
        assert_int_equal(run_sim(sim, poller, &reading), 10);
        assert_string_equal(come, "0123456789");
        vine__poller_destroy(poller);
        vine__sim_destroy(sim);
    }
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void a_reset_reaches_both_ends(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){0});
    struct vine__poller *pollers[2] = {poller_of(sim), poller_of(sim)};
    struct watched receives[2];
    char bytes[2];
    int fds[2];

    assert_int_equal(vine__sim_socketpair(sim, fds), 0);
    for (int i = 0; i < 2; i++) {
        receives[i] = WATCHED(VINE__POLL_RECEIVE, .fd = fds[i], .bytes = &bytes[i], .size = 1);
        vine__poller_begin(pollers[i], &receives[i].operation);
    }
    while (step(sim, pollers, 2))
        continue;
    vine__sim_reset(sim, fds[0]);
    while (step(sim, pollers, 2) && !(receives[0].is_over && receives[1].is_over))
        continue;
    assert_int_equal(receives[0].result, -ECONNRESET);
    assert_int_equal(receives[1].result, -ECONNRESET);
    vine__poller_destroy(pollers[0]);
    vine__poller_destroy(pollers[1]);
    vine__sim_destroy(sim);
}

static void a_planned_error_comes_once(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){0});
    struct vine__poller *poller = poller_of(sim);
    char bytes[4] = "abc";

    struct watched opening =
        WATCHED(VINE__POLL_OPEN, .path = "/file", .flags = O_CREAT | O_RDWR, .mode = 0600);
    const int fd = run_sim(sim, poller, &opening);
    struct watched writing =
        WATCHED(VINE__POLL_WRITE, .fd = fd, .bytes = bytes, .size = 3, .offset = 5);

    vine__sim_fail_next(sim, fd, -EIO);
    assert_int_equal(run_sim(sim, poller, &writing), -EIO);
    assert_int_equal(run_sim(sim, poller, &(struct watched){.operation = writing.operation}), 3);
    struct watched reading =
        WATCHED(VINE__POLL_READ, .fd = fd, .bytes = bytes, .size = 4, .offset = 6);
    assert_int_equal(run_sim(sim, poller, &reading), 2);
    assert_memory_equal(bytes, "bc", 2);
    vine__poller_destroy(poller);
    vine__sim_destroy(sim);
}

/* ---- the test's own -------------------------------------------------------------------------- */

struct own {
    struct vine__operation *taken;
    uint32_t cancelled;
};

static bool take_syncs(void *context, struct vine__poller *poller,
                       struct vine__operation *operation)
{
    struct own *own = context;

    (void)poller;
    if (operation->kind != VINE__POLL_SYNC)
        return false;
    own->taken = operation;
    return true;
}

static void count_cancel(void *context, struct vine__poller *poller,
                         struct vine__operation *operation)
{
    struct own *own = context;

    own->cancelled++;
    vine__sim_end(poller, operation, -EINTR);
}

static void a_test_may_take_operations_for_itself(void **state)
{
    (void)state;
    struct own own = {0};
    struct vine__sim *sim = sim_create(
        &(struct vine__sim_options){.begin = take_syncs, .cancel = count_cancel, .context = &own});
    struct vine__poller *poller = poller_of(sim);
    struct watched syncs[3];

    for (int i = 0; i < 3; i++) {
        syncs[i] = WATCHED(VINE__POLL_SYNC, .fd = 1);
        vine__poller_begin(poller, &syncs[i].operation);
        assert_ptr_equal(own.taken, &syncs[i].operation);
    }
    assert_false(step(sim, &poller, 1));
    vine__sim_end(poller, &syncs[0].operation, 55);
    assert_int_equal(syncs[0].calls, 0);
    assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 1);
    assert_int_equal(syncs[0].result, 55);
    vine__poller_cancel(poller, &syncs[1].operation);
    (void)vine__poller_poll(poller, UINT32_MAX);
    assert_int_equal(syncs[1].result, -EINTR);
    vine__poller_destroy(poller);
    assert_int_equal(own.cancelled, 2);
    assert_true(syncs[2].is_over);
    vine__sim_destroy(sim);
}

static void readiness_buffers_and_files_are_as_with_a_real_kernel(void **state)
{
    (void)state;
    struct vine__sim *sim = sim_create(&(struct vine__sim_options){0});
    struct vine__poller *poller = poller_of(sim);
    struct vine__poll_buffers *buffers;
    struct statx status;
    int fds[2];

    assert_int_equal(vine__sim_socketpair(sim, fds), 0);
    assert_int_equal(vine__poller_buffers_create(poller, 2, 4, &buffers), 0);
    struct watched receiving =
        WATCHED(VINE__POLL_RECEIVE, .fd = fds[0], .is_multishot = true, .buffers = buffers);
    struct watched ready = WATCHED(VINE__POLL_READY, .fd = fds[0], .flags = POLLIN);
    struct watched sending =
        WATCHED(VINE__POLL_SEND, .fd = fds[1], .size = 9, .bytes = (void *)(uintptr_t) "123456789");

    vine__poller_begin(poller, &ready.operation);
    vine__poller_begin(poller, &receiving.operation);
    while (step(sim, &poller, 1))
        continue;
    assert_int_equal(receiving.calls + ready.calls, 0);
    assert_int_equal(run_sim(sim, poller, &sending), 9);
    while (!receiving.is_over)
        assert_true(step(sim, &poller, 1));
    assert_int_equal(ready.result, POLLIN);
    assert_int_equal(receiving.calls, 3);
    assert_int_equal(receiving.results[1], 4);
    assert_memory_equal(vine__poll_buffer(buffers, receiving.buffers[1]), "5678", 4);
    assert_int_equal(receiving.result, -ENOBUFS);

    struct watched making = WATCHED(VINE__POLL_MAKE_FOLDER, .path = "/folder", .mode = 0700);
    assert_int_equal(run_sim(sim, poller, &making), 0);
    struct watched opening =
        WATCHED(VINE__POLL_OPEN, .path = "/folder/a", .flags = O_CREAT | O_RDWR, .mode = 0640);
    const int fd = run_sim(sim, poller, &opening);
    struct watched allocating = WATCHED(VINE__POLL_ALLOCATE, .fd = fd, .length = 100);
    assert_int_equal(run_sim(sim, poller, &allocating), 0);
    struct watched moving = WATCHED(VINE__POLL_RENAME, .path = "/folder/a", .to_path = "/folder/b");
    assert_int_equal(run_sim(sim, poller, &moving), 0);
    struct watched asking = WATCHED(VINE__POLL_STAT, .path = "/folder/b", .status = &status);
    assert_int_equal(run_sim(sim, poller, &asking), 0);
    assert_int_equal(status.stx_size, 100);
    assert_int_equal(status.stx_mode, S_IFREG | 0640);
    struct watched removing = WATCHED(VINE__POLL_UNLINK, .path = "/folder", .flags = AT_REMOVEDIR);
    assert_int_equal(run_sim(sim, poller, &removing), -ENOTEMPTY);
    removing = WATCHED(VINE__POLL_UNLINK, .path = "/folder/b");
    assert_int_equal(run_sim(sim, poller, &removing), 0);

    /* It is open, and there as long as it is. */
    struct watched syncing = WATCHED(VINE__POLL_SYNC, .fd = fd);
    assert_int_equal(run_sim(sim, poller, &syncing), 0);
    vine__poller_buffers_destroy(poller, buffers);
    vine__poller_destroy(poller);
    vine__sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latencies_and_chances_that_cannot_be_are_refused),
        cmocka_unit_test(what_is_not_open_not_there_or_not_listened_to_is_told),
        cmocka_unit_test(a_full_disk_cuts_a_write_short_and_then_is_enospc),
        cmocka_unit_test(a_sleep_returns_at_once_and_says_until_when),
        cmocka_unit_test(what_one_sends_in_pieces_another_receives_and_a_seed_repeats),
        cmocka_unit_test(connections_are_made_accepted_and_closed),
        cmocka_unit_test(two_sends_keep_their_order_whatever_their_latencies),
        cmocka_unit_test(a_reset_reaches_both_ends),
        cmocka_unit_test(a_planned_error_comes_once),
        cmocka_unit_test(a_test_may_take_operations_for_itself),
        cmocka_unit_test(readiness_buffers_and_files_are_as_with_a_real_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
