/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Micro-processes on two cores that run: all send to all, as fast as room allows, some end in the
 * middle of it, and whoever stays gets all that was sent to it. The reactors are a child's, whose
 * exit code is the verdict.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vine/coroutine.h>
#include <vine/runtime.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "utils/atomic.h"

#define TALKERS  12U /* on each core */
#define ALL      (2 * TALKERS)
#define MESSAGES 400U

struct numbered {
    uint32_t from, number;
    char more[100];
};

struct sum {
    uint64_t one, other;
};

/* All of these are written by several cores. */
static uint32_t sent_to[ALL], taken_by[ALL], talking = ALL, there, gone_count, wrong;

static uint32_t add(uint32_t *count, uint32_t more)
{
    return vine__fetch_add_relaxed_u32(count, more) + more;
}

/* Every fourth ends when it has sent half of its messages. */
static bool ends_early(uint32_t index)
{
    return index % 4 == 3;
}

struct talker {
    uint32_t index;
    struct vine_mail_address others[ALL];
    struct vine_mail_address sums[ALL];
};

struct task {
    struct talker *talker;
    uint32_t to, number;
};

/* What is raised here is nobody else's. */
VINE_COROUTINE(sends_one)
{
    struct {
        struct numbered numbered;
        struct sum sum;
        uint64_t answer;
        struct task *task;
        int error;
    } *self;

    vine_begin();
    self->task = vine_argument();
    self->numbered.from = self->task->talker->index;
    self->numbered.number = self->task->number;
    if (self->task->number % 8 == 0) {
        self->sum = (struct sum){self->task->number, self->task->to};
        vine_mail_request(self->task->talker->sums[self->task->to], struct sum, self->sum, uint64_t,
                          self->answer);
        if (self->answer != self->sum.one + self->sum.other)
            (void)add(&wrong, 1);
    } else {
        vine_mail_send(self->task->talker->others[self->task->to], struct numbered, self->numbered);
        (void)add(&sent_to[self->task->to], 1);
    }
    vine_catch(self->error)
    {
        if (self->error != -EPIPE || !ends_early(self->task->to))
            (void)add(&wrong, 1);
    }
    vine_end();
}

VINE_COROUTINE(finds_one)
{
    struct {
        char name[16];
        struct task *task;
        int error;
    } *self;

    vine_begin();
    self->task = vine_argument();
    (void)snprintf(self->name, sizeof self->name, "talker-%u", self->task->to);
    vine_mail_find(self->name, self->task->talker->others[self->task->to]);
    self->name[0] = 's';
    vine_mail_find(self->name, self->task->talker->sums[self->task->to]);
    vine_catch(self->error)
    {
        (void)add(&wrong, 1);
    }
    vine_end();
}

VINE_COROUTINE(takes_all)
{
    struct {
        struct vine_mailbox *box;
        struct numbered numbered;
        char name[16];
        uint32_t last[ALL];
        uint32_t *index;
    } *self;

    vine_begin();
    self->index = vine_argument();
    vine_mail_open(self->box, struct numbered);
    (void)snprintf(self->name, sizeof self->name, "talker-%u", *self->index);
    vine_mail_publish(self->box, self->name);
    (void)add(&there, 1);
    for (;;) {
        vine_mail_recv(self->box, struct numbered, self->numbered);
        if (self->numbered.number <= self->last[self->numbered.from])
            (void)add(&wrong, 1);
        self->last[self->numbered.from] = self->numbered.number;
        (void)add(&taken_by[*self->index], 1);
    }
    vine_end();
}

VINE_COROUTINE(adds)
{
    struct {
        struct vine_mailbox *box;
        struct sum sum;
        char name[16];
        uint32_t *index;
    } *self;

    vine_begin();
    self->index = vine_argument();
    vine_mail_open_requests(self->box, struct sum, uint64_t);
    (void)snprintf(self->name, sizeof self->name, "salker-%u", *self->index);
    vine_mail_publish(self->box, self->name);
    (void)add(&there, 1);
    for (;;) {
        vine_mail_listen(self->box, struct sum, self->sum);
        vine_mail_respond(self->box, uint64_t, self->sum.one + self->sum.other);
    }
    vine_end();
}

VINE_COROUTINE(talks)
{
    struct {
        struct talker talker;
        struct task task;
        struct vine_coroutine *taking, *adding;
        uint32_t random;
    } *self;

    vine_begin();
    self->talker.index = *(const uint32_t *)vine_argument();
    self->random = self->talker.index + 1;
    self->task.talker = &self->talker;
    vine_responder(takes_all, &self->talker.index, self->taking);
    vine_responder(adds, &self->talker.index, self->adding);
    while (vine__load_relaxed_u32(&there) < 2 * ALL)
        vine_sleep(1000 * 1000);
    for (self->task.to = 0; self->task.to < ALL; self->task.to++)
        vine_call(finds_one, &self->task);
    (void)add(&there, 1);
    while (vine__load_relaxed_u32(&there) < 3 * ALL)
        vine_sleep(1000 * 1000);
    for (self->task.number = 1; self->task.number <= MESSAGES; self->task.number++) {
        self->random = self->random * 1664525 + 1013904223;
        self->task.to = (self->random >> 16) % ALL;
        if (self->task.to == self->talker.index)
            continue;
        vine_call(sends_one, &self->task);
        if (ends_early(self->talker.index) && self->task.number == MESSAGES / 2)
            break;
    }
    (void)add(&talking, (uint32_t)-1);
    if (ends_early(self->talker.index))
        vine_return();
    while (vine__load_relaxed_u32(&talking) > 0 ||
           vine__load_relaxed_u32(&sent_to[self->talker.index]) >
               vine__load_relaxed_u32(&taken_by[self->talker.index]))
        vine_sleep(1000 * 1000);
    vine_end();
}

/* ---- the child ------------------------------------------------------------------------------- */

static void ended(void *context, const struct vine__process_end *end)
{
    (void)context;
    if (end->error != 0)
        (void)add(&wrong, 1);
    if (add(&gone_count, 1) == ALL)
        vine_stop(vine__load_relaxed_u32(&wrong) != 0 ? 1 : 0);
}

static int64_t start_here(void *nothing)
{
    static const struct vine__processes_options options = {.count_max = 2 * TALKERS};
    static uint32_t indices[ALL];

    (void)nothing;
    if (vine__processes_start(&options) != 0)
        vine_stop(2);
    for (uint32_t i = 0; i < TALKERS; i++) {
        const uint32_t index = 2 * i + vine_core();
        const struct vine__process_options process = {
            .type = &vine__type_talks, .argument = &indices[index], .ended = ended};

        indices[index] = index;
        if (vine__process_start(NULL, &process) != 0)
            vine_stop(3);
    }
    return 0;
}

static int begin(int argc, char **argv)
{
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    char why[VINE__GUARD_WHY_BYTES];

    (void)argc;
    (void)argv;
    if (vine__guard_choose(&guard, why) != 0 || vine__processes_prepare() != 0 ||
        vine_submit_to(1, start_here, NULL) != 0)
        return 4;
    (void)start_here(NULL);
    return VINE_MAIN_GOES_ON;
}

static void all_send_to_all_and_who_stays_gets_all_of_it(void **state)
{
    static char *const argv[] = {"test",
                                 "--smp=2",
                                 "--overprovisioned",
                                 "--memory=256M",
                                 "--blocked-reactor-notify-ms=10000",
                                 NULL};
    int status;

    (void)state;

    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        exit(vine_main(5, (char **)(uintptr_t)argv, NULL, begin));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_send_to_all_and_who_stays_gets_all_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
