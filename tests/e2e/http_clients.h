/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of `vine serve` for tests of many: one that asks and waits for its answer, and threads of
 * those that never stop. Included behind harness/logged.h.
 */
#ifndef TESTS_HTTP_CLIENTS_H
#define TESTS_HTTP_CLIENTS_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include "utils/atomic.h"

#define REQUEST      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define ANSWER_BYTES 1024

/* ---- the service ----------------------------------------------------------------------------- */

static struct vine_address address; /* where it listens */

/* `vine-serve SERVICE OPTION...`, up to a NULL: ready when this returns. */
static inline void serve_prepared(prepare_fn prepare, const char *service,
                                  const char *const *options)
{
    static char program[1024];
    const char *words[32] = {program, service, "--listen=127.0.0.1:0", "--overprovisioned",
                             "--blocked-reactor-notify-ms=10000"};
    size_t count = 5;

    assert_non_null(getenv("VINE_BUILD_DIR"));
    (void)snprintf(program, sizeof(program), "%s/vine-serve", getenv("VINE_BUILD_DIR"));
    while (*options != NULL)
        words[count++] = *options++;
    logged_start(prepare, NULL, program, words);
    address = listening_address();
    (void)listen_for(": ready");
}

#define serve(service, ...) serve_prepared(NULL, (service), WORDS(__VA_ARGS__))

static inline void stop_serving(void)
{
    assert_int_equal(logged_stop(), 0);
}

/* What a process has of its own in memory. */
static inline uint64_t private_bytes(int pid)
{
    char path[64], line[256];
    unsigned long kilobytes;
    uint64_t bytes = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Private_", 8) == 0 &&
            sscanf(strchr(line, ':') + 1, "%lu", &kilobytes) == 1)
            bytes += kilobytes * 1024;
    (void)fclose(file);
    return bytes;
}

static inline bool is_sanitized(void)
{
    const char *const sanitizers = getenv("VINE_SANITIZE");

    return sanitizers != NULL && *sanitizers != '\0';
}

/* ---- one client ------------------------------------------------------------------------------ */

static inline int connect_now(void)
{
    const struct timeval hang = {.tv_sec = HANG_MS / 1000};
    const int one = 1, fd = try_connect(&address);

    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof(hang));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static inline bool send_text(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/*
 * One answer, which has a Content-Length, into `text`. Returns its status; or 0, the connection has
 * ended without a byte of it; -1, in the middle, or with nonsense.
 */
static inline int receive_answer(int fd, char text[ANSWER_BYTES])
{
    size_t size = 0, whole = SIZE_MAX;

    while (size < whole) {
        const ssize_t part = recv(fd, text + size, ANSWER_BYTES - 1 - size, 0);
        const char *end, *length;

        if (part <= 0)
            return size == 0 && (part == 0 || errno == ECONNRESET) ? 0 : -1;
        size += (size_t)part;
        text[size] = '\0';
        end = strstr(text, "\r\n\r\n");
        length = strcasestr(text, "\r\nContent-Length: ");
        if (end != NULL && length != NULL && length < end)
            whole = (size_t)(end - text) + 4 + strtoull(length + 18, NULL, 10);
    }
    return size == whole && strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : -1;
}

/* Ask for `hello`. Returns 200; 201, the same, and no more is answered here; 0, the connection has
 * ended instead; or what is wrong. */
static inline int ask(int fd)
{
    char text[ANSWER_BYTES];
    int status;

    if (!send_text(fd, REQUEST))
        return 0;
    status = receive_answer(fd, text);
    if (status == 200 && strcmp(strstr(text, "\r\n\r\n") + 4, "hello") != 0)
        return -1;
    if (status == 200 && strcasestr(text, "\r\nConnection: close\r\n") != NULL)
        return 201;
    return status;
}

/* ---- clients that never stop ----------------------------------------------------------------- */

#define LOADERS    4
#define LOADER_HAS 8 /* connections, which stay */

static struct {
    pthread_t threads[LOADERS];
    bool stays;       /* a connection that ends is a mistake; else another one comes in its place */
    uint32_t is_over; /* atomic, and so are those below */
    uint32_t answered, lost, wrong, told_of_the_end;
    uint32_t last_wrong; /* what ask() gave */
} load;

/* What one of them has after an answer, or none: its connection, or -1 for another one. */
static inline int count_answer(int fd, int status)
{
    if (status == 200 || status == 201)
        (void)vine__fetch_add_relaxed_u32(&load.answered, 1);
    else
        (void)vine__fetch_add_relaxed_u32(status == 0 ? &load.lost : &load.wrong, 1);
    if (status == 200)
        return fd;
    if (status == 201)
        (void)vine__fetch_add_relaxed_u32(&load.told_of_the_end, 1);
    else
        vine__store_relaxed_u32(&load.last_wrong, (uint32_t)status);
    (void)close(fd);
    return -1;
}

static inline void *load_on(void *nothing)
{
    int fds[LOADER_HAS];
    bool goes_on = true;

    (void)nothing;
    for (int i = 0; i < LOADER_HAS; i++)
        fds[i] = -1;
    while (goes_on && vine__load_relaxed_u32(&load.is_over) == 0)
        for (int i = 0; goes_on && i < LOADER_HAS; i++) {
            if (fds[i] < 0)
                fds[i] = try_connect(&address);
            if (fds[i] >= 0)
                fds[i] = count_answer(fds[i], ask(fds[i]));
            else
                goes_on = false; /* nobody listens there any more */
            if (fds[i] < 0 && load.stays)
                goes_on = false;
        }
    for (int i = 0; i < LOADER_HAS; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    return NULL;
}

static inline void begin_load(bool stays)
{
    memset(&load, 0, sizeof(load));
    load.stays = stays;
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_create(&load.threads[i], NULL, load_on, NULL), 0);
}

static inline void await_answers(uint32_t count)
{
    const uint32_t enough = vine__load_relaxed_u32(&load.answered) + count;
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);

    while (vine__load_relaxed_u32(&load.answered) < enough) {
        (void)poll(NULL, 0, 1);
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("nobody is answered any more:\n%s", logged.text);
    }
}

static inline void end_load(void)
{
    vine__store_relaxed_u32(&load.is_over, 1);
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_join(load.threads[i], NULL), 0);
}

#endif
