/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue for each producer, and how the consumer of all of them finds those that have something:
 *
 *   scanned        it looks at each, in turn;
 *   listed         it looks at those that had something within the last IDLE_NS each time, and at
 *                  NEWCOMERS others;
 *   bits           a producer sets the bit of its queue, beside those of 63 others, unless it is
 *                  set. It is set while it differs from the bit that the consumer writes, which
 *                  makes them alike before it looks at the queue: so each word has one side that
 *                  writes it;
 *   bits, listed   it looks at those that had something; only producers of others set bits;
 *   bells, listed  only producers of others signal an eventfd that the queue has to itself; those
 *                  of all queues are in an epoll, which the consumer looks at now and then.
 *
 * Of a producer and a consumer that both write and then look (Q1: is the queue on the list; Q3: is
 * the bit answered; Q2, Q4: is there a message) one at least sees the other: by the membarrier of
 * who takes queues off the list, and without a list by a full fence on both sides.
 */
#include "queues.h"

#include "arch/wake/membarrier.h"
#include "core/ring/spsc_inline.h"
#include "utils/assert.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define WORDS       (QUEUES_PRODUCERS_MAX / 64)
#define IDLE_NS     1000000u
#define NEWCOMERS   8u
#define EVENTS      64
#define LOOK_AROUND 64u /* turns between two looks at the clock, and at the epoll */

struct line {
    uint64_t word __attribute__((aligned(64)));
};

struct own {
    struct vine_slot slots[QUEUES_PRODUCERS_MAX][QUEUES_OWN_SLOTS];
    /* Written by the consumer, but for `ready`. */
    struct line consumed[QUEUES_PRODUCERS_MAX];
    struct line ready[WORDS];
    struct line answered[WORDS];
    uint32_t listings[QUEUES_PRODUCERS_MAX]; /* odd: it is on the list */
};

static struct own *own;

/* The producer's. */
static struct vine_spsc_producer producers[QUEUES_PRODUCERS_MAX];
static bool is_bit_set[QUEUES_PRODUCERS_MAX];
static uint32_t rung[QUEUES_PRODUCERS_MAX]; /* the listing for which we have rung, plus one */

/* The consumer's. */
static struct vine_spsc_consumer consumers[QUEUES_PRODUCERS_MAX];
static uint32_t list[QUEUES_PRODUCERS_MAX];
static uint64_t last_ticks[QUEUES_PRODUCERS_MAX]; /* when it had something, or a little before */
static uint64_t left[WORDS]; /* answered bits of queues that still have something */
static uint32_t list_count, newcomer, turn_count;
static uint64_t now_ticks, idle_ticks;

/* Of both: made before the processes part. */
static int bells[QUEUES_PRODUCERS_MAX], bells_epoll = -1;

static uint32_t word_count(const struct queues *queues)
{
    return (queues->producer_count + 63) / 64;
}

static size_t bytes_own(uint32_t producer_count)
{
    return producer_count * (sizeof(own->slots[0]) + sizeof(own->consumed[0]));
}

static size_t bytes_listed(uint32_t producer_count)
{
    return bytes_own(producer_count) + producer_count * sizeof(own->listings[0]);
}

static size_t bytes_bits(uint32_t producer_count)
{
    return bytes_own(producer_count) + (producer_count + 63) / 64 * 2 * sizeof(struct line);
}

static size_t bytes_bits_listed(uint32_t producer_count)
{
    return bytes_bits(producer_count) + producer_count * sizeof(own->listings[0]);
}

static void format(struct queues *queues)
{
    VINE_STATIC_ASSERT(sizeof(struct own) <= QUEUES_MEMORY_BYTES, "room");
    own = (struct own *)(void *)queues->memory;
    memset(own->slots, 0, queues->producer_count * sizeof(own->slots[0]));
    memset(own->consumed, 0, sizeof(*own) - sizeof(own->slots));
}

static void open_own(struct queues *queues)
{
    own = (struct own *)(void *)queues->memory;
    for (uint32_t n = 0; n < queues->producer_count; n++) {
        bench_check(vine_spsc_producer_init(&producers[n], own->slots[n], QUEUES_OWN_SLOTS,
                                            &own->consumed[n].word),
                    "producer");
        bench_check(vine_spsc_consumer_init(&consumers[n], own->slots[n], QUEUES_OWN_SLOTS,
                                            &own->consumed[n].word),
                    "consumer");
    }
    memset(is_bit_set, 0, sizeof(is_bit_set));
    memset(rung, 0, sizeof(rung));
    memset(left, 0, sizeof(left));
    list_count = newcomer = turn_count = 0;
    now_ticks = vine__clock_ticks();
    idle_ticks = vine__clock_ns_to_ticks(IDLE_NS);
}

/* ---- producers ------------------------------------------------------------------------------- */

static bool push_only(uint32_t producer, const void *message)
{
    return vine__spsc_push(&producers[producer], message, QUEUES_BYTES) == 0;
}

static bool push_own(struct queues *queues, uint32_t producer, const void *message)
{
    if (!push_only(producer, message))
        return false;
    queues_wake(queues);
    return true;
}

/* Q3 comes behind a fence, or behind Q1. */
static void set_bit(uint32_t producer)
{
    const uint32_t word = producer / 64;
    const uint64_t bit = UINT64_C(1) << producer % 64;
    const bool answered = (vine__load_relaxed_u64(&own->answered[word].word) & bit) != 0;

    if (answered != is_bit_set[producer])
        return; /* whoever answers will see our message */
    is_bit_set[producer] = !answered;
    if (answered)
        (void)vine__fetch_and_acq_rel_u64(&own->ready[word].word, ~bit);
    else
        (void)vine__fetch_or_acq_rel_u64(&own->ready[word].word, bit);
}

static bool push_bits(struct queues *queues, uint32_t producer, const void *message)
{
    if (!push_only(producer, message))
        return false;
    vine__fence_full();
    set_bit(producer);
    queues_wake(queues);
    return true;
}

/* Q1: whose queue is on the list need not say anything. */
static uint32_t look_at_listing(uint32_t producer)
{
    vine__compiler_barrier(); /* the other side's membarrier is the fence */
    return vine__load_relaxed_u32(&own->listings[producer]);
}

static bool push_bits_listed(struct queues *queues, uint32_t producer, const void *message)
{
    if (!push_only(producer, message))
        return false;
    if (look_at_listing(producer) % 2 == 0)
        set_bit(producer);
    queues_wake(queues);
    return true;
}

static bool push_bells_listed(struct queues *queues, uint32_t producer, const void *message)
{
    uint32_t listing;

    if (!push_only(producer, message))
        return false;
    listing = look_at_listing(producer);
    if (listing % 2 == 1) {
        queues_wake(queues);
    } else if (rung[producer] != listing + 1) {
        rung[producer] = listing + 1;
        queues->calls++;
        bench_require(eventfd_write(bells[producer], 1) == 0, "bell");
    }
    return true;
}

/* ---- the consumer ---------------------------------------------------------------------------- */

/* Returns how many there were, QUEUES_BURST if there may be more. */
static uint32_t take(struct queues *queues, uint32_t n)
{
    unsigned char message[QUEUES_BYTES] __attribute__((aligned(8)));
    uint32_t count = 0;

    while (count < QUEUES_BURST && vine__spsc_pop(&consumers[n], message) == 0) {
        queues_deliver(queues, message);
        count++;
    }
    return count;
}

static bool has_something(uint32_t n)
{
    return vine__spsc_ready(&consumers[n]) != 0;
}

static void turn_scanned(struct queues *queues)
{
    for (uint32_t n = 0; n < queues->producer_count; n++)
        (void)take(queues, n);
}

static bool is_all_empty(struct queues *queues)
{
    for (uint32_t n = 0; n < queues->producer_count; n++)
        if (has_something(n))
            return false;
    return true;
}

static bool is_listed(uint32_t n)
{
    return own->listings[n] % 2 == 1;
}

static void enlist(uint32_t n)
{
    if (is_listed(n))
        return;
    vine__store_relaxed_u32(&own->listings[n], own->listings[n] + 1);
    list[list_count++] = n;
    last_ticks[n] = now_ticks;
}

/* Take those off the list that had nothing for long, and put back what had something in between.
 * `has_barrier`: producers go by the list. */
static void decay(struct queues *queues, bool has_barrier)
{
    uint32_t kept = 0;
    uint32_t gone;

    now_ticks = vine__clock_ticks();
    for (uint32_t i = 0; i < list_count; i++) {
        const uint32_t n = list[i];

        if (now_ticks - last_ticks[n] > idle_ticks) {
            vine__store_relaxed_u32(&own->listings[n], own->listings[n] + 1);
        } else {
            list[i] = list[kept];
            list[kept++] = n;
        }
    }
    gone = list_count - kept;
    if (gone == 0)
        return;
    if (has_barrier) {
        queues->calls++;
        bench_check(vine__membarrier_all(), "membarrier"); /* between Q2's store and its load */
    }
    list_count = kept;
    for (uint32_t i = kept; i < kept + gone; i++) {
        const uint32_t n = list[i]; /* not behind where enlist writes */

        if (has_something(n))
            enlist(n);
    }
}

static void visit_list(struct queues *queues, bool has_barrier)
{
    for (uint32_t i = 0; i < list_count; i++)
        if (take(queues, list[i]) > 0)
            last_ticks[list[i]] = now_ticks;
    if (++turn_count % LOOK_AROUND == 0)
        decay(queues, has_barrier);
}

static bool is_list_empty(void)
{
    for (uint32_t i = 0; i < list_count; i++)
        if (has_something(list[i]))
            return false;
    return true;
}

/* Where producers say nothing all queues have to be looked at before a sleep. */
static bool is_all_empty_or_listed(struct queues *queues)
{
    bool is_empty = true;

    for (uint32_t n = 0; n < queues->producer_count; n++)
        if (has_something(n)) {
            enlist(n);
            is_empty = false;
        }
    return is_empty;
}

static void turn_listed(struct queues *queues)
{
    visit_list(queues, false);
    for (uint32_t i = 0; i < NEWCOMERS && i < queues->producer_count; i++) {
        newcomer = newcomer + 1 < queues->producer_count ? newcomer + 1 : 0;
        if (!is_listed(newcomer) && has_something(newcomer)) {
            enlist(newcomer);
            (void)take(queues, newcomer);
        }
    }
}

/* The bits that are set, which are answered by this: the queues are looked at afterwards. */
static uint64_t answer(uint32_t word)
{
    const uint64_t ready = vine__load_acquire_u64(&own->ready[word].word);
    const uint64_t set = ready ^ own->answered[word].word;

    if (set == 0)
        return 0;
    vine__store_relaxed_u64(&own->answered[word].word, ready);
    return set;
}

static bool are_bits_empty(struct queues *queues)
{
    for (uint32_t word = 0; word < word_count(queues); word++)
        if ((vine__load_acquire_u64(&own->ready[word].word) ^ own->answered[word].word) != 0 ||
            left[word] != 0)
            return false;
    return true;
}

static void turn_bits(struct queues *queues)
{
    for (uint32_t word = 0; word < word_count(queues); word++) {
        uint64_t set = answer(word);

        if (set != 0)
            vine__fence_full(); /* between the answer and Q4 */
        set |= left[word];
        left[word] = 0;
        for (; set != 0; set &= set - 1)
            if (take(queues, word * 64 + (uint32_t)__builtin_ctzll(set)) == QUEUES_BURST)
                left[word] |= set & -set;
    }
}

static void turn_bits_listed(struct queues *queues)
{
    visit_list(queues, true);
    for (uint32_t word = 0; word < word_count(queues); word++)
        for (uint64_t set = answer(word); set != 0; set &= set - 1) {
            const uint32_t n = word * 64 + (uint32_t)__builtin_ctzll(set);

            enlist(n);
            (void)take(queues, n);
        }
}

static bool are_bits_and_list_empty(struct queues *queues)
{
    return is_list_empty() && are_bits_empty(queues);
}

static void hear_bells(struct queues *queues, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count;

    do {
        queues->calls++;
        count = epoll_wait(bells_epoll, events, EVENTS, timeout_ms);
        for (int i = 0; i < count; i++)
            if (events[i].data.u32 < queues->producer_count)
                enlist(events[i].data.u32);
        timeout_ms = 0;
    } while (count == EVENTS);
}

static void turn_bells_listed(struct queues *queues)
{
    visit_list(queues, true);
    if (turn_count % LOOK_AROUND == 0)
        hear_bells(queues, 0);
}

static bool is_only_list_empty(struct queues *queues)
{
    (void)queues;
    return is_list_empty();
}

static void block_for_bells(struct queues *queues)
{
    hear_bells(queues, -1);
}

/* Told once for each signal: nobody has to read them. */
static void watch_bell(int fd, uint32_t number)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = number};

    bench_require(epoll_ctl(bells_epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

void queues_make_bells(int bell)
{
    bells_epoll = epoll_create1(EPOLL_CLOEXEC);
    bench_require(bells_epoll >= 0, "epoll");
    for (uint32_t n = 0; n < QUEUES_PRODUCERS_MAX; n++) {
        bells[n] = eventfd(0, EFD_CLOEXEC);
        bench_require(bells[n] >= 0, "bells");
        watch_bell(bells[n], n);
    }
    watch_bell(bell, UINT32_MAX);
}

#define OWN(title, memory, pushes, turns, empty, blocks)                                           \
    {                                                                                              \
        .name = "one each, " title, .bytes = memory, .format = format, .open = open_own,           \
        .push = pushes, .turn = turns, .is_empty = empty, .block = blocks                          \
    }

const struct queues_way queues_own[QUEUES_OWN_COUNT] = {
    OWN("scanned", bytes_own, push_own, turn_scanned, is_all_empty, NULL),
    OWN("listed", bytes_listed, push_own, turn_listed, is_all_empty_or_listed, NULL),
    OWN("bits", bytes_bits, push_bits, turn_bits, are_bits_empty, NULL),
    OWN("bits and list", bytes_bits_listed, push_bits_listed, turn_bits_listed,
        are_bits_and_list_empty, NULL),
    OWN("bells and list", bytes_listed, push_bells_listed, turn_bells_listed, is_only_list_empty,
        block_for_bells),
};
