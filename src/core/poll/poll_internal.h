/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/poll_internal.h - between what coroutines ask for and what does it. */
#ifndef VINE_CORE_POLL_POLL_INTERNAL_H
#define VINE_CORE_POLL_POLL_INTERNAL_H

#include <vine/error.h>

#include "core/poll/poll.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/container_of.h"
#include "utils/list.h"

VINE_STATIC_ASSERT(VINE__BLOCK_BYTES >= VINE_LOOK_MAX, "what is looked at fits into a block");

static inline void vine__polling_run(struct vine__polling *polling)
{
    polling->core->calls->run(polling);
}

/* The timer of a micro-process. */
struct vine__alarm {
    struct vine_timer timer;
    union {
        struct vine__polling *polling; /* or of those that nobody has: */
        struct vine__alarm *next;
    };
};

/* poll.c: the timer, which it has from now on. NULL: no memory. */
struct vine_timer *vine__polling_timer(struct vine__polling *polling);
/* poll.c: what a connection of it receives from now on lies where its coroutines can read it.
 * Before anything is received there. */
void vine__polling_paint(const struct vine__polling *polling, struct vine_connection *connection);

/* ---- blocks: blocks.c ------------------------------------------------------------------------ */

/* A block, or NULL: no memory. */
unsigned char *vine__block_take(struct vine__blocks *blocks);
void vine__block_give(struct vine__blocks *blocks, unsigned char *block);
void vine__blocks_fini(struct vine__blocks *blocks);

/* ---- the outside of a socket: outlet.c ------------------------------------------------------- */

/* A send of an outlet: there is one only while it goes on. */
struct vine__sender {
    struct vine_send send;
    struct vine__outlet *outlet; /* or of those that nobody has: */
    struct vine__sender *next;
    unsigned char *block; /* what is sent, which is the kernel's; or NULL: no block is */
};

/* The inside, which is not to be believed. */
struct vine_socket *vine__outlet_inside(const struct vine__outlet *outlet);
/* So much was received, or 0 or an error: for the next run. */
void vine__outlet_came(struct vine__outlet *outlet, const unsigned char *bytes, int64_t size);
void vine__outlet_receive(struct vine__outlet *outlet, uint32_t kept);
/* The inside has read all that came. */
void vine__outlet_let_view_go(struct vine__outlet *outlet);
/* It was spliced, and is not any more. */
void vine__outlet_spliced(struct vine__outlet *outlet);
/* What a splice has received, or sent, has ended: an outlet that is over goes on with its end. */
void vine__outlet_lingered(struct vine__outlet *outlet, int64_t size);
void vine__outlet_sent(struct vine__outlet *outlet);
/* The inside has written: `block` of those lent, from 1, or 0: on. Returns 0 or -VINE_ECORRUPT. */
int vine__outlet_written(struct vine__outlet *outlet, uint32_t block, uint32_t size);
void vine__outlet_send(struct vine__outlet *outlet);
/* For a send of its own, which ends by vine__outlet_send_ended. NULL: there is no memory, and that
 * is its error. */
struct vine__sender *vine__outlet_sender(struct vine__outlet *outlet);
void vine__outlet_send_ended(struct vine_send *send);
/* Everything that was written is sent, and then it is closed: the work for that is posted. */
void vine__outlet_close(struct vine__outlet *outlet, bool at_once);
/* It takes too long. */
void vine__outlet_hurry(struct vine__outlet *outlet);
void vine__outlet_fini(struct vine__outlet *outlet);
void vine__senders_fini(struct vine__polling_core *core);

/* ---- what it has beside its connection: further.c -------------------------------------------- */

struct awaiting;
struct connecting;
struct listening;
struct opened;
struct splicing;

/* At a place that its inside chose. */
struct further {
    struct vine__outlet outlet;
    struct vine__polling *polling;
    struct vine__list link;
    struct vine_work closed;
    struct vine_timer timer;
    struct vine_work hung_up; /* its peer has ended */
    uint16_t place;
    bool has_hung_up; /* for the next run */
    bool is_closed;   /* and nothing but the end of what it sends is waited for */
    bool has_answer;  /* for the asker: */
    int64_t answer;
    struct vine__asker asker;      /* who waits for it to be there */
    struct connecting *connecting; /* while it does, or NULL */
    struct splicing *splicing;     /* the same */
    struct listening *listening;   /* or NULL */
    struct further *accepts;       /* the one that listens, while it waits there, or NULL */
    struct opened *file;           /* it is a file, or NULL */
    struct awaiting *awaiting;     /* it is a task elsewhere, or NULL */
};

/* What makes a socket that is asked for next. */
struct making {
    struct vine__list link;
    vine__maker_fn maker;
    _Alignas(max_align_t) unsigned char asked[VINE__MAKING_BYTES];
};

struct furthers {
    struct vine__polling *polling;
    struct vine_work hung_up; /* that of the connection */
    bool has_hung_up;
    uint32_t first;              /* place to be looked at for what came */
    struct vine__list splicings; /* all of them */
    struct vine__list makings;   /* in the order of what will be asked */
    uint32_t making_count;
    struct vine__list all;                /* by `link`, those that are being closed among them */
    uint32_t count;                       /* of these */
    struct further *at[VINE__PLACES_MAX]; /* those that somebody inside has, or NULL */
};

static inline struct further *vine__further_of(struct vine__outlet *outlet)
{
    return VINE_CONTAINER_OF(outlet, struct further, outlet);
}

/* Whose it is. */
static inline struct vine__polling *vine__polling_of(const struct vine__outlet *outlet)
{
    return VINE__UNLIKELY(outlet->is_further)
               ? VINE_CONTAINER_OF(outlet, const struct further, outlet)->polling
               : VINE_CONTAINER_OF((struct vine__outlet *)(uintptr_t)outlet, struct vine__polling,
                                   io);
}

/* Which one, or NULL. */
static inline struct further *vine__further_at(const struct vine__polling *polling, uint32_t place)
{
    return polling->furthers != NULL && place < VINE__PLACES_MAX ? polling->furthers->at[place]
                                                                 : NULL;
}

/* An outlet by its place, or NULL. */
static inline struct vine__outlet *vine__outlet_at(struct vine__polling *polling, uint32_t place)
{
    struct further *further;

    if (VINE__LIKELY(place == 0))
        return &polling->io;
    further = vine__further_at(polling, place);
    return further != NULL ? &further->outlet : NULL;
}

/* Begin what is asked for. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__further_begin(struct vine__polling *polling, const struct vine__ask *ask,
                        struct vine__asker asker);
/* How it has ended: `connection`, or an error. The micro-process runs then. */
void vine__further_connected(struct further *further, int error,
                             struct vine_connection *connection);
/* What of an outlet is wanted without blocking: VINE__WANTS_... */
void vine__outlet_want(struct vine__outlet *outlet, uint32_t wants);
/* Nobody inside has these any more, as it says. Returns 0 or -VINE_ECORRUPT. */
/* What makes sockets, of which nothing was asked for after all. */
void vine__furthers_forget_makings(struct vine__polling *polling);
int vine__furthers_let_go(struct vine__polling *polling);
/* The micro-process has ended. */
void vine__furthers_close(struct vine__polling *polling, bool at_once);
void vine__furthers_hurry(struct vine__polling *polling);
/* Whether those inside have none; and whether nothing is left of any. */
bool vine__furthers_are_none(const struct vine__polling *polling);
bool vine__furthers_are_closed(const struct vine__polling *polling);

/* ---- connecting.c, listening.c, splice.c ----------------------------------------------------- */

/* It connects: to an address, or to a name that is looked up. */
void vine__further_connect(struct further *further, const char *text, bool is_tls);
/* The same to a procedure of an appliance. */
void vine__further_connect_remote(struct further *further, struct vine_remote remote,
                                  const char *procedure);
/* Nobody waits for that any more. */
void vine__connecting_leave(struct connecting *connecting);

/* It listens, at this address; nobody inside has it any more; and one waits for who connects
 * there. */
void vine__further_listen(struct further *further, const char *text);
void vine__listening_leave(struct listening *listening);
void vine__further_accept(struct further *further, struct further *listener);

/* Move bytes, at most so many. `further` has the place, and is told. */
void vine__splice_begin(struct further *further, struct vine__outlet *from, struct vine__outlet *to,
                        uint64_t bytes);
/* Nobody waits for it any more. */
void vine__splicing_leave(struct splicing *splicing);
/* Something may have changed for those who wait to send to it. It closes, if it is over. */
void vine__splicings_look(struct vine__outlet *outlet);

/* ---- tasks elsewhere: awaiting.c ------------------------------------------------------------ */

/* `further` is to be this one. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__awaiting_begin(struct further *further, const struct vine__awaiting *wish);
/* It has ended well: have those inside see what came, or `further->answer` why they do not. */
void vine__awaiting_tell(struct awaiting *awaiting);
/* Nobody waits for it any more. */
void vine__awaiting_leave(struct awaiting *awaiting);

/* ---- files: files.c -------------------------------------------------------------------------- */

/* Open what `further` is to be, of which those inside see what lies at `place` of the heap. Returns
 * 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__opened_open(struct further *further, uint32_t root, const char *path, uint32_t place);
/* It is there: have those inside see what it is. */
void vine__opened_tell(const struct opened *file);
/* Nobody inside has it any more. `further->closed` is posted when it is over. */
void vine__opened_leave(struct opened *file);
/* A part of a file is to go out, as what lies at the address `a` of the heap says; `asker` waits.
 * Returns 0 or -VINE_ECORRUPT. */
int vine__opened_ask(struct vine__polling *polling, struct vine__outlet *outlet, uint64_t a,
                     struct vine__asker asker);
/* It is its turn; and something has been sent. */
void vine__opened_send(struct vine__outlet *outlet);
void vine__opened_sent(struct vine__outlet *outlet, size_t sent);

#endif
