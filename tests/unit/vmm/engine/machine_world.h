/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_world.h - machines whose QEMU is the test's own program, if it says so, and what is
 * awaited of them. After cmocka's headers.
 *
 * Owns:     a folder of the test's.
 * Threads:  one.
 * Blocking: until what is awaited is there.
 * Trust:    the test's own.
 * Limits:   none.
 */
#ifndef VINE_TESTS_MACHINE_WORLD_H
#define VINE_TESTS_MACHINE_WORLD_H

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "harness/folder.h"
#include "vmm/engine/engine.h"

#define MIB      (UINT64_C(1) << 20)
#define GUARD_NS (60 * VINE_NS_PER_SECOND)
#define SHORT_NS (VINE_NS_PER_SECOND / 10)

static char folder[] = "/tmp/vine-machine-XXXXXX";

static inline struct vine__machine_description describe(const char *name)
{
    return (struct vine__machine_description){
        .name = name,
        .qemu = "/proc/self/exe",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = "/none",
        .links_max = 2,
        .link_bytes_max = MIB,
    };
}

static inline struct vine__machine *make_of(const struct vine__machine_description *description,
                                            struct vine__machine_options options)
{
    struct vine__machine *machine;
    char why[256] = "";

    options.folder = folder;
    if (vine__machine_create(description, &options, &machine, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    return machine;
}

static inline struct vine__machine *make(const char *name, struct vine__machine_options options)
{
    const struct vine__machine_description description = describe(name);

    return make_of(&description, options);
}

static inline void start(struct vine__machine *machine)
{
    char why[256] = "";

    if (vine__machine_start(machine, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

static inline struct vine__machine_event expect(struct vine__machine *machine,
                                                enum vine__machine_event_kind kind)
{
    struct vine__machine_event event;

    assert_int_equal(vine__machine_wait_event(machine, GUARD_NS, &event), 0);
    if (event.kind != kind)
        fail_msg("'%s', while %d was awaited", event.text, (int)kind);
    return event;
}

static inline void expect_end(struct vine__machine *machine, enum vine__machine_end end,
                              const char *expected)
{
    const struct vine__machine_event event = expect(machine, VINE__MACHINE_ENDED);

    if (vine__machine_ended_by(machine) != end)
        fail_msg("%s: %s", vine__machine_end_word(vine__machine_ended_by(machine)), event.text);
    if (strstr(vine__machine_end_text(machine), expected) == NULL)
        fail_msg("%s", vine__machine_end_text(machine));
    assert_int_equal(vine__machine_state_of(machine), VINE__MACHINE_OFF);
    assert_int_equal(vine__machine_pid(machine), 0);
}

static inline struct vine__machine *begin(const char *name, struct vine__machine_options options)
{
    struct vine__machine *const machine = make(name, options);

    start(machine);
    (void)expect(machine, VINE__MACHINE_STARTED);
    return machine;
}

#define DEFAULTS ((struct vine__machine_options){0})

#endif
