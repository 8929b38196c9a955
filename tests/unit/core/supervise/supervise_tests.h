/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of core/supervise share: a service in whose processes nothing but this test's own
 * code runs, since the test program is the service, too: run as `TEST service KIND OPTION...`, it
 * calls vine_supervise, and then behaves as its kind says.
 */
#ifndef VINE_TESTS_SUPERVISE_TESTS_H
#define VINE_TESTS_SUPERVISE_TESTS_H

#include "harness/logged.h"

#include <vine/supervise.h>

#include <dirent.h>
#include <sys/resource.h>

/* ---- the service ----------------------------------------------------------------------------- */

static volatile sig_atomic_t is_told_to_stop;

static void note_stop(int number)
{
    (void)number;
    is_told_to_stop = 1;
}

static void note_user(int number)
{
    static const char words[] = "SIGUSR1 was here\n";

    (void)number;
    (void)!write(STDERR_FILENO, words, sizeof(words) - 1);
}

static void take(int number, void (*fn)(int))
{
    const struct sigaction action = {.sa_handler = fn}; /* no SA_RESTART: poll shall end */

    (void)sigaction(number, &action, NULL);
}

/* How many descriptors are open, but the one that looks. */
static int count_descriptors(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    int count = 0;

    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count - 1;
}

/* "INDEX PID DESCRIPTORS NAME" to whoever has sent a line; 'x' kills this process, 'q' ends it. */
static void answer(int fd, uint32_t listener)
{
    const struct vine_supervised *const own = vine_supervised();
    char line[256];
    ssize_t size;

    do
        size = read(fd, line, sizeof(line));
    while (size < 0 && errno == EINTR);
    if (size > 0 && line[0] == 'x') {
        vine_supervised_last_words("earlier ones");
        vine_supervised_last_words("coroutine 7, line 42\nand more");
        (void)raise(SIGKILL);
    }
    if (size > 0 && line[0] == 'q')
        _exit(3);
    const int length = snprintf(line, sizeof(line), "%u %d %d %s\n", own->index, (int)getpid(),
                                count_descriptors(), own->listeners[listener].name);

    if (size > 0)
        (void)!write(fd, line, (size_t)length);
    (void)close(fd);
}

/* One after the other; after SIGTERM those that have connected by then. */
static int serve(bool is_stubborn)
{
    const struct vine_supervised *const own = vine_supervised();
    struct pollfd ready[VINE_SUPERVISE_LISTENERS_MAX];
    bool is_empty = false;

    for (uint32_t i = 0; i < own->listener_count; i++) {
        ready[i] = (struct pollfd){.fd = own->listeners[i].fd, .events = POLLIN};
        (void)fcntl(ready[i].fd, F_SETFL, fcntl(ready[i].fd, F_GETFL) | O_NONBLOCK);
    }
    while (is_told_to_stop == 0 || is_stubborn || !is_empty) {
        const int count = poll(ready, own->listener_count, is_told_to_stop != 0 ? 0 : 100);

        is_empty = count == 0;
        for (uint32_t i = 0; count > 0 && i < own->listener_count; i++) {
            const int fd =
                ready[i].revents != 0 ? accept4(ready[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;

            if (fd >= 0)
                answer(fd, i);
            is_empty |= fd < 0 && is_told_to_stop != 0; /* perhaps there is no socket any more */
        }
    }
    return 0;
}

/* Whether this is the first time that this is asked of `name`, in any process. */
static bool is_first_time(const char *name)
{
    const int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

/* What follows `name` among the words of a command line, the nth time; or NULL. */
static const char *word_after(int argc, char **argv, const char *name, int nth)
{
    for (int i = 3; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0 && nth-- == 0)
            return argv[i + 1];
    return NULL;
}

static uint64_t number_after(int argc, char **argv, const char *name)
{
    const char *const text = word_after(argc, argv, name, 0);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

/* service KIND [listen ADDRESS]... [processes N] [drain MS] [start MS] [mark FILE] */
static int service(int argc, char **argv)
{
    const char *const kind = argv[2];
    const char *const mark = word_after(argc, argv, "mark", 0);
    const char *listen[VINE_SUPERVISE_LISTENERS_MAX + 8];
    struct vine_supervise_options options = {
        .size_bytes = sizeof(options),
        .listen = {.texts = listen},
        .process_count = number_after(argc, argv, "processes"),
        .drain_ns = number_after(argc, argv, "drain") * 1000000,
        .start_ns = number_after(argc, argv, "start") * 1000000,
    };

    while ((listen[options.listen.count] =
                word_after(argc, argv, "listen", (int)options.listen.count)) != NULL)
        options.listen.count++;
    const int code = vine_supervise(argc, argv, &options);

    if (code != VINE_SUPERVISE_GOES_ON)
        return code;
    if (strcmp(kind, "dies") == 0)
        _exit(7);
    if (strcmp(kind, "refuses") == 0)
        _exit(2);
    if (strcmp(kind, "sleeps") == 0)
        for (;;)
            (void)pause();
    if (strcmp(kind, "once") == 0 && !is_first_time(mark))
        _exit(8);
    take(SIGTERM, note_stop);
    take(SIGUSR1, note_user);
    vine_supervised_ready();
    return serve(strcmp(kind, "stubborn") == 0);
}

/* ---- the test's side ------------------------------------------------------------------------- */

static void start_service(prepare_fn prepare, void *context, const char *const *words)
{
    const char *all[40] = {"test", "service"};
    int count = 2;

    for (; *words != NULL; words++)
        all[count++] = *words;
    logged_start(prepare, context, "/proc/self/exe", all);
}

struct reply {
    unsigned int index;
    int pid, descriptors;
    char name[32];
};

/* Send a line and hear what comes, until the end. Returns how much that is, or a negative error. */
static ssize_t say(int fd, const char *line, char text[256])
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t size;

    text[0] = '\0';
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    if (poll(&ready, 1, HANG_MS) != 1)
        fail_msg("nobody answers");
    size = read(fd, text, 255);
    text[size > 0 ? size : 0] = '\0';
    const int error = errno;

    (void)close(fd);
    return size < 0 ? -error : size;
}

static struct reply take_reply(const char *text)
{
    struct reply reply = {.index = 0};

    if (sscanf(text, "%u %d %d %31s", &reply.index, &reply.pid, &reply.descriptors, reply.name) < 3)
        fail_msg("no answer: '%s'", text);
    return reply;
}

static struct reply ask(const struct vine_address *address)
{
    const int fd = try_connect(address);
    char text[256];

    assert_true(fd >= 0);
    assert_true(say(fd, "hallo", text) > 0);
    return take_reply(text);
}

/* Whoever gets it does something that is answered by nobody. */
static void tell_one(const struct vine_address *address, const char *line)
{
    const int fd = try_connect(address);
    char text[256];

    assert_true(fd >= 0);
    assert_true(say(fd, line, text) <= 0);
}

#endif
