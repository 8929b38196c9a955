/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Micro-processes that write nonsense where those outside look for mail: each is ended, alone, and
 * what it held is told to who waits for it. */
#include "mail_tests.h"

#include "core/mail/mail_internal.h"
#include "core/process/process_internal.h"

typedef void (*deed_fn)(struct vine_coroutine *that, struct vine_mailbox *box);

struct deed {
    deed_fn fn;
};

/* Has a mailbox for requests, and does its deed once it may. */
VINE_COROUTINE(hostile)
{
    struct {
        struct vine_mailbox *box;
        struct question question;
    } *self;

    vine_begin();
    vine_mail_open_requests(self->box, struct question, struct reply);
    address = vine_mail_address(self->box);
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    ((const struct deed *)vine_argument())->fn(that, self->box);
    that->status = VINE__COROUTINE_BLOCKED;
    vine__suspend("hostile");
    vine_end();
}

VINE_COROUTINE(waits_for_it)
{
    struct {
        struct question question;
        struct reply reply;
    } *self;

    vine_begin();
    vine_mail_request(address, struct question, self->question, struct reply, self->reply);
    vine_catch(raised)
    {
    }
    vine_end();
}

VINE_SERVICE_CODE static void ask(struct vine_coroutine *that, uint16_t kind, uint64_t a)
{
    that->ask.kind = kind;
    that->ask.a = a;
    that->ask.number = ++that->inside->ask_number;
    that->ask.next = NULL;
    that->ask.run = 0;
    that->inside->asks = &that->ask;
}

/* A paper, which is its own to write. */
VINE_SERVICE_CODE static struct paper *paper_of(struct vine_coroutine *that)
{
    return vine__own(that, sizeof(struct paper) + 8192);
}

VINE_SERVICE_CODE static uint64_t place(const struct vine_coroutine *that, const void *object)
{
    return (uint64_t)((uintptr_t)object - (uintptr_t)that->inside);
}

VINE_SERVICE_CODE static void opens_beyond_the_heap(struct vine_coroutine *that,
                                                    struct vine_mailbox *box)
{
    (void)box;
    ask(that, VINE__ASK_MAIL_OPEN, UINT64_MAX - 8);
}

VINE_SERVICE_CODE static void opens_between_two_words(struct vine_coroutine *that,
                                                      struct vine_mailbox *box)
{
    ask(that, VINE__ASK_MAIL_OPEN, place(that, box) + 1);
}

VINE_SERVICE_CODE static void opens_for_what_is_too_large(struct vine_coroutine *that,
                                                          struct vine_mailbox *box)
{
    box->size_bytes = UINT32_MAX;
    ask(that, VINE__ASK_MAIL_OPEN, place(that, box));
}

VINE_SERVICE_CODE static void opens_for_replies_that_are_too_large(struct vine_coroutine *that,
                                                                   struct vine_mailbox *box)
{
    box->reply_bytes = VINE_MAIL_BYTES_MAX + 1;
    ask(that, VINE__ASK_MAIL_OPEN, place(that, box));
}

VINE_SERVICE_CODE static void sends_what_is_too_large(struct vine_coroutine *that,
                                                      struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);

    paper->address = box->address;
    paper->size_bytes = VINE_MAIL_BYTES_MAX + 1;
    ask(that, VINE__ASK_MAIL_SEND, place(that, paper));
}

VINE_SERVICE_CODE static void sends_from_the_heaps_end(struct vine_coroutine *that,
                                                       struct vine_mailbox *box)
{
    struct paper *const paper =
        (void *)((unsigned char *)that->inside + that->inside->heap.size_bytes - sizeof(*paper));

    *paper = (struct paper){.address = box->address, .size_bytes = 1};
    ask(that, VINE__ASK_MAIL_SEND, place(that, paper));
}

VINE_SERVICE_CODE static void sends_from_the_runtimes_memory(struct vine_coroutine *that,
                                                             struct vine_mailbox *box)
{
    (void)box;
    ask(that, VINE__ASK_MAIL_SEND, place(that, that->inside->record));
}

VINE_SERVICE_CODE static void awaits_more_than_it_has_room_for(struct vine_coroutine *that,
                                                               struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);

    paper->address = box->address;
    paper->reply_bytes = UINT32_MAX;
    ask(that, VINE__ASK_MAIL_REQUEST, place(that, paper));
}

VINE_SERVICE_CODE static void has_a_name_without_an_end(struct vine_coroutine *that,
                                                        struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);

    (void)box;
    memset(paper->name, 'x', sizeof(paper->name));
    ask(that, VINE__ASK_MAIL_FIND, place(that, paper));
}

VINE_SERVICE_CODE static void publishes_what_it_has_not(struct vine_coroutine *that,
                                                        struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);

    (void)box;
    paper->box = 1;
    paper->name[0] = 'x';
    ask(that, VINE__ASK_MAIL_PUBLISH, place(that, paper));
}

VINE_SERVICE_CODE static void takes_from_what_it_has_not(struct vine_coroutine *that,
                                                         struct vine_mailbox *box)
{
    (void)box;
    ask(that, VINE__ASK_MAIL_TAKE, UINT64_MAX);
}

VINE_SERVICE_CODE static void answers_without_a_request(struct vine_coroutine *that,
                                                        struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);

    paper->box = box->number;
    paper->size_bytes = box->reply_bytes;
    ask(that, VINE__ASK_MAIL_RESPOND, place(that, paper));
}

VINE_SERVICE_CODE static void asks_for_what_there_is_not(struct vine_coroutine *that,
                                                         struct vine_mailbox *box)
{
    (void)box;
    ask(that, VINE__ASK_MAIL_TAKE + 1, 0);
}

/* A heap of asks from places that overlap: more than any coroutines could be in it. */
VINE_SERVICE_CODE static void floods(struct vine_coroutine *that, struct vine_mailbox *box)
{
    struct paper *const paper = paper_of(that);
    unsigned char *const all = vine__own(that, 40000);
    struct vine__ask *first = NULL;

    paper->address = box->address;
    for (size_t at = 0; at + 2 * sizeof(struct vine_coroutine) < 40000; at += 64) {
        struct vine_coroutine *const one = (void *)(all + at);

        one->ask.kind = VINE__ASK_MAIL_SEND;
        one->ask.number = (uint32_t)at;
        one->ask.a = place(that, paper);
        one->ask.next = first;
        first = &one->ask;
    }
    that->inside->asks = first;
}

/* It is gone, and who waits for an answer of it is told; another one goes on. */
static void do_it(deed_fn fn)
{
    static struct deed deed;
    struct one bad, waiting;

    deed.fn = fn;
    open_mail();
    start_alone(&bad, &vine__type_hostile, &deed);
    until(address.key != 0);
    start_alone(&waiting, &vine__type_waits_for_it, NULL);
    step_often();
    may_go_on = true;
    advance(VINE_NS_PER_SECOND / 10);
    until_gone(&bad, -VINE_ECORRUPT);
    until_gone(&waiting, 0);
    assert_int_equal(raised, -EPIPE);
    close_cores();
}

static void places_that_are_none_end_it(void **state)
{
    (void)state;
    do_it(opens_beyond_the_heap);
    do_it(opens_between_two_words);
    do_it(sends_from_the_runtimes_memory);
}

static void what_reaches_beyond_the_heaps_end_ends_it(void **state)
{
    const char *const sanitizers = getenv("VINE_SANITIZE");

    (void)state;
    if (sanitizers != NULL && *sanitizers != '\0') {
        print_message("skipped: a sanitizer knows that nobody has the heap's last bytes\n");
        return;
    }
    do_it(sends_from_the_heaps_end);
}

static void sizes_beyond_the_bounds_end_it(void **state)
{
    (void)state;
    do_it(opens_for_what_is_too_large);
    do_it(opens_for_replies_that_are_too_large);
    do_it(sends_what_is_too_large);
    do_it(awaits_more_than_it_has_room_for);
}

static void asks_that_make_no_sense_end_it(void **state)
{
    (void)state;
    do_it(has_a_name_without_an_end);
    do_it(publishes_what_it_has_not);
    do_it(takes_from_what_it_has_not);
    do_it(answers_without_a_request);
    do_it(asks_for_what_there_is_not);
}

static void more_at_once_than_its_heap_could_hold_ends_it(void **state)
{
    (void)state;
    do_it(floods);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_that_are_none_end_it),
        cmocka_unit_test(what_reaches_beyond_the_heaps_end_ends_it),
        cmocka_unit_test(sizes_beyond_the_bounds_end_it),
        cmocka_unit_test(asks_that_make_no_sense_end_it),
        cmocka_unit_test(more_at_once_than_its_heap_could_hold_ends_it),
    };

    return run_by_all_guards(tests);
}
