/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/mail/mail_internal.h - mailboxes, letters and operations.
 *
 * An operation is of the core where a coroutine waits for it, a mailbox of the core of its
 * micro-process. What goes between is known by numbers with keys, so that whatever comes too late
 * finds nobody.
 */
#ifndef VINE_CORE_MAIL_MAIL_INTERNAL_H
#define VINE_CORE_MAIL_MAIL_INTERNAL_H

#include <string.h>

#include <vine/error.h>
#include <vine/mail.h>
#include <vine/reactor.h>

#include "core/mail/mail.h"
#include "utils/assert.h"
#include "utils/list.h"

/* ---- in a heap: written inside, and copied once by those outside ----------------------------- */

struct vine_mailbox {
    /* Its key, which outside has written; not that any more when its coroutine has ended or closes
     * it, for what is told of an end counts the lower half down. */
    union {
        uint64_t key;
        uint32_t halves[2];
    } alive;
    struct vine_mail_address address;                   /* written outside, as is */
    uint32_t number;                                    /* among those of the micro-process */
    bool is_asked;                                      /* outside has been asked for a message */
    bool is_full;                                       /* `bytes` are one that nobody has taken */
    bool is_answering;                                  /* a request was taken, and not answered */
    const struct vine__message_type *type, *reply_type; /* of requests; NULL: of messages */
    uint64_t type_id, reply_type_id;
    uint32_t size_bytes, reply_bytes;
    struct vine_coroutine *owner;
    struct vine_coroutine *reader; /* the owner, while it waits */
    struct vine__waiters nobody;
    struct vine__at_end closing, counting;
    _Alignas(16) unsigned char bytes[];
};

/* Of an operation under way. */
struct paper {
    struct vine_mail_address address; /* to; or what was found, written outside */
    uint64_t type_id, reply_type_id;
    uint32_t size_bytes, reply_bytes;
    uint32_t box;  /* the number of the mailbox that it is about */
    int32_t error; /* of an answer; or of an offer, written outside */
    char name[VINE_MAIL_NAME_BYTES];
    _Alignas(16) unsigned char bytes[]; /* the message, then, written outside, its answer */
};

/* ---- numbers with keys ----------------------------------------------------------------------- */

struct number {
    void *object; /* NULL: nobody has it */
    uint64_t key;
    uint32_t next_free;
};

struct numbers {
    struct number *all;
    uint32_t count, used;
    uint32_t free_first; /* from 1; 0: none */
};

/* Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__number_take(struct numbers *numbers, void *object, uint64_t key,
                                      uint32_t *ret_number);
void vine__number_give(struct numbers *numbers, uint32_t number);
/* NULL: nobody has that number with that key. */
void *vine__number_find(const struct numbers *numbers, uint32_t number, uint64_t key);

/* ---- a core ---------------------------------------------------------------------------------- */

struct name {
    char text[VINE_MAIL_NAME_BYTES];
    struct vine_mail_address address;
};

/* To another core, or this one: what is on its way there, and operations that wait until there are
 * fewer, by `queue`. */
struct route {
    uint32_t on_way;
    struct vine__list waiting;
};

struct office {
    struct numbers boxes, operations;
    struct route routes[VINE_CORES_MAX];
    uint64_t operation_key; /* of the last one */
    uint64_t held_bytes;    /* of letters in its mailboxes, or waiting for room there */
    uint32_t under_way;     /* operations, mailboxes, and calls that nobody waits for */
    uint32_t random_count;
    uint64_t random[32];
    struct name *names; /* of all: core 0 has them; or NULL */
    uint32_t name_count;
    void (*done)(void *context); /* it ends, when nothing is under way; or NULL */
    void *context;
};

/* The calling core's, or NULL: it has none. */
struct office *vine__office_here(void);

/* A number that nobody can guess, and odd: one less is nobody's. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__office_key(struct office *office, uint64_t *ret_key);

/* One of what was under way is over. The office may be gone then. */
void vine__office_less(struct office *office);

/* ---- letters --------------------------------------------------------------------------------- */

enum { ARRIVED_WAITING = 1 }; /* its sender waits: for room, or for an answer */

/* Its sender's until it arrives, then the mailbox's. */
struct letter {
    struct letter *next;
    struct vine_core_call notice; /* to its sender, of what has become of it */
    struct vine_mail_address address;
    uint64_t type_id, reply_type_id;
    uint32_t size_bytes, reply_bytes;
    uint32_t origin; /* the core of who waits for it, */
    uint32_t number; /* and the operation there */
    uint64_t key;
    int32_t result;  /* that the notice tells */
    bool is_request; /* an answer is waited for */
    bool is_offer;   /* room is not */
    bool is_told;    /* the notice is under way */
    bool is_over;    /* and behind it this goes */
    _Alignas(16) unsigned char bytes[];
};

struct letters {
    struct letter *first, *last;
};

/* A mailbox. */
struct box {
    struct vine__mail *mail;
    struct vine_mail_address address;
    uint32_t place; /* in the heap: of it, and of its coroutine */
    uint32_t owner;
    uint64_t type_id, reply_type_id;
    uint32_t size_bytes, reply_bytes;
    uint32_t count; /* of `letters`, but for requests */
    bool is_for_requests;
    bool is_wanted;    /* the inside waits for one */
    bool is_answering; /* it has a request, */
    bool is_published;
    struct letter *answering; /* and this is it, unless who has asked is gone */
    struct letters letters;
    struct letters waiting;          /* for room */
    struct vine_core_call unpublish; /* its end */
};

/* inside.c, but for both sides. */
uint64_t vine__mail_type_id(const struct vine__message_type *type);

/* box.c. On the core of the mailbox: a letter has come, which is the mailbox's then, or gone.
 * Returns 0: it is there; ARRIVED_WAITING; or a negative error. */
int64_t vine__letter_arrive(void *letter);

/* Who has sent a letter does not wait any more. */
void vine__letter_withdraw(struct vine_mail_address address, uint32_t origin, uint64_t key);

/* NULL: there is none any more, or has never been. */
struct box *vine__box_find(struct vine_mail_address address);
struct box *vine__box_create(struct vine__mail *mail, int *ret_error);
void vine__box_close(struct box *box);

/* The first letter for who runs, or NULL; and that it has been taken. */
struct letter *vine__box_first(const struct box *box);
void vine__box_take(struct box *box);
/* The request that was taken is answered, by these bytes or an error. */
void vine__box_answer(struct box *box, const unsigned char *bytes, int error);

/* ---- operations ------------------------------------------------------------------------------ */

struct vine__mail {
    const struct vine__heap *heap; /* NULL: it has ended, and goes with what is on its way */
    vine__mail_wake_fn wake;
    void *context;
    struct box *boxes[VINE_MAIL_BOXES_MAX];
    struct vine__list operations; /* by `link` */
    uint32_t held_bytes;          /* that these and their coroutines have in the heap */
    /* Of these, and of those that nobody waits for any more: how many have the right to a route, or
     * a call on its way; and of these those that wait for that. */
    uint16_t on_way, in_turn;
};

/* Where so many bytes at `place` are, or NULL: not in the heap. */
static inline unsigned char *bytes_at(const struct vine__mail *mail, uint64_t place,
                                      uint64_t size_bytes)
{
    const uint64_t all = mail->heap->region.size_bytes;

    if (size_bytes > all || place > all - size_bytes)
        return NULL;
    return mail->heap->region.start + place;
}

/* Returns false, and nothing is copied, if they are not in the heap. */
static inline bool copy(const struct vine__mail *mail, void *to, uint64_t place, size_t size_bytes)
{
    const unsigned char *const from = bytes_at(mail, place, size_bytes);

    if (from != NULL)
        memcpy(to, from, size_bytes);
    return from != NULL;
}

/* How far it is on its way to another core. */
enum stage {
    STAGE_HERE,     /* it does not go anywhere */
    STAGE_IN_TURN,  /* behind others of its micro-process */
    STAGE_IN_QUEUE, /* of its route */
    STAGE_GONE,
};

struct operation {
    struct vine__list link;
    struct vine__mail *mail;
    uint32_t place; /* in the heap: of the coroutine, */
    uint32_t asked; /* the number of its ask, */
    uint32_t paper; /* and what it wrote down */
    uint32_t held_bytes;
    uint16_t kind;     /* enum vine__ask_kind */
    uint8_t stage;     /* enum stage */
    bool is_done;      /* what came of it is to be told */
    bool is_forgotten; /* nobody waits for it */
    int32_t result;
    uint32_t number;
    uint64_t key;
    uint32_t calls; /* of these two, those under way */
    union {
        struct {                     /* until it goes */
            struct vine__list queue; /* of its route */
            struct letter *letter;   /* that it sends, or NULL */
        };
        struct vine_core_call go;
    };
    struct vine_core_call take_back;
    struct vine_mail_address address; /* to which; or what was found, written by core 0 */
    char name[VINE_MAIL_NAME_BYTES];
    uint32_t reply_bytes;
    _Alignas(16) unsigned char reply[];
};

/* What mail takes of the runtime's memory. */
VINE_STATIC_ASSERT(sizeof(struct vine__mail) <= 80, "a micro-process with mail is small");
VINE_STATIC_ASSERT(sizeof(struct box) <= 168, "a mailbox is small");
VINE_STATIC_ASSERT(sizeof(struct operation) <= 256, "an operation is small");
VINE_STATIC_ASSERT(sizeof(struct letter) <= 144, "a letter is small");
VINE_STATIC_ASSERT(VINE__HEAP_BYTES_MAX / sizeof(struct vine_coroutine) < UINT16_MAX / 2,
                   "operations of a heap are counted, and what takes them back");

#define ON_WAY_MAX       64  /* of a micro-process */
#define ROUTE_ON_WAY_MAX 256 /* of a core to another one */

/* under_way.c. One of the coroutine at `place`. An honest heap holds it and what it wrote down: one
 * that claims more than it could is not. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
VINE_MUST_CHECK int vine__operation_create(struct vine__mail *mail, const struct vine__ask *ask,
                                           uint32_t place, const struct paper *paper,
                                           struct operation **ret_operation);

/*
 * Have it done on the core that it is for: with a letter where the mailbox is, else on core 0. What
 * comes of that ends the operation, unless it is ARRIVED_WAITING.
 *
 * An operation that is forgotten is still on its way, and so is what it sent; who asks and gives up
 * again and again would have any number of them under way to a core that is slow. So only so many
 * may be of one micro-process, and of one core to another; what is beyond waits here, in turn, and
 * is nothing any more if it is forgotten meanwhile.
 */
void vine__operation_go(struct operation *operation, struct letter *letter);

/* It has ended. */
void vine__operation_done(struct operation *operation, int result);

/* Nobody waits for it any more. */
void vine__operation_forget(struct operation *operation);

/* What became of a letter: on the core of its sender. */
int64_t vine__letter_told(void *letter);

/* ---- names ----------------------------------------------------------------------------------- */

/* names.c, on core 0: of an operation, and of a mailbox that closes. Return what ends them. */
int64_t vine__name_publish(void *operation);
int64_t vine__name_find(void *operation);
int64_t vine__name_forget(void *box);

#endif
