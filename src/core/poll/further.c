/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/further.c - what a micro-process has beside its connection: how that begins, and how
 * it ends. */

#include <string.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/poll/poll_internal.h"

/* Of the places of a micro-process: so many there may be before those that linger are closed at
 * once, and so many in all, with those that are left and not closed yet. */
#define LINGER_FACTOR 2U
#define LEFT_FACTOR   4U

/* ---- the beginning --------------------------------------------------------------------------- */

static void closed(struct vine_work *work);

/* The longest that is waited for what is still to be sent. */
static void time_has_come(struct vine_timer *timer)
{
    vine__outlet_hurry(&VINE_CONTAINER_OF(timer, struct further, timer)->outlet);
}

static void hung_up(struct vine_work *work)
{
    struct further *const further = VINE_CONTAINER_OF(work, struct further, hung_up);

    further->has_hung_up = true;
    if (!further->outlet.is_over)
        vine__polling_run(further->polling);
}

static void connection_hung_up(struct vine_work *work)
{
    struct furthers *const furthers = VINE_CONTAINER_OF(work, struct furthers, hung_up);

    furthers->has_hung_up = true;
    if (!furthers->polling->has_ended)
        vine__polling_run(furthers->polling);
}

static struct furthers *furthers_of(struct vine__polling *polling)
{
    if (polling->furthers == NULL) {
        polling->furthers = vine__closed_alloc(sizeof(*polling->furthers));
        if (polling->furthers != NULL) {
            vine__list_init(&polling->furthers->all);
            vine__list_init(&polling->furthers->splicings);
            vine__list_init(&polling->furthers->makings);
            polling->furthers->polling = polling;
            vine_work_init(&polling->furthers->hung_up, connection_hung_up);
        }
    }
    return polling->furthers;
}

/* The one that has waited for the end of its peer for longest is not waited for any more. */
static void hurry_oldest(struct furthers *furthers)
{
    VINE_LIST_FOR_EACH(node, &furthers->all)
    {
        struct vine__outlet *const outlet = &VINE_LIST_OBJECT(node, struct further, link)->outlet;

        if (outlet->is_lingering && outlet->connection != NULL) {
            vine__outlet_hurry(outlet);
            return;
        }
    }
}

static struct further *create(struct vine__polling *polling, uint32_t place,
                              struct vine__asker asker)
{
    struct furthers *const furthers = furthers_of(polling);
    struct further *const further = furthers != NULL ? vine__closed_alloc(sizeof(*further)) : NULL;

    if (further == NULL)
        return NULL;
    further->outlet.is_further = true;
    further->polling = polling;
    further->place = (uint16_t)place;
    further->asker = asker;
    vine_work_init(&further->closed, closed);
    vine_work_init(&further->hung_up, hung_up);
    vine_timer_init(&further->timer, VINE_CLOCK_COARSE, time_has_come);
    vine__list_push_back(&furthers->all, &further->link);
    furthers->count++;
    furthers->at[place] = further;
    return further;
}

/*
 * One that connects, listens or is accepted. One that was left keeps its descriptor until all is
 * sent and its peer has ended, too: who connects and closes for ever would have any number of them.
 * So one too many has its answer already: -EMFILE.
 */
static struct further *create_socket(struct vine__polling *polling, const struct vine__ask *ask,
                                     uint32_t place, struct vine__asker asker)
{
    struct further *const further = create(polling, place, asker);
    const uint32_t places_max = polling->core->places_max;

    if (further == NULL)
        return NULL;
    further->outlet.place =
        vine__heap_place(polling->heap, ask->a) + offsetof(struct vine__further, socket);
    if (polling->furthers->count > LINGER_FACTOR * places_max)
        hurry_oldest(polling->furthers);
    if (polling->furthers->count > LEFT_FACTOR * places_max) {
        further->answer = -EMFILE;
        further->has_answer = true;
        vine_work_post(&polling->work);
    }
    return further;
}

/* Whether what is to be read lies in the heap, and where it says that it is to be, which is free.
 * Returns 0 or -VINE_ECORRUPT. */
static int find(const struct vine__polling *polling, const struct vine__ask *ask, size_t bytes,
                uint32_t *ret_place)
{
    struct vine__beyond beyond;

    if (!vine__heap_has(polling->heap, ask->a, bytes, _Alignof(struct vine__further)))
        return -VINE_ECORRUPT;
    memcpy(&beyond, (const void *)(uintptr_t)ask->a, sizeof(beyond));

    const uint32_t place = beyond.at_end.place;

    if (place == 0 || place > polling->core->places_max || vine__further_at(polling, place) != NULL)
        return -VINE_ECORRUPT;
    *ret_place = place;
    return 0;
}

/* A copy of the text behind what was found. Returns 0 or -VINE_ECORRUPT: it does not end. */
static int copy_text(const struct vine__polling *polling, uintptr_t address, char *ret_text,
                     size_t text_max)
{
    const size_t room = polling->heap->region.size_bytes - vine__heap_place(polling->heap, address);
    const char *const text = (const void *)address;

    for (size_t i = 0; i < text_max && i < room; i++) {
        ret_text[i] = text[i];
        if (ret_text[i] == '\0')
            return 0;
    }
    return -VINE_ECORRUPT;
}

/* Connect or listen. */
static int begin_at(struct vine__polling *polling, const struct vine__ask *ask,
                    struct vine__asker asker)
{
    char text[VINE__FURTHER_TEXT_MAX];
    struct further *further;
    uint32_t place;

    if (find(polling, ask, sizeof(struct vine__further), &place) != 0 ||
        copy_text(polling, ask->a + sizeof(struct vine__further), text, sizeof(text)) != 0)
        return -VINE_ECORRUPT;
    further = create_socket(polling, ask, place, asker);
    if (further == NULL)
        return -ENOMEM;
    if (further->has_answer)
        return 0;
    if (ask->kind == VINE__ASK_LISTEN)
        vine__further_listen(further, text);
    else if (ask->kind == VINE__ASK_CONNECT_REMOTE)
        vine__further_connect_remote(further, (struct vine_remote){ask->socket}, text);
    else
        vine__further_connect(further, text, ask->kind == VINE__ASK_CONNECT_TLS);
    return 0;
}

int vine__polling_make(struct vine__polling *polling, vine__maker_fn maker, const void *asked,
                       size_t size_bytes)
{
    struct furthers *const furthers = furthers_of(polling);
    struct making *const making = furthers != NULL && furthers->making_count < VINE__PLACES_MAX
                                      ? vine__closed_alloc(sizeof(*making))
                                      : NULL;

    VINE_ASSERT(size_bytes <= sizeof(making->asked));
    if (making == NULL)
        return -ENOMEM;
    making->maker = maker;
    memcpy(making->asked, asked, size_bytes);
    vine__list_push_back(&furthers->makings, &making->link);
    furthers->making_count++;
    return 0;
}

static void forget_making(struct furthers *furthers, struct making *making)
{
    vine__list_remove(&making->link);
    furthers->making_count--;
    vine__closed_free(making);
}

void vine__furthers_forget_makings(struct vine__polling *polling)
{
    struct vine__list *first;

    while ((first = vine__list_first(&polling->furthers->makings)) != NULL)
        forget_making(polling->furthers, VINE_LIST_OBJECT(first, struct making, link));
}

/* It is none of the network: what makes it was said by a function outside. */
static int make(struct vine__polling *polling, const struct vine__ask *ask,
                struct vine__asker asker)
{
    struct vine_connection *connection = NULL;
    struct vine__list *first;
    struct making *making;
    struct further *further;
    uint32_t place;

    if (find(polling, ask, sizeof(struct vine__further), &place) != 0)
        return -VINE_ECORRUPT;
    further = create_socket(polling, ask, place, asker);
    if (further == NULL)
        return -ENOMEM;
    first = vine__list_first(&polling->furthers->makings);
    making = first != NULL ? VINE_LIST_OBJECT(first, struct making, link) : NULL;
    if (!further->has_answer)
        further->answer = making != NULL
                              ? making->maker(polling->io.connection, making->asked, &connection)
                              : -ENOMEM;
    if (making != NULL)
        forget_making(polling->furthers, making);
    further->has_answer = true;
    further->outlet.connection = connection;
    if (connection != NULL)
        vine__polling_paint(polling, connection);
    vine_work_post(&polling->work);
    return 0;
}

static int accept_from(struct vine__polling *polling, const struct vine__ask *ask,
                       struct vine__asker asker)
{
    struct further *const listener = vine__further_at(polling, ask->socket);
    struct further *further;
    uint32_t place;

    if (find(polling, ask, sizeof(struct vine__further), &place) != 0 || listener == NULL ||
        listener->listening == NULL)
        return -VINE_ECORRUPT;
    further = create_socket(polling, ask, place, asker);
    if (further == NULL)
        return -ENOMEM;
    if (!further->has_answer)
        vine__further_accept(further, listener);
    return 0;
}

static int splice(struct vine__polling *polling, const struct vine__ask *ask,
                  struct vine__asker asker)
{
    struct vine__outlet *const from = vine__outlet_at(polling, ask->socket);
    struct vine__splicing wish;
    struct further *further;
    struct vine__outlet *to;
    uint32_t place;

    if (find(polling, ask, sizeof(wish), &place) != 0)
        return -VINE_ECORRUPT;
    memcpy(&wish, (const void *)(uintptr_t)ask->a, sizeof(wish));
    to = vine__outlet_at(polling, wish.to);
    if (from == NULL || from->connection == NULL || to == NULL || to->connection == NULL)
        return -VINE_ECORRUPT;
    further = create(polling, place, asker);
    if (further == NULL)
        return -ENOMEM;
    vine__splice_begin(further, from, to, wish.bytes);
    return 0;
}

static int open_file(struct vine__polling *polling, const struct vine__ask *ask,
                     struct vine__asker asker)
{
    char path[VINE_BELOW_PATH_MAX];
    struct vine__below below;
    struct further *further;
    uint32_t place;

    if (find(polling, ask, sizeof(below), &place) != 0 ||
        copy_text(polling, ask->a + offsetof(struct vine__below, path), path, sizeof(path)) != 0)
        return -VINE_ECORRUPT;
    memcpy(&below, (const void *)(uintptr_t)ask->a, sizeof(below));
    further = create(polling, place, asker);
    if (further == NULL)
        return -ENOMEM;
    return vine__opened_open(further, below.root, path,
                             vine__heap_place(polling->heap, ask->a) +
                                 offsetof(struct vine__below, file));
}

static int await(struct vine__polling *polling, const struct vine__ask *ask,
                 struct vine__asker asker)
{
    struct vine__awaiting wish;
    struct further *further;
    uint32_t place;

    if (find(polling, ask, sizeof(wish), &place) != 0)
        return -VINE_ECORRUPT;
    memcpy(&wish, (const void *)(uintptr_t)ask->a, sizeof(wish));
    further = create(polling, place, asker);
    return further != NULL ? vine__awaiting_begin(further, &wish) : -ENOMEM;
}

int vine__further_begin(struct vine__polling *polling, const struct vine__ask *ask,
                        struct vine__asker asker)
{
    switch (ask->kind) {
    case VINE__ASK_CONNECT:
    case VINE__ASK_CONNECT_TLS:
    case VINE__ASK_CONNECT_REMOTE:
    case VINE__ASK_LISTEN:
        return begin_at(polling, ask, asker);
    case VINE__ASK_MAKE:
        return make(polling, ask, asker);
    case VINE__ASK_ACCEPT:
        return accept_from(polling, ask, asker);
    case VINE__ASK_SPLICE:
        return splice(polling, ask, asker);
    case VINE__ASK_OPEN:
        return open_file(polling, ask, asker);
    case VINE__ASK_AWAIT:
        return await(polling, ask, asker);
    default:
        return -VINE_ECORRUPT;
    }
}

void vine__further_connected(struct further *further, int error, struct vine_connection *connection)
{
    struct vine__polling *const polling = further->polling;

    further->connecting = NULL;
    further->accepts = NULL;
    further->outlet.connection = connection;
    if (connection != NULL)
        vine__polling_paint(polling, connection);
    further->answer = error;
    further->has_answer = true;
    vine__polling_run(polling);
}

void vine__outlet_want(struct vine__outlet *outlet, uint32_t wants)
{
    struct vine__polling *const polling = vine__polling_of(outlet);
    struct vine_work *work;

    if (outlet->connection == NULL)
        return;
    if ((wants & VINE__WANTS_MORE) != 0) {
        if (outlet->is_spliced)
            outlet->is_wanted = true;
        else if (!outlet->is_receiving && !outlet->has_received)
            vine__outlet_receive(outlet, 0);
    }
    if ((wants & VINE__WANTS_END) == 0)
        return;
    if (outlet == &polling->io)
        work = furthers_of(polling) != NULL ? &polling->furthers->hung_up : NULL;
    else
        work = &vine__further_of(outlet)->hung_up;
    /* Without memory the end is told when it is read. */
    if (work != NULL)
        vine__connection_watch_end(outlet->connection, work);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The kernel has nothing of it any more. */
static void closed(struct vine_work *work)
{
    struct further *const further = VINE_CONTAINER_OF(work, struct further, closed);
    struct vine__polling *const polling = further->polling;

    if (further->hung_up.is_posted) {
        vine_work_post(work); /* behind that one */
        return;
    }
    /* A worker reads from a file what was to be sent by TLS: whoever sees that comes here again. */
    further->is_closed = further->outlet.is_sending;
    if (further->is_closed)
        return;
    (void)vine_timer_cancel(&further->timer);
    vine__outlet_fini(&further->outlet);
    vine__list_remove(&further->link);
    polling->furthers->count--;
    vine__closed_free(further);
    if (polling->is_closed && vine__furthers_are_closed(polling))
        vine_work_post(&polling->closed);
}

static void leave(struct further *further, bool at_once)
{
    further->polling->furthers->at[further->place] = NULL;
    if (further->connecting != NULL)
        vine__connecting_leave(further->connecting);
    further->connecting = NULL;
    if (further->splicing != NULL)
        vine__splicing_leave(further->splicing);
    further->splicing = NULL;
    if (further->listening != NULL)
        vine__listening_leave(further->listening);
    further->listening = NULL;
    if (further->awaiting != NULL)
        vine__awaiting_leave(further->awaiting);
    further->awaiting = NULL;
    further->accepts = NULL;
    if (further->file != NULL)
        vine__opened_leave(further->file);
    else
        vine__outlet_close(&further->outlet, at_once);
}

int vine__furthers_let_go(struct vine__polling *polling)
{
    const struct vine__at_end *next = polling->inside->leaving;

    for (uint32_t i = 0; next != NULL; i++) {
        struct vine__at_end left;
        struct further *further;

        if (i == VINE__PLACES_MAX || !vine__heap_has(polling->heap, (uintptr_t)next, sizeof(left),
                                                     _Alignof(struct vine__at_end)))
            return -VINE_ECORRUPT;
        memcpy(&left, next, sizeof(left));
        /* One that was left in the run in which it was asked for has never begun. */
        further = vine__further_at(polling, left.place);
        if (further != NULL)
            leave(further, false);
        next = left.next;
    }
    return 0;
}

void vine__furthers_close(struct vine__polling *polling, bool at_once)
{
    for (uint32_t place = 1; polling->furthers != NULL && place < VINE__PLACES_MAX; place++)
        if (polling->furthers->at[place] != NULL)
            leave(polling->furthers->at[place], at_once);
}

void vine__furthers_hurry(struct vine__polling *polling)
{
    if (polling->furthers == NULL)
        return;
    VINE_LIST_FOR_EACH(node, &polling->furthers->all)
    {
        struct further *const further = VINE_LIST_OBJECT(node, struct further, link);

        vine__outlet_hurry(&further->outlet);
    }
}

bool vine__furthers_are_none(const struct vine__polling *polling)
{
    for (uint32_t place = 1; polling->furthers != NULL && place < VINE__PLACES_MAX; place++)
        if (polling->furthers->at[place] != NULL)
            return false;
    return true;
}

bool vine__furthers_are_closed(const struct vine__polling *polling)
{
    return polling->furthers == NULL || vine__list_is_empty(&polling->furthers->all);
}
