/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/doorbell_internal.h - the two backends of a doorbell.
 */
#ifndef VINE_ARCH_WAKE_DOORBELL_INTERNAL_H
#define VINE_ARCH_WAKE_DOORBELL_INTERNAL_H

#include "arch/wake/doorbell.h"
#include "arch/wake/signaller.h"

#include <pthread.h>
#include <stdint.h>

struct vine__doorbell_ops {
    int (*open)(struct vine__doorbell *doorbell, const struct vine__doorbell_options *options);
    int (*ring)(struct vine__doorbell *doorbell, uint32_t peer, uint32_t vector);
    int (*update)(struct vine__doorbell *doorbell);
    void (*close)(struct vine__doorbell *doorbell); /* accepts what `open` left half done */
};

/* Somebody else on a socket. */
struct vine__doorbell_peer {
    uint32_t id;
    uint32_t event_count; /* 0: this place is free */
    int events[VINE__DOORBELL_VECTORS_MAX];
};

struct vine__doorbell {
    const struct vine__doorbell_ops *ops;
    uint32_t self;
    uint32_t vector_count;
    int events[VINE__DOORBELL_VECTORS_MAX]; /* -1: none */
    /* A device. */
    int container_fd;
    int group_fd;
    int device_fd;
    volatile uint32_t *registers; /* BAR 0; NULL where it cannot be mapped */
    uint64_t registers_offset;    /* of BAR 0 in the device's descriptor */
    /* A socket. */
    int socket_fd;
    uint32_t said;          /* messages of the greeting that have come */
    uint32_t partial_bytes; /* of the message that is on its way */
    int partial_fd;         /* its descriptor; -1: none yet */
    uint8_t partial[8];
    struct vine__signaller signaller;
    struct vine__doorbell_peer *peers;
    pthread_mutex_t lock; /* of the peers, and of what is said of them */
};

extern const struct vine__doorbell_ops vine__doorbell_vfio_ops;
extern const struct vine__doorbell_ops vine__doorbell_socket_ops;

/* Say what is missing, and return `error`. */
__attribute__((format(printf, 3, 4))) int
vine__doorbell_refuse(const struct vine__doorbell_options *options, int error, const char *format,
                      ...);

#endif
