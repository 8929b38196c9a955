/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/clients.c - how often each client came of late, for a limit of that.
 *
 * A table of words that all cores share, each a client's mark and the time until which what it did
 * counts (the generic cell rate algorithm, ITU-T I.371): each connection puts that off by a second
 * divided by the rate, and who would put it off beyond a second from now may not come. A client is
 * where its hash says or in one of the places behind it; if all are others' who count still, the
 * one of them whose time is over first is forgotten. A word is exchanged as a whole, so that no
 * lock is needed; two clients with the same mark at the same place share a limit.
 */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "utils/atomic.h"

#define PLACES    65536U
#define TRIES     4U
#define TIME_BITS 44U
#define TIME_NS   16U /* a unit of time in a word: so it lasts for nine years */
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define SECOND    (VINE_NS_PER_SECOND / TIME_NS)

struct vine__clients {
    uint64_t seed;          /* nobody outside knows who is where */
    uint64_t cost;          /* of a connection, in units of time */
    uint64_t words[PLACES]; /* atomic, in no order with anything */
};

int vine__clients_create(uint32_t rate, struct vine__clients **ret_clients)
{
    struct vine__clients *const clients = vine__closed_alloc(sizeof(*clients));

    if (clients == NULL)
        return -ENOMEM;
    clients->seed = vine_clock_now(VINE_CLOCK_STEADY) ^ (uint64_t)(uintptr_t)clients;
    clients->cost = SECOND / rate > 0 ? SECOND / rate : 1;
    *ret_clients = clients;
    return 0;
}

void vine__clients_destroy(struct vine__clients *clients)
{
    vine__closed_free(clients);
}

/* S. Vigna, splitmix64: each bit of a word in all bits of the result. */
static uint64_t mix(uint64_t word)
{
    word += UINT64_C(0x9E3779B97F4A7C15);
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

/* Who it is, as a hash: of IPv6 the network, for each client has all of one. Returns whether there
 * is a client to be told from others. */
static bool hash_of(const struct vine__clients *clients, const struct vine_address *address,
                    uint64_t *ret_hash)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint64_t who = 0;
    uint32_t ip4;

    if (address->any.sa_family == AF_INET) {
        who = address->ip4.sin_addr.s_addr;
    } else if (address->any.sa_family != AF_INET6) {
        return false;
    } else if (memcmp(&address->ip6.sin6_addr, mapped, sizeof(mapped)) == 0) {
        memcpy(&ip4, (const char *)&address->ip6.sin6_addr + sizeof(mapped), sizeof(ip4));
        who = ip4;
    } else {
        memcpy(&who, &address->ip6.sin6_addr, sizeof(who));
        who = mix(who);
    }
    *ret_hash = mix(who ^ clients->seed);
    return true;
}

/* Its place, or the one that it gets. */
static uint64_t *find(struct vine__clients *clients, uint64_t hash, uint64_t now)
{
    uint64_t *best = NULL;
    uint64_t best_until = UINT64_MAX;

    for (uint32_t i = 0; i < TRIES; i++) {
        uint64_t *const word = &clients->words[(hash + i) % PLACES];
        const uint64_t value = vine__load_relaxed_u64(word);
        const uint64_t until = (value & TIME_MASK) > now ? value & TIME_MASK : 0;

        if ((value ^ hash) >> TIME_BITS == 0)
            return word;
        if (until < best_until) {
            best = word;
            best_until = until;
        }
    }
    return best;
}

bool vine__clients_may(struct vine__clients *clients, const struct vine_address *address,
                       uint64_t now_ns)
{
    const uint64_t now = now_ns / TIME_NS & TIME_MASK;
    uint64_t hash, before, after;
    uint64_t *word;

    if (!hash_of(clients, address, &hash))
        return true;
    word = find(clients, hash, now);
    before = vine__load_relaxed_u64(word);
    do {
        const bool is_known = (before ^ hash) >> TIME_BITS == 0 && (before & TIME_MASK) > now;
        const uint64_t until = (is_known ? before & TIME_MASK : now) + clients->cost;

        if (until - now > SECOND)
            return false;
        after = (hash & ~TIME_MASK) | (until & TIME_MASK);
        /* Pairs with nothing: the word is all there is. */
    } while (!vine__compare_exchange_acq_rel_u64(word, &before, after));
    return true;
}
