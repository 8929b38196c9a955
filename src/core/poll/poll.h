/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/poll.h - what the coroutines of a micro-process wait for outside of their heap, as
 * those see it who run it.
 *
 * A coroutine asks, within a run. After the run its ask is copied, checked and begun here; how that
 * ends is kept here, has the micro-process run, and is brought into that run as an item of the
 * record.
 *
 * Owns:     of each micro-process its connection, its further sockets and files, its mail and its
 *           timer; for each core the blocks that are written into.
 * Threads:  each core's for itself.
 * Blocking: never.
 * Trust:    what lies in a heap is believed of nothing: it is read once and checked. Who writes
 *           nonsense there is told of by -VINE_ECORRUPT.
 * Limits:   VINE__PLACES_MAX sockets and files; each operation's own.
 */
#ifndef VINE_CORE_POLL_POLL_H
#define VINE_CORE_POLL_POLL_H

#include <vine/network.h>
#include <vine/timer.h>

#include "core/heap/heap.h"
#include "core/mail/mail.h"
#include "core/socket/socket.h"
#include "core/state/state.h"
#include "utils/assert.h"

#define VINE__BLOCK_BYTES 16384U /* to write into */

/* ---- a core ---------------------------------------------------------------------------------- */

struct vine__alarm;
struct vine__chunk;
struct vine__polling;
struct vine__sender;

/* Blocks of one colour on one core. */
struct vine__blocks {
    unsigned char **free; /* `free_count` of them */
    uint32_t free_count, count;
    uint32_t colour;
    struct vine__chunk *chunks;
    unsigned char *lent[VINE__LENT_MAX]; /* what the next run may take */
};

/* What those do who run micro-processes. */
struct vine__polling_calls {
    /* Something is to be brought in: run it now. It may be gone then. */
    void (*run)(struct vine__polling *polling);
    /* It has ended, and the kernel has nothing of it any more: nothing is left of `polling`. */
    void (*closed)(struct vine__polling *polling);
};

struct vine__polling_core {
    const struct vine__polling_calls *calls;
    struct vine__blocks blocks[VINE__GUARD_COLOURS_MAX];
    struct vine__sender *senders; /* that nobody has; as many as there ever were at once */
    struct vine__alarm *alarms;   /* likewise */
    struct vine_tls *tls;         /* of those that connect; or NULL: none has */
    uint32_t places_max;          /* that a micro-process may have beside its connection */
    struct vine__blocks *lent_of; /* whose blocks the record has, all that it may; or NULL */
};

void vine__polling_core_init(struct vine__polling_core *core,
                             const struct vine__polling_calls *calls, uint32_t places_max);

/* None of its micro-processes is left. */
void vine__polling_core_fini(struct vine__polling_core *core);

/* ---- a micro-process ------------------------------------------------------------------------- */

/* What lies in the heap's head for us. */
struct vine__polling_inside {
    struct vine__inside base;
    struct vine_socket io;
};

VINE_STATIC_ASSERT(offsetof(struct vine__polling_inside, io.wants) / VINE_CACHE_LINE ==
                       offsetof(struct vine__polling_inside, io) / VINE_CACHE_LINE,
                   "what most runs touch of it is one line");

/* A coroutine that waits: where it is, and the number of what it asked. Zero: nobody does. */
struct vine__asker {
    uint32_t place; /* never 0, where the heap's head is */
    uint32_t number;
};

/* The outside of a socket, whose size each blocked micro-process has: what is there only while
 * something is sent is in a sender. Private to this folder but for its connection. */
struct vine__outlet {
    struct vine_connection *connection;
    const unsigned char *view;     /* what the inside has to read: `view_size` bytes */
    unsigned char *written;        /* which the inside writes on, until it is sent */
    struct vine__asker room, sent; /* who waits for that */
    uint32_t place;                /* of the inside, in the heap */
    uint32_t view_size;
    uint32_t kept;    /* of what came, what was there before */
    int32_t received; /* bytes, which are the view, those that were kept included; or an error */
    uint32_t written_size;
    int error; /* of sending */
    union {
        uint32_t lingered; /* bytes that were thrown away, at the end */
        int32_t told;      /* to who waits until something is sent; before that */
    };
    bool is_further : 1; /* one of `struct further`, and not that of the micro-process */
    bool is_receiving : 1;
    bool has_received : 1; /* for the next run */
    bool is_sending : 1;
    bool is_gathered : 1; /* the view is a block, in which bytes are that had to be in one piece */
    bool is_gone : 1;     /* its block is: the inside has to be told */
    bool is_shutting : 1; /* the output is to end */
    bool has_end : 1;
    bool has_news : 1;     /* something has come since it has sent */
    bool was_idle : 1;     /* when it was looked at last, while the core drains */
    bool is_spliced : 1;   /* what comes goes elsewhere */
    bool is_wanted : 1;    /* and the inside has asked for what follows */
    bool is_over : 1;      /* nobody inside has it any more */
    bool is_lingering : 1; /* all is sent; what still comes is thrown away */
    bool has_file : 1;     /* to be sent behind what is written, or being sent */
    struct vine_receive receive;
};

/* Fields that say nothing of who writes them are private to this folder. All of it is what a
 * micro-process needs that waits for data, and what a request touches: what only some have, or only
 * for a while, is elsewhere. In the first line is what one touches that goes from one thing to the
 * next without anything else. */
struct vine__polling {
    struct vine__heap *heap; /* NULL: it has ended */
    union {
        struct {                         /* while it lives */
            struct vine__inside *inside; /* in the heap: not to be believed */
            uint64_t due_ns;             /* when the next run has to be at the latest, or 0 */
            union {
                uint64_t park_until_ns;   /* where it parks; or */
                struct vine__asker asker; /* who asks for what is next */
            };
        };
        struct vine_work closed; /* when its connection is; once it has ended */
    };
    struct furthers *furthers; /* NULL: none yet */
    struct vine__mail *mail;   /* once it has asked for any, or NULL */
    /* Of those who run it: */
    uint32_t park_tick;  /* when it asked to be parked */
    int16_t raise;       /* an error for the next run, or 0 */
    int16_t cancel;      /* the same */
    uint8_t fault_count; /* without a run that ended well */
    bool has_overrun;    /* once; the second time is its end */
    /* Its own again: */
    uint8_t colour;
    bool has_ended : 1;
    bool is_closed : 1;  /* and its connection is */
    bool is_behind : 1;  /* not all that has ended could be brought in: another run has to */
    bool is_parking : 1; /* nothing has to stay if nothing comes for a while: asked in this run */
    bool is_done : 1;    /* with what it was started for: it asks for the next of that, */
    bool is_resting : 1; /* and who runs it has heard so; */
    bool has_answer : 1; /* which it has: in the next run, */
    bool has_next : 1;   /* and there is one */
    bool is_quick : 1; /* it rests, and nothing else is to be brought in or taken out: see there */
    struct vine__polling_core *core;
    uint64_t armed_ns;         /* for which the alarm is armed: `due_ns` or earlier; or 0 */
    struct vine__alarm *alarm; /* since its first deadline, or its end; or NULL */
    struct vine__outlet io;
    struct vine_work work; /* its next run: posted by whoever wants one */
};

VINE_STATIC_ASSERT(offsetof(struct vine__polling, core) <= VINE_CACHE_LINE, "its first line");

struct vine__polling_options {
    struct vine__polling_core *core;
    struct vine__heap *heap;                /* open */
    struct vine_connection *connection;     /* its standard input and output, or NULL */
    const struct vine_receive *receive;     /* which has ended with its first bytes; or NULL */
    const struct vine_coroutine_type *type; /* of its first coroutine, */
    const void *argument;                   /* and what that gets */
};

/* What is zero becomes the outside of a micro-process that has not run, whose heap is closed then.
 * Returns 0, or -ENOMEM: the heap is too small, and nothing was taken. */
VINE_MUST_CHECK int vine__polling_begin(struct vine__polling *polling,
                                        const struct vine__polling_options *options);

/* Before a run: put into the record what is to be brought in; `is_behind`, unless that is all. Its
 * heap is open, here and behind the run. */
void vine__polling_bring(struct vine__polling *polling, struct vine__record *record);

/* Behind it: send what was written, begin what is asked for, and let go what was left. Returns 0,
 * -VINE_ECORRUPT, or -ENOMEM: it cannot be answered. */
VINE_MUST_CHECK int vine__polling_take(struct vine__polling *polling);

/* It has ended, and its heap goes. Everything that was written is sent, and then all that it has is
 * closed; or at once. `closed` is called then, later. */
void vine__polling_end(struct vine__polling *polling, bool at_once);

/* Behind that: this takes too long. */
void vine__polling_hurry(struct vine__polling *polling);

/* In front of that: it ends without having answered, and this is sent in place of an answer, where
 * none was begun. Returns whether it is. */
bool vine__polling_farewell(struct vine__polling *polling, const char *text);

/* Whether it has answered all that came on its connection, and waits for more, now and when this
 * was asked before. */
bool vine__polling_is_still_idle(struct vine__polling *polling);

/*
 * Its connection, where it does nothing but receive and nothing is on its way, is not its any more:
 * what comes next ends `receive`, which calls `received`, and so does the time until which it asked
 * to be parked. Who has called this ends the micro-process.
 *
 * Returns false, and nothing has happened, if it is in the middle of something.
 */
bool vine__polling_detach(struct vine__polling *polling, struct vine_receive *receive,
                          vine_receive_fn received);

/* It is done, as it says: whether its connection is, too, so that the next of what it was started
 * for can begin; what it has not read is thrown away then. */
bool vine__polling_is_fresh(struct vine__polling *polling);

/* It is done, and this is the next, with so many bytes to read, which stay until it asks for more
 * of them, or is done again; and nothing comes behind them, if it `is_end`. Or there is none. For
 * the next run. */
void vine__polling_give(struct vine__polling *polling, const unsigned char *bytes, uint32_t size,
                        bool is_end);
void vine__polling_dismiss(struct vine__polling *polling);

/*
 * The same for one that `is_quick`, as nearly all are that do one small thing after another: it has
 * rested since nothing else was left of its last run, and has heard of nothing since.
 *
 * vine__polling_see_quick says whether that is so, behind a run by which it has come to rest; a run
 * for any other reason is its end. vine__polling_bring_next puts the next into the record, and
 * nothing else. vine__polling_has_rested says behind that run whether it did nothing but to ask for
 * the next again, and then it rests as before; else nothing has happened, vine__polling_stir is
 * called, and it goes on as behind any run.
 */
void vine__polling_see_quick(struct vine__polling *polling);
void vine__polling_bring_next(struct vine__polling_core *core, struct vine__polling *polling,
                              struct vine__record *record, const unsigned char *bytes,
                              uint32_t size, bool is_end);
bool vine__polling_has_rested(struct vine__polling *polling, bool has_bytes);
void vine__polling_stir(struct vine__polling *polling);

/* What makes the next socket that it asks to have made, with a copy of at most VINE__MAKING_BYTES:
 * said by a function outside. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__polling_make(struct vine__polling *polling, vine__maker_fn maker,
                                       const void *asked, size_t size_bytes);

/* Whether it may read, or write, so many bytes there: in its heap, in a block of its colour, or in
 * what came on a socket of its. */
bool vine__polling_can_read(struct vine__polling *polling, const void *bytes, size_t size_bytes);
bool vine__polling_can_write(struct vine__polling *polling, const void *bytes, size_t size_bytes);

#endif
