/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat room: what one client writes goes to all others, whichever core they are on. Each client
 * is a micro-process, and so is the room, which they reach by its name. A service as a library:
 *
 *     vine serve ./chat_room.so --listen 127.0.0.1:7012
 *
 * A client that does not read holds up nobody: the room offers it lines without waiting, counts
 * those for which there is no room, and tells it how many it has missed once it reads again.
 */
#include <vine/coroutine.h>

#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 200
#define NAME_BYTES  24
#define TEXT_BYTES  400

enum kind { JOINS, SAYS, LEAVES };

/* From a member to the room. */
struct said {
    enum kind kind;
    struct vine_mail_address from;
    char name[NAME_BYTES];
    char text[TEXT_BYTES];
};

/* From the room to a member. */
struct heard {
    unsigned missed; /* lines before this one */
    char line[NAME_BYTES + TEXT_BYTES + 8];
};

/* ---- the room -------------------------------------------------------------------------------- */

VINE_SERVICE_CODE static void compose(struct heard *heard, const struct said *said)
{
    const int name = (int)strnlen(said->name, NAME_BYTES);
    const int text = (int)strnlen(said->text, TEXT_BYTES);

    if (said->kind == SAYS)
        (void)snprintf(heard->line, sizeof heard->line, "%.*s: %.*s", name, said->name, text,
                       said->text);
    else
        (void)snprintf(heard->line, sizeof heard->line, "* %.*s %s", name, said->name,
                       said->kind == JOINS ? "joins" : "leaves");
}

VINE_COROUTINE(room)
{
    struct {
        struct vine_mailbox *box;
        struct said said;
        struct heard heard;
        struct {
            struct vine_mail_address address;
            unsigned missed;
        } members[MEMBERS_MAX];
        int count, i, result;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct said);
    vine_mail_publish(self->box, "room");
    for (;;) {
        vine_mail_recv(self->box, struct said, self->said);
        /* Whoever has the address may send: nothing in here is sure but its size. */
        compose(&self->heard, &self->said);
        for (self->i = self->count; self->i-- > 0;) {
            if (vine_mail_is_same(self->members[self->i].address, self->said.from))
                continue;
            self->heard.missed = self->members[self->i].missed;
            vine_mail_offer(self->result, self->members[self->i].address, struct heard,
                            self->heard);
            self->members[self->i].missed =
                self->result == -EAGAIN ? self->members[self->i].missed + 1 : 0;
            if (self->result != 0 && self->result != -EAGAIN) /* it is gone */
                self->members[self->i] = self->members[--self->count];
        }
        if (self->said.kind != JOINS)
            continue;
        if (self->count < MEMBERS_MAX) {
            self->members[self->count].missed = 0;
            self->members[self->count++].address = self->said.from;
            (void)snprintf(self->heard.line, sizeof self->heard.line, "* %d are here", self->count);
        } else {
            (void)snprintf(self->heard.line, sizeof self->heard.line, "* the room is full");
        }
        self->heard.missed = 0;
        vine_mail_offer(self->result, self->said.from, struct heard, self->heard);
    }
    vine_end();
}

/* ---- a member -------------------------------------------------------------------------------- */

struct member {
    struct vine_mail_address room;
    struct said said;
    struct vine_future joined;
};

/* Joins, and writes what there is to hear, as fast as the client reads. */
VINE_COROUTINE(hears)
{
    struct {
        struct member *member;
        struct vine_mailbox *box;
        struct heard heard;
    } *self;

    vine_begin();
    self->member = vine_argument();
    vine_mail_open(self->box, struct heard);
    self->member->said.from = vine_mail_address(self->box);
    vine_mail_send(self->member->room, struct said, self->member->said);
    vine_future_set(&self->member->joined, NULL);
    for (;;) {
        vine_mail_recv(self->box, struct heard, self->heard);
        if (self->heard.missed > 0)
            vine_writef("* you have missed %u lines\n", self->heard.missed);
        vine_writef("%.*s\n", (int)sizeof self->heard.line, self->heard.line);
    }
    vine_end();
}

VINE_COROUTINE(chat_room)
{
    struct {
        struct member member;
        struct vine_coroutine *hearing;
        void *nothing;
        ssize_t length;
    } *self;

    vine_begin();
    vine_mail_find("room", self->member.room);
    vine_deadline(60 * VINE_NS_PER_SECOND);
    vine_writef("* who are you?\n");
    vine_readline(self->length, self->member.said.name, NAME_BYTES);
    self->member.said.name[strcspn(self->member.said.name, "\r\n")] = '\0';
    if (self->member.said.name[0] == '\0')
        vine_return();
    vine_future_init(&self->member.joined);
    vine_responder(hears, &self->member, self->hearing); /* ends when this one does */
    vine_future_await(&self->member.joined, self->nothing);
    vine_deadline(VINE_FOREVER);
    for (;;) {
        vine_readline(self->length, self->member.said.text, TEXT_BYTES);
        if (self->length == 0)
            break;
        self->member.said.text[strcspn(self->member.said.text, "\r\n")] = '\0';
        self->member.said.kind = SAYS;
        vine_mail_send(self->member.room, struct said, self->member.said);
    }
    vine_finally()
    {
        self->member.said.kind = LEAVES;
        vine_deadline(VINE_NS_PER_SECOND);
        if (self->member.said.from.key != 0)
            vine_mail_send(self->member.room, struct said, self->member.said);
    }
    vine_end();
}

VINE_SERVICE(chat_room, .summary = "a chat room", .central = VINE_COROUTINE_OF(room));
