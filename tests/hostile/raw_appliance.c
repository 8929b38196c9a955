/* SPDX-License-Identifier: Apache-2.0 */
#include "raw_appliance.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/ring/spsc_inline.h"
#include "core/talk/appliance_internal.h"

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    (void)fprintf(stderr, "raw appliance: %s: %s\n", what, vine_error_text(error));
    _exit(3);
}

/* One of libvine's makes the segment, and is never turned. */
static struct vine_segment *make_segment(const char *address)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .segment_bytes = RAW_SEGMENT_BYTES,
        .segment_truncate = true,
    };
    struct vine_appliance *appliance = NULL;

    must(vine_appliance_create(&options, &appliance), "create");
    must(vine_appliance_listen(appliance, address), "listen");
    return appliance->named;
}

void raw_appliance_listen(struct raw_appliance *raw, const char *path)
{
    memset(raw, 0, sizeof *raw);
    raw->socket_fd = -1;
    raw->grant = (struct vine__grant){
        .name = "raw",
        .channels_max = 4,
        .tasks_max = 16,
        .memory_max_bytes = 4u << 20,
        .generation = 1,
        .why = &raw->why,
    };
    if (strchr(path, ':') != NULL)
        raw->named = make_segment(path);
    else
        must(vine__peer_listen(&raw->listener, path, NULL), "listen");
}

void raw_appliance_accept(struct raw_appliance *raw)
{
    union vine__talk_any message;

    if (raw->named != NULL)
        return; /* it claims, and says no hello */
    must(vine__peer_accept(raw->listener.fd, RAW_APPLIANCE_NS, &raw->socket_fd), "accept");
    must(vine__talk_receive(raw->socket_fd, &message, &raw->half_fd, RAW_APPLIANCE_NS, &raw->why),
         "receive");
    must(message.head.type == VINE_TALK_HELLO ? 0 : -VINE_EPROTOCOL, "hello");
    raw->hello = message.hello;
}

static void look_at_clock(uint64_t start_ns)
{
    if (vine__clock_now_ns() - start_ns > RAW_APPLIANCE_NS)
        must(-ETIMEDOUT, "the application does nothing");
    (void)sched_yield();
}

static void answer_claim(struct raw_appliance *raw)
{
    const uint64_t start_ns = vine__clock_now_ns();
    int error;

    while ((error = vine__link_answer(&raw->link, raw->named, raw->epoch, &raw->grant,
                                      &raw->agreement)) == -EAGAIN)
        look_at_clock(start_ns);
    must(error, "answer");
    raw->epoch = raw->link.epoch;
    vine__store_release_u32(&raw->half.layout->board.epoch, raw->epoch);
    (void)vine__futex_wake(&raw->half.layout->board.epoch, INT32_MAX);
}

void raw_appliance_welcome(struct raw_appliance *raw)
{
    vine__link_init(&raw->link, &raw->half, &raw->mirror);
    if (raw->named != NULL) {
        answer_claim(raw);
        return;
    }
    raw->link.socket_fd = raw->socket_fd;
    must(vine__link_welcome(&raw->link, &raw->hello, raw->half_fd, &raw->grant, &raw->agreement),
         "welcome");
    close(raw->half_fd);
    raw->socket_fd = -1;
}

void raw_appliance_hang_up(struct raw_appliance *raw)
{
    if (raw->named != NULL) /* where nobody hears of a hang-up */
        raw->link.operations->bye(&raw->link, -VINE_EPEERLOST, "");
    raw->link.operations->close(&raw->link);
    vine__mirror_close(&raw->mirror);
    vine__half_close(&raw->half);
}

/* The application's first channel, once it is open. */
static const struct vine_channel_layout *first_channel(const struct raw_appliance *raw)
{
    const uint64_t start_ns = vine__clock_now_ns();

    while (vine__load_acquire_u32(&raw->mirror.layout->board.channels.value) == 0)
        look_at_clock(start_ns);
    return &raw->mirror.layout->channels[0];
}

void raw_appliance_meet(struct raw_appliance *raw)
{
    struct vine_channel_layout *ours = &raw->half.layout->channels[0];
    const struct vine_channel_layout *theirs = first_channel(raw);
    const uint64_t theirs_bytes = (uint64_t)theirs->slot_count * sizeof(struct vine_slot);
    const uint64_t bytes = RAW_APPLIANCE_SLOTS * sizeof(struct vine_slot);
    const void *slots = vine__mirror_resolve(&raw->mirror, theirs->ring_extent,
                                             theirs->ring_offset_units, theirs_bytes, NULL);
    struct vine__box box;

    must(slots != NULL ? 0 : -VINE_EPROTOCOL, "the application's ring");
    must(vine__half_alloc(&raw->half, bytes, &box), "ring");
    memset(box.memory, 0, bytes);
    raw->slots = box.memory;
    must(vine_spsc_producer_init(&raw->producer, raw->slots, RAW_APPLIANCE_SLOTS,
                                 &theirs->consumed.value),
         "producer");
    must(vine_spsc_consumer_init(&raw->consumer, slots, theirs->slot_count, &ours->consumed.value),
         "consumer");
    ours->slot_count = RAW_APPLIANCE_SLOTS;
    ours->ring_extent = box.extent;
    ours->ring_offset_units = box.offset_units;
    ours->wait_mode = VINE_WAIT_SLEEPY;
}

void raw_appliance_open_channel(struct raw_appliance *raw)
{
    uint32_t *state = &raw->half.layout->channels[0].state;

    vine__store_release_u32(state, 1);
    (void)vine__futex_wake(state, INT32_MAX);
}

void raw_appliance_wait(struct raw_appliance *raw)
{
    const uint64_t start_ns = vine__clock_now_ns();

    while (vine_spsc_ready(&raw->consumer) == 0)
        look_at_clock(start_ns);
}

void raw_appliance_take(struct raw_appliance *raw, struct vine_wire_submission *ret_submission)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (;;) {
        const int error = vine_spsc_pop(&raw->consumer, ret_submission);

        if (error == -EAGAIN)
            look_at_clock(start_ns);
        else
            must(error, "take");
        if (error == 0 && ret_submission->kind == VINE_WIRE_TASK)
            return;
    }
}

void raw_appliance_complete(struct raw_appliance *raw,
                            const struct vine_wire_completion *completion)
{
    uint32_t *word = (uint32_t *)(void *)&vine__spsc_slot_at(&raw->producer, 0)->sequence;

    /* A full ring, or an application that has gone: the completion is nobody's. */
    (void)!vine_spsc_push(&raw->producer, completion, sizeof *completion);
    (void)vine__futex_wake(word, INT32_MAX);
}

struct vine_token raw_appliance_token(struct raw_appliance *raw, const void *bytes, uint32_t size)
{
    struct vine_box box;

    must(vine__half_create_box(&raw->half, VINE_TYPE_BYTES, size, 0, &box), "box");
    memcpy(box.memory, bytes, size);
    return box.token;
}

struct vine_wire_completion raw_appliance_good(const struct vine_wire_submission *submission,
                                               const struct vine_token *token)
{
    struct vine_wire_completion completion = {
        .operation = submission->operation,
        .kind = VINE_WIRE_TASK,
        .shape = VINE_WIRE_SHAPE(0, 1),
    };

    memcpy(completion.body + VINE_RESULT_MAX - sizeof *token, token, sizeof *token);
    return completion;
}

struct vine_wire_description raw_appliance_description(const char *name)
{
    struct vine_wire_description description = {
        .accelerator_type = "cpu",
        .id = RAW_PROCEDURE,
        .argument_count = 2,
        .arguments = {{"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 65536},
                      {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536}},
    };

    (void)snprintf(description.name, sizeof description.name, "%s", name);
    return description;
}

void raw_appliance_describe(struct raw_appliance *raw, const void *answer, uint32_t size)
{
    struct vine_wire_submission question;

    raw_appliance_take(raw, &question);

    const struct vine_token token = raw_appliance_token(raw, answer, size);
    const struct vine_wire_completion completion = raw_appliance_good(&question, &token);

    raw_appliance_complete(raw, &completion);
}

void raw_appliance_begin(struct raw_appliance *raw)
{
    const struct vine_wire_description echo = raw_appliance_description("echo");

    raw_appliance_accept(raw);
    raw_appliance_welcome(raw);
    raw_appliance_meet(raw);
    raw_appliance_open_channel(raw);
    raw_appliance_describe(raw, &echo, sizeof echo);
}
