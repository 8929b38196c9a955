/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of core/mail share: micro-processes without a connection, which a test starts and
 * whose ends it sees. */
#ifndef VINE_TESTS_MAIL_TESTS_H
#define VINE_TESTS_MAIL_TESTS_H

#include "../process/process_tests.h"

#include <vine/mail.h>

struct word {
    uint32_t number;
    char text[20];
};

struct question {
    int32_t number;
};

struct reply {
    int32_t doubled;
    char pad[100]; /* larger than what was asked */
};

/* What coroutines tell the test; statics are open to all. */
static struct vine_mail_address address;
static uint32_t taken_count, sent_count, begun_count;
__attribute__((unused)) static uint32_t taken[1000];
static int raised, results[64];
static bool may_go_on;

static inline void forget_all(void)
{
    address = (struct vine_mail_address){.place = 0};
    taken_count = sent_count = begun_count = 0;
    raised = 0;
    may_go_on = false;
    memset(results, 0, sizeof(results));
}

/* One without a connection; it sees its end in `one`. */
static inline void start_alone(struct one *one, const struct vine_coroutine_type *type,
                               void *argument)
{
    const struct vine__process_options options = {
        .type = type, .argument = argument, .ended = see_end, .gone = see_going, .context = one};

    *one = (struct one){.fd = -1};
    assert_int_equal(vine__process_start(NULL, &options), 0);
}

static inline void open_mail(void)
{
    forget_all();
    open_processes();
}

/* Those who wait for something are cancelled, in time. */
static inline void close_mail(void)
{
    vine_stop(0);
    advance(8 * VINE_NS_PER_SECOND);
    close_cores();
}

static inline void until_gone(struct one *one, int error)
{
    until(one->goings == 1);
    assert_int_equal(one->ends, 1);
    assert_int_equal(one->end.error, error);
}

#endif
