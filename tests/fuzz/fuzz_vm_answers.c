/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures links=keys links=runtime */
/*
 * The command before a VM server that answers anything. The first byte of the input says which verb
 * asks; the rest are answers, which `|` divides, and each is sent when something was asked. We are
 * the server whenever the verb waits for it. Whatever it says: the verb ends, with a status of the
 * command, and none of its bytes that could command a terminal is printed.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness/folder.h"

#include "../tools/options.h"

#include "utils/assert.h"
#include "utils/tables.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define WORDS_MAX 8

/* `@` is our folder; each verb, and then the operands and options. */
static const char *const lines[][WORDS_MAX] = {
    {"vm ls"},
    {"vm ls", "--json"},
    {"vm show", "zip"},
    {"vm show", "zip", "--json"},
    {"vm start", "zip"},
    {"vm start", "zip", "--json"},
    {"vm stop", "zip"},
    {"vm stop", "zip", "--json"},
    {"vm restart", "zip"},
    {"vm kill", "zip", "--json"},
    {"vm log", "zip", "--json"},
    {"vm events", "--count", "3"},
    {"vm events", "--count", "3", "--json"},
    {"vm wait", "zip", "off"},
    {"vm rm", "zip"},
    {"vm create", "zip", "--kernel", "@/kernel"},
    {"vm create", "zip", "--owner", "carol"},
    {"vm kernel", "zip", "@/kernel"},
    {"vm disk", "zip", "root", "@/kernel"},
    {"vm limits", "zip", "--json"},
    {"vm limits", "zip", "--memory", "256M"},
    {"vm configure", "zip", "@/kernel"},
    {"client ls"},
    {"client ls", "--json"},
    {"client add", "carol"},
    {"client rm", "carol"},
    {"client give", "zip", "carol"},
    {"up", "@/farm"},
    {"up", "@/farm", "--json"},
    {"down", "@/farm", "--close"},
};

static char folder[] = "/dev/shm/vine-fuzz-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener = -1;

static void begin(void)
{
    char path[64];
    FILE *file;

    if (listener >= 0)
        return;
    (void)signal(SIGPIPE, SIG_IGN);
    VINE_ASSERT(folder_make(folder) == 0);
    (void)snprintf(path, sizeof(path), "%s/kernel", folder);
    file = fopen(path, "w");
    VINE_ASSERT(file != NULL && fputs("{\"a\": 1}", file) >= 0 && fclose(file) == 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/server", folder);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    VINE_ASSERT(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    VINE_ASSERT(listen(listener, 16) == 0);
}

/* ---- the server ------------------------------------------------------------------------------ */

static struct {
    const uint8_t *at, *end; /* what is left to be said */
    int fd;                  /* the connection that came last; -1: none */
} server = {.fd = -1};

/* Whoever has connected since takes the place of who was there. */
static void let_in(void)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        if (server.fd >= 0)
            (void)close(server.fd);
        server.fd = fd;
    }
}

static bool was_asked(void)
{
    char asked[4096];
    bool was = false;

    while (recv(server.fd, asked, sizeof(asked), MSG_DONTWAIT) > 0)
        was = true;
    return was;
}

/* The command has nothing to read and waits. It is given the next answer if it has asked for one;
 * else nothing more comes. */
static void serve(void)
{
    const size_t left = (size_t)(server.end - server.at);
    const uint8_t *const bar = left > 0 ? memchr(server.at, '|', left) : NULL;
    const size_t size = bar != NULL ? (size_t)(bar - server.at) : left;

    let_in();
    VINE_ASSERT(server.fd >= 0);
    if (!was_asked() || left == 0) {
        (void)shutdown(server.fd, SHUT_WR);
        return;
    }
    (void)!send(server.fd, server.at, size, MSG_NOSIGNAL);
    server.at += size + (bar != NULL);
}

static void hang_up(void)
{
    let_in();
    if (server.fd >= 0)
        (void)close(server.fd);
    server.fd = -1;
}

/* In the place of libc's. */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const struct timespec none = {.tv_sec = 0};

    for (;;) {
        const int ready = ppoll(fds, count, &none, NULL);

        if (ready != 0 || timeout_ms == 0)
            return ready;
        serve();
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static int run(const char *const words[WORDS_MAX])
{
    const struct verb *const verb = verb_find(words[0]);
    char texts[WORDS_MAX + 2][128];
    char *argv[WORDS_MAX + 2];
    struct arguments arguments;
    int argc = 0, status = 0;

    VINE_ASSERT(verb != NULL);
    for (int i = 1; i < WORDS_MAX && words[i] != NULL; i++)
        (void)snprintf(texts[argc++], sizeof(texts[0]), "%s%s", words[i][0] == '@' ? folder : "",
                       words[i] + (words[i][0] == '@'));
    (void)snprintf(texts[argc++], sizeof(texts[0]), "-s");
    (void)snprintf(texts[argc++], sizeof(texts[0]), "%s", address.sun_path);
    for (int i = 0; i < argc; i++)
        argv[i] = texts[i];
    VINE_ASSERT(options_parse(verb, argc, argv, &arguments) == OPTIONS_PARSED);
    status = verb->run(&arguments);
    options_free(&arguments);
    return status;
}

/* Lines of text: nothing below a blank but tabs. */
static void check_printed(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        VINE_ASSERT(text[i] == '\n' || text[i] == '\t' || (unsigned char)text[i] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    FILE *const streams[2] = {stdout, stderr};
    char *texts[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    int status;

    if (size_bytes == 0)
        return 0;
    begin();
    server.at = bytes + 1;
    server.end = bytes + size_bytes;
    stdout = open_memstream(&texts[0], &sizes[0]);
    stderr = open_memstream(&texts[1], &sizes[1]);
    VINE_ASSERT(stdout != NULL && stderr != NULL);
    status = run(lines[(bytes[0] - (unsigned)'A') % VINE_ARRAY_COUNT(lines)]);
    hang_up();
    VINE_ASSERT(fclose(stdout) == 0 && fclose(stderr) == 0);
    stdout = streams[0];
    stderr = streams[1];
    VINE_ASSERT(status >= 0 && status < 128);
    for (int i = 0; i < 2; i++) {
        check_printed(texts[i], sizes[i]);
        free(texts[i]);
    }
    return 0;
}
