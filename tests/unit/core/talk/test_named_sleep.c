/* SPDX-License-Identifier: Apache-2.0 */
/* When the plain loop of an appliance may sleep that listens in a named segment. */
#include "harness/emulator.h"
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

static const struct vine_procedure_definition noop = {
    .size_bytes = sizeof noop,
    .name = "noop",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_noop,
};

static bool may_sleep(struct stepped *stepped)
{
    uint64_t limit_ns = 0;
    const bool may = vine__serving_lie_down(stepped->appliance, &limit_ns);

    vine__serving_get_up(stepped->appliance);
    return may;
}

static void sleep_until_heard(struct stepped *stepped)
{
    while (!may_sleep(stepped))
        stepped_turn(stepped);
}

/* The word that a sleep waits for was raised already, and is not raised again. */
static void nobody_sleeps_who_was_woken_and_has_not_heard(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .segment_bytes = 1u << 20};
    struct stepped stepped = {.folder = "/tmp/vine-stepped-XXXXXX"};
    static struct raw_application raw;
    char address[64];

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    assert_int_equal(folder_make(stepped.folder), 0);
    (void)snprintf(address, sizeof address, "file:%s/segment", stepped.folder);
    stepped_start_at(&stepped, address, &options);
    assert_int_equal(vine_appliance_register(stepped.appliance, &noop), 0);
    stepped_open(&stepped, &raw, 1);
    for (uint64_t i = 0; i < 10; i++) {
        sleep_until_heard(&stepped);
        assert_true(may_sleep(&stepped)); /* again and again */
        stepped_submit(&raw, 0, stepped_task(0, i));
        assert_false(may_sleep(&stepped));
        assert_int_equal(stepped_complete(&stepped, &raw, 0, 10, NULL).operation, i);
    }
    raw_close(&raw);
    stepped_stop(&stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_sleeps_who_was_woken_and_has_not_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
