/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named segment of which any byte may be anything, and that is cut off or grows: it is surveyed,
 * and left as it is. The input is a row of steps of 12 bytes: which step, one of its own, two that
 * say where, eight that say what. What lies there at first is a pipe with tasks in flight, a queue
 * and the books of an allocator.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/allocator.h>
#include <vine/error.h>
#include <vine/mpmc.h>
#include <vine/segment.h>
#include <vine/spsc.h>
#include <vine/wait.h>

#include "core/survey/survey.h"
#include "core/talk/half.h"
#include "utils/assert.h"

#define HALF_BYTES    24576u
#define SLOTS         8u
#define TASKS         6u
#define RING_UNITS    200u
#define ACCOUNT_UNITS 240u
#define STEP          12u
#define STEPS_MAX     32u
#define QUEUE_SLOTS   8u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct {
    char name[64], path[80];
    unsigned char *bytes; /* the segment as it is made */
    size_t size;
} model;

static void make_half(struct vine_half_layout *half, bool is_appliance)
{
    half->board.epoch = 2;
    half->board.channels_max = 2;
    half->board.tasks_max = TASKS;
    half->board.features = 17;
    half->board.channels.value = is_appliance ? 0 : 1;
    half->channels[0].slot_count = SLOTS;
    half->channels[0].ring_offset_units = RING_UNITS;
    half->channels[0].wait_mode = VINE_WAIT_SLEEPY;
    half->channels[0].state = 1;
}

/* What the appliance says of its books. */
static void account(struct vine_half_layout *half)
{
    struct vine_account_layout *account =
        (void *)((unsigned char *)half + (uint64_t)ACCOUNT_UNITS * VINE_TALK_UNIT);

    VINE_STATIC_ASSERT(ACCOUNT_UNITS * VINE_TALK_UNIT + sizeof *account <= HALF_BYTES, "it fits");
    half->board.account_units = ACCOUNT_UNITS;
    account->version = 2;
    account->found = account->count = 2;
    for (uint32_t i = 0; i < 2; i++)
        account->findings[i] = (struct vine_wire_finding){.kind = VINE_WIRE_FOUND_TASKS + i,
                                                          .count = 3,
                                                          .bytes = 64,
                                                          .ages = {2, 1},
                                                          .name = "x"};
}

static void push(struct vine_half_layout *half, struct vine_half_layout *other, const void *message)
{
    unsigned char copy[VINE_SPSC_BYTES];
    struct vine_slot *slots = (void *)((unsigned char *)half + RING_UNITS * 64);
    struct vine_spsc_producer producer;
    int error =
        vine_spsc_producer_init(&producer, slots, SLOTS, &other->channels[0].consumed.value);

    memcpy(copy, message, sizeof copy);
    for (uint32_t i = 0; i < 3 && error == 0; i++) {
        copy[0] = (unsigned char)i; /* operations differ */
        error = vine_spsc_push(&producer, copy, sizeof copy);
    }
    VINE_ASSERT(error == 0);
}

static void fill(struct vine_segment *segment)
{
    const struct vine_wire_submission submission = {.operation = 7,
                                                    .procedure = 16,
                                                    .kind = 1,
                                                    .shape = VINE_WIRE_SHAPE(0, 1),
                                                    .body = {[24] = 220, [28] = 64, [32] = 1}};
    const struct vine_wire_completion completion = {.operation = 256, .kind = 1};
    struct vine_allocator_options options = {
        .size_bytes = sizeof options, .strategy = VINE_ALLOCATOR_GENERAL, .granule_bytes = 64};
    struct vine_allocator *allocator = NULL;
    void *halves[2], *heap, *queue;
    uint64_t size = 0, offset;
    int error = vine_segment_find(segment, VINE_SEGMENT_KIND_APPLICATION_HALF, &halves[0], &size);

    error |= vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &halves[1], &size);
    error |= vine_segment_find(segment, VINE_SEGMENT_KIND_RINGS, &queue, &size);
    error |= vine_mpmc_format(queue, size, QUEUE_SLOTS);
    error |= vine_segment_find(segment, VINE_SEGMENT_KIND_HEAP, &heap, &size);
    VINE_ASSERT(error == 0);
    make_half(halves[0], false);
    make_half(halves[1], true);
    account(halves[1]);
    push(halves[0], halves[1], &submission);
    push(halves[1], halves[0], &completion);
    error = vine_allocator_format(heap, size, &options);
    VINE_ASSERT(error == 0);
    error = vine_allocator_attach(heap, size, &allocator);
    VINE_ASSERT(error == 0);
    for (uint32_t i = 0; i < 3 && error == 0; i++)
        error = vine_allocator_alloc(allocator, 100 * (i + 1), &offset);
    vine_allocator_destroy(allocator);
}

static void make_model(void)
{
    struct vine_segment_options options;
    struct vine_segment *segment = NULL;

    (void)snprintf(model.name, sizeof model.name, "shm:vine-fuzz-%d", (int)getpid());
    (void)snprintf(model.path, sizeof model.path, "/dev/shm/vine-fuzz-%d", (int)getpid());
    vine_segment_options_init(&options);
    options.backend = VINE_SEGMENT_POSIX;
    options.name = model.name + 4;
    options.side = VINE_SEGMENT_APPLIANCE;
    options.fingerprint = vine__half_fingerprint();
    options.truncate = true;
    options.region_count = 4;
    options.regions[0] =
        (struct vine_segment_region){VINE_SEGMENT_KIND_APPLICATION_HALF, HALF_BYTES};
    options.regions[1] = (struct vine_segment_region){VINE_SEGMENT_KIND_APPLIANCE_HALF, HALF_BYTES};
    options.regions[2] = (struct vine_segment_region){VINE_SEGMENT_KIND_RINGS, 4096};
    options.regions[3] = (struct vine_segment_region){VINE_SEGMENT_KIND_HEAP, 16384};

    int error = vine_segment_create(&options, &segment, NULL);

    VINE_ASSERT(error == 0);
    fill(segment);
    error = vine_segment_publish(segment);
    VINE_ASSERT(error == 0);
    model.size = vine_segment_size(segment);
    model.bytes = malloc(model.size);
    VINE_ASSERT(model.bytes != NULL);
    memcpy(model.bytes, vine_segment_base(segment), model.size);
    vine_segment_unref(segment);
    /* Both sides of this one have been there twice. */
    model.bytes[192 + 16] = model.bytes[256 + 16] = 2;
}

/* Where it matters: the header, boards and records, rings, the queue, the books; or
 * anywhere; or the account. */
static size_t place_of(uint8_t which, uint16_t at)
{
    static const size_t starts[] = {
        0,     384,   4096,  4096 + 512, 4096 + RING_UNITS * 64,    28672,
        29184, 53248, 57344, 0,          28672 + ACCOUNT_UNITS * 64};
    const size_t start = starts[which % (sizeof starts / sizeof starts[0])];

    return (start + at) % (model.size - 8);
}

static size_t apply(unsigned char *copy, const uint8_t *bytes, size_t size_bytes)
{
    size_t size = model.size;

    for (size_t i = 0; i < STEPS_MAX && (i + 1) * STEP <= size_bytes; i++) {
        const uint8_t *step = bytes + i * STEP;
        const uint16_t at = (uint16_t)(step[2] | step[3] << 8);
        const size_t place = place_of(step[1], at);

        switch (step[0] % 4) {
        case 0:
            memcpy(copy + place, step + 4, 8);
            break;
        case 1:
            memcpy(copy + place, step + 4, 1u << (step[4] % 4));
            break;
        case 2:
            copy[place] ^= (unsigned char)(1u << (step[4] % 8));
            break;
        default:
            size = (size_t)at * 4 % (model.size + 8192);
        }
    }
    return size;
}

static void check(const struct vine__survey *survey, size_t size)
{
    VINE_ASSERT(survey->looks >= 1 && survey->real_bytes == size);
    VINE_ASSERT(survey->finding_count <= VINE__SURVEY_FINDINGS);
    VINE_ASSERT(survey->finding_count <= survey->fault_count + survey->note_count);
    VINE_ASSERT(survey->use_count <= VINE__SURVEY_USES);
    VINE_ASSERT(survey->channel_count <= VINE_TALK_CHANNELS_MAX);
    VINE_ASSERT(survey->account.count <= VINE_ACCOUNT_FINDINGS);
    VINE_ASSERT(survey->account.count <= survey->account.found);
    for (uint32_t i = 0; i < survey->account.count; i++) {
        const struct vine__survey_in_use *use = &survey->account.uses[i];

        VINE_ASSERT(use->kind >= VINE__SURVEY_TASKS && use->kind <= VINE__SURVEY_RESULTS);
        VINE_ASSERT(memchr(use->name, 0, sizeof use->name) != NULL);
    }
    for (uint32_t i = 0; i < survey->finding_count; i++) {
        const struct vine__survey_finding *finding = &survey->findings[i];

        VINE_ASSERT(memchr(finding->where, 0, sizeof finding->where) != NULL);
        VINE_ASSERT(memchr(finding->found, 0, sizeof finding->found) != NULL);
        VINE_ASSERT(finding->found[0] != '\0');
        VINE_ASSERT((finding->weight == VINE__SURVEY_FAULT) == (finding->expected[0] != '\0'));
    }
}

static void write_whole(const unsigned char *bytes, size_t size)
{
    const int fd = open(model.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const size_t whole = size < model.size ? size : model.size;

    VINE_ASSERT(fd >= 0);
    VINE_ASSERT(write(fd, bytes, whole) == (ssize_t)whole);
    VINE_ASSERT(ftruncate(fd, (off_t)size) == 0);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct vine__survey survey;
    struct vine__why why;
    unsigned char *copy;
    size_t size;

    if (model.bytes == NULL)
        make_model();
    copy = malloc(model.size);
    VINE_ASSERT(copy != NULL);
    memcpy(copy, model.bytes, model.size);
    size = apply(copy, bytes, size_bytes);
    write_whole(copy, size);

    const int error = vine__survey_segment(model.name, &survey, &why);

    VINE_ASSERT(error == 0);
    check(&survey, size);
    if (size_bytes < STEP) /* nothing was done to it */
        VINE_ASSERT(survey.fault_count == 0 && survey.channels[0].submissions == 3);
    (void)unlink(model.path);
    free(copy);
    return 0;
}
