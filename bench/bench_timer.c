/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * Arming and cancelling timers while a million are armed: the wheel of the reactors, a binary heap
 * as event loops have it (a timer knows its place in it, where its time stands), and as the
 * physical limit two cache lines of the same memory, written at random. They play in turns.
 *
 * Cancelling takes a timer out of the wheel, so that its memory could be freed; stopping leaves it
 * where it lies, for later: what that costs the wheel, once in a time-out, is a contest of its own.
 *
 *   bench_timer [ROUNDS]    11 without
 */
#include "bench.h"

#include "core/timer/wheel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TIMERS     1000000u
#define PAIRS      1000000u
#define ROUNDS_MAX 99
#define RANGE_NS   (600 * VINE_NS_PER_SECOND) /* how far ahead the timers are */
#define STEPS      10000u                     /* in which time goes on by that */
#define HUGE_PAGE  (UINT64_C(2) << 20)
#define BAR_NS     20.0

/* What a user's object would hold. */
struct item {
    struct vine_timer timer;
    uint32_t place; /* the heap's timer: where it is in it */
    uint32_t touched;
};

static struct vine__wheel wheel;
static struct vine__wheel lazy_wheel;
static struct item *items;     /* TIMERS that are armed, and as many that are not */
static struct item *lazy;      /* as many in the other wheel, which are never taken out */
static uint64_t lazy_now_ns;   /* the clock of that one, which goes on */
static uint32_t order[PAIRS];  /* which timer a pair is about */
static uint64_t due_ns[PAIRS]; /* when it is due */
static uint64_t base_ns;

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* ---- a binary heap --------------------------------------------------------------------------- */

struct entry {
    uint64_t due_ns;
    struct item *item;
};

static struct entry heap[TIMERS + 1];
static uint32_t heap_count;

static void put(uint32_t place, struct entry entry)
{
    heap[place] = entry;
    entry.item->place = place;
}

static void sift(uint32_t place, struct entry entry)
{
    while (place > 1 && heap[place / 2].due_ns > entry.due_ns) {
        put(place, heap[place / 2]);
        place /= 2;
    }
    for (uint32_t child = 2 * place; child <= heap_count; child = 2 * place) {
        if (child < heap_count && heap[child + 1].due_ns < heap[child].due_ns)
            child++;
        if (heap[child].due_ns >= entry.due_ns)
            break;
        put(place, heap[child]);
        place = child;
    }
    put(place, entry);
}

static void heap_arm(struct item *item, uint64_t at_ns)
{
    sift(++heap_count, (struct entry){at_ns, item});
}

static void heap_cancel(struct item *item)
{
    const struct entry last = heap[heap_count--];

    if (last.item != item)
        sift(item->place, last);
}

/* ---- the contests ---------------------------------------------------------------------------- */

static void wheel_pairs(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        struct item *item = &items[order[n]];

        (void)vine__wheel_cancel(&wheel, &item->timer);
        vine__wheel_arm(&wheel, &item->timer, due_ns[n]);
    }
}

/* One that is armed and cancelled at once, as a time-out that nearly never comes. */
static void wheel_hot_pairs(void)
{
    static struct vine_timer timer;

    for (uint32_t n = 0; n < PAIRS; n++) {
        vine__wheel_arm(&wheel, &timer, due_ns[n]);
        (void)vine__wheel_cancel(&wheel, &timer);
    }
}

/* Any of as many that are not armed: what a request has that ends before its time-out. */
static void wheel_idle_pairs(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        struct vine_timer *timer = &items[TIMERS + order[n]].timer;

        vine__wheel_arm(&wheel, timer, due_ns[n]);
        (void)vine__wheel_cancel(&wheel, timer);
    }
}

/* Each is armed a little later than it is: what an idle time-out does when something came. */
static void wheel_moves(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        struct vine_timer *timer = &items[order[n]].timer;

        vine__wheel_arm(&wheel, timer, timer->due_ns + 1000);
    }
}

/* Each for as far ahead as all: what a connection has, request by request. */
static void stop_pairs(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        struct vine_timer *timer = &lazy[order[n]].timer;

        (void)vine__wheel_stop(timer);
        vine__wheel_arm(&lazy_wheel, timer, lazy_now_ns + RANGE_NS);
    }
}

/* All have been stopped, and armed for after the time that passes now. */
static void put_all_off(void)
{
    for (uint32_t n = 0; n < TIMERS; n++) {
        struct vine_timer *timer = &lazy[n].timer;

        (void)vine__wheel_stop(timer);
        vine__wheel_arm(&lazy_wheel, timer, lazy_now_ns + RANGE_NS + (due_ns[n] - base_ns));
    }
}

static void file_all_anew(void)
{
    for (uint32_t step = 0; step < STEPS; step++) {
        lazy_now_ns += RANGE_NS / STEPS;
        do
            while (vine__wheel_pop_due(&lazy_wheel, lazy_now_ns) != NULL)
                continue;
        while (vine__wheel_next_ns(&lazy_wheel) <= lazy_now_ns);
    }
}

static void heap_pairs(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        heap_cancel(&items[order[n]]);
        heap_arm(&items[order[n]], due_ns[n]);
    }
}

static void touch_two(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        items[order[n]].touched++;
        items[order[PAIRS - 1 - n]].touched++;
    }
}

struct contest {
    const char *name;
    const char *limit; /* NULL: that of most */
    void (*prepare)(void);
    void (*play)(void);
    bool has_bar;
    double ns[ROUNDS_MAX];
};

enum { LIMIT, WHEEL, STOP, LATER, IDLE, HOT, MOVE, HEAP, CONTESTS };
static struct contest contests[CONTESTS] = {
    [LIMIT] = {.name = "two random cache lines, written", .play = touch_two},
    [WHEEL] = {.name = "wheel: cancel and arm, any of them", .play = wheel_pairs, .has_bar = true},
    [STOP] = {.name = "wheel: stop and arm for later, any of them",
              .limit = "a cache miss, the timer's",
              .play = stop_pairs,
              .has_bar = true},
    [LATER] = {.name = "wheel: what stays to be done for each of these, once in a time-out",
               .limit = "cache misses, one after the other: which timer is next, the one before "
                        "it says",
               .prepare = put_all_off,
               .play = file_all_anew},
    [IDLE] = {.name = "wheel: arm and cancel, any of the others",
              .play = wheel_idle_pairs,
              .has_bar = true},
    [HOT] = {.name = "wheel: arm and cancel, one and the same",
             .play = wheel_hot_pairs,
             .has_bar = true},
    [MOVE] = {.name = "wheel: armed for later, any of them", .play = wheel_moves},
    [HEAP] = {.name = "binary heap: cancel and arm, any of them", .play = heap_pairs},
};

/* Anew for each contest of each round: a sequence that is played twice finds the neighbours of a
 * timer where it has just been, and no cache missing. */
static void draw(void)
{
    for (uint32_t n = 0; n < PAIRS; n++) {
        order[n] = (uint32_t)(next_random() % TIMERS);
        due_ns[n] = base_ns + next_random() % RANGE_NS;
    }
}

static double play(const struct contest *contest)
{
    draw();
    if (contest->prepare != NULL)
        contest->prepare();

    const uint64_t begin_ns = bench_now_ns();

    contest->play();
    return (double)(bench_now_ns() - begin_ns) / PAIRS;
}

static void arm_all(bool is_huge)
{
    const size_t size = (3 * TIMERS * sizeof(struct item) + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    char *memory =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    bench_require(memory != MAP_FAILED, "memory");
    memory += -(uintptr_t)memory & (HUGE_PAGE - 1);
    (void)madvise(memory, size, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    items = (struct item *)(void *)memory;
    lazy = items + 2 * TIMERS;
    memset(items, 0, 3 * TIMERS * sizeof(*items));
    base_ns = bench_now_ns();
    lazy_now_ns = base_ns;
    vine__wheel_init(&wheel, 1024, base_ns);
    vine__wheel_init(&lazy_wheel, 1024, base_ns);
    heap_count = 0;
    for (uint32_t n = 0; n < TIMERS; n++) {
        const uint64_t at_ns = base_ns + next_random() % RANGE_NS;

        vine__wheel_arm(&wheel, &items[n].timer, at_ns);
        vine__wheel_arm(&lazy_wheel, &lazy[n].timer, at_ns);
        heap_arm(&items[n], at_ns);
    }
}

static void print(const struct contest *contest, uint32_t rounds)
{
    struct bench_row row = {
        .limit = contest->limit != NULL
                     ? contest->limit
                     : "cache misses: a pair writes the timer and its two neighbours, and the "
                       "first that comes of them waits for the timer's"};
    double ratios[ROUNDS_MAX];
    double sorted[ROUNDS_MAX];

    for (uint32_t n = 0; n < rounds; n++)
        ratios[n] = contest->ns[n] / contests[LIMIT].ns[n];
    memcpy(sorted, contest->ns, sizeof(sorted));

    const double ns = bench_median(sorted, rounds);

    (void)snprintf(row.what, sizeof(row.what), "%s", contest->name);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f ns", ns);
    if (contest != &contests[LIMIT]) {
        (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f", bench_median(ratios, rounds));
        (void)snprintf(row.beside, sizeof(row.beside), "two cache lines");
    }
    if (contest->has_bar) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ns", BAR_NS);
        row.is_met = ns <= BAR_NS;
    }
    bench_table_row(&row);
}

static void run(bool is_huge, uint32_t rounds)
{
    char note[512];

    arm_all(is_huge);
    for (uint32_t round = 0; round <= rounds; round++)
        for (size_t n = 0; n < CONTESTS; n++)
            contests[n].ns[round > 0 ? round - 1 : 0] = play(&contests[n]);
    (void)snprintf(note, sizeof(note),
                   "%u timers are armed at random in the next %llu s, and as many others are not, "
                   "each in %zu bytes, in %s pages. Medians of %u interleaved rounds of %u pairs.",
                   TIMERS, (unsigned long long)(RANGE_NS / VINE_NS_PER_SECOND), sizeof(struct item),
                   is_huge ? "huge" : "small", rounds, PAIRS);
    bench_table_begin(is_huge ? "Timers, huge pages" : "Timers", note);
    for (size_t n = 0; n < CONTESTS; n++)
        print(&contests[n], rounds);
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds_asked = asked != NULL ? strtol(asked, NULL, 10) : 11;
    const uint32_t rounds = (uint32_t)rounds_asked;

    bench_require(rounds_asked >= 1 && rounds_asked <= ROUNDS_MAX, "rounds");
    bench_pin(1);
    run(false, rounds);
    run(true, rounds);
    return 0;
}
