/* SPDX-License-Identifier: Apache-2.0 */
/* test: long=3000 */
/*
 * kill -9 of appliances at one end of a link between two machines, at random points, while an
 * application at the other one goes on with the next. The machines are made of files.
 *
 * Fault model: appliances die at any instruction, of which the host hears nothing: the next one
 * says that the former is gone. No task that may run twice is lost, and no byte of a result.
 */
#include "harness/fake_machines.h"
#include "stress/stay.h"

static struct fake_host host;

static int be_appliance_there(void)
{
    fake_use(&host, 1);
    return be_appliance();
}

static int be_application_here(void)
{
    fake_use(&host, 0);
    return be_one_that_stays();
}

static void an_application_that_goes_on_loses_nothing_that_may_run_twice(void **state)
{
    const unsigned rounds = getenv("VINE_TEST_LONG") ? 1000 : 20;
    pid_t server = start(be_appliance_there);

    (void)state;
    server = have_it_stay(server, rounds, be_appliance_there, be_application_here);
    die(server);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "pci:zip");
    share_deaths(1);
    share_stay();
    choose_seed();
    fake_start(&host);
    fake_plug(&host, 0, "zip");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_stop(&host);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_application_that_goes_on_loses_nothing_that_may_run_twice, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
