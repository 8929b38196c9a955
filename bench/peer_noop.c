/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application and its appliance that do as they are told, for programs that count or compare:
 * built over libvine, and, as peer_trusting, over the same without the checks of hostile peers.
 *
 *   peer_noop [FD]    FD: memory in which the appliance counts its no-ops; both sides stay awake
 *
 * It writes the appliance's pid, then answers each line of its input, `NAME COUNT TIMES`, with "ok"
 * when it has done NAME for COUNT times, and that TIMES times. Each time begins and ends with a
 * signal that is ignored, so that whoever traces us knows where it is.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vine/mpmc.h>
#include <vine/spsc.h>

#include "serving.h"

#include "utils/atomic.h"

#define AWAKE_NS UINT64_C(1000000000) /* how long both sides spin while one is counted */
#define SLOTS    1024u
#define BATCH    32u

static struct bench_application application;
static struct bench_noops noops;
static struct vine_slot slots[SLOTS];
static uint64_t consumed;
static struct vine_spsc_producer producer;
static struct vine_spsc_consumer consumer;
static struct vine_mpmc queue;
static unsigned char messages[BATCH][VINE_SPSC_BYTES];

/* Another thread with a task now and then: a pipe is put to sleep after 2 ms without one, and who
 * is stepped through takes longer for a task. */
static pthread_t waker;
static uint32_t is_waking;

static void *keep_awake(void *nothing)
{
    const struct timespec moment = {.tv_nsec = 300000};

    while (vine__load_relaxed_u32(&is_waking) != 0) {
        bench_noop_trips(&application, 1);
        (void)nanosleep(&moment, NULL);
    }
    return nothing;
}

static void awake(uint64_t count)
{
    if (vine__exchange_acq_rel_u32(&is_waking, count > 0) == 0 && count > 0)
        bench_require(pthread_create(&waker, NULL, keep_awake, NULL) == 0, "pthread_create");
    else if (count == 0)
        (void)pthread_join(waker, NULL);
}

static void trips(uint64_t count)
{
    bench_noop_trips(&application, count);
}

static void stream(uint64_t count)
{
    bench_noop_stream(&application, &noops, count);
}

static void drain(uint64_t count)
{
    (void)count;
    bench_noop_drain(&noops);
}

static void push(uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_spsc_push(&producer, messages[0], VINE_SPSC_BYTES), "push");
}

static void pop(uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_spsc_pop(&consumer, messages[0]), "pop");
}

static void push_32(uint64_t count)
{
    for (uint64_t n = 0; n < count; n += BATCH)
        bench_require(vine_spsc_push_burst(&producer, messages, VINE_SPSC_BYTES, BATCH) == BATCH,
                      "push");
}

static void pop_32(uint64_t count)
{
    for (uint64_t n = 0; n < count; n += BATCH)
        bench_require(vine_spsc_pop_burst(&consumer, messages, BATCH) == BATCH, "pop");
}

static void mpmc_push(uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_mpmc_push(&queue, messages[0], VINE_SPSC_BYTES), "push");
}

static void mpmc_pop(uint64_t count)
{
    for (uint64_t n = 0; n < count; n++)
        bench_check(vine_mpmc_pop(&queue, messages[0]), "pop");
}

static const struct {
    const char *name;
    void (*run)(uint64_t count);
} deeds[] = {
    {"trips", trips},         {"stream", stream},     {"drain", drain},     {"awake", awake},
    {"push", push},           {"pop", pop},           {"push_32", push_32}, {"pop_32", pop_32},
    {"mpmc_push", mpmc_push}, {"mpmc_pop", mpmc_pop},
};

static bool do_it(const char *name, uint64_t count, uint64_t times)
{
    for (size_t n = 0; n < sizeof(deeds) / sizeof(deeds[0]); n++) {
        if (strcmp(deeds[n].name, name) != 0)
            continue;
        for (uint64_t time = 0; time < times; time++) {
            (void)raise(SIGUSR1);
            deeds[n].run(count);
        }
        (void)raise(SIGUSR1);
        return true;
    }
    return false;
}

static void open_rings(void)
{
    const size_t size = vine_mpmc_size(SLOTS);
    void *memory = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);

    bench_require(memory != NULL, "memory");
    bench_check(vine_spsc_producer_init(&producer, slots, SLOTS, &consumed), "producer");
    bench_check(vine_spsc_consumer_init(&consumer, slots, SLOTS, &consumed), "consumer");
    bench_check(vine_mpmc_format(memory, size, SLOTS), "format");
    bench_check(vine_mpmc_attach(&queue, memory, size), "attach");
}

int main(int argument_count, char **arguments)
{
    struct bench_serving_options options = {.is_pinned = true};
    struct bench_serving serving;
    char name[16];
    unsigned long count;
    unsigned long times;

    (void)signal(SIGUSR1, SIG_IGN);
    if (argument_count == 2) {
        const int fd = (int)strtol(arguments[1], NULL, 10);

        options.noops_begun = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        bench_require(options.noops_begun != MAP_FAILED, "mmap");
        options.spin_ns = AWAKE_NS;
    }
    bench_serving_start(&serving, &options);
    bench_pin(0);
    bench_application_open(&application, &serving, VINE_WAIT_STREAM, options.spin_ns);
    open_rings();
    (void)printf("%d\n", (int)serving.pid);
    (void)fflush(stdout);
    while (scanf("%15s %lu %lu", name, &count, &times) == 3) {
        bench_require(do_it(name, count, times), name);
        (void)printf("ok\n");
        (void)fflush(stdout);
    }
    if (is_waking)
        awake(0);
    bench_noop_drain(&noops);
    vine_pipe_close(application.pipe);
    bench_serving_stop(&serving);
    return 0;
}
