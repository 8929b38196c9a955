/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/link.h - two memories between two machines, or a machine and a process of the host.
 *
 * Owns:     both memories. A machine that is off keeps its end, and takes it again at its next
 *           start.
 * Threads:  that of the machines at its ends.
 * Blocking: creating and filling allocate the memories; otherwise never.
 * Trust:    the status page of each machine says what the host saw of the other end, whatever that
 *           end says of itself. See vmm/engine/memory.h for who can write what.
 * Limits:   two ends; sizes are powers of two, up to what the machines' ports were made for.
 */
#ifndef VINE_VMM_ENGINE_LINK_H
#define VINE_VMM_ENGINE_LINK_H

#include <vine/base.h>

#include "arch/guest/status_layout.h"

#include <stdint.h>

struct vine__machine_link;
struct vine__machine;

#define VINE__MACHINE_LINK_ANY_PLACE UINT32_MAX

/* Make the memories of a link. `size_bytes[end]` is of what that end writes.
 * Returns 0; -EINVAL  a bad name or size; -ENOMEM  also if vine__machine_memory_available
 * is less, and nothing was filled; or what the system said. */
VINE_MUST_CHECK int vine__machine_link_create(const char *name, const uint64_t size_bytes[2],
                                              struct vine__machine_link **ret_link);

/*
 * The same in pieces: make it without its pages, and fill it before an end is given to anybody.
 * `reserved_bytes`: what others that are being filled have not got yet.
 *
 * _fill returns 0: all is there; -EAGAIN: so many bytes more are, and it is called again; or why
 * they are not, and it is closed.
 */
VINE_MUST_CHECK int vine__machine_link_begin(const char *name, const uint64_t size_bytes[2],
                                             uint64_t reserved_bytes,
                                             struct vine__machine_link **ret_link);
VINE_MUST_CHECK int vine__machine_link_fill(struct vine__machine_link *link, uint64_t bytes_max);
uint64_t vine__machine_link_unfilled(const struct vine__machine_link *link);

/* How many channels a pipe over it may have, before an end is given to anybody; 0, as at first: as
 * many as both sides make. It is for the appliance to keep to, which is told by its status page. */
void vine__machine_link_set_channels(struct vine__machine_link *link, uint32_t channels);

/* Detach both ends, and give the memories back once nobody maps them any more. NULL is fine. */
void vine__machine_link_close(struct vine__machine_link *link);

/*
 * Give an end to a machine. One that is off has it from its next start; one that runs gets it
 * plugged in, and says VINE__MACHINE_PLUGGED, or VINE__MACHINE_REFUSED, and then the end is free
 * again.
 *
 * Returns 0 and the place; -EBUSY  the end, or this place, is taken; -ENOSPC  the machine has no
 * free place; -E2BIG  its ports are made for smaller memories; -EINVAL  it has no such place;
 * -EAGAIN  it is just starting or being stopped, or what a link that was closed has left there is
 * on its way out (VINE__MACHINE_UNPLUGGED); another negative error.
 */
VINE_MUST_CHECK int vine__machine_link_attach(struct vine__machine_link *link,
                                              enum vine_status_end end,
                                              struct vine__machine *machine, uint32_t place,
                                              uint32_t *ret_place);

/*
 * Take an end away. The other end is told at once that this one is lost. A machine that runs is
 * asked to let go of its devices, and says VINE__MACHINE_UNPLUGGED when it has, or
 * VINE__MACHINE_REFUSED when it has not in time: then its place stays taken until it ends.
 */
void vine__machine_link_detach(struct vine__machine_link *link, enum vine_status_end end);

/* A process of the host is one end: it has the descriptors, and whoever watches it says how it is.
 * It has a status page as a machine has, in whose place 0 the link is. A process that takes the end
 * of one that is lost, or absent, is another generation of it.
 * Returns 0; -EBUSY  the end is taken; -ENOMEM; or what the system said. */
VINE_MUST_CHECK int vine__machine_link_attach_host(struct vine__machine_link *link,
                                                   enum vine_status_end end);
void vine__machine_link_set_host(struct vine__machine_link *link, enum vine_status_end end,
                                 enum vine_status_side_state state, enum vine_status_reason reason);

/* The status page of the host's end; the link's. */
int vine__machine_link_host_page(const struct vine__machine_link *link, enum vine_status_end end);

/* Whom to ring at an end that is the host's, and with which vector. */
void vine__machine_link_set_host_doorbell(struct vine__machine_link *link, enum vine_status_end end,
                                          uint32_t peer, uint32_t vector);

/* The memory that an end writes; the link's. */
int vine__machine_link_fd(const struct vine__machine_link *link, enum vine_status_end writer);

/* How an end is, as status pages say it. */
struct vine_status_side vine__machine_link_side(const struct vine__machine_link *link,
                                                enum vine_status_end end);

const char *vine__machine_link_name(const struct vine__machine_link *link);

#endif
