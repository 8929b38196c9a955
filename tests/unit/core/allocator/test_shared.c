/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=1200 */
/*
 * Books in shared memory: hostile headers, damaged books, a lock whose holder is dead, alive or
 * nonsense, and processes that are killed within operations: at each instruction of some chosen
 * operations, stepped by ptrace, and at random moments of a busy loop.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/allocator.h>
#include <vine/error.h>

#include "arch/peer/process.h"
#include "core/allocator/allocator_internal.h"
#include "harness/emulator.h"

enum { MEMORY_BYTES = 1 << 20 };

static const enum vine_allocator_strategy all[] = {VINE_ALLOCATOR_GENERAL, VINE_ALLOCATOR_TLSF,
                                                   VINE_ALLOCATOR_BUMP};

static struct vine_allocator_options options_of(enum vine_allocator_strategy strategy)
{
    return (struct vine_allocator_options){
        .size_bytes = sizeof(struct vine_allocator_options),
        .strategy = strategy,
        .blocks_max = 500,
    };
}

static void *map(int fd, size_t size)
{
    const int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static struct vine_allocator *attach(void *memory)
{
    struct vine_allocator *allocator = NULL;
    assert_int_equal(vine_allocator_attach(memory, MEMORY_BYTES, &allocator), 0);
    return allocator;
}

static uint64_t alloc(struct vine_allocator *allocator, uint64_t size_bytes)
{
    uint64_t offset = UINT64_MAX;
    assert_int_equal(vine_allocator_alloc(allocator, size_bytes, &offset), 0);
    return offset;
}

static void format(void *memory, enum vine_allocator_strategy strategy)
{
    const struct vine_allocator_options options = options_of(strategy);
    assert_int_equal(vine_allocator_format(memory, MEMORY_BYTES, &options), 0);
}

static void memory_that_does_not_do_is_not_formatted(void **state)
{
    (void)state;
    unsigned char *memory = map(-1, MEMORY_BYTES);
    struct vine_allocator_options options = options_of(VINE_ALLOCATOR_GENERAL);
    assert_int_equal(vine_allocator_format(NULL, MEMORY_BYTES, &options), -EINVAL);
    assert_int_equal(vine_allocator_format(memory + 8, MEMORY_BYTES - 64, &options), -EINVAL);
    assert_int_equal(vine_allocator_format(memory, 4096, &options), -ENOMEM);
    assert_int_equal(vine_allocator_format(memory, 0, &options), -ENOMEM);
    options.extent_bytes = MEMORY_BYTES;
    assert_int_equal(vine_allocator_format(memory, MEMORY_BYTES, &options), -ENOMEM);
    options.extent_bytes = 1;
    assert_int_equal(vine_allocator_format(memory, MEMORY_BYTES, &options), -EINVAL);
    options = options_of((enum vine_allocator_strategy)9);
    assert_int_equal(vine_allocator_format(memory, MEMORY_BYTES, &options), -EINVAL);
    munmap(memory, MEMORY_BYTES);
}

static void a_hostile_header_is_an_error(void **state)
{
    (void)state;
    unsigned char *memory = map(-1, MEMORY_BYTES);
    struct vine__allocator_header *header = (void *)memory;
    struct vine_allocator *allocator = NULL;

    assert_int_equal(vine_allocator_attach(NULL, MEMORY_BYTES, &allocator), -EINVAL);
    assert_int_equal(vine_allocator_attach(memory + 8, 4096, &allocator), -EINVAL);
    assert_int_equal(vine_allocator_attach(memory, 100, &allocator), -VINE_ETRUNCATED);
    assert_int_equal(vine_allocator_attach(memory, MEMORY_BYTES, &allocator), -VINE_EMAGIC);

    const struct {
        size_t at;
        uint32_t value;
        int result;
    } words[] = {
        {offsetof(struct vine__allocator_header, magic), 0, -VINE_EMAGIC},
        {offsetof(struct vine__allocator_header, version), 2, -VINE_EVERSION},
        {offsetof(struct vine__allocator_header, fingerprint), 2, -VINE_EFINGERPRINT},
        {offsetof(struct vine__allocator_header, status), 0, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, status), 1, -VINE_EINITIALIZING},
        {offsetof(struct vine__allocator_header, status), 3, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, strategy), 3, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, strategy), 2, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, granule_bytes), 0, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, granule_bytes), 16, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, unit_count), 0, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, unit_count), UINT32_MAX, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, total_bytes), UINT32_MAX, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, table_offset), UINT32_MAX, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, extent_offset), 64, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, table_bits), 30, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, entries_max), 0, -VINE_ECORRUPT},
        {offsetof(struct vine__allocator_header, entries_max), UINT32_MAX, -VINE_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        format(memory, VINE_ALLOCATOR_GENERAL);
        memcpy(memory + words[i].at, &words[i].value, sizeof(uint32_t));
        assert_int_equal(vine_allocator_attach(memory, MEMORY_BYTES, &allocator), words[i].result);
    }
    format(memory, VINE_ALLOCATOR_GENERAL);
    assert_int_equal(vine_allocator_attach(memory, (size_t)header->total_bytes - 1, &allocator),
                     -VINE_ETRUNCATED);
    assert_null(allocator);
    munmap(memory, MEMORY_BYTES);
}

static void damaged_books_are_reported_and_lead_nowhere(void **state)
{
    (void)state;
    /* Every word of header and table in turn, with values that are bad in different ways; the pages
     * before and behind are not there. */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *around = map(-1, MEMORY_BYTES + 2 * page);
    unsigned char *memory = around + page;
    assert_int_equal(mprotect(around, page, PROT_NONE), 0);
    assert_int_equal(mprotect(memory + MEMORY_BYTES, page, PROT_NONE), 0);
    unsigned char *copy = malloc(MEMORY_BYTES);
    assert_non_null(copy);
    uint32_t reported = 0;

    for (size_t s = 0; s < 2; s++) {
        format(memory, all[s]);
        struct vine_allocator *allocator = attach(memory);
        uint64_t offsets[40];
        for (size_t i = 0; i < 40; i++)
            offsets[i] = alloc(allocator, 64 * (1 + i % 13));
        for (size_t i = 0; i < 40; i += 3)
            assert_int_equal(vine_allocator_free(allocator, offsets[i]), 0);
        const size_t books = (size_t)((unsigned char *)vine_allocator_base(allocator) - memory);
        memcpy(copy, memory, books);
        for (size_t at = 144; at < books; at += 4) {
            static const uint32_t values[] = {UINT32_MAX, 0x40000001, 3};
            uint32_t before;
            memcpy(&before, copy + at, 4);
            /* An unused entry means nothing but by its key: one bad value is enough. */
            for (size_t k = 0; k < (before == 0 ? 1u : 3u); k++) {
                memcpy(memory, copy, books);
                memcpy(memory + at, &values[k], 4);
                allocator->corrupt = false;
                uint64_t offset;
                int rc = vine_allocator_alloc(allocator, 300, &offset);
                if (rc == 0) {
                    assert_in_range(offset, 0, MEMORY_BYTES - books - 300);
                    rc = vine_allocator_free(allocator, offset);
                }
                for (size_t i = 1; i < 40 && rc == 0; i += 3)
                    rc = vine_allocator_free(allocator, offsets[i]);
                if (rc == 0)
                    rc = vine_allocator_validate(allocator);
                reported += rc == -VINE_ECORRUPT;
            }
        }
        allocator->corrupt = false;
        vine_allocator_destroy(allocator);
    }
    assert_true(reported > 500);
    free(copy);
    munmap(around, MEMORY_BYTES + 2 * page);
}

static void books_are_the_same_at_any_address(void **state)
{
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        const int fd = memfd_create("vine-test", MFD_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, MEMORY_BYTES), 0);
        unsigned char *memory = map(fd, MEMORY_BYTES);
        unsigned char *again = map(fd, MEMORY_BYTES);
        format(memory, all[s]);
        struct vine_allocator *first = attach(memory);
        struct vine_allocator *second = attach(again);
        const uint64_t offset = alloc(first, 1000);
        memset((unsigned char *)vine_allocator_base(first) + offset, 0x5a, 1000);
        assert_int_equal(((unsigned char *)vine_allocator_base(second))[offset + 999], 0x5a);
        if (all[s] != VINE_ALLOCATOR_BUMP)
            assert_int_equal(vine_allocator_free(second, offset), 0);
        assert_int_equal(vine_allocator_validate(first), 0);
        assert_int_equal(vine_allocator_reset(first), 0);
        struct vine_allocator_stats stats;
        assert_int_equal(vine_allocator_stats(second, &stats), 0);
        assert_int_equal(stats.live_bytes, 0);
        alloc(second, stats.largest_free_bytes);
        vine_allocator_destroy(first);
        vine_allocator_destroy(second);
        munmap(memory, MEMORY_BYTES);
        munmap(again, MEMORY_BYTES);
        close(fd);
    }
}

static void a_lock_that_names_nobody_who_lives_is_taken_and_the_books_repaired(void **state)
{
    (void)state;
    unsigned char *memory = map(-1, MEMORY_BYTES);
    struct vine__allocator_header *header = (void *)memory;
    uint64_t start_ticks;
    assert_int_equal(vine__process_start_time(getpid(), &start_ticks), 0);
    const uint64_t owners[] = {
        UINT64_C(5) << 32,                              /* no pid */
        UINT64_MAX,                                     /* a negative one */
        ((start_ticks + 1) << 32) | (uint32_t)getpid(), /* another process with our pid */
        (start_ticks << 32) | 0x3ffffff0u,              /* beyond the kernel's greatest */
    };
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        format(memory, VINE_ALLOCATOR_GENERAL);
        struct vine_allocator *allocator = attach(memory);
        const uint64_t offset = alloc(allocator, 700);
        header->owner = owners[i];
        header->free_count = 99; /* half-done */
        memset(header->bins, 0x11, sizeof(header->bins));
        uint64_t size_bytes;
        assert_int_equal(vine_allocator_size_of(allocator, offset, &size_bytes), 0);
        assert_int_equal(size_bytes, 704);
        assert_int_equal(vine_allocator_validate(allocator), 0);
        struct vine_allocator_stats stats;
        assert_int_equal(vine_allocator_stats(allocator, &stats), 0);
        assert_int_equal(stats.repairs, 1);
        assert_int_equal(stats.live_bytes, 700);
        vine_allocator_destroy(allocator);
    }
    munmap(memory, MEMORY_BYTES);
}

static void what_cannot_be_repaired_is_closed_for_all(void **state)
{
    (void)state;
    unsigned char *memory = map(-1, MEMORY_BYTES);
    struct vine__allocator_header *header = (void *)memory;
    format(memory, VINE_ALLOCATOR_GENERAL);
    struct vine_allocator *allocator = attach(memory);
    const uint64_t offset = alloc(allocator, 700);
    alloc(allocator, 700);
    const uint32_t index = vine__block_find_live(allocator, offset);
    allocator->table[index].state_units += 1000000; /* longer than the extent */
    header->owner = UINT64_MAX;
    assert_int_equal(vine_allocator_free(allocator, offset), -VINE_ECORRUPT);
    assert_int_equal(vine_allocator_free(allocator, offset), -VINE_ECORRUPT);
    assert_int_equal(header->status, VINE__ALLOCATOR_CORRUPTED);
    struct vine_allocator *second = NULL;
    assert_int_equal(vine_allocator_attach(memory, MEMORY_BYTES, &second), -VINE_ECORRUPT);
    vine_allocator_destroy(allocator);
    munmap(memory, MEMORY_BYTES);
}

static void a_living_holder_is_waited_for_and_not_for_ever(void **state)
{
    (void)state;
    unsigned char *memory = map(-1, MEMORY_BYTES);
    struct vine__allocator_header *header = (void *)memory;
    uint64_t start_ticks;
    format(memory, VINE_ALLOCATOR_TLSF);
    struct vine_allocator *allocator = attach(memory);
    assert_int_equal(vine__process_start_time(getppid(), &start_ticks), 0);
    header->owner = start_ticks << 32 | (uint32_t)getppid();
    uint64_t offset = 77;
    assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), -EBUSY);
    assert_int_equal(offset, 77);
    header->owner = 0;
    assert_int_equal(vine_allocator_alloc(allocator, 1, &offset), 0);
    vine_allocator_destroy(allocator);
    munmap(memory, MEMORY_BYTES);
}

/* What the killed child did last is one of these; blocks[] were there before. */
enum { BLOCKS = 12 };

struct scene {
    struct vine_allocator *allocator;
    uint64_t blocks[BLOCKS];
};

static void scene_split(struct scene *scene)
{
    uint64_t offset;
    (void)!vine_allocator_alloc(scene->allocator, 5000, &offset);
}

static void scene_merge_both(struct scene *scene)
{
    (void)!vine_allocator_free(scene->allocator, scene->blocks[5]);
}

static void scene_shrink(struct scene *scene)
{
    (void)!vine_allocator_shrink(scene->allocator, scene->blocks[5], 100);
}

static void scene_free_and_alloc(struct scene *scene)
{
    uint64_t offset;
    (void)!vine_allocator_free(scene->allocator, scene->blocks[8]);
    (void)!vine_allocator_alloc(scene->allocator, 3000, &offset);
}

static void (*const scenes[])(struct scene *) = {scene_split, scene_merge_both, scene_shrink,
                                                 scene_free_and_alloc};

static void scene_begin(struct scene *scene, void *memory, enum vine_allocator_strategy strategy)
{
    format(memory, strategy);
    scene->allocator = attach(memory);
    for (size_t i = 0; i < BLOCKS; i++)
        scene->blocks[i] = alloc(scene->allocator, 3000);
    assert_int_equal(vine_allocator_free(scene->allocator, scene->blocks[4]), 0);
    assert_int_equal(vine_allocator_free(scene->allocator, scene->blocks[6]), 0);
    struct vine_allocator_stats stats; /* empties the quick lists: 5 has free neighbours */
    assert_int_equal(vine_allocator_stats(scene->allocator, &stats), 0);
}

/* Run a scene in a child, kill it after so many instructions. True if it ended before. Skips the
 * test where nothing can be traced. */
static bool scene_run_and_kill(void *memory, size_t which, size_t instructions)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct scene scene = {0};
        const long traced = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        scene.allocator = NULL;
        if (traced != 0 || vine_allocator_attach(memory, MEMORY_BYTES, &scene.allocator) != 0)
            _exit(77);
        memcpy(scene.blocks, (unsigned char *)vine_allocator_base(scene.allocator),
               sizeof(scene.blocks));
        raise(SIGSTOP);
        scenes[which](&scene);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    bool ended = false;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status)) {
        print_message("skipped: no ptrace here\n");
        skip();
    }
    for (size_t step = 0; step < instructions && !ended; step++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        ended = !WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP;
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
        ;
    return ended;
}

static void scene_check(struct scene *scene, size_t which)
{
    uint64_t size_bytes;
    assert_int_equal(vine_allocator_validate(scene->allocator), 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        const bool was_freed = i == 4 || i == 6;
        const bool may_be_gone = (which == 1 && i == 5) || (which == 3 && i == 8);
        if (was_freed || may_be_gone)
            continue;
        assert_int_equal(vine_allocator_size_of(scene->allocator, scene->blocks[i], &size_bytes),
                         0);
        assert_in_range(size_bytes, which == 2 && i == 5 ? 128 : 3000, 3072);
    }
    struct vine_allocator_stats stats;
    assert_int_equal(vine_allocator_stats(scene->allocator, &stats), 0);
    assert_in_range(stats.live_blocks, BLOCKS - 3, BLOCKS - 1);
    alloc(scene->allocator, stats.largest_free_bytes);
}

static void a_holder_may_be_killed_at_each_instruction(void **state)
{
    (void)state;
    skip_if_emulated("traces no process");
    void *memory = map(-1, MEMORY_BYTES);
    uint32_t repairs = 0;
    const bool is_long = getenv("VINE_TEST_LONG") != NULL;
    const size_t points_max = is_long ? 20000 : 60;
    const size_t stops_max = is_long ? SIZE_MAX : 40000; /* sanitizers make operations long */

    for (size_t s = 0; s < 2; s++) {
        for (size_t which = 0; which < sizeof(scenes) / sizeof(scenes[0]); which++) {
            struct scene scene;
            scene_begin(&scene, memory, all[s]);
            /* Offset 0 is not allocated: blocks are cut from the end. It tells the child. */
            assert_int_not_equal(scene.blocks[BLOCKS - 1], 0);
            memcpy(vine_allocator_base(scene.allocator), scene.blocks, sizeof(scene.blocks));
            unsigned char *copy = malloc(MEMORY_BYTES);
            assert_non_null(copy);
            memcpy(copy, memory, MEMORY_BYTES);
            /* Each instruction at first, then fewer: a run costs as many stops as it has steps. */
            size_t step = 1;
            size_t stops = 0;
            for (size_t point = 0;; point++, step += point < points_max ? 1 : 1 + step / 16) {
                memcpy(memory, copy, MEMORY_BYTES);
                const bool ended = scene_run_and_kill(memory, which, step);
                const uint64_t owner = ((struct vine__allocator_header *)memory)->owner;
                repairs += owner != 0;
                scene_check(&scene, which);
                stops += step;
                if (ended || stops > stops_max)
                    break;
            }
            free(copy);
            vine_allocator_destroy(scene.allocator);
        }
    }
    print_message("%u times a dead holder's work was repaired\n", repairs);
    munmap(memory, MEMORY_BYTES);
}

enum {
    CHILDREN = 3,
    SLOTS = 60,
};

struct shared_slots {
    uint64_t offsets[CHILDREN][SLOTS]; /* offset + 1 of what a child owns for sure */
    uint64_t steps[CHILDREN];
};

static void busy_child(void *memory, struct shared_slots *shared, uint32_t child, uint64_t random)
{
    struct vine_allocator *allocator;
    if (vine_allocator_attach(memory, MEMORY_BYTES, &allocator) != 0)
        _exit(3);
    for (;;) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint64_t *slot = &shared->offsets[child][random % SLOTS];
        uint64_t offset = *slot;
        int rc = 0;
        if (offset != 0) {
            vine__store_release_u64(slot, 0);
            rc = vine_allocator_free(allocator, offset - 1);
        } else {
            rc = vine_allocator_alloc(allocator, 1 + (random >> 20) % 9000, &offset);
            if (rc == 0)
                vine__store_release_u64(slot, offset + 1);
        }
        if (rc == -EBUSY) { /* whoever holds the books lives, and was put aside for a second */
            vine__store_release_u64(slot, offset);
            continue;
        }
        if (rc != 0 && rc != -ENOMEM)
            _exit(4);
        vine__store_release_u64(&shared->steps[child], shared->steps[child] + 1);
    }
}

static void processes_may_be_killed_at_any_moment(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time than it tells the others");
    void *memory = map(-1, MEMORY_BYTES);
    struct shared_slots *shared = map(-1, sizeof(*shared));
    const uint32_t kills_max = getenv("VINE_TEST_LONG") != NULL ? 3000 : 150;
    uint64_t random = 0x853c49e6748fea9b;
    struct vine_allocator_stats stats;
    uint32_t repairs = 0;

    for (uint32_t kills = 0; kills < kills_max; kills += CHILDREN) {
        pid_t pids[CHILDREN];
        format(memory, all[kills / CHILDREN % 2]);
        memset(shared, 0, sizeof(*shared));
        struct vine_allocator *allocator = attach(memory);
        for (uint32_t child = 0; child < CHILDREN; child++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            pids[child] = fork();
            assert_true(pids[child] >= 0);
            if (pids[child] == 0)
                busy_child(memory, shared, child, random | 1);
        }
        for (uint32_t child = 0; child < CHILDREN; child++) {
            const uint64_t steps = 20 + (random >> (20 + child)) % 200;
            int status = 0;
            while (vine__load_acquire_u64(&shared->steps[child]) < steps)
                assert_int_equal(waitpid(pids[child], &status, WNOHANG), 0);
            assert_int_equal(kill(pids[child], SIGKILL), 0);
            assert_int_equal(waitpid(pids[child], &status, 0), pids[child]);
            assert_true(WIFSIGNALED(status));
        }
        assert_int_equal(vine_allocator_validate(allocator), 0);
        for (uint32_t child = 0; child < CHILDREN; child++) {
            for (uint32_t i = 0; i < SLOTS; i++) {
                const uint64_t offset = shared->offsets[child][i];
                if (offset != 0)
                    assert_int_equal(vine_allocator_free(allocator, offset - 1), 0);
            }
        }
        /* What a child had in its hands when it died is nobody's: one block for each at most. */
        assert_int_equal(vine_allocator_stats(allocator, &stats), 0);
        assert_in_range(stats.live_blocks, 0, CHILDREN);
        repairs += stats.repairs;
        vine_allocator_destroy(allocator);
    }
    print_message("%u kills, %u repairs\n", kills_max, repairs);
    munmap(memory, MEMORY_BYTES);
    munmap(shared, sizeof(*shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_does_not_do_is_not_formatted),
        cmocka_unit_test(a_hostile_header_is_an_error),
        cmocka_unit_test(damaged_books_are_reported_and_lead_nowhere),
        cmocka_unit_test(books_are_the_same_at_any_address),
        cmocka_unit_test(a_lock_that_names_nobody_who_lives_is_taken_and_the_books_repaired),
        cmocka_unit_test(what_cannot_be_repaired_is_closed_for_all),
        cmocka_unit_test(a_living_holder_is_waited_for_and_not_for_ever),
        cmocka_unit_test(a_holder_may_be_killed_at_each_instruction),
        cmocka_unit_test(processes_may_be_killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
