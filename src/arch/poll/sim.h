/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/sim.h - a simulated kernel for pollers, owned by a test.
 *
 * Owns:     the simulation: its clock, its files and streams, and what it does wrong, from a seed.
 *           Pollers are the caller's, and are destroyed before it.
 * Threads:  one, for the simulation and all its pollers; vine__poller_wake is for any.
 * Blocking: never. A sleep returns at once, and vine__sim_sleeps_until says to which time the clock
 *           may advance before there is something for that poller.
 * Trust:    a test's own.
 * Limits:   descriptors are numbers of the simulation's own, none is ever used twice, and all of
 *           them are beyond VINE__SIM_FD_FIRST, where no kernel has any. Paths are names as they
 *           are written. Messages carry no control data. A connect goes to who listens at the same
 *           bytes.
 *
 * An operation takes its latency, then it is tried: with the same seed and the same calls
 * everything happens in the same order at the same time. One that has to wait for another is tried
 * again when the other has done something, after another latency. VINE__POLL_CALL is called by the
 * poll.
 *
 * The order of two sends, or two receives, of one stream is kept. Everything else may overtake.
 */
#ifndef VINE_ARCH_POLL_SIM_H
#define VINE_ARCH_POLL_SIM_H

#include "arch/poll/poll.h"

#define VINE__SIM_FD_FIRST (1 << 24)

struct vine__sim;

struct vine__sim_options {
    uint64_t seed;
    uint64_t latency_min_ns; /* of an operation, uniformly between both */
    uint64_t latency_max_ns;
    uint32_t short_per_thousand; /* transfers that move less than they were asked to */
    uint32_t error_per_thousand; /* on files: -EIO; on streams: both ends have -ECONNRESET */
    uint32_t descriptor_max;     /* open at once; 0: 65536 */
    uint32_t stream_bytes;       /* that a stream holds before its writer waits; 0: 65536 */
    uint64_t disk_bytes;         /* of all files together; 0: 1 GiB */

    /* The test's own operations: `begin` says whether it takes one, which it then ends by
     * vine__sim_end; `cancel` is called for one of those. NULL: it takes none. */
    bool (*begin)(void *context, struct vine__poller *poller, struct vine__operation *operation);
    void (*cancel)(void *context, struct vine__poller *poller, struct vine__operation *operation);
    void *context;
};

/* Returns 0, -EINVAL or -ENOMEM. */
VINE_MUST_CHECK int vine__sim_create(struct vine__sim **ret_sim,
                                     const struct vine__sim_options *options);
void vine__sim_destroy(struct vine__sim *sim);

/* The clock starts at 1 s and stands still until it is advanced, never back. */
uint64_t vine__sim_now_ns(const struct vine__sim *sim);
void vine__sim_advance(struct vine__sim *sim, uint64_t to_ns);

/* The next of the simulation's random numbers: for what the test itself decides. */
uint64_t vine__sim_random(struct vine__sim *sim);

VINE_MUST_CHECK int vine__poller_create_sim(struct vine__poller **ret_poller,
                                            struct vine__sim *sim);

/* When there will be something for a poller, as things stand: now, if it was woken or has
 * something; else the end of an operation's latency or of its last sleep; VINE_FOREVER: others have
 * to act. */
uint64_t vine__sim_sleeps_until(const struct vine__poller *poller);

/* End an operation that the test has taken; its function is called by the next poll. The field
 * `backend` of one that is taken is the test's. */
void vine__sim_end(struct vine__poller *poller, struct vine__operation *operation, int32_t result);

/* The same with flags. With VINE__POLL_MORE it is not the end: several may be told before a poll.
 * With VINE__POLL_BUFFER what came lies in `buffer` of those that vine__sim_take_buffer gave, which
 * returns false if there is none. */
void vine__sim_tell(struct vine__poller *poller, struct vine__operation *operation, int32_t result,
                    uint32_t flags, uint16_t buffer);
bool vine__sim_take_buffer(const struct vine__operation *operation, uint16_t *ret_buffer,
                           unsigned char **ret_bytes, uint32_t *ret_size_bytes);

/* Two ends of a stream, both ways or one (read end first). */
VINE_MUST_CHECK int vine__sim_socketpair(struct vine__sim *sim, int ret_fds[2]);
VINE_MUST_CHECK int vine__sim_pipe(struct vine__sim *sim, int ret_fds[2]);

/* A socket to connect, and one that listens. */
VINE_MUST_CHECK int vine__sim_socket(struct vine__sim *sim, int *ret_fd);
VINE_MUST_CHECK int vine__sim_listen(struct vine__sim *sim, const struct sockaddr *address,
                                     uint32_t address_size, int *ret_fd);

/* Close without an operation. A reset ends both ways at once, for both ends. */
void vine__sim_close(struct vine__sim *sim, int fd);
void vine__sim_reset(struct vine__sim *sim, int fd);

/* The next operation that is tried on it ends with `error`, a negative one. */
void vine__sim_fail_next(struct vine__sim *sim, int fd, int32_t error);

/* How many are open. */
uint32_t vine__sim_descriptors(const struct vine__sim *sim);

#endif
