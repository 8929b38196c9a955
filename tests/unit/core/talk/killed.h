/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/talk/killed.h - appliances of served.h in processes of their own, to be killed.
 *
 * Owns:     the processes, until they are killed.
 * Threads:  the test's, while it has no others: they are forked.
 * Blocking: until one listens, or is gone.
 * Limits:   each listens once.
 */
#ifndef VINE_TESTS_KILLED_H
#define VINE_TESTS_KILLED_H

#include "served.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct killed {
    pid_t pid;
    int begin_fd, ready_fd;
};

/* In the child: wait to be told, listen, say so, and serve. */
static inline void killed_main(const char *path, int begin_fd, int ready_fd)
{
    struct vine_appliance *appliance = NULL;
    pthread_t worker;
    char byte;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    gate_set(false);
    if (read(begin_fd, &byte, 1) != 1 || vine_appliance_create(NULL, &appliance) != 0)
        _exit(2);
    for (size_t i = 0; i < SERVED_PROCEDURES; i++)
        if (vine_appliance_register(appliance, &served_procedures[i]) != 0)
            _exit(3);
    if (vine_appliance_listen(appliance, path) != 0 ||
        pthread_create(&worker, NULL, served_work, appliance) != 0)
        _exit(4);
    served_wait_for_workers(appliance, 1);
    (void)!write(ready_fd, "r", 1);
    _exit(vine_appliance_serve(appliance) == 0 ? 0 : 5);
}

/* One that does nothing yet. */
static inline void killed_fork(struct killed *killed, const char *path)
{
    int begin[2], ready[2];

    assert_int_equal(pipe(begin), 0);
    assert_int_equal(pipe(ready), 0);
    killed->pid = fork();
    assert_true(killed->pid >= 0);
    if (killed->pid == 0)
        killed_main(path, begin[0], ready[1]);
    close(begin[0]);
    close(ready[1]);
    killed->begin_fd = begin[1];
    killed->ready_fd = ready[0];
}

/* It listens from here on. */
static inline void killed_begin(struct killed *killed)
{
    char byte;

    assert_int_equal(write(killed->begin_fd, "b", 1), 1);
    assert_int_equal(read(killed->ready_fd, &byte, 1), 1);
}

static inline void killed_kill(struct killed *killed)
{
    int status;

    assert_int_equal(kill(killed->pid, SIGKILL), 0);
    assert_int_equal(waitpid(killed->pid, &status, 0), killed->pid);
    close(killed->begin_fd);
    close(killed->ready_fd);
}

#endif
