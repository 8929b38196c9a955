/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Every operation on every kind of socket: a writer and a reader whose operations, sizes and order
 * come from a seed, on each kind in turn; and what each kind refuses, operation by operation. The
 * outside of descriptors is played by the test.
 */
#include "../state/by_hand.h"

#include <stdlib.h>

#include "both_ends.h"
#include "core/socket/socket.h"

enum kind {
    PIPE,
    PAIR,
    PAIR_BACK,
    JOINED,
    SPLICED, /* from a pipe to another */
    DESCRIPTOR,
    SPLICED_OUT, /* from a pipe to a descriptor */
    SPLICED_IN,  /* and back */
    KINDS
};

static const char *const kind_names[KINDS] = {
    "pipe", "pair", "pair, back", "joined", "spliced", "descriptor", "spliced out", "spliced in",
};

#define SEEDS      40
#define LENT_BYTES 1024U
#define BLOCKS     8U

VINE_COROUTINE(joins_both)
{
    struct {
        struct vine_socket *pipe, *other;
        struct vine_coroutine *writer, *reader, *between;
    } *self;

    vine_begin();
    switch (*(enum kind *)vine_argument()) {
    case SPLICED:
        vine_pipe(to);
        vine_pipe(from);
        between_from = to;
        between_to = from;
        vine_child(passes, NULL, self->between);
        break;
    case SPLICED_OUT: /* to and from are the descriptors */
        between_to = to;
        vine_pipe(to);
        between_from = to;
        vine_child(passes, NULL, self->between);
        break;
    case SPLICED_IN:
        between_from = from;
        vine_pipe(from);
        between_to = from;
        vine_child(passes, NULL, self->between);
        break;
    case PIPE:
        vine_pipe(self->pipe);
        to = from = self->pipe;
        break;
    case PAIR:
        vine_pair(to, from);
        break;
    case PAIR_BACK:
        vine_pair(from, to);
        break;
    case JOINED:
        vine_pipe(self->pipe);
        vine_pipe(self->other);
        to = from = NULL;
        vine_child_on(writes, NULL, self->other, self->pipe, self->writer);
        vine_child_on(reads, NULL, self->pipe, self->other, self->reader);
        break;
    default:
        break;
    }
    if (self->writer == NULL) {
        vine_child(writes, NULL, self->writer);
        vine_child(reads, NULL, self->reader);
    }
    vine_join(self->writer);
    vine_join(self->reader);
    if (self->between != NULL)
        vine_join(self->between);
    vine_end();
}

/* ---- the outside of two descriptors ---------------------------------------------------------- */

/* What is written to the first comes out of the second. */
static struct outside {
    unsigned char blocks[BLOCKS][LENT_BYTES];
    unsigned char *written; /* one of them, which the inside writes on */
    uint32_t written_size;
    unsigned char wire[2 * STREAM_BYTES];
    size_t wire_size, delivered;
    bool has_end, receives, is_shutting;
    uint32_t kept;
    unsigned char bytes[2 * VINE_LOOK_MAX];
    struct vine__item waits_for_room, waits_for_all;
} out;

static struct both {
    struct vine__inside base;
    struct vine_socket ends[2];
} *both;

static void run_both(void *argument)
{
    (void)argument;
    vine__inside_begin(inside, &by_hand);
    for (uint32_t i = 0; i < by_hand.item_count; i++)
        if (by_hand.items[i].kind == VINE__ITEM_RECEIVED)
            vine__socket_received(&both->ends[1], &by_hand.items[i]);
        else
            vine__inside_take(inside, &by_hand.items[i]);
    vine__inside_drain(inside);
}

static void put(struct vine__item item)
{
    by_hand.items[by_hand.item_count++] = item;
}

/* Some of what can be done, but never nothing. */
static void bring(void)
{
    by_hand.item_count = 0;
    for (uint32_t i = 0, n = 0; i < BLOCKS && n < VINE__LENT_MAX; i++)
        if (out.blocks[i] != out.written)
            by_hand.lent[n++] = out.blocks[i];
    if (out.written != NULL && roll(2) == 0) {
        memcpy(out.wire + out.wire_size, out.written, out.written_size);
        out.wire_size += out.written_size;
        out.written = NULL;
        both->ends[0].out = (struct vine__outgoing){0};
    }
    if (out.written == NULL && out.is_shutting)
        out.has_end = true;
    if (out.written == NULL && out.waits_for_room.number != 0) {
        put(out.waits_for_room);
        out.waits_for_room.number = 0;
    }
    if (out.written == NULL && out.waits_for_all.number != 0) {
        put(out.waits_for_all);
        out.waits_for_all.number = 0;
    }
    if (!out.receives || (out.wire_size == out.delivered && !out.has_end))
        return;

    const size_t there = out.wire_size - out.delivered;
    const size_t size = there > 0 ? 1 + roll((uint32_t)(there < 3000 ? there : 3000)) : 0;

    out.receives = false;
    memcpy(out.bytes + out.kept, out.wire + out.delivered, size);
    out.delivered += size;
    put((struct vine__item){.kind = VINE__ITEM_RECEIVED,
                            .bytes = size > 0 ? out.bytes : NULL,
                            .result = size > 0 ? (int64_t)(size + out.kept) : 0,
                            .is_more = out.kept > 0,
                            .is_end = size == 0});
}

static void take_asks(void)
{
    struct vine_socket *const writer = &both->ends[0];
    struct vine_socket *const reader = &both->ends[1];

    if (writer->is_dirty) {
        if (writer->block != 0)
            out.written = by_hand.lent[writer->block - 1];
        assert_non_null(out.written);
        out.written_size = writer->out.size;
        writer->is_dirty = false;
        writer->block = 0;
    }
    if ((reader->wants & VINE__WANTS_MORE) != 0) {
        assert_false(out.receives);
        out.receives = true;
        out.kept = 0;
    }
    reader->wants = 0;
    for (const struct vine__ask *ask = inside->asks; ask != NULL; ask = ask->next) {
        const struct vine__item item = {.kind = VINE__ITEM_ASK,
                                        .number = ask->number,
                                        .place = (uint32_t)((uintptr_t)ask -
                                                            offsetof(struct vine_coroutine, ask) -
                                                            (uintptr_t)inside)};

        if (ask->kind == VINE__ASK_RECEIVE) {
            assert_false(out.receives);
            out.receives = true;
            out.kept = (uint32_t)ask->a;
            if (out.kept > 0)
                memmove(out.bytes, reader->in.bytes + reader->in.at, out.kept);
            reader->in.bytes = out.bytes;
            reader->in.at = 0;
            reader->in.size = out.kept;
        } else if (ask->kind == VINE__ASK_ROOM) {
            out.waits_for_room = item;
        } else {
            out.waits_for_all = item;
            out.is_shutting |= ask->kind == VINE__ASK_NO_MORE;
        }
    }
}

static void run_descriptors(enum kind kind)
{
    struct vine__guard_fault fault;

    memset(&out, 0, sizeof out);
    by_hand = (struct vine__record){.quota = 100000, .now_ns = 1000, .lent_bytes = LENT_BYTES};
    prepare();
    inside = vine__inside_init(heap, sizeof(struct both), &vine__type_joins_both, &kind);
    assert_non_null(inside);
    both = (struct both *)inside;
    vine__socket_init(&both->ends[0], 0);
    vine__socket_init(&both->ends[1], 1);
    to = &both->ends[0];
    from = &both->ends[1];
    for (int turns = 0; !inside->has_ended; turns++) {
        assert_true(turns < 1000000);
        bring();
        assert_int_equal(vine__guard_run(&heap->region, run_both, NULL, &fault), 0);
        take_asks();
    }
}

static void what_is_written_is_read_by_all_operations_on_all_kinds(void **state)
{
    const char *const text = getenv("VINE_SEED");
    const uint64_t first = text != NULL ? strtoull(text, NULL, 0) : 1;

    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (uint64_t seed = first; seed < first + SEEDS; seed++) {
            seed_state = seed * 0x9E3779B97F4A7C15ULL + 1;
            written = seen = 0;
            if (kind >= DESCRIPTOR)
                run_descriptors(kind);
            else
                begin(&vine__type_joins_both, &kind);
            if (!inside->has_ended || inside->error != 0 || seen != STREAM_BYTES)
                fail_msg("VINE_SEED=%llu, %s: %zu of %zu bytes, error %d", (unsigned long long)seed,
                         kind_names[kind], seen, written, inside->error);
            end(0);
        }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static char some[VINE_PIPE_BYTES + 1];

/* Some ends of pipes, by what the argument says; what is raised is caught. */
VINE_COROUTINE(misbehaves)
{
    struct {
        struct vine_socket *one, *other;
        struct vine_coroutine *child;
        char text[16];
        const char *there;
        size_t looked;
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_pair(self->one, self->other);
    switch (*(int *)vine_argument()) {
    case 0: /* nobody reads */
        vine_close_input_on(self->other);
        vine_write_on(self->one, "x", 1);
        break;
    case 1: /* nothing more is written */
        vine_close_output_on(self->one);
        vine_read_on(self->other, self->length, self->text, sizeof self->text);
        say_number(self->length);
        vine_write_on(self->one, "x", 1);
        break;
    case 2: /* more than is ever there */
        vine_look_on(self->other, self->looked, self->there, VINE_LOOK_MAX + 1);
        break;
    case 3: /* what is there is read after the end */
        vine_write_on(self->one, "xy", 2);
        vine_close_output_on(self->one);
        vine_read_on(self->other, self->length, self->text, sizeof self->text);
        say_number(self->length);
        vine_read_on(self->other, self->length, self->text, sizeof self->text);
        say_number(self->length);
        vine_flush_on(self->one);
        break;
    case 4:
        vine_deadline(100);
        vine_read_on(self->other, self->length, self->text, sizeof self->text);
        break;
    case 5:
        vine_deadline(100);
        vine_write_on(self->one, some, sizeof some);
        break;
    case 6:
        vine_deadline(100);
        vine_write_on(self->one, some, 1);
        vine_drain_on(self->one);
        break;
    default: /* a look is what there is, and blocks not */
        vine_look_on(self->other, self->looked, self->there, 0);
        say_number((long)self->looked);
        vine_write_on(self->one, some, sizeof some - 1);
        vine_look_on(self->other, self->looked, self->there, 0);
        say_number((long)self->looked);
        vine_skip_on(self->other, self->looked);
        vine_drain_on(self->one);
        break;
    }
    vine_catch(self->error)
    {
        say_number(self->error);
    }
    vine_end();
}

static void pipes_refuse_what_they_have_to(void **state)
{
    static const struct {
        int error;
        const char *before;
        bool later; /* it waits for its deadline first */
    } ways[] = {
        {-EPIPE, "", false},     {-EPIPE, "0 ", false},  {-EMSGSIZE, "", false},
        {-EPIPE, "2 0 ", false}, {-ETIMEDOUT, "", true}, {-ETIMEDOUT, "", true},
        {-ETIMEDOUT, "", true},  {0, "0 4096 ", false},
    };

    (void)state;
    for (int way = 0; way < (int)(sizeof ways / sizeof ways[0]); way++) {
        char expected[64];

        begin(&vine__type_misbehaves, &way);
        if (ways[way].later) {
            assert_false(inside->has_ended);
            run_at(1100);
        }
        (void)snprintf(expected, sizeof expected, "%s%d ", ways[way].before, ways[way].error);
        if (ways[way].error == 0)
            (void)snprintf(expected, sizeof expected, "%s", ways[way].before);
        assert_string_equal(said, expected);
        end(0);
    }
}

/* A pipe has no memory while nothing is in it and its reader waits. */
VINE_COROUTINE(reads_at_last)
{
    struct {
        char text[16];
        ssize_t length;
    } *self;

    vine_begin();
    for (self->length = 1; self->length > 0;)
        vine_read_on(vine_argument(), self->length, self->text, sizeof self->text);
    vine_end();
}

VINE_COROUTINE(looks_at_memory)
{
    struct {
        struct vine_socket *pipe;
        struct vine_coroutine *child;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_child(reads_at_last, self->pipe, self->child);
    vine_write_on(self->pipe, some, 2000);
    say_number(self->pipe->input->ring.room);
    vine_drain_on(self->pipe);
    vine_yield();
    vine_yield();
    say_number(self->pipe->input->ring.room);
    vine_close_output_on(self->pipe);
    vine_join(self->child);
    vine_end();
}

static void an_empty_pipe_has_no_memory(void **state)
{
    (void)state;
    begin(&vine__type_looks_at_memory, NULL);
    assert_string_equal(said, "2048 0 ");
    end(0);
}

VINE_COROUTINE(reads_beside)
{
    struct {
        struct vine_socket *pipe;
        struct vine_coroutine *child;
        char text[4];
        ssize_t length;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_child(reads_at_last, self->pipe, self->child);
    vine_yield();
    vine_read_on(self->pipe, self->length, self->text, sizeof self->text);
    vine_end();
}

VINE_COROUTINE(skips_too_much)
{
    struct {
        struct vine_socket *pipe;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_write_on(self->pipe, "x", 1);
    vine_skip_on(self->pipe, 2);
    vine_end();
}

VINE_COROUTINE(wrote_too_much)
{
    struct {
        struct vine_socket *pipe;
        char *there;
        size_t room;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_room_on(self->pipe, self->room, self->there, 1);
    vine_wrote_on(self->pipe, self->room + 1);
    vine_end();
}

VINE_COROUTINE(goes_round)
{
    struct {
        struct vine_socket *pipe;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_forward(self->pipe, self->pipe);
    vine_end();
}

VINE_COROUTINE(polls_nothing)
{
    struct {
        struct vine_poll poll;
        size_t index;
    } *self;

    vine_begin();
    vine_pipe(self->poll.socket);
    vine_poll(self->index, &self->poll, 1);
    vine_end();
}

VINE_COROUTINE(accepts_from_a_pipe)
{
    struct {
        struct vine_socket *pipe, *client;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_accept(self->client, self->pipe);
    vine_end();
}

/* Where local variables are, but for sanitizers, which may keep those elsewhere. */
#define LOCAL __builtin_frame_address(0)

VINE_COROUTINE(reads_into_a_local)
{
    struct {
        struct vine_socket *pipe;
        ssize_t length;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_read_on(self->pipe, self->length, LOCAL, 100);
    vine_end();
}

VINE_COROUTINE(writes_from_a_local)
{
    struct {
        struct vine_socket *pipe;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_write_on(self->pipe, LOCAL, 10);
    vine_end();
}

VINE_COROUTINE(polls_by_a_local)
{
    struct {
        struct vine_socket *pipe;
        size_t index;
    } *self;

    vine_begin();
    vine_pipe(self->pipe);
    vine_poll(self->index, LOCAL, 1);
    vine_end();
}

static void memory_that_does_not_live_as_long_is_refused(void **state)
{
    (void)state;
    assert_int_equal(begin_listening(&vine__type_reads_into_a_local), 1);
    assert_non_null(strstr(told, "coroutine reads_into_a_local: it reads into a local variable"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_writes_from_a_local), 1);
    assert_non_null(strstr(told, "coroutine writes_from_a_local: it writes from a local variable"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_polls_by_a_local), 1);
    assert_non_null(strstr(told, "coroutine polls_by_a_local: it polls by a local variable"));
    end(-EFAULT);
}

static void misuse_of_a_socket_is_told(void **state)
{
    (void)state;
    assert_int_equal(begin_listening(&vine__type_reads_beside), 1);
    assert_non_null(strstr(told, "coroutine reads_beside: another coroutine reads"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_skips_too_much), 1);
    assert_non_null(strstr(told, "coroutine skips_too_much: vine_skip of more"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_wrote_too_much), 1);
    assert_non_null(strstr(told, "coroutine wrote_too_much: vine_wrote of more"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_goes_round), 1);
    assert_non_null(strstr(told, "coroutine goes_round: vine_splice of a pipe into itself"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_polls_nothing), 1);
    assert_non_null(strstr(told, "coroutine polls_nothing: vine_poll of nothing"));
    end(-EFAULT);
    assert_int_equal(begin_listening(&vine__type_accepts_from_a_pipe), 1);
    assert_non_null(strstr(told, "coroutine accepts_from_a_pipe: vine_accept of what does not"));
    end(-EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_by_all_operations_on_all_kinds),
        cmocka_unit_test(pipes_refuse_what_they_have_to),
        cmocka_unit_test(an_empty_pipe_has_no_memory),
        cmocka_unit_test(misuse_of_a_socket_is_told),
        cmocka_unit_test(memory_that_does_not_live_as_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
