/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/service.c - the coroutine of a connection; see service.h. What it asks for outside is
 * service_outside.c's.
 */

#include <vine/coroutine.h>

#include "vmm/server/service_internal.h"

#define ANSWER_NS (30 * UINT64_C(1000000000)) /* for a client to take more of an answer */

/* What a connection's coroutines share, in its heap. */
struct shared {
    struct vine__request request;
    struct vine_mail_address waits; /* who waits for a state */
    struct vine__asked asked;
    int64_t told;
    struct vine_coroutine *main; /* who reads requests */
    struct vine_coroutine *next; /* who has to send, when the one who does has done so; or NULL */
    bool is_busy;                /* an answer, or an event, is being made and sent */
    bool is_listening;
    char room[VINE__SERVER_ROOM_BYTES];
};

/* Send what there is of an answer. */
VINE_COROUTINE(vine__server_send)
{
    struct {
        struct shared *shared;
        char *room;
        size_t room_bytes;
        int64_t sent;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    do {
        vine_deadline(ANSWER_NS);
        vine_room(self->room_bytes, self->room, 1);
        self->shared->asked = (struct vine__asked){.bytes = self->room, .size = self->room_bytes};
        vine_outside(self->sent, vine__server_take_answer, &self->shared->asked,
                     sizeof(self->shared->asked));
        if (self->sent < 0)
            vine_raise((int)self->sent);
        vine_wrote((size_t)(self->sent & VINE__SERVER_SIZE));
    } while ((self->sent & VINE__SERVER_MORE) != 0);
    vine_flush();
    vine_deadline(VINE_FOREVER);
    vine_end();
}

/* Send all events that there are, one whole one after the other. */
VINE_COROUTINE(vine__server_push)
{
    struct {
        struct shared *shared;
        int64_t there;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    for (;;) {
        vine_outside(self->there, vine__server_next_event, NULL, 0);
        if (self->there <= 0)
            break;
        vine_call(vine__server_send, self->shared);
    }
    vine_end();
}

/* Hears of events, and sends them whenever no answer is under way; whoever sends one looks for them
 * behind it. */
VINE_COROUTINE(vine__server_listen)
{
    struct {
        struct shared *shared;
        struct vine_mailbox *box;
        struct vine__bell bell;
        struct vine__asked asked;
        int64_t told;
        int error;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    vine_mail_open(self->box, struct vine__bell);
    self->asked.address = vine_mail_address(self->box);
    vine_outside(self->told, vine__server_hear_events, &self->asked, sizeof(self->asked));
    for (;;) {
        vine_mail_recv(self->box, struct vine__bell, self->bell);
        if (self->shared->is_busy)
            continue;
        self->shared->is_busy = true;
        vine_call(vine__server_push, self->shared);
        self->shared->is_busy = false;
        if (self->shared->next != NULL)
            vine_play(self->shared->next);
    }
    vine_catch(self->error)
    {
        /* An event was not taken, or a part of it: nothing can follow that. */
        if (self->error != -ECANCELED)
            vine_cancel(self->shared->main);
        self->shared->is_busy = false;
        if (self->shared->next != NULL)
            vine_play(self->shared->next);
    }
    vine_end();
}

/* A client that goes while it waits for a state is waited for no more. One that has said all that
 * it has to say, and only hears the answers, may do so when these are of work. */
VINE_COROUTINE(vine__server_watch)
{
    struct {
        struct shared *shared;
        struct vine__bell bell;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    vine_hang_up(that->socket);
    self->bell.is_gone = true;
    vine_mail_send(self->shared->waits, struct vine__bell, self->bell);
    vine_end();
}

/* Wait for a bell; `told` of what is shared becomes what came of it. */
VINE_COROUTINE(vine__server_wait)
{
    struct {
        struct shared *shared;
        struct vine_mailbox *box;
        struct vine_coroutine *watcher;
        struct vine__bell bell;
        struct vine__asked asked;
        int error;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    vine_mail_open(self->box, struct vine__bell);
    self->shared->waits = vine_mail_address(self->box);
    self->asked.address = self->shared->waits;
    if ((self->shared->told & VINE__SERVER_WORKS) == 0)
        vine_responder(vine__server_watch, self->shared, self->watcher);
    vine_deadline((uint64_t)(self->shared->told & VINE__SERVER_SIZE) * 1000000);
    do {
        vine_outside(self->shared->told, vine__server_go_on, &self->asked, sizeof(self->asked));
        if ((self->shared->told & VINE__SERVER_WAITS) == 0)
            vine_return();
        vine_mail_recv(self->box, struct vine__bell, self->bell);
    } while (!self->bell.is_gone);
    vine_raise(-ECONNRESET);
    vine_catch(self->error)
    {
        if (self->error != -ETIMEDOUT)
            vine_raise(self->error);
        vine_deadline(VINE_FOREVER);
        self->asked.is_timed_out = true;
        vine_outside(self->shared->told, vine__server_go_on, &self->asked, sizeof(self->asked));
    }
    vine_end();
}

/* What was read is told to those outside, and answered; events come behind that. */
VINE_COROUTINE(vine__server_answer)
{
    struct {
        struct shared *shared;
    } *self;

    vine_begin();
    self->shared = vine_argument();
    self->shared->next = that;
    while (self->shared->is_busy)
        vine_pause();
    self->shared->next = NULL;
    self->shared->is_busy = true;
    vine_outside(self->shared->told, vine__server_do, &self->shared->asked,
                 sizeof(self->shared->asked));
    if (self->shared->told < 0)
        vine_raise((int)self->shared->told);
    if ((self->shared->told & VINE__SERVER_WAITS) != 0)
        vine_call(vine__server_wait, self->shared);
    if ((self->shared->told & VINE__SERVER_REFUSES) != 0)
        vine__request_refuse(&self->shared->request);
    if ((self->shared->told & VINE__SERVER_ANSWERS) != 0)
        vine_call(vine__server_send, self->shared);
    if (self->shared->is_listening)
        vine_call(vine__server_push, self->shared);
    self->shared->is_busy = false;
    vine_end();
}

VINE_COROUTINE(vine__server_serve)
{
    struct {
        struct shared shared;
        char *bytes;
        size_t size, used;
        struct vine_coroutine *listener;
        enum vine__request_told told;
        int error;
    } *self;

    vine_begin();
    self->shared.main = that;
    self->shared.asked.argument = vine_argument();
    vine_outside(self->shared.told, vine__server_attach, &self->shared.asked,
                 sizeof(self->shared.asked));
    if (self->shared.told < 0)
        vine_return();
    vine__request_init(&self->shared.request, (uint16_t)self->shared.told, self->shared.room,
                       VINE__SERVER_ROOM_BYTES);
    for (;;) {
        if (!vine__request_is_between(&self->shared.request))
            vine_deadline(vine__server_request_ns());
        else if (!self->shared.is_listening)
            vine_park();
        vine_look(self->size, self->bytes, 1);
        if (self->size == 0)
            vine_return();
        vine_deadline(VINE_FOREVER);
        self->used = 0;
        for (;;) {
            self->told = vine__request_read(&self->shared.request, self->bytes + self->used,
                                            self->size - self->used);
            self->used += self->shared.request.consumed_bytes;
            if (self->told == VINE__REQUEST_MORE)
                break;
            self->shared.asked =
                (struct vine__asked){.request = &self->shared.request, .told = self->told};
            vine_call(vine__server_answer, &self->shared);
            if (self->told == VINE__REQUEST_LOST)
                vine_return();
            if ((self->shared.told & VINE__SERVER_LISTENS) != 0 && !self->shared.is_listening) {
                self->shared.is_listening = true;
                vine_responder(vine__server_listen, &self->shared, self->listener);
            }
        }
        vine_skip(self->used);
    }
    vine_catch(self->error)
    {
    }
    vine_end();
}

const struct vine_service vine__server_service = {
    .size_bytes = sizeof(struct vine_service),
    .name = "vm",
    .summary = "runs virtual machines for its clients",
    .coroutine = VINE_COROUTINE_OF(vine__server_serve),
    .is_on_one_core = true,
};
