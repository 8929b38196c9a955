/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A core that sleeps until somebody answers it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/timer.h>

#include "arch/clock/clock.h"
#include "core/reactor/reactor.h"
#include "utils/container_of.h"

#define MS       1000000ULL
#define LONG_NS  (15 * MS) /* more than a coarse clock is behind */
#define SHORT_NS (MS / 10)

struct asker {
    struct vine__operation answer;
    struct vine_work work;
    uint64_t told_ns; /* when it was answered */
    uint64_t coarse_ns, steady_ns;
    uint32_t answers, wanted;
};

static struct vine__mesh *mesh;
static struct vine__reactor *reactor;
static pthread_t other;
static uint64_t pause_ns;
static int pair[2];
static struct asker asker;

static void *answer_all(void *context)
{
    unsigned char byte;

    (void)context;
    while (read(pair[1], &byte, 1) == 1) {
        const uint64_t from_ns = vine__clock_now_ns();
        uint64_t now_ns;

        while ((now_ns = vine__clock_now_ns()) - from_ns < pause_ns)
            ;
        if (write(pair[1], &now_ns, sizeof(now_ns)) != sizeof(now_ns))
            break;
    }
    return NULL;
}

static void ask(struct vine_work *work)
{
    struct asker *const self = VINE_CONTAINER_OF(work, struct asker, work);

    self->coarse_ns = vine_clock_now(VINE_CLOCK_COARSE);
    self->steady_ns = vine_clock_now(VINE_CLOCK_STEADY);
    assert_true(self->coarse_ns >= self->told_ns);
    assert_true(self->steady_ns >= self->coarse_ns);
    if (self->answers == self->wanted) {
        vine_stop(0);
        return;
    }
    vine__reactor_begin(&self->answer);
    assert_int_equal(write(pair[0], "?", 1), 1);
}

static void on_answer(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct asker *const self = VINE_CONTAINER_OF(operation, struct asker, answer);

    (void)flags;
    assert_int_equal(result, sizeof(self->told_ns));
    self->answers++;
    vine_work_post(&self->work);
}

static int set_up(void **state)
{
    const struct vine__mesh_options options = {.core_count = 1, .idle_poll_ns = 0};
    struct vine__poller *poller;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(vine__mesh_create(&mesh, &options), 0);
    assert_int_equal(vine__poller_create(&poller, NULL), 0);
    assert_int_equal(vine__reactor_create(&reactor, mesh, 0, poller), 0);
    (void)vine__reactor_enter(reactor);
    asker = (struct asker){.answers = 0};
    asker.answer = (struct vine__operation){.fn = on_answer,
                                            .kind = VINE__POLL_RECEIVE,
                                            .fd = pair[0],
                                            .bytes = &asker.told_ns,
                                            .size = sizeof(asker.told_ns)};
    vine_work_init(&asker.work, ask);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)shutdown(pair[0], SHUT_RDWR);
    (void)pthread_join(other, NULL);
    (void)vine__reactor_enter(NULL);
    vine__reactor_destroy(reactor);
    vine__mesh_destroy(mesh);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static void ask_often(uint64_t after_ns, uint32_t questions)
{
    pause_ns = after_ns;
    asker.wanted = questions;
    assert_int_equal(pthread_create(&other, NULL, answer_all, NULL), 0);
    vine_work_post(&asker.work);
    vine__reactor_run(reactor);
    assert_int_equal(asker.answers, questions);
}

/* Its work is done before all else that a turn has. */
static void what_ends_a_long_sleep_sees_the_time_after_it(void **state)
{
    (void)state;
    ask_often(LONG_NS, 10);
}

static void what_ends_a_short_sleep_sees_the_time_after_it(void **state)
{
    (void)state;
    ask_often(SHORT_NS, 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_ends_a_long_sleep_sees_the_time_after_it),
        TEST(what_ends_a_short_sleep_sees_the_time_after_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
