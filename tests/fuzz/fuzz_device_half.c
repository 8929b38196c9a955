/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of the two halves of a link between machines, each of which its writer alone can change:
 * headers, boards, records of channels, rings. The input is a row of steps of 16 bytes: which step,
 * one of its own, a place, a value of 8. An appliance listens and turns when a step says so;
 * applications come and go. Whatever was written, the next application is served, and so is one at
 * another link all the while.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "fuzz/other_side.h"
#include "harness/fake_machines.h"
#include "harness/procedures.h"
#include "utils/bits.h"

#define SLOTS     16u
#define STEP      16u
#define STEPS_MAX 64u
#define TURNS_MAX 1000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* An application that does what the words of the format ask for. */
struct caller {
    struct vine__half half;
    struct vine_spsc_producer producer;
    bool is_there;
};

static struct fake_host host;

static struct fuzzed {
    struct vine_appliance *appliance;
    struct caller callers[2]; /* by link: the first is fuzzed, the other one is good */
    uint64_t meetings;
} fuzzed;

static const struct vine_procedure_definition noop = {
    .size_bytes = sizeof noop,
    .name = "noop",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_noop,
};

static void turn(void)
{
    fuzzed.appliance->heard_ticks = 0; /* applications that come, too */
    (void)vine__loop_turn(fuzzed.appliance, vine__clock_ticks());
}

/* ---- applications ---------------------------------------------------------------------------- */

static void leave(uint32_t link)
{
    struct caller *caller = &fuzzed.callers[link];

    if (caller->is_there)
        vine__half_close(&caller->half);
    memset(caller, 0, sizeof *caller);
}

/* A half with one channel, and a call. */
static void come(uint32_t link)
{
    const uint8_t uuid[VINE_SEGMENT_IDENTITY_BYTES] = {1};
    struct caller *caller = &fuzzed.callers[link];
    struct vine_half_layout *theirs = fake_half(&host, link, 1);
    struct vine__half_options options = {
        .uuid = uuid,
        .side = VINE_SEGMENT_APPLICATION,
        .device_bytes = FAKE_HALF_BYTES,
        .bytes_max = FAKE_HALF_BYTES,
        .sysfs_root = host.machines[0].sysfs,
    };
    char bdf[16];

    leave(link);
    fake_bdf(0, link, 0, bdf);
    options.device = bdf;
    fake_must(vine__half_create(&caller->half, &options) == 0);
    caller->is_there = true;
    other_side_open_channel(&caller->half, SLOTS, &theirs->channels[0].consumed.value,
                            &caller->producer);
    caller->half.layout->board.channels.value = 1;
    caller->half.layout->board.version = VINE_TALK_VERSION;
    do
        caller->half.layout->board.meeting = UINT64_C(0x5eed000000000000) + ++fuzzed.meetings;
    while (caller->half.layout->board.meeting == theirs->board.meeting);
}

static void submit(uint32_t link, uint64_t operation)
{
    const struct vine_wire_submission submission = {
        .operation = operation, .procedure = VINE_WIRE_PROCEDURES_FROM, .kind = VINE_WIRE_TASK};

    (void)!vine_spsc_push(&fuzzed.callers[link].producer, &submission, sizeof submission);
}

/* Who has come is answered, and its task done. */
static void is_served(uint32_t link)
{
    const struct vine_board_layout *theirs = &fake_half(&host, link, 1)->board;
    uint64_t done;

    for (uint32_t i = 0; theirs->meeting != fuzzed.callers[link].half.layout->board.meeting; i++) {
        VINE_ASSERT(i < TURNS_MAX);
        turn();
    }
    done = fuzzed.appliance->tasks_done;
    submit(link, 1);
    for (uint32_t i = 0; fuzzed.appliance->tasks_done == done; i++) {
        VINE_ASSERT(i < TURNS_MAX && theirs->closed.value == 0);
        turn();
    }
}

/* ---- one of libvine's, which meets whatever the appliance's half holds ----------------------- */

struct attachment {
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__why why;
    int result;
    uint32_t is_over; /* atomic */
};

static void *attach(void *context)
{
    struct attachment *attachment = context;
    const struct vine__handshake_wish wish = {
        .name = "fuzzed", .why = &attachment->why, .timeout_ns = 60 * VINE_NS_PER_SECOND};
    struct vine__address address;
    struct vine__agreement agreement;

    attachment->result = vine__address_resolve("pci:zip", false, &address, &attachment->why);
    vine__link_init(&attachment->link, &attachment->half, &attachment->mirror);
    if (attachment->result == 0)
        attachment->result = vine__link_meet(&attachment->link, &address, &wish, &agreement);
    if (attachment->result == 0) {
        VINE_ASSERT(agreement.channels_max >= 1);
        VINE_ASSERT(agreement.channels_max <= VINE_TALK_CHANNELS_MAX);
        VINE_ASSERT(agreement.tasks_max >= 1 && agreement.tasks_max <= VINE_SPSC_SLOTS_MAX / 2);
        VINE_ASSERT(strnlen(agreement.peer_name, sizeof agreement.peer_name) <
                    sizeof agreement.peer_name);
    }
    vine__store_release_u32(&attachment->is_over, 1);
    return NULL;
}

/* The appliance does not turn meanwhile: that it has answered is pretended. */
static void meet(uint64_t value, uint8_t how)
{
    struct vine_board_layout *ours = &fake_half(&host, 0, 0)->board;
    struct vine_board_layout *theirs = &fake_half(&host, 0, 1)->board;
    struct attachment attachment = {.result = 0};
    pthread_t thread;
    int error;

    leave(0);
    ours->meeting = 0;
    fake_must(pthread_create(&thread, NULL, attach, &attachment) == 0);
    while (vine__load_acquire_u32(&attachment.is_over) == 0) {
        const uint64_t meeting = vine__load_acquire_u64(&ours->meeting);

        if (meeting != 0)
            vine__store_release_u64(&theirs->meeting, meeting);
        (void)sched_yield();
    }
    fake_must(pthread_join(thread, NULL) == 0);
    VINE_ASSERT(attachment.result == 0 || attachment.why.text[0] != 0);
    if (attachment.result != 0)
        return;
    ((uint64_t *)theirs)[how % (sizeof *theirs / 8)] = value;
    attachment.why.text[0] = 0;
    error = attachment.link.operations->receive(&attachment.link, &attachment.why);
    VINE_ASSERT(error == 0 || (error <= -1000 && error > -2000 && attachment.why.text[0] != 0));
    (void)attachment.link.operations->peer_lost(&attachment.link);
    vine__link_undo(&attachment.link);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step(const uint8_t *bytes)
{
    const size_t words = FAKE_HALF_BYTES / sizeof(uint64_t);
    uint64_t value;
    uint16_t place;

    memcpy(&place, bytes + 2, sizeof place);
    memcpy(&value, bytes + 8, sizeof value);
    switch (bytes[0] % 8) {
    case 0: /* headers and boards */
        ((uint64_t *)(void *)host.links[0].memory[0])[place % 1024] = value;
        break;
    case 1:
        ((uint64_t *)(void *)host.links[0].memory[0])[place % words] = value;
        break;
    case 2:
        ((uint64_t *)(void *)host.links[0].memory[1])[place % 1024] = value;
        break;
    case 3:
        come(0);
        break;
    case 4:
        leave(0);
        break;
    case 5:
        if (fuzzed.callers[0].is_there)
            submit(0, value);
        break;
    case 6:
        meet(value, bytes[1]);
        break;
    default:
        fake_half(&host, 0, 0)->board.meeting = value;
        break;
    }
    for (uint32_t i = 0; i < bytes[1] / 64u; i++)
        turn();
}

static void begin(void)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .channels_max = 4, .tasks_max = SLOTS / 2};

    if (host.machines[0].page == NULL) {
        fake_start(&host);
        fake_plug(&host, 0, "zip");
        fake_plug(&host, 1, "zap");
    }
    memset(&fuzzed, 0, sizeof fuzzed);
    for (uint32_t i = 0; i < 2; i++)
        for (int writer = 0; writer < 2; writer++)
            memset(host.links[i].memory[writer], 0,
                   VINE_SEGMENT_HEADER_BYTES + sizeof(struct vine_half_layout));
    fake_use(&host, 1);
    fake_must(vine_appliance_create(&options, &fuzzed.appliance) == 0);
    fuzzed.appliance->turn_ticks = UINT64_MAX / 4; /* time is not what is looked at */
    fake_must(vine_appliance_register(fuzzed.appliance, &noop) == 0);
    fake_must(vine_appliance_listen(fuzzed.appliance, "pci:auto") == 0);
    fake_use(&host, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const size_t most = vine__min_u64(size_bytes, STEPS_MAX * STEP);

    begin();
    come(1);
    is_served(1);
    for (size_t at = 0; most - at >= STEP; at += STEP)
        step(bytes + at);
    is_served(1);
    come(0);
    is_served(0);
    leave(0);
    leave(1);
    vine_appliance_destroy(fuzzed.appliance);
    return 0;
}
