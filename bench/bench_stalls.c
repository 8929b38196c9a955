/* SPDX-License-Identifier: Apache-2.0 */
/* needs: pool engine runtime */
/*
 * The server of virtual machines while others keep it busy: how long one waits who asks for the
 * states of all, and who makes a machine. Others upload a disk of 1 GiB into the same pool, come
 * by the thousand with half a request, or ask and never read.
 *
 *   bench_stalls [SECONDS]    5 without: how long it is looked at for a row, at most
 */
#include "vms_server.h"

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

#include "vmm/pool/change.h"

#define SAMPLES_MAX 20000
#define CLIENTS     1000
#define DISK_BYTES  (UINT64_C(1) << 30)
#define POOL_BYTES  (UINT64_C(3) << 30)
#define UID_DIGITS  32

static double waits_ms[SAMPLES_MAX];
static uint64_t look_ns = UINT64_C(5000000000);
static char large[UID_DIGITS + 1]; /* the UID of the machine that gets the disk */

static void pool_check(int error, const struct vine__problem *problem)
{
    if (error != 0)
        (void)fprintf(stderr, "%s\n", problem->text);
    bench_check(error, "the pool");
}

/* ---- what others do -------------------------------------------------------------------------- */

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = write(fd, bytes, size);

        bench_require(sent > 0, "a request");
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void upload(void)
{
    static char bytes[1 << 20];
    const int fd = vms_reach("run/control.sock");
    char head[128];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 2654435761U >> 13); /* no holes */
    (void)snprintf(head, sizeof(head), "118,1\n%d,%s\n%llu,", UID_DIGITS, large,
                   (unsigned long long)DISK_BYTES);
    write_all(fd, head, strlen(head));
    for (uint64_t sent = 0; sent < DISK_BYTES; sent += sizeof(bytes))
        write_all(fd, bytes, sizeof(bytes));
    (void)vms_ask(fd, "\n", 2);
}

/* They come, say half of what they want, and go, all of them again and again. */
static void come_and_go(void)
{
    static int fds[CLIENTS];

    for (;;) {
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = vms_reach("crowd.sock");
            write_all(fds[i], "8,1\n32,", 7);
        }
        (void)poll(NULL, 0, 100);
        for (int i = 0; i < CLIENTS; i++)
            (void)close(fds[i]);
    }
}

/* All ask for ever, as fast as the server takes it, and read nothing. */
static void never_read(void)
{
    static int fds[CLIENTS];
    static char many[5 * 512];

    for (size_t i = 0; i < sizeof(many); i++)
        many[i] = "10,1\n"[i % 5];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = vms_reach("crowd.sock");
    for (;;) {
        for (int i = 0; i < CLIENTS; i++)
            (void)send(fds[i], many, sizeof(many), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)poll(NULL, 0, 1);
    }
}

/* ---- who waits ------------------------------------------------------------------------------- */

/* Make a machine of client a's. Returns the answer. */
static const char *make(int fd, const char *word, uint32_t number)
{
    char name[16], request[64];

    (void)snprintf(name, sizeof(name), "%s-%u", word, number);
    (void)snprintf(request, sizeof(request), "106,1\n1,a\n%zu,%s\n", strlen(name), name);
    return vms_ask(fd, request, 3);
}

static void ask_states(int fd)
{
    (void)vms_ask(fd, "112,1\n", 3);
}

static void make_machine(int fd)
{
    static uint32_t count;

    (void)make(fd, "vm", count++);
}

static bool is_over(pid_t other)
{
    int status;

    if (other == 0 || waitpid(other, &status, WNOHANG) != other)
        return false;
    bench_require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "what others do");
    return true;
}

static void print(const char *what, size_t count)
{
    struct bench_row row = {.limit = NULL};
    const double median = bench_median(waits_ms, count);

    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured),
                   "%.3f ms, 99 of 100 in %.3f, longest of %zu %.3f", median,
                   waits_ms[count * 99 / 100], count, waits_ms[count - 1]);
    bench_table_row(&row);
}

/* Until others are ready, or for some seconds, `wait` is done again and again. */
static void measure(const char *what, void (*others)(void), void (*wait)(int fd), int pause_ms)
{
    const int fd = vms_reach("run/control.sock");
    const pid_t other = others == NULL ? 0 : fork();
    const uint64_t end_ns = bench_now_ns() + look_ns;
    bool is_ended = false;
    size_t count = 0;

    bench_require(other >= 0, "fork");
    if (other == 0 && others != NULL) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        others();
        _exit(0);
    }
    while (!is_ended && count < SAMPLES_MAX && (bench_now_ns() < end_ns || others == upload)) {
        const uint64_t begin_ns = bench_now_ns();

        wait(fd);
        waits_ms[count++] = (double)(bench_now_ns() - begin_ns) / 1e6;
        (void)poll(NULL, 0, pause_ms);
        is_ended = is_over(other);
    }
    if (other > 0 && !is_ended) {
        (void)kill(other, SIGKILL);
        (void)waitpid(other, NULL, 0);
    }
    (void)close(fd);
    print(what, count);
}

static void add_client(int fd, const char *name)
{
    char text[512], request[768];

    (void)snprintf(text, sizeof(text),
                   "{\"version\": 1, \"clients\": [{\"name\": \"%s\", \"pool\": \"some\", "
                   "\"path\": \"%s.sock\", \"mode\": \"0600\", \"user\": -1, \"group\": -1, "
                   "\"permissions\": 7, \"limits\": {\"vms\": 4000, \"memory\": 1073741824, "
                   "\"kernel\": 1073741824, \"disk\": %llu}, \"vms\": []}]}",
                   name, vms_at(name), 4 * (unsigned long long)DISK_BYTES);
    (void)snprintf(request, sizeof(request), "202,1\n%zu,%s\n", strlen(text), text);
    (void)vms_ask(fd, request, 2);
}

int main(int argc, char **argv)
{
    struct vine__problem problem = {.text = ""};
    int fd;

    if (argc > 1)
        look_ns = strtoul(argv[1], NULL, 10) * UINT64_C(1000000000);
    bench_require(look_ns > 0, "seconds");
    vms_begin();
    pool_check(vine__pool_create(vms_folder(), "some", POOL_BYTES, NULL, &problem), &problem);
    vms_start("some", CLIENTS + 10);
    fd = vms_reach("run/control.sock");
    add_client(fd, "a");
    add_client(fd, "crowd");
    bench_require(sscanf(make(fd, "large", 0), "106,1 0 32,%32s", large) == 1, "a UID");
    (void)close(fd);
    bench_table_begin("What one waits for a server of virtual machines, while others",
                      "On one core, over its control socket.");
    measure("states of all: others do nothing", NULL, ask_states, 1);
    measure("states of all: others upload a disk of 1 GiB into the pool", upload, ask_states, 1);
    measure("states of all: 1,000 come with half a request, and go", come_and_go, ask_states, 1);
    measure("states of all: 1,000 ask for ever and never read", never_read, ask_states, 1);
    measure("a machine is made: others do nothing", NULL, make_machine, 0);
    measure("a machine is made: others upload a disk of 1 GiB into the pool", upload, make_machine,
            0);
    bench_table_end();
    vms_end();
    return 0;
}
