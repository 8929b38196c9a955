/* SPDX-License-Identifier: Apache-2.0 */
/* The side of a process that serves. */
#include <vine/supervise.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/supervise/status_protocol.h"
#include "core/supervise/supervise_internal.h"
#include "utils/atomic.h"

/* A process has one supervisor. Written before there is a second thread. */
static struct {
    struct vine_supervised supervised;
    struct vine_inherited listeners[VINE_SUPERVISE_LISTENERS_MAX];
    char *names; /* what `listeners` point into */
    bool is_there;
    int status_fd;
    uint32_t is_ready; /* atomic, in no order with anything: it has been said */
} own = {.status_fd = -1};

/* ---- the environment ------------------------------------------------------------------------- */

/* The next number of "1 2 3". Returns whether there is one. */
static bool take_number(const char **text, uint32_t *ret_number)
{
    char *end;

    errno = 0;
    const unsigned long number = strtoul(*text, &end, 10);

    if (end == *text || errno != 0 || number > INT32_MAX)
        return false;
    *text = end;
    *ret_number = (uint32_t)number;
    return true;
}

static bool is_about_us(const char *name)
{
    const char *text = getenv(name);
    uint32_t number;

    return text != NULL && take_number(&text, &number) && *text == '\0' &&
           (pid_t)number == getpid();
}

uint32_t vine__inherited_take(struct vine_inherited *ret_listeners, uint32_t count_max,
                              char **ret_names)
{
    const char *const names = getenv("LISTEN_FDNAMES");
    const char *text = getenv("LISTEN_FDS");
    uint32_t count = 0;
    char *rest = NULL;

    if (!is_about_us("LISTEN_PID") || text == NULL || !take_number(&text, &count) || *text != '\0')
        count = 0;
    *ret_names = names != NULL && count > 0 ? strdup(names) : NULL;
    rest = *ret_names;
    for (uint32_t i = 0; i < count && i < count_max; i++) {
        char *const name = rest != NULL ? strsep(&rest, ":") : NULL;

        ret_listeners[i] = (struct vine_inherited){.fd = STATUS_FIRST_FD + (int)i,
                                                   .name = name != NULL ? name : ""};
        (void)fcntl(ret_listeners[i].fd, F_SETFD, FD_CLOEXEC);
    }
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
    return count;
}

bool vine__supervised_init(void)
{
    const char *text = getenv(STATUS_VARIABLE);
    uint32_t index, count, fd, pid;

    if (own.is_there)
        return true;
    if (text == NULL || !take_number(&text, &index) || !take_number(&text, &count) ||
        !take_number(&text, &fd) || !take_number(&text, &pid) || (pid_t)pid != getpid())
        return false;
    (void)unsetenv(STATUS_VARIABLE);
    own.supervised.index = index;
    own.supervised.process_count = count;
    const uint32_t passed =
        vine__inherited_take(own.listeners, VINE_SUPERVISE_LISTENERS_MAX, &own.names);

    own.supervised.listener_count =
        passed < VINE_SUPERVISE_LISTENERS_MAX ? passed : VINE_SUPERVISE_LISTENERS_MAX;
    own.supervised.listeners = own.listeners;
    own.status_fd = (int)fd;
    (void)fcntl(own.status_fd, F_SETFD, FD_CLOEXEC);
    own.is_there = true;
    return true;
}

void vine__supervised_set_drain(uint64_t drain_ns)
{
    own.supervised.drain_ns = drain_ns;
}

/* ---- what it says ---------------------------------------------------------------------------- */

const struct vine_supervised *vine_supervised(void)
{
    return own.is_there ? &own.supervised : NULL;
}

static void say(const char *word, const char *text)
{
    const size_t word_length = strlen(word);
    const size_t length = strcspn(text, "\n");
    const size_t kept = length < VINE_SUPERVISED_WORDS_BYTES ? length : VINE_SUPERVISED_WORDS_BYTES;
    const int error_before = errno;
    char line[STATUS_LINE_BYTES + 1];

    memcpy(line, word, word_length);
    memcpy(line + word_length, text, kept);
    line[word_length + kept] = '\n';
    /* Whole or not at all: a pipe takes as much at once. A supervisor that has gone takes us with
     * it, so that nobody is left to be told of an error. */
    if (own.status_fd >= 0)
        (void)!write(own.status_fd, line, word_length + kept + 1);
    errno = error_before;
}

void vine_supervised_ready(void)
{
    /* Pairs with nothing: whoever is the first says it. */
    if (vine__exchange_acq_rel_u32(&own.is_ready, 1) == 0)
        say(STATUS_READY, "");
}

void vine_supervised_last_words(const char *line)
{
    say(STATUS_WORDS, line);
}
