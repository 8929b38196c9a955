/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct slot {
    _Alignas(64) uint64_t sequence;
    unsigned char payload[56];
};

struct half {
    struct slot slot;
    struct slot line;
};

struct bench_pair {
    pid_t partner;
    int command[2];
    struct half *ours;   /* written by the measuring process */
    struct half *theirs; /* by the partner */
    uint64_t sequence;
    uint64_t line;
};

uint64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_pin(int which)
{
    cpu_set_t allowed;
    cpu_set_t one;
    size_t first = CPU_SETSIZE;
    size_t last = 0;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed)) {
            first = first == CPU_SETSIZE ? cpu : first;
            last = cpu;
        }
    CPU_ZERO(&one);
    CPU_SET(which == 0 ? first : last, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void answer_lines(struct bench_pair *pair, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pair->line++;
        while (load(&pair->ours->line.sequence) != pair->line)
            __builtin_ia32_pause();
        store(&pair->theirs->line.sequence, pair->line);
    }
}

static void answer_mail(struct bench_pair *pair, uint32_t count)
{
    unsigned char payload[56];

    for (uint32_t i = 0; i < count; i++) {
        pair->sequence++;
        while (load(&pair->ours->slot.sequence) != pair->sequence)
            __builtin_ia32_pause();
        memcpy(payload, pair->ours->slot.payload, sizeof payload);
        memcpy(pair->theirs->slot.payload, payload, sizeof payload);
        store(&pair->theirs->slot.sequence, pair->sequence);
    }
}

static void be_partner(struct bench_pair *pair)
{
    int64_t count;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(1);
    while (read(pair->command[0], &count, sizeof count) == sizeof count) {
        if (count > 0)
            answer_mail(pair, (uint32_t)count);
        else
            answer_lines(pair, (uint32_t)-count);
    }
    _exit(0);
}

static struct half *make_half(int *ret_fd)
{
    void *half;

    *ret_fd = memfd_create("bench", MFD_CLOEXEC);
    if (*ret_fd < 0 || ftruncate(*ret_fd, 4096) != 0)
        abort();
    half = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
    if (half == MAP_FAILED)
        abort();
    return half;
}

struct bench_pair *bench_pair_start(void)
{
    struct bench_pair *pair = calloc(1, sizeof *pair);
    int ours;
    int theirs;

    if (pair == NULL || pipe(pair->command) != 0)
        abort();
    pair->ours = make_half(&ours);
    pair->theirs = make_half(&theirs);
    pair->partner = fork();
    if (pair->partner == 0) {
        close(pair->command[1]);
        be_partner(pair);
    }
    close(pair->command[0]);
    return pair;
}

void bench_pair_stop(struct bench_pair *pair)
{
    close(pair->command[1]);
    waitpid(pair->partner, NULL, 0);
    free(pair);
}

double bench_line_round_trip(struct bench_pair *pair, uint32_t count)
{
    const int64_t command = -(int64_t)count;
    uint64_t start_ns = 0;

    if (write(pair->command[1], &command, sizeof command) != sizeof command)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        store(&pair->ours->line.sequence, ++pair->line);
        while (load(&pair->theirs->line.sequence) != pair->line)
            __builtin_ia32_pause();
        if (i == 0)
            start_ns = bench_now_ns(); /* the first one woke the partner */
    }
    return (double)(bench_now_ns() - start_ns) / (count - 1);
}

double bench_mailbox_round_trip(struct bench_pair *pair, uint32_t count)
{
    const int64_t command = count;
    unsigned char payload[56] = {1};
    uint64_t start_ns = 0;

    if (write(pair->command[1], &command, sizeof command) != sizeof command)
        abort();
    for (uint32_t i = 0; i < count; i++) {
        memcpy(pair->ours->slot.payload, payload, sizeof payload);
        store(&pair->ours->slot.sequence, ++pair->sequence);
        while (load(&pair->theirs->slot.sequence) != pair->sequence)
            __builtin_ia32_pause();
        memcpy(payload, pair->theirs->slot.payload, sizeof payload);
        if (i == 0)
            start_ns = bench_now_ns();
    }
    return (double)(bench_now_ns() - start_ns) / (count - 1);
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;

    return (left > right) - (left < right);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}
