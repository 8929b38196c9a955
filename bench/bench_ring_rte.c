/* SPDX-License-Identifier: Apache-2.0 */
/* needs: libdpdk */
/*
 * Our ring beside DPDK's rte_ring, one producer and one consumer. It lies in memory that both
 * processes write, made by rte_ring_init: no environment, no huge pages. Messages of up to 64 bytes
 * are its elements; larger ones lie in the sender's half.
 *
 *   bench_ring_rte [ROUNDS]    11 without
 */
#include "carry.h"
#include "contests.h"

#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdio.h>
#include <string.h>

#define SLOTS       1024U
#define WORD_BYTES  8U
#define LINE_BYTES  64U
#define SPACE_BYTES (DUET_SHARED_BYTES / 8)

/* One direction: a ring for each size of element. */
struct way {
    struct rte_ring *words;
    struct rte_ring *lines;
    struct rte_ring *messages;
};

static struct way to;
static struct way from;

static struct rte_ring *at(struct duet *duet, unsigned place, unsigned element_bytes, bool make)
{
    struct rte_ring *ring = (struct rte_ring *)(void *)(duet->shared + place * SPACE_BYTES);
    char name[16];

    bench_require(rte_ring_get_memsize_elem(element_bytes, SLOTS) <= (ssize_t)SPACE_BYTES, "room");
    (void)snprintf(name, sizeof(name), "bench%u", place);
    bench_require(!make || rte_ring_init(ring, name, SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0,
                  "rte_ring_init");
    return ring;
}

static struct way way(struct duet *duet, unsigned side, bool make)
{
    return (struct way){
        .words = at(duet, 3 * side, WORD_BYTES, make),
        .lines = at(duet, 3 * side + 1, LINE_BYTES, make),
        .messages = at(duet, 3 * side + 2, DUET_BYTES, make),
    };
}

static void open(struct duet *duet)
{
    to = way(duet, (unsigned)duet->side, true);
    from = way(duet, (unsigned)!duet->side, false);
    carry_open(duet);
}

static bool send(struct duet *duet, const unsigned char *message)
{
    if (duet->bytes == LINE_BYTES)
        return rte_ring_sp_enqueue_elem(to.lines, (void *)(uintptr_t)message, LINE_BYTES) == 0;
    if (duet->bytes > LINE_BYTES)
        memcpy(carry_ours(duet), message, duet->bytes);
    return rte_ring_sp_enqueue_elem(to.words, (void *)(uintptr_t)message, WORD_BYTES) == 0;
}

static bool receive(const struct duet *duet, unsigned char *message)
{
    if (duet->bytes == LINE_BYTES)
        return rte_ring_sc_dequeue_elem(from.lines, message, LINE_BYTES) == 0;
    if (rte_ring_sc_dequeue_elem(from.words, message, WORD_BYTES) != 0)
        return false;
    if (duet->bytes > LINE_BYTES)
        memcpy(message, carry_theirs(duet), duet->bytes);
    return true;
}

ROUND_TRIP(rte, send(duet, message), receive(duet, message))

STREAM(rte_1, 1, rte_ring_sp_enqueue_elem(to.messages, messages, DUET_BYTES) == 0,
       rte_ring_sc_dequeue_elem(from.messages, messages, DUET_BYTES) == 0)
STREAM(rte_32, CARRY_BATCH,
       rte_ring_sp_enqueue_burst_elem(to.messages, messages, DUET_BYTES, want, NULL),
       rte_ring_sc_dequeue_burst_elem(from.messages, messages, DUET_BYTES, want, NULL))

static const struct carry_peer rte = {"DPDK rte_ring", lead_rte, follow_rte, 1};
static const struct duet_contest one =
    CONTEST("peer: rte_ring, one by one", rte_1, 160000, DUET_MILLIONS, &carry_one_by_one, 0);
static const struct duet_contest many = CONTEST("peer: rte_ring, 32 at a time", rte_32, 1280000,
                                                DUET_MILLIONS, &carry_many_at_a_time, 0);

int main(int argc, char **argv)
{
    static const struct duet_contest *const streams[] = {&carry_one_by_one, &one,
                                                         &carry_many_at_a_time, &many, NULL};
    const int rounds = duet_rounds(argc, argv, 11);

    carry_play(&rte, rounds, open);
    duet_play("DPDK rte_ring: messages of 56 bytes", streams, rounds, open);
    return 0;
}
