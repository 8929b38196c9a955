/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=900 */
/*
 * Processes that make, enter, leave and are killed while they do, on one named segment.
 *
 * Faults: SIGKILL at any moment, from outside. What must hold: one process at most is on a side;
 * a segment does not change under who is in it; an error is one of those that say "not now"; and
 * afterwards a segment can be made there again.
 */
#include "segment_tests.h"

#include "arch/clock/clock.h"
#include "arch/peer/process.h"
#include "utils/atomic.h"

#include <sched.h>

#define PROCESSES  3
#define KILLS      400
#define ENOUGH_NS  (20 * VINE_NS_PER_SECOND) /* fewer kills will do where they take long */
#define KILLS_LONG 10000
#define YIELDS_MAX 24
#define PID_MASK   ((UINT64_C(1) << VINE__SEGMENT_WORD_PID_BITS) - 1)

/* What the processes know of each other apart from the segment. */
struct board {
    uint64_t inside[2]; /* who believes to be on a side, as an attach word */
    uint64_t entered;
    uint64_t made;
    uint64_t refused;
    uint32_t is_violated;
    char violation[2 * VINE_SEGMENT_WHY_MAX];
};

static struct board *board;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void violate(const char *what, int detail)
{
    if (vine__fetch_add_acq_rel_u32(&board->is_violated, 1) == 0)
        (void)snprintf(board->violation, sizeof(board->violation), "%s (%d)", what, detail);
}

static void be_inside(struct vine_segment *segment, int line, uint64_t self, uint64_t *random)
{
    const struct vine__segment_header *const header = vine_segment_base(segment);
    const uint64_t generation = vine__load_acquire_u64(&header->generation);
    const uint64_t before = vine__exchange_acq_rel_u64(&board->inside[line], self);

    if (before != 0 &&
        vine__process_is_alive((pid_t)(before & PID_MASK), before >> VINE__SEGMENT_WORD_PID_BITS))
        violate("two processes on one side", line);
    for (uint64_t i = next_random(random) % 8; i > 0; i--) {
        (void)sched_yield();
        if (vine__load_acquire_u64(&header->generation) != generation)
            violate("made anew under somebody", line);
    }
    if (vine__load_acquire_u64(&header->sides[line].word) != self)
        violate("an attach word was lost", line);
    uint64_t expected = self;
    if (!vine__compare_exchange_acq_rel_u64(&board->inside[line], &expected, 0))
        violate("somebody came while we were inside", line);
}

static void live(uint64_t seed)
{
    struct vine__identity identity;
    uint64_t random = seed;
    vine__identity_of_self(&identity);
    const uint64_t self = vine__segment_word(&identity);

    for (;;) {
        struct vine_segment *segment = NULL;
        struct vine_segment_report report;
        const bool creates = next_random(&random) % 4 == 0;
        const int line = next_random(&random) % 4 == 0 ? creates ? 0 : 1 : creates ? 1 : 0;
        struct vine_segment_options options =
            file_options(line == 0 ? VINE_SEGMENT_APPLICATION : VINE_SEGMENT_APPLIANCE);
        options.truncate = next_random(&random) % 2 == 0;
        int error = creates ? vine_segment_create(&options, &segment, &report)
                            : vine_segment_attach(&options, &segment, &report);
        if (error == 0 && creates) {
            (void)vine__fetch_add_relaxed_u64(&board->made, 1);
            if (next_random(&random) % 8 != 0)
                error = vine_segment_publish(segment);
        }
        if (error == 0) {
            (void)vine__fetch_add_relaxed_u64(&board->entered, 1);
            be_inside(segment, line, self, &random);
        } else if (error == -EBUSY || error == -ENOENT || error == -VINE_EINITIALIZING ||
                   error == -VINE_ECORRUPT || error == -VINE_ETRUNCATED) {
            (void)vine__fetch_add_relaxed_u64(&board->refused, 1);
        } else {
            violate(report.why, error);
        }
        vine_segment_unref(segment);
    }
}

static pid_t start(uint64_t seed)
{
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        live(seed);
    }
    assert_true(child > 0);
    return child;
}

static void sides_are_exclusive_whoever_dies_whenever(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    const char *const seed_text = getenv("VINE_TEST_SEED");
    const bool is_long = getenv("VINE_TEST_LONG") != NULL;
    const int kills = is_long ? KILLS_LONG : KILLS;
    uint64_t random = (uint64_t)getpid();
    pid_t children[PROCESSES];

    if (seed_text != NULL)
        random = strtoull(seed_text, NULL, 0);
    random += random == 0;
    print_message("seed %llu\n", (unsigned long long)random);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(board, MAP_FAILED);
    for (int i = 0; i < PROCESSES; i++)
        children[i] = start(next_random(&random));
    const uint64_t start_ns = vine__clock_now_ns();
    int killed = 0;

    while (killed < kills && vine__load_acquire_u32(&board->is_violated) == 0) {
        if (!is_long && killed >= KILLS / 8 && vine__clock_now_ns() - start_ns > ENOUGH_NS)
            break;
        killed++;

        const size_t victim = next_random(&random) % PROCESSES;
        for (uint64_t yields = next_random(&random) % YIELDS_MAX; yields > 0; yields--)
            (void)sched_yield();
        assert_int_equal(kill(children[victim], SIGKILL), 0);
        /* Mostly a zombie for a while, sometimes gone at once. */
        if (next_random(&random) % 2 == 0)
            (void)sched_yield();
        assert_int_equal(waitpid(children[victim], NULL, 0), children[victim]);
        children[victim] = start(next_random(&random));
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(kill(children[i], SIGKILL), 0);
        assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
    }
    print_message("%llu made, %llu entered, %llu refused, %d killed\n",
                  (unsigned long long)board->made, (unsigned long long)board->entered,
                  (unsigned long long)board->refused, killed);
    if (vine__load_acquire_u32(&board->is_violated) != 0)
        fail_msg("%s", board->violation);
    assert_true(board->entered > 0);

    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment_report report;
    vine_segment_unref(create_published(&options));
    assert_int_equal(vine_segment_remove(&options, &report), 0);
    assert_int_equal(munmap(board, sizeof(*board)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_are_exclusive_whoever_dies_whenever),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
