/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/bells_client.h - what runs virtual machines asks of the bells.
 *
 * Owns:     nothing; each descriptor is the caller's, to be closed with close(2).
 * Threads:  any; one at a time on one connection.
 * Blocking: until the answer, for VINE__BELLS_ANSWER_NS at most.
 * Trust:    the server is a process of the same user, and its answers are checked all the same.
 * Limits:   as bells_protocol.h has them.
 *
 * What was added stays until its socket is closed at the peer's end or it is removed: a client may
 * end, connect anew and find all of it again by name.
 *
 * Each returns 0; -ENOENT for an id, a vector or a name that nobody has; -VINE_EPEERLOST if the
 * server has closed; -ETIMEDOUT, after which the connection is of no use any more; -VINE_EPROTOCOL;
 * another negative error.
 */
#ifndef VINE_VMM_ENGINE_BELLS_CLIENT_H
#define VINE_VMM_ENGINE_BELLS_CLIENT_H

#include <vine/base.h>

#include <stdint.h>

#include "vmm/engine/bells_protocol.h"

#define VINE__BELLS_ANSWER_NS (10 * VINE_NS_PER_SECOND)

/* Connect to the control socket at `path`. -ENOENT or -ECONNREFUSED if nobody listens. */
VINE_MUST_CHECK int vine__bells_connect(const char *path, int *ret_fd);

/* A new peer: its number, and the socket that its QEMU takes, as in
 * `-chardev socket,id=bells,fd=N -device ivshmem-doorbell,chardev=bells,vectors=COUNT`.
 * Also -EEXIST if somebody has this name, -ENOSPC, -EINVAL for a name that is none. */
VINE_MUST_CHECK int vine__bells_add(int fd, const char *name, uint32_t vector_count,
                                    uint32_t *ret_id, int *ret_socket_fd);

/* A QEMU survives this; its doorbells do not. */
VINE_MUST_CHECK int vine__bells_remove(int fd, uint32_t id);

/* Whether two peers may ring one another; at first, nobody may. Done twice is done. */
VINE_MUST_CHECK int vine__bells_allow(int fd, uint32_t id, uint32_t other);
VINE_MUST_CHECK int vine__bells_forbid(int fd, uint32_t id, uint32_t other);

/* The eventfd by which the host itself rings a vector. QEMU has it too: vine__signaller_signal. */
VINE_MUST_CHECK int vine__bells_event(int fd, uint32_t id, uint32_t vector, int *ret_event_fd);

/* All peers. */
VINE_MUST_CHECK int vine__bells_list(int fd,
                                     struct vine_bells_entry ret_entries[VINE_BELLS_PEERS_MAX],
                                     uint32_t *ret_count);

/*
 * Leave a descriptor of a file or a memory with who outlives us, under a name that nothing has that
 * is kept; it goes there as a duplicate. It is kept until it is forgotten, or the server ends. That
 * of a process (a pidfd) is forgotten when that one has ended; until then the server lingers.
 * Also -EEXIST, -ENOSPC, -EINVAL for a name that is none or another kind of descriptor.
 */
VINE_MUST_CHECK int vine__bells_keep(int fd, const char *name, int kept_fd);

/* A duplicate of what is kept: close-on-exec, the caller's. */
VINE_MUST_CHECK int vine__bells_take(int fd, const char *name, int *ret_kept_fd);
VINE_MUST_CHECK int vine__bells_forget(int fd, const char *name);

/* The names of all that is kept. */
VINE_MUST_CHECK int vine__bells_list_kept(int fd,
                                          struct vine_bells_kept ret_kept[VINE_BELLS_KEPT_MAX],
                                          uint32_t *ret_count);

#endif
