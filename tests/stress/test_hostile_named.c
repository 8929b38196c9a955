/* SPDX-License-Identifier: Apache-2.0 */
/* test: timeout=120 long=900 */
/*
 * A hostile application on a named segment, where both halves can be written by either side.
 *
 * Fault model: the application writes anything into both halves at any moment, and leaves. The
 * appliance lives in a process of its own; a crash of it, or a next application that it does not
 * serve, is what fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "core/talk/link.h"
#include "harness/emulator.h"
#include "utils/atomic.h"

#define HANG_GUARD_SECONDS 100
#define SEGMENT_BYTES      (2u << 20)
#define CLAIM_NS           60000000000ULL

struct fixture {
    char folder[64];
    char address[112];
    pid_t appliance;
};

static int run_answer(struct vine_call *call)
{
    const uint32_t answer = 42;

    return vine_call_result(call, &answer, sizeof answer);
}

static const struct vine_argument arguments[] = {
    {"answer", VINE_RESULT, 0, 4, 4},
};

static const struct vine_procedure_definition definition = {
    .size_bytes = sizeof definition,
    .name = "answer",
    .run = run_answer,
    .arguments = arguments,
    .argument_count = 1,
};

static int serve(const char *address, int ready_fd)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .segment_bytes = SEGMENT_BYTES,
    };
    struct vine_appliance *appliance = NULL;

    if (vine_appliance_create(&options, &appliance) != 0)
        return 1;
    if (vine_appliance_register(appliance, &definition) != 0)
        return 2;
    if (vine_appliance_listen(appliance, address) != 0)
        return 3;
    if (write(ready_fd, "", 1) != 1)
        return 4;
    return vine_appliance_serve(appliance) ? 5 : 0;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int ready[2];
    char byte;

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/vine-named-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->address, sizeof fixture->address, "file:%s/bar", fixture->folder);
    assert_int_equal(pipe(ready), 0);
    fixture->appliance = fork();
    assert_true(fixture->appliance >= 0);
    if (fixture->appliance == 0)
        _exit(serve(fixture->address, ready[1]));
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;

    /* It lived until now: what ends it is our signal. */
    assert_int_equal(kill(fixture->appliance, SIGKILL), 0);
    assert_int_equal(waitpid(fixture->appliance, &status, 0), fixture->appliance);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)unlink(fixture->address + strlen("file:"));
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void is_served(const struct fixture *fixture)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options,
        .connect_timeout_ns = CLAIM_NS,
    };
    struct vine_pipe *pipe = NULL;
    uint32_t answer = 0;
    size_t size = 0;

    assert_int_equal(vine_pipe_open(fixture->address, &options, &pipe), 0);
    assert_int_equal(vine_pipe_call(pipe, "answer", NULL, 0, &answer, sizeof answer, &size), 0);
    assert_int_equal(size, sizeof answer);
    assert_int_equal(answer, 42);
    vine_pipe_close(pipe);
}

/* Words of a half; most of them among the board and the first channels. */
static void write_at_random(void *base, uint64_t size_bytes, unsigned *seed)
{
    const uint64_t words = rand_r(seed) % 4 == 0 ? size_bytes / 8 : 2048 / 8;
    uint64_t *word = (uint64_t *)base + (uint64_t)rand_r(seed) % words;

    vine__store_relaxed_u64(word, rand_r(seed) % 2 ? UINT64_MAX << (rand_r(seed) % 64)
                                                   : (uint64_t)rand_r(seed) % 300);
}

static void be_hostile(const struct fixture *fixture, unsigned *seed)
{
    char why[256] = "";
    const struct vine__handshake_wish wish = {
        .name = "hostile", .timeout_ns = CLAIM_NS, .why = why, .why_size = sizeof why};
    struct vine__address address;
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    void *bases[2];
    uint64_t sizes[2];

    assert_int_equal(vine__address_resolve(fixture->address, false, &address, why, sizeof why), 0);
    assert_int_equal(vine__link_attach(&link, &address, &wish, &half, &mirror, &agreement), 0);
    assert_int_equal(
        vine_segment_find(link.named, VINE_SEGMENT_KIND_APPLICATION_HALF, &bases[0], &sizes[0]), 0);
    assert_int_equal(
        vine_segment_find(link.named, VINE_SEGMENT_KIND_APPLIANCE_HALF, &bases[1], &sizes[1]), 0);
    for (unsigned i = 0; i < 300; i++) {
        write_at_random(bases[i % 2], sizes[i % 2], seed);
        if (i % 16 == 0)
            vine__link_wake(&link);
    }
    vine__half_close(&half);
    vine__mirror_close(&mirror);
    link.operations->close(&link);
}

static void random_words_in_both_halves_keep_nobody_from_being_served(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct fixture *fixture = *state;
    const char *seed_text = getenv("VINE_TEST_SEED");
    const unsigned rounds = getenv("VINE_TEST_LONG") ? 2000 : 50;
    unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : (unsigned)getpid();

    print_message("seed %u, %u rounds\n", seed, rounds);
    is_served(fixture);
    for (unsigned round = 0; round < rounds; round++) {
        (void)alarm(HANG_GUARD_SECONDS);
        be_hostile(fixture, &seed);
        is_served(fixture);
    }
    (void)alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_words_in_both_halves_keep_nobody_from_being_served,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
