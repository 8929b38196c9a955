/* SPDX-License-Identifier: Apache-2.0 */
#include "duet.h"

#include "arch/cpu/cpu.h"
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

#define ROUNDS_MAX   101
#define CONTESTS_MAX 32
#define SEALS        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct mailbox {
    uint64_t sequence;
    unsigned char payload[DUET_BYTES];
};

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
    .count = 20000,
};

const struct duet_contest duet_mailbox = {
    .name = "bare mailbox",
    .lead = lead_mail,
    .follow = follow_mail,
    .count = 20000,
    .against = &duet_line,
    .is_line_bound = true,
};

/* ---- the partner ----------------------------------------------------------------------------- */

/* Our half is writable for us alone from the moment on that it is sealed. */
static void map_ours(struct duet *duet, int fd)
{
    bench_require(ftruncate(fd, DUET_HALF_BYTES) == 0, "ftruncate");
    duet->ours =
        mmap(NULL, DUET_HALF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    bench_require(duet->ours != MAP_FAILED, "mmap");
    memset(duet->ours, 0, DUET_HALF_BYTES);
    bench_require(fcntl(fd, F_ADD_SEALS, SEALS) == 0, "seal");
}

static void map_theirs(struct duet *duet, int fd)
{
    duet->theirs = mmap(NULL, DUET_HALF_BYTES, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    bench_require(duet->theirs != MAP_FAILED, "mmap");
}

static void set_bytes(struct duet *duet, const struct duet_contest *contest)
{
    duet->bytes = contest->bytes != 0 ? contest->bytes : DUET_BYTES;
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
    bench_require(write(ready, "", 1) == 1, "ready");
    while (read(duet->command[0], &command, sizeof(command)) == (ssize_t)sizeof(command)) {
        const struct duet_contest *contest = contests[command.contest];

        set_bytes(duet, contest);
        follow_line(duet, 1);
        contest->follow(duet, command.count);
        if (contest->unit != DUET_NS)
            follow_line(duet, 1);
    }
    exit(0);
}

/* Returns ns a round trip, millions or gigabytes a second. */
static double play(struct duet *duet, const struct duet_contest *const contests[], uint64_t number)
{
    const struct duet_contest *contest = contests[number];
    const struct command command = {.contest = number, .count = contest->count};

    set_bytes(duet, contest);
    if (contest->follow != NULL) {
        bench_require(write(duet->command[1], &command, sizeof(command)) ==
                          (ssize_t)sizeof(command),
                      "command");
        lead_line(duet, 1);
    }

    duet->spent_ns = 0;

    const uint64_t start_ns = bench_now_ns();

    contest->lead(duet, contest->count);
    /* A stream ends when its last message is out at the other end. */
    if (contest->follow != NULL && contest->unit != DUET_NS)
        lead_line(duet, 1);

    const double elapsed_ns =
        (double)(duet->spent_ns != 0 ? duet->spent_ns : bench_now_ns() - start_ns);
    const double count = (double)contest->count;

    switch (contest->unit) {
    case DUET_MILLIONS:
        return count * 1e3 / elapsed_ns;
    case DUET_GIGABYTES:
        return count * (double)duet->bytes / elapsed_ns;
    default:
        return elapsed_ns / count;
    }
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* What a contest came to in each round. */
struct score {
    double values[ROUNDS_MAX];
    double beside[ROUNDS_MAX]; /* of the reference, around it */
    double ratios[ROUNDS_MAX];
};

static struct score scores[CONTESTS_MAX + 1]; /* [0]: of the line, which is kept apart */

static void play_one(struct duet *duet, const struct duet_contest *const contests[], size_t number,
                     int round)
{
    const struct duet_contest *contest = contests[number];
    struct score *score = &scores[number];
    size_t reference = 0;

    if (contest->against == NULL) {
        score->values[round] = play(duet, contests, number);
        return;
    }
    while (contests[reference] != NULL && contests[reference] != contest->against)
        reference++;
    bench_require(contests[reference] != NULL, "a reference that is not played");

    const double before = play(duet, contests, reference);

    score->values[round] = play(duet, contests, number);
    score->beside[round] = (before + play(duet, contests, reference)) / 2;
    score->ratios[round] = contest->is_per_trip ? score->values[round] * score->beside[round] / 1e3
                                                : score->values[round] / score->beside[round];
}

static void format_value(char *text, const struct duet_contest *contest, double value)
{
    static const char *const units[] = {
        [DUET_NS] = "ns", [DUET_MILLIONS] = "M/s", [DUET_GIGABYTES] = "GB/s"};

    (void)snprintf(text, BENCH_TEXT_MAX, "%.*f %s", contest->unit == DUET_NS ? 0 : 2, value,
                   units[contest->unit]);
}

static const char *nearness(double line_ns)
{
    if (line_ns < DUET_SHARED_NS)
        return "shared, both are threads of one core, and nothing crosses: ratios to what is "
               "limited by the line say nothing here";
    return line_ns < DUET_NEAR_NS ? "near" : "far";
}

static void judge(struct bench_row *row, const struct duet_contest *contest, double value,
                  double ratio, double line_ns)
{
    if (line_ns < DUET_NEAR_NS && contest->bar_near > 0) {
        (void)snprintf(row->bar, sizeof(row->bar), "at least %.0f M/s near", contest->bar_near);
        row->is_met = value >= contest->bar_near;
    } else if (contest->unit == DUET_NS) {
        (void)snprintf(row->bar, sizeof(row->bar), "at most %.2f", contest->bar);
        row->is_met = ratio <= contest->bar;
    } else {
        (void)snprintf(row->bar, sizeof(row->bar), "at least %.2f", contest->bar);
        row->is_met = ratio >= contest->bar;
    }
    row->is_open =
        line_ns < DUET_SHARED_NS && contest->bar_near == 0 && contest->against->is_line_bound;
    row->limit = contest->limit;
}

static void print_row(const struct duet_contest *contest, struct score *score, int rounds,
                      double line_ns)
{
    struct bench_row row = {.limit = NULL};
    const double value = bench_median(score->values, (size_t)rounds);

    (void)snprintf(row.what, sizeof(row.what), "%s", contest->name);
    format_value(row.measured, contest, value);
    if (contest->against != NULL) {
        char beside[BENCH_TEXT_MAX];
        const double ratio = bench_median(score->ratios, (size_t)rounds);

        format_value(beside, contest->against, bench_median(score->beside, (size_t)rounds));
        (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f (%.2f .. %.2f)", ratio,
                       score->ratios[rounds / 4], score->ratios[rounds * 3 / 4]);
        (void)snprintf(row.beside, sizeof(row.beside), "%s%.40s, %.20s",
                       contest->is_per_trip ? "a round trip of the " : "", contest->against->name,
                       beside);
        if (contest->bar > 0)
            judge(&row, contest, value, ratio, line_ns);
    }
    bench_table_row(&row);
}

static void print_table(const char *title, const struct duet_contest *const contests[], int rounds,
                        double *lines)
{
    char note[320];
    const double line_ns = bench_median(lines, (size_t)rounds);

    (void)snprintf(note, sizeof(note),
                   "Medians of %d rounds. A cache line takes %.0f ns to the other processor and "
                   "back (quartiles %.0f .. %.0f): %s.",
                   rounds, line_ns, lines[rounds / 4], lines[rounds * 3 / 4], nearness(line_ns));
    bench_table_begin(title, note);
    for (size_t n = 0; contests[n] != NULL; n++)
        print_row(contests[n], &scores[n], rounds, line_ns);
    bench_table_end();
}

static pid_t start_partner(struct duet *duet, const int fds[2], int ready,
                           const struct duet_contest *const contests[],
                           void (*open)(struct duet *duet))
{
    char byte;
    const pid_t partner = fork();

    bench_require(partner >= 0, "fork");
    if (partner != 0)
        return partner;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(duet->command[1]);
    bench_pin(1);
    duet->side = 1;
    map_ours(duet, fds[1]);
    bench_require(write(ready, "", 1) == 1, "ready");
    /* The other half is there once the leader is in its pipe. */
    bench_require(read(duet->command[0], &byte, 1) == 1, "start");
    map_theirs(duet, fds[0]);
    serve(duet, contests, open, ready);
    return 0; /* not reached */
}

void duet_play(const char *title, const struct duet_contest *const contests[], int rounds,
               void (*open)(struct duet *duet))
{
    static double lines[ROUNDS_MAX];
    const struct duet_contest *all[CONTESTS_MAX + 2] = {&duet_line};
    struct duet duet = {.side = 0};
    const int fds[2] = {memfd_create("duet", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                        memfd_create("duet", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    cpu_set_t allowed;
    int ready[2];
    char byte;
    size_t count = 0;

    bench_require(sched_getaffinity(0, sizeof(allowed), &allowed) == 0, "sched_getaffinity");
    if (CPU_COUNT(&allowed) < 2)
        printf("only one processor: these figures tell how it is shared, and nothing else\n");
    while (contests[count] != NULL && count < CONTESTS_MAX) {
        all[count + 1] = contests[count];
        count++;
    }
    bench_require(contests[count] == NULL && rounds <= ROUNDS_MAX, "too many");
    bench_require(fds[0] >= 0 && fds[1] >= 0, "memfd_create");
    bench_require(pipe2(duet.command, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0, "pipe");
    duet.shared = mmap(NULL, DUET_SHARED_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    bench_require(duet.shared != MAP_FAILED, "mmap");
    (void)fflush(stdout);

    const pid_t partner = start_partner(&duet, fds, ready[1], all, open);

    bench_pin(0);
    map_ours(&duet, fds[0]);
    bench_require(read(ready[0], &byte, 1) == 1, "partner");
    map_theirs(&duet, fds[1]);
    if (open)
        open(&duet);
    bench_require(write(duet.command[1], "", 1) == 1, "start");
    bench_require(read(ready[0], &byte, 1) == 1, "partner");
    for (int round = -1; round < rounds; round++) {
        const int at = round < 0 ? 0 : round; /* the first one warms up */

        lines[at] = play(&duet, all, 0);
        for (size_t n = 0; n < count; n++)
            play_one(&duet, all, n + 1, at);
    }
    memmove(scores, scores + 1, count * sizeof(scores[0]));
    print_table(title, contests, rounds, lines);
    (void)close(duet.command[0]);
    (void)close(duet.command[1]);
    (void)waitpid(partner, NULL, 0);
    /* The next partner is to have a processor of its own again. */
    bench_require(sched_setaffinity(0, sizeof(allowed), &allowed) == 0, "sched_setaffinity");
}

int duet_rounds(int argument_count, char **arguments, int otherwise)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : otherwise;

    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    return (int)rounds;
}
