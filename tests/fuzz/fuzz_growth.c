/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that comes later. An appliance with room for little, before an application that says over
 * the socket that its half has grown, by descriptors of all kinds, and asks for results that make
 * the appliance's grow. The input is a row of steps of 64 bytes: which step, how, 6 of a place, 56
 * of a message, a submission or a block. The loop turns after each. Whatever comes, what the pipe
 * holds is the sum that quota.h states, and no more than its bound.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "fuzz/other_side.h"
#include "harness/procedures.h"
#include "utils/assert.h"
#include "utils/bits.h"

#define MEMORY_BYTES (10u << 20) /* of the pipe, in all */
#define EXTENT_PAGES 1500u       /* more than are looked through at once */
#define SLOTS        32u
#define STEP         64u
#define STEPS_MAX    48u
#define TURNS        64u
#define TURNS_MAX    4096u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct fuzzed {
    struct vine_appliance *appliance;
    struct vine__served *pipe; /* NULL: it is over */
    int socket_fd;             /* the application's end */
    struct vine__half half;    /* the application's */
    struct vine_spsc_producer producer;
    uint32_t extents; /* that the appliance was told of in order */
};

/* Charges so many bytes to its session, if it has one. */
static int run_hold(struct vine_call *call)
{
    if (vine_call_state(call) == NULL)
        return 0;
    return vine_call_charge(call, (int64_t)vine_call_scalar(call, 0, 0));
}

/* As many bytes as there is room for. */
static int run_fill(struct vine_call *call)
{
    size_t room = 0;
    void *output = vine_call_output(call, 0, &room);

    if (room > 0)
        memset(output, 1, 1);
    return vine_call_output_size(call, 0, room);
}

static const struct vine_argument ends_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}, {"ends", VINE_RESULT, 0, 2, 2}};
static const struct vine_argument fill_arguments[] = {
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};
static const struct vine_argument hold_arguments[] = {{"bytes", VINE_SCALAR, 0, 0, MEMORY_BYTES}};
static const struct vine_argument echo_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT32_MAX},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, UINT32_MAX}};

#define PROCEDURE(text, what, list, bits, state)                                                   \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = (text), .run = (what),     \
        .arguments = (list), .argument_count = sizeof(list) / sizeof((list)[0]), .flags = (bits),  \
        .state_bytes = (state)                                                                     \
    }

/* The first reads in place, the last one copies, as a job of its own. */
static const struct vine_procedure_definition procedures[] = {
    PROCEDURE("ends", run_ends, ends_arguments, VINE_PROCEDURE_SHORT | VINE_ARGUMENTS_SHARED, 0),
    PROCEDURE("fill", run_fill, fill_arguments, VINE_PROCEDURE_SHORT, 0),
    PROCEDURE("hold", run_hold, hold_arguments, VINE_PROCEDURE_SHORT, 100000),
    PROCEDURE("echo", run_echo, echo_arguments, 0, 0),
};

#define PROCEDURES (sizeof procedures / sizeof procedures[0])

/* ---- what it holds --------------------------------------------------------------------------- */

static uint64_t check_mirror(const struct vine__mirror *mirror)
{
    uint64_t mapped = vine_segment_size(mirror->segment);
    uint64_t told = mapped;

    for (uint32_t i = 1; i < mirror->extent_count; i++) {
        told += mirror->extents[i].size_bytes;
        if (mirror->extents[i].base != NULL)
            mapped += mirror->extents[i].size_bytes;
        VINE_ASSERT(mirror->extents[i].base == NULL || mirror->extents[i].fd == -1);
    }
    VINE_ASSERT(mirror->size_bytes == mapped);
    VINE_ASSERT(mirror->told_bytes == told && told <= mirror->bytes_max);
    if (mirror->growing != NULL)
        mapped += mirror->extents[mirror->growing_index].size_bytes;
    return mapped;
}

static void check_held(const struct fuzzed *fuzzed)
{
    const struct vine__served *pipe = fuzzed->pipe;
    const struct vine_appliance_options *options = &fuzzed->appliance->options;
    const uint64_t held = vine__quota_held(&pipe->quota);
    uint64_t halves = check_mirror(&pipe->mirror) + pipe->half.size_bytes;
    uint64_t rest = sizeof *pipe + options->accelerators_max * sizeof *pipe->accelerators +
                    VINE_WIRE_SESSION_PLACES * sizeof(struct vine__session *);
    uint64_t unbounded = 0; /* charged, room or not */

    if (pipe->half.growing != NULL)
        halves += vine__memory_size(pipe->half.growing);
    for (uint32_t i = 0; i < pipe->half.extent_count; i++)
        unbounded += pipe->half.extents[i].books_bytes;
    unbounded += pipe->channel_count * (sizeof(struct vine__served_channel) +
                                        options->accelerators_max * sizeof(struct vine__lane));
    rest += (pipe->jobs.count + VINE__OPS_A_SLAB - 1) / VINE__OPS_A_SLAB * VINE__OPS_A_SLAB *
            sizeof(struct vine_call);
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        if (pipe->channels[i]->jobs.slots != NULL)
            rest += vine__table_bytes(pipe->agreement.tasks_max);
    for (uint32_t i = 0; i < VINE_WIRE_SESSION_PLACES; i++)
        if (pipe->sessions[i] != NULL)
            rest += sizeof(struct vine__session) + pipe->sessions[i]->definition->state_bytes +
                    (uint64_t)pipe->sessions[i]->charged_bytes;
    VINE_ASSERT(held <= pipe->quota.bytes_max + unbounded);
    VINE_ASSERT(held >= halves + rest + unbounded);
    if (pipe->jobs_taken == 0)
        VINE_ASSERT(held == halves + rest + unbounded);
}

/* ---- both sides ------------------------------------------------------------------------------ */

static void on_event(void *context, const struct vine_appliance_event *event)
{
    struct fuzzed *fuzzed = context;

    if (event->kind == VINE_APPLIANCE_PIPE_CLOSED || event->kind == VINE_APPLIANCE_PIPE_REFUSED) {
        VINE_ASSERT(event->error == 0 || event->reason[0] != 0);
        fuzzed->pipe = NULL;
    }
}

static bool turn(struct fuzzed *fuzzed)
{
    bool is_busy;

    fuzzed->appliance->heard_ticks = 0; /* the descriptors, too */
    is_busy = vine__loop_turn(fuzzed->appliance, vine__clock_ticks());
    if (fuzzed->pipe != NULL && fuzzed->pipe->state == VINE__SERVED_OPEN)
        check_held(fuzzed);
    return is_busy;
}

/* An application's connection, as the loop takes it from its listener. */
static void connect_them(struct fuzzed *fuzzed)
{
    const struct vine__half_options options = {
        .uuid = (const uint8_t *)"0123456789abcdef",
        .side = VINE_SEGMENT_APPLICATION,
        .generation = 1,
        .bytes_max = VINE__HALF_BYTES,
    };
    struct vine_talk_hello hello = {
        .head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
        .major = VINE_TALK_MAJOR,
        .half_bytes = VINE__HALF_BYTES,
        .name = "fuzzed",
    };
    int sockets[2];
    int error = vine__half_create(&fuzzed->half, &options);

    VINE_ASSERT(error == 0);
    memcpy(hello.uuid, options.uuid, sizeof hello.uuid);
    error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets);
    VINE_ASSERT(error == 0);
    fuzzed->socket_fd = sockets[0];
    fuzzed->pipe = vine__served_create(fuzzed->appliance);
    VINE_ASSERT(fuzzed->pipe != NULL);
    fuzzed->pipe->link_to.socket_fd = sockets[1];
    fuzzed->pipe->deadline_ns = UINT64_MAX;
    error = vine__epoll_add(fuzzed->appliance->epoll_fd, sockets[1], fuzzed->pipe);
    VINE_ASSERT(error == 0);
    error = vine__talk_send(fuzzed->socket_fd, &hello, vine_segment_fd(fuzzed->half.segment), 0);
    VINE_ASSERT(error == 0);
    (void)turn(fuzzed);
    VINE_ASSERT(fuzzed->pipe != NULL && fuzzed->pipe->state == VINE__SERVED_OPEN);
}

static void begin(struct fuzzed *fuzzed)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .memory_max_bytes = MEMORY_BYTES,
        .tasks_max = SLOTS / 2,
        .channels_max = 2,
        .sessions_max = 4,
        .event = on_event,
        .event_context = fuzzed,
    };
    int error = vine_appliance_create(&options, &fuzzed->appliance);

    VINE_ASSERT(error == 0);
    fuzzed->appliance->turn_ticks = UINT64_MAX / 4; /* time is not what is looked at */
    for (size_t i = 0; i < PROCEDURES; i++) {
        error = vine_appliance_register(fuzzed->appliance, &procedures[i]);
        VINE_ASSERT(error == 0);
    }
    connect_them(fuzzed);
    other_side_open_channel(&fuzzed->half, SLOTS,
                            &fuzzed->pipe->half.layout->channels[0].consumed.value,
                            &fuzzed->producer);
    fuzzed->half.layout->board.channels.value = 1;
    (void)turn(fuzzed);
}

static void end(struct fuzzed *fuzzed)
{
    close(fuzzed->socket_fd);
    for (uint32_t turns = 0; fuzzed->appliance->pipe_count > 0; turns++) {
        VINE_ASSERT(turns < TURNS_MAX);
        (void)turn(fuzzed);
    }
    vine_appliance_destroy(fuzzed->appliance);
    vine__half_close(&fuzzed->half);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void submit(struct fuzzed *fuzzed, const uint8_t *bytes, bool is_good)
{
    struct vine_wire_submission submission;

    memcpy(&submission, bytes + 8, sizeof submission);
    if (is_good) {
        submission.kind = VINE_WIRE_TASK | (submission.kind & VINE_WIRE_SESSION_LAST);
        submission.procedure =
            (uint16_t)(VINE_WIRE_PROCEDURES_FROM + submission.procedure % PROCEDURES);
        submission.accelerator = 0;
    }
    (void)!vine_spsc_push(&fuzzed->producer, &submission, sizeof submission);
    vine__loop_activate(fuzzed->pipe);
}

static void step(struct fuzzed *fuzzed, const uint8_t *bytes)
{
    uint32_t place;

    memcpy(&place, bytes + 4, sizeof place);
    switch (bytes[0] % 8) {
    case 0: /* a block, for descriptors */
        memcpy((unsigned char *)fuzzed->half.layout + place % (96u << 10) / 8 * 8, bytes + 8, 56);
        break;
    case 1: /* what the application has read: results make room */
        fuzzed->half.layout->channels[0].consumed.value = place;
        break;
    case 2:
        other_side_say_anything(fuzzed->socket_fd, bytes);
        break;
    case 3:
        submit(fuzzed, bytes, false);
        break;
    case 4:
        for (uint32_t i = 0; i < TURNS && fuzzed->pipe != NULL && turn(fuzzed); i++)
            continue;
        break;
    case 5:
        other_side_tell_of_extent(fuzzed->socket_fd, ++fuzzed->extents,
                                  (1 + place % EXTENT_PAGES) * 4096, bytes);
        break;
    default:
        submit(fuzzed, bytes, true);
        break;
    }
    if (bytes[1] < 128 && fuzzed->pipe != NULL)
        (void)turn(fuzzed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const int probe = dup(0); /* the next descriptor that is free */
    const size_t most = vine__min_u64(size_bytes, STEPS_MAX * STEP);
    struct fuzzed fuzzed;

    close(probe);
    memset(&fuzzed, 0, sizeof fuzzed);
    begin(&fuzzed);
    for (size_t at = 0; most - at >= STEP && fuzzed.pipe != NULL; at += STEP)
        step(&fuzzed, bytes + at);
    end(&fuzzed);

    /* No descriptor stays open. */
    const int again = dup(0);

    VINE_ASSERT(again == probe);
    close(again);
    return 0;
}
