/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Memory within a heap, as a service uses it: inside, with each guard that this machine has. */
#include "unit/arch/guard/guards.h"

#include "core/heap/heap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define PAGES_MAX 16U
#define BLOCKS    64U
#define STEPS     20000U

static struct vine__heap_pool *pool;
static struct vine__heap *heap;

/* What a service keeps behind its head. */
struct own {
    struct vine__heap_head head;
    uint64_t seed;
    uint64_t result;
    uint32_t step;
    unsigned char *blocks[BLOCKS];
    uint32_t sizes[BLOCKS];
    unsigned char *frames[BLOCKS];
    uint32_t frame_sizes[BLOCKS];
    uint32_t marks[BLOCKS];
    uint32_t depth;
    char text[VINE__HEAP_WHY_BYTES];
};

static struct own *own;

static void heap_begin(uint32_t heap_bytes)
{
    const struct vine__heap_pool_options options = {.heap_bytes = heap_bytes, .count_max = 8};

    assert_int_equal(vine__heap_pool_create(&options, &pool), 0);
    assert_int_equal(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &heap), 0);
    own = (struct own *)vine__heap_init(heap, sizeof(*own));
    assert_non_null(own);
}

static void heap_end(void)
{
    vine__heap_give(heap);
    vine__heap_pool_destroy(pool);
}

static void run(void (*fn)(void *))
{
    struct vine__guard_fault fault;

    vine__guard_close(&heap->region);
    assert_int_equal(vine__guard_run(&heap->region, fn, own, &fault), 0);
    assert_int_equal(vine__guard_open(&heap->region), 0);
    assert_int_equal(vine__heap_validate(&own->head, heap->region.size_bytes), 0);
}

/* ---- services -------------------------------------------------------------------------------- */

SERVICE static uint32_t draw(struct own *self, uint32_t below)
{
    self->seed ^= self->seed << 13;
    self->seed ^= self->seed >> 7;
    self->seed ^= self->seed << 17;
    return (uint32_t)(self->seed % below);
}

SERVICE static void fill(unsigned char *bytes, uint32_t size, unsigned char with)
{
    for (uint32_t i = 0; i < size; i++)
        ((volatile unsigned char *)bytes)[i] = with;
}

SERVICE static bool is_filled(const unsigned char *bytes, uint32_t size, unsigned char with)
{
    for (uint32_t i = 0; i < size; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

/* A hundred steps each, so that the heap is looked at in between. */
SERVICE static void use_at_random(void *context)
{
    struct own *const self = context;

    for (uint32_t n = 0; n < 100; n++) {
        const uint32_t what = draw(self, 4), which = draw(self, BLOCKS);
        const uint32_t size = draw(self, 8) == 0 ? draw(self, 5000) : draw(self, 300);

        if (what == 0 && self->blocks[which] == NULL) {
            self->blocks[which] = vine__heap_alloc(&self->head, size);
            self->sizes[which] = size;
            if (self->blocks[which] != NULL && !is_filled(self->blocks[which], size, 0))
                self->result++;
            if (self->blocks[which] != NULL)
                fill(self->blocks[which], size, (unsigned char)which);
        } else if (what == 0) {
            if (!is_filled(self->blocks[which], self->sizes[which], (unsigned char)which))
                self->result++;
            vine__heap_free(&self->head, self->blocks[which]);
            self->blocks[which] = NULL;
        } else if (what <= 2 && self->depth < BLOCKS) {
            self->marks[self->depth] = vine__heap_mark(&self->head);
            unsigned char *const frame = vine__heap_push(&self->head, size);
            if (frame == NULL)
                continue;
            if (!is_filled(frame, size, 0) || (uintptr_t)frame % 16 != 0)
                self->result++;
            fill(frame, size, (unsigned char)(self->depth + 100));
            self->frames[self->depth] = frame;
            self->frame_sizes[self->depth] = size;
            self->depth++;
        } else if (self->depth > 0) {
            const uint32_t to = self->depth - 1 - draw(self, self->depth < 3 ? self->depth : 3);

            for (uint32_t d = to; d < self->depth; d++)
                if (!is_filled(self->frames[d], self->frame_sizes[d], (unsigned char)(d + 100)))
                    self->result++;
            vine__heap_release(&self->head, self->marks[to]);
            self->depth = to;
        }
    }
}

SERVICE static void let_go(void *context)
{
    struct own *const self = context;

    if (self->depth > 0)
        vine__heap_release(&self->head, self->marks[0]);
    for (uint32_t n = 0; n < BLOCKS; n++)
        vine__heap_free(&self->head, self->blocks[n]);
}

SERVICE static void ask_for_too_much(void *context)
{
    struct own *const self = context;

    self->result = vine__heap_push(&self->head, 70000) != NULL;
    vine__heap_explain(&self->head, self->text);
}

SERVICE static void ask_for_far_too_much(void *context)
{
    struct own *const self = context;

    self->result = vine__heap_alloc(&self->head, SIZE_MAX) != NULL;
    self->result += vine__heap_push(&self->head, SIZE_MAX - 8) != NULL;
    vine__heap_explain(&self->head, self->text);
}

SERVICE static void take_all_there_is(void *context)
{
    struct own *const self = context;

    while (vine__heap_push(&self->head, 1000) != NULL)
        self->result++;
    while (vine__heap_alloc(&self->head, 8) != NULL)
        self->result++;
}

SERVICE static void free_twice(void *context)
{
    struct own *const self = context;
    void *const first = vine__heap_alloc(&self->head, 100);

    vine__heap_free(&self->head, first);
    vine__heap_free(&self->head, first);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_exhaustion(void)
{
    heap_begin(PAGES_MAX * PAGE);
    run(ask_for_too_much);
    assert_int_equal(own->result, 0);
    assert_string_equal(own->text,
                        "heap of 1 pages: 70000 bytes more would need 18 pages, and 16 are "
                        "allowed");
    run(ask_for_far_too_much);
    assert_int_equal(own->result, 0);
    assert_non_null(strstr(own->text, "and 16 are allowed"));
    heap_end();
}

static void a_heap_that_is_too_small_says_how_many_pages_it_would_have_to_have(void **state)
{
    (void)state;
    guard_each(check_exhaustion);
}

static void check_all(void)
{
    heap_begin(PAGES_MAX * PAGE);
    assert_int_equal(heap->region.size_bytes, PAGE);
    run(take_all_there_is);
    assert_int_equal(heap->region.size_bytes, PAGES_MAX * PAGE);
    /* All of it but the head, and some bytes at borders. */
    assert_true(own->result >= PAGES_MAX * PAGE / 1024);
    heap_end();
}

static void a_heap_grows_to_its_last_page(void **state)
{
    (void)state;
    guard_each(check_all);
}

static void check_twice(void)
{
    struct vine__guard_fault fault;

    heap_begin(PAGES_MAX * PAGE);
    assert_int_equal(vine__guard_run(&heap->region, free_twice, own, &fault), -EFAULT);
    assert_int_equal(fault.signal, SIGILL);
    heap_end();
}

static void who_frees_twice_faults(void **state)
{
    (void)state;
    if (HAS_ASAN) {
        print_message("AddressSanitizer tells of it first\n");
        skip();
    }
    guard_each(check_twice);
}

static void check_random(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        heap_begin(seed == 3 ? 2 * PAGE : PAGES_MAX * PAGE);
        own->seed = seed;
        for (uint32_t step = 0; step < STEPS / 100; step++)
            run(use_at_random);
        assert_int_equal(own->result, 0);
        run(let_go);
        /* One block again, all of it the stack's. */
        assert_int_equal(own->head.free_classes, 0);
        heap_end();
    }
}

static void what_is_in_use_stays_as_it_is_in_whatever_order_it_comes_and_goes(void **state)
{
    (void)state;
    guard_each(check_random);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_that_is_too_small_says_how_many_pages_it_would_have_to_have),
        cmocka_unit_test(a_heap_grows_to_its_last_page),
        cmocka_unit_test(who_frees_twice_faults),
        cmocka_unit_test(what_is_in_use_stays_as_it_is_in_whatever_order_it_comes_and_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
