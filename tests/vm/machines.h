/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/machines.h - a `vine guest run` as a child: what its machines say, line by line with the
 * moment at which we read it, and requests to it.
 *
 * Owns:     the child, a folder, and all lines that were said.
 * Threads:  one.
 * Blocking: until a line comes, for GUARD_NS at most, a hang guard that fails the test.
 * Trust:    the test's own.
 * Limits:   x86-64; LINES_MAX lines.
 */
#ifndef VINE_TESTS_VM_MACHINES_H
#define VINE_TESTS_VM_MACHINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "arch/peer/peer.h"
#include "harness/folder.h"

#define GUARD_NS  ((is_long() ? 600 : 300) * VINE_NS_PER_SECOND)
#define LINES_MAX 200000
#define MS        UINT64_C(1000000)

struct line {
    uint64_t ns;
    char event[24]; /* "line": on its console */
    char machine[16];
    char text[160];
};

struct machines {
    char folder[64];
    char control[96];
    pid_t pid;
    int fd; /* what it prints */
    char part[8192];
    size_t part_size;
    struct line *lines;
    size_t count;
};

/* Returns 0, or the exit code of a test that cannot run, whose reason was printed. */
static inline int machines_prepare(void)
{
    char command[1024];

    if (getenv("VINE_SOURCE_DIR") == NULL || getenv("VINE_BUILD_DIR") == NULL ||
        getenv("VINE_COMMAND") == NULL) {
        printf("no VINE_SOURCE_DIR, VINE_BUILD_DIR or VINE_COMMAND\n");
        return 77;
    }
    (void)snprintf(command, sizeof(command), "'%s/tests/vm/build' '%s/vm/pair'",
                   getenv("VINE_SOURCE_DIR"), getenv("VINE_BUILD_DIR"));
    const int status = system(command);

    if (status == 0)
        return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1;
}

static inline bool is_long(void)
{
    return getenv("VINE_TEST_LONG") != NULL;
}

static inline void machines_print(const struct machines *run)
{
    const size_t from = run->count > 2000 ? run->count - 2000 : 0;

    for (size_t i = from; i < run->count; i++)
        if (strstr(run->lines[i].text, "good") == NULL &&
            strstr(run->lines[i].text, "watch") == NULL)
            print_message("%8.3f %s %s %s\n", (double)(run->lines[i].ns - run->lines[0].ns) / 1e9,
                          run->lines[i].machine, run->lines[i].event, run->lines[i].text);
}

/* ---- its life -------------------------------------------------------------------------------- */

/* `plan` is the JSON file but for its beginning, which says where the guest is. In it @ gives a
 * machine /link, which is link_guest.c, and $ is where all such programs are. */
static inline void machines_start(struct machines *run, const char *plan)
{
    char path[128];
    int fds[2];

    *run = (struct machines){.lines = calloc(LINES_MAX, sizeof(struct line))};
    assert_non_null(run->lines);
    (void)snprintf(run->folder, sizeof(run->folder), "/tmp/vine-machines-XXXXXX");
    assert_int_equal(folder_make(run->folder), 0);
    (void)snprintf(run->control, sizeof(run->control), "%s/control", run->folder);
    (void)snprintf(path, sizeof(path), "%s/plan.json", run->folder);
    FILE *const file = fopen(path, "we");

    assert_non_null(file);
    (void)fprintf(file, "{\"guest\": \"%s/vm/pair\", ", getenv("VINE_BUILD_DIR"));
    for (const char *at = plan; *at != '\0'; at++)
        if (*at == '@')
            (void)fprintf(file,
                          "\"kernel_options\": [\"quiet\"], \"files\": {\"link\": "
                          "\"%s/tests/vm_link_guest\"}",
                          getenv("VINE_BUILD_DIR"));
        else if (*at == '$')
            (void)fprintf(file, "%s/tests", getenv("VINE_BUILD_DIR"));
        else
            (void)fputc(*at == '\'' ? '"' : *at, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    run->pid = fork();
    assert_true(run->pid >= 0);
    if (run->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)execl(getenv("VINE_COMMAND"), "vine", "guest", "run", "--json", "--control",
                    run->control, path, NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    run->fd = fds[0];
}

static inline void machines_take_line(struct machines *run, const char *text, size_t size)
{
    struct line *const line = &run->lines[run->count];
    json_t *const object = json_loadb(text, size, 0, NULL);
    const char *const words[] = {json_string_value(json_object_get(object, "event")),
                                 json_string_value(json_object_get(object, "machine")),
                                 json_string_value(json_object_get(object, "text"))};

    if (run->count + 1 >= LINES_MAX)
        fail_msg("too much was said");
    line->ns = vine__clock_now_ns();
    (void)snprintf(line->event, sizeof(line->event), "%s", words[0] != NULL ? words[0] : "?");
    (void)snprintf(line->machine, sizeof(line->machine), "%s", words[1] != NULL ? words[1] : "?");
    (void)snprintf(line->text, sizeof(line->text), "%s", words[2] != NULL ? words[2] : "");
    json_decref(object);
    run->count++;
    if (strstr(line->text, "WRONG") != NULL) {
        machines_print(run);
        fail_msg("%s said '%s'", line->machine, line->text);
    }
}

/* Read what has been said, waiting for it for so long at most. */
static inline void machines_hear(struct machines *run, uint64_t timeout_ns)
{
    struct pollfd fd = {.fd = run->fd, .events = POLLIN};

    if (poll(&fd, 1, (int)(timeout_ns / MS)) <= 0)
        return;
    const ssize_t size =
        read(run->fd, run->part + run->part_size, sizeof(run->part) - run->part_size);

    if (size <= 0) {
        machines_print(run);
        fail_msg("the run has ended");
    }
    run->part_size += (size_t)size;
    for (const char *end; (end = memchr(run->part, '\n', run->part_size)) != NULL;) {
        const size_t length = (size_t)(end - run->part) + 1;

        machines_take_line(run, run->part, length);
        memmove(run->part, run->part + length, run->part_size - length);
        run->part_size -= length;
    }
    if (run->part_size == sizeof(run->part))
        fail_msg("a line without an end");
}

/* ---- what was said --------------------------------------------------------------------------- */

static inline bool line_is(const struct line *line, const char *machine, const char *event,
                           const char *text)
{
    return strcmp(line->machine, machine) == 0 && strcmp(line->event, event) == 0 &&
           strstr(line->text, text) != NULL;
}

/* Wait for something from line `from` on. Returns its index. */
static inline size_t expect_event(struct machines *run, size_t from, const char *machine,
                                  const char *event, const char *text)
{
    const uint64_t begin_ns = vine__clock_now_ns();

    for (size_t i = from;; i++) {
        while (i >= run->count) {
            if (vine__clock_now_ns() - begin_ns > GUARD_NS) {
                machines_print(run);
                fail_msg("%s: '%s' '%s' does not come", machine, event, text);
            }
            machines_hear(run, VINE_NS_PER_SECOND);
        }
        if (line_is(&run->lines[i], machine, event, text))
            return i;
    }
}

static inline size_t expect_line(struct machines *run, size_t from, const char *machine,
                                 const char *text)
{
    return expect_event(run, from, machine, "line", text);
}

/* What must not have been said since. */
static inline void refuse_line(struct machines *run, size_t from, const char *machine,
                               const char *text)
{
    machines_hear(run, 0);
    for (size_t i = from; i < run->count; i++)
        if (line_is(&run->lines[i], machine, "line", text)) {
            machines_print(run);
            fail_msg("%s said '%s'", machine, run->lines[i].text);
        }
}

/* It goes on: so many further lines of that kind. Returns the index behind the last one. */
static inline size_t expect_lines(struct machines *run, size_t from, const char *machine,
                                  const char *text, unsigned count)
{
    while (count-- > 0)
        from = expect_line(run, from, machine, text) + 1;
    return from;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The answer is the caller's. */
static inline json_t *ask(struct machines *run, const char *words)
{
    char request[256], text[32768];
    struct vine__peer_message message = {.bytes = text, .capacity_bytes = sizeof(text)};
    size_t size = 0;
    int fd = -1;

    size += (size_t)snprintf(request, sizeof(request), "[\"");
    for (const char *at = words; *at != '\0' && size < sizeof(request) - 8; at++)
        size += (size_t)snprintf(request + size, sizeof(request) - size,
                                 *at == ' ' ? "\", \"" : "%c", *at);
    size += (size_t)snprintf(request + size, sizeof(request) - size, "\"]");
    assert_int_equal(vine__peer_connect(run->control, GUARD_NS, &fd), 0);
    assert_int_equal(vine__peer_send(fd, request, size, NULL, 0, GUARD_NS), 0);
    assert_int_equal(vine__peer_receive(fd, &message, GUARD_NS), 0);
    (void)close(fd);
    json_t *const answer = json_loadb(text, message.size_bytes, 0, NULL);

    assert_non_null(answer);
    return answer;
}

static inline void tell(struct machines *run, const char *words)
{
    json_t *const answer = ask(run, words);

    if (json_object_get(answer, "error") != NULL)
        fail_msg("%s: %s", words, json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
}

static inline pid_t bells_of(struct machines *run)
{
    json_t *const answer = ask(run, "ls");
    const pid_t pid = (pid_t)json_integer_value(json_object_get(answer, "bells"));

    json_decref(answer);
    assert_true(pid > 0);
    return pid;
}

/* The process of its QEMU. */
static inline pid_t pid_of(struct machines *run, const char *machine)
{
    json_t *const answer = ask(run, "ls");
    const json_t *entry;
    size_t index;
    pid_t pid = 0;

    json_array_foreach(json_object_get(answer, "machines"), index, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "name")), machine) == 0)
            pid = (pid_t)json_integer_value(json_object_get(entry, "pid"));
    }
    json_decref(answer);
    assert_true(pid > 0);
    return pid;
}

static inline void machines_end(struct machines *run)
{
    int status = 0;

    /* Two of them: at once. */
    tell(run, "end");
    tell(run, "end");
    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    (void)close(run->fd);
    free(run->lines);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- figures --------------------------------------------------------------------------------- */

struct times {
    uint64_t ns[200];
    size_t count;
};

static inline void times_add(struct times *times, uint64_t ns)
{
    if (times->count < sizeof(times->ns) / sizeof(times->ns[0]))
        times->ns[times->count++] = ns;
}

static inline int times_compare(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static inline void times_print(struct times *times, const char *what)
{
    qsort(times->ns, times->count, sizeof(times->ns[0]), times_compare);
    if (times->count > 0)
        print_message("%s: %zu, p50 %.1f ms, at most %.1f ms\n", what, times->count,
                      (double)times->ns[times->count / 2] / 1e6,
                      (double)times->ns[times->count - 1] / 1e6);
}

/* Who survives is told within a second. A host that stands still may have single ones wait for
 * longer, but not so long that a time-out must have been what ended it; and where there are many,
 * their median tells of us and not of the host. */
static inline void times_judge(struct times *times, const char *what)
{
    times_print(times, what);
    assert_true(times->count > 0);
    assert_in_range(times->ns[times->count - 1] / MS, 0, 10000);
    if (is_long())
        assert_in_range(times->ns[times->count / 2] / MS, 0, 1000);
}

#endif
