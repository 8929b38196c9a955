/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes of different pid namespaces that take one line, each stopped by ptrace wherever it
 * is about to change shared memory (at each locked instruction), for as long as the other likes:
 * every order of their first steps, and the death of one at each of them.
 */
#include "stepped.h"

#include <sys/user.h>

#define FIRST_SCOPE  111
#define SECOND_SCOPE 222
#define TURNS        5 /* whose turn it is in an order; then each goes on to its end */

/* No process has such a pid: each is dead for its own scope, and not for the other to judge. */
static const struct vine__identity takers[2] = {
    {.pid = 4000001, .start_ticks = 77, .scope = FIRST_SCOPE},
    {.pid = 4000002, .start_ticks = 88, .scope = SECOND_SCOPE},
};
static const struct vine__identity fellow_of_the_first = {
    .pid = 4000003, .start_ticks = 99, .scope = FIRST_SCOPE};

struct scene {
    struct vine__segment_holder line;
    int32_t results[2];
};

static struct scene *scene;

#if defined(__x86_64__)
static bool is_stoppable(void)
{
    return true;
}

static bool is_before_a_lock(pid_t pid)
{
    errno = 0;
    const long rip = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL);
    const long bytes = ptrace(PTRACE_PEEKTEXT, pid, rip, NULL);
    assert_int_equal(errno, 0);
    return (bytes & 0xff) == 0xf0;
}
#else
/* An exclusive store fails after each step, so that a loop of them never ends. */
static bool is_stoppable(void)
{
    return false;
}

static bool is_before_a_lock(pid_t pid)
{
    (void)pid;
    return false;
}
#endif

static void take(int which)
{
    struct vine__segment_holder_state before;

    scene->results[which] = vine__segment_holder_take(&scene->line, &takers[which], &before);
}

/* On to where it is about to change something once more, or to its end. */
static void step_to_a_change(struct stepped *taker)
{
    do {
        step_on(taker, PTRACE_SINGLESTEP);
    } while (!taker->has_ended && !is_before_a_lock(taker->pid));
}

static void set_scene(const struct vine__identity *holder)
{
    *scene = (struct scene){.results = {1, 1}};
    if (holder == NULL)
        return;
    scene->line.word = vine__segment_word(holder);
    scene->line.scope = holder->scope;
}

static void run_in_order(unsigned int order)
{
    struct stepped both[2] = {start_stepped(take, 0), start_stepped(take, 1)};

    for (int turn = 0; !both[0].has_ended || !both[1].has_ended; turn++) {
        assert_true(turn < TURNS + 2 * STOPS_MAX);
        const int which = turn < TURNS ? (int)(order >> turn & 1) : 0;
        step_to_a_change(&both[both[which].has_ended ? !which : which]);
    }
    kill_stepped(&both[0]);
    kill_stepped(&both[1]);
}

static int prepare(void **state)
{
    (void)state;
    scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return scene == MAP_FAILED;
}

static void skip_unless_stoppable(void)
{
    skip_if_emulated("traces nothing");
    if (is_stoppable())
        return;
    print_message("skipped: what changes memory cannot be stepped here\n");
    skip();
}

static void of_two_namespaces_one_takes_a_free_line_whoever_is_stopped(void **state)
{
    (void)state;
    skip_unless_stoppable();
    for (unsigned int order = 0; order < 1U << TURNS; order++) {
        set_scene(NULL);
        run_in_order(order);
        const int winner = scene->results[0] == 0 ? 0 : 1;
        assert_int_equal(scene->results[winner], 0);
        assert_int_equal(scene->results[!winner], -EBUSY);
        assert_int_equal(scene->line.word, vine__segment_word(&takers[winner]));
        assert_int_equal(scene->line.scope, takers[winner].scope);
        assert_int_equal(scene->line.claims, 1);
    }
}

static void whose_scope_the_dead_was_of_replaces_it_whoever_is_stopped(void **state)
{
    (void)state;
    skip_unless_stoppable();
    for (unsigned int order = 0; order < 1U << TURNS; order++) {
        set_scene(&fellow_of_the_first);
        run_in_order(order);
        assert_int_equal(scene->results[0], 0);
        assert_int_equal(scene->results[1], -EBUSY);
        assert_int_equal(scene->line.word, vine__segment_word(&takers[0]));
        assert_int_equal(scene->line.scope, FIRST_SCOPE);
    }
}

static void who_dies_while_it_takes_a_line_is_replaced_by_its_like_and_no_other(void **state)
{
    (void)state;
    skip_unless_stoppable();
    bool has_ended = false;

    for (int stops = 0; !has_ended; stops++) {
        struct vine__segment_holder_state before;
        assert_true(stops < STOPS_MAX);
        set_scene(NULL);
        struct stepped first = start_stepped(take, 0);
        for (int i = 0; i < stops && !first.has_ended; i++)
            step_to_a_change(&first);
        has_ended = first.has_ended;
        kill_stepped(&first);

        const bool was_there = scene->line.word != 0;
        assert_true(was_there || !has_ended);
        assert_int_equal(vine__segment_holder_take(&scene->line, &takers[1], &before),
                         was_there ? -EBUSY : 0);
        assert_int_equal(vine__segment_holder_take(&scene->line, &fellow_of_the_first, &before),
                         was_there ? 0 : -EBUSY);
        assert_int_equal(before.state, was_there ? VINE_SEGMENT_DEAD : VINE_SEGMENT_ALIVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_namespaces_one_takes_a_free_line_whoever_is_stopped),
        cmocka_unit_test(whose_scope_the_dead_was_of_replaces_it_whoever_is_stopped),
        cmocka_unit_test(who_dies_while_it_takes_a_line_is_replaced_by_its_like_and_no_other),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
