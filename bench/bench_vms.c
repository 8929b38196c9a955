/* SPDX-License-Identifier: Apache-2.0 */
/* needs: pool engine runtime */
/*
 * The server of virtual machines with 200 of them: how long it takes to load their pool, to say the
 * states of all, and to do so while half of them hang; and how much memory it has. The server and
 * its engine are the real ones; for QEMU this program stands in, by a fake of the tests.
 *
 *   bench_vms [ROUNDS]    21 without
 */
#include "vms_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../tests/unit/vmm/engine/fake_qemu.h"
#include "vmm/pool/change.h"
#include "vmm/pool/pool.h"

#define VMS          200
#define ROUNDS_MAX   199
#define KERNEL_BYTES 4096
#define UID_DIGITS   32

static char uids[VMS][UID_DIGITS + 1];
static size_t rounds = 21;
static double took_ms[ROUNDS_MAX], bare_ms[ROUNDS_MAX];

/* The engine calls a machine by its UID: what it begins with says whether this one will hang. */
static bool hangs(const char *uid)
{
    return uid[0] < '8';
}

static void pool_check(int error, const struct vine__problem *problem)
{
    if (error != 0)
        (void)fprintf(stderr, "%s\n", problem->text);
    bench_check(error, "the pool");
}

/* ---- the pool -------------------------------------------------------------------------------- */

static void fill(struct vine__pool_change *change, struct vine__problem *problem)
{
    static const char kernel[KERNEL_BYTES] = "none";
    const struct vine__source source = {
        .name = "kernel", .bytes = kernel, .size = sizeof(kernel), .fd = -1};

    for (int i = 0; i < VMS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "vm-%d", i);
        json_t *const json = vine__vm_configuration_new(name);

        pool_check(vine__pool_change_add(change, name, NULL, problem), problem);
        pool_check(vine__pool_change_configure(change, name, json, problem), problem);
        pool_check(vine__pool_change_put(change, name, VINE__VM_KERNEL, NULL, &source, problem),
                   problem);
        json_decref(json);
    }
}

/* Open it and load all of it. */
static struct vine__pool *load(enum vine__pool_use use)
{
    const struct vine__pool_contents *contents;
    struct vine__problem problem = {.text = ""};
    struct vine__pool *pool;

    pool_check(vine__pool_open(vms_folder(), "many", use, &pool, &problem), &problem);
    pool_check(vine__pool_mount(pool, NULL, &problem), &problem);
    pool_check(vine__pool_load(pool, &contents, &problem), &problem);
    for (uint32_t i = 0; i < contents->usable_count; i++)
        memcpy(uids[i], contents->vms[i].entry.uid, sizeof(uids[i]));
    return pool;
}

static void make_pool(void)
{
    struct vine__problem problem = {.text = ""};
    struct vine__pool_change *change;
    struct vine__pool *pool;

    pool_check(vine__pool_create(vms_folder(), "many", 64 << 20, NULL, &problem), &problem);
    pool = load(VINE__POOL_OWN);
    pool_check(vine__pool_change_begin(pool, &change, &problem), &problem);
    fill(change, &problem);
    pool_check(vine__pool_change_end(change, true, &problem), &problem);
    vine__pool_close(pool);
}

/* As many files of a folder, opened, read and closed. */
static double read_files(void)
{
    char bytes[4096];
    const uint64_t begin_ns = bench_now_ns();

    for (int i = 0; i < VMS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "plain-%d", i);

        const int fd = open(vms_at(name), O_RDONLY | O_CLOEXEC);

        bench_require(fd >= 0 && read(fd, bytes, sizeof(bytes)) > 0, "a file");
        (void)close(fd);
    }
    return (double)(bench_now_ns() - begin_ns) / 1e6;
}

static void make_files(void)
{
    for (int i = 0; i < VMS; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "plain-%d", i);

        FILE *const file = fopen(vms_at(name), "w");

        bench_require(file != NULL && fputs("{\"version\": 1, \"name\": \"vm\"}", file) >= 0,
                      "a file");
        (void)fclose(file);
    }
}

static void print(const char *what, double ms, double bare, const char *beside, double most)
{
    struct bench_row row = {.is_met = ms <= most};

    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.3f ms", ms);
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.1f", ms / bare);
    (void)snprintf(row.beside, sizeof(row.beside), "%s, %.3f ms", beside, bare);
    (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ms", most);
    bench_table_row(&row);
}

static void measure_load(void)
{
    make_files();
    for (size_t round = 0; round < rounds; round++) {
        const uint64_t begin_ns = bench_now_ns();

        vine__pool_close(load(VINE__POOL_READ));
        took_ms[round] = (double)(bench_now_ns() - begin_ns) / 1e6;
        bare_ms[round] = read_files();
    }
    print("the pool, opened and loaded", bench_median(took_ms, rounds),
          bench_median(bare_ms, rounds), "200 files read from a folder", 200);
}

/* ---- the server ------------------------------------------------------------------------------ */

static size_t ask_states(int fd)
{
    return strlen(vms_ask(fd, "112,1\n", 3));
}

/* As many bytes over a bare socket, there and back. */
static double echo(size_t size)
{
    static char bytes[VMS_ANSWER_BYTES];
    int ends[2];

    bench_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");

    const uint64_t begin_ns = bench_now_ns();

    bench_require(write(ends[0], bytes, 6) == 6 && read(ends[1], bytes, 6) == 6 &&
                      write(ends[1], bytes, size) == (ssize_t)size &&
                      recv(ends[0], bytes, size, MSG_WAITALL) == (ssize_t)size,
                  "a socket");

    const double ms = (double)(bench_now_ns() - begin_ns) / 1e6;

    (void)close(ends[0]);
    (void)close(ends[1]);
    return ms;
}

static void measure_states(int fd, const char *what)
{
    size_t size = 0;

    for (size_t round = 0; round < rounds; round++) {
        const uint64_t begin_ns = bench_now_ns();

        size = ask_states(fd);
        took_ms[round] = (double)(bench_now_ns() - begin_ns) / 1e6;
        bare_ms[round] = echo(size);
    }
    print(what, bench_median(took_ms, rounds), bench_median(bare_ms, rounds),
          "as many bytes over a bare socket", 5);
}

static void print_memory(const char *what)
{
    struct bench_row row = {.limit = NULL};
    char path[64], line[128];
    double kib = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)vms_server());

    FILE *const file = fopen(path, "r");

    bench_require(file != NULL, path);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmRSS: %lf", &kib) == 1)
            break;
    (void)fclose(file);
    (void)snprintf(row.what, sizeof(row.what), "%s", what);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f MB", kib * 1024 / 1e6);
    (void)snprintf(row.bar, sizeof(row.bar), "at most 20 MB");
    row.is_met = kib > 0 && kib * 1024 <= 20e6;
    bench_table_row(&row);
}

/* A command about one of them, with what comes behind its UID. */
static void ask_of(int fd, const char *command, const char *uid, const char *rest, int line_count)
{
    char request[128];

    (void)snprintf(request, sizeof(request), "%s,1\n%d,%.32s\n%s", command, UID_DIGITS, uid, rest);
    (void)vms_ask(fd, request, line_count);
}

/* All are started; those that hang are told to stop, which they do not hear. */
static uint32_t start_all(int fd)
{
    uint32_t count = 0;

    for (int i = 0; i < VMS; i++)
        ask_of(fd, "109", uids[i], "0,\n", 3);
    for (int i = 0; i < VMS; i++)
        if (hangs(uids[i])) {
            ask_of(fd, "113", uids[i], "3600000\n", 2);
            count++;
        }
    return count;
}

static void end_server(int fd)
{
    for (int i = 0; i < VMS; i++) {
        ask_of(fd, "114", uids[i], "", 2);
        ask_of(fd, "123", uids[i], "3,off\n60000\n", 3);
    }
    (void)close(fd);
    vms_end();
}

int main(int argc, char **argv)
{
    char text[BENCH_TEXT_MAX];
    int fd;

    if (argc > 2 && strcmp(argv[1], "-name") == 0) {
        argv[2] = (char *)(uintptr_t)(hangs(argv[2]) ? "stuck" : "good");
        fake_qemu(argc, argv);
    }
    if (argc > 1)
        rounds = strtoul(argv[1], NULL, 10);
    bench_require(rounds > 0 && rounds <= ROUNDS_MAX, "rounds");
    vms_begin();
    make_pool();
    bench_table_begin("200 virtual machines",
                      "The server on one core, over its control socket; QEMU is a fake.");
    measure_load();
    vms_start("many", 64);
    fd = vms_reach("run/control.sock");
    measure_states(fd, "states of all, which are off");
    print_memory("memory of the server, all off");

    const uint32_t count = start_all(fd);

    (void)snprintf(text, sizeof(text), "states of all, which run, of whom %u hang", count);
    measure_states(fd, text);
    print_memory("memory of the server, all running");
    bench_table_end();
    end_server(fd);
    return 0;
}
