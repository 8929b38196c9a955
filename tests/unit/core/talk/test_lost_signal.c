/* SPDX-License-Identifier: Apache-2.0 */
/* A worker whose signal never comes: other threads wait on the same condition and swallow what was
 * meant for it, which is how the C library's bug looks from here. */
#include "served.h"

#include "core/talk/appliance_internal.h"

#define THIEVES 8
#define TASKS   4

static struct served served;
static bool is_over; /* jobs_lock */
static int waiting;  /* jobs_lock */

static void *steal(void *context)
{
    struct vine_appliance *appliance = context;

    pthread_mutex_lock(&appliance->common->jobs_lock);
    waiting++;
    while (!is_over)
        pthread_cond_wait(&appliance->common->jobs_ready, &appliance->common->jobs_lock);
    pthread_mutex_unlock(&appliance->common->jobs_lock);
    return NULL;
}

static void wait_for_thieves(struct vine_appliance *appliance)
{
    int count = 0;

    while (count < THIEVES) {
        sched_yield();
        pthread_mutex_lock(&appliance->common->jobs_lock);
        count = waiting;
        pthread_mutex_unlock(&appliance->common->jobs_lock);
    }
}

static void a_task_whose_signal_is_lost_is_done_all_the_same(void **state)
{
    pthread_t thieves[THIEVES];
    struct vine_pipe *pipe;

    (void)state;
    served_start(&served, NULL, 1);
    pipe = served_open(&served, NULL);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_create(&thieves[i], NULL, steal, served.appliance), 0);
    wait_for_thieves(served.appliance);
    gate_set(true);
    for (int i = 0; i < TASKS; i++) {
        /* The worker waits behind the thieves, and by itself it would look after weeks. */
        pthread_mutex_lock(&served.appliance->common->jobs_lock);
        vine__store_relaxed_u32(&served.appliance->common->worker_count, 1u << 20);
        pthread_cond_broadcast(&served.appliance->common->jobs_ready);
        pthread_mutex_unlock(&served.appliance->common->jobs_lock);

        struct vine_task *task = gate_issue(pipe, (uint64_t)i, NULL);

        assert_int_equal(vine_task_wait(task, LIMIT), 0);
        vine_task_free(task);
    }
    pthread_mutex_lock(&served.appliance->common->jobs_lock);
    vine__store_relaxed_u32(&served.appliance->common->worker_count, 1);
    is_over = true;
    pthread_cond_broadcast(&served.appliance->common->jobs_ready);
    pthread_mutex_unlock(&served.appliance->common->jobs_lock);
    for (int i = 0; i < THIEVES; i++)
        assert_int_equal(pthread_join(thieves[i], NULL), 0);
    vine_pipe_close(pipe);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_whose_signal_is_lost_is_done_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
