/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures links=engine */
/* The doorbells of a run, when their server was killed and another one took over, and when links
 * come and go. The server is the command, which this program becomes where it is started as one; no
 * machine is. */
#include "../tools/guest_links.h"

#include "harness/folder.h"
#include "vmm/engine/bells_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
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
    struct run run;
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
    fixture.run.plan.machine_count = MACHINES;
    fixture.run.plan.links_max = 2;
    fixture.run.hosts_fd = -1;
    guest_rings_init(&fixture.run.rings);
    assert_int_equal(guest_rings_open(&fixture.run.rings, fixture.folder), 0);
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

        fixture.run.plan.machines[i].name = names[i];
        assert_int_equal(vine__machine_create(&description, &options,
                                              &fixture.run.guests[i].machine, why, sizeof(why)),
                         0);
        assert_int_equal(guest_rings_add(&fixture.run.rings, i, fixture.run.guests[i].machine), 0);
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *const fixture = *state;

    guest_links_close(&fixture->run);
    for (uint32_t i = 0; i < MACHINES; i++)
        vine__machine_close(fixture->run.guests[i].machine);
    guest_rings_close(&fixture->run.rings);
    return 0;
}

static void end_server(struct fixture *fixture)
{
    struct pollfd hung_up = {.fd = fixture->run.rings.control_fd};

    assert_int_equal(kill(fixture->run.rings.server, SIGKILL), 0);
    assert_int_equal(poll(&hung_up, 1, LIMIT_MS), 1);
}

static void renew(struct fixture *fixture, uint32_t index)
{
    assert_int_equal(
        guest_rings_renew(&fixture->run.rings, index, fixture->run.guests[index].machine), 0);
}

/* Who is at the server, in the order of their coming, and who may ring anybody. */
static void expect_peers(struct fixture *fixture, const char *expected, uint64_t links)
{
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    char names[64] = "";
    uint32_t count;

    assert_int_equal(vine__bells_list(fixture->run.rings.control_fd, entries, &count), 0);
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
    assert_int_equal(guest_rings_allow(&fixture->run.rings, &link), 0);
    expect_peers(fixture, "cb", 0);
    renew(fixture, 0);
    expect_peers(fixture, "cba", 0);
}

static int add_link(struct fixture *fixture, const char *name, uint32_t application,
                    uint32_t appliance)
{
    const struct guest_plan_link plan = {
        .name = name,
        .machines = {application, appliance},
        .size_bytes = {4096, 4096},
    };

    return guest_links_add(&fixture->run, &plan);
}

/* Machines a, b and c have come first, second and third: bit i of `links` is of entry i. */
static void expect_links(struct fixture *fixture, uint64_t a, uint64_t b, uint64_t c)
{
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    uint32_t count;

    assert_int_equal(vine__bells_list(fixture->run.rings.control_fd, entries, &count), 0);
    assert_int_equal(count, MACHINES);
    assert_int_equal(entries[0].links, a);
    assert_int_equal(entries[1].links, b);
    assert_int_equal(entries[2].links, c);
}

static void machines_ring_each_other_until_their_last_link_goes(void **state)
{
    struct fixture *const fixture = *state;

    assert_int_equal(add_link(fixture, "one", 0, 1), 0);
    assert_int_equal(add_link(fixture, "two", 1, 0), 0);
    expect_links(fixture, 2, 1, 0);
    assert_int_equal(guest_links_remove(&fixture->run, "one"), 0);
    expect_links(fixture, 2, 1, 0);
    assert_int_equal(add_link(fixture, "other", 2, 1), 0);
    expect_links(fixture, 2, 5, 2);
    assert_int_equal(guest_links_remove(&fixture->run, "two"), 0);
    expect_links(fixture, 0, 4, 2);
    /* A machine that starts anew is linked with those that it still has links to. */
    renew(fixture, 2);
    assert_int_equal(guest_links_allow(&fixture->run, 2), 0);
    expect_links(fixture, 0, 4, 2);
    assert_int_equal(guest_links_remove(&fixture->run, "other"), 0);
    expect_links(fixture, 0, 0, 0);
}

static void a_link_that_cannot_be_made_lets_nobody_ring(void **state)
{
    struct fixture *const fixture = *state;

    assert_int_equal(add_link(fixture, "one", 0, 1), 0);
    assert_int_equal(add_link(fixture, "two", 0, 1), 0);
    assert_int_equal(add_link(fixture, "three", 0, 2), -ENOSPC);
    expect_links(fixture, 2, 1, 0);
    /* Those who are linked already still are. */
    assert_int_equal(add_link(fixture, "three", 0, 1), -ENOSPC);
    expect_links(fixture, 2, 1, 0);
}

static void a_server_ends_when_it_is_told_to(void **state)
{
    struct fixture *const fixture = *state;
    const int pidfd = dup(fixture->run.rings.server_pidfd);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int control_fd;

    /* Nobody leaves it but by its end. */
    assert_true(pidfd >= 0);
    assert_int_equal(vine__bells_connect(fixture->run.rings.socket, &control_fd), 0);
    assert_int_equal(kill(fixture->run.rings.server, SIGTERM), 0);
    assert_int_equal(poll(&ended, 1, LIMIT_MS), 1);
    (void)close(control_fd);
    (void)close(pidfd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_server_has_those_alone_that_have_come_to_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(machines_ring_each_other_until_their_last_link_goes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_cannot_be_made_lets_nobody_ring, set_up,
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
