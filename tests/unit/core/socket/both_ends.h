/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A coroutine that writes and one that reads, for tests of sockets: which operations, of what sizes
 * and in which order comes from a seed, and what is read has to be what was written. Included
 * behind cmocka.h and vine/socket.h.
 */
#ifndef TESTS_BOTH_ENDS_H
#define TESTS_BOTH_ENDS_H

#include <string.h>

#include <vine/socket.h>

#define STREAM_BYTES 30000U

/* ---- what is sent ---------------------------------------------------------------------------- */

static uint64_t seed_state;

static uint32_t roll(uint32_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)((seed_state >> 11) % below);
}

static char byte_at(size_t at)
{
    const uint32_t mixed = (uint32_t)at * 2654435761U >> 13;

    return mixed % 37 == 0 ? '\n' : (char)('a' + mixed % 26);
}

static void fill(char *text, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = byte_at(from + i);
}

static void check(const char *text, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != byte_at(from + i))
            fail_msg("byte %zu is %d, not %d", from + i, text[i], byte_at(from + i));
}

/* ---- both ends ------------------------------------------------------------------------------- */

static struct vine_socket *to, *from; /* NULL: the coroutine's own */
static size_t written, seen;

#define TO   (to != NULL ? to : that->socket)
#define FROM (from != NULL ? from : that->socket)

VINE_COROUTINE(writes)
{
    struct {
        char text[3000];
        uint32_t size, way;
        size_t room;
        char *there;
    } *self;

    vine_begin();
    while (written < STREAM_BYTES) {
        self->way = roll(6);
        self->size = 1 + roll(self->way == 0 ? 2999 : 300);
        if (self->size > STREAM_BYTES - written)
            self->size = (uint32_t)(STREAM_BYTES - written);
        fill(self->text, written, self->size);
        switch (self->way) {
        case 0:
        case 1:
            vine_write_on(TO, self->text, self->size);
            written += self->size;
            break;
        case 2:
            vine_writef_on(TO, "%.*s", (int)self->size, self->text);
            written += self->size;
            break;
        case 3:
            vine_room_on(TO, self->room, self->there, self->size);
            assert_true(self->room >= self->size);
            memcpy(self->there, self->text, self->size);
            vine_wrote_on(TO, self->size);
            written += self->size;
            break;
        case 4:
            vine_flush_on(TO);
            vine_yield();
            break;
        default:
            vine_drain_on(TO);
            break;
        }
    }
    vine_close_output_on(TO);
    vine_end();
}

VINE_COROUTINE(reads)
{
    struct {
        char text[3000];
        const char *there;
        uint32_t size;
        size_t looked;
        ssize_t length;
        struct vine_poll poll;
    } *self;

    vine_begin();
    for (self->length = 1; self->length > 0;) {
        self->size = 2 + roll(roll(3) == 0 ? 2900 : 100);
        switch (roll(6)) {
        case 0:
            vine_read_on(FROM, self->length, self->text, self->size);
            assert_true(self->length <= (ssize_t)self->size);
            break;
        case 1:
            vine_read_all_on(FROM, self->length, self->text, self->size);
            assert_true(self->length == (ssize_t)self->size ||
                        seen + (size_t)self->length == STREAM_BYTES);
            break;
        case 2:
            vine_readline_on(FROM, self->length, self->text, self->size);
            assert_int_equal(strlen(self->text), self->length);
            assert_true(self->length == (ssize_t)self->size - 1 ||
                        seen + (size_t)self->length == STREAM_BYTES ||
                        self->text[self->length - 1] == '\n');
            if (self->length > 1)
                assert_null(memchr(self->text, '\n', (size_t)self->length - 1));
            break;
        case 3:
            vine_yield();
            continue;
        case 4:
            self->poll = (struct vine_poll){FROM, VINE_POLL_READABLE, 0};
            vine_poll(self->looked, &self->poll, 1);
            assert_int_equal(self->looked, 0);
            assert_int_equal(self->poll.told, VINE_POLL_READABLE);
            continue;
        default:
            vine_look_on(FROM, self->looked, self->there, self->size);
            assert_true(self->looked >= self->size || seen + self->looked == STREAM_BYTES);
            check(self->there, seen, self->looked);
            self->length = self->looked > 0 ? 1 + (ssize_t)roll((uint32_t)self->looked) : 0;
            if (self->length > (ssize_t)sizeof self->text)
                self->length = sizeof self->text;
            if (self->length > 0)
                memcpy(self->text, self->there, (size_t)self->length);
            vine_skip_on(FROM, (size_t)self->length);
            break;
        }
        check(self->text, seen, (size_t)self->length);
        seen += (size_t)self->length;
    }
    vine_end();
}

/* What is between two pipes, or a pipe and a descriptor. */
__attribute__((unused)) static struct vine_socket *between_from, *between_to;

VINE_COROUTINE(passes)
{
    struct {
        uint64_t wanted, moved;
    } *self;

    vine_begin();
    do {
        self->wanted = roll(2) == 0 ? 100000 : 1 + roll(3000);
        vine_splice(self->moved, between_from, between_to, self->wanted);
        assert_true(self->moved <= self->wanted);
    } while (self->moved == self->wanted);
    vine_close_output_on(between_to);
    vine_end();
}

#endif
