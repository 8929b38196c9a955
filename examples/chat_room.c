/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat room: what one client writes goes to all others, whichever core they are on. Each client
 * is a micro-process, and so is the room, which they reach by its name. A service as a library:
 *
 *     vine serve ./chat_room.so --listen 127.0.0.1:7012
 *
 * A client that does not read holds up nobody: the room offers it lines without waiting, and tells
 * it how many it has missed once it reads again.
 */
#include <vine/coroutine.h>

#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 200
#define NAME_BYTES  24
#define TEXT_BYTES  400

/* From a member to the room, and from there to the others. Whoever has an address may send there:
 * nothing in it is sure but its size. */
struct line {
    struct vine_mail_address from;
    bool joins;
    unsigned missed; /* lines before this one; the room's word */
    char text[NAME_BYTES + TEXT_BYTES + 8];
};

VINE_COROUTINE(room)
{
    struct {
        struct vine_mailbox *box;
        struct line line;
        VINE_MAIL_GROUP(MEMBERS_MAX) members;
        int result;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct line);
    vine_mail_publish(self->box, "room");
    for (;;) {
        vine_mail_recv(self->box, struct line, self->line);
        vine_mail_offer_all(&self->members, self->line.from, struct line, self->line, missed);
        if (!self->line.joins)
            continue;
        if (vine_mail_group_add(&self->members, self->line.from))
            (void)snprintf(self->line.text, sizeof self->line.text, "* %u are here",
                           self->members.count);
        else
            (void)snprintf(self->line.text, sizeof self->line.text, "* the room is full");
        self->line.missed = 0;
        vine_mail_offer(self->result, self->line.from, struct line, self->line);
    }
    vine_end();
}

struct member {
    struct vine_mail_address room;
    char name[NAME_BYTES];
    struct line line;
};

/* Sends to the room what the client writes, beside the coroutine that hears. */
VINE_COROUTINE(says)
{
    struct {
        struct member *member;
        char text[TEXT_BYTES];
        ssize_t length;
    } *self;

    vine_begin();
    self->member = vine_argument();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            vine_raise(-EPIPE); /* which ends the one that hears, too */
        self->text[strcspn(self->text, "\r\n")] = '\0';
        (void)snprintf(self->member->line.text, sizeof self->member->line.text, "%s: %s",
                       self->member->name, self->text);
        vine_mail_send(self->member->room, struct line, self->member->line);
    }
    vine_end();
}

VINE_COROUTINE(chat_room)
{
    struct {
        struct member member;
        struct vine_mailbox *box;
        struct line heard;
        ssize_t length;
    } *self;

    vine_begin();
    vine_mail_find("room", self->member.room);
    vine_deadline(60 * VINE_NS_PER_SECOND);
    vine_writef("* who are you?\n");
    vine_readline(self->length, self->member.name, NAME_BYTES);
    self->member.name[strcspn(self->member.name, "\r\n")] = '\0';
    if (self->member.name[0] == '\0')
        vine_return();
    vine_mail_open(self->box, struct line);
    self->member.line.from = vine_mail_address(self->box);
    self->member.line.joins = true;
    (void)snprintf(self->member.line.text, sizeof self->member.line.text, "* %s joins",
                   self->member.name);
    vine_mail_send(self->member.room, struct line, self->member.line);
    self->member.line.joins = false;
    vine_deadline(VINE_FOREVER);
    vine_start(says, &self->member);
    for (;;) {
        vine_mail_recv(self->box, struct line, self->heard);
        if (self->heard.missed > 0)
            vine_writef("* you have missed %u lines\n", self->heard.missed);
        vine_writef("%.*s\n", (int)sizeof self->heard.text, self->heard.text);
    }
    vine_finally()
    {
        vine_deadline(VINE_NS_PER_SECOND);
        (void)snprintf(self->member.line.text, sizeof self->member.line.text, "* %s leaves",
                       self->member.name);
        if (self->member.line.from.key != 0)
            vine_mail_send(self->member.room, struct line, self->member.line);
    }
    vine_end();
}

VINE_SERVICE(chat_room, .summary = "a chat room", .central = VINE_COROUTINE_OF(room));
