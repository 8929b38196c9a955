/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* An arena by its own functions: what is refused, what a full one does, what a thread leaves, and
 * what is counted. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena/arena.h"

#define MIB (UINT64_C(1) << 20)

static struct vine__arena *create(uint64_t size_bytes)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena = NULL;
    const char *what = "";

    options.size_bytes = size_bytes;
    if (vine__arena_create(&options, &arena, &what) != 0)
        fail_msg("%s", what);
    return arena;
}

static struct vine__arena *attach(uint64_t size_bytes)
{
    struct vine__arena *const arena = create(size_bytes);

    assert_int_equal(vine__arena_attach(arena), 0);
    return arena;
}

static void leave(struct vine__arena *arena)
{
    vine__arena_detach();
    vine__arena_destroy(arena);
}

/* Fill the arena with blocks, each linked to the one before. Returns the last. */
static void *fill(size_t size, uint64_t *ret_count)
{
    void *last = NULL;
    uint64_t count = 0;

    for (void *block; (block = vine__arena_alloc(size)) != NULL; count++) {
        memcpy(block, &last, sizeof(last));
        last = block;
    }
    *ret_count = count;
    return last;
}

static void empty(void *last)
{
    while (last != NULL) {
        void *const block = last;

        memcpy(&last, block, sizeof(last));
        vine__arena_free(block);
    }
}

/* ---- refused --------------------------------------------------------------------------------- */

static void a_size_that_is_none_is_refused(void **state)
{
    static const uint64_t bad[] = {0, 1, 31 * MIB, 33 * MIB, UINT64_MAX, UINT64_C(1) << 50};
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena = (struct vine__arena *)&options;

    (void)state;
    for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
        const char *what = NULL;

        options.size_bytes = bad[n];
        assert_int_equal(vine__arena_create(&options, &arena, &what), -EINVAL);
        assert_ptr_equal(arena, &options);
        assert_non_null(strstr(what, "32 MiB"));
    }
}

static void what_the_memory_cannot_be_is_said_in_words(void **state)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena;
    const char *what = NULL;

    (void)state;
    options.size_bytes = 32 * MIB;
    options.huge_page_folder = "/proc";
    assert_int_equal(vine__arena_create(&options, &arena, &what), -EMEDIUMTYPE);
    assert_non_null(strstr(what, "hugetlbfs"));
}

static void *attach_elsewhere(void *arena)
{
    return (void *)(intptr_t)vine__arena_attach(arena);
}

static void a_second_arena_or_a_second_thread_is_refused(void **state)
{
    struct vine__arena *const other = create(32 * MIB);
    struct vine__arena *const arena = attach(64 * MIB);
    pthread_t thread;
    void *result;

    (void)state;
    assert_int_equal(vine__arena_attach(arena), -EBUSY);
    assert_int_equal(vine__arena_attach(other), -EBUSY);
    assert_int_equal(pthread_create(&thread, NULL, attach_elsewhere, arena), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, -EBUSY);
    assert_ptr_equal(vine__arena_current(), arena);
    leave(arena);
    vine__arena_destroy(other);
    vine__arena_destroy(NULL);
    assert_null(vine__arena_current());
}

static void malloc_is_not_switched_once_a_thread_is_attached(void **state)
{
    struct vine__arena *const arena = attach(32 * MIB);

    (void)state;
    assert_int_equal(vine__arena_use_for_malloc(false), -EBUSY);
    assert_int_equal(vine__arena_use_for_malloc(true), -EBUSY);
    leave(arena);
    assert_int_equal(vine__arena_use_for_malloc(false), 0);
    assert_false(vine__arena_is_used_for_malloc());
}

/* ---- full ------------------------------------------------------------------------------------ */

struct seen {
    struct vine__arena *arena;
    size_t size;
    int count;
};

static void note_exhausted(void *context, struct vine__arena *arena, size_t size)
{
    struct seen *const seen = context;

    seen->arena = arena;
    seen->size = size;
    seen->count++;
    /* Who tells of it may want memory for that, and is not told of it once more. */
    assert_null(vine__arena_alloc(100 * MIB));
}

static void a_full_arena_refuses_and_is_of_use_again_when_blocks_are_freed(void **state)
{
    static const size_t sizes[] = {16, 200, 5000, 100000, 3 << 20};
    struct vine__arena *const arena = attach(64 * MIB);
    struct vine__arena_stats before;
    struct vine__arena_stats stats;

    (void)state;
    vine__arena_measure();
    vine__arena_get_stats(arena, &before);
    for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
        uint64_t first;
        uint64_t second;

        errno = 0;
        void *const last = fill(sizes[n], &first);
        assert_int_equal(errno, ENOMEM);
        assert_true(first * sizes[n] > 30 * MIB);
        empty(last);
        empty(fill(sizes[n], &second));
        assert_true(second >= first - first / 10);
    }
    vine__arena_measure();
    vine__arena_get_stats(arena, &stats);
    assert_int_equal(stats.failures, 2 * sizeof(sizes) / sizeof(sizes[0]));
    assert_int_equal(stats.allocations, stats.frees);
    assert_int_equal(stats.used_bytes, before.used_bytes);
    assert_true(stats.peak_bytes > 48 * MIB && stats.peak_bytes <= 64 * MIB);
    leave(arena);
}

static void who_is_to_be_told_of_a_full_arena_is(void **state)
{
    struct seen seen = {0};
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena;

    (void)state;
    options.size_bytes = 32 * MIB;
    options.exhausted = note_exhausted;
    options.exhausted_context = &seen;
    assert_int_equal(vine__arena_create(&options, &arena, NULL), 0);
    assert_int_equal(vine__arena_attach(arena), 0);
    assert_null(vine__arena_alloc(100 * MIB));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.size, 100 * MIB);
    assert_ptr_equal(seen.arena, arena);
    assert_null(vine__arena_alloc_zeroed(SIZE_MAX, SIZE_MAX));
    assert_null(vine__arena_alloc_zeroed(SIZE_MAX / 2, 16));
    assert_null(vine__arena_alloc_aligned(64, SIZE_MAX - 4096));
    leave(arena);
}

static void a_full_arena_ends_the_process_where_that_is_asked_for(void **state)
{
    (void)state;

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0};
        struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
        struct vine__arena *arena;

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        options.size_bytes = 32 * MIB;
        options.abort_on_exhaustion = true;
        if (vine__arena_create(&options, &arena, NULL) != 0 || vine__arena_attach(arena) != 0)
            _exit(1);
        _exit(vine__arena_alloc(100 * MIB) == NULL ? 2 : 3);
    }

    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void *live_beside(void *unused)
{
    struct vine__arena *const arena = attach(64 * MIB);
    uint64_t count = 0;

    (void)unused;
    for (int n = 0; n < 1000; n++) {
        void *const block = vine__arena_alloc(1000);
        if (block != NULL && vine__arena_of(block) == arena)
            count++;
        vine__arena_free(block);
    }
    leave(arena);
    return (void *)(uintptr_t)count;
}

static void while_one_arena_is_full_others_go_on(void **state)
{
    struct vine__arena *const arena = attach(32 * MIB);
    uint64_t count;
    void *const last = fill(64, &count);
    pthread_t thread;
    void *result;

    (void)state;
    assert_null(vine__arena_alloc(64));
    assert_int_equal(pthread_create(&thread, NULL, live_beside, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((uintptr_t)result, 1000);
    assert_null(vine__arena_alloc(64));
    empty(last);
    leave(arena);
}

/* ---- failures that were asked for ------------------------------------------------------------ */

static void the_nth_allocation_of_a_thread_fails_and_no_other(void **state)
{
    struct vine__arena *const arena = attach(32 * MIB);
    const uint64_t before = vine__arena_injected_failures();

    (void)state;
    for (uint64_t nth = 1; nth <= 5; nth++) {
        vine__arena_fail_nth(nth);
        for (uint64_t n = 1; n <= 8; n++) {
            errno = 0;
            void *const block = n % 3 == 0   ? vine__arena_alloc_zeroed(1, 40)
                                : n % 3 == 1 ? vine__arena_alloc(40)
                                             : vine__arena_alloc_aligned(256, 40);
            if (n == nth) {
                assert_null(block);
                assert_int_equal(errno, ENOMEM);
            } else {
                assert_non_null(block);
            }
            vine__arena_free(block);
        }
    }
    assert_int_equal(vine__arena_injected_failures(), before + 5);
    vine__arena_fail_nth(1);
    vine__arena_fail_nth(0);
    void *const block = vine__arena_alloc(1);
    assert_non_null(block);

    /* A block that cannot grow is still there. */
    vine__arena_fail_nth(1);
    memset(block, 7, 1);
    assert_null(vine__arena_realloc(block, 100000));
    assert_int_equal(*(char *)block, 7);
    vine__arena_free(block);
    leave(arena);
}

static void *allocate_once(void *unused)
{
    void *const block = vine__arena_alloc(10);

    (void)unused;
    vine__arena_free(block);
    return (void *)(uintptr_t)(block == NULL);
}

static void the_nth_allocation_of_all_fails_whoever_makes_it(void **state)
{
    pthread_t thread;
    void *failed;

    (void)state;
    vine__arena_fail_nth_of_all(2);
    assert_null(allocate_once(NULL));
    assert_int_equal(pthread_create(&thread, NULL, allocate_once, NULL), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    /* Where malloc is ours, starting the thread has allocated too; one of them was the second. */
    if (!vine__arena_is_used_for_malloc())
        assert_int_equal((uintptr_t)failed, 1);
    assert_null(allocate_once(NULL));
    vine__arena_fail_nth_of_all(1);
    vine__arena_fail_nth_of_all(0);
    assert_null(allocate_once(NULL));
}

/* ---- what it gives --------------------------------------------------------------------------- */

static void blocks_come_from_the_arena_that_is_attached(void **state)
{
    struct vine__arena *const first = attach(32 * MIB);
    void *const block = vine__arena_alloc(100);

    (void)state;
    assert_ptr_equal(vine__arena_of(block), first);
    assert_null(vine__arena_of(&block));
    assert_null(vine__arena_of(NULL));
    assert_null(vine__arena_of((void *)UINTPTR_MAX));
    vine__arena_detach();

    void *const foreign = vine__arena_alloc(100);

    assert_non_null(foreign);
    assert_null(vine__arena_of(foreign));

    struct vine__arena *const second = attach(64 * MIB);
    void *const other = vine__arena_alloc(100);

    assert_ptr_equal(vine__arena_of(other), second);
    vine__arena_free(block);
    vine__arena_free(foreign);
    vine__arena_free(other);
    leave(second);
    vine__arena_destroy(first);
}

static void alignment_and_zeroes_are_as_asked_for(void **state)
{
    struct vine__arena *const arena = attach(64 * MIB);

    (void)state;
    for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
        char *const block = vine__arena_alloc_aligned(alignment, 3 * alignment);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % alignment, 0);
        assert_true(vine__arena_usable(block) >= 3 * alignment);
        assert_ptr_equal(vine__arena_of(block), arena);
        memset(block, 0xff, 3 * alignment);
        vine__arena_free(block);
    }
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        char *const block = vine__arena_alloc_zeroed(size, 2);
        for (size_t n = 0; n < 2 * size; n++)
            assert_int_equal(block[n], 0);
        vine__arena_free(block);
    }
    leave(arena);
}

static void a_block_that_grows_keeps_its_bytes_and_its_alignment_need_not(void **state)
{
    struct vine__arena *const arena = attach(64 * MIB);
    unsigned char *block = NULL;

    (void)state;
    for (size_t size = 1; size < 300000; size = size * 2 + 1) {
        block = vine__arena_realloc(block, size);
        assert_non_null(block);
        for (size_t n = 0; n < size / 2; n++)
            assert_int_equal(block[n], n & 255);
        for (size_t n = 0; n < size; n++)
            block[n] = n & 255;
    }
    for (size_t size = 200000; size > 0; size /= 3) {
        block = vine__arena_realloc(block, size);
        for (size_t n = 0; n < size; n++)
            assert_int_equal(block[n], n & 255);
    }
    vine__arena_free(block);
    leave(arena);
}

static void an_arena_that_was_let_go_is_used_again(void **state)
{
    (void)state;
    for (int n = 0; n < 200; n++) {
        struct vine__arena *const arena = attach(96 * MIB);
        void *const block = vine__arena_alloc(40 * MIB);
        assert_non_null(block);
        vine__arena_free(block);
        leave(arena);
    }
}

/* ---- threads that end ------------------------------------------------------------------------ */

static void *leave_half(void *context)
{
    void **const blocks = context;
    struct vine__arena *const arena = create(64 * MIB);

    assert_int_equal(vine__arena_attach(arena), 0);
    for (int n = 0; n < 200; n++) {
        blocks[n] = vine__arena_alloc(100000);
        assert_non_null(blocks[n]);
        memset(blocks[n], n, 100000);
    }
    return arena; /* ends without a word */
}

static void what_a_thread_leaves_stays_valid_and_its_arena_can_be_taken(void **state)
{
    void *blocks[200];
    pthread_t thread;
    void *arena;
    uint64_t count;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, leave_half, blocks), 0);
    assert_int_equal(pthread_join(thread, &arena), 0);
    /* Nobody else is given memory of it, though half of it is left. */
    for (int n = 0; n < 1000; n++) {
        void *const foreign = vine__arena_alloc(100000);
        assert_null(vine__arena_of(foreign));
        vine__arena_free(foreign);
    }
    assert_int_equal(vine__arena_attach(arena), 0);
    for (int n = 0; n < 200; n++) {
        assert_int_equal(((unsigned char *)blocks[n])[99999], n);
        vine__arena_free(blocks[n]);
    }
    /* And all of it is of use again. */
    void *const last = fill(100000, &count);
    assert_true(count * 100000 > 40 * MIB);
    empty(last);
    leave(arena);
}

static void a_child_of_fork_goes_on_with_its_arena(void **state)
{
    struct vine__arena *const arena = attach(64 * MIB);
    char *const block = vine__arena_alloc(1000);

    (void)state;
    memset(block, 'a', 1000);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        char *const own = vine__arena_alloc(1000);
        if (own == NULL || vine__arena_of(own) != arena || block[999] != 'a')
            _exit(1);
        memset(block, 'b', 1000);
        vine__arena_free(block);
        vine__arena_free(own);
        _exit(0);
    }

    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(block[0], 'a');
    vine__arena_free(block);
    leave(arena);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void keep_line(void *context, const char *line)
{
    char *const text = context;
    const size_t length = strlen(text);

    (void)snprintf(text + length, 16384 - length, "%s\n", line);
}

static void a_dump_says_how_much_is_in_blocks_of_which_size(void **state)
{
    static char text[16384];
    struct vine__arena *const arena = attach(64 * MIB);
    void *blocks[100];

    (void)state;
    for (int n = 0; n < 100; n++)
        blocks[n] = vine__arena_alloc(1024);
    text[0] = '\0';
    vine__arena_dump(arena, keep_line, text);
    assert_non_null(strstr(text, "reserved 67108864 bytes"));
    assert_non_null(strstr(text, "            1024         100          102400"));
    for (int n = 0; n < 100; n++)
        vine__arena_free(blocks[n]);
    vine__arena_detach();
    text[0] = '\0';
    vine__arena_dump(arena, keep_line, text);
    assert_non_null(strstr(text, "reserved 67108864 bytes, used 0"));
    vine__arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_that_is_none_is_refused),
        cmocka_unit_test(what_the_memory_cannot_be_is_said_in_words),
        cmocka_unit_test(a_second_arena_or_a_second_thread_is_refused),
        cmocka_unit_test(malloc_is_not_switched_once_a_thread_is_attached),
        cmocka_unit_test(a_full_arena_refuses_and_is_of_use_again_when_blocks_are_freed),
        cmocka_unit_test(who_is_to_be_told_of_a_full_arena_is),
        cmocka_unit_test(a_full_arena_ends_the_process_where_that_is_asked_for),
        cmocka_unit_test(while_one_arena_is_full_others_go_on),
        cmocka_unit_test(the_nth_allocation_of_a_thread_fails_and_no_other),
        cmocka_unit_test(the_nth_allocation_of_all_fails_whoever_makes_it),
        cmocka_unit_test(blocks_come_from_the_arena_that_is_attached),
        cmocka_unit_test(alignment_and_zeroes_are_as_asked_for),
        cmocka_unit_test(a_block_that_grows_keeps_its_bytes_and_its_alignment_need_not),
        cmocka_unit_test(an_arena_that_was_let_go_is_used_again),
        cmocka_unit_test(what_a_thread_leaves_stays_valid_and_its_arena_can_be_taken),
        cmocka_unit_test(a_child_of_fork_goes_on_with_its_arena),
        cmocka_unit_test(a_dump_says_how_much_is_in_blocks_of_which_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
