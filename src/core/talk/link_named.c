/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes that share a named segment (a file, POSIX shm, a PCI device's memory): both halves
 * lie in it, nothing grows, and a death is noticed by the attach word.
 *
 * Who claims the application's side raises its count of claims. The application clears its half,
 * counts its claim once more, writes that count into its board, and waits until the appliance has
 * cleared its own half and done the same.
 *
 * When its appliance has gone it may go on with the next one, who enters the segment as it finds it
 * and answers no claim that was answered before: it counts its claim once more and greets, with the
 * half as it is. From then on the appliance's half is the next one's, so what the application still
 * reads of the former's is a private copy: it looks at that half by a mapping of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/segment/view.h"
#include "core/talk/link.h"
#include "core/talk/message.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define LOOK_NS 20000000 /* how often a waiting application looks whether the appliance lives */

static enum vine_segment_side other_side(const struct vine__link *link)
{
    return link->side == VINE_SEGMENT_APPLICATION ? VINE_SEGMENT_APPLIANCE
                                                  : VINE_SEGMENT_APPLICATION;
}

static void wake(struct vine__link *link)
{
    uint32_t *word = &link->half->layout->board.wake_count.value;

    /* Release pairs with the acquire in vine__served_named_word. */
    (void)vine__fetch_add_acq_rel_u32(word, 1);
    (void)vine__futex_wake(word, INT32_MAX);
}

static int announce(struct vine__link *link, uint32_t index, const struct vine__half_extent *extent)
{
    (void)link;
    (void)index;
    (void)extent;
    return -VINE_EQUOTA;
}

static bool peer_lost(struct vine__link *link)
{
    struct vine_segment_presence presence;

    VINE_ASSERT(link->named != NULL);
    if (vine_segment_presence(link->named, other_side(link), &presence) != 0)
        return true;
    if (presence.state != VINE_SEGMENT_ALIVE)
        return true;
    return link->side == VINE_SEGMENT_APPLIANCE && (uint32_t)presence.claims != link->epoch;
}

static int receive(struct vine__link *link, struct vine__why *why)
{
    /* B6 pairs with B5. */
    const uint32_t closed = vine__load_acquire_u32(&link->mirror->layout->board.closed.value);

    if (closed == 0)
        return 0;
    vine__why_say(why, "the other side closed the pipe");
    return vine__error_from_wire(closed, -VINE_ECLOSED);
}

static void bye(struct vine__link *link, int error, const char *text)
{
    (void)text;
    /* B5 pairs with B6. */
    vine__store_release_u32(&link->half->layout->board.closed.value, vine__error_to_wire(error));
    wake(link);
}

/* The last link to a segment gives its side back. A name that an appliance left to the next one,
 * which has not come, goes with us. */
static void close_link(struct vine__link *link)
{
    struct vine_segment_presence appliance = {.state = VINE_SEGMENT_ALIVE};
    struct vine_segment_options options;

    if (link->address != NULL)
        (void)!vine_segment_presence(link->named, VINE_SEGMENT_APPLIANCE, &appliance);
    vine_segment_unref(link->named);
    link->named = NULL;
    if (appliance.state != VINE_SEGMENT_ALIVE) {
        vine__address_to_segment(link->address, &options);
        options.side = VINE_SEGMENT_NOBODY;
        (void)!vine_segment_remove(&options, NULL);
    }
    free(link->address);
    link->address = NULL;
}

static int look_for_next(const struct vine__link *former, struct vine__why *why);
static int go_on(struct vine__link *link, const struct vine__link *former,
                 const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement);

static const struct vine__link_operations operations = {
    .wake = wake,
    .announce = announce,
    .receive = receive,
    .peer_lost = peer_lost,
    .bye = bye,
    .look_for_next = look_for_next,
    .go_on = go_on,
    .close = close_link,
};

/* Membarrier reaches no process of another machine, and bits that several threads change in the
 * memory of a device would want locked instructions there. */
static uint32_t own_features(const struct vine_segment *named, uint32_t without)
{
    struct vine_segment_facts facts;
    uint32_t features =
        VINE_TALK_FEATURE_REASONS | VINE_TALK_FEATURE_DEADLINES | VINE_TALK_FEATURE_RETURNS;

    vine_segment_facts(named, &facts);
    if (facts.backend == VINE_SEGMENT_IVSHMEM)
        return features & ~without;
    features |= VINE_TALK_FEATURE_READY;
    if (vine__membarrier_register() == 0)
        features |= VINE_TALK_FEATURE_MEMBARRIER;
    return features & ~without;
}

static int find_halves(const struct vine_segment *named, void *ret_bases[2], uint64_t ret_sizes[2])
{
    int error =
        vine_segment_find(named, VINE_SEGMENT_KIND_APPLICATION_HALF, &ret_bases[0], &ret_sizes[0]);

    if (!error)
        error = vine_segment_find(named, VINE_SEGMENT_KIND_APPLIANCE_HALF, &ret_bases[1],
                                  &ret_sizes[1]);
    if (!error && (ret_sizes[0] < sizeof(struct vine_half_layout) ||
                   ret_sizes[1] < sizeof(struct vine_half_layout)))
        error = -VINE_ETRUNCATED;
    return error;
}

/* Clear a half for a new owner, all but its wake word. Who sleeps on that may have read it a moment
 * ago, and would not notice a wake that brought it back to the same number. */
static void clear(unsigned char *base, uint64_t size_bytes)
{
    const size_t word = offsetof(struct vine_half_layout, board.wake_count.value);
    const size_t rest = word + sizeof(uint32_t);

    memset(base, 0, word);
    memset(base + rest, 0, size_bytes - rest);
}

/* Lay our half out anew over what was there. */
static int lay_out(struct vine__link *link, void *const bases[2], const uint64_t sizes[2])
{
    const int ours = link->side == VINE_SEGMENT_APPLICATION ? 0 : 1;

    VINE_ASSERT(link->half->layout == NULL && link->mirror->layout == NULL);
    clear(bases[ours], sizes[ours]);
    return vine__half_place(link->half, bases[ours], sizes[ours]);
}

/* ---- the application's side ----------------------------------------------------------------- */

/* Who claims a side keeps a new appliance from making the segment anew, be it for a moment: that is
 * not for who merely tries whether there is one. Of `options`, side and protection are changed. */
static int look_for_appliance(struct vine_segment_options *options,
                              const struct vine__address *address,
                              const struct vine__handshake_wish *wish)
{
    struct vine_segment_report report;
    struct vine_segment_presence presence;
    struct vine_segment *named = NULL;

    options->side = VINE_SEGMENT_NOBODY;
    options->read_only = true;

    int error = vine_segment_attach(options, &named, &report);

    if (error) {
        vine__why_say(wish->why, "%s", report.why);
        return error == -ENOENT ? -VINE_ENOAPPLIANCE : error;
    }
    error = vine_segment_presence(named, VINE_SEGMENT_APPLIANCE, &presence);
    vine_segment_unref(named);
    if (!error && presence.state != VINE_SEGMENT_ALIVE) {
        vine__why_say(wish->why, "no appliance lives in %s", address->text);
        error = -VINE_ENOAPPLIANCE;
    }
    return error;
}

/* Take the application's side, and with it a claim that is ours alone. */
static int claim(struct vine__link *link, const struct vine__address *address,
                 const struct vine__handshake_wish *wish)
{
    struct vine_segment_options options;
    struct vine_segment_report report;

    vine__address_to_segment(address, &options);
    options.segment_bytes = 0;
    options.fingerprint = vine__half_fingerprint();

    int error = look_for_appliance(&options, address, wish);

    if (error)
        return error;
    options.side = VINE_SEGMENT_APPLICATION;
    options.read_only = false;
    error = vine_segment_attach(&options, &link->named, &report);
    if (error) {
        vine__why_say(wish->why, "%s", report.why);
        return error == -ENOENT ? -VINE_ENOAPPLIANCE : error;
    }
    return 0;
}

/* The appliance's half as it is, by a mapping that can be kept when another one writes it. */
static int look_at_theirs(struct vine__link *link)
{
    struct vine_segment *view = NULL;
    void *bases[2];
    uint64_t sizes[2];
    int error = vine__segment_view(link->named, &view);

    if (!error)
        error = find_halves(view, bases, sizes);
    if (!error)
        error = vine__mirror_place(link->mirror, bases[1], sizes[1]);
    if (error) {
        vine_segment_unref(view);
        return error;
    }
    link->mirror->segment = view;
    return 0;
}

/* Our rings are empty: count our claim anew, and see that nothing could be taken for its answer.
 * Who was here before may have left any number in either half: with this one none is left. The
 * appliance may have answered the count before, and finds out that it is over. */
static int count_anew(struct vine__link *link, struct vine_half_layout *theirs)
{
    struct vine_segment_presence presence;
    int error = vine_segment_presence(link->named, VINE_SEGMENT_APPLICATION, &presence);

    if (error)
        return error;
    /* Relaxed: the count is raised behind it. */
    vine__store_relaxed_u32(&theirs->board.epoch, (uint32_t)presence.claims);
    error = vine_segment_claim(link->named, VINE_SEGMENT_APPLICATION, NULL);
    if (!error)
        error = vine_segment_presence(link->named, VINE_SEGMENT_APPLICATION, &presence);
    link->epoch = (uint32_t)presence.claims;
    return error;
}

/* Find both halves, and clear ours. */
static int enter(struct vine__link *link, const struct vine__address *address,
                 struct vine__why *why)
{
    void *bases[2];
    uint64_t sizes[2];
    int error = find_halves(link->named, bases, sizes);

    if (!error)
        error = lay_out(link, bases, sizes);
    if (!error)
        error = look_at_theirs(link);
    if (!error)
        error = count_anew(link, bases[1]);
    if (error)
        vine__why_say(why, "%s holds no pipe: %s", address->text, vine_error_text(error));
    return error;
}

/* Until the appliance has answered our claim, or dies, or takes too long. */
static int wait_for_answer(struct vine__link *link, const uint32_t *word, uint64_t timeout_ns)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (;;) {
        const uint32_t seen = vine__load_acquire_u32(word); /* B8 pairs with B7 */

        if (seen == link->epoch)
            return 0;
        if (peer_lost(link))
            return -VINE_EPEERLOST;
        if (vine__clock_now_ns() - start_ns > timeout_ns)
            return -ETIMEDOUT;
        (void)!vine__futex_wait_or_look(word, seen, LOOK_NS);
    }
}

/* What the appliance wrote on its board before it answered. */
static int agree(struct vine__link *link, uint32_t features, struct vine__why *why,
                 struct vine__agreement *ret_agreement)
{
    const struct vine_board_layout *theirs = &link->mirror->layout->board;
    const uint32_t common = vine__load_relaxed_u32(&theirs->features) & features;
    struct vine__agreement agreement = {
        .channels_max = vine__load_relaxed_u32(&theirs->channels_max),
        .tasks_max = vine__load_relaxed_u32(&theirs->tasks_max),
        .memory_max_bytes = link->half->size_bytes + link->mirror->size_bytes,
        .stream = (common & VINE_TALK_FEATURE_MEMBARRIER) != 0,
        .ready = (common & VINE_TALK_FEATURE_READY) != 0,
        .deadlines = (common & VINE_TALK_FEATURE_DEADLINES) != 0,
        .returns = (common & VINE_TALK_FEATURE_RETURNS) != 0,
    };
    struct vine_segment_presence presence;

    if (agreement.channels_max == 0 || agreement.channels_max > VINE_TALK_CHANNELS_MAX ||
        agreement.tasks_max == 0 || agreement.tasks_max > VINE_SPSC_SLOTS_MAX / 2) {
        vine__why_say(why, "the appliance grants %u channels, %u tasks", agreement.channels_max,
                      agreement.tasks_max);
        return -VINE_EPROTOCOL;
    }
    (void)!vine_segment_presence(link->named, VINE_SEGMENT_APPLIANCE, &presence);
    link->peer_pid = presence.pid;
    (void)snprintf(agreement.peer_name, sizeof agreement.peer_name, "pid %d", presence.pid);
    *ret_agreement = agreement;
    return 0;
}

/* Show our claim, and wait for the answer to it. */
static int greet(struct vine__link *link, const struct vine__handshake_wish *wish,
                 struct vine__agreement *ret_agreement)
{
    struct vine_board_layout *board = &link->half->layout->board;
    const uint32_t features = own_features(link->named, wish->without);
    int error;

    board->features = features;
    vine__store_relaxed_u32(&board->closed.value, 0);
    /* B7 pairs with B8: our half is clean. */
    vine__store_release_u32(&board->epoch, link->epoch);
    wake(link);
    error = wait_for_answer(link, &link->mirror->layout->board.epoch, wish->timeout_ns);
    if (!error)
        return agree(link, features, wish->why, ret_agreement);
    vine__why_say(wish->why, "the appliance in %s does not answer: %s",
                  vine_segment_label(link->named), vine_error_text(error));
    return error;
}

static void prepare(struct vine__link *link, enum vine_segment_side side)
{
    VINE_ASSERT(link->operations == NULL);
    link->operations = &operations;
    link->side = side;
    link->is_fixed = true;
}

/* A name that was made with the segment is to go with whoever leaves last. */
static int remember_name(struct vine__link *link, const struct vine__address *address)
{
    struct vine_segment_facts facts;

    vine_segment_facts(link->named, &facts);
    if (!facts.name_is_made)
        return 0;
    link->address = malloc(sizeof *link->address);
    if (link->address == NULL)
        return -ENOMEM;
    *link->address = *address;
    return 0;
}

int vine__link_attach(struct vine__link *link, const struct vine__address *address,
                      const struct vine__handshake_wish *wish,
                      struct vine__agreement *ret_agreement)
{
    int error;

    prepare(link, VINE_SEGMENT_APPLICATION);
    error = claim(link, address, wish);
    if (!error)
        error = enter(link, address, wish->why);
    if (!error)
        error = greet(link, wish, ret_agreement);
    if (!error && ret_agreement->returns)
        error = remember_name(link, address);
    if (error)
        vine__link_undo(link);
    return error;
}

static int look_for_next(const struct vine__link *former, struct vine__why *why)
{
    struct vine_segment_presence presence;
    const int error = vine_segment_presence(former->named, VINE_SEGMENT_APPLIANCE, &presence);

    if (!error && presence.state == VINE_SEGMENT_ALIVE)
        return 0;
    vine__why_say(why, "no appliance has come to %s", vine_segment_label(former->named));
    return error ? error : -VINE_ENOAPPLIANCE;
}

static int go_on(struct vine__link *link, const struct vine__link *former,
                 const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement)
{
    void *bases[2];
    uint64_t sizes[2];
    int error;

    prepare(link, VINE_SEGMENT_APPLICATION);
    link->named = vine_segment_ref(former->named);
    error = look_at_theirs(link);
    if (!error)
        error = find_halves(link->named, bases, sizes);
    if (!error)
        error = count_anew(link, bases[1]);
    if (error)
        vine__why_say(wish->why, "%s cannot be entered anew: %s", vine_segment_label(link->named),
                      vine_error_text(error));
    else
        error = greet(link, wish, ret_agreement);
    if (error) {
        /* Pairs with B8: to whoever comes later we say nothing. */
        vine__store_release_u32(&link->half->layout->board.epoch, 0);
        vine__mirror_close(link->mirror);
        close_link(link);
    }
    return error;
}

/* ---- the appliance's side ------------------------------------------------------------------- */

bool vine__link_is_awaited(const struct vine_segment *named)
{
    struct vine_segment_presence presence;
    void *bases[2];
    uint64_t sizes[2];

    if (find_halves(named, bases, sizes) != 0 ||
        vine_segment_presence(named, VINE_SEGMENT_APPLICATION, &presence) != 0)
        return false;

    const struct vine_board_layout *theirs = &((const struct vine_half_layout *)bases[0])->board;

    return presence.state == VINE_SEGMENT_ALIVE &&
           (vine__load_relaxed_u32(&theirs->features) & VINE_TALK_FEATURE_RETURNS) != 0 &&
           vine__load_relaxed_u32(&theirs->closed.value) == 0;
}

uint32_t vine__link_succeed(const struct vine_segment *named)
{
    void *bases[2];
    uint64_t sizes[2];
    const int error = find_halves(named, bases, sizes);
    uint32_t open = 0;

    VINE_ASSERT(error == 0);

    struct vine_board_layout *ours = &((struct vine_half_layout *)bases[1])->board;

    /* B5 pairs with B6: what the former completed before counts. If it has said itself how it went,
     * that stands. */
    (void)vine__compare_exchange_acq_rel_u32(&ours->closed.value, &open, VINE_EPEERLOST);
    return vine__load_relaxed_u32(&ours->epoch);
}

int vine__link_answer(struct vine__link *link, struct vine_segment *named, uint32_t epoch_answered,
                      const struct vine__grant *grant, struct vine__agreement *ret_agreement)
{
    struct vine_segment_presence presence;
    void *bases[2];
    uint64_t sizes[2];

    int error = find_halves(named, bases, sizes);

    if (error)
        return error;

    const struct vine_half_layout *theirs = bases[0];
    /* It says when its half is clean: B8 pairs with B7. To ask who claims, and whether it lives,
     * takes longer: that is for who says something new. */
    const uint32_t epoch = vine__load_acquire_u32(&theirs->board.epoch);

    if (epoch == epoch_answered)
        return -EAGAIN;
    error = vine_segment_presence(named, VINE_SEGMENT_APPLICATION, &presence);
    if (error)
        return error;
    if (presence.state != VINE_SEGMENT_ALIVE || epoch != (uint32_t)presence.claims)
        return -EAGAIN;
    prepare(link, VINE_SEGMENT_APPLIANCE);
    error = lay_out(link, bases, sizes);
    if (!error)
        error = vine__mirror_place(link->mirror, bases[0], sizes[0]);
    if (error) {
        vine__link_undo(link);
        return error;
    }
    link->named = vine_segment_ref(named);
    link->peer_pid = presence.pid;
    link->epoch = epoch;

    const uint32_t features = own_features(named, grant->without);
    const uint32_t common = features & vine__load_relaxed_u32(&theirs->board.features);
    struct vine_board_layout *board = &link->half->layout->board;

    *ret_agreement = (struct vine__agreement){
        .channels_max = grant->channels_max,
        .tasks_max = grant->tasks_max,
        .memory_max_bytes = sizes[0] + sizes[1],
        .generation = grant->generation,
        .stream = (common & VINE_TALK_FEATURE_MEMBARRIER) != 0,
        .reasons = (common & VINE_TALK_FEATURE_REASONS) != 0,
        .ready = (common & VINE_TALK_FEATURE_READY) != 0,
        .peer_uid = VINE__UID_UNKNOWN,
    };
    (void)snprintf(ret_agreement->peer_name, sizeof ret_agreement->peer_name, "application");
    board->channels_max = grant->channels_max;
    board->tasks_max = grant->tasks_max;
    board->features = features;
    return 0;
}
