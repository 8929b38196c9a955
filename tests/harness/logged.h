/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/harness/logged.h - a program whose log the test reads: it waits for words in there, and
 * never for a time.
 *
 * Owns:     one program at a time, which dies with the test.
 * Threads:  one.
 * Blocking: until the word is there, or a guard against hangs fails the test.
 * Trust:    the test's own.
 * Limits:   LOGGED_TEXT_BYTES of a log.
 */
#ifndef VINE_TESTS_HARNESS_LOGGED_H
#define VINE_TESTS_HARNESS_LOGGED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vine/network.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock/clock.h"

/* No test waits that long when all is well. */
#define HANG_MS 60000

#define LOGGED_TEXT_BYTES (1 << 18)

static struct {
    pid_t pid;
    int said; /* what it logs; nobody has the other end but it and its processes */
    char *text;
    size_t length;
    size_t seen; /* words are looked for behind those that were found */
} logged = {.pid = -1, .said = -1};

/* What its environment and its limits are to be; runs in the child before it is the service. */
typedef void (*prepare_fn)(void *context);

static inline void logged_start(prepare_fn prepare, void *context, const char *path,
                                const char *const *words)
{
    char *argv[48] = {NULL};
    int ends[2];
    int argc = 0;

    for (; *words != NULL; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    logged.length = 0;
    logged.seen = 0;
    logged.text[0] = '\0';
    logged.pid = fork();
    assert_true(logged.pid >= 0);
    if (logged.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], STDERR_FILENO);
        if (prepare != NULL)
            prepare(context);
        (void)execv(path, argv);
        _exit(99);
    }
    (void)close(ends[1]);
    logged.said = ends[0];
}

/* Read what is logged until there is a word behind what was found before, or with NULL until all
 * who could log have ended. Returns where it stands. */
static inline const char *listen_for(const char *word)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);

    for (;;) {
        char *const found = word != NULL ? strstr(logged.text + logged.seen, word) : NULL;
        struct pollfd said = {.fd = logged.said, .events = POLLIN};

        if (found != NULL) {
            logged.seen = (size_t)(found - logged.text) + strlen(word);
            return found;
        }
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("never said '%s', but:\n%s", word != NULL ? word : "its end",
                     logged.text + logged.seen);
        if (poll(&said, 1, 1000) <= 0)
            continue;
        const ssize_t size =
            read(logged.said, logged.text + logged.length, LOGGED_TEXT_BYTES - 1 - logged.length);

        if (size <= 0 && word == NULL)
            return logged.text;
        if (size <= 0)
            fail_msg("ended without '%s', but:\n%s", word, logged.text + logged.seen);
        logged.length += (size_t)size;
        logged.text[logged.length] = '\0';
    }
}

/* Whether it was said, wherever. */
static inline bool was_said(const char *word)
{
    return strstr(logged.text, word) != NULL;
}

/* Wait for the end of it and of all its processes. Returns its exit code, -1: a signal. */
static inline int logged_end(void)
{
    int status;

    (void)listen_for(NULL);
    assert_int_equal(waitpid(logged.pid, &status, 0), logged.pid);
    logged.pid = -1;
    (void)close(logged.said);
    logged.said = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void tell(int number)
{
    assert_int_equal(kill(logged.pid, number), 0);
}

static inline int logged_stop(void)
{
    tell(SIGTERM);
    return logged_end();
}

/* The first word of a line behind "listening at ". */
static inline struct vine_address listening_address(void)
{
    struct vine_address address;
    char text[VINE_ADDRESS_TEXT_BYTES];

    (void)snprintf(text, sizeof(text), "%s", listen_for("listening at ") + 13);
    while (strchr(text, '\n') == NULL) { /* the rest of the line is on its way */
        struct pollfd said = {.fd = logged.said, .events = POLLIN};

        (void)poll(&said, 1, 1000);
        const ssize_t size =
            read(logged.said, logged.text + logged.length, LOGGED_TEXT_BYTES - 1 - logged.length);

        assert_true(size > 0);
        logged.length += (size_t)size;
        logged.text[logged.length] = '\0';
        (void)snprintf(text, sizeof(text), "%s", logged.text + logged.seen);
    }
    text[strcspn(text, ",\n")] = '\0';
    assert_int_equal(vine_address_parse(text, &address), 0);
    return address;
}

/* The process that serves at a place, as a supervisor has told last. */
static inline int logged_pid_at(unsigned int place)
{
    char words[32];
    int pid = 0;

    (void)snprintf(words, sizeof(words), "process %u (pid ", place);
    for (const char *at = logged.text; (at = strstr(at, words)) != NULL; at++) {
        const char *const line_end = strchr(at, '\n');
        const char *const serves = strstr(at, " serves, ");

        if (serves != NULL && line_end != NULL && serves < line_end)
            pid = atoi(at + strlen(words));
    }
    assert_true(pid > 0);
    return pid;
}

/* Connect. Returns a descriptor or a negative error. */
static inline int try_connect(const struct vine_address *address)
{
    const int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, &address->any, address->size_bytes) == 0)
        return fd;
    const int error = -errno;

    (void)close(fd);
    return error;
}

static inline int logged_open(void **state)
{
    (void)state;
    logged.text = malloc(LOGGED_TEXT_BYTES);
    return logged.text == NULL;
}

static inline int logged_close(void **state)
{
    (void)state;
    if (logged.pid > 0) {
        (void)kill(logged.pid, SIGKILL);
        (void)waitpid(logged.pid, NULL, 0);
    }
    if (logged.said >= 0)
        (void)close(logged.said);
    logged.pid = -1;
    logged.said = -1;
    free(logged.text);
    return 0;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
