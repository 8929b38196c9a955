/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of arch/memory share. */
#ifndef VINE_TESTS_ARCH_MEMORY_TESTS_H
#define VINE_TESTS_ARCH_MEMORY_TESTS_H

#include "arch/memory/memory.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096U

static inline struct vine__memory_options options_for(enum vine__memory_backend backend,
                                                      uint64_t size_bytes)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    options.backend = backend;
    options.size_bytes = size_bytes;
    return options;
}

/* Descriptors that are open. */
static inline uint64_t count_fds(void)
{
    uint64_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A status that says where a child went wrong; -1: not by itself. */
static inline int status_of(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* Whether an address is mapped in this process, without touching it. */
static inline int is_mapped(const void *address)
{
    int pipe_fds[2];
    if (pipe(pipe_fds) != 0)
        return -1;
    const int mapped = write(pipe_fds[1], address, 1) == 1;
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    return mapped;
}

/* Emulators of a user's programs ignore MADV_DONTFORK. */
static inline int fork_leaves_mappings_out(void)
{
    void *const page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, PAGE, MADV_DONTFORK) != 0)
        return 0;
    const pid_t child = fork();
    if (child == 0)
        _exit(is_mapped(page));
    const int status = status_of(child);
    (void)munmap(page, PAGE);
    return status == 0;
}

#endif
