/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/wake/doorbell.h - waking another virtual machine, and being woken by it.
 *
 * Owns:     the device or the socket, and an eventfd for each vector of one's own.
 * Threads:  any may ring, wait for and drain a vector, and update; opening and closing one. On a
 *           socket those that ring wait for each other, for the length of a system call.
 * Blocking: vine__doorbell_wait for its time-out; open while the kernel binds a driver, or until
 *           a server has said what it has to say.
 * Trust:    whoever may ring us may do so at any time and for nothing: a ring says that there is
 *           something to look at, and no more. It may also stay silent: no sleep relies on it
 *           alone. What a server says is checked.
 * Limits:   VINE__DOORBELL_VECTORS_MAX vectors; on a socket VINE__DOORBELL_PEERS_MAX peers.
 *
 * Two ways to one. In a guest, the ivshmem-doorbell device: through VFIO, with an IOMMU, because
 * without a kernel module of our own there is no other way to its interrupts. In a process of the
 * host, the socket that a server of bells gave for it (docs/formats/bells.md).
 *
 * Caveats:  the kernel gives the device to one process at a time. No doorbell survives fork. On a
 *           socket, whoever shares an eventfd can make ringing it wait (arch/wake/eventfd.h).
 */
#ifndef VINE_ARCH_WAKE_DOORBELL_H
#define VINE_ARCH_WAKE_DOORBELL_H

#include <vine/base.h>

#include <stdint.h>

#define VINE__DOORBELL_VECTORS_MAX 64
#define VINE__DOORBELL_PEERS_MAX   64
#define VINE__DOORBELL_WHY_BYTES   192

struct vine__doorbell;

struct vine__doorbell_options {
    const char *bdf;        /* the device, DDDD:BB:DD.F; NULL: a socket */
    int socket_fd;          /* the socket; ours, if opening succeeds */
    uint32_t vector_count;  /* on a socket: with how many the server added us */
    uint64_t timeout_ns;    /* on a socket: for what the server says first */
    const char *sysfs_root; /* NULL: /sys */
    const char *dev_root;   /* NULL: /dev */
    char *ret_why; /* a sentence about what is missing, VINE__DOORBELL_WHY_BYTES; or NULL */
};

/*
 * Open a doorbell. Any thread. A device that no driver has is bound to vfio-pci, if we may.
 *
 * Returns 0           and the doorbell;
 *         -ENODEV     no such device, or the guest has no IOMMU;
 *         -ENOENT     a module of the kernel is missing;
 *         -EBUSY      another process has the device, or another driver;
 *         -EACCES     not permitted;
 *         -EINVAL     no PCI address;
 *         -ETIMEDOUT, -VINE_EPROTOCOL, -VINE_EPEERLOST   the server;
 *         another negative error.
 */
VINE_MUST_CHECK int vine__doorbell_open(struct vine__doorbell **ret_doorbell,
                                        const struct vine__doorbell_options *options);

/* Accepts NULL. */
void vine__doorbell_close(struct vine__doorbell *doorbell);

/* Our own number: whom the others ring. */
uint32_t vine__doorbell_self(const struct vine__doorbell *doorbell);

uint32_t vine__doorbell_vector_count(const struct vine__doorbell *doorbell);

/* The eventfd of one of our vectors, for an event loop; the doorbell's to close. `vector` is below
 * the count. */
int vine__doorbell_fd(const struct vine__doorbell *doorbell, uint32_t vector);

/*
 * Ring. Does not wait, but see Caveats. What it tells of was published before, by a full fence.
 *
 * Returns 0         rung; a device does not say whether anybody is there;
 *         -ENOENT   on a socket: nobody whom we may ring has this number, or this vector;
 *         another negative error.
 */
VINE_MUST_CHECK int vine__doorbell_ring(struct vine__doorbell *doorbell, uint32_t peer,
                                        uint32_t vector);

/* Sleep until a vector of ours is rung, and drain it. Returns 0, -EAGAIN after the time-out, or
 * another negative error. A signal does not end it. */
VINE_MUST_CHECK int vine__doorbell_wait(struct vine__doorbell *doorbell, uint32_t vector,
                                        uint64_t timeout_ns);

/* Take the rings that came. Returns 0, -EAGAIN if there was none, or another negative error. */
VINE_MUST_CHECK int vine__doorbell_drain(struct vine__doorbell *doorbell, uint32_t vector);

/* Where news of others arrive: for an event loop, which calls update. -1 for a device. */
int vine__doorbell_news_fd(const struct vine__doorbell *doorbell);

/* Take what the server has said since. Returns 0; -VINE_EPEERLOST if it has ended: whom we know we
 * can go on ringing; -VINE_EPROTOCOL. */
VINE_MUST_CHECK int vine__doorbell_update(struct vine__doorbell *doorbell);

#endif
