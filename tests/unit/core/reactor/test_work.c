/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/stepped.h"

#include <errno.h>
#include <string.h>

#include "utils/container_of.h"

#define MANY 500

struct note {
    struct vine_work work;
    int number;
};

static struct stepped world;
static int noted[4 * MANY];
static int noted_count;

static int set_up(void **state)
{
    (void)state;
    noted_count = 0;
    stepped_open(&world, 1, 1, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static struct note *note_of(struct vine_work *work)
{
    return VINE_CONTAINER_OF(work, struct note, work);
}

static void write_down(struct vine_work *work)
{
    noted[noted_count++] = note_of(work)->number;
}

static void work_never_runs_within_the_call_that_posts_it(void **state)
{
    struct note note = {.number = 7};

    (void)state;
    vine_work_init(&note.work, write_down);
    vine_work_post(&note.work);
    assert_int_equal(noted_count, 0);
    stepped_settle(&world);
    assert_int_equal(noted_count, 1);
    assert_int_equal(noted[0], 7);
}

static void work_runs_in_the_order_in_which_it_was_posted(void **state)
{
    struct note notes[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        notes[i].number = i;
        vine_work_init(&notes[i].work, write_down);
        vine_work_post(&notes[i].work);
    }
    stepped_settle(&world);
    assert_int_equal(noted_count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(noted[i], i);
}

static void work_that_is_posted_twice_runs_once(void **state)
{
    struct note note = {0};

    (void)state;
    vine_work_init(&note.work, write_down);
    vine_work_post(&note.work);
    vine_work_post(&note.work);
    stepped_settle(&world);
    assert_int_equal(noted_count, 1);
    vine_work_post(&note.work);
    stepped_settle(&world);
    assert_int_equal(noted_count, 2);
}

static void post_again(struct vine_work *work)
{
    if (++note_of(work)->number < MANY)
        vine_work_post(work);
}

static void work_may_post_itself(void **state)
{
    struct note note = {0};

    (void)state;
    vine_work_init(&note.work, post_again);
    vine_work_post(&note.work);
    stepped_settle(&world);
    assert_int_equal(note.number, MANY);
}

static void work_without_end(struct vine_work *work)
{
    world.clock_ns += 1000;
    note_of(work)->number++;
    vine_work_post(work);
}

/* A turn ends all the same: the loop has other things to see to. */
static void a_turn_ends_though_work_does_not(void **state)
{
    struct note note = {0};

    (void)state;
    vine_work_init(&note.work, work_without_end);
    vine_work_post(&note.work);
    for (int i = 0; i < 3; i++)
        assert_true(stepped_step(&world, 0));
    assert_true(note.number >= 3);
}

static void run_until_told(struct vine_work *work)
{
    assert_false(vine_need_preempt());
    while (!vine_need_preempt()) {
        world.clock_ns += 1000;
        note_of(work)->number++;
    }
}

static void work_is_told_when_its_part_of_the_turn_is_used(void **state)
{
    struct note note = {0};

    (void)state;
    vine_work_init(&note.work, run_until_told);
    vine_work_post(&note.work);
    stepped_settle(&world);
    assert_int_equal(note.number, 500); /* half a millisecond */
}

static void with_a_seed_work_runs_in_another_order_and_all_of_it(void **state)
{
    const struct vine__mesh_options options = {.shuffle_seed = 42};
    struct note notes[MANY];
    bool seen[MANY] = {false};
    bool is_in_order = true;

    (void)state;
    stepped_close(&world);
    stepped_open(&world, 1, 1, &options);
    for (int i = 0; i < MANY; i++) {
        notes[i].number = i;
        vine_work_init(&notes[i].work, write_down);
        vine_work_post(&notes[i].work);
    }
    stepped_settle(&world);
    assert_int_equal(noted_count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_false(seen[noted[i]]);
        seen[noted[i]] = true;
        is_in_order &= noted[i] == i;
    }
    assert_false(is_in_order);
}

static int64_t write_down_call(void *number)
{
    noted[noted_count++] = *(int *)number;
    return 0;
}

static void see_end_of_call(struct vine_core_call *call)
{
    (void)call;
}

static void with_a_seed_calls_from_one_core_to_another_still_begin_in_order(void **state)
{
    const struct vine__mesh_options options = {.shuffle_seed = 42};
    struct vine_core_call calls[MANY];
    int numbers[MANY];

    (void)state;
    stepped_close(&world);
    stepped_open(&world, 1, 1, &options);
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
        vine_core_call(&calls[i], 0, write_down_call, &numbers[i], see_end_of_call);
    }
    stepped_settle(&world);
    assert_int_equal(noted_count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(noted[i], i);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct vine_group group_of(const char *name, uint32_t shares, struct vine_group parent,
                                  uint32_t flags)
{
    struct vine_group group;

    assert_int_equal(vine_group_create(name, shares, parent, flags, &group), 0);
    return group;
}

static void groups_that_cannot_be_are_refused(void **state)
{
    const struct vine_group main_group = {0};
    const struct vine_group nobody = {.id = 9};
    struct vine_group group = {.id = 77};

    (void)state;
    assert_int_equal(vine_group_create(NULL, 1, main_group, 0, &group), -EINVAL);
    assert_int_equal(vine_group_create("a", 0, main_group, 0, &group), -EINVAL);
    assert_int_equal(vine_group_create("a", VINE_SHARES_MAX + 1, main_group, 0, &group), -EINVAL);
    assert_int_equal(vine_group_create("a", 1, nobody, 0, &group), -EINVAL);
    assert_int_equal(vine_group_create("a", 1, main_group, 8, &group), -EINVAL);
    assert_int_equal(group.id, 77);

    const struct vine_group plain = group_of("plain", 1, main_group, 0);
    const struct vine_group holder = group_of("holder", 1, main_group, VINE_GROUP_HOLDS);

    assert_int_equal(vine_group_create("a", 1, plain, 0, &group), -EINVAL);
    assert_int_equal(vine_group_create("a", 1, holder, VINE_GROUP_HOLDS, &group), -EINVAL);
    for (int i = 3; i < VINE_GROUPS_MAX; i++)
        (void)group_of("more", 1, main_group, 0);
    assert_int_equal(vine_group_create("a", 1, main_group, 0, &group), -ENOSPC);
}

#define BURN_NS 20000ULL

struct burner {
    struct vine_work work;
    uint64_t burnt_ns;
};

/* Takes its time, and comes again. */
static void burn(struct vine_work *work)
{
    VINE_CONTAINER_OF(work, struct burner, work)->burnt_ns += BURN_NS;
    world.clock_ns += BURN_NS;
    vine_work_post(work);
}

static void start_burner(struct burner *burner, struct vine_group group)
{
    *burner = (struct burner){0};
    vine_work_init(&burner->work, burn);
    vine_work_set_group(&burner->work, group);
    vine_work_post(&burner->work);
}

/* Until all of them together have had that much. */
static void run_burners(const struct burner *burners, int count, uint64_t until_ns)
{
    uint64_t burnt_ns;

    do {
        (void)stepped_step(&world, 0);
        burnt_ns = 0;
        for (int i = 0; i < count; i++)
            burnt_ns += burners[i].burnt_ns;
    } while (burnt_ns < until_ns);
}

static double part(const struct burner *one, const struct burner *other)
{
    return (double)one->burnt_ns / (double)(one->burnt_ns + other->burnt_ns);
}

static void groups_get_time_by_their_shares(void **state)
{
    const struct vine_group parent = {0};
    struct burner burners[2];

    (void)state;
    start_burner(&burners[0], group_of("one", 100, parent, 0));
    start_burner(&burners[1], group_of("three", 300, parent, 0));
    run_burners(burners, 2, 5000 * BURN_NS);
    assert_true(part(&burners[1], &burners[0]) > 0.74);
    assert_true(part(&burners[1], &burners[0]) < 0.76);
}

static void a_nested_level_divides_what_its_holder_gets(void **state)
{
    const struct vine_group parent = {0};
    struct burner burners[3];

    (void)state;
    const struct vine_group holder = group_of("holder", 100, parent, VINE_GROUP_HOLDS);

    start_burner(&burners[0], group_of("outside", 100, parent, 0));
    start_burner(&burners[1], group_of("inside, one", 100, holder, 0));
    start_burner(&burners[2], group_of("inside, three", 300, holder, 0));
    run_burners(burners, 3, 5000 * BURN_NS);
    const struct burner inside = {.burnt_ns = burners[1].burnt_ns + burners[2].burnt_ns};

    assert_true(part(&burners[0], &inside) > 0.49 && part(&burners[0], &inside) < 0.51);
    assert_true(part(&burners[2], &burners[1]) > 0.74 && part(&burners[2], &burners[1]) < 0.76);
}

/* Having slept is no credit: who comes back shares from then on. */
static void a_group_that_comes_late_is_owed_nothing(void **state)
{
    const struct vine_group parent = {0};
    struct burner burners[2];

    (void)state;
    const struct vine_group late = group_of("late", 100, parent, 0);

    start_burner(&burners[0], group_of("early", 100, parent, 0));
    run_burners(burners, 1, 2000 * BURN_NS);
    burners[0].burnt_ns = 0;
    start_burner(&burners[1], late);
    run_burners(burners, 2, 2000 * BURN_NS);
    assert_true(part(&burners[1], &burners[0]) > 0.48);
    assert_true(part(&burners[1], &burners[0]) < 0.52);
}

static struct vine_group seen_group;

static void see_group(struct vine_work *work)
{
    (void)work;
    seen_group = vine_group_current();
}

static void work_runs_in_the_group_of_who_prepared_it(void **state)
{
    const struct vine_group parent = {0};
    const struct vine_group group = group_of("mine", 10, parent, 0);
    struct vine_work work;

    (void)state;
    vine_work_init(&work, see_group);
    vine_work_set_group(&work, group);
    vine_work_post(&work);
    stepped_settle(&world);
    assert_int_equal(seen_group.id, group.id);
    assert_int_equal(vine_group_current().id, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(work_never_runs_within_the_call_that_posts_it),
        TEST(work_runs_in_the_order_in_which_it_was_posted),
        TEST(work_that_is_posted_twice_runs_once),
        TEST(work_may_post_itself),
        TEST(a_turn_ends_though_work_does_not),
        TEST(work_is_told_when_its_part_of_the_turn_is_used),
        TEST(with_a_seed_work_runs_in_another_order_and_all_of_it),
        TEST(with_a_seed_calls_from_one_core_to_another_still_begin_in_order),
        TEST(groups_that_cannot_be_are_refused),
        TEST(groups_get_time_by_their_shares),
        TEST(a_nested_level_divides_what_its_holder_gets),
        TEST(a_group_that_comes_late_is_owed_nothing),
        TEST(work_runs_in_the_group_of_who_prepared_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
