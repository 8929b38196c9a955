/* SPDX-License-Identifier: Apache-2.0 */
/* The appliance of served.h: one thread serves, the rest work. */
#ifndef VINE_TESTS_SERVED_BY_THREADS_H
#define VINE_TESTS_SERVED_BY_THREADS_H

static inline void *served_loop(void *appliance)
{
    const int error = vine_appliance_serve(appliance);

    return (void *)(intptr_t)error;
}

static inline void *served_work(void *appliance)
{
    vine_appliance_work(appliance);
    return NULL;
}

static inline void served_begin(struct served *served, const struct vine_appliance_options *options)
{
    assert_int_equal(vine_appliance_create(options, &served->appliance), 0);
    for (size_t i = 0; i < SERVED_PROCEDURES; i++)
        assert_int_equal(vine_appliance_register(served->appliance, &served_procedures[i]), 0);
    assert_int_equal(vine_appliance_listen(served->appliance, served->path), 0);
    for (int i = 0; i < served->worker_count; i++)
        assert_int_equal(pthread_create(&served->workers[i], NULL, served_work, served->appliance),
                         0);
    served_wait_for_workers(served->appliance, (uint32_t)served->worker_count);
    assert_int_equal(pthread_create(&served->loop, NULL, served_loop, served->appliance), 0);
}

static inline void served_end(struct served *served)
{
    vine_appliance_stop(served->appliance);
    for (int i = 0; i < served->worker_count; i++)
        assert_int_equal(pthread_join(served->workers[i], NULL), 0);
    assert_int_equal(pthread_join(served->loop, NULL), 0);
    vine_appliance_destroy(served->appliance);
}

#endif
