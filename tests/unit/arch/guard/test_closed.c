/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Memory that is closed to what runs inside: blocks of it, and a thread's own stack. */
#include "unit/arch/guard/guards.h"

#include "arch/guard/closed.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static const size_t sizes[] = {1,     63,    64,     65,     184,    448,     1024,     1025,
                               2048,  2049,  3000,   4096,   5000,   20000,   32768,    32769,
                               65536, 65537, 131072, 200000, 999999, 5000000, 16 << 20, 0};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool is_all(const unsigned char *bytes, size_t size, unsigned char value)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void check_blocks(void)
{
    unsigned char *blocks[SIZES][3];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < SIZES; i++)
            for (int n = 0; n < 3; n++) {
                blocks[i][n] = vine__closed_alloc_lines(sizes[i]);
                assert_non_null(blocks[i][n]);
                assert_int_equal((uintptr_t)blocks[i][n] % 64, 0);
                assert_true(is_all(blocks[i][n], sizes[i], 0));
                memset(blocks[i][n], (int)(3 * i) + n + 1, sizes[i]);
            }
        /* None lies in another one. */
        for (size_t i = 0; i < SIZES; i++)
            for (int n = 0; n < 3; n++) {
                assert_true(is_all(blocks[i][n], sizes[i], (unsigned char)(3 * (int)i + n + 1)));
                vine__closed_free(blocks[i][n]);
            }
    }
    vine__closed_free(NULL);
}

static void a_block_is_zero_and_its_owners_alone(void **state)
{
    (void)state;
    check_blocks();
    vine__closed_open();
    check_blocks();
}

static void a_block_from_before_there_were_keys_is_freed_as_any(void **state)
{
    void *const early = calloc(1, 100); /* what vine__closed_alloc gives then */
    unsigned char *more;

    (void)state;
    vine__closed_open();
    memset(early, 7, 100);
    more = vine__closed_grow(early, 100, 300);
    assert_non_null(more);
    assert_true(is_all(more, 100, 7));
    assert_true(is_all(more + 100, 200, 0));
    vine__closed_free(more);
}

static void more_than_there_can_be_is_refused(void **state)
{
    (void)state;
    vine__closed_open();
    assert_null(vine__closed_alloc(VINE__CLOSED_BLOCK_MAX + 1));
    assert_null(vine__closed_alloc(SIZE_MAX));
}

static void what_is_freed_is_used_again(void **state)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    uintptr_t first = UINTPTR_MAX, last = 0;

    (void)state;
    vine__closed_open();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = vine__closed_alloc(700);
            assert_non_null(blocks[i]);
            if (round == 0 && (uintptr_t)blocks[i] < first)
                first = (uintptr_t)blocks[i];
            if (round == 0 && (uintptr_t)blocks[i] > last)
                last = (uintptr_t)blocks[i];
            assert_true((uintptr_t)blocks[i] >= first && (uintptr_t)blocks[i] <= last + 65536);
        }
        for (int i = 0; i < COUNT; i++)
            vine__closed_free(blocks[i]);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

#define PASSED 20000

static pthread_barrier_t barrier;
static unsigned char *passed[PASSED];

static void *free_what_comes(void *context)
{
    uint32_t *const wrong = context;

    for (int round = 0; round < 3; round++) {
        (void)pthread_barrier_wait(&barrier);
        for (uint32_t i = 0; i < PASSED; i++) {
            if (!is_all(passed[i], 200, (unsigned char)i))
                ++*wrong;
            vine__closed_free(passed[i]);
        }
        (void)pthread_barrier_wait(&barrier);
    }
    vine__closed_leave();
    return NULL;
}

static void what_one_thread_takes_another_one_frees(void **state)
{
    uint32_t wrong = 0;
    uintptr_t low = UINTPTR_MAX, high = 0;
    pthread_t thread;

    (void)state;
    vine__closed_open();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, free_what_comes, &wrong), 0);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < PASSED; i++) {
            passed[i] = vine__closed_alloc(200);
            assert_non_null(passed[i]);
            memset(passed[i], (int)i, 200);
            low = (uintptr_t)passed[i] < low ? (uintptr_t)passed[i] : low;
            high = (uintptr_t)passed[i] > high ? (uintptr_t)passed[i] : high;
        }
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wrong, 0);
    /* They came back to who takes them: three rounds take no more than one does, and some. */
    assert_true(high - low < UINT64_C(2) * PASSED * 256);
    (void)pthread_barrier_destroy(&barrier);
    vine__closed_leave();
}

/* ---- what runs inside ------------------------------------------------------------------------ */

static struct vine__guard_region region;
static struct vine__guard_fault fault;

SERVICE static void read_word(void *address)
{
    (void)*(volatile uint64_t *)address;
}

SERVICE static void write_word(void *address)
{
    *(volatile uint64_t *)address = 7;
}

static void expect(void *address, int result)
{
    region = region_make(1, 0);
    assert_int_equal(vine__guard_run(&region, read_word, address, &fault), result);
    if (result != 0)
        assert_int_equal(fault.address, (uintptr_t)address);
    assert_int_equal(vine__guard_run(&region, write_word, address, &fault), result);
    region_release(&region);
}

static int closed_result(void)
{
    return vine__guard_kind() == VINE__GUARD_PKU ? -EFAULT : 0;
}

static void check_closed(void)
{
    void *const block = vine__closed_alloc(sizeof(uint64_t));

    expect(block, closed_result());
    *(uint64_t *)block = 1; /* outside it is ours */
    vine__closed_free(block);
}

static void a_block_is_closed_where_memory_has_keys(void **state)
{
    (void)state;
    guard_each(check_closed);
}

struct caller {
    enum vine__guard_kind kind;
    uint64_t word;
};

static void check_apart(void *context)
{
    struct caller *const caller = context;
    uint64_t word = 0;

    if (!guard_begin(caller->kind))
        return;
    expect(&word, closed_result());
    expect(&caller->word, 0);
    guard_end();
}

static void check_near(enum vine__guard_kind kind)
{
    uint64_t words[1024] = {0};

    if (!guard_begin(kind))
        return;
    expect(words, 0);
    guard_end();
}

static void check_stack(void)
{
    for (size_t i = 0; i < sizeof(guard_kinds) / sizeof(guard_kinds[0]); i++) {
        struct caller caller = {.kind = guard_kinds[i]};

        vine__guard_call_apart(check_apart, &caller);
        /* Nothing of it stays closed. */
        check_near(guard_kinds[i]);
    }
}

static void a_threads_stack_is_closed_from_where_it_was_set_apart(void **state)
{
    (void)state;
    check_stack();
}

static void *check_in_thread(void *unused)
{
    check_stack();
    return unused;
}

static void another_threads_stack_is_as_well(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, check_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_zero_and_its_owners_alone),
        cmocka_unit_test(a_block_from_before_there_were_keys_is_freed_as_any),
        cmocka_unit_test(more_than_there_can_be_is_refused),
        cmocka_unit_test(what_is_freed_is_used_again),
        cmocka_unit_test(what_one_thread_takes_another_one_frees),
        cmocka_unit_test(a_block_is_closed_where_memory_has_keys),
        cmocka_unit_test(a_threads_stack_is_closed_from_where_it_was_set_apart),
        cmocka_unit_test(another_threads_stack_is_as_well),
    };

    /* Where there are keys the range has the runtime's from its beginning. */
    vine__guard_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
