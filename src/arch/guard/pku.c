/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protection keys. A page carries one of 16, and a register of each thread says which it may read
 * and write: two bits a key. Colours are static, for a key that is moved to other memory costs as
 * much as mprotect does; that neighbours have different ones is the idea of ColorGuard (Narayan et
 * al., 2023).
 */
#include "arch/guard/guard_internal.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COLOURS_MIN 2U /* or heaps that are neighbours would have the same */
#define CLOSED      3U /* of a key's two bits: it is neither read nor written */
#define READ_ONLY   2U

/* A ring whose work is done by any thread, or within any call, would copy with the rights of
 * whatever heap runs at that moment, and fail. Where there is no io_uring at all nobody uses it. */
static bool rings_hold(void)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    const long fd = syscall(SYS_io_uring_setup, 2, &params);

    if (fd >= 0)
        (void)close((int)fd);
    return fd >= 0 || errno != EINVAL;
}

static int refuse(const char *why, char ret_why[VINE__GUARD_WHY_BYTES])
{
    (void)snprintf(ret_why, VINE__GUARD_WHY_BYTES, "%s", why);
    return -EOPNOTSUPP;
}

static void free_keys(const struct vine__guard_keys *keys)
{
    for (uint32_t i = 0; i < keys->colour_count; i++)
        (void)pkey_free(keys->colours[i]);
    if (keys->record >= 0)
        (void)pkey_free(keys->record);
    if (keys->runtime >= 0)
        (void)pkey_free(keys->runtime);
}

int vine__guard_pku_check(bool has_rings, char ret_why[VINE__GUARD_WHY_BYTES])
{
    const char *why;

    if (!vine__guard_rights_exist(&why))
        return refuse(why, ret_why);
    if (has_rings && !rings_hold())
        return refuse("this kernel's io_uring has no DEFER_TASKRUN (Linux 6.1 has), and would copy "
                      "with the rights of whatever heap runs",
                      ret_why);
    return 0;
}

int vine__guard_pku_open(struct vine__guard_keys *ret_keys, char ret_why[VINE__GUARD_WHY_BYTES])
{
    struct vine__guard_keys keys = {.runtime = -1, .record = -1};
    int key;

    if (vine__guard_pku_check(false, ret_why) != 0)
        return -EOPNOTSUPP;
    keys.runtime = pkey_alloc(0, 0);
    keys.record = pkey_alloc(0, 0);
    while (keys.colour_count < VINE__GUARD_COLOURS_MAX && (key = pkey_alloc(0, 0)) >= 0)
        keys.colours[keys.colour_count++] = key;
    if (keys.runtime < 0 || keys.record < 0 || keys.colour_count < COLOURS_MIN) {
        free_keys(&keys);
        return refuse("the kernel has fewer than 4 protection keys left for this process", ret_why);
    }
    *ret_keys = keys;
    return 0;
}

void vine__guard_pku_take(const struct vine__guard_keys *keys)
{
    uint32_t ours = CLOSED << (2 * keys->runtime) | CLOSED << (2 * keys->record);
    uint32_t inside;

    for (uint32_t i = 0; i < keys->colour_count; i++)
        ours |= CLOSED << (2 * keys->colours[i]);
    /* Keys that are not ours stay as they are. */
    vine__guard_rights_outside = vine__guard_rights_read() & ~ours;
    inside = vine__guard_rights_outside | ours;
    inside &= ~(CLOSED << (2 * keys->record));
    inside |= READ_ONLY << (2 * keys->record);
    for (uint32_t i = 0; i < keys->colour_count; i++)
        vine__guard.rights[i] = inside & ~(CLOSED << (2 * keys->colours[i]));
    vine__guard_rights_write(vine__guard_rights_outside);
}

int vine__guard_pku_protect(void *start, size_t size_bytes, int protection, int key)
{
    return pkey_mprotect(start, size_bytes, protection, key) == 0 ? 0 : -errno;
}
