/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held_disk.h - a disk on which the next sync stands still, or the closing of a file, until it is
 * let go on. The test puts what stands still in the place of the system's calls.
 *
 * Owns:     nothing beyond the program.
 * Threads:  any.
 * Blocking: stand_still, as long as the disk is held; await_held until something stands still.
 * Trust:    the test's own.
 * Limits:   one call stands still at a time.
 */
#ifndef VINE_TESTS_HELD_DISK_H
#define VINE_TESTS_HELD_DISK_H

#include <pthread.h>
#include <stdbool.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_shut, is_held;
    int closing_fd; /* -1: a sync */
} held_disk = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .closing_fd = -1};

static inline void stand_still(int closing_fd)
{
    (void)pthread_mutex_lock(&held_disk.lock);
    if (held_disk.is_shut && !held_disk.is_held && held_disk.closing_fd == closing_fd) {
        held_disk.is_held = true;
        (void)pthread_cond_broadcast(&held_disk.changed);
        while (held_disk.is_shut)
            (void)pthread_cond_wait(&held_disk.changed, &held_disk.lock);
    }
    (void)pthread_mutex_unlock(&held_disk.lock);
}

static inline void hold_closing(int fd)
{
    (void)pthread_mutex_lock(&held_disk.lock);
    held_disk.closing_fd = fd;
    held_disk.is_held = false;
    held_disk.is_shut = true;
    (void)pthread_mutex_unlock(&held_disk.lock);
}

static inline void hold_disk(void)
{
    hold_closing(-1);
}

static inline bool is_disk_held(void)
{
    (void)pthread_mutex_lock(&held_disk.lock);
    const bool is_held = held_disk.is_held;
    (void)pthread_mutex_unlock(&held_disk.lock);
    return is_held;
}

static inline void await_held(void)
{
    (void)pthread_mutex_lock(&held_disk.lock);
    while (!held_disk.is_held)
        (void)pthread_cond_wait(&held_disk.changed, &held_disk.lock);
    (void)pthread_mutex_unlock(&held_disk.lock);
}

static inline void let_disk_go_on(void)
{
    (void)pthread_mutex_lock(&held_disk.lock);
    held_disk.is_shut = false;
    (void)pthread_cond_broadcast(&held_disk.changed);
    (void)pthread_mutex_unlock(&held_disk.lock);
}

#endif
