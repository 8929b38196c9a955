/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/state.h - what lies at the beginning of a heap, and the scheduler that runs in it.
 *
 * Owns:     a heap's head, its coroutines and their queues.
 * Threads:  one at a time, who runs in that heap.
 * Blocking: never: a run ends when no coroutine can go on.
 * Trust:    all of this runs inside, with the heap's rights alone, and believes what lies there: it
 *           is its own. Whoever is outside reads `asks` and the words of the end once, and checks
 *           them.
 * Limits:   VINE__ITEMS_MAX ends of operations a run. Who waits for a time is in one list by time,
 *           which is quick where deadlines come in order or are the same, as they mostly are.
 *
 * Outside and inside talk by two lists. The dispatch record, which those inside can read alone,
 * brings the ends of operations; `asks` tell what coroutines wait for.
 */
#ifndef VINE_CORE_STATE_STATE_H
#define VINE_CORE_STATE_STATE_H

#include <vine/state.h>

#include "core/heap/heap.h"
#include "utils/assert.h"
#include "utils/inside.h"

/* ---- what goes in ---------------------------------------------------------------------------- */

enum vine__item_kind {
    VINE__ITEM_ASK,      /* an ask has ended: `place` is its coroutine, `number` the ask's */
    VINE__ITEM_RECEIVED, /* on a socket: `place` is it; result: bytes, 0 the end, or an error */
    VINE__ITEM_RAISE,    /* `result` is raised in the coroutine that ran last */
    VINE__ITEM_HUNG_UP,  /* on a socket: its peer has ended, though something may be unread */
    VINE__ITEM_CANCEL,   /* the first coroutine is cancelled, with `result` */
    VINE__ITEM_MAIL,     /* a message lies in the mailbox at `place` (core/mail) */
    VINE__ITEM_NEXT,     /* as VINE__ITEM_ASK, of VINE__ASK_NEXT. result: 0: there is none, or 1 and
                            so many bytes for the standard input, which begins anew with them */
};

struct vine__item {
    bool is_more;   /* bytes: they follow what was there, which lies in front of them */
    uint32_t place; /* offset in the heap */
    uint32_t kind;  /* enum vine__item_kind */
    uint32_t number;
    int64_t result;
    const unsigned char *bytes; /* of what came; NULL: what was there stays */
    bool is_end;                /* nothing follows it */
};

#define VINE__ITEMS_MAX 32U
#define VINE__LENT_MAX  4U

/* The dispatch record: one a core, written outside and read inside. */
struct vine__record {
    uint64_t now_ns;
    uint32_t quota; /* how often coroutines may go on in this run */
    uint32_t item_count;
    struct vine__item items[VINE__ITEMS_MAX];
    /* Blocks of the heap's colour that a socket may take to write into. */
    unsigned char *lent[VINE__LENT_MAX];
    uint32_t lent_bytes;
    uint32_t places_max; /* that a micro-process may have beside its connection */
    bool is_draining;    /* the service stops: what waits for nothing ends */
};

/* Outside. Returns false: it is full. */
static inline bool vine__record_put(struct vine__record *record, struct vine__item item)
{
    if (record->item_count == VINE__ITEMS_MAX)
        return false;
    record->items[record->item_count++] = item;
    return true;
}

/* ---- what comes out -------------------------------------------------------------------------- */

enum vine__ask_kind {
    VINE__ASK_NOTHING,
    VINE__ASK_RECEIVE,   /* more on `socket`; a: bytes there that stay in front of it */
    VINE__ASK_ROOM,      /* to write on `socket` */
    VINE__ASK_SENT,      /* until all written to `socket` is the kernel's */
    VINE__ASK_NO_MORE,   /* behind that: tell the peer that nothing follows */
    VINE__ASK_PARK,      /* let the micro-process go until more comes, or a: its deadline */
    VINE__ASK_SEND_FILE, /* behind what was written to `socket`; a: where its file is */
    VINE__ASK_NEXT,      /* what the micro-process was started for is done: the next of that */
    /* Of core/mail. a: where what it is about lies in the heap; of the last the mailbox's number */
    VINE__ASK_MAIL_OPEN,
    VINE__ASK_MAIL_PUBLISH,
    VINE__ASK_MAIL_FIND,
    VINE__ASK_MAIL_SEND,
    VINE__ASK_MAIL_OFFER,
    VINE__ASK_MAIL_REQUEST,
    VINE__ASK_MAIL_RESPOND,
    VINE__ASK_MAIL_TAKE,
    /* From here on something new is outside, `a` is where it is known in the heap, a struct
     * vine__beyond, and who asks has it if all goes well. It goes if nobody waits any more. */
    VINE__ASK_BEYOND,
    VINE__ASK_CONNECT = VINE__ASK_BEYOND, /* a socket */
    VINE__ASK_CONNECT_TLS,                /* the same */
    VINE__ASK_CONNECT_REMOTE,             /* the same, to a procedure; `socket` is the remote */
    VINE__ASK_LISTEN,                     /* the same; ends with its port */
    VINE__ASK_ACCEPT,                     /* of `socket`, which listens */
    VINE__ASK_MAKE,                       /* one that a function outside makes */
    VINE__ASK_OPEN,                       /* a file: what is not below 0 is not raised */
    /* And from here on it goes at the end of what was asked in any case. */
    VINE__ASK_PASSING,
    VINE__ASK_SPLICE = VINE__ASK_PASSING, /* of `socket`; ends with how many bytes */
    VINE__ASK_AWAIT,                      /* a task elsewhere; the same */
};

/* What of a coroutine is outside: how it begins in the heap. Memory of the heap, which goes in the
 * run after the one in which outside was told that nobody has it any more. */
struct vine__beyond {
    struct vine__at_end at_end;
    struct vine_coroutine *owner;
    struct vine_coroutine **waits; /* where the owner is known as one that waits, too, or NULL */
};

#define VINE__PLACES_MAX 64U /* 0 is the connection that the micro-process began with */

/* A heap's head. A run of one coroutine that is alone touches the two lines in the middle of it. */
struct vine__inside {
    struct vine__heap_head heap;
    uint32_t mailbox_count; /* that are open (core/mail) */
    uint64_t places;        /* that are used, a bit each */

    const struct vine__record *record; /* of the run that goes on */
    struct vine_coroutine *run_first, *run_last;
    struct vine_coroutine *current;
    struct vine_coroutine *first; /* which the micro-process began with; ends last */
    struct vine__ask *asks;       /* the latest first */
    struct vine__at_end *leaving; /* of struct vine__beyond: what outside is told to let go */
    struct vine_coroutine *due_first;

    struct vine__waiters pollers; /* who look again whenever something has happened */
    uint64_t due_ns;              /* after a run: when the next one has to be, or 0 */
    uint64_t run;                 /* its number */
    uintptr_t stack_top;          /* of this run's coroutines: their variables lie below it */
    struct vine_coroutine *due_last;
    uint32_t ask_number; /* of the last ask */
    uint32_t coroutine_count;
    int32_t error; /* with which the first coroutine ended */
    uint8_t has_ended;
    uint8_t is_spent;  /* the quota is: the run queue is not empty */
    uint8_t lent_used; /* of the record's blocks, in this run */

    struct vine__block *top_block; /* of the stack */
};

VINE_STATIC_ASSERT(offsetof(struct vine__inside, record) % VINE_CACHE_LINE == 0 &&
                       offsetof(struct vine__inside, top_block) ==
                           offsetof(struct vine__inside, record) + 2 * VINE_CACHE_LINE,
                   "two lines, at the beginning of a page");

/* ---- for who makes a micro-process, outside and before it runs ------------------------------- */

/* The heap begins, `inside_bytes` for this and what its owner keeps behind it, with a first
 * coroutine that is ready. Returns NULL: it is too small. */
struct vine__inside *vine__inside_init(struct vine__heap *heap, size_t inside_bytes,
                                       const struct vine_coroutine_type *type, void *argument);

/* ---- inside ---------------------------------------------------------------------------------- */

/* A run begins, by this record. */
void vine__inside_begin(struct vine__inside *inside, const struct vine__record *record);

/* Take in what the record brings: VINE__ITEM_ASK, _NEXT, _RAISE and _CANCEL. */
void vine__inside_take(struct vine__inside *inside, const struct vine__item *item);

/* Run coroutines until none can go on or the quota is used. */
void vine__inside_drain(struct vine__inside *inside);

/* All three, for a run that brings a single item, VINE__ITEM_NEXT. */
void vine__inside_next(struct vine__inside *inside, const struct vine__record *record);

/* It is woken at that time at the latest, with `error`. It blocks. */
void vine__due(struct vine_coroutine *that, uint64_t due_ns, int error);

/* How the coroutine that runs blocks: its operation has prepared what wakes it. Its deadline does
 * so in any case, with -ETIMEDOUT. */
static inline void vine__block(struct vine_coroutine *that)
{
    that->status = VINE__COROUTINE_BLOCKED;
    if (that->deadline_ns != 0)
        vine__due(that, that->deadline_ns, -ETIMEDOUT);
}

/* It is ready. Nothing if it is queued already. */
void vine__wake(struct vine_coroutine *that, int64_t result);

/* Block as the last of those that wait there; wake the first of them, and all of them with `error`
 * raised in each, or 0. */
void vine__wait(struct vine_coroutine *that, struct vine__waiters *waiters);
void vine__wait_there(struct vine_coroutine *that, struct vine__waiters *waiters); /* it waits */
void vine__wake_first(struct vine__waiters *waiters, int64_t result);
void vine__wake_all(struct vine__waiters *waiters, int error);

/* Something has happened for which somebody polls, perhaps. */
static inline void vine__pollers_wake(struct vine__inside *inside)
{
    if (__builtin_expect(inside->pollers.first != NULL, 0))
        vine__wake_all(&inside->pollers, 0);
}

/* Block, and tell outside what for. Answered by an item with its number. `sign`, which may be NULL,
 * is cleared if nobody has heard of it when the coroutine goes on. */
void vine__ask(struct vine_coroutine *that, enum vine__ask_kind kind, uint16_t socket, uint64_t a,
               bool *sign);

/* Memory that goes with a coroutine, or before by vine__disown. NULL: there is none. */
void *vine__own(struct vine_coroutine *that, size_t size_bytes);
void vine__disown(struct vine_coroutine *that, void *memory);
void vine__pass(struct vine_coroutine *from, struct vine_coroutine *to, void *memory);

/* A place outside, and so many bytes that begin with a struct vine__beyond. NULL: -ENOMEM, or
 * -EMFILE, is raised. */
struct vine__beyond *vine__beyond_create(struct vine_coroutine *that, size_t size_bytes);
/* Nobody has it any more. */
void vine__beyond_leave(struct vine__beyond *beyond);

/* `at_end` lies in memory that goes with the coroutine, or stays longer. */
void vine__at_end_add(struct vine_coroutine *that, struct vine__at_end *at_end);
void vine__at_end_remove(struct vine_coroutine *that, struct vine__at_end *at_end);

/* Whether this is a coroutine of the same heap, and its function has not ended. One that is none
 * any more is a misuse of `operation`. */
bool vine__is_there(struct vine_coroutine *that, const struct vine_coroutine *other,
                    const char *operation);

/* Whether a coroutine is blocked at what it asked for last. */
static inline bool vine__is_asking(const struct vine_coroutine *that)
{
    return that->status == VINE__COROUTINE_BLOCKED && that->ask.kind != VINE__ASK_NOTHING;
}

/* Whether this is a variable of the function of the coroutine that runs, which is gone when that
 * blocks: it lies on the stack, not far below who runs coroutines. A stack is larger than that. */
#define VINE__LOCALS_BYTES 32768U
static inline bool vine__is_local(const struct vine_coroutine *that, const void *bytes)
{
    return that->inside->stack_top - (uintptr_t)bytes - 1 < VINE__LOCALS_BYTES;
}

/* What is wrong with the service's own code, as an assertion: file, line, coroutine and this
 * sentence on standard error, and a trap, which ends the micro-process. */
__attribute__((noreturn, cold)) void vine__misuse(const struct vine_coroutine *that,
                                                  const char *format, ...) VINE_PRINTF(2, 3);

/* ---- any side -------------------------------------------------------------------------------- */

/* The coroutine's type, or NULL if it is no known one. */
const struct vine_coroutine_type *vine__type_of(uint32_t module, uint32_t type);

/* The modules that are known are numbered from 1 to what this returns; and one of them, or NULL: it
 * is gone. */
uint32_t vine__module_count(void);
const struct vine__module *vine__module_at(uint32_t number);

/* Where it stands, or NULL: it has not begun, or its number is none. */
const struct vine__point *vine__point_of(uint32_t module, uint32_t state);

#endif
