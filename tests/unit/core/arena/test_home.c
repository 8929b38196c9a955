/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Blocks that are freed where they do not belong: when they go home, and that none is lost or freed
 * twice. The first tests take turns at a barrier, the last ones run.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/arena/arena.h"
#include "harness/must.h"

#define MIB        (UINT64_C(1) << 20)
#define BLOCKS_MAX 10000
#define BATCH      64 /* what goes home together, by decision 20 */

static struct vine__arena *open_arena(void)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena;

    options.size_bytes = 64 * MIB;
    assert_int_equal(vine__arena_create(&options, &arena, NULL), 0);
    return arena;
}

static int enter(void **state)
{
    *state = open_arena();
    return vine__arena_attach(*state);
}

static int leave(void **state)
{
    vine__arena_detach();
    vine__arena_destroy(*state);
    return 0;
}

static struct vine__arena_stats stats_of(struct vine__arena *arena)
{
    struct vine__arena_stats stats;

    vine__arena_measure();
    vine__arena_get_stats(arena, &stats);
    return stats;
}

/* ---- another core, told what to do ----------------------------------------------------------- */

enum order { FREE, FLUSH, LEAVE };

struct other {
    pthread_t thread;
    pthread_barrier_t begin;
    pthread_barrier_t end;
    enum order order;
    void **blocks;
    uint32_t count;
    uint32_t flushed;
    bool has_arena;
};

static void *obey(void *context)
{
    struct other *const other = context;
    struct vine__arena *const arena = other->has_arena ? open_arena() : NULL;

    MUST(arena == NULL || vine__arena_attach(arena) == 0);
    for (;;) {
        (void)pthread_barrier_wait(&other->begin);
        const enum order order = other->order;
        if (order == FREE)
            for (uint32_t n = 0; n < other->count; n++)
                vine__arena_free(other->blocks[n]);
        else
            other->flushed = vine__arena_flush_remote();
        if (order == LEAVE)
            break;
        (void)pthread_barrier_wait(&other->end);
    }
    vine__arena_detach();
    vine__arena_destroy(arena);
    return NULL;
}

static void other_start(struct other *other, bool has_arena)
{
    *other = (struct other){.has_arena = has_arena};
    assert_int_equal(pthread_barrier_init(&other->begin, NULL, 2), 0);
    assert_int_equal(pthread_barrier_init(&other->end, NULL, 2), 0);
    assert_int_equal(pthread_create(&other->thread, NULL, obey, other), 0);
}

static void tell(struct other *other, enum order order, void **blocks, uint32_t count)
{
    other->order = order;
    other->blocks = blocks;
    other->count = count;
    (void)pthread_barrier_wait(&other->begin);
    if (order != LEAVE) {
        (void)pthread_barrier_wait(&other->end);
        return;
    }
    assert_int_equal(pthread_join(other->thread, NULL), 0);
    (void)pthread_barrier_destroy(&other->begin);
    (void)pthread_barrier_destroy(&other->end);
}

static void allocate(void **blocks, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        blocks[n] = vine__arena_alloc(48);
        assert_non_null(blocks[n]);
    }
}

static uint32_t take_home_all(void)
{
    uint32_t all = 0;

    for (uint32_t count; (count = vine__arena_take_home()) > 0; all += count)
        continue;
    return all;
}

/* ---- in turns -------------------------------------------------------------------------------- */

static void without_an_arena_nothing_is_sent_and_nothing_comes(void **state)
{
    (void)state;
    assert_int_equal(vine__arena_flush_remote(), 0);
    assert_int_equal(vine__arena_take_home(), 0);
    vine__arena_detach();
    vine__arena_free(NULL);
}

static void less_than_a_batch_goes_home_when_it_is_flushed(void **state)
{
    void *blocks[BATCH];
    struct other other;

    (void)state;
    other_start(&other, true);
    (void)take_home_all();
    allocate(blocks, BATCH);
    tell(&other, FREE, blocks, BATCH - 1);
    assert_int_equal(vine__arena_take_home(), 0);
    tell(&other, FLUSH, NULL, 0);
    assert_int_equal(other.flushed, BATCH - 1);
    assert_int_equal(vine__arena_take_home(), BATCH - 1);
    assert_int_equal(vine__arena_take_home(), 0);
    tell(&other, FLUSH, NULL, 0);
    assert_int_equal(other.flushed, 0);
    vine__arena_free(blocks[BATCH - 1]);
    tell(&other, LEAVE, NULL, 0);
}

static void a_whole_batch_goes_home_by_itself(void **state)
{
    void *blocks[2 * BATCH + 1];
    struct other other;
    struct vine__arena_stats before;
    struct vine__arena_stats after;

    other_start(&other, true);
    (void)take_home_all();
    allocate(blocks, 2 * BATCH + 1);
    before = stats_of(*state);
    tell(&other, FREE, blocks, 2 * BATCH + 1);
    assert_int_equal(vine__arena_take_home(), 2 * BATCH);
    after = stats_of(*state);
    assert_int_equal(after.remote_frees_received - before.remote_frees_received, 2 * BATCH);
    assert_int_equal(before.used_bytes - after.used_bytes, 2 * BATCH * 48);
    /* Who leaves sends the rest. */
    tell(&other, LEAVE, NULL, 0);
    assert_true(vine__arena_take_home() >= 1);
}

static void a_thread_without_an_arena_sends_home_at_once(void **state)
{
    void *blocks[100];
    struct other other;

    (void)state;
    other_start(&other, false);
    (void)take_home_all();
    allocate(blocks, 100);
    tell(&other, FREE, blocks, 1);
    assert_int_equal(vine__arena_take_home(), 1);
    tell(&other, FREE, blocks + 1, 99);
    assert_int_equal(vine__arena_take_home(), 99);
    tell(&other, LEAVE, NULL, 0);
}

static void a_small_aligned_block_on_its_way_home_does_no_harm_to_its_neighbours(void **state)
{
    enum { COUNT = 3000 };
    static void *gone[COUNT];
    static unsigned char *kept[COUNT];
    struct other other;

    (void)state;
    other_start(&other, false);
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        for (int n = 0; n < COUNT; n++) {
            gone[n] = vine__arena_alloc_aligned(alignment, (size_t)n % 3);
            kept[n] = vine__arena_alloc_aligned(alignment, 1);
            memset(kept[n], n & 255, vine__arena_usable(kept[n]));
        }
        tell(&other, FREE, gone, COUNT);
        for (int n = 0; n < COUNT; n++)
            for (size_t at = 0; at < vine__arena_usable(kept[n]); at++)
                assert_int_equal(kept[n][at], n & 255);
        assert_true(take_home_all() >= COUNT);
        for (int n = 0; n < COUNT; n++)
            vine__arena_free(kept[n]);
    }
    tell(&other, LEAVE, NULL, 0);
}

static void whatever_nobody_takes_is_kept_and_a_turn_takes_a_part_of_it(void **state)
{
    static void *blocks[BLOCKS_MAX];
    struct other other;
    struct vine__arena_stats before;
    struct vine__arena_stats after;

    other_start(&other, true);
    (void)take_home_all();
    before = stats_of(*state);
    allocate(blocks, BLOCKS_MAX);
    tell(&other, FREE, blocks, BLOCKS_MAX);
    tell(&other, FLUSH, NULL, 0);

    const uint32_t first = vine__arena_take_home();

    assert_true(first > 0 && first < BLOCKS_MAX);
    assert_int_equal(first + take_home_all(), BLOCKS_MAX);
    after = stats_of(*state);
    assert_int_equal(after.remote_frees_received - before.remote_frees_received, BLOCKS_MAX);
    assert_int_equal(after.used_bytes, before.used_bytes);
    tell(&other, LEAVE, NULL, 0);
}

static void a_full_arena_finds_room_in_what_came_home(void **state)
{
    static void *blocks[64];
    uint32_t count = 0;
    struct other other;

    (void)state;
    other_start(&other, true);
    while (count < 64 && (blocks[count] = vine__arena_alloc(MIB)) != NULL)
        count++;
    assert_true(count > 30 && count < 64);
    tell(&other, FREE, blocks, 2);
    assert_null(vine__arena_alloc(MIB)); /* they are still there, in a batch */
    tell(&other, FLUSH, NULL, 0);
    blocks[0] = vine__arena_alloc(MIB);
    assert_non_null(blocks[0]);
    blocks[1] = vine__arena_alloc(MIB);
    assert_non_null(blocks[1]);
    for (uint32_t n = 0; n < count; n++)
        vine__arena_free(blocks[n]);
    tell(&other, LEAVE, NULL, 0);
}

static void blocks_of_an_arena_that_nobody_has_are_freed_at_once(void **state)
{
    void *blocks[200];
    struct other other;

    other_start(&other, true);
    allocate(blocks, 200);
    vine__arena_detach();
    tell(&other, FREE, blocks, 200);
    tell(&other, FLUSH, NULL, 0);
    assert_int_equal(other.flushed, 0);
    assert_int_equal(vine__arena_attach(*state), 0);
    tell(&other, LEAVE, NULL, 0);
    allocate(blocks, 200);
    for (int n = 0; n < 200; n++)
        vine__arena_free(blocks[n]);
}

/* ---- at once --------------------------------------------------------------------------------- */

#define ROUNDS 8000
#define CARGO  50
#define QUEUE  8

/* Blocks on their way from one core to the other, by a plain queue under a lock: it is not what is
 * tested. */
struct mail {
    pthread_mutex_t lock;
    uint32_t first;
    uint32_t count;
    uint32_t *blocks[QUEUE][CARGO];
};

struct core {
    pthread_t thread;
    struct vine__arena *arena;
    struct mail *in;
    struct mail *out;
    uint32_t seed;
    bool has_arena;
    pthread_barrier_t *all_sent;
    uint64_t wrong;
    uint64_t came_home;
};

static bool post(struct mail *mail, uint32_t *const *blocks)
{
    (void)pthread_mutex_lock(&mail->lock);
    const bool is_sent = mail->count < QUEUE;
    if (is_sent) {
        memcpy(mail->blocks[(mail->first + mail->count) % QUEUE], blocks, sizeof(mail->blocks[0]));
        mail->count++;
    }
    (void)pthread_mutex_unlock(&mail->lock);
    return is_sent;
}

static bool receive(struct mail *mail, uint32_t **blocks)
{
    (void)pthread_mutex_lock(&mail->lock);
    const bool is_there = mail->count > 0;
    if (is_there) {
        memcpy(blocks, mail->blocks[mail->first], sizeof(mail->blocks[0]));
        mail->first = (mail->first + 1) % QUEUE;
        mail->count--;
    }
    (void)pthread_mutex_unlock(&mail->lock);
    return is_there;
}

/* The block's words are its size in words, its count: whoever is given a block that another one
 * still has finds that out. */
static uint32_t *make_block(struct core *core)
{
    core->seed = core->seed * 1664525 + 1013904223;
    const uint32_t words = 4 + (core->seed >> 16) % ((core->seed >> 8) % 16 == 0 ? 2000 : 60);
    uint32_t *const block = vine__arena_alloc(words * sizeof(uint32_t));
    MUST(block != NULL);
    for (uint32_t n = 0; n < words; n++)
        block[n] = words;
    return block;
}

static bool is_whole(const uint32_t *block)
{
    for (uint32_t n = 1; n < block[0]; n++)
        if (block[n] != block[0])
            return false;
    return true;
}

static bool take_in(struct core *core)
{
    uint32_t *blocks[CARGO];

    if (!receive(core->in, blocks))
        return false;
    for (int n = 0; n < CARGO; n++) {
        core->wrong += !is_whole(blocks[n]);
        vine__arena_free(blocks[n]);
    }
    return true;
}

static void *run_core(void *context)
{
    struct core *const core = context;
    uint32_t sent = 0;
    uint32_t taken = 0;
    uint32_t *blocks[CARGO];

    MUST(!core->has_arena || vine__arena_attach(core->arena) == 0);
    (void)take_home_all();
    const uint64_t before = core->has_arena ? stats_of(core->arena).remote_frees_received : 0;

    while (sent < ROUNDS || taken < ROUNDS) {
        bool is_idle = true;

        if (sent < ROUNDS) {
            for (int n = 0; n < CARGO; n++)
                blocks[n] = make_block(core);
            if (post(core->out, blocks)) {
                sent++;
                is_idle = false;
            } else {
                for (int n = 0; n < CARGO; n++)
                    vine__arena_free(blocks[n]);
            }
        }
        if (take_in(core)) {
            taken++;
            is_idle = false;
        }
        (void)vine__arena_flush_remote();
        (void)vine__arena_take_home();
        if (is_idle)
            (void)sched_yield();
    }
    /* The other one has freed and sent home all that it was given. */
    (void)pthread_barrier_wait(core->all_sent);
    (void)take_home_all();
    if (core->has_arena)
        core->came_home = stats_of(core->arena).remote_frees_received - before;
    (void)pthread_barrier_wait(core->all_sent);
    return core;
}

static void exchange_blocks(bool has_second_arena)
{
    static struct mail mails[2];
    struct core cores[2];
    pthread_barrier_t all_sent;

    assert_int_equal(pthread_barrier_init(&all_sent, NULL, 2), 0);
    memset(mails, 0, sizeof(mails));
    for (uint32_t n = 0; n < 2; n++) {
        (void)pthread_mutex_init(&mails[n].lock, NULL);
        cores[n] = (struct core){.in = &mails[n],
                                 .out = &mails[1 - n],
                                 .seed = n,
                                 .all_sent = &all_sent,
                                 .has_arena = n == 0 || has_second_arena};
        cores[n].arena = cores[n].has_arena ? open_arena() : NULL;
    }
    for (int n = 0; n < 2; n++)
        assert_int_equal(pthread_create(&cores[n].thread, NULL, run_core, &cores[n]), 0);
    for (int n = 0; n < 2; n++)
        assert_int_equal(pthread_join(cores[n].thread, NULL), 0);
    for (int n = 0; n < 2; n++) {
        assert_int_equal(cores[n].wrong, 0);
        if (cores[n].has_arena)
            assert_int_equal(cores[n].came_home, ROUNDS * CARGO);
        vine__arena_destroy(cores[n].arena);
    }
    (void)pthread_barrier_destroy(&all_sent);
}

static void two_cores_pass_blocks_to_each_other_and_all_come_home(void **state)
{
    (void)state;
    exchange_blocks(true);
}

static void a_core_and_a_thread_without_an_arena_pass_blocks_to_each_other(void **state)
{
    (void)state;
    exchange_blocks(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_arena_nothing_is_sent_and_nothing_comes),
#define EACH(test) cmocka_unit_test_setup_teardown(test, enter, leave)
        EACH(less_than_a_batch_goes_home_when_it_is_flushed),
        EACH(a_whole_batch_goes_home_by_itself),
        EACH(a_thread_without_an_arena_sends_home_at_once),
        EACH(a_small_aligned_block_on_its_way_home_does_no_harm_to_its_neighbours),
        EACH(whatever_nobody_takes_is_kept_and_a_turn_takes_a_part_of_it),
        EACH(a_full_arena_finds_room_in_what_came_home),
        EACH(blocks_of_an_arena_that_nobody_has_are_freed_at_once),
#undef EACH
        cmocka_unit_test(two_cores_pass_blocks_to_each_other_and_all_come_home),
        cmocka_unit_test(a_core_and_a_thread_without_an_arena_pass_blocks_to_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
