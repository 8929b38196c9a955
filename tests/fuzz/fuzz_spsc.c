/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring whose other side is the fuzzer. Each byte of the input is a step: a call of ours as a
 * producer, as a consumer, as a waiter or waker, or a write of chosen bytes into any word of either
 * half. The calls may refuse, but never leave the two halves (which lie between poisoned memory),
 * never answer what they do not document, and never let our own state be moved by the other side.
 */
#include <errno.h>
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct halves *halves = aligned_alloc(64, sizeof(*halves));
    struct vine_spsc_producer producer;
    struct vine_spsc_consumer consumer;
    struct vine_waiter waiter;
    struct vine_waker waker;
    unsigned char bytes[VINE_SPSC_BYTES * (SLOTS + 2)] = {0};
    uint64_t pushed = 0;
    uint64_t popped = 0;
    unsigned calls = 0;
    const struct vine_wait_options options = {
        .size_bytes = sizeof(options),
        .mode = VINE_WAIT_SLEEPY,
        .spin_ns = 1,
        .backstop_ns = 1,
    };

    check(halves != NULL);
    memset(halves, 0, sizeof(*halves));
    check(vine_spsc_producer_init(&producer, halves->out, SLOTS, &halves->taken) == 0);
    check(vine_spsc_consumer_init(&consumer, halves->in, SLOTS, &halves->consumed) == 0);
    check(vine_waiter_init(&waiter, &halves->ours, &options) == 0);
    check(vine_waker_init(&waker, &halves->theirs, VINE_WAIT_SLEEPY) == 0);
    vine_waker_use_call(&waker, count_call, &calls);

    while (input.size > 0) {
        const uint64_t step = take(&input, 1);
        int result;

        switch (step % 16) {
        case 0:
            result = vine_spsc_push(&producer, bytes, (size_t)(step >> 4) * 4);
            check(result == 0 || result == -EAGAIN || result == -VINE_ECORRUPT ||
                  (result == -EINVAL && (step >> 4) * 4 > VINE_SPSC_BYTES));
            if (result == 0)
                pushed++;
            break;
        case 1:
            result = vine_spsc_push_burst(&producer, bytes, VINE_SPSC_BYTES,
                                          (uint32_t)(step >> 4) % (SLOTS + 2));
            check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
            pushed += result > 0 ? (uint64_t)result : 0;
            break;
        case 2:
            result = vine_spsc_pop(&consumer, bytes);
            check(result == 0 || result == -EAGAIN || result == -VINE_ECORRUPT);
            popped += result == 0;
            break;
        case 3:
            result = vine_spsc_pop_burst(&consumer, bytes, (uint32_t)(step >> 4) % (SLOTS + 2));
            check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS + 1));
            popped += result > 0 ? (uint64_t)result : 0;
            break;
        case 4:
            result = vine_spsc_space(&producer);
            check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
            break;
        case 5:
            result = vine_spsc_used(&producer);
            check(result == -VINE_ECORRUPT || (result >= 0 && result <= SLOTS));
            break;
        case 6:
            result = vine_spsc_ready(&consumer);
            check(result == 0 || result == 1 || result == -VINE_ECORRUPT);
            break;
        case 7:
            vine_wake_consumer(&waker, &producer);
            break;
        case 8:
            vine_wake_producer(&waker, &consumer);
            break;
        case 9:
            result = vine_wait_message(&waiter, &consumer, step >> 4);
            check(result == 0 || result == -ETIMEDOUT || result == -VINE_ECORRUPT);
            break;
        case 10:
            result = vine_wait_space(&waiter, &producer, step >> 4);
            check(result == 0 || result == -ETIMEDOUT || result == -VINE_ECORRUPT);
            break;
        case 11: /* what an honest producer would write */
            halves->in[popped % SLOTS].sequence = popped + 1 + (step >> 4) % 3 - 1;
            break;
        case 12: /* what an honest consumer would write, or nearly */
            halves->taken = pushed - (step >> 4) % (SLOTS + 2);
            break;
        case 13: /* whatever, into their slots */
            halves->in[(step >> 4) % SLOTS].sequence = take(&input, 8);
            break;
        case 14: /* whatever, into their words */
            if (step >> 7)
                halves->taken = take(&input, 8);
            else
                halves->theirs.awaited = take(&input, 8);
            break;
        default: /* even into our own: it is never read back */
            memset(step >> 7 ? (void *)halves->out : (void *)&halves->consumed, (int)(step >> 4),
                   8);
            break;
        }
        check(producer.position == pushed);
        check(producer.position - producer.consumed_seen <= SLOTS);
        check(consumer.position == popped);
        check(consumer.position - consumer.published < consumer.publish_every);
    }
    free(halves);
    return 0;
}
