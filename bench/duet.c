/* SPDX-License-Identifier: Apache-2.0 */
#include "duet.h"

#include "pair.h"
#include "utils/atomic.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX   51
#define CONTESTS_MAX 32
#define SEALS        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct mailbox {
    uint64_t sequence;
    unsigned char payload[DUET_BYTES];
};

void duet_require(int condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    exit(1);
}

/* ---- the two references ---------------------------------------------------------------------- */

static uint64_t *our_word(struct duet *duet, size_t at)
{
    return (uint64_t *)(void *)(duet->ours + at);
}

static const uint64_t *their_word(const struct duet *duet, size_t at)
{
    return (const uint64_t *)(const void *)(duet->theirs + at);
}

static void lead_line(struct duet *duet, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        vine__store_release_u64(our_word(duet, DUET_AT_LINE), ++duet->line);
        while (vine__load_acquire_u64(their_word(duet, DUET_AT_LINE)) != duet->line)
            vine__cpu_relax();
    }
}

static void follow_line(struct duet *duet, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        ++duet->line;
        while (vine__load_acquire_u64(their_word(duet, DUET_AT_LINE)) != duet->line)
            vine__cpu_relax();
        vine__store_release_u64(our_word(duet, DUET_AT_LINE), duet->line);
    }
}

static void send_mail(struct duet *duet, const void *payload)
{
    struct mailbox *ours = (struct mailbox *)(void *)(duet->ours + DUET_AT_MAILBOX);

    memcpy(ours->payload, payload, sizeof(ours->payload));
    vine__store_release_u64(&ours->sequence, duet->mail);
}

static void receive_mail(struct duet *duet, void *ret_payload)
{
    const struct mailbox *theirs =
        (const struct mailbox *)(const void *)(duet->theirs + DUET_AT_MAILBOX);

    while (vine__load_acquire_u64(&theirs->sequence) != duet->mail)
        vine__cpu_relax();
    memcpy(ret_payload, theirs->payload, sizeof(theirs->payload));
}

static void lead_mail(struct duet *duet, uint64_t count)
{
    unsigned char payload[DUET_BYTES] = {1};

    for (uint64_t n = 0; n < count; n++) {
        ++duet->mail;
        send_mail(duet, payload);
        receive_mail(duet, payload);
    }
}

static void follow_mail(struct duet *duet, uint64_t count)
{
    unsigned char payload[DUET_BYTES];

    for (uint64_t n = 0; n < count; n++) {
        ++duet->mail;
        receive_mail(duet, payload);
        send_mail(duet, payload);
    }
}

const struct duet_contest duet_line = {
    .name = "cache line, to and fro",
    .lead = lead_line,
    .follow = follow_line,
    .count = 40000,
};

const struct duet_contest duet_mailbox = {
    .name = "bare mailbox",
    .lead = lead_mail,
    .follow = follow_mail,
    .count = 40000,
};

/* ---- the partner ----------------------------------------------------------------------------- */

/* Our half is writable for us alone from the moment on that it is sealed. */
static void map_ours(struct duet *duet, int fd)
{
    duet_require(ftruncate(fd, DUET_HALF_BYTES) == 0, "ftruncate");
    duet->ours =
        mmap(NULL, DUET_HALF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    duet_require(duet->ours != MAP_FAILED, "mmap");
    memset(duet->ours, 0, DUET_HALF_BYTES);
    duet_require(fcntl(fd, F_ADD_SEALS, SEALS) == 0, "seal");
}

static void map_theirs(struct duet *duet, int fd)
{
    duet->theirs = mmap(NULL, DUET_HALF_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    duet_require(duet->theirs != MAP_FAILED, "mmap");
}

struct command {
    uint64_t contest;
    uint64_t count;
};

static void serve(struct duet *duet, const struct duet_contest *const contests[],
                  void (*open)(struct duet *duet), int ready)
{
    struct command command;

    if (open)
        open(duet);
    duet_require(write(ready, "", 1) == 1, "ready");
    while (read(duet->command[0], &command, sizeof(command)) == (ssize_t)sizeof(command)) {
        follow_line(duet, 1);
        contests[command.contest]->follow(duet, command.count);
        if (contests[command.contest]->is_rate)
            follow_line(duet, 1);
    }
    _exit(0);
}

/* Returns ns a round trip, or millions a second. */
static double play(struct duet *duet, const struct duet_contest *const contests[], uint64_t number)
{
    const struct duet_contest *contest = contests[number];
    const struct command command = {.contest = number, .count = contest->count};

    duet_require(write(duet->command[1], &command, sizeof(command)) == (ssize_t)sizeof(command),
                 "command");
    lead_line(duet, 1);

    const uint64_t start_ns = bench_now_ns();

    contest->lead(duet, contest->count);
    /* A stream ends when its last message is out at the other end. */
    if (contest->is_rate)
        lead_line(duet, 1);

    const double elapsed_ns = (double)(bench_now_ns() - start_ns);

    return contest->is_rate ? (double)contest->count * 1e3 / elapsed_ns
                            : elapsed_ns / (double)contest->count;
}

static void print_row(const struct duet_contest *contest, double *values, double *ratios,
                      int rounds)
{
    printf("%-46s %10.*f %-4s", contest->name, contest->is_rate ? 2 : 0,
           bench_median(values, (size_t)rounds), contest->is_rate ? "M/s" : "ns");
    if (contest->against) {
        const double ratio = bench_median(ratios, (size_t)rounds);

        printf(" %6.2f x (%.2f .. %.2f) %s", ratio, ratios[rounds / 4], ratios[rounds * 3 / 4],
               contest->against->name);
        if (contest->bar > 0) {
            const int holds = contest->is_rate ? ratio >= contest->bar : ratio <= contest->bar;

            printf(", %s %.2f: %s", contest->is_rate ? "at least" : "at most", contest->bar,
                   holds ? "holds" : "FALLS SHORT");
        }
    }
    printf("\n");
}

int duet_play(const char *title, const struct duet_contest *const contests[], size_t count,
              int rounds, void (*open)(struct duet *duet))
{
    static double values[CONTESTS_MAX][ROUNDS_MAX];
    static double ratios[CONTESTS_MAX][ROUNDS_MAX];
    struct duet duet = {.side = 0};
    const int fds[2] = {memfd_create("duet", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                        memfd_create("duet", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    cpu_set_t allowed;
    int ready[2];
    char byte;

    duet_require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
    if (CPU_COUNT(&allowed) < 2)
        printf("only one processor: these figures tell how it is shared, and nothing else\n");
    duet_require(count <= CONTESTS_MAX && rounds <= ROUNDS_MAX, "too many");
    duet_require(fds[0] >= 0 && fds[1] >= 0, "memfd_create");
    duet_require(pipe(duet.command) == 0 && pipe(ready) == 0, "pipe");
    duet.shared = mmap(NULL, DUET_SHARED_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    duet_require(duet.shared != MAP_FAILED, "mmap");
    (void)fflush(stdout);

    const pid_t partner = fork();

    duet_require(partner >= 0, "fork");
    if (partner == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(duet.command[1]);
        bench_pin(1);
        duet.side = 1;
        map_ours(&duet, fds[1]);
        duet_require(write(ready[1], "", 1) == 1, "ready");
        /* The other half is there once the leader is in its pipe. */
        duet_require(read(duet.command[0], &byte, 1) == 1, "start");
        map_theirs(&duet, fds[0]);
        serve(&duet, contests, open, ready[1]);
    }
    bench_pin(0);
    map_ours(&duet, fds[0]);
    duet_require(read(ready[0], &byte, 1) == 1, "partner");
    map_theirs(&duet, fds[1]);
    if (open)
        open(&duet);
    duet_require(write(duet.command[1], "", 1) == 1, "start");
    duet_require(read(ready[0], &byte, 1) == 1, "partner");

    for (int round = -1; round < rounds; round++) {
        const int at = round < 0 ? 0 : round; /* the first one warms up */

        for (size_t n = 0; n < count; n++) {
            size_t reference = 0;

            if (!contests[n]->against) {
                values[n][at] = play(&duet, contests, n);
                continue;
            }
            while (reference < count && contests[reference] != contests[n]->against)
                reference++;
            duet_require(reference < count, "no such reference");

            const double before = play(&duet, contests, reference);

            values[n][at] = play(&duet, contests, n);

            const double after = play(&duet, contests, reference);

            ratios[n][at] = 2 * values[n][at] / (before + after);
        }
    }
    printf("%s: two processes, medians of %d rounds; ratio (quartiles) to what stands behind it\n",
           title, rounds);
    for (size_t n = 0; n < count; n++)
        print_row(contests[n], values[n], ratios[n], rounds);
    (void)close(duet.command[1]);
    (void)waitpid(partner, NULL, 0);
    /* The next partner is to have a processor of its own again. */
    duet_require(sched_setaffinity(0, sizeof(allowed), &allowed) == 0, "sched_setaffinity");
    return 0;
}
