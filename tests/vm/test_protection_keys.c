/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 */
/*
 * The tests of guards and heaps in a guest whose processor has protection keys, whatever this
 * machine's has: an emulated one. They are the same programs, with the libraries that they want.
 * The guest's kernel is also one that cannot forbid pages but by mappings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "programs.h"

static const char *const programs[] = {
    "arch_guard_run",      "arch_guard_fault",     "core_heap_inside",
    "core_heap_pool",      "core_heap_isolation",  "core_network_colours",
    "core_process_end",    "core_process_hostile", "core_process_park",
    "core_process_probes", "arch_guard_closed",    "core_service_running",
    "core_process_crash",  "core_process_outside", "core_poll_poll",
    "core_poll_splice",    "core_mail_mail",       "core_mail_hostile_mail",
    "core_poll_further",   "core_poll_files",      "arch_poll_closed_memory",
    "arch_guard_keys",     "core_appliance_spies", "core_appliance_warm",
    "core_poll_awaiting",  "core_appliance_chain", "core_remote_remote",
};
#define PROGRAM_COUNT (sizeof(programs) / sizeof(programs[0]))

static void what_is_tested_here_holds_with_protection_keys(void **state)
{
    (void)state;
    programs_run(programs, PROGRAM_COUNT);
    if (strstr(programs_said, "SKIPPED ] pku") != NULL)
        fail_msg("the guest has no protection keys");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_tested_here_holds_with_protection_keys),
    };
    const int status = programs_prepare("tests/test_unit_", programs, PROGRAM_COUNT);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
