/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring whose other side is the fuzzer. Each byte of the input is a step: a call of ours as a
 * producer, as a consumer, as a waiter or waker, or a write of chosen bytes into any word of either
 * half. The calls may refuse, but never leave the two halves (which lie between poisoned memory),
 * never answer what they do not document, and never let our own state be moved by the other side.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/spsc.h>
#include <vine/wait.h>

#define SLOTS 8

struct halves {
    struct vine_slot out[SLOTS]; /* ours: what we produce */
    uint64_t taken;              /* theirs: the position of who consumes it */
    struct vine_slot in[SLOTS] __attribute__((aligned(64))); /* theirs: what they produce */
    uint64_t consumed;                                       /* ours */
    struct vine_sleep_line ours;
    struct vine_sleep_line theirs;
};

struct input {
    const uint8_t *bytes;
    size_t size;
};

static uint64_t take(struct input *input, size_t size)
{
    uint64_t value = 0;

    if (size > input->size)
        size = input->size;
    memcpy(&value, input->bytes, size);
    input->bytes += size;
    input->size -= size;
    return value;
}

static void check(int condition)
{
    if (!condition)
        abort();
}

static void count_call(void *context)
{
    ++*(unsigned *)context;
}

/* Our side of both rings, and what it has to hold to whatever the other does. */
struct rings {
    struct halves *halves;
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine_waiter waiter;
    struct vine_waker waker;
    uint64_t pushed;
    uint64_t popped;
    unsigned calls;
};

static void init(struct rings *rings)
{
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .mode = VINE_WAIT_SLEEPY,
        .spin_ns = 1,
        .backstop_ns = 1,
    };
    struct halves *halves = aligned_alloc(64, sizeof(*halves));

    check(halves != NULL);
    memset(halves, 0, sizeof(*halves));
    memset(rings, 0, sizeof(*rings));
    rings->halves = halves;
    check(vine_spsc_producer_init(&rings->producer, halves->out, SLOTS, &halves->taken) == 0);
    check(vine_spsc_consumer_init(&rings->consumer, halves->in, SLOTS, &halves->consumed) == 0);
    check(vine_waiter_init(&rings->waiter, &halves->ours, &options) == 0);
    check(vine_waker_init(&rings->waker, &halves->theirs, VINE_WAIT_SLEEPY) == 0);
    vine_waker_use_call(&rings->waker, count_call, &rings->calls);
}

/* Push or pop, one message or several. */
static void move(struct rings *rings, unsigned step, size_t value)
{
    unsigned char bytes[VINE_SPSC_BYTES * (SLOTS + 2)] = {0};
    const uint32_t count = (uint32_t)value % (SLOTS + 2);
    int result;

    switch (step) {
    case 0:
        result = vine_spsc_push(&rings->producer, bytes, value * 4);
        check(result == 0 || result == -EAGAIN || result == -VINE_ECORRUPT ||
              (result == -EINVAL && value * 4 > VINE_SPSC_BYTES));
        rings->pushed += result == 0;
        break;
    case 1:
        result = vine_spsc_push_burst(&rings->producer, bytes, VINE_SPSC_BYTES, count);
        check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
        rings->pushed += result > 0 ? (uint64_t)result : 0;
        break;
    case 2:
        result = vine_spsc_pop(&rings->consumer, bytes);
        check(result == 0 || result == -EAGAIN || result == -VINE_ECORRUPT);
        rings->popped += result == 0;
        break;
    default:
        result = vine_spsc_pop_burst(&rings->consumer, bytes, count);
        check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS + 1));
        rings->popped += result > 0 ? (uint64_t)result : 0;
        break;
    }
}

/* Ask, wake or wait. */
static void look(struct rings *rings, unsigned step, uint64_t timeout_ns)
{
    int result;

    switch (step) {
    case 4:
        result = vine_spsc_space(&rings->producer);
        check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
        break;
    case 5:
        result = vine_spsc_used(&rings->producer);
        check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
        break;
    case 6:
        result = vine_spsc_ready(&rings->consumer);
        check(result == 0 || result == 1 || result == -VINE_ECORRUPT);
        break;
    case 7:
        vine_wake_consumer(&rings->waker, &rings->producer);
        break;
    case 8:
        vine_wake_producer(&rings->waker, &rings->consumer);
        break;
    case 9:
        result = vine_wait_message(&rings->waiter, &rings->consumer, timeout_ns);
        check(result == 0 || result == -ETIMEDOUT || result == -VINE_ECORRUPT);
        break;
    default:
        result = vine_wait_space(&rings->waiter, &rings->producer, timeout_ns);
        check(result == 0 || result == -ETIMEDOUT || result == -VINE_ECORRUPT);
        break;
    }
}

/* Be the other side: nearly honest, or not. */
static void scribble(struct rings *rings, unsigned step, uint64_t value, struct input *input)
{
    struct halves *halves = rings->halves;
    const bool is_high = value >> 3;

    switch (step) {
    case 11: /* what an honest producer would write */
        halves->in[rings->popped % SLOTS].sequence = rings->popped + 1 + value % 3 - 1;
        break;
    case 12: /* what an honest consumer would write, or nearly */
        halves->taken = rings->pushed - value % (SLOTS + 2);
        break;
    case 13: /* whatever, into their slots */
        halves->in[value % SLOTS].sequence = take(input, 8);
        break;
    case 14: /* whatever, into their words */
        if (is_high)
            halves->taken = take(input, 8);
        else
            halves->theirs.awaited = take(input, 8);
        break;
    default: /* even into our own: it is never read back */
        memset(is_high ? (void *)halves->out : (void *)&halves->consumed, (int)value, 8);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct rings rings;

    init(&rings);
    while (input.size > 0) {
        const uint64_t byte = take(&input, 1);
        const unsigned step = byte % 16;
        const uint64_t value = byte >> 4;

        if (step < 4)
            move(&rings, step, value);
        else if (step < 11)
            look(&rings, step, value);
        else
            scribble(&rings, step, value, &input);
        check(rings.producer.position == rings.pushed);
        check(rings.producer.position - rings.producer.consumed_seen <= SLOTS);
        check(rings.consumer.position == rings.popped);
        check(rings.consumer.position - rings.consumer.published < rings.consumer.publish_every);
    }
    free(rings.halves);
    return 0;
}
