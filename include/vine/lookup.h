/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/lookup.h - addresses by the names of hosts.
 *
 * Owns:     a lookup is the caller's memory, and in use until its function is called.
 * Threads:  reactors.
 * Blocking: never: the system's resolver, which blocks, runs on one of a core's few threads for
 *           such calls.
 * Trust:    what a name server says is an address to try, and nothing else.
 * Limits:   VINE_LOOKUP_MAX addresses of a name. A few lookups of a core at once; others wait.
 */
#ifndef VINE_LOOKUP_H
#define VINE_LOOKUP_H

#include <vine/base.h>
#include <vine/network.h>
#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

#define VINE_LOOKUP_MAX 8

struct vine_lookup;
struct vine__lookup_job;
typedef void (*vine_lookup_fn)(struct vine_lookup *lookup);

struct vine_lookup {
    /* Told when the function is called: 0, or a negative error. */
    int error;
    uint32_t count;
    struct vine_address addresses[VINE_LOOKUP_MAX]; /* the best one first */

    vine_lookup_fn fn; /* what follows is private */
    struct vine__lookup_job *job;
    struct vine_work work;
    bool has_ended;
};

/*
 * Look up what vine_address_parse reads, which takes no time, or "host:80". `text` is copied. The
 * function is called from the top of the loop, never within this.
 *
 * Ends with 0 and at least one address; -EINVAL, -ENAMETOOLONG: it is none of these; -ENOENT: there
 * is no such host; -EAGAIN: its name server does not answer, or not now; -ENOMEM; -ECANCELED;
 * -VINE_ECLOSED: the reactors stop; -EIO: what else the resolver says.
 */
VINE_API void vine_lookup(struct vine_lookup *lookup, const char *text, vine_lookup_fn fn);

/* Have it end soon, with -ECANCELED unless it is over. One that is not under way: nothing. The
 * resolver goes on in vain for as long as it likes. */
VINE_API void vine_lookup_cancel(struct vine_lookup *lookup);

VINE_END_DECLARATIONS

#endif
