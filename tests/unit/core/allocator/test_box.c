/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boxes and tokens: every field of a token forged, stale and double releases, deferred ones, and
 * the checks of the side without the book.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vine/box.h>
#include <vine/error.h>

enum {
    EXTENT_BYTES = 1 << 20,
    HEAP_BYTES = 4096, /* in front of the allocator's part */
};

struct fixture {
    struct vine_box_book *book;
    struct vine_allocator *allocators[2];
    unsigned char *extents[2];
};

static const struct vine_box_type type_a = {7};
static const struct vine_box_type type_b = {8};

static struct vine_allocator *allocator_of(enum vine_allocator_strategy strategy,
                                           uint64_t extent_bytes, uint32_t granule_bytes)
{
    const struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = strategy,
        .granule_bytes = granule_bytes,
        .extent_bytes = extent_bytes,
    };
    struct vine_allocator *allocator = NULL;
    assert_int_equal(vine_allocator_create(&options, &allocator), 0);
    return allocator;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_int_equal(vine_box_book_create(2, &fixture->book), 0);
    for (uint16_t i = 0; i < 2; i++) {
        fixture->extents[i] = aligned_alloc(64, EXTENT_BYTES);
        assert_non_null(fixture->extents[i]);
        fixture->allocators[i] =
            allocator_of(VINE_ALLOCATOR_GENERAL, EXTENT_BYTES - HEAP_BYTES, 64);
        const struct vine_box_extent extent = {
            .base = fixture->extents[i],
            .size_bytes = EXTENT_BYTES,
            .heap_bytes = HEAP_BYTES,
            .allocator = fixture->allocators[i],
        };
        struct vine_extent_index index;
        assert_int_equal(vine_box_book_add_extent(fixture->book, &extent, &index), 0);
        assert_int_equal(index.value, i);
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    vine_box_book_destroy(fixture->book);
    for (uint16_t i = 0; i < 2; i++) {
        vine_allocator_destroy(fixture->allocators[i]);
        free(fixture->extents[i]);
    }
    free(fixture);
    return 0;
}

static struct vine_box create(struct fixture *fixture, uint32_t length)
{
    struct vine_box box;
    assert_int_equal(vine_box_create(fixture->book, type_a, length, &box), 0);
    return box;
}

static void a_book_refuses_extents_that_it_cannot_name(void **state)
{
    struct fixture *fixture = *state;
    struct vine_box_book *book;
    struct vine_extent_index index = {99};
    assert_int_equal(vine_box_book_create(0, &book), -EINVAL);
    assert_int_equal(vine_box_book_create(65537, &book), -EINVAL);
    assert_int_equal(vine_box_book_create(1, &book), 0);
    struct vine_box_extent extent = {
        .base = fixture->extents[0],
        .size_bytes = EXTENT_BYTES,
        .heap_bytes = HEAP_BYTES,
        .allocator = NULL,
    };
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    struct vine_allocator *fine = allocator_of(VINE_ALLOCATOR_GENERAL, 4096, 16);
    extent.allocator = fine;
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    vine_allocator_destroy(fine);
    struct vine_allocator *bump = allocator_of(VINE_ALLOCATOR_BUMP, 4096, 64);
    extent.allocator = bump;
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    vine_allocator_destroy(bump);
    struct vine_allocator *large = allocator_of(VINE_ALLOCATOR_GENERAL, EXTENT_BYTES, 64);
    extent.allocator = large; /* goes beyond the end, since it begins at heap_bytes */
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    extent.heap_bytes = 32;
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    extent.heap_bytes = 0;
    extent.base = fixture->extents[0] + 8;
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -EINVAL);
    assert_int_equal(index.value, 99);
    extent.base = fixture->extents[0];
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), 0);
    assert_int_equal(vine_box_book_add_extent(book, &extent, &index), -ENOSPC);
    vine_allocator_destroy(large);
    vine_box_book_destroy(book);
    vine_box_book_destroy(NULL);
}

static void boxes_of_impossible_lengths_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct vine_box box = {0};
    assert_int_equal(vine_box_create(fixture->book, type_a, 0, &box), -EINVAL);
    assert_int_equal(vine_box_create(fixture->book, type_a, EXTENT_BYTES, &box), -ENOMEM);
    assert_int_equal(vine_box_create(fixture->book, type_a, UINT32_MAX, &box), -ENOMEM);
    assert_int_equal(vine_box_create_slice(fixture->book, type_a, 0, 5, &box), -EINVAL);
    assert_int_equal(vine_box_create_slice(fixture->book, type_a, 8, 0, &box), -EINVAL);
    assert_int_equal(vine_box_create_slice(fixture->book, type_a, 1 << 16, 1 << 16, &box), -EINVAL);
    assert_int_equal(vine_box_create_slice(fixture->book, type_a, UINT32_MAX, UINT32_MAX, &box),
                     -EINVAL);
    assert_null(box.memory);
}

static void a_token_with_any_field_forged_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_box box = create(fixture, 1000);
    struct vine_token forged[] = {box.token, box.token, box.token, box.token, box.token,
                                  box.token, box.token, box.token, box.token, box.token};
    forged[0].offset_units++;
    forged[1].offset_units = 0; /* in front of the heap */
    forged[2].offset_units = UINT32_MAX;
    forged[3].length--;
    forged[4].length = UINT32_MAX;
    forged[5].generation++;
    forged[6].generation = 0;
    forged[7].type++;
    forged[8].extent = 1; /* it lies in 0, the oldest */
    forged[9].extent = UINT16_MAX;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        void *memory = NULL;
        assert_int_equal(vine_box_resolve(fixture->book, &forged[i], NULL, &memory), -VINE_ETOKEN);
        assert_int_equal(vine_box_ref(fixture->book, &forged[i]), -VINE_ETOKEN);
        assert_int_equal(vine_box_unref(fixture->book, &forged[i]), -VINE_ETOKEN);
        assert_int_equal(vine_box_shrink(fixture->book, &forged[i], 1), -VINE_ETOKEN);
        assert_int_equal(vine_box_free(fixture->book, &forged[i]), -VINE_ETOKEN);
        assert_null(memory);
    }
    assert_int_equal(vine_box_free(fixture->book, &box.token), 0);
}

static void a_block_that_is_no_box_has_no_token(void **state)
{
    struct fixture *fixture = *state;
    uint64_t offset;
    assert_int_equal(vine_allocator_alloc(fixture->allocators[0], 1000, &offset), 0);
    for (uint32_t generation = 0; generation < 100; generation++) {
        const struct vine_token token = {
            .offset_units = (uint32_t)((offset + HEAP_BYTES) / 64),
            .length = 1000,
            .generation = generation,
        };
        assert_int_equal(vine_box_free(fixture->book, &token), -VINE_ETOKEN);
    }
    assert_int_equal(vine_allocator_free(fixture->allocators[0], offset), 0);
}

static void a_stale_token_is_refused_although_its_place_is_taken_again(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_box first = create(fixture, 1000);
    assert_int_equal(vine_box_free(fixture->book, &first.token), 0);
    assert_int_equal(vine_box_free(fixture->book, &first.token), -VINE_ETOKEN);
    const struct vine_box second = create(fixture, 1000);
    assert_ptr_equal(first.memory, second.memory);
    assert_int_not_equal(first.token.generation, second.token.generation);
    assert_int_equal(vine_box_free(fixture->book, &first.token), -VINE_ETOKEN);
    assert_int_equal(vine_box_free(fixture->book, &second.token), 0);
    struct vine_box_book_stats stats;
    vine_box_book_stats(fixture->book, &stats);
    assert_int_equal(stats.created, 2);
    assert_int_equal(stats.freed, 2);
    assert_int_equal(stats.refused, 2);
}

static void a_box_lies_where_its_token_says(void **state)
{
    struct fixture *fixture = *state;
    struct vine_box box;
    void *memory;
    assert_int_equal(vine_box_create_slice(fixture->book, type_b, 24, 100, &box), 0);
    assert_int_equal(box.token.length, 2400);
    assert_int_equal(box.token.extent, 0);
    assert_int_equal((uintptr_t)box.memory % 64, 0);
    assert_ptr_equal(box.memory, fixture->extents[0] + (size_t)box.token.offset_units * 64);
    assert_true((unsigned char *)box.memory >= fixture->extents[0] + HEAP_BYTES);
    memset(box.memory, 1, 2400);
    struct vine_box_expect expect = {.type = type_b, .element_bytes = 24, .count_min = 100};
    assert_int_equal(vine_box_resolve(fixture->book, &box.token, &expect, &memory), 0);
    assert_ptr_equal(memory, box.memory);
    expect.count_min = 101;
    assert_int_equal(vine_box_resolve(fixture->book, &box.token, &expect, &memory),
                     -VINE_EARGUMENT);
    assert_int_equal(vine_box_free(fixture->book, &box.token), 0);
}

static void a_newer_extent_is_taken_when_the_oldest_is_full(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_box first = create(fixture, EXTENT_BYTES - HEAP_BYTES);
    const struct vine_box second = create(fixture, EXTENT_BYTES - HEAP_BYTES);
    struct vine_box third;
    assert_int_equal(first.token.extent, 0);
    assert_int_equal(second.token.extent, 1);
    assert_int_equal(vine_box_create(fixture->book, type_a, 1, &third), -ENOMEM);
    assert_int_equal(vine_box_free(fixture->book, &first.token), 0);
    assert_int_equal(create(fixture, 1).token.extent, 0);
}

static void a_box_in_use_is_given_back_with_its_last_reference(void **state)
{
    struct fixture *fixture = *state;
    struct vine_box_book_stats stats;
    struct vine_allocator_stats allocated;
    const struct vine_box box = create(fixture, 1000);
    void *memory;
    assert_int_equal(vine_box_unref(fixture->book, &box.token), -VINE_ETOKEN);
    assert_int_equal(vine_box_ref(fixture->book, &box.token), 0);
    assert_int_equal(vine_box_ref(fixture->book, &box.token), 0);
    assert_int_equal(vine_box_free(fixture->book, &box.token), 0);
    assert_int_equal(vine_box_free(fixture->book, &box.token), -VINE_ETOKEN);
    assert_int_equal(vine_box_ref(fixture->book, &box.token), -VINE_ETOKEN);
    assert_int_equal(vine_box_resolve(fixture->book, &box.token, NULL, &memory), -VINE_ETOKEN);
    vine_box_book_stats(fixture->book, &stats);
    assert_int_equal(stats.deferred, 1);
    assert_int_equal(vine_box_unref(fixture->book, &box.token), 0);
    assert_int_equal(vine_allocator_stats(fixture->allocators[0], &allocated), 0);
    assert_int_equal(allocated.live_blocks, 1);
    assert_int_equal(vine_box_unref(fixture->book, &box.token), 0);
    assert_int_equal(vine_box_unref(fixture->book, &box.token), -VINE_ETOKEN);
    assert_int_equal(vine_allocator_stats(fixture->allocators[0], &allocated), 0);
    assert_int_equal(allocated.live_blocks, 0);
    vine_box_book_stats(fixture->book, &stats);
    assert_int_equal(stats.deferred, 0);
}

static void a_shrunk_box_has_a_new_token_and_the_old_one_is_stale(void **state)
{
    struct fixture *fixture = *state;
    const struct vine_box box = create(fixture, 100000);
    struct vine_token token = box.token;
    void *memory;
    assert_int_equal(vine_box_shrink(fixture->book, &token, 0), -EINVAL);
    assert_int_equal(vine_box_shrink(fixture->book, &token, 100001), -EINVAL);
    assert_int_equal(vine_box_shrink(fixture->book, &token, 70), 0);
    assert_int_equal(token.length, 70);
    assert_int_equal(vine_box_resolve(fixture->book, &box.token, NULL, &memory), -VINE_ETOKEN);
    assert_int_equal(vine_box_resolve(fixture->book, &token, NULL, &memory), 0);
    struct vine_allocator_stats allocated;
    assert_int_equal(vine_allocator_stats(fixture->allocators[0], &allocated), 0);
    assert_int_equal(allocated.granted_bytes, 128);
    assert_int_equal(vine_box_free(fixture->book, &token), 0);
}

static void many_boxes_live_and_die_while_the_books_double(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 3000 };
    struct vine_box *boxes = calloc(COUNT, sizeof(*boxes));
    void *memory;
    assert_non_null(boxes);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            boxes[i] = create(fixture, 1 + i % 300);
            memcpy(boxes[i].memory, &i, 1);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(vine_box_resolve(fixture->book, &boxes[i].token, NULL, &memory), 0);
            assert_ptr_equal(memory, boxes[i].memory);
            assert_int_equal(*(unsigned char *)memory, (unsigned char)i);
        }
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(vine_box_free(fixture->book, &boxes[(i * 7) % COUNT].token), 0);
    }
    assert_int_equal(vine_allocator_validate(fixture->allocators[0]), 0);
    assert_int_equal(vine_allocator_validate(fixture->allocators[1]), 0);
    free(boxes);
}

static void the_other_side_refuses_what_lies_outside(void **state)
{
    (void)state;
    const uint64_t extents[] = {65536, UINT64_C(64) << 32};
    const struct {
        struct vine_token token;
        int result;
    } cases[] = {
        {{.offset_units = 1024, .length = 1, .generation = 1}, -VINE_ETOKEN},
        {{.offset_units = 1023, .length = 65, .generation = 1}, -VINE_ETOKEN},
        {{.offset_units = 0, .length = 65537, .generation = 1}, -VINE_ETOKEN},
        {{.offset_units = UINT32_MAX, .length = UINT32_MAX, .generation = 1}, -VINE_ETOKEN},
        {{.offset_units = UINT32_MAX, .length = 65, .generation = 1, .extent = 1}, -VINE_ETOKEN},
        {{.offset_units = 0, .length = 1, .generation = 1, .extent = 2}, -VINE_ETOKEN},
        {{.offset_units = 0, .length = 1, .generation = 1, .extent = UINT16_MAX}, -VINE_ETOKEN},
        {{.offset_units = 0, .length = 0, .generation = 1}, -VINE_ETOKEN},
        {{.offset_units = 0, .length = 64, .generation = 0}, -VINE_ETOKEN},
        {{.offset_units = 1023, .length = 64, .generation = 1}, 0},
        {{.offset_units = 0, .length = 65536, .generation = 1}, 0},
        {{.offset_units = UINT32_MAX, .length = 64, .generation = 1, .extent = 1}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(vine_token_check(&cases[i].token, extents, 2, NULL), cases[i].result);
    assert_int_equal(vine_token_check(&cases[9].token, extents, 0, NULL), -VINE_ETOKEN);
}

static void the_other_side_refuses_another_type_or_size(void **state)
{
    (void)state;
    const uint64_t extents[] = {65536};
    const struct vine_token token = {.length = 240, .generation = 1, .type = 7};
    struct vine_box_expect expect = {.type = type_b};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), -VINE_EARGUMENT);
    expect = (struct vine_box_expect){.type = type_a, .element_bytes = 25};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), -VINE_EARGUMENT);
    expect = (struct vine_box_expect){.type = type_a, .element_bytes = 24, .count_min = 11};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), -VINE_EARGUMENT);
    expect = (struct vine_box_expect){.type = type_a, .element_bytes = 24, .count_max = 9};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), -VINE_EARGUMENT);
    expect = (struct vine_box_expect){
        .type = type_a, .element_bytes = 24, .count_min = 10, .count_max = 10};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), 0);
    expect = (struct vine_box_expect){.type = type_a};
    assert_int_equal(vine_token_check(&token, extents, 1, &expect), 0);
}

static void a_token_is_read_as_it_was_written(void **state)
{
    (void)state;
    const struct vine_token written = {1, 2, 3, 4, 5};
    uint32_t slot[4];
    struct vine_token read;
    memcpy(slot, &written, sizeof(slot));
    vine_token_read(slot, &read);
    assert_memory_equal(&read, &written, sizeof(read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_book_refuses_extents_that_it_cannot_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(boxes_of_impossible_lengths_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_with_any_field_forged_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_that_is_no_box_has_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_token_is_refused_although_its_place_is_taken_again,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_box_lies_where_its_token_says, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_extent_is_taken_when_the_oldest_is_full, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_box_in_use_is_given_back_with_its_last_reference, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_shrunk_box_has_a_new_token_and_the_old_one_is_stale,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(many_boxes_live_and_die_while_the_books_double, setup,
                                        teardown),
        cmocka_unit_test(the_other_side_refuses_what_lies_outside),
        cmocka_unit_test(the_other_side_refuses_another_type_or_size),
        cmocka_unit_test(a_token_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
