/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/bells_internal.h - peers, and what each of them has been told.
 *
 * Nothing is queued. Of each peer it is known how much it was told of each other one, and how much
 * it should know follows from who lives and who may ring whom; the difference is sent as fast as it
 * reads. So a peer that reads nothing costs its place and no more.
 *
 * A peer that has left keeps its place and id until all who were told of it have been told that it
 * left. An id is given to a new peer only if no living one was ever told of it: a guest may have
 * kept the number.
 */
#ifndef VINE_VMM_ENGINE_BELLS_INTERNAL_H
#define VINE_VMM_ENGINE_BELLS_INTERNAL_H

#include "vmm/engine/bells.h"

#include "arch/peer/peer.h"
#include "arch/wake/ivshmem_protocol.h"

#include <stdbool.h>
#include <stdint.h>

#define VINE__BELLS_MEMORY_BYTES 4096

enum vine__bells_life {
    VINE__BELLS_FREE = 0,
    VINE__BELLS_LIVING,
    VINE__BELLS_LEFT, /* somebody has still to be told */
};

enum vine__bells_blocked {
    VINE__BELLS_NOT_BLOCKED = 0,
    VINE__BELLS_SOCKET_FULL, /* it has not read */
    VINE__BELLS_KERNEL_FULL, /* too many descriptors of this user are under way: nothing to poll */
};

struct vine__bells_peer {
    uint8_t life; /* enum vine__bells_life */
    uint8_t blocked;
    uint8_t greeted; /* of the three messages that come first */
    uint32_t id;
    uint32_t vector_count;
    int fd;        /* our end of its socket */
    int memory_fd; /* until it was sent; -1 */
    uint64_t blocked_since_ns;
    uint64_t links;                             /* bit i: may ring the peer in place i, and back */
    uint8_t told[VINE_BELLS_PEERS_MAX];         /* vectors of each that it knows */
    uint64_t met[(VINE_IVSHMEM_IDS + 63) / 64]; /* ids that it was ever told */
    int events[VINE_BELLS_VECTORS_MAX];
    char name[VINE_BELLS_NAME_BYTES];
};

/* What somebody has left here, to take it again later. */
struct vine__bells_keepsake {
    int fd;
    bool is_process;                  /* a pidfd: forgotten when that has ended */
    char name[VINE_BELLS_NAME_BYTES]; /* "": free */
};

struct vine__bells {
    struct vine__peer_listener listener;
    int client_fds[VINE__BELLS_CLIENTS_MAX]; /* -1: free */
    uint32_t next_id;
    uint64_t patience_ns;
    struct vine__bells_peer peers[VINE_BELLS_PEERS_MAX];
    uint32_t kept_count;
    struct vine__bells_keepsake kept[VINE_BELLS_KEPT_MAX]; /* the first of them, in any order */
};

/* bells_kept.c. The first three return an outcome; what was added is ours if that is
 * VINE_BELLS_DONE, and what was found stays ours. */
uint32_t vine__bells_kept_add(struct vine__bells *bells, const char *name, int fd);
uint32_t vine__bells_kept_find(const struct vine__bells *bells, const char *name, int *ret_fd);
uint32_t vine__bells_kept_remove(struct vine__bells *bells, const char *name);
/* Returns how many. */
uint32_t vine__bells_kept_list(const struct vine__bells *bells,
                               struct vine_bells_kept ret_kept[VINE_BELLS_KEPT_MAX]);
void vine__bells_kept_close(struct vine__bells *bells);
/* The one at this index; the last one comes there. */
void vine__bells_kept_drop(struct vine__bells *bells, uint32_t index);
/* Whether a process is among what is kept. */
bool vine__bells_kept_has_process(const struct vine__bells *bells);

/* The living peer of this id, or NULL. */
struct vine__bells_peer *vine__bells_find(struct vine__bells *bells, uint32_t id);

/* Returns an outcome, and when that is VINE_BELLS_DONE the peer and the other end of its socket. */
uint32_t vine__bells_peer_add(struct vine__bells *bells, const struct vine_bells_request *request,
                              struct vine__bells_peer **ret_peer, int *ret_fd);

/* It has left, or has to. */
void vine__bells_peer_leave(struct vine__bells *bells, struct vine__bells_peer *peer);

/* Whether it has read all that it should know. */
bool vine__bells_peer_is_current(const struct vine__bells *bells,
                                 const struct vine__bells_peer *peer);

/* Tell everybody what there is to tell, as far as it is taken; who has not read for too long
 * leaves. Returns when to call again if nothing else happens: VINE_FOREVER or a time from now. */
uint64_t vine__bells_tell(struct vine__bells *bells);

#endif
