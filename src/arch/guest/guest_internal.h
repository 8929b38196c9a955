/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guest/guest_internal.h - what the files of this folder share.
 *
 * The memory order, between the host, H (vmm/engine/status.c), and a guest, G:
 *   H1  release of the magic                   pairs with G1, its acquire: the page's head
 *   H2  fence behind the odd sequence          pairs with G3, the fence before the second look at
 *                                              it: who copied anything newer sees that it changed
 *   H3  release of the even sequence           pairs with G2, the first look, an acquire: the entry
 *   H4  release of the page's `changes`        pairs with G4, its acquire: the entries that changed
 */
#ifndef VINE_ARCH_GUEST_GUEST_INTERNAL_H
#define VINE_ARCH_GUEST_GUEST_INTERNAL_H

#include <limits.h>

#include "arch/guest/guest.h"
#include "arch/guest/host_protocol.h"
#include "arch/memory/memory.h"

struct vine__guest {
    struct vine__memory *memory;
    const struct vine_status_page *page;
    uint32_t places; /* checked, private */
    char sysfs_root[PATH_MAX / 4];
    char doorbell[VINE__GUEST_BDF_BYTES]; /* empty: none */
    /* Of a process of the host. */
    int socket_fd; /* as long as it is open the end is ours; -1: a guest */
    int given_fds[VINE_HOST_END_DESCRIPTORS]; /* -1: none */
    uint32_t given_place;
    uint32_t given_vectors;
};

/* Write the reason for a failure and return `error`. */
__attribute__((format(printf, 3, 4))) int
vine__guest_refuse(const struct vine__guest_options *options, int error, const char *format, ...);

/* A process of the host: ask at `options->socket` for an end. On failure what came is in the guest,
 * to be given back by vine__guest_leave_host. */
int vine__guest_take_host(struct vine__guest *guest, const struct vine__guest_options *options);
void vine__guest_leave_host(struct vine__guest *guest);

/* What its memory is called, as vine__guest_device. */
int vine__guest_host_device(const struct vine__guest *guest, uint32_t place,
                            enum vine_status_end writer, char ret_name[VINE__GUEST_BDF_BYTES]);

#endif
