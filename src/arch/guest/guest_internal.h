/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guest/guest_internal.h - what the files of this folder share.
 *
 * The memory order, between the host (vmm/engine/status.c) and a guest:
 *   H1  host: release of an entry's sequence      pairs with H2: the entry
 *   H2  guest: acquire of the sequence            pairs with H1
 *   H3  host: release of the page's `changes`     pairs with H4: the entries that changed
 *   H4  guest: acquire of `changes`               pairs with H3
 */
#ifndef VINE_ARCH_GUEST_GUEST_INTERNAL_H
#define VINE_ARCH_GUEST_GUEST_INTERNAL_H

#include <limits.h>

#include "arch/guest/guest.h"
#include "arch/memory/memory.h"

struct vine__guest {
    struct vine__memory *memory;
    const struct vine_status_page *page;
    uint32_t places; /* checked, private */
    char sysfs_root[PATH_MAX / 4];
    char doorbell[VINE__GUEST_BDF_BYTES]; /* empty: none */
};

#endif
