/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What a hostile service can reach from its heap, with each guard that this machine has. What is
 * not trapped is said here, too, and is what the guards' descriptions say of them.
 */
#include "unit/arch/guard/guards.h"

#include "core/heap/heap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define SECRET UINT64_C(0x5ec2e7)

static struct vine__heap_pool *pool;
static struct vine__heap *mine; /* the hostile one's */
static struct vine__guard_fault fault;

/* What it is told and finds: at the beginning of its heap. */
struct probe {
    volatile uint64_t *address;
    uint64_t found;
    uint64_t is_write;
};

SERVICE static void probe(void *context)
{
    struct probe *const self = context;

    if (self->is_write)
        *self->address = 666;
    else
        self->found = *self->address;
}

/* Returns 0 with what was found there, or -EFAULT. */
static int try_at(const void *address, bool is_write, uint64_t *ret_found)
{
    struct probe *const self = (struct probe *)(void *)mine->region.start;
    int error;

    assert_int_equal(vine__guard_open(&mine->region), 0);
    *self = (struct probe){(volatile uint64_t *)(uintptr_t)address, 0, is_write};
    vine__guard_close(&mine->region);
    error = vine__guard_run(&mine->region, probe, self, &fault);
    assert_int_equal(vine__guard_open(&mine->region), 0);
    *ret_found = self->found;
    vine__guard_close(&mine->region);
    return error;
}

static void expect_trapped(const void *address)
{
    uint64_t found;

    for (int is_write = 0; is_write <= 1; is_write++) {
        assert_int_equal(try_at(address, is_write, &found), -EFAULT);
        assert_int_equal(fault.signal, SIGSEGV);
        assert_ptr_equal(fault.address, address);
    }
}

static void expect_open(const void *address)
{
    uint64_t found;

    for (int is_write = 0; is_write <= 1; is_write++)
        assert_int_equal(try_at(address, is_write, &found), 0);
}

static struct vine__heap *take(uint32_t colour)
{
    struct vine__heap *heap;

    assert_int_equal(vine__heap_take(pool, colour, &heap), 0);
    *(uint64_t *)(void *)heap->region.start = SECRET;
    vine__guard_close(&heap->region);
    return heap;
}

static bool is_colourful(void)
{
    return vine__guard_colour_count() > 1;
}

static void begin(void)
{
    const struct vine__heap_pool_options options = {.count_max = 40};

    assert_int_equal(vine__heap_pool_create(&options, &pool), 0);
    mine = take(0);
}

static void end(void)
{
    vine__heap_give(mine);
    vine__heap_pool_destroy(pool);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void check_beyond(void)
{
    begin();
    expect_trapped(mine->region.start + mine->region.size_bytes);
    expect_trapped(mine->region.start + mine->limit_bytes - 8);
    assert_int_equal(vine__heap_grow(mine, mine->limit_bytes), 0);
    /* And behind the last page that it may ever have. */
    if (vine__guard_kind() != VINE__GUARD_PKU)
        expect_trapped(mine->region.start + mine->limit_bytes);
    end();
}

static void a_heap_ends_where_its_pages_end(void **state)
{
    (void)state;
    guard_each(check_beyond);
}

static void check_neighbours(void)
{
    struct vine__heap *others[20];
    uint64_t found;

    begin();
    for (uint32_t n = 0; n < 20; n++) {
        others[n] = take(VINE__HEAP_ANY_COLOUR);
        if (vine__guard_kind() == VINE__GUARD_MPROTECT ||
            others[n]->region.colour != mine->region.colour)
            expect_trapped(others[n]->region.start);
        else
            expect_open(others[n]->region.start);
    }
    if (vine__guard_kind() == VINE__GUARD_MPROTECT) {
        /* Rights are the process's: one that runs on another core meanwhile is open. */
        assert_int_equal(vine__guard_open(&others[0]->region), 0);
        assert_int_equal(try_at(others[0]->region.start, false, &found), 0);
        assert_int_equal(found, SECRET);
        vine__guard_close(&others[0]->region);
    }
    for (uint32_t n = 0; n < 20; n++)
        vine__heap_give(others[n]);
    end();
}

static void another_heap_is_closed_unless_it_is_of_the_same_colour(void **state)
{
    (void)state;
    guard_each(check_neighbours);
}

static void check_given(void)
{
    struct vine__heap *other;
    uint64_t found = 1;

    begin();
    other = take(is_colourful() ? 1 : 0);
    vine__heap_give(other);
    if (vine__guard_kind() == VINE__GUARD_NONE) {
        assert_int_equal(try_at(other->region.start, false, &found), 0);
        assert_int_equal(found, 0);
    } else {
        expect_trapped(other->region.start);
    }
    end();
}

static void a_heap_that_was_given_back_shows_nothing(void **state)
{
    (void)state;
    guard_each(check_given);
}

static void check_never_taken(void)
{
    begin();
    expect_trapped(mine->region.start + 20 * mine->region.slot_bytes);
    end();
}

static void a_slot_that_nobody_ever_had_is_closed(void **state)
{
    (void)state;
    guard_each(check_never_taken);
}

static void check_runtime(void)
{
    void *const memory =
        mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *const pages = memory;
    uint64_t found;

    assert_ptr_not_equal(memory, MAP_FAILED);
    begin();
    assert_int_equal(vine__guard_paint_runtime(pages, PAGE), 0);
    assert_int_equal(vine__guard_paint_record(pages + PAGE, PAGE), 0);
    assert_int_equal(vine__guard_paint(pages + 2 * PAGE, PAGE, 0), 0);
    *(uint64_t *)(void *)(pages + PAGE) = 77;
    expect_open(pages + 2 * PAGE);
    assert_int_equal(try_at(pages + PAGE, false, &found), 0);
    assert_int_equal(found, 77);
    if (is_colourful()) {
        expect_trapped(pages);
        assert_int_equal(try_at(pages + PAGE, true, &found), -EFAULT);
        assert_int_equal(vine__guard_paint(pages + 2 * PAGE, PAGE, 1), 0);
        expect_trapped(pages + 2 * PAGE);
    } else {
        /* What is no heap is open to all. */
        expect_open(pages);
        expect_open(pages + PAGE);
    }
    /* Outside all of it is ours again. */
    *(uint64_t *)(void *)pages = *(uint64_t *)(void *)(pages + PAGE);
    (void)munmap(memory, 3 * PAGE);
    end();
}

static void the_runtimes_memory_is_closed_where_memory_has_keys(void **state)
{
    (void)state;
    guard_each(check_runtime);
}

static void check_crashes(void)
{
    uint64_t found;

    begin();
    for (uint32_t n = 0; n < 1000; n++) {
        assert_int_equal(try_at(mine->region.start + PAGE, n % 2 == 0, &found), -EFAULT);
        assert_int_equal(try_at(mine->region.start + 64, true, &found), 0);
    }
    end();
}

static void a_thousand_faults_leave_nothing_behind(void **state)
{
    (void)state;
    guard_each(check_crashes);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *run_and_fault(void *context)
{
    const struct vine__heap_pool_options options = {.count_max = 4};
    struct vine__heap_pool *own;
    struct vine__heap *heap;
    struct vine__guard_fault its_fault;
    uint32_t *const wrong = context;

    if (vine__guard_thread_start() != 0 || vine__heap_pool_create(&options, &own) != 0 ||
        vine__heap_take(own, VINE__HEAP_ANY_COLOUR, &heap) != 0) {
        ++*wrong;
        return NULL;
    }
    for (uint32_t n = 0; n < 500; n++) {
        struct probe *const self = (struct probe *)(void *)heap->region.start;

        if (vine__guard_open(&heap->region) != 0)
            ++*wrong;
        *self = (struct probe){(void *)(heap->region.start + (n % 2 == 0 ? PAGE : 64)), 0, 1};
        if (vine__guard_run(&heap->region, probe, self, &its_fault) != (n % 2 == 0 ? -EFAULT : 0))
            ++*wrong;
        vine__guard_close(&heap->region);
    }
    vine__heap_give(heap);
    vine__heap_pool_destroy(own);
    vine__guard_thread_stop();
    return NULL;
}

static void check_threads(void)
{
    pthread_t threads[3];
    uint32_t wrong[3] = {0};

    for (int n = 0; n < 3; n++)
        assert_int_equal(pthread_create(&threads[n], NULL, run_and_fault, &wrong[n]), 0);
    for (int n = 0; n < 3; n++) {
        assert_int_equal(pthread_join(threads[n], NULL), 0);
        assert_int_equal(wrong[n], 0);
    }
}

static void threads_fault_each_for_itself(void **state)
{
    (void)state;
    guard_each(check_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_ends_where_its_pages_end),
        cmocka_unit_test(another_heap_is_closed_unless_it_is_of_the_same_colour),
        cmocka_unit_test(a_heap_that_was_given_back_shows_nothing),
        cmocka_unit_test(a_slot_that_nobody_ever_had_is_closed),
        cmocka_unit_test(the_runtimes_memory_is_closed_where_memory_has_keys),
        cmocka_unit_test(a_thousand_faults_leave_nothing_behind),
        cmocka_unit_test(threads_fault_each_for_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
