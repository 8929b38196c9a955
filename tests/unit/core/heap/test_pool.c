/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Heaps of a pool: who gets which, what is in them, and what becomes of their memory. */
#include "unit/arch/guard/guards.h"

#include "core/heap/heap.h"
#include "core/heap/poison.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <vine/error.h>

#define PAGES_MAX 16U

static struct vine__heap_pool *make_pool(struct vine__heap_pool_options options)
{
    struct vine__heap_pool *pool = NULL;

    if (options.heap_bytes == 0)
        options.heap_bytes = PAGES_MAX * PAGE;
    assert_int_equal(vine__heap_pool_create(&options, &pool), 0);
    return pool;
}

static struct vine__heap *take(struct vine__heap_pool *pool, uint32_t colour)
{
    struct vine__heap *heap = NULL;

    assert_int_equal(vine__heap_take(pool, colour, &heap), 0);
    return heap;
}

static bool is_zero(const struct vine__heap *heap)
{
    for (size_t i = 0; i < heap->region.size_bytes; i++)
        if (heap->region.start[i] != 0)
            return false;
    return true;
}

static size_t pages_there(const struct vine__heap *heap)
{
    unsigned char there[PAGES_MAX];
    size_t count = 0;

    assert_int_equal(mincore(heap->region.start, sizeof(there) * PAGE, there), 0);
    for (size_t i = 0; i < sizeof(there); i++)
        count += there[i] & 1;
    return count;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void check_options(void)
{
    struct vine__heap_pool *pool = NULL;
    const struct vine__heap_pool_options bad[] = {
        {.heap_bytes = PAGE / 2, .count_max = 1},
        {.heap_bytes = 3 * PAGE, .count_max = 1},
        {.heap_bytes = 2 * VINE__HEAP_BYTES_MAX, .count_max = 1},
        {.heap_bytes = PAGE},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(vine__heap_pool_create(&bad[i], &pool), -EINVAL);
    assert_null(pool);
}

static void a_pool_of_impossible_heaps_is_refused(void **state)
{
    (void)state;
    guard_each(check_options);
}

static void check_count(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 2});
    struct vine__heap *const first = take(pool, VINE__HEAP_ANY_COLOUR);
    struct vine__heap *const second = take(pool, VINE__HEAP_ANY_COLOUR);
    struct vine__heap *third = NULL;
    char why[VINE__HEAP_WHY_BYTES];

    vine__heap_pool_explain(pool, why);
    assert_string_equal(why, "");
    assert_int_equal(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &third), -EAGAIN);
    assert_null(third);
    vine__heap_pool_explain(pool, why);
    assert_string_equal(why, "2 heaps are in use, and no more are allowed (--connections)");
    vine__heap_give(first);
    third = take(pool, VINE__HEAP_ANY_COLOUR);
    vine__heap_give(third);
    vine__heap_give(second);
    vine__heap_pool_destroy(pool);
}

static void no_more_heaps_are_taken_than_are_allowed(void **state)
{
    (void)state;
    guard_each(check_count);
}

static void check_mappings(void)
{
    const uint64_t mappings = vine__guard_pages_mappings_max() / 2;
    struct vine__heap_pool_options options = {
        .heap_bytes = PAGE, .count_max = 1000, .pool_count = 0};
    struct vine__heap_pool_figures figures;
    struct vine__heap *heaps[1000], *more;
    char why[VINE__HEAP_WHY_BYTES], words[64];

    /* So many pools that ten heaps are left for each. */
    options.pool_count = (uint32_t)(mappings / vine__guard_pages_mappings() / 10);

    struct vine__heap_pool *const pool = make_pool(options);

    vine__heap_pool_look(pool, &figures);
    assert_in_range(figures.taken_max, 10, 11);
    for (uint32_t n = 0; n < figures.taken_max; n++)
        heaps[n] = take(pool, VINE__HEAP_ANY_COLOUR);
    assert_int_equal(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &more), -EAGAIN);
    vine__heap_pool_explain(pool, why);
    (void)snprintf(
        words, sizeof(words), "%u heaps are in use, and vm.max_map_count, which is %llu,",
        (unsigned)figures.taken_max, (unsigned long long)vine__guard_pages_mappings_max());
    assert_non_null(strstr(why, words));
    for (uint32_t n = 0; n < figures.taken_max; n++)
        vine__heap_give(heaps[n]);
    vine__heap_pool_destroy(pool);
}

static void half_of_the_mappings_that_a_process_may_have_are_left_to_others(void **state)
{
    (void)state;
    guard_each(check_mappings);
}

static void check_growth(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 1});
    struct vine__heap *const heap = take(pool, VINE__HEAP_ANY_COLOUR);

    assert_int_equal(vine__heap_grow(heap, PAGES_MAX * PAGE + 1), -ENOSPC);
    assert_int_equal(vine__heap_grow(heap, SIZE_MAX), -ENOSPC);
    assert_int_equal(heap->region.size_bytes, PAGE);
    assert_int_equal(vine__heap_grow(heap, PAGE + 1), 0);
    assert_int_equal(heap->region.size_bytes, 2 * PAGE);
    assert_int_equal(vine__heap_grow(heap, PAGES_MAX * PAGE), 0);
    assert_int_equal(heap->region.size_bytes, PAGES_MAX * PAGE);
    assert_int_equal(vine__heap_grow(heap, PAGE), 0);
    assert_true(is_zero(heap));
    memset(heap->region.start, 1, heap->region.size_bytes);
    vine__heap_give(heap);
    vine__heap_pool_destroy(pool);
}

static void a_heap_grows_to_what_it_may_have_and_no_further(void **state)
{
    (void)state;
    guard_each(check_growth);
}

static void check_head(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 1});
    struct vine__heap *const heap = take(pool, VINE__HEAP_ANY_COLOUR);

    assert_null(vine__heap_init(heap, PAGE));
    assert_null(vine__heap_init(heap, SIZE_MAX));
    assert_int_equal(vine__heap_grow(heap, 2 * PAGE), 0);

    const struct vine__heap_head *const head = vine__heap_init(heap, PAGE);

    assert_ptr_equal(head, heap->region.start);
    assert_int_equal(vine__heap_validate(head, heap->region.size_bytes), 0);
    vine__heap_give(heap);
    vine__heap_pool_destroy(pool);
}

static void a_head_for_which_there_is_no_room_is_refused(void **state)
{
    (void)state;
    guard_each(check_head);
}

/* ---- owners ---------------------------------------------------------------------------------- */

static void check_wiping(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 4});

    for (uint32_t pages = 1; pages <= PAGES_MAX; pages++) {
        struct vine__heap *const heap = take(pool, 0);

        assert_int_equal(vine__heap_grow(heap, pages * PAGE), 0);
        assert_true(is_zero(heap));
        memset(heap->region.start, 0xa5, heap->region.size_bytes);
        /* By turns open and closed. */
        if (pages % 2 == 0)
            vine__guard_close(&heap->region);
        vine__heap_give(heap);
        assert_ptr_equal(take(pool, 0), heap);
        assert_true(is_zero(heap));
        vine__heap_give(heap);
    }
    vine__heap_pool_destroy(pool);
}

static void an_owner_sees_nothing_of_the_one_before(void **state)
{
    (void)state;
    guard_each(check_wiping);
}

static void check_order(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 64});
    struct vine__heap *const first = take(pool, 0), *const second = take(pool, 0);

    assert_int_equal(vine__heap_grow(second, 3 * PAGE), 0);
    vine__heap_give(first);
    vine__heap_give(second);
    assert_ptr_equal(take(pool, 0), second);
    /* What it grew to is there already. */
    assert_int_equal(second->region.size_bytes, 3 * PAGE);
    assert_ptr_equal(take(pool, 0), first);
    vine__heap_give(first);
    vine__heap_give(second);
    vine__heap_pool_destroy(pool);
}

static void the_last_heap_given_is_the_first_one_taken(void **state)
{
    (void)state;
    guard_each(check_order);
}

static void check_colours(void)
{
    const uint32_t colours = vine__guard_colour_count();
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 60});
    struct vine__heap *heaps[60], *more = NULL;
    uint32_t count_of[VINE__GUARD_COLOURS_MAX] = {0};
    char why[VINE__HEAP_WHY_BYTES];

    for (uint32_t n = 0; n < 60; n++) {
        heaps[n] = take(pool, VINE__HEAP_ANY_COLOUR);
        count_of[heaps[n]->region.colour]++;
    }
    /* Even shares, and neighbours that differ: or else a page that nobody may touch is between. */
    for (uint32_t colour = 0; colour < colours; colour++)
        assert_in_range(count_of[colour], 60 / colours, 60 / colours + 1);
    for (uint32_t n = 0; n < 60; n++)
        for (uint32_t m = 0; m < 60; m++)
            if (heaps[n]->region.start + heaps[n]->limit_bytes == heaps[m]->region.start)
                assert_int_not_equal(heaps[n]->region.colour, heaps[m]->region.colour);
    for (uint32_t n = 0; n < 60; n++)
        vine__heap_give(heaps[n]);

    /* One colour alone: it ends before the pool does. */
    uint32_t taken = 0;

    while (taken < 60 && vine__heap_take(pool, 0, &heaps[taken]) == 0)
        assert_int_equal(heaps[taken++]->region.colour, 0);
    if (colours > 1) {
        assert_in_range(taken, 60 / colours, 59);
        assert_int_equal(vine__heap_take(pool, 0, &more), -EAGAIN);
        vine__heap_pool_explain(pool, why);
        assert_non_null(strstr(why, "heaps of colour 0 are in use"));
    }
    while (taken > 0)
        vine__heap_give(heaps[--taken]);
    vine__heap_pool_destroy(pool);
}

static void colours_take_turns(void **state)
{
    (void)state;
    guard_each(check_colours);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void check_warmth(void)
{
    const struct vine__heap_pool_options options = {.count_max = 8, .warm_count = 2};
    struct vine__heap_pool *const pool = make_pool(options);
    struct vine__heap_pool_figures figures;
    struct vine__heap *heaps[4];

    for (uint32_t n = 0; n < 4; n++) {
        heaps[n] = take(pool, VINE__HEAP_ANY_COLOUR);
        assert_int_equal(vine__heap_grow(heaps[n], PAGES_MAX * PAGE), 0);
        memset(heaps[n]->region.start, 1, PAGES_MAX * PAGE);
        assert_int_equal(pages_there(heaps[n]), PAGES_MAX);
    }
    vine__heap_pool_look(pool, &figures);
    assert_int_equal(figures.taken_count, 4);
    for (uint32_t n = 0; n < 4; n++)
        vine__heap_give(heaps[n]);
    vine__heap_pool_look(pool, &figures);
    assert_int_equal(figures.taken_count, 0);
    assert_int_equal(figures.warm_count, 2);
    assert_int_equal(figures.kept_bytes,
                     pages_there(heaps[0]) * PAGE + pages_there(heaps[1]) * PAGE);
    assert_in_range(pages_there(heaps[0]), 1, PAGES_MAX / 2);
    assert_int_equal(pages_there(heaps[2]) + pages_there(heaps[3]), 0);

    vine__heap_pool_trim(pool, 0);
    vine__heap_pool_look(pool, &figures);
    assert_int_equal(figures.warm_count, 0);
    assert_int_equal(figures.kept_bytes, 0);
    for (uint32_t n = 0; n < 4; n++)
        assert_int_equal(pages_there(heaps[n]), 0);
    for (uint32_t n = 0; n < 4; n++) {
        heaps[n] = take(pool, VINE__HEAP_ANY_COLOUR);
        assert_true(is_zero(heaps[n]));
    }
    for (uint32_t n = 0; n < 4; n++)
        vine__heap_give(heaps[n]);
    vine__heap_pool_destroy(pool);
}

static void memory_of_heaps_that_nobody_has_goes_back(void **state)
{
    (void)state;
    guard_each(check_warmth);
}

/* ---- what lies in a heap --------------------------------------------------------------------- */

static void check_strangers(void)
{
    struct vine__heap_pool *const pool =
        make_pool((struct vine__heap_pool_options){.count_max = 1});
    struct vine__heap *const heap = take(pool, VINE__HEAP_ANY_COLOUR);
    struct vine__heap_head *const head = vine__heap_init(heap, sizeof(*head));
    const uint32_t words = PAGE / sizeof(uint32_t);
    uint32_t *const memory = (uint32_t *)(void *)head;
    uint64_t state = 88172645463325252u;
    uint32_t refused = 0;
    void *blocks[8];

    assert_non_null(head);
    for (uint32_t n = 0; n < 8; n++) {
        (void)vine__heap_push(head, 40);
        blocks[n] = vine__heap_alloc(head, 20 + 30 * n);
        assert_non_null(blocks[n]);
    }
    for (uint32_t n = 0; n < 8; n += 2)
        vine__heap_free(head, blocks[n]);
    assert_int_equal(vine__heap_validate(head, PAGE), 0);
    assert_int_equal(vine__heap_validate(head, 2 * PAGE), -VINE_ECORRUPT);

    /* Any word, one that may be a place among them: refused or not, nothing outside is read. */
    for (uint32_t n = 0; n < 20000; n++) {
        uint32_t kept[2];

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const uint32_t at = (uint32_t)(state >> 8) % (sizeof(*head) / sizeof(uint32_t) + 100);
        if (at + 1 >= words)
            continue;
        VINE__HEAP_SHOW(memory + at, sizeof(kept));
        memcpy(kept, memory + at, sizeof(kept));
        memory[at] = state % 3 == 0 ? (uint32_t)state : (uint32_t)(state % (PAGE + 64));
        refused += vine__heap_validate(head, PAGE) != 0;
        memcpy(memory + at, kept, sizeof(kept));
        assert_int_equal(vine__heap_validate(head, PAGE), 0);
    }
    assert_true(refused > 0);
    vine__heap_give(heap);
    vine__heap_pool_destroy(pool);
}

static void a_heap_in_which_anything_stands_is_looked_at_without_harm(void **state)
{
    (void)state;
    guard_each(check_strangers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_of_impossible_heaps_is_refused),
        cmocka_unit_test(no_more_heaps_are_taken_than_are_allowed),
        cmocka_unit_test(half_of_the_mappings_that_a_process_may_have_are_left_to_others),
        cmocka_unit_test(a_heap_grows_to_what_it_may_have_and_no_further),
        cmocka_unit_test(a_head_for_which_there_is_no_room_is_refused),
        cmocka_unit_test(an_owner_sees_nothing_of_the_one_before),
        cmocka_unit_test(the_last_heap_given_is_the_first_one_taken),
        cmocka_unit_test(colours_take_turns),
        cmocka_unit_test(memory_of_heaps_that_nobody_has_goes_back),
        cmocka_unit_test(a_heap_in_which_anything_stands_is_looked_at_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
