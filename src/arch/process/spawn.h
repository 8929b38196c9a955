/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/process/spawn.h - processes of our own: started with what they need, ended, reaped.
 *
 * Owns:     a process until it was reaped, and its pidfd, which the caller closes by
 *           vine__spawned_close.
 * Threads:  the one that started it, which has to live as long as the process: it dies with that
 *           thread. Nothing else of ours may fork at the same moment.
 * Blocking: starting waits until the program has been loaded, no longer; vine__spawned_kill for the
 *           end. All else never.
 * Trust:    not concerned.
 * Limits:   VINE__SPAWN_DESCRIPTORS_MAX descriptors.
 *
 * Caveats:  whoever ignores SIGCHLD, or reaps children that are not its own, learns no reason here.
 */
#ifndef VINE_ARCH_PROCESS_SPAWN_H
#define VINE_ARCH_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <vine/base.h>

#define VINE__SPAWN_DESCRIPTORS_MAX 128

/* Of a process number as text, with its end. */
#define VINE__SPAWN_NUMBER_BYTES 12

struct vine__spawn_options {
    const char *path;  /* of the program */
    const char *other; /* tried where that one is not there any more, or NULL */
    char *const *argv;
    char *const *environment;
    /* They become 3, 4 and so on. Standard input is empty, output and errors are ours; all others
     * that are close-on-exec are not there. */
    const int *descriptors;
    uint32_t descriptor_count;
    /* In `environment`: where the new process writes its own number, VINE__SPAWN_NUMBER_BYTES each;
     * ended with NULL. */
    char *const *numbers;
};

struct vine__spawned {
    pid_t pid;
    int pidfd; /* readable once it has ended */
};

/*
 * Start a process: in a group of its own, so that what a terminal sends comes by us alone; with all
 * signals as at first; killed when our thread ends.
 *
 * Returns 0; -ENOENT, -EACCES ...: the program cannot be run; or what the system says.
 */
VINE_MUST_CHECK int vine__spawn(const struct vine__spawn_options *options,
                                struct vine__spawned *ret_spawned);

/* Whether it has ended, and if so reap it, once. `ret_status` is as waitpid's; -1: somebody else
 * has reaped it. */
bool vine__spawned_reap(const struct vine__spawned *spawned, int *ret_status);

/* Send a signal to one that was not reaped. */
void vine__spawned_signal(const struct vine__spawned *spawned, int number);

void vine__spawned_close(struct vine__spawned *spawned);

/* Kill one that was not reaped, and wait for that; then it is closed. */
void vine__spawned_kill(struct vine__spawned *spawned);

/* "was killed by SIGSEGV (core dumped)", "ended with the code 3". */
#define VINE__STATUS_TEXT_BYTES 64
void vine__status_print(int status, char ret_text[VINE__STATUS_TEXT_BYTES]);

/* The program that this process runs, by the path that it had. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__program_path(char *ret_path, size_t size_bytes);

/* Whether this process has a terminal that is still there. */
bool vine__terminal_is_there(void);

/* Whether who has started us wants us to outlive the terminal (nohup). */
bool vine__hangup_is_ignored(void);

/* A pipe that waits for nobody at either end, close-on-exec. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__pipe_create(int *ret_read_fd, int *ret_write_fd);

#endif
