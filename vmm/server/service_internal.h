/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/service_internal.h - between a connection's coroutines and what they ask outside. */
#ifndef VINE_VMM_SERVER_SERVICE_INTERNAL_H
#define VINE_VMM_SERVER_SERVICE_INTERNAL_H

#include <vine/mail.h>
#include <vine/outside.h>
#include <vine/service.h>

#include "vmm/server/request.h"
#include "vmm/server/service.h"

#define VINE__SERVER_ROOM_BYTES (32U << 10) /* for the strings of a request */

/* What is asked with. */
struct vine__asked {
    const void *argument;                /* of the coroutine */
    const struct vine__request *request; /* of the heap */
    char *bytes;
    size_t size;
    struct vine_mail_address address; /* of who is to be told */
    uint32_t told;                    /* enum vine__request_told */
    bool is_timed_out;
};

/* What a mailbox is told: look again. */
struct vine__bell {
    bool is_gone; /* the client is */
};

/* What is answered: a size, or milliseconds, and these. Or a negative error: the coroutine has said
 * what it could not. */
#define VINE__SERVER_SIZE    0xffffffff
#define VINE__SERVER_ANSWERS 0x100000000  /* there is an answer to be sent */
#define VINE__SERVER_WAITS   0x200000000  /* there will be, in so many milliseconds at most */
#define VINE__SERVER_REFUSES 0x400000000  /* the rest of the request is to go by */
#define VINE__SERVER_LISTENS 0x800000000  /* events are to be listened for */
#define VINE__SERVER_MORE    0x1000000000 /* of the answer */
#define VINE__SERVER_WORKS   0x2000000000 /* it waits for work, which is done whoever listens */

/* service.c */
extern const struct vine_service vine__server_service;

/* service_outside.c. Whose connection this is, once, and again after it was parked: the permission
 * word. */
int64_t vine__server_attach(struct vine_outside *outside, const void *asked);
int64_t vine__server_do(struct vine_outside *outside, const void *asked);
int64_t vine__server_go_on(struct vine_outside *outside, const void *asked);
int64_t vine__server_take_answer(struct vine_outside *outside, const void *asked);
int64_t vine__server_hear_events(struct vine_outside *outside, const void *asked);
int64_t vine__server_next_event(struct vine_outside *outside, const void *asked); /* 1, or 0 */
uint64_t vine__server_request_ns(void);

#endif
