/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/world_internal.h - what the parts of the simulated machine share.
 */
#ifndef VINE_TESTS_SIM_WORLD_INTERNAL_H
#define VINE_TESTS_SIM_WORLD_INTERNAL_H

#include "sim/world.h"

#include "utils/container_of.h"

/* An operation that is under way. Freed when it has ended. */
struct world_request {
    struct world_event event;
    struct vine__poller *poller;
    struct vine__operation *operation;
    struct world_request *next; /* of those that wait at one socket */
    uint64_t done;              /* bytes, of one that goes on */
    uint64_t mark;              /* the disk's: how much had been written when a sync began */
    uint32_t tries;
    bool is_cancelled;
};

/* Tell of an event of it that is not the end, or of the end, with which it is freed. */
void world_tell(struct world_request *request, int32_t result, uint32_t flags, uint16_t buffer);
void world_end(struct world_request *request, int32_t result);
void world_end_with(struct world_request *request, int32_t result, uint32_t flags, uint16_t buffer);

/* ---- descriptors ----------------------------------------------------------------------------- */

struct world_file;
struct world_socket;

struct world_descriptor {
    bool is_open;
    uint32_t under_way; /* operations on it */
    struct world_file *file;
    struct world_socket *socket;
    uint32_t open_flags;
    uint64_t position;
};

/* The lowest number that is free, as a kernel's. Returns it or -EMFILE. */
int world_descriptor_open(const struct world_descriptor *descriptor);

/* NULL: it is not open, which breaks the run. */
struct world_descriptor *world_descriptor_find(int fd);
void world_descriptor_close(int fd);
uint32_t world_descriptors_open(void);
void world_descriptors_clear(void);

/* ---- parts ----------------------------------------------------------------------------------- */

/* Begin, after the latency of its kind, what the request says. */
void world_disk_begin(struct world_request *request);
void world_net_begin(struct world_request *request);

/* Ask for its end. */
void world_disk_cancel(struct world_request *request);
void world_net_cancel(struct world_request *request);

/* Descriptors of the kernel's, which are asked between steps whether they are ready. */
bool world_is_kernels(const struct vine__operation *operation);
void world_kernel_begin(struct world_request *request);
void world_kernel_cancel(struct world_request *request);
void world_kernel_look(void);
void world_kernel_clear(void);

void world_file_unref(struct world_file *file);
void world_socket_close(struct world_socket *socket);

/* All sockets that were, and what they will do, are forgotten. */
void world_net_clear(void);

/* ---- time ------------------------------------------------------------------------------------ */

/* What is due happens, and one core takes a turn, or the clock goes to what is next. Returns false
 * once the reactors have stopped. */
bool world_step(void);

/* ---- events ---------------------------------------------------------------------------------- */

/* When the next one is due; VINE_FOREVER: there is none. */
uint64_t world_events_next_ns(void);

/* Call those that are due. */
void world_events_run(void);
void world_events_clear(void);

#endif
