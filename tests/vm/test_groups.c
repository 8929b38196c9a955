/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=600 */
/*
 * Control groups of version 2, on a kernel that has them with all controllers, whatever this
 * machine's has: group_guest.c runs in a guest, whose root it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "programs.h"

static const char *const programs[] = {"group_guest"};

static void limits_hold_where_a_group_was_delegated(void **state)
{
    (void)state;
    programs_run(programs, 1);
    if (strstr(programs_said, "SKIPPED ]") != NULL)
        fail_msg("the guest cannot run all of it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_where_a_group_was_delegated),
    };
    const int status = programs_prepare("tests/vm_", programs, 1);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
