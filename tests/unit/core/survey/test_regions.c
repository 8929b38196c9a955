/* SPDX-License-Identifier: Apache-2.0 */
/* What a survey tells of regions that two programs have made: queues and books. */
#include <vine/allocator.h>
#include <vine/error.h>
#include <vine/mpmc.h>
#include <vine/segment.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/allocator/allocator_layout.h"
#include "core/ring/mpmc_layout.h"
#include "core/survey/survey.h"

#define QUEUE_SLOTS 16u

static struct {
    char path[64], address[80];
    struct vine_segment *segment;
    struct vine_mpmc_control *control;
    struct vine_mpmc_slot *slots;
    struct vine_mpmc queue;
    struct vine__allocator_header *header;
    struct vine_allocator *allocator;
    struct vine__survey survey;
} made;

static void make(void)
{
    const struct vine_allocator_options books = {
        .size_bytes = sizeof books, .strategy = VINE_ALLOCATOR_GENERAL, .granule_bytes = 64};
    struct vine_segment_options options;
    void *queue = NULL, *heap = NULL;
    uint64_t size = 0;

    (void)snprintf(made.path, sizeof made.path, "/tmp/vine-regions-%d", (int)getpid());
    (void)snprintf(made.address, sizeof made.address, "file:%s", made.path);
    vine_segment_options_init(&options);
    options.backend = VINE_SEGMENT_FILE;
    options.name = made.path;
    options.region_count = 3;
    options.regions[0] = (struct vine_segment_region){VINE_SEGMENT_KIND_RINGS, 8192};
    options.regions[1] = (struct vine_segment_region){VINE_SEGMENT_KIND_HEAP, 65536};
    options.regions[2] = (struct vine_segment_region){VINE_SEGMENT_KIND_USER, 4096};
    assert_int_equal(vine_segment_create(&options, &made.segment, NULL), 0);
    assert_int_equal(vine_segment_find(made.segment, VINE_SEGMENT_KIND_RINGS, &queue, &size), 0);
    assert_int_equal(vine_mpmc_format(queue, size, QUEUE_SLOTS), 0);
    assert_int_equal(vine_mpmc_attach(&made.queue, queue, size), 0);
    made.control = queue;
    made.slots = (void *)(made.control + 1);
    assert_int_equal(vine_segment_find(made.segment, VINE_SEGMENT_KIND_HEAP, &heap, &size), 0);
    assert_int_equal(vine_allocator_format(heap, size, &books), 0);
    assert_int_equal(vine_allocator_attach(heap, size, &made.allocator), 0);
    made.header = heap;
    assert_int_equal(vine_segment_publish(made.segment), 0);
}

static int set_up(void **state)
{
    (void)state;
    make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vine_allocator_destroy(made.allocator);
    vine_segment_unref(made.segment);
    return unlink(made.path);
}

static const struct vine__survey *look(void)
{
    struct vine__why why;

    assert_int_equal(vine__survey_segment(made.address, &made.survey, &why), 0);
    return &made.survey;
}

/* One fault, with these words. */
static void expect_fault(const char *found, const char *expected)
{
    const struct vine__survey *survey = look();

    assert_int_not_equal(survey->fault_count, 0);
    for (uint32_t i = 0; i < survey->finding_count; i++)
        if (strstr(survey->findings[i].found, found) != NULL &&
            strstr(survey->findings[i].expected, expected) != NULL)
            return;
    fail_msg("found %s; expected %s", survey->findings[0].found, survey->findings[0].expected);
}

static void what_is_in_a_queue_and_in_books_is_told(void **state)
{
    const struct vine__survey *survey;
    uint64_t offset;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(vine_mpmc_push(&made.queue, "message", 8), 0);
    for (uint64_t i = 1; i < 4; i++)
        assert_int_equal(vine_allocator_alloc(made.allocator, i * 100, &offset), 0);
    assert_int_equal(vine_allocator_free(made.allocator, offset), 0);
    survey = look();
    assert_int_equal(survey->fault_count, 0);
    assert_int_equal(survey->regions[0].is, VINE__SURVEY_QUEUE);
    assert_int_equal(survey->regions[0].count, 5);
    assert_int_equal(survey->regions[0].room, QUEUE_SLOTS);
    assert_int_equal(survey->regions[1].is, VINE__SURVEY_BOOKS);
    assert_int_equal(survey->regions[1].count, 2);
    assert_int_equal(survey->regions[1].bytes, 300);
    assert_int_equal(survey->regions[2].is, VINE__SURVEY_OTHER);
    assert_false(survey->has_halves);
}

static void a_queue_that_was_damaged_is_told(void **state)
{
    (void)state;
    made.slots[3].stamp = 7 << 2;
    expect_fault("stamp of position 7", "a position of this slot");
    made.slots[3].stamp = 3 << 2 | 3;
    expect_fault("of state 3", "state 0, 1 or 2");
    made.slots[3].stamp = (3 + 16 * QUEUE_SLOTS) << 2;
    expect_fault("stamp of position 259", "a lap ahead");
    made.slots[3].stamp = 3 << 2;
    assert_int_equal(look()->fault_count, 0);
    made.control->slot_count = 15;
    expect_fault("slots 15", "a power of two");
    made.control->slot_count = 1u << 20;
    expect_fault("slots 1048576", "room for the slots");
    made.control->slot_count = QUEUE_SLOTS;
    made.control->slot_bytes = 32;
    expect_fault("slots of 32 bytes", "64");
}

static void books_that_were_damaged_are_told(void **state)
{
    uint64_t offset;
    struct vine__block *block;

    (void)state;
    assert_int_equal(vine_allocator_alloc(made.allocator, 100, &offset), 0);
    block = (void *)((unsigned char *)made.header + made.header->table_offset);
    while (block->key != offset / 64 + 1)
        block++;
    made.header->live_bytes += 5;
    expect_fault("live_bytes 105", "100");
    made.header->live_bytes -= 5;
    block->state_units ^= 1;
    expect_fault("live_units 2", "3");
    block->state_units ^= 1;
    assert_int_equal(look()->fault_count, 0);
    block->state_units &= VINE__BLOCK_UNITS_MASK;
    expect_fault("state 0", "1, 2 or 3");
    block->state_units |= VINE__BLOCK_LIVE;
    made.header->table_bits = 31;
    expect_fault("2^31 entries", "a table before the extent");
}

/* Who holds them is at work: sums of a moment are nothing to tell of. */
static void books_of_a_dead_holder_are_left_to_the_next_one(void **state)
{
    (void)state;
    made.header->live_bytes += 5;
    made.header->owner = UINT64_C(1) << 32 | (uint32_t)getpid();
    assert_int_equal(look()->fault_count, 0);
    assert_int_equal(made.survey.note_count, 1);
    assert_true(made.survey.regions[1].holder_is_dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_in_a_queue_and_in_books_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_that_was_damaged_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(books_that_were_damaged_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(books_of_a_dead_holder_are_left_to_the_next_one, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
