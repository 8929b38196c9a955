/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/harness/folder.h - a test's folder, which goes with the test however that ends.
 *
 * Owns:     the folder and all below it, and a process that outlives the test for a moment.
 * Threads:  call it before any is started.
 * Blocking: never.
 * Trust:    the test's own.
 * Limits:   whoever is forked by the test keeps the folder for as long as it lives.
 */
#ifndef VINE_TESTS_HARNESS_FOLDER_H
#define VINE_TESTS_HARNESS_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static inline int folder_remove_one(const char *path, const struct stat *status, int type,
                                    struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

/* A failed assertion in a setup, a hang guard or a time limit runs no teardown. So somebody else
 * waits for the end of a pipe that nobody writes to: nobody is left that could use the folder. */
static inline void folder_watch(const char *path, const int ends[2])
{
    char byte;

    if (fork() != 0)
        _exit(0); /* whoever counts its children does not meet this one */
    (void)setsid();
    (void)dup2(ends[0], 0);
    /* Nor does anybody wait for its output. An emulator may not know the call. */
    if (close_range(1, ~0U, 0) != 0)
        for (int fd = 1; fd < 256; fd++)
            (void)close(fd);
    while (read(0, &byte, 1) > 0)
        continue;
    (void)nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

/* As mkdtemp. Returns 0, or -1. */
static inline int folder_make(char *template)
{
    int ends[2];

    if (mkdtemp(template) == NULL || pipe2(ends, O_CLOEXEC) != 0)
        return -1;

    const pid_t pid = fork();

    if (pid == 0)
        folder_watch(template, ends);
    (void)close(ends[0]);
    /* The other end stays open: it is what says that somebody lives. */
    return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

#endif
