/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/child.h - one QEMU as a process: started with what it needs and nothing else,
 * watched, killed, reaped.
 *
 * Owns:     the child until it was reaped, its pidfd, and the end of its standard error.
 * Threads:  one at a time.
 * Blocking: starting waits for exec, and `is_there`, no longer. All else never.
 * Trust:    the child may say anything on its standard error: the last of it is kept, made
 *           printable.
 * Limits:   VINE__CHILD_WORDS_BYTES of last words.
 *
 * Caveats:  `dies_with_us` means the thread that started it (that is how the kernel has it).
 *           Whoever ignores SIGCHLD, or reaps children that are not its own, learns no exit codes
 *           here, nor does who adopts.
 */
#ifndef VINE_VMM_ENGINE_CHILD_H
#define VINE_VMM_ENGINE_CHILD_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VINE__CHILD_WORDS_BYTES   1024
#define VINE__CHILD_INHERITED_MAX 128

struct vine__child_options {
    char *const *words; /* argv, NULL at its end; words[0] is looked for in the path */
    /* Open in the child under the same numbers; nothing else is but its standard three. */
    int inherited[VINE__CHILD_INHERITED_MAX];
    uint32_t inherited_count;
    int group_fd;  /* its control group's cgroup.procs, to be joined; 0: stay where we are */
    uid_t user_id; /* to become before exec, with no groups but its own; 0: stay who we are */
    gid_t group_id;
    bool dies_with_us;
    bool keeps_stdio; /* our standard input and output; otherwise /dev/null */
    /* Called when there is a process, which waits: it becomes what the words say once this has
     * returned 0. If it returns an error, or we end meanwhile, the process ends as well. NULL:
     * there is nothing to do first. */
    int (*is_there)(void *context, pid_t pid);
    void *context;
};

struct vine__child {
    pid_t pid;    /* 0: none */
    int pidfd;    /* readable once it has ended; -1: none */
    int error_fd; /* its standard error, non-blocking; -1: none, or closed by it */
    bool has_ended;
    bool is_adopted; /* another process has started it, and whoever reaps it learns its status */
    int status;      /* as waitpid says it; -1: nobody tells us */
    size_t words_size;
    char words[VINE__CHILD_WORDS_BYTES];
};

/* Start it, in a process group of its own.
 * Returns 0; -ENOENT, -EACCES...: it cannot be run; what `is_there` has returned; or what the
 * system said. */
VINE_MUST_CHECK int vine__child_start(const struct vine__child_options *options,
                                      struct vine__child *ret_child);

/* Whether a child of this user may read the file. Returns 0, also where there is none; -EACCES: it
 * may not, and `ret_closed` is the folder that it may not pass, or the file itself; or what the
 * system said. */
VINE_MUST_CHECK int vine__child_may_read(uid_t user_id, gid_t group_id, const char *path,
                                         char *ret_closed, size_t size);

/* Watch one that another process has started. Returns 0; -ESRCH if it has ended, or another one has
 * its pid; or what the system said. */
VINE_MUST_CHECK int vine__child_adopt(pid_t pid, uint64_t start_ticks,
                                      struct vine__child *ret_child);

/* Read what is there of its standard error. */
void vine__child_listen(struct vine__child *child);

/* The last line that it said there, or "". Valid until the next call. */
const char *vine__child_last_words(struct vine__child *child);

/* Whether it has ended, and if so reap it, where it is ours. */
bool vine__child_reap(struct vine__child *child);

/* Send a signal, unless it was reaped. */
void vine__child_signal(struct vine__child *child, int number);

/* Let go of it: whoever still runs is not touched, but its end will be noticed by nobody. */
void vine__child_close(struct vine__child *child);

#endif
