/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * malloc and its kin of a program that is linked with libvine-runtime: from the arena of the thread
 * that calls, whoever calls: this program, libc, a library that was linked, one that was loaded.
 * Left out where malloc is a sanitizer's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena/arena.h"

#define MIB (UINT64_C(1) << 20)

/* Called so, the compiler does not know what they are. It believes else that an allocation whose
 * block is not used cannot fail, and that a block which could not grow is gone. */
static void *(*volatile take)(size_t) = malloc;
static void *(*volatile take_zeroed)(size_t, size_t) = calloc;
static void *(*volatile take_aligned)(size_t, size_t) = aligned_alloc;
static void *(*volatile grow)(void *, size_t) = realloc;
static void *(*volatile grow_array)(void *, size_t, size_t) = reallocarray;
static char *(*volatile copy_text)(const char *) = strdup;

static char *from_before_main;
static char *aligned_before_main;
static FILE *opened_before_main;

__attribute__((constructor)) static void allocate_before_main(void)
{
    from_before_main = strdup("from before main");
    if (posix_memalign((void **)&aligned_before_main, 4096, 10000) != 0)
        aligned_before_main = NULL;
    opened_before_main = fopen("/dev/null", "w");
}

static struct vine__arena *open_arena(uint64_t size_bytes)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;
    struct vine__arena *arena;

    options.size_bytes = size_bytes;
    assert_int_equal(vine__arena_create(&options, &arena, NULL), 0);
    return arena;
}

static int enter(void **state)
{
    struct vine__arena *const arena = open_arena(64 * MIB);

    *state = arena;
    return vine__arena_attach(arena);
}

static int leave(void **state)
{
    vine__arena_fail_nth(0);
    vine__arena_detach();
    vine__arena_destroy(*state);
    return 0;
}

/* ---- refused --------------------------------------------------------------------------------- */

static void impossible_sizes_and_alignments_are_refused_as_libc_refuses_them(void **state)
{
    void *block = state;

    errno = 0;
    assert_null(take(PTRDIFF_MAX));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    volatile size_t many = SIZE_MAX;
    assert_null(take(many));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(take_zeroed(many / 2, 3));
    assert_int_equal(errno, ENOMEM);
    assert_null(take_zeroed(many, 1));
    assert_null(take_zeroed(1, many));
    assert_null(grow_array(NULL, many / 2, 3));
    errno = 7;
    assert_int_equal(posix_memalign(&block, 24, 1), EINVAL);
    assert_int_equal(posix_memalign(&block, 4, 1), EINVAL);
    assert_int_equal(posix_memalign(&block, 0, 1), EINVAL);
    assert_int_equal(posix_memalign(&block, 64, many / 2), ENOMEM);
    assert_int_equal(errno, 7);
    assert_ptr_equal(block, state);
    volatile size_t odd = 24;
    assert_null(take_aligned(odd, 24));
    assert_int_equal(errno, EINVAL);
    assert_null(pvalloc(many));
    free(NULL);
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void a_full_arena_is_enomem_and_the_block_that_was_to_grow_is_kept(void **state)
{
    char *kept = take(1000);

    (void)state;
    memset(kept, 'k', 1000);
    errno = 0;
    assert_null(take(100 * MIB));
    assert_int_equal(errno, ENOMEM);
    assert_null(grow(kept, 100 * MIB));
    assert_null(take_zeroed(100, MIB));
    assert_null(take_aligned(4096, 100 * MIB));
    assert_int_equal(kept[999], 'k');
    free(kept);
}

static void the_nth_malloc_fails_also_when_a_library_calls_it(void **state)
{
    (void)state;
    vine__arena_fail_nth(1);
    assert_null(copy_text("nothing"));
    vine__arena_fail_nth(2);
    char *const first = copy_text("one");
    assert_non_null(first);
    assert_null(copy_text("two"));
    vine__arena_fail_nth(1);
    assert_null(grow(first, 100000));
    assert_string_equal(first, "one");
    vine__arena_fail_nth(1);
    void *block = NULL;
    assert_int_equal(posix_memalign(&block, 64, 100), ENOMEM);
    free(first);

    /* A library's error path: every allocation of a regular expression's, one after the other. */
    int error = REG_ESPACE;
    uint64_t nth = 0;
    while (error == REG_ESPACE) {
        regex_t expression;
        vine__arena_fail_nth(++nth);
        error = regcomp(&expression, "^(a|b)*c[[:alpha:]]+$", REG_EXTENDED);
        vine__arena_fail_nth(0);
        if (error == 0)
            regfree(&expression);
    }
    assert_int_equal(error, 0);
    assert_true(nth > 5);
}

/* ---- whose blocks ---------------------------------------------------------------------------- */

static void every_function_takes_from_the_arena_of_its_thread(void **state)
{
    void *blocks[8];

    blocks[0] = malloc(100);
    blocks[1] = calloc(10, 10);
    blocks[2] = realloc(NULL, 100);
    blocks[3] = aligned_alloc(128, 256);
    blocks[4] = memalign(4096, 10);
    blocks[5] = valloc(10);
    blocks[6] = reallocarray(NULL, 10, 10);
    assert_int_equal(posix_memalign(&blocks[7], 1024, 100), 0);
    for (int n = 0; n < 8; n++) {
        assert_ptr_equal(vine__arena_of(blocks[n]), *state);
        assert_true(malloc_usable_size(blocks[n]) >= 10);
        blocks[n] = realloc(blocks[n], 20000);
        assert_ptr_equal(vine__arena_of(blocks[n]), *state);
        free(blocks[n]);
    }
}

static int descending(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a;
    const uint64_t second = *(const uint64_t *)b;

    return first < second ? 1 : first > second ? -1 : 0;
}

static void what_libc_allocates_comes_from_there(void **state)
{
    struct vine__arena_stats before;
    struct vine__arena_stats after;
    char *text = NULL;
    size_t size;

    char *const copy = strdup("a string");
    assert_ptr_equal(vine__arena_of(copy), *state);
    free(copy);

    assert_true(asprintf(&text, "%2$s %1$*3$d", 7, "seven", 100) > 100);
    assert_ptr_equal(vine__arena_of(text), *state);
    free(text);

    FILE *const stream = open_memstream(&text, &size);
    for (int n = 0; n < 10000; n++)
        (void)fprintf(stream, "%d ", n);
    (void)fclose(stream);
    assert_ptr_equal(vine__arena_of(text), *state);
    free(text);

    struct addrinfo *found;
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    assert_int_equal(getaddrinfo("127.0.0.1", "80", &hints, &found), 0);
    assert_ptr_equal(vine__arena_of(found), *state);
    freeaddrinfo(found);

    /* More than qsort keeps on its stack. */
    uint64_t *const numbers = malloc(100000 * sizeof(uint64_t));
    for (uint64_t n = 0; n < 100000; n++)
        numbers[n] = n * 7919 % 100000;
    vine__arena_get_stats(*state, &before);
    qsort(numbers, 100000, sizeof(uint64_t), descending);
    vine__arena_get_stats(*state, &after);
    assert_true(after.allocations > before.allocations);
    assert_int_equal(numbers[0], 99999);
    free(numbers);
}

static void a_library_that_is_loaded_has_memory_of_the_core_that_calls(void **state)
{
    void *const library = dlopen("libjansson.so.4", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        print_message("libjansson.so.4 is not here\n");
        skip();
    }
    void *(*const loads)(const char *, size_t, void *) = dlsym(library, "json_loads");
    char *(*const dumps)(const void *, size_t) = dlsym(library, "json_dumps");

    assert_non_null(loads);
    assert_non_null(dumps);

    void *const json = loads("{\"a\": [1, 2, 3], \"b\": {\"c\": \"text\"}}", 0, NULL);
    char *const text = dumps(json, 0);

    assert_ptr_equal(vine__arena_of(json), *state);
    assert_ptr_equal(vine__arena_of(text), *state);
    assert_string_equal(text, "{\"a\": [1, 2, 3], \"b\": {\"c\": \"text\"}}");
    free(text);
    (void)dlclose(library);
}

static void *allocate_elsewhere(void *unused)
{
    (void)unused;
    char *const block = malloc(1000);
    memset(block, 't', 1000);
    return block;
}

static void a_thread_without_an_arena_has_its_own(void **state)
{
    pthread_t thread;
    void *block;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &block), 0);
    assert_non_null(block);
    assert_null(vine__arena_of(block));
    /* And it is freed here, or grows here and moves. */
    char *const grown = realloc(block, 5000);
    assert_ptr_equal(vine__arena_of(grown), *state);
    assert_int_equal(grown[999], 't');
    free(grown);
}

static void blocks_from_before_main_are_freed_after_it(void **state)
{
    assert_null(vine__arena_of(from_before_main));
    assert_string_equal(from_before_main, "from before main");
    from_before_main = realloc(from_before_main, 50000);
    assert_ptr_equal(vine__arena_of(from_before_main), *state);
    assert_string_equal(from_before_main, "from before main");
    free(from_before_main);
    assert_non_null(aligned_before_main);
    free(aligned_before_main);
    assert_non_null(opened_before_main);
    (void)fclose(opened_before_main);
}

static void *grow_another_arenas_block(void *block)
{
    struct vine__arena *const arena = open_arena(32 * MIB);

    assert_int_equal(vine__arena_attach(arena), 0);
    char *const grown = realloc(block, 100000);
    assert_ptr_equal(vine__arena_of(grown), arena);
    assert_string_equal(grown, "of another core");
    /* One that need not move stays where it is. */
    char *const kept = realloc(grown, 99999);
    assert_ptr_equal(kept, grown);
    vine__arena_detach();
    vine__arena_destroy(arena);
    return kept;
}

static void a_block_of_another_core_moves_as_it_grows_and_the_old_one_goes_home(void **state)
{
    struct vine__arena_stats before;
    struct vine__arena_stats after;
    char *const block = malloc(20);
    pthread_t thread;
    void *grown;

    memcpy(block, "of another core", 16);
    vine__arena_get_stats(*state, &before);
    assert_int_equal(pthread_create(&thread, NULL, grow_another_arenas_block, block), 0);
    assert_int_equal(pthread_join(thread, &grown), 0);
    (void)vine__arena_take_home();
    vine__arena_get_stats(*state, &after);
    /* The thread's own blocks that libc made here may have gone home too. */
    assert_true(after.remote_frees_received >= before.remote_frees_received + 1);
    free(grown);
}

static void a_child_of_fork_allocates_and_frees(void **state)
{
    char *const block = malloc(100);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        for (int n = 0; n < 1000; n++) {
            char *const text = strdup("in the child");
            if (vine__arena_of(text) != *state)
                _exit(1);
            free(text);
        }
        free(block);
        _exit(0);
    }

    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    free(block);
}

static void malloc_can_be_told_to_leave_the_arena_alone(void **state)
{
    (void)state;
    vine__arena_detach();
    assert_int_equal(vine__arena_use_for_malloc(false), 0);
    assert_int_equal(vine__arena_attach(*state), 0);

    void *const block = malloc(100);
    void *const own = vine__arena_alloc(100);

    assert_null(vine__arena_of(block));
    assert_ptr_equal(vine__arena_of(own), *state);
    free(block);
    free(own);
    vine__arena_detach();
    assert_int_equal(vine__arena_use_for_malloc(true), 0);
    assert_int_equal(vine__arena_attach(*state), 0);
}

/* A key's destructor runs when the thread has left its arena. */
static void free_late(void *block)
{
    free(block);
    free(take(100));
}

static pthread_key_t late;

static void *end_with_a_key(void *unused)
{
    struct vine__arena *const arena = open_arena(32 * MIB);
    const int error = vine__arena_attach(arena);

    (void)unused;
    if (error != 0 || pthread_setspecific(late, malloc(100)) != 0)
        return NULL;
    return malloc(100);
}

static void threads_come_and_go_with_blocks_in_their_keys(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late, free_late), 0);
    for (int n = 0; n < 20; n++) {
        pthread_t thread;
        void *block;

        assert_int_equal(pthread_create(&thread, NULL, end_with_a_key, NULL), 0);
        assert_int_equal(pthread_join(thread, &block), 0);
        assert_non_null(block);
        /* It lies in an arena that nobody has any more. */
        struct vine__arena *const arena = vine__arena_of(block);
        assert_non_null(arena);
        free(block);
        vine__arena_destroy(arena);
    }
    (void)pthread_key_delete(late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup_teardown(test, enter, leave)
        EACH(impossible_sizes_and_alignments_are_refused_as_libc_refuses_them),
        EACH(a_full_arena_is_enomem_and_the_block_that_was_to_grow_is_kept),
        EACH(the_nth_malloc_fails_also_when_a_library_calls_it),
        EACH(every_function_takes_from_the_arena_of_its_thread),
        EACH(what_libc_allocates_comes_from_there),
        EACH(a_library_that_is_loaded_has_memory_of_the_core_that_calls),
        EACH(a_thread_without_an_arena_has_its_own),
        EACH(blocks_from_before_main_are_freed_after_it),
        EACH(a_block_of_another_core_moves_as_it_grows_and_the_old_one_goes_home),
        EACH(a_child_of_fork_allocates_and_frees),
        EACH(malloc_can_be_told_to_leave_the_arena_alone),
        EACH(threads_come_and_go_with_blocks_in_their_keys),
#undef EACH
    };

    if (!vine__arena_is_used_for_malloc()) {
        (void)printf("malloc is not ours in this build: a sanitizer keeps its own\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
