/* SPDX-License-Identifier: Apache-2.0 */
/* Which guard the process has, and painting. */
#include "arch/guard/closed.h"
#include "arch/guard/guard_internal.h"

#include "utils/assert.h"
#include "utils/atomic.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_BYTES (UINT64_C(256) << 10)

struct vine__guard_state vine__guard = {
    .kind = VINE__GUARD_NONE, .colour_count = 1, .keys = {.runtime = -1, .record = -1}};
uint32_t vine__guard_rights_outside;

const char *vine__guard_name(enum vine__guard_kind kind)
{
    static const char *const names[] = {"none", "mprotect", "pku", "best"};

    VINE_ASSERT((size_t)kind < sizeof(names) / sizeof(names[0]));
    return names[kind];
}

enum vine__guard_kind vine__guard_kind(void)
{
    return vine__guard.kind;
}

uint32_t vine__guard_colour_count(void)
{
    return vine__guard.colour_count;
}

/* Keys that we have already are those that we want. */
static int have_keys(char ret_why[VINE__GUARD_WHY_BYTES])
{
    int error = 0;

    if (vine__guard.keys.colour_count == 0)
        error = vine__guard_pku_open(&vine__guard.keys, ret_why);
    if (error != 0)
        return error;
    vine__guard_pku_take(&vine__guard.keys);
    vine__closed_open();
    return 0;
}

int vine__guard_check(enum vine__guard_kind wanted, char ret_why[VINE__GUARD_WHY_BYTES])
{
    return wanted == VINE__GUARD_PKU ? vine__guard_pku_check(false, ret_why) : 0;
}

int vine__guard_choose(const struct vine__guard_options *options,
                       char ret_why[VINE__GUARD_WHY_BYTES])
{
    struct vine__guard_state *const state = &vine__guard;
    char why[VINE__GUARD_WHY_BYTES] = "";

    /* N2 (acquire) pairs with N1: who took part does so no more. */
    if (vine__load_acquire_u32(&state->thread_count) != 0)
        return -EBUSY;

    enum vine__guard_kind kind = options->wanted;
    int error = 0;

    if (kind == VINE__GUARD_PKU || kind == VINE__GUARD_BEST) {
        error = vine__guard_pku_check(options->has_rings, why);
        if (error == 0)
            error = have_keys(why);
        if (error != 0 && kind == VINE__GUARD_PKU) {
            memcpy(ret_why, why, sizeof(why));
            return error;
        }
        kind = error == 0 ? VINE__GUARD_PKU : VINE__GUARD_MPROTECT;
    }
    error = vine__guard_faults_open();
    if (error != 0)
        return error;
    state->kind = kind;
    state->colour_count = kind == VINE__GUARD_PKU ? state->keys.colour_count : 1;
    state->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    state->stack_bytes = options->stack_bytes != 0 ? options->stack_bytes : STACK_BYTES;
    state->stack_bytes = (state->stack_bytes + state->page_bytes - 1) & ~(state->page_bytes - 1);
    state->run_ns = options->run_ns;
    state->has_markers = vine__guard_markers_exist();
    memcpy(ret_why, why, sizeof(why));
    return 0;
}

void vine__guard_prepare(void)
{
    char why[VINE__GUARD_WHY_BYTES];

    (void)have_keys(why);
}

static int paint(void *start, size_t size_bytes, int key)
{
    if (key < 0)
        return 0;
    return vine__guard_pku_protect(start, size_bytes, PROT_READ | PROT_WRITE, key);
}

int vine__guard_paint(void *start, size_t size_bytes, uint32_t colour)
{
    if (vine__guard.keys.colour_count == 0)
        return 0;
    VINE_ASSERT(colour < vine__guard.keys.colour_count);
    return paint(start, size_bytes, vine__guard.keys.colours[colour]);
}

int vine__guard_paint_runtime(void *start, size_t size_bytes)
{
    return paint(start, size_bytes, vine__guard.keys.runtime);
}

int vine__guard_paint_shared(void *start, size_t size_bytes, bool is_writable)
{
    if (vine__guard.keys.runtime < 0)
        return 0;
    return vine__guard_pku_protect(start, size_bytes,
                                   is_writable ? PROT_READ | PROT_WRITE : PROT_READ,
                                   vine__guard.keys.runtime);
}

static int map(size_t size_bytes, int key, void **ret_start)
{
    void *const start =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (start == MAP_FAILED)
        return -errno;
    if (paint(start, size_bytes, key) != 0) {
        (void)munmap(start, size_bytes);
        return -ENOMEM;
    }
    *ret_start = start;
    return 0;
}

int vine__guard_memory_map(size_t size_bytes, void **ret_start)
{
    return map(size_bytes, vine__guard.keys.runtime, ret_start);
}

int vine__guard_memory_map_coloured(size_t size_bytes, uint32_t colour, void **ret_start)
{
    const bool has_keys = vine__guard.keys.colour_count != 0;

    return map(size_bytes, has_keys ? vine__guard.keys.colours[colour] : -1, ret_start);
}

void vine__guard_memory_unmap(void *start, size_t size_bytes)
{
    VINE_ASSERT(munmap(start, size_bytes) == 0);
}

int vine__guard_paint_record(void *start, size_t size_bytes)
{
    return paint(start, size_bytes, vine__guard.keys.record);
}
