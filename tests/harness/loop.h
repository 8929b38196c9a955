/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/harness/loop.h - block devices over files of a test's own, and what is mounted of them.
 *
 * Owns:     a device goes when its last descriptor is closed, and mounts with the process, which
 *           has a namespace of its own: so does all of it, however the test ends.
 * Threads:  call it before any is started.
 * Blocking: as the kernel does.
 * Trust:    the test's own.
 * Limits:   whoever may mount, and kernels with loop devices; others are told.
 */
#ifndef VINE_TESTS_HARNESS_LOOP_H
#define VINE_TESTS_HARNESS_LOOP_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct loop {
    int backing;
    int device;
    char path[32];
};

/* Have what is mounted from now on be nobody else's. Returns whether that may be. */
static inline bool loop_may_mount(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A device over a new file of so many bytes. Returns 0 or a negative error. */
static inline int loop_open(struct loop *ret_loop, const char *file, off_t size_bytes)
{
    struct loop loop = {.backing = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    const struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
    int error = loop.backing < 0 || ftruncate(loop.backing, size_bytes) != 0 ? -errno : -EAGAIN;

    /* Somebody else may take the free one before us. */
    for (int tries = 0; error == -EAGAIN && tries < 20; tries++) {
        const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        const int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);

        error = number < 0 ? -errno : 0;
        if (control >= 0)
            (void)close(control);
        if (error != 0)
            break;
        (void)snprintf(loop.path, sizeof(loop.path), "/dev/loop%d", number);
        loop.device = open(loop.path, O_RDWR | O_CLOEXEC);
        if (loop.device < 0)
            return -errno;
        if (ioctl(loop.device, LOOP_SET_FD, loop.backing) == 0) {
            (void)ioctl(loop.device, LOOP_SET_STATUS64, &info);
            *ret_loop = loop;
            return 0;
        }
        error = errno == EBUSY ? -EAGAIN : -errno;
        (void)close(loop.device);
    }
    return error;
}

static inline void loop_close(struct loop *loop)
{
    (void)close(loop->device);
    (void)close(loop->backing);
}

/* Run a program without output. Returns whether it ended well. */
static inline bool loop_run(const char *const *words)
{
    int status;
    const pid_t pid = fork();

    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);

        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)execvp(words[0], (char **)(uintptr_t)words);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* Make a file system of a device, and mount it. Returns whether that could be done. */
static inline bool loop_mount(const struct loop *loop, const char *folder)
{
    const char *const words[] = {"mkfs.ext4", "-q", "-m", "0", loop->path, NULL};

    return loop_run(words) && mount(loop->path, folder, "ext4", 0, NULL) == 0;
}

#endif
