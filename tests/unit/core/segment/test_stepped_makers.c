/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A maker that is stopped by ptrace before and after each of its system calls, while another one
 * makes a segment under the same name; and one that is killed there.
 */
#include "stepped.h"

/* What a maker may find under the name. */
enum found { NOTHING, AN_EMPTY_FILE, A_FEW_BYTES, A_FOREIGN_FILE, FOUND_COUNT };

static int *result_of_child;
static bool child_truncates;

static struct vine_segment_options appliance_options(bool truncates)
{
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);

    options.truncate = truncates;
    return options;
}

static void make(int which)
{
    const struct vine_segment_options options = appliance_options(child_truncates);
    struct vine_segment *segment = NULL;
    int error = vine_segment_create(&options, &segment, NULL);

    (void)which;
    if (error == 0)
        error = vine_segment_publish(segment);
    *result_of_child = error;
}

static void put(enum found found)
{
    (void)unlink(segment_path);
    if (found == AN_EMPTY_FILE)
        put_file("", 0, 0);
    else if (found == A_FEW_BYTES)
        put_file("words", 5, 0);
    else if (found == A_FOREIGN_FILE)
        put_file("words", 5, VINE__SEGMENT_HEADER_BYTES);
}

/* Without `truncate`, what is there and no segment is refused by all. */
static bool is_wanted(enum found found, bool truncates)
{
    return truncates || found == NOTHING || found == AN_EMPTY_FILE;
}

/* Start a maker and stop it `stops` times. */
static struct stepped start_maker(enum found found, bool truncates, int stops)
{
    put(found);
    *result_of_child = 1;
    child_truncates = truncates;

    struct stepped maker = start_stepped(make, 0);
    assert_true(stops < STOPS_MAX);
    for (int i = 0; i < stops && !maker.has_ended; i++)
        step_on(&maker, PTRACE_SYSCALL);
    return maker;
}

static void assert_is_whole(struct vine_segment *segment)
{
    struct vine__segment_header *const header = vine_segment_base(segment);
    struct vine_segment_presence presence;
    struct vine_segment_facts facts;
    struct stat status;

    vine_segment_facts(segment, &facts);
    assert_int_equal(fstat(vine_segment_fd(segment), &status), 0);
    assert_true((uint64_t)status.st_size >= vine_segment_size(segment));
    assert_int_equal(header->magic, VINE__SEGMENT_MAGIC);
    assert_int_equal(header->status, VINE__SEGMENT_STATUS_INITIALIZED);
    assert_int_equal(header->generation, facts.generation);
    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLIANCE, &presence), 0);
    assert_int_equal(presence.pid, getpid());
}

static void make_beside_a_stopped_maker(enum found found, bool child_does, bool we_do)
{
    bool has_ended = false;

    for (int stops = 0; !has_ended; stops++) {
        struct stepped maker = start_maker(found, child_does, stops);
        has_ended = maker.has_ended;

        const struct vine_segment_options options = appliance_options(we_do);
        struct vine_segment_report report = {0};
        struct vine_segment *segment = NULL;
        int error = vine_segment_create(&options, &segment, &report);
        if (error == 0)
            error = vine_segment_publish(segment);
        while (!maker.has_ended)
            step_on(&maker, PTRACE_CONT);

        if (error != 0)
            assert_int_equal(error, -EBUSY);
        assert_int_equal(*result_of_child, error == 0 ? -EBUSY : 0);
        if (error == 0)
            assert_is_whole(segment);
        vine_segment_unref(segment);
        kill_stepped(&maker);
    }
}

static void of_two_makers_one_makes_it_wherever_the_other_is_stopped(void **state)
{
    (void)state;
    skip_if_emulated("traces nothing");
    for (enum found found = NOTHING; found < FOUND_COUNT; found++) {
        for (int truncates = 0; truncates < 4; truncates++) {
            const bool child_does = (truncates & 1) != 0;
            const bool we_do = (truncates & 2) != 0;
            if (is_wanted(found, child_does) && is_wanted(found, we_do))
                make_beside_a_stopped_maker(found, child_does, we_do);
        }
    }
}

static void after_a_maker_that_died_anywhere_a_segment_can_be_made(void **state)
{
    (void)state;
    skip_if_emulated("traces nothing");
    for (enum found found = NOTHING; found < FOUND_COUNT; found++) {
        bool has_ended = false;
        for (int stops = 0; !has_ended; stops++) {
            const struct stepped maker = start_maker(found, true, stops);
            has_ended = maker.has_ended;
            kill_stepped(&maker);

            const struct vine_segment_options options = appliance_options(true);
            struct vine_segment *const segment = create_published(&options);
            assert_is_whole(segment);
            vine_segment_unref(segment);
        }
    }
}

static int prepare(void **state)
{
    result_of_child = mmap(NULL, sizeof(*result_of_child), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return result_of_child == MAP_FAILED ? -1 : make_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_makers_one_makes_it_wherever_the_other_is_stopped),
        cmocka_unit_test(after_a_maker_that_died_anywhere_a_segment_can_be_made),
    };
    return cmocka_run_group_tests(tests, prepare, remove_folder);
}
