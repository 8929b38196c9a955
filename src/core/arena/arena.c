/* SPDX-License-Identifier: Apache-2.0 */
/* An arena's life: made of a reservation, taken and left by threads, kept until it is used
 * again. */
#include "core/arena/arena_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct vine__arena_thread vine__arena_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

uint8_t vine__arena_places[VINE__ARENA_PARTS];
struct vine__arena *vine__arenas[VINE__ARENAS_MAX + 1];

/* What libc keeps of a function that is to be called: four words. */
#define LIBC_NOTE_BYTES (4 * sizeof(void *))

/* Of this module's: creating is one thread's, so they need no order among themselves. */
static uint32_t place_count;
static uint32_t attached_count; /* by any thread */
static uint32_t malloc_is_off;
static uint64_t thread_count; /* that have ever been attached */

/* What libc calls as a thread ends, or in main's thread as the process does: before the destructors
 * of keys, of which one is mimalloc's and takes the thread's heaps away. So C++ has its
 * thread_local destructors called; C has no other name for it. */
extern int __cxa_thread_atexit_impl(void (*function)(void *), void *argument, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

/* ---- made and unmade ------------------------------------------------------------------------- */

static bool has_pieces(const struct vine__arena *arena, const struct vine__arena_options *options)
{
    if (arena->piece_count != options->piece_count)
        return false;
    for (uint32_t i = 0; i < arena->piece_count; i++)
        if (arena->pieces[i].node != options->pieces[i].node ||
            arena->pieces[i].size_bytes != options->pieces[i].size_bytes)
            return false;
    return true;
}

static bool fits(const struct vine__arena *arena, const struct vine__arena_options *options)
{
    return arena->is_destroyed && arena->reservation.size_bytes == options->size_bytes &&
           arena->node == options->node && arena->exclusive == options->exclusive &&
           arena->lock == options->lock && has_pieces(arena, options) &&
           arena->huge_pages == (options->huge_pages || options->huge_page_folder != NULL);
}

static struct vine__arena *find_destroyed(const struct vine__arena_options *options)
{
    for (uint32_t place = 1; place <= place_count; place++)
        if (fits(vine__arenas[place], options))
            return vine__arenas[place];
    return NULL;
}

/* Let mimalloc have the memory. It is told that the pages are large ones, which makes it keep them:
 * it neither asks the kernel for them by the piece nor gives them back, both of which would be
 * system calls on the data path. It is not told the node, since it would then refuse to allocate
 * for a thread that runs on another one just now. */
static bool give_to_mimalloc(struct vine__arena *arena)
{
    mi_arena_id_t id;

    /* Else the first memory of a thread would not be taken from large pages. */
    mi_option_set(mi_option_eager_commit_delay, 0);
    if (!mi_manage_os_memory_ex(arena->reservation.base, (size_t)arena->reservation.size_bytes,
                                true, true, true, -1, arena->exclusive, &id))
        return false;
    arena->mimalloc_id = id;
    return true;
}

static void set_options(struct vine__arena *arena, const struct vine__arena_options *options)
{
    arena->node = options->node;
    memcpy(arena->pieces, options->pieces, sizeof(arena->pieces));
    arena->piece_count = options->piece_count;
    arena->huge_pages = options->huge_pages || options->huge_page_folder != NULL;
    arena->lock = options->lock;
    arena->exclusive = options->exclusive;
    arena->abort_on_exhaustion = options->abort_on_exhaustion;
    arena->exhausted = options->exhausted;
    arena->exhausted_context = options->exhausted_context;
}

static void count_anew(struct vine__arena *arena)
{
    vine__store_relaxed_u64(&arena->allocations, 0);
    vine__store_relaxed_u64(&arena->frees, 0);
    vine__store_relaxed_u64(&arena->sent, 0);
    vine__store_relaxed_u64(&arena->received, 0);
    vine__store_relaxed_u64(&arena->failures, 0);
    vine__store_relaxed_u64(&arena->used_bytes, 0);
    vine__store_relaxed_u64(&arena->peak_bytes, 0);
    vine__store_relaxed_u64(&arena->touched_bytes, 0);
}

static int make(const struct vine__arena_options *options, struct vine__arena **ret_arena,
                const char **ret_what)
{
    const struct vine__reservation_options wanted = {
        .size_bytes = options->size_bytes,
        .alignment_bytes = VINE__ARENA_PART_BYTES,
        .node = options->node,
        .pieces = options->pieces,
        .piece_count = options->piece_count,
        .huge_pages = options->huge_pages,
        .huge_page_folder = options->huge_page_folder,
        .lock = options->lock,
    };
    struct vine__arena *const arena = mi_zalloc_aligned(sizeof(*arena), VINE_CACHE_LINE);

    if (arena == NULL)
        return -ENOMEM;

    int error = vine__reservation_open(&wanted, &arena->reservation, ret_what);

    set_options(arena, options);
    if (error == 0 && !give_to_mimalloc(arena)) {
        if (ret_what != NULL)
            *ret_what = "mimalloc does not take more memory; it is given at most 64 pieces";
        error = -ENOSPC;
    }
    if (error != 0) {
        vine__reservation_close(&arena->reservation);
        mi_free(arena);
        return error;
    }
    *ret_arena = arena;
    return 0;
}

static void enter(struct vine__arena *arena)
{
    const uint64_t first = (uint64_t)(uintptr_t)arena->reservation.base >> VINE__ARENA_PART_BITS;
    const uint64_t count = arena->reservation.mapped_bytes >> VINE__ARENA_PART_BITS;

    VINE_ASSERT(first + count <= VINE__ARENA_PARTS);
    arena->magic = VINE__ARENA_MAGIC;
    arena->place = ++place_count;
    vine__arenas[arena->place] = arena;
    for (uint64_t part = first; part < first + count; part++)
        vine__arena_places[part] = (uint8_t)arena->place;
}

int vine__arena_create(const struct vine__arena_options *options, struct vine__arena **ret_arena,
                       const char **ret_what)
{
    const char *what = NULL;
    struct vine__arena *arena = find_destroyed(options);
    int error = 0;

    if (arena != NULL) {
        set_options(arena, options);
        count_anew(arena);
    } else if (options->size_bytes == 0 || options->size_bytes > VINE__ARENA_BYTES_MAX ||
               options->size_bytes % VINE__ARENA_STEP_BYTES != 0) {
        what = "the memory of a core is a multiple of 32 MiB";
        error = -EINVAL;
    } else if (place_count == VINE__ARENAS_MAX) {
        what = "there are 64 arenas already";
        error = -ENOSPC;
    } else {
        error = make(options, &arena, &what);
        if (error == 0)
            enter(arena);
    }
    if (error != 0) {
        if (ret_what != NULL)
            *ret_what = what != NULL ? what : "there is no memory for it";
        return error;
    }
    arena->is_destroyed = false;
    *ret_arena = arena;
    return 0;
}

void vine__arena_destroy(struct vine__arena *arena)
{
    if (arena == NULL)
        return;
    VINE_ASSERT(arena->magic == VINE__ARENA_MAGIC && !arena->is_destroyed);
    VINE_ASSERT(vine__load_relaxed_u32(&arena->is_attached) == 0);
    arena->is_destroyed = true;
    arena->exhausted = NULL;
}

/* ---- taken and left -------------------------------------------------------------------------- */

static void detach_at_end(void *unused)
{
    (void)unused;
    vine__arena_detach();
}

/* libc ends the process if it cannot have the memory for this. So it is seen to that there is some:
 * a block of that size which has just been freed is the next one of the thread's. */
static bool detach_with_thread(struct vine__arena_thread *thread)
{
    void *const room = malloc(LIBC_NOTE_BYTES);

    if (room == NULL)
        return false;
    free(room);
    thread->is_spared = true;

    const int error = __cxa_thread_atexit_impl(detach_at_end, NULL, &__dso_handle);

    thread->is_spared = false;
    return error == 0;
}

/* A heap in the arena. It is the thread's until the thread ends, when mimalloc lets go of it: to
 * delete it before would add what is left of its pages to the thread's other heap, which would then
 * hand out memory of the arena as if it were nobody's. So who comes back finds its own. */
static mi_heap_t *heap_in(struct vine__arena *arena, struct vine__arena_thread *thread)
{
    if (thread->number == 0) {
        if (!detach_with_thread(thread))
            return NULL;
        thread->number = vine__fetch_add_relaxed_u64(&thread_count, 1) + 1;
    }
    if (arena->heap_number != thread->number) {
        mi_heap_t *const heap = mi_heap_new_in_arena(arena->mimalloc_id);
        if (heap == NULL)
            return NULL;
        arena->heap = heap;
        arena->heap_number = thread->number;
    }
    return arena->heap;
}

int vine__arena_attach(struct vine__arena *arena)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;
    uint32_t nobody = 0;

    VINE_ASSERT(arena->magic == VINE__ARENA_MAGIC && !arena->is_destroyed);
    if (thread->arena != NULL)
        return -EBUSY;
    /* A6 pairs with R6: all that the thread before did with the arena is done. */
    if (!vine__compare_exchange_acq_rel_u32(&arena->is_attached, &nobody, 1))
        return -EBUSY;

    mi_heap_t *const heap = heap_in(arena, thread);

    if (heap == NULL) {
        /* R6 pairs with A6. */
        vine__store_release_u32(&arena->is_attached, 0);
        return -ENOMEM;
    }
    (void)vine__fetch_add_relaxed_u32(&attached_count, 1);
    thread->arena = arena;
    thread->place = arena->place;
    thread->heap = heap;
    if (vine__arena_is_used_for_malloc()) {
        thread->malloc_heap = heap;
        /* For who calls mimalloc itself: C++'s new does, since its library defines that too. */
        (void)mi_heap_set_default(heap);
    }
    return 0;
}

void vine__arena_detach(void)
{
    struct vine__arena_thread *const thread = &vine__arena_thread;
    struct vine__arena *const arena = thread->arena;

    if (arena == NULL)
        return;
    (void)vine__arena_flush_remote();
    vine__arena_take_all(arena);
    vine__arena_measure();
    thread->arena = NULL;
    thread->place = 0;
    thread->heap = NULL;
    thread->malloc_heap = NULL;
    (void)mi_heap_set_default(mi_heap_get_backing());
    /* R6 pairs with A6: who attaches next finds all of this done. */
    vine__store_release_u32(&arena->is_attached, 0);
    (void)vine__fetch_sub_acq_rel_u32(&attached_count, 1);
}

struct vine__arena *vine__arena_current(void)
{
    return vine__arena_thread.arena;
}

struct vine__arena *vine__arena_of(const void *address)
{
    return vine__arenas[vine__arena_place_of(address)];
}

int vine__arena_use_for_malloc(bool use)
{
    if (vine__load_relaxed_u32(&attached_count) > 0)
        return -EBUSY;
    if (use && !vine__arena_has_malloc())
        return -EOPNOTSUPP;
    vine__store_relaxed_u32(&malloc_is_off, !use);
    return 0;
}

bool vine__arena_is_used_for_malloc(void)
{
    return vine__load_relaxed_u32(&malloc_is_off) == 0 && vine__arena_has_malloc();
}
