/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three strategies over private books: what they refuse, then what they do, compared with a
 * model that marks each granule of the extent.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vine/allocator.h>
#include <vine/error.h>

static const enum vine_allocator_strategy with_free[] = {VINE_ALLOCATOR_GENERAL,
                                                         VINE_ALLOCATOR_TLSF};

static struct vine_allocator_options options_of(enum vine_allocator_strategy strategy,
                                                uint64_t extent_bytes)
{
    return (struct vine_allocator_options){
        .size_bytes = sizeof(struct vine_allocator_options),
        .strategy = strategy,
        .extent_bytes = extent_bytes,
    };
}

static struct vine_allocator *create(enum vine_allocator_strategy strategy, uint64_t extent_bytes)
{
    const struct vine_allocator_options options = options_of(strategy, extent_bytes);
    struct vine_allocator *allocator = NULL;
    assert_int_equal(vine_allocator_create(&options, &allocator), 0);
    return allocator;
}

static uint64_t alloc(struct vine_allocator *allocator, uint64_t size_bytes)
{
    uint64_t offset = UINT64_MAX;
    assert_int_equal(vine_allocator_alloc(allocator, size_bytes, &offset), 0);
    return offset;
}

static struct vine_allocator_stats stats_of(struct vine_allocator *allocator)
{
    struct vine_allocator_stats stats;
    assert_int_equal(vine_allocator_stats(allocator, &stats), 0);
    return stats;
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct vine_allocator *allocator = NULL;
    struct vine_allocator_options options = options_of(VINE_ALLOCATOR_GENERAL, 4096);

    assert_int_equal(vine_allocator_create(NULL, &allocator), -EINVAL);
    options.size_bytes--;
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options = options_of(VINE_ALLOCATOR_GENERAL, 4096);
    options.granule_bytes = 48;
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options.granule_bytes = 32;
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options = options_of((enum vine_allocator_strategy)3, 4096);
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options = options_of(VINE_ALLOCATOR_GENERAL, 63);
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options = options_of(VINE_ALLOCATOR_BUMP, (VINE_ALLOCATOR_GRANULES_MAX + UINT64_C(1)) * 64);
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    options = options_of(VINE_ALLOCATOR_GENERAL, UINT64_MAX);
    assert_int_equal(vine_allocator_create(&options, &allocator), -EINVAL);
    assert_null(allocator);
    vine_allocator_destroy(NULL);
}

static void impossible_sizes_are_refused_and_change_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct vine_allocator *allocator = create(with_free[i], 64 * 1000);
        uint64_t offset = 77;
        assert_int_equal(vine_allocator_alloc(allocator, 0, &offset), -EINVAL);
        assert_int_equal(vine_allocator_alloc(allocator, 64 * 1000 + 1, &offset), -ENOMEM);
        assert_int_equal(vine_allocator_alloc(allocator, UINT64_MAX, &offset), -ENOMEM);
        assert_int_equal(vine_allocator_alloc(allocator, UINT64_MAX - 62, &offset), -ENOMEM);
        assert_int_equal(offset, 77);
        assert_int_equal(stats_of(allocator).live_blocks, 0);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        vine_allocator_destroy(allocator);
    }
}

static void offsets_that_name_no_living_block_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct vine_allocator *allocator = create(with_free[i], 1 << 20);
        const uint64_t first = alloc(allocator, 1000);
        const uint64_t second = alloc(allocator, 5000);
        uint64_t size_bytes = 77;
        const uint64_t wrong[] = {first + 1,
                                  first + 64,
                                  second + 63,
                                  second + 64,
                                  1 << 20,
                                  UINT64_MAX,
                                  0,
                                  64,
                                  (1 << 20) + 640,
                                  1ULL << 63,
                                  first + (UINT64_C(1) << 38)};
        for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
            assert_int_equal(vine_allocator_free(allocator, wrong[k]), -VINE_ETOKEN);
            assert_int_equal(vine_allocator_size_of(allocator, wrong[k], &size_bytes),
                             -VINE_ETOKEN);
            assert_int_equal(vine_allocator_shrink(allocator, wrong[k], 1), -VINE_ETOKEN);
        }
        assert_int_equal(size_bytes, 77);
        assert_int_equal(vine_allocator_free(allocator, first), 0);
        assert_int_equal(vine_allocator_free(allocator, first), -VINE_ETOKEN);
        assert_int_equal(vine_allocator_size_of(allocator, first, &size_bytes), -VINE_ETOKEN);
        assert_int_equal(vine_allocator_free(allocator, second), 0);
        assert_int_equal(vine_allocator_free(allocator, second), -VINE_ETOKEN);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        vine_allocator_destroy(allocator);
    }
}

static void a_block_may_be_as_large_as_the_extent_whatever_its_size(void **state)
{
    (void)state;
    const uint64_t units[] = {1, 2, 31, 33, 1000, 1023, 4097, 99999};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < sizeof(units) / sizeof(units[0]); k++) {
            struct vine_allocator *allocator = create(with_free[i], units[k] * 64 + 63);
            assert_int_equal(stats_of(allocator).largest_free_bytes, units[k] * 64);
            assert_int_equal(alloc(allocator, units[k] * 64), 0);
            uint64_t offset;
            assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), -ENOMEM);
            assert_int_equal(vine_allocator_free(allocator, 0), 0);
            assert_int_equal(stats_of(allocator).largest_free_bytes, units[k] * 64);
            vine_allocator_destroy(allocator);
        }
    }
}

static void freed_neighbours_make_room_for_a_larger_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct vine_allocator *allocator = create(with_free[i], 64 * 1024);
        uint64_t offsets[64];
        for (size_t k = 0; k < 64; k++)
            offsets[k] = alloc(allocator, 1024);
        uint64_t offset;
        assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), -ENOMEM);
        /* Every second one first, so that each remaining one joins two. */
        for (size_t k = 0; k < 64; k += 2)
            assert_int_equal(vine_allocator_free(allocator, offsets[k]), 0);
        assert_int_equal(vine_allocator_alloc(allocator, 1025, &offset), -ENOMEM);
        for (size_t k = 1; k < 64; k += 2)
            assert_int_equal(vine_allocator_free(allocator, offsets[k]), 0);
        assert_int_equal(alloc(allocator, 64 * 1024), 0);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        vine_allocator_destroy(allocator);
    }
}

static void full_books_refuse_and_recover(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct vine_allocator_options options = options_of(with_free[i], 1 << 20);
        options.blocks_max = 5; /* four blocks and what is left of the extent */
        struct vine_allocator *allocator;
        assert_int_equal(vine_allocator_create(&options, &allocator), 0);
        uint64_t offsets[4];
        for (size_t k = 0; k < 4; k++)
            offsets[k] = alloc(allocator, 640);
        uint64_t offset;
        assert_int_equal(vine_allocator_alloc(allocator, 640, &offset), -ENOMEM);
        assert_int_equal(vine_allocator_shrink(allocator, offsets[0], 64), 0);
        assert_int_equal(stats_of(allocator).live_bytes, 3 * 640 + 64);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(vine_allocator_free(allocator, offsets[k]), 0);
        alloc(allocator, 1 << 20);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        vine_allocator_destroy(allocator);
    }
}

static void shrinking_keeps_the_beginning_and_gives_the_end_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct vine_allocator *allocator = create(with_free[i], 1 << 20);
        const uint64_t offset = alloc(allocator, 1 << 20);
        uint64_t size_bytes;
        assert_int_equal(vine_allocator_shrink(allocator, offset, 0), -EINVAL);
        assert_int_equal(vine_allocator_shrink(allocator, offset, (1 << 20) + 1), -EINVAL);
        assert_int_equal(vine_allocator_shrink(allocator, offset, 100000), 0);
        assert_int_equal(vine_allocator_size_of(allocator, offset, &size_bytes), 0);
        assert_in_range(size_bytes, 100000, 103500);
        assert_int_equal(stats_of(allocator).live_bytes, 100000);
        assert_in_range(stats_of(allocator).largest_free_bytes, (1 << 20) - 103500, 1 << 20);
        assert_int_equal(vine_allocator_shrink(allocator, offset, 1), 0);
        assert_int_equal(vine_allocator_size_of(allocator, offset, &size_bytes), 0);
        assert_int_equal(size_bytes, 64);
        alloc(allocator, (1 << 20) - 64);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        vine_allocator_destroy(allocator);
    }
}

static void reset_frees_everything(void **state)
{
    (void)state;
    const enum vine_allocator_strategy all[] = {VINE_ALLOCATOR_GENERAL, VINE_ALLOCATOR_TLSF,
                                                VINE_ALLOCATOR_BUMP};
    for (size_t i = 0; i < 3; i++) {
        struct vine_allocator *allocator = create(all[i], 1 << 20);
        for (size_t k = 0; k < 200; k++)
            alloc(allocator, 1 + k);
        assert_int_equal(stats_of(allocator).live_blocks, 200);
        assert_int_equal(stats_of(allocator).live_bytes, 200 * 201 / 2);
        assert_int_equal(vine_allocator_reset(allocator), 0);
        assert_int_equal(stats_of(allocator).live_blocks, 0);
        assert_int_equal(stats_of(allocator).largest_free_bytes, 1 << 20);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        assert_int_equal(alloc(allocator, 1 << 20), 0);
        vine_allocator_destroy(allocator);
    }
}

static void bump_goes_forward_and_knows_no_blocks(void **state)
{
    (void)state;
    struct vine_allocator *allocator = create(VINE_ALLOCATOR_BUMP, 1000);
    uint64_t size_bytes;
    assert_int_equal(alloc(allocator, 1), 0);
    assert_int_equal(alloc(allocator, 65), 64);
    assert_int_equal(alloc(allocator, 64), 192);
    assert_int_equal(vine_allocator_free(allocator, 0), -EOPNOTSUPP);
    assert_int_equal(vine_allocator_size_of(allocator, 0, &size_bytes), -EOPNOTSUPP);
    assert_int_equal(vine_allocator_shrink(allocator, 0, 1), -EOPNOTSUPP);
    assert_int_equal(vine_allocator_alloc(allocator, 705, &size_bytes), -ENOMEM);
    assert_int_equal(alloc(allocator, 704), 256);
    assert_int_equal(vine_allocator_alloc(allocator, 1, &size_bytes), -ENOMEM);
    assert_int_equal(stats_of(allocator).granted_bytes, 960);
    assert_int_equal(stats_of(allocator).live_blocks, 4);
    assert_null(vine_allocator_base(allocator));
    vine_allocator_destroy(allocator);
}

enum {
    MODEL_UNITS = 20000,
    MODEL_BLOCKS = 600,
};

struct model {
    struct vine_allocator *allocator;
    uint32_t granule_bytes;
    uint64_t live_bytes;
    uint32_t live_blocks;
    uint64_t offsets[MODEL_BLOCKS];
    uint64_t sizes[MODEL_BLOCKS]; /* 0: not living */
    uint64_t granted[MODEL_BLOCKS];
    uint8_t used[MODEL_UNITS];
};

static void model_mark(struct model *model, uint64_t offset, uint64_t bytes, uint8_t expected)
{
    assert_int_equal(offset % model->granule_bytes, 0);
    assert_int_equal(bytes % model->granule_bytes, 0);
    for (uint64_t unit = 0; unit < bytes / model->granule_bytes; unit++) {
        uint8_t *mark = &model->used[offset / model->granule_bytes + unit];
        assert_int_equal(*mark, expected);
        *mark = !expected;
    }
}

static uint64_t random_size(uint32_t granule_bytes)
{
    const uint64_t octave = random_u64() % 12;
    return 1 + random_u64() % ((uint64_t)granule_bytes << octave) / 4;
}

static void model_step(struct model *model)
{
    const size_t k = random_u64() % MODEL_BLOCKS;
    struct vine_allocator *allocator = model->allocator;

    if (model->sizes[k] == 0) {
        const uint64_t size_bytes = random_size(model->granule_bytes);
        const int rc = vine_allocator_alloc(allocator, size_bytes, &model->offsets[k]);
        if (rc != 0) {
            assert_int_equal(rc, -ENOMEM);
            return;
        }
        assert_int_equal(vine_allocator_size_of(allocator, model->offsets[k], &model->granted[k]),
                         0);
        assert_true(model->granted[k] >= size_bytes);
        model_mark(model, model->offsets[k], model->granted[k], 0);
        model->sizes[k] = size_bytes;
        model->live_bytes += size_bytes;
        model->live_blocks++;
    } else if (random_u64() % 8 == 0) {
        const uint64_t size_bytes = 1 + random_u64() % model->sizes[k];
        const uint64_t offset = model->offsets[k];
        uint64_t granted;
        assert_int_equal(vine_allocator_shrink(allocator, offset, size_bytes), 0);
        assert_int_equal(vine_allocator_size_of(allocator, offset, &granted), 0);
        assert_true(granted >= size_bytes && granted <= model->granted[k]);
        model_mark(model, offset + granted, model->granted[k] - granted, 1);
        model->live_bytes -= model->sizes[k] - size_bytes;
        model->sizes[k] = size_bytes;
        model->granted[k] = granted;
    } else {
        assert_int_equal(vine_allocator_free(allocator, model->offsets[k]), 0);
        assert_int_equal(vine_allocator_free(allocator, model->offsets[k]), -VINE_ETOKEN);
        model_mark(model, model->offsets[k], model->granted[k], 1);
        model->live_bytes -= model->sizes[k];
        model->sizes[k] = 0;
        model->live_blocks--;
    }
}

static void model_run(enum vine_allocator_strategy strategy, uint32_t granule_bytes, uint64_t seed)
{
    static struct model model;
    struct vine_allocator_options options = options_of(strategy, 0);
    options.extent_bytes = (uint64_t)MODEL_UNITS * granule_bytes;
    options.granule_bytes = granule_bytes;
    if (strategy == VINE_ALLOCATOR_TLSF)
        options.blocks_max = 2 * MODEL_BLOCKS;
    memset(&model, 0, sizeof(model));
    random_state = seed;
    model.granule_bytes = granule_bytes;
    assert_int_equal(vine_allocator_create(&options, &model.allocator), 0);
    for (uint32_t step = 0; step < 60000; step++) {
        model_step(&model);
        if (step % 500 == 0) {
            assert_int_equal(vine_allocator_validate(model.allocator), 0);
        }
        if (step % 5000 == 0) {
            const struct vine_allocator_stats stats = stats_of(model.allocator);
            assert_int_equal(stats.live_bytes, model.live_bytes);
            assert_int_equal(stats.live_blocks, model.live_blocks);
            uint64_t offset;
            if (stats.largest_free_bytes != 0) {
                offset = alloc(model.allocator, stats.largest_free_bytes);
                assert_int_equal(vine_allocator_free(model.allocator, offset), 0);
            }
        }
    }
    for (size_t k = 0; k < MODEL_BLOCKS; k++) {
        if (model.sizes[k] != 0)
            assert_int_equal(vine_allocator_free(model.allocator, model.offsets[k]), 0);
    }
    assert_int_equal(stats_of(model.allocator).free_blocks, 1);
    assert_int_equal(vine_allocator_validate(model.allocator), 0);
    vine_allocator_destroy(model.allocator);
}

static void a_random_trace_agrees_with_the_model(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        model_run(with_free[i], 64, 0x1234567 + i);
        model_run(with_free[i], 16, 0x89abcdef + i);
    }
}

static void books_double_up_to_their_limit_and_no_further(void **state)
{
    (void)state;
    enum { LIMIT = 1000 };
    struct vine_allocator_options options = options_of(VINE_ALLOCATOR_GENERAL, 1u << 20);
    struct vine_allocator *allocator = NULL;
    uint32_t count = 0;
    uint64_t offset;
    options.blocks_limit = LIMIT;
    assert_int_equal(vine_allocator_create(&options, &allocator), 0);
    const uint64_t first = vine_allocator_books_bytes(allocator);
    while (vine_allocator_alloc(allocator, 64, &offset) == 0)
        count++;
    /* The table that has room for as many has room for fewer than twice as many. */
    assert_in_range(count, LIMIT - 1, 2 * LIMIT);
    assert_int_equal(vine_allocator_books_bytes(allocator), stats_of(allocator).books_bytes);
    assert_true(vine_allocator_books_bytes(allocator) > first);
    assert_true(stats_of(allocator).free_bytes > 0);
    assert_int_equal(vine_allocator_validate(allocator), 0);
    assert_int_equal(vine_allocator_free(allocator, offset), 0);
    assert_int_equal(vine_allocator_alloc(allocator, 64, &offset), 0);
    vine_allocator_destroy(allocator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(impossible_sizes_are_refused_and_change_nothing),
        cmocka_unit_test(offsets_that_name_no_living_block_are_refused),
        cmocka_unit_test(a_block_may_be_as_large_as_the_extent_whatever_its_size),
        cmocka_unit_test(freed_neighbours_make_room_for_a_larger_block),
        cmocka_unit_test(full_books_refuse_and_recover),
        cmocka_unit_test(shrinking_keeps_the_beginning_and_gives_the_end_back),
        cmocka_unit_test(reset_frees_everything),
        cmocka_unit_test(bump_goes_forward_and_knows_no_blocks),
        cmocka_unit_test(books_double_up_to_their_limit_and_no_further),
        cmocka_unit_test(a_random_trace_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
