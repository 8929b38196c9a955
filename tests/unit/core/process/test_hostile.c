/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Services that write nonsense where those outside look: each is ended, alone, while another one
 * beside it goes on. */
#include "process_tests.h"

#include "core/process/process_internal.h"
#include "core/socket/socket.h"
#include "core/state/state.h"

/* Repeats bytes, whoever dies beside it. */
VINE_COROUTINE(echoing)
{
    struct {
        char bytes[64];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        if (self->length == 0)
            break;
        vine_write(self->bytes, (size_t)self->length);
    }
    vine_end();
}

/* What each does to its own heap, once a byte has come. */
typedef void (*deed_fn)(struct vine_coroutine *that);

struct deed {
    deed_fn fn;
};

VINE_COROUTINE(hostile)
{
    struct {
        char bytes[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, self->bytes, sizeof self->bytes);
    ((const struct deed *)vine_argument())->fn(that);
    /* As an operation blocks, but for what it would write down. */
    that->status = VINE__COROUTINE_BLOCKED;
    vine__suspend("hostile");
    vine_end();
}

VINE_SERVICE_CODE static void asks_beyond_the_heap(struct vine_coroutine *that)
{
    that->inside->asks = (void *)0x1000;
}

VINE_SERVICE_CODE static void asks_between_two_words(struct vine_coroutine *that)
{
    that->inside->asks = (void *)((char *)&that->ask + 1);
}

VINE_SERVICE_CODE static void asks_at_the_very_end(struct vine_coroutine *that)
{
    that->inside->asks = (void *)((char *)that->inside + 4096 - 8);
}

VINE_SERVICE_CODE static void asks_the_runtime_s_memory(struct vine_coroutine *that)
{
    that->inside->asks = (void *)(uintptr_t)that->inside->record;
}

static void ask(struct vine_coroutine *that, uint16_t kind, uint16_t socket,
                uint64_t a) VINE_SERVICE_CODE;
static void ask(struct vine_coroutine *that, uint16_t kind, uint16_t socket, uint64_t a)
{
    that->ask.kind = kind;
    that->ask.socket = socket;
    that->ask.a = a;
    that->ask.next = NULL;
    that->inside->asks = &that->ask;
    that->ask.run = 0;
}

VINE_SERVICE_CODE static void asks_what_there_is_not(struct vine_coroutine *that)
{
    ask(that, 4711, 0, 0);
}

VINE_SERVICE_CODE static void asks_of_no_socket(struct vine_coroutine *that)
{
    ask(that, VINE__ASK_ROOM, 77, 0);
}

VINE_SERVICE_CODE static void keeps_more_than_a_block(struct vine_coroutine *that)
{
    ask(that, VINE__ASK_RECEIVE, 0, UINT64_MAX);
}

VINE_SERVICE_CODE static void asks_in_a_circle(struct vine_coroutine *that)
{
    ask(that, VINE__ASK_SENT, 0, 0);
    that->ask.next = &that->ask;
}

/* What a socket of the outside would begin with, and nothing that is right by itself. */
static struct vine__further *wish(struct vine_coroutine *that, uint16_t kind,
                                  uint16_t place) VINE_SERVICE_CODE;
static struct vine__further *wish(struct vine_coroutine *that, uint16_t kind, uint16_t place)
{
    struct vine__further *const further =
        vine__heap_alloc(&that->inside->heap, sizeof(*further) + 512);

    further->beyond.at_end.place = place;
    memcpy(further->text, "unix:@vine-nobody", 18);
    ask(that, kind, 0, (uintptr_t)further);
    return further;
}

VINE_SERVICE_CODE static void wishes_beyond_the_heap(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_CONNECT, 1);
    that->ask.a = 0x1000;
}

VINE_SERVICE_CODE static void wishes_at_the_very_end(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_CONNECT, 1);
    that->ask.a = (uintptr_t)that->inside + 4096 - 8;
}

VINE_SERVICE_CODE static void wishes_between_two_words(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_CONNECT, 1);
    that->ask.a++;
}

VINE_SERVICE_CODE static void wishes_the_place_of_its_connection(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_CONNECT, 0);
}

VINE_SERVICE_CODE static void wishes_a_place_that_there_is_not(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_CONNECT, 17);
}

VINE_SERVICE_CODE static void wishes_by_a_text_without_an_end(struct vine_coroutine *that)
{
    memset(wish(that, VINE__ASK_CONNECT, 1)->text, 'a', 512);
}

VINE_SERVICE_CODE static void wishes_what_there_is_not(struct vine_coroutine *that)
{
    (void)wish(that, UINT16_MAX, 1);
}

/* As that of what outside is to move. */
VINE_SERVICE_CODE static void splice_wish(struct vine_coroutine *that, uint16_t from, uint16_t to)
{
    struct vine__splicing *const splicing = (void *)wish(that, VINE__ASK_SPLICE, 1);

    that->ask.socket = from;
    splicing->bytes = UINT64_MAX;
    splicing->to = to;
}

VINE_SERVICE_CODE static void splices_from_nowhere(struct vine_coroutine *that)
{
    splice_wish(that, 5, 0);
}

VINE_SERVICE_CODE static void splices_to_nowhere(struct vine_coroutine *that)
{
    splice_wish(that, 0, 5);
}

VINE_SERVICE_CODE static void splices_to_itself(struct vine_coroutine *that)
{
    splice_wish(that, 0, 1);
}

/* As that of a task elsewhere. */
static struct vine__awaiting *await_wish(struct vine_coroutine *that) VINE_SERVICE_CODE;
static struct vine__awaiting *await_wish(struct vine_coroutine *that)
{
    struct vine__awaiting *const awaiting = (void *)wish(that, VINE__ASK_AWAIT, 1);

    memset((char *)awaiting + sizeof(awaiting->beyond), 0,
           sizeof(*awaiting) - sizeof(awaiting->beyond));
    return awaiting;
}

VINE_SERVICE_CODE static void awaits_by_a_name_without_an_end(struct vine_coroutine *that)
{
    struct vine__awaiting *const awaiting = await_wish(that);

    memset(awaiting->procedure, 'a', sizeof(awaiting->procedure));
}

VINE_SERVICE_CODE static void awaits_with_more_scalars_than_there_are(struct vine_coroutine *that)
{
    await_wish(that)->awaited.scalar_count = UINT32_MAX;
}

VINE_SERVICE_CODE static void awaits_at_the_very_end(struct vine_coroutine *that)
{
    (void)await_wish(that);
    that->ask.a = (uintptr_t)that->inside + 4096 - 8;
}

VINE_SERVICE_CODE static void accepts_from_its_connection(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_ACCEPT, 1);
}

VINE_SERVICE_CODE static void accepts_from_nowhere(struct vine_coroutine *that)
{
    (void)wish(that, VINE__ASK_ACCEPT, 1);
    that->ask.socket = 7;
}

VINE_SERVICE_CODE static void lets_go_beyond_the_heap(struct vine_coroutine *that)
{
    that->inside->leaving = (void *)0x1000;
}

VINE_SERVICE_CODE static void lets_go_in_a_circle(struct vine_coroutine *that)
{
    struct vine__further *const further = wish(that, VINE__ASK_SENT, 3);

    further->beyond.at_end.next = &further->beyond.at_end;
    that->inside->leaving = &further->beyond.at_end;
}

static struct vine_socket *dirty(struct vine_coroutine *that) VINE_SERVICE_CODE;
static struct vine_socket *dirty(struct vine_coroutine *that)
{
    that->socket->is_dirty = true;
    return that->socket;
}

VINE_SERVICE_CODE static void writes_more_than_a_block(struct vine_coroutine *that)
{
    struct vine_socket *const socket = dirty(that);

    socket->block = 1;
    socket->out.size = UINT32_MAX;
}

VINE_SERVICE_CODE static void writes_into_no_block(struct vine_coroutine *that)
{
    struct vine_socket *const socket = dirty(that);

    socket->block = 0;
    socket->out.size = 8;
}

VINE_SERVICE_CODE static void takes_a_block_that_was_not_lent(struct vine_coroutine *that)
{
    struct vine_socket *const socket = dirty(that);

    socket->block = 200;
    socket->out.size = 8;
}

VINE_SERVICE_CODE static void overwrites_its_head(struct vine_coroutine *that)
{
    memset(that->inside, 0xA5, sizeof(*that->inside));
}

VINE_SERVICE_CODE static void overwrites_its_socket(struct vine_coroutine *that)
{
    memset(that->socket, 0xFF, sizeof(*that->socket));
}

/* The other one still answers, and whatever was done is over. */
static void do_it(deed_fn fn, bool may_fault)
{
    struct deed deed = {fn};
    struct one good, bad;

    open_processes();
    start_one(&good, &vine__type_echoing, NULL);
    start_one(&bad, &vine__type_hostile, &deed);
    say_to(&good, "before");
    expect(&good, "before");
    assert_int_equal(bad.ends, 0);
    say_to(&bad, "x");
    until(bad.goings == 1);
    assert_int_equal(bad.ends, 1);
    if (!may_fault || !bad.end.is_fault)
        assert_int_equal(bad.end.error, -VINE_ECORRUPT);
    say_to(&good, "after");
    expect(&good, "after");
    close(bad.fd);
    finish_one(&good, 0);
    close_cores();
}

static void lists_of_asks_that_are_none_end_it(void **state)
{
    (void)state;
    do_it(asks_beyond_the_heap, false);
    do_it(asks_between_two_words, false);
    do_it(asks_at_the_very_end, false);
    do_it(asks_the_runtime_s_memory, false);
    do_it(asks_in_a_circle, false);
}

static void asks_that_make_no_sense_end_it(void **state)
{
    (void)state;
    do_it(asks_what_there_is_not, false);
    do_it(asks_of_no_socket, false);
    do_it(keeps_more_than_a_block, false);
}

static void wishes_that_make_no_sense_end_it(void **state)
{
    (void)state;
    do_it(wishes_beyond_the_heap, false);
    do_it(wishes_at_the_very_end, false);
    do_it(wishes_between_two_words, false);
    do_it(wishes_the_place_of_its_connection, false);
    do_it(wishes_a_place_that_there_is_not, false);
    do_it(wishes_by_a_text_without_an_end, false);
    do_it(wishes_what_there_is_not, false);
    do_it(splices_from_nowhere, false);
    do_it(splices_to_nowhere, false);
    do_it(splices_to_itself, false);
    do_it(awaits_by_a_name_without_an_end, false);
    do_it(awaits_with_more_scalars_than_there_are, false);
    do_it(awaits_at_the_very_end, false);
    do_it(accepts_from_its_connection, false);
    do_it(accepts_from_nowhere, false);
    do_it(lets_go_beyond_the_heap, false);
    do_it(lets_go_in_a_circle, false);
}

/* Has outside move what comes to somebody who does not read, and then claims that bytes are there
 * of which the next ones are the rest. */
VINE_COROUTINE(moves)
{
    struct {
        uint64_t moved;
    } *self;

    vine_begin();
    vine_splice(self->moved, that->socket, vine_argument(), UINT64_MAX);
    vine_end();
}

VINE_COROUTINE(keeps_what_was_moved)
{
    struct {
        struct vine_socket *other, *third;
        char bytes[8];
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect(self->other, vine_argument());
    vine_connect(self->third, vine_argument());
    vine_start(moves, self->other);
    vine_read_on(self->third, self->length, self->bytes, sizeof self->bytes);
    that->ask.number = ++that->inside->ask_number;
    ask(that, VINE__ASK_RECEIVE, 0, VINE_LOOK_MAX);
    that->status = VINE__COROUTINE_BLOCKED;
    vine__suspend("keeps");
    vine_end();
}

static void who_keeps_what_was_moved_elsewhere_ends(void **state)
{
    static char block[65536];
    struct one bad, other, third;
    struct server server;

    (void)state;
    open_processes();
    serve_at(&server, 8);
    start_one(&bad, &vine__type_keeps_what_was_moved, server.address);
    other = accepted_by(&server);
    third = accepted_by(&server);
    for (int idle = 0; idle < 300; idle++) {
        if (write(bad.fd, block, sizeof block) > 0)
            idle = 0;
        step_all();
    }
    say_to(&third, "x");
    step_often();
    assert_int_equal(bad.ends, 1);
    assert_int_equal(bad.end.error, -VINE_ECORRUPT);
    close(other.fd);
    close(third.fd);
    close(bad.fd);
    until(bad.goings == 1);
    close(server.fd);
    close_cores();
}

static void lies_about_what_was_written_end_it(void **state)
{
    (void)state;
    do_it(writes_more_than_a_block, false);
    do_it(writes_into_no_block, false);
    do_it(takes_a_block_that_was_not_lent, false);
}

static void who_destroys_its_own_head_faults_alone(void **state)
{
    const char *const sanitizers = getenv("VINE_SANITIZE");

    (void)state;
    if (sanitizers != NULL && *sanitizers != '\0') {
        print_message("skipped: a sanitizer looks at wild pointers before they are followed\n");
        return;
    }
    do_it(overwrites_its_head, true);
    do_it(overwrites_its_socket, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_asks_that_are_none_end_it),
        cmocka_unit_test(asks_that_make_no_sense_end_it),
        cmocka_unit_test(wishes_that_make_no_sense_end_it),
        cmocka_unit_test(who_keeps_what_was_moved_elsewhere_ends),
        cmocka_unit_test(lies_about_what_was_written_end_it),
        cmocka_unit_test(who_destroys_its_own_head_faults_alone),
    };

    return run_by_all_guards(tests);
}
