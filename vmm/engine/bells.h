/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/bells.h - the server of doorbells between virtual machines: what QEMU's
 * ivshmem-doorbell devices connect to.
 *
 * Owns:     the control socket and its name; of each peer its own end of a socket and an eventfd
 *           for each vector; descriptors that clients have left here to find them again.
 * Threads:  one; it is the loop of a process of its own, so that doorbells outlive whoever starts
 *           virtual machines.
 * Blocking: vine__bells_step for its time-out, and never for a peer or a client.
 * Trust:    the control socket serves root and the user of this process. A peer may send anything
 *           or read nothing: it loses its place, and nobody else waits for it. A peer is told of
 *           those alone that it may ring.
 * Limits:   VINE_BELLS_PEERS_MAX peers of VINE_BELLS_VECTORS_MAX vectors;
 *           VINE__BELLS_CLIENTS_MAX clients of the control socket; VINE_BELLS_KEPT_MAX descriptors
 *           that are kept.
 *
 * Caveats:  whoever shares an eventfd can make it a blocking one and fill it. QEMUs that may ring
 *           one another can so stop each other's doorbells, if a guest has taken its QEMU over.
 */
#ifndef VINE_VMM_ENGINE_BELLS_H
#define VINE_VMM_ENGINE_BELLS_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

#include "vmm/engine/bells_protocol.h"

#define VINE__BELLS_CLIENTS_MAX 16

struct vine__bells;

struct vine__bells_options {
    const char *path;     /* of the control socket; the folder is the caller's business */
    uint64_t patience_ns; /* how long a peer may leave unread what it is told; 0: ten seconds */
};

/* Listen. Returns 0; -EADDRINUSE if somebody does at this path; another negative error. */
VINE_MUST_CHECK int vine__bells_create(struct vine__bells **ret_bells,
                                       const struct vine__bells_options *options);

/* Accepts NULL. All peers' sockets are closed; what they were given still rings. */
void vine__bells_destroy(struct vine__bells *bells);

/* One turn: wait for the time-out at most, and serve whoever has something. A signal ends the wait.
 * Returns 0, or a negative error, after which there is no use in going on. */
VINE_MUST_CHECK int vine__bells_step(struct vine__bells *bells, uint64_t timeout_ns);

/* Whether there is neither a peer nor a client, and no process is kept: nobody runs that has what
 * else is kept. */
bool vine__bells_is_idle(const struct vine__bells *bells);

#endif
