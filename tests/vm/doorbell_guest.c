/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest of test_doorbells.c runs: a static program that opens its doorbell by arch/wake and
 * does what the kernel's command line says in bell.role=.
 *
 *   ping    rings bell.peer= and waits for the answer, again and again, and tells how long it took
 *   pong    answers each ring
 *   watch   tells which vector it was rung at
 *   knock   rings everybody there could be
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "arch/wake/doorbell.h"

#include <vine/error.h>

#define ROUNDS    500
#define FOR_HOST  0
#define FOR_PEER  1
#define ANSWER_NS VINE_NS_PER_SECOND
#define IDS       16

static char line[4096];

/* The value of an option of the command line, or "". */
static const char *option(const char *name)
{
    static char value[64];
    const char *const at = strstr(line, name);

    value[0] = '\0';
    if (at != NULL)
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(name), " \n"),
                       at + strlen(name));
    return value;
}

static int by_size(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static uint64_t median(uint64_t *values, uint32_t count)
{
    qsort(values, count, sizeof(values[0]), by_size);
    return values[count / 2];
}

static void tell_of_host(struct vine__doorbell *doorbell)
{
    if (vine__doorbell_drain(doorbell, FOR_HOST) == 0)
        printf("bell: the host rang\n");
}

static void ping(struct vine__doorbell *doorbell, uint32_t peer)
{
    static uint64_t rounds_ns[ROUNDS];
    static uint64_t rings_ns[ROUNDS];

    for (uint32_t batch = 0;; batch++) {
        uint32_t lost = 0;

        for (uint32_t i = 0; i < ROUNDS; i++) {
            const uint64_t start_ns = vine__clock_now_ns();
            int error = vine__doorbell_ring(doorbell, peer, FOR_PEER);

            rings_ns[i] = vine__clock_now_ns() - start_ns;
            if (error == 0)
                error = vine__doorbell_wait(doorbell, FOR_PEER, ANSWER_NS);
            rounds_ns[i] = vine__clock_now_ns() - start_ns;
            if (error != 0) {
                lost++;
                i--; /* the other one may not be there yet */
                if (lost % 8 == 0)
                    printf("bell: silence\n");
            }
        }
        printf("bell: batch %u lost %u p50_ns %llu ring_ns %llu\n", batch, lost,
               (unsigned long long)median(rounds_ns, ROUNDS),
               (unsigned long long)median(rings_ns, ROUNDS));
        tell_of_host(doorbell);
    }
}

static void pong(struct vine__doorbell *doorbell, uint32_t peer)
{
    for (;;)
        if (vine__doorbell_wait(doorbell, FOR_PEER, VINE_FOREVER) == 0)
            (void)!vine__doorbell_ring(doorbell, peer, FOR_PEER);
}

static void watch(struct vine__doorbell *doorbell)
{
    struct pollfd poll_fds[VINE__DOORBELL_VECTORS_MAX];
    const uint32_t count = vine__doorbell_vector_count(doorbell);

    for (uint32_t i = 0; i < count; i++)
        poll_fds[i] = (struct pollfd){.fd = vine__doorbell_fd(doorbell, i), .events = POLLIN};
    for (;;) {
        (void)poll(poll_fds, count, -1);
        for (uint32_t i = count; i-- > 0;)
            if (vine__doorbell_drain(doorbell, i) == 0)
                printf("bell: rung at %u\n", i);
    }
}

static void knock(struct vine__doorbell *doorbell)
{
    for (uint32_t id = 0; id < IDS; id++)
        for (uint32_t vector = 0; vector < 4; vector++)
            if (id != vine__doorbell_self(doorbell))
                (void)!vine__doorbell_ring(doorbell, id, vector);
    printf("bell: knocked\n");
    (void)!vine__doorbell_wait(doorbell, FOR_HOST, VINE_FOREVER);
}

int main(void)
{
    char why[VINE__DOORBELL_WHY_BYTES];
    char bdf[64];
    const struct vine__doorbell_options options = {.bdf = bdf, .socket_fd = -1, .ret_why = why};
    struct vine__doorbell *doorbell = NULL;
    struct vine__doorbell *second = NULL;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, line, sizeof(line) - 1) <= 0)
        return 1;
    (void)close(fd);
    (void)snprintf(bdf, sizeof(bdf), "%s", option("vine.doorbell="));

    int error = vine__doorbell_open(&doorbell, &options);
    if (error != 0) {
        printf("bell: refused: %s\n", why);
        return 1;
    }
    error = vine__doorbell_open(&second, &options);
    printf("bell: a second one: %s: %s\n", vine_error_name(error), error != 0 ? why : "opened");
    vine__doorbell_close(second);
    printf("bell: open as %u with %u\n", vine__doorbell_self(doorbell),
           vine__doorbell_vector_count(doorbell));

    const uint32_t peer = (uint32_t)strtoul(option("bell.peer="), NULL, 10);
    const char *const role = option("bell.role=");
    if (strcmp(role, "ping") == 0)
        ping(doorbell, peer);
    else if (strcmp(role, "pong") == 0)
        pong(doorbell, peer);
    else if (strcmp(role, "watch") == 0)
        watch(doorbell);
    else
        knock(doorbell);
    vine__doorbell_close(doorbell);
    return 0;
}
