/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The op cache by itself: what it refuses and how it counts that, when a place is used again, and
 * who of two wins that end one operation. The other thread is played by calls in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "core/bridge/op_cache.h"

struct job {
    struct vine__op operation;
    uint64_t number;
} __attribute__((aligned(VINE_CACHE_LINE)));

#define KIND 3

static bool is_pending(const struct vine__op *operation)
{
    return vine__op_word_state(vine__load_acquire_u64(&operation->word)) == VINE__OP_PENDING;
}

static struct vine__op_cache cache;

static int open_cache(void **state)
{
    (void)state;
    vine__op_cache_init(&cache, sizeof(struct job), 4);
    return 0;
}

static int close_cache(void **state)
{
    (void)state;
    vine__op_cache_fini(&cache);
    return 0;
}

static struct vine__op *add(uint64_t *ret_id)
{
    struct vine__op *operation = vine__op_take(&cache);

    assert_non_null(operation);
    (void)vine__op_register(operation, KIND);
    *ret_id = vine__op_id(operation);
    return operation;
}

static uint64_t word_of(const struct vine__op *operation)
{
    return vine__load_acquire_u64(&operation->word);
}

static void every_refusal_is_counted_as_what_it_is(void **state)
{
    uint64_t id;
    struct vine__op *operation = add(&id);
    struct vine__op *composed = vine__op_take(&cache);
    const struct vine__op_refusals *refused = &cache.refused;
    (void)state;

    assert_null(vine__op_complete(&cache, id | 4, KIND)); /* no such place */
    assert_null(vine__op_complete(&cache, UINT64_MAX, KIND));
    assert_int_equal(refused->unknown, 2);
    assert_null(vine__op_complete(&cache, id + (1ULL << 32), KIND)); /* its next use */
    assert_null(vine__op_complete(&cache, vine__op_id(composed), 0));
    assert_null(vine__op_complete(&cache, 2, 0));              /* the use before the first one */
    assert_null(vine__op_complete(&cache, 1ULL << 32 | 2, 0)); /* the first one */
    assert_int_equal(refused->forged, 4);
    assert_null(vine__op_complete(&cache, id - (1ULL << 32), KIND)); /* its last use */
    assert_int_equal(refused->duplicate, 1);
    assert_null(vine__op_complete(&cache, id, KIND + 1));
    assert_int_equal(refused->wrong_kind, 1);
    assert_true(is_pending(operation));
    assert_ptr_equal(vine__op_complete(&cache, id, KIND), operation);
    assert_null(vine__op_complete(&cache, id, KIND)); /* done, and not given back */
    vine__op_give(&cache, operation);
    assert_null(vine__op_complete(&cache, id, KIND));
    assert_int_equal(refused->duplicate, 3);
    assert_int_equal(refused->late, 0);
    assert_int_equal(vine__op_cache_refused(&cache), 10);
    vine__op_give(&cache, composed);
}

static void who_ends_operations_alone_refuses_the_same(void **state)
{
    uint64_t id;
    struct vine__op *operation = add(&id);
    (void)state;

    assert_null(vine__op_complete_alone(&cache, id | 4, KIND));
    assert_null(vine__op_complete_alone(&cache, id + (1ULL << 32), KIND));
    assert_null(vine__op_complete_alone(&cache, id, KIND + 1));
    assert_ptr_equal(vine__op_complete_alone(&cache, id, KIND), operation);
    assert_null(vine__op_complete_alone(&cache, id, KIND));
    assert_int_equal(cache.refused.unknown, 1);
    assert_int_equal(cache.refused.forged, 1);
    assert_int_equal(cache.refused.wrong_kind, 1);
    assert_int_equal(cache.refused.duplicate, 1);
    vine__op_give(&cache, operation);
}

static void there_are_as_many_operations_as_were_asked_for(void **state)
{
    struct vine__op_cache other;
    (void)state;

    for (uint32_t count = 1; count <= 2 * VINE__OPS_A_SLAB; count += VINE__OPS_A_SLAB / 2 + 1) {
        vine__op_cache_init(&other, sizeof(struct job), count);
        if (count % 2)
            assert_int_equal(vine__op_cache_fill(&other), 0);
        for (uint32_t i = 0; i < count; i++)
            assert_non_null(vine__op_take(&other));
        assert_null(vine__op_take(&other));
        assert_int_equal(other.count, count);
        vine__op_cache_fini(&other);
    }
}

static void an_abandoned_place_is_used_again_after_its_completion_only(void **state)
{
    uint64_t ids[4];
    struct vine__op *abandoned = add(&ids[0]);
    (void)state;

    for (int i = 1; i < 4; i++)
        (void)add(&ids[i]);
    assert_true(vine__op_abandon(abandoned, word_of(abandoned)));
    assert_false(vine__op_abandon(abandoned, word_of(abandoned)));
    assert_null(vine__op_take(&cache));
    assert_null(vine__op_complete(&cache, ids[0], KIND + 1));
    assert_int_equal(cache.refused.wrong_kind, 1);
    assert_null(vine__op_take(&cache));
    assert_null(vine__op_complete(&cache, ids[0], KIND));
    assert_int_equal(cache.refused.late, 1);
    assert_ptr_equal(vine__op_take(&cache), abandoned);
    assert_null(vine__op_complete(&cache, ids[0], KIND));
    assert_int_equal(cache.refused.duplicate, 1);
}

static void of_two_who_end_an_operation_one_succeeds(void **state)
{
    uint64_t id;
    struct vine__op *operation = add(&id);
    uint64_t seen = word_of(operation);
    (void)state;

    /* A completion comes between who looks and abandons. */
    assert_ptr_equal(vine__op_complete(&cache, id, KIND), operation);
    assert_false(vine__op_abandon(operation, seen));
    assert_false(vine__op_end(operation, seen));
    assert_false(vine__op_retract(&cache, operation, seen));
    vine__op_give(&cache, operation);

    /* The place is in use again when who looked at its last use acts. */
    struct vine__op *taken[4];
    for (int i = 0; i < 4; i++)
        taken[i] = add(&id);
    assert_true(is_pending(operation));
    assert_false(vine__op_abandon(operation, seen));
    assert_false(vine__op_end(operation, seen));
    assert_false(vine__op_retract(&cache, operation, seen));
    assert_true(is_pending(operation));

    /* Abandoned before it completes. */
    operation = taken[3];
    seen = word_of(operation);
    assert_true(vine__op_abandon(operation, seen));
    assert_null(vine__op_complete(&cache, id, KIND));
    assert_int_equal(cache.refused.late, 1);
    assert_false(vine__op_reclaim(&cache, operation, vine__op_word_as(seen, VINE__OP_ABANDONED)));
}

static void what_was_not_sent_is_free_again_however_it_ended(void **state)
{
    uint64_t id;
    (void)state;

    for (int round = 0; round < 10; round++) {
        struct vine__op *operation = add(&id);
        const uint64_t word = word_of(operation);

        switch (round % 4) {
        case 0: /* nobody ended it */
            assert_true(vine__op_retract(&cache, operation, word));
            break;
        case 1: /* its time was over */
            assert_true(vine__op_abandon(operation, word));
            assert_false(vine__op_retract(&cache, operation, word));
            break;
        case 2: /* its id was guessed */
            assert_ptr_equal(vine__op_complete(&cache, id, KIND), operation);
            assert_false(vine__op_retract(&cache, operation, word));
            vine__op_give(&cache, operation);
            break;
        default: /* both */
            assert_true(vine__op_abandon(operation, word));
            assert_null(vine__op_complete(&cache, id, KIND));
            assert_false(vine__op_retract(&cache, operation, word));
            break;
        }
    }
    for (int i = 0; i < 4; i++)
        (void)add(&id);
    assert_null(vine__op_take(&cache));
}

static void the_taker_gives_back_to_itself(void **state)
{
    uint64_t id;
    struct vine__op *operation = vine__op_take(&cache);
    (void)state;

    vine__op_give_own(&cache, operation);
    assert_ptr_equal(add(&id), operation);
    assert_int_equal(id >> 32, 2);
    assert_ptr_equal(vine__op_complete(&cache, id, KIND), operation);
    vine__op_give_own(&cache, operation);
    assert_null(vine__op_complete(&cache, id, KIND));
    assert_int_equal(cache.refused.duplicate, 1);
    for (int i = 0; i < 4; i++)
        (void)add(&id);
    assert_null(vine__op_take(&cache));
}

static void generations_go_round(void **state)
{
    uint64_t before;
    uint64_t after;
    struct vine__op *operation;
    (void)state;

    operation = add(&before);
    (void)vine__op_complete(&cache, before, KIND);
    vine__store_relaxed_u64(&operation->word, vine__op_word(UINT32_MAX - 1, KIND, VINE__OP_DONE));
    cache.free_taker = VINE__OP_NONE;
    vine__op_give(&cache, operation);
    operation = add(&before);
    assert_int_equal(before >> 32, UINT32_MAX);
    assert_ptr_equal(vine__op_complete(&cache, before, KIND), operation);
    vine__op_give(&cache, operation);
    operation = add(&after);
    assert_int_equal(after >> 32, 0);
    assert_null(vine__op_complete(&cache, before, KIND));
    assert_int_equal(cache.refused.duplicate, 1);
    assert_null(vine__op_complete(&cache, after + (1ULL << 32), KIND));
    assert_int_equal(cache.refused.forged, 1);
    assert_ptr_equal(vine__op_complete(&cache, after, KIND), operation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_refusal_is_counted_as_what_it_is, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(who_ends_operations_alone_refuses_the_same, open_cache,
                                        close_cache),
        cmocka_unit_test(there_are_as_many_operations_as_were_asked_for),
        cmocka_unit_test_setup_teardown(an_abandoned_place_is_used_again_after_its_completion_only,
                                        open_cache, close_cache),
        cmocka_unit_test_setup_teardown(of_two_who_end_an_operation_one_succeeds, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(what_was_not_sent_is_free_again_however_it_ended,
                                        open_cache, close_cache),
        cmocka_unit_test_setup_teardown(the_taker_gives_back_to_itself, open_cache, close_cache),
        cmocka_unit_test_setup_teardown(generations_go_round, open_cache, close_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
