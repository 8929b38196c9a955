/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures links=engine */
/* The doorbells of a run, when their server was killed and another one took over. The server is the
 * command, which this program becomes where it is started as one; no machine is. */
#include "../tools/guest_rings.h"

#include "harness/folder.h"
#include "vmm/engine/bells_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MACHINES 3
#define LIMIT_MS 60000 /* a hang guard, never reached */

struct fixture {
    char folder[64];
    struct guest_plan plan;
    struct guest_rings rings;
    struct vine__machine *machines[MACHINES];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    static const char *const names[MACHINES] = {"a", "b", "c"};
    const struct vine__machine_options options = {.folder = fixture.folder};
    char why[VINE__MACHINE_TEXT_BYTES];

    memset(&fixture, 0, sizeof(fixture));
    (void)snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/vine-test-XXXXXX");
    assert_int_equal(folder_make(fixture.folder), 0);
    fixture.plan.machine_count = MACHINES;
    fixture.plan.links_max = 2;
    guest_rings_init(&fixture.rings);
    assert_int_equal(guest_rings_open(&fixture.rings, fixture.folder), 0);
    for (uint32_t i = 0; i < MACHINES; i++) {
        const struct vine__machine_description description = {
            .name = names[i],
            .memory_bytes = UINT64_C(128) << 20,
            .cpu_count = 1,
            .kernel = "/none",
            .links_max = 2,
            .link_bytes_max = UINT64_C(1) << 20,
            .doorbell_vectors = 3,
        };

        fixture.plan.machines[i].name = names[i];
        assert_int_equal(
            vine__machine_create(&description, &options, &fixture.machines[i], why, sizeof(why)),
            0);
        assert_int_equal(guest_rings_add(&fixture.rings, &fixture.plan, i, fixture.machines[i]), 0);
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *const fixture = *state;

    for (uint32_t i = 0; i < MACHINES; i++)
        vine__machine_close(fixture->machines[i]);
    guest_rings_close(&fixture->rings);
    return 0;
}

static void end_server(struct fixture *fixture)
{
    struct pollfd hung_up = {.fd = fixture->rings.control_fd};

    assert_int_equal(kill(fixture->rings.server, SIGKILL), 0);
    assert_int_equal(poll(&hung_up, 1, LIMIT_MS), 1);
}

static void renew(struct fixture *fixture, uint32_t index)
{
    assert_int_equal(
        guest_rings_renew(&fixture->rings, &fixture->plan, index, fixture->machines[index]), 0);
}

/* Who is at the server, in the order of their coming, and who may ring anybody. */
static void expect_peers(struct fixture *fixture, const char *expected, uint64_t links)
{
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    char names[64] = "";
    uint32_t count;

    assert_int_equal(vine__bells_list(fixture->rings.control_fd, entries, &count), 0);
    for (uint32_t i = 0; i < count; i++) {
        strncat(names, entries[i].name, 8);
        assert_int_equal(entries[i].links, links);
    }
    assert_string_equal(names, expected);
}

static void a_new_server_has_those_alone_that_have_come_to_it(void **state)
{
    struct fixture *const fixture = *state;
    const struct guest_plan_link link = {.machines = {0, 1}};

    end_server(fixture);
    renew(fixture, 2);
    expect_peers(fixture, "c", 0);
    /* Numbers at the old server are nobody's at this one. */
    renew(fixture, 1);
    assert_int_equal(guest_rings_allow(&fixture->rings, &link), 0);
    expect_peers(fixture, "cb", 0);
    renew(fixture, 0);
    expect_peers(fixture, "cba", 0);
}

static void a_server_ends_when_it_is_told_to(void **state)
{
    struct fixture *const fixture = *state;
    const int pidfd = dup(fixture->rings.server_pidfd);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int control_fd;

    /* Nobody leaves it but by its end. */
    assert_true(pidfd >= 0);
    assert_int_equal(vine__bells_connect(fixture->rings.socket, &control_fd), 0);
    assert_int_equal(kill(fixture->rings.server, SIGTERM), 0);
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
    (void)close(control_fd);
    (void)close(pidfd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_server_has_those_alone_that_have_come_to_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_server_ends_when_it_is_told_to, set_up, tear_down),
    };
    sigset_t told;

    if (getenv("VINE_COMMAND") == NULL)
        return 77;
    if (argc > 1 && strcmp(argv[1], "guest") == 0)
        return execv(getenv("VINE_COMMAND"), argv);
    /* As `vine guest run` does. */
    sigemptyset(&told);
    sigaddset(&told, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &told, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
