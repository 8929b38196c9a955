/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

#include "utils/atomic.h"

/* A path that nobody can have made. */
#define NOBODY "/proc/self/nobody/socket"

static void nobody_listening_is_no_appliance(void **state)
{
    (void)state;
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(NOBODY, NULL, &pipe), -VINE_ENOAPPLIANCE);
    assert_null(pipe);
}

static char told[512];

static void take_log(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    (void)level;
    (void)snprintf(told, sizeof told, "%s", message);
}

static void why_a_pipe_cannot_be_opened_is_logged(void **state)
{
    (void)state;
    struct vine_pipe *pipe = NULL;
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .log = take_log};

    told[0] = 0;
    assert_int_equal(vine_pipe_open(NOBODY, &options, &pipe), -VINE_ENOAPPLIANCE);
    assert_non_null(strstr(told, NOBODY));
}

static void options_of_a_later_version_are_refused(void **state)
{
    (void)state;
    struct vine_pipe *pipe = NULL;
    const struct vine_pipe_options options = {.size_bytes = sizeof options + 8};

    assert_int_equal(vine_pipe_open(NOBODY, &options, &pipe), -EINVAL);
}

static void limits_are_the_smaller_of_wish_and_grant(void **state)
{
    (void)state;
    struct served served;
    struct vine_pipe_limits limits;
    const struct vine_appliance_options grant = {
        .size_bytes = sizeof grant, .channels_max = 4, .tasks_max = 50};
    const struct vine_pipe_options wish = {
        .size_bytes = sizeof wish, .channels_max = 9, .tasks_max = 7, .memory_max_bytes = 1u << 20};

    served_start(&served, &grant, 0);
    struct vine_pipe *pipe = served_open(&served, &wish);
    vine_pipe_get_limits(pipe, &limits);
    assert_int_equal(limits.channels_max, 4);
    assert_int_equal(limits.tasks_max, 7);
    assert_int_equal(limits.memory_max_bytes, 1u << 20);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void an_open_pipe_is_fine_and_has_nothing_to_take(void **state)
{
    (void)state;
    struct served served;

    served_start(&served, NULL, 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_pipe_status(pipe), 0);
    assert_int_equal(vine_pipe_poll(pipe), 0);
    vine_pipe_close(pipe);
    vine_pipe_close(NULL);
    served_stop(&served);
}

static void unknown_procedures_are_told(void **state)
{
    (void)state;
    struct served served;
    struct vine_procedure *procedure = NULL;

    served_start(&served, NULL, 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_procedure_get(pipe, "nothing", &procedure), -VINE_EPROCEDURE);
    assert_int_equal(vine_procedure_get(pipe, "", &procedure), -VINE_EPROCEDURE);
    assert_int_equal(vine_procedure_get(pipe, "a_name_of_more_than_thirty_one_bytes", &procedure),
                     -VINE_EPROCEDURE);
    assert_null(procedure);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void a_procedure_is_described_as_it_was_registered(void **state)
{
    (void)state;
    struct served served;

    served_start(&served, NULL, 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_procedure *many = served_get(pipe, "many");
    const struct vine_procedure_info *info = vine_procedure_describe(many);
    assert_ptr_equal(served_get(pipe, "many"), many);
    assert_string_equal(info->name, "many");
    assert_string_equal(info->accelerator_type, "cpu");
    assert_true(info->copies_arguments);
    assert_false(info->has_sessions);
    assert_int_equal(info->argument_count, 6);
    assert_string_equal(info->arguments[0].name, "in");
    assert_int_equal(info->arguments[0].kind, VINE_INPUT);
    assert_int_equal(info->arguments[0].data_type, VINE_TYPE_U32);
    assert_int_equal(info->arguments[0].min, 4);
    assert_int_equal(info->arguments[0].max, 1024);
    assert_string_equal(info->arguments[5].name, "result");
    assert_string_equal(vine_procedure_describe(served_get(pipe, "noop"))->summary, "does nothing");
    assert_true(vine_procedure_describe(served_get(pipe, "sum"))->has_sessions);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void all_procedures_are_listed_and_counted(void **state)
{
    (void)state;
    struct served served;
    struct vine_procedure *found[2] = {NULL, NULL};

    served_start(&served, NULL, 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_procedure_list(pipe, NULL, 0), SERVED_PROCEDURES);
    assert_int_equal(vine_procedure_list(pipe, found, 2), SERVED_PROCEDURES);
    assert_string_equal(vine_procedure_describe(found[0])->name, "noop");
    assert_string_equal(vine_procedure_describe(found[1])->name, "gate");
    assert_ptr_equal(served_get(pipe, "noop"), found[0]);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* More than the first question has room for. */
static void a_long_list_is_asked_for_again(void **state)
{
    (void)state;
    static struct vine_procedure_definition definitions[300];
    static char names[300][16];
    struct served served;

    served_start(&served, NULL, 0);
    for (size_t i = 0; i < 300; i++) {
        (void)snprintf(names[i], sizeof names[i], "p%zu", i);
        definitions[i] = served_procedures[0];
        definitions[i].name = names[i];
        assert_int_equal(vine_appliance_register(served.appliance, &definitions[i]), 0);
    }
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_procedure_list(pipe, NULL, 0), 300 + SERVED_PROCEDURES);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void a_call_takes_bytes_and_brings_bytes(void **state)
{
    (void)state;
    struct served served;
    char output[16] = {0};
    size_t size = 0;

    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_pipe_call(pipe, "turn", "Vine", 4, output, sizeof output, &size), 0);
    assert_int_equal(size, 4);
    assert_memory_equal(output, "vINE", 4);
    assert_int_equal(vine_pipe_call(pipe, "turn", NULL, 0, output, sizeof output, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(vine_pipe_call(pipe, "turn", "Vine", 4, output, 3, &size), -VINE_EOVERFLOW);
    assert_int_equal(vine_pipe_call(pipe, "nothing", "Vine", 4, output, 3, &size),
                     -VINE_EPROCEDURE);
    assert_int_equal(vine_pipe_call(pipe, "noop", "Vine", 4, output, 3, &size), -VINE_EARGUMENT);
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void a_second_application_is_served_beside_the_first(void **state)
{
    (void)state;
    struct served served;
    char output[4];
    size_t size = 0;

    served_start(&served, NULL, 1);
    struct vine_pipe *first = served_open(&served, NULL);
    struct vine_pipe *second = served_open(&served, NULL);
    assert_int_equal(vine_pipe_call(first, "turn", "a", 1, output, 4, &size), 0);
    assert_int_equal(vine_pipe_call(second, "turn", "b", 1, output, 4, &size), 0);
    vine_pipe_close(first);
    assert_int_equal(vine_pipe_call(second, "turn", "c", 1, output, 4, &size), 0);
    assert_int_equal(output[0], 'C');
    vine_pipe_close(second);
    served_stop(&served);
}

static void statistics_account_for_every_task(void **state)
{
    (void)state;
    struct served served;
    struct vine_pipe_stats stats;
    char output[8];

    served_start(&served, NULL, 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    assert_int_equal(vine_pipe_call(pipe, "turn", "abc", 3, output, 8, NULL), 0);
    assert_int_equal(vine_pipe_call(pipe, "turn", "abc", 3, output, 2, NULL), -VINE_EOVERFLOW);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.tasks_issued, 5); /* two look-ups */
    assert_int_equal(stats.tasks_done, 4);
    assert_int_equal(stats.tasks_failed, 1);
    assert_int_equal(stats.tasks_lost, 0);
    assert_int_equal(stats.tasks_in_flight, 0);
    assert_int_equal(stats.channels_open, 1);
    assert_int_equal(stats.ids_refused, 0);
    assert_true(stats.bytes_copied >= 9);
    assert_true(stats.memory_bytes >= 2 * (128u << 10));
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* What an appliance told of. Written by its loop, read when it was counted. */
static struct {
    struct vine_appliance_event events[8];
    char names[8][32], reasons[8][128];
    uint32_t count;
} seen;

static void take_event(void *context, const struct vine_appliance_event *event)
{
    const uint32_t at = seen.count;

    (void)context;
    assert_true(at < 8);
    seen.events[at] = *event;
    (void)snprintf(seen.names[at], sizeof seen.names[at], "%s", event->name);
    (void)snprintf(seen.reasons[at], sizeof seen.reasons[at], "%s", event->reason);
    vine__store_release_u32(&seen.count, at + 1);
}

static void wait_for_events(uint32_t count)
{
    while (vine__load_acquire_u32(&seen.count) < count)
        sched_yield();
}

static void what_happens_to_an_appliance_is_told_in_order(void **state)
{
    (void)state;
    struct served served;
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .pipes_max = 2, .event = take_event};
    const struct vine_pipe_options named = {.size_bytes = sizeof named, .name = "watched\n"};
    struct vine_pipe *third = NULL;

    served_start(&served, &options, 0);
    struct vine_pipe *first = served_open(&served, &named);
    struct vine_pipe *second = served_open(&served, NULL);
    wait_for_events(2);
    assert_int_equal(seen.events[0].kind, VINE_APPLIANCE_PIPE_OPENED);
    assert_int_equal(seen.events[0].error, 0);
    assert_int_equal(seen.events[0].pid, getpid());
    assert_int_equal(seen.events[0].uid, getuid());
    assert_string_equal(seen.names[0], "watched?");
    assert_int_equal(seen.events[1].kind, VINE_APPLIANCE_PIPE_OPENED);
    assert_true(seen.events[1].pipe > seen.events[0].pipe);
    assert_int_equal(vine_pipe_open(served.path, NULL, &third), -VINE_EQUOTA);
    wait_for_events(3);
    assert_int_equal(seen.events[2].kind, VINE_APPLIANCE_PIPE_REFUSED);
    assert_int_equal(seen.events[2].error, -VINE_EQUOTA);
    assert_true(seen.reasons[2][0] != 0);
    vine_pipe_close(first);
    wait_for_events(4);
    assert_int_equal(seen.events[3].kind, VINE_APPLIANCE_PIPE_CLOSED);
    assert_int_equal(seen.events[3].error, 0);
    assert_int_equal(seen.events[3].pipe, seen.events[0].pipe);
    served_stop(&served);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.events[4].kind, VINE_APPLIANCE_DRAINING);
    assert_int_equal(seen.events[4].count, 0);
    assert_int_equal(seen.events[5].kind, VINE_APPLIANCE_PIPE_CLOSED);
    assert_int_equal(seen.events[5].error, -VINE_EDRAINING);
    assert_int_equal(seen.events[5].pipe, seen.events[1].pipe);
    vine_pipe_close(second);
}

static void a_pipe_works_in_each_wait_mode_and_without_spinning(void **state)
{
    (void)state;
    static const enum vine_wait_mode modes[] = {VINE_WAIT_AUTO, VINE_WAIT_STREAM, VINE_WAIT_SLEEPY};
    const struct vine_appliance_options lazy = {.size_bytes = sizeof lazy, .spin_ns = 1};
    struct served served;

    served_start(&served, &lazy, 1);
    for (size_t i = 0; i < 3; i++) {
        const struct vine_pipe_options options = {
            .size_bytes = sizeof options, .wait_mode = modes[i], .spin_ns = 1};
        struct vine_pipe *pipe = served_open(&served, &options);

        for (int round = 0; round < 200; round++) {
            char output[2];

            assert_int_equal(vine_pipe_call(pipe, "turn", "a", 1, output, 2, NULL), 0);
            assert_int_equal(output[0], 'A');
        }
        vine_pipe_close(pipe);
    }
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_listening_is_no_appliance),
        cmocka_unit_test(why_a_pipe_cannot_be_opened_is_logged),
        cmocka_unit_test(options_of_a_later_version_are_refused),
        cmocka_unit_test(limits_are_the_smaller_of_wish_and_grant),
        cmocka_unit_test(an_open_pipe_is_fine_and_has_nothing_to_take),
        cmocka_unit_test(unknown_procedures_are_told),
        cmocka_unit_test(a_procedure_is_described_as_it_was_registered),
        cmocka_unit_test(all_procedures_are_listed_and_counted),
        cmocka_unit_test(a_long_list_is_asked_for_again),
        cmocka_unit_test(a_call_takes_bytes_and_brings_bytes),
        cmocka_unit_test(a_second_application_is_served_beside_the_first),
        cmocka_unit_test(statistics_account_for_every_task),
        cmocka_unit_test(what_happens_to_an_appliance_is_told_in_order),
        cmocka_unit_test(a_pipe_works_in_each_wait_mode_and_without_spinning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
