/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance that listens in a named segment: one application at a time, told by its claim. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/memory/memory.h"
#include "arch/wake/futex.h"
#include "core/talk/account.h"
#include "core/talk/appliance_internal.h"
#include "utils/bits.h"

#define LOOK_NS   10000000 /* how often a busy appliance looks whether the application lives */
#define TRIES_MAX 8
#define POLL_NS   1000000 /* how often one that sleeps looks at memory that nobody can wait on */

/* Which device it is to be, and how large: its memory is there already. */
static int choose_device(struct vine__address *address, struct vine__why *why)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;

    options.backend = VINE__MEMORY_IVSHMEM;
    options.protection = VINE__MEMORY_READ;
    options.name = address->name;
    options.sysfs_root = address->sysfs_root[0] != 0 ? address->sysfs_root : NULL;
    options.size_bytes = address->segment_bytes;
    options.offset_bytes = address->offset_bytes;
    options.exclusive = true;
    options.why = why->text;
    options.why_size = sizeof why->text;

    const int error = vine__memory_open(&options, &memory);

    if (error)
        return error;
    address->segment_bytes = vine__memory_size(memory);
    (void)snprintf(address->text, sizeof address->text, "%s", vine__memory_label(memory));
    if (strcmp(address->name, "auto") == 0)
        (void)snprintf(address->name, sizeof address->name, "%s", address->text + strlen("pci:"));
    vine__memory_close(memory);
    return 0;
}

/* Whether a segment that we did not make has the halves that we would have made. */
static bool is_alike(const struct vine_segment *segment, const struct vine_segment_options *options)
{
    for (uint32_t i = 0; i < options->region_count; i++) {
        void *base = NULL;
        uint64_t size_bytes = 0;

        if (vine_segment_find(segment, options->regions[i].kind, &base, &size_bytes) != 0 ||
            size_bytes != options->regions[i].size_bytes)
            return false;
    }
    return true;
}

/* Where an application still has its half, the one before us having gone: enter the segment as it
 * is, and leave that half alone until it greets us. */
static int enter(struct vine_appliance *appliance, const struct vine_segment_options *options)
{
    struct vine_segment_options found = *options;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;

    found.segment_bytes = 0;

    const int error = vine_segment_attach(&found, &segment, &report);

    if (error)
        return error;
    if (!is_alike(segment, options)) {
        vine_segment_unref(segment);
        return -VINE_EFINGERPRINT;
    }
    appliance->named = segment;
    appliance->named_epoch = vine__link_succeed(segment);
    vine__appliance_log(appliance, VINE_LOG_INFO, "%s: an application is there still",
                        appliance->address.text);
    return 0;
}

/* Make the segment, or enter it. Who was there may leave between our two looks. */
static int make_or_enter(struct vine_appliance *appliance,
                         const struct vine_segment_options *options, struct vine__why *why)
{
    struct vine_segment_report report;
    int error = -EBUSY;

    for (int tries = 0; tries < TRIES_MAX && error == -EBUSY; tries++) {
        error = vine_segment_create(options, &appliance->named, &report);
        if (!error)
            error = vine_segment_publish(appliance->named);
        else if (error == -EBUSY && enter(appliance, options) == 0)
            error = 0;
    }
    if (error)
        vine__why_say(why, "%s", report.why);
    return error == -EBUSY ? -EADDRINUSE : error;
}

int vine__served_listen_named(struct vine_appliance *appliance, struct vine__why *why)
{
    struct vine_segment_options options;
    int error = appliance->address.backend == VINE_SEGMENT_IVSHMEM
                    ? choose_device(&appliance->address, why)
                    : 0;

    if (error)
        return error == -EBUSY ? -EADDRINUSE : error;

    const uint64_t bytes = appliance->address.segment_bytes ? appliance->address.segment_bytes
                                                            : appliance->options.segment_bytes;
    const uint64_t half_bytes =
        bytes > VINE_SEGMENT_HEADER_BYTES
            ? vine__round_down_u64((bytes - VINE_SEGMENT_HEADER_BYTES) / 2, 4096)
            : 0;

    vine__address_to_segment(&appliance->address, &options);
    options.side = VINE_SEGMENT_APPLIANCE;
    options.fingerprint = vine__half_fingerprint();
    options.truncate |= appliance->options.segment_truncate;
    options.segment_bytes = bytes;
    options.region_count = 2;
    options.regions[0].kind = VINE_SEGMENT_KIND_APPLICATION_HALF;
    options.regions[0].size_bytes = half_bytes;
    options.regions[1].kind = VINE_SEGMENT_KIND_APPLIANCE_HALF;
    options.regions[1].size_bytes = half_bytes;
    if (half_bytes < VINE__HALF_BYTES) {
        vine__why_say(why, "%s: a named segment needs at least %u bytes, and has %llu",
                      appliance->address.text, 2 * VINE__HALF_BYTES + VINE_SEGMENT_HEADER_BYTES,
                      (unsigned long long)bytes);
        return -EINVAL;
    }

    error = make_or_enter(appliance, &options, why);
    if (error)
        return error;

    void *base = NULL;
    uint64_t size_bytes = 0;

    error =
        vine_segment_find(appliance->named, VINE_SEGMENT_KIND_APPLICATION_HALF, &base, &size_bytes);
    VINE_ASSERT(error == 0 && size_bytes == half_bytes);
    appliance->named_word = &((struct vine_half_layout *)base)->board.wake_count.value;
    return 0;
}

void vine__served_leave_named(struct vine_appliance *appliance)
{
    struct vine_segment_options options;
    struct vine_segment_report report;
    struct vine_segment_facts facts;

    vine__account_free(appliance);
    if (appliance->named == NULL)
        return;
    vine_segment_facts(appliance->named, &facts);

    const bool is_awaited = vine__link_is_awaited(appliance->named);

    vine_segment_unref(appliance->named);
    appliance->named = NULL;
    appliance->named_word = NULL;
    if (!facts.name_is_made)
        return;
    vine__address_to_segment(&appliance->address, &options);
    /* An application that waits for the next one, and nothing else, keeps the name. Who else uses
     * the segment keeps that; an appliance that has taken our place keeps its name. */
    if (vine_segment_remove(&options, &report) == 0 || is_awaited)
        return;
    options.side = VINE_SEGMENT_APPLIANCE;
    (void)!vine_segment_remove(&options, &report);
}

static void open_pipe(struct vine_appliance *appliance)
{
    struct vine__why why = {""};
    const struct vine__grant grant = {
        .name = appliance->name,
        .channels_max = appliance->options.channels_max,
        .tasks_max = appliance->options.tasks_max,
        .generation = appliance->common->generation,
        .why = &why,
    };

    VINE_ASSERT(appliance->named != NULL && appliance->named_pipe == NULL);

    struct vine__served *pipe = vine__served_create(appliance);

    if (pipe == NULL)
        return;

    int error = vine__link_answer(&pipe->link_to, appliance->named, appliance->named_epoch, &grant,
                                  &pipe->agreement);

    if (error == -EAGAIN) {
        vine__served_discard(pipe);
        return;
    }
    if (!error)
        error = vine__served_open(pipe);
    appliance->named_epoch = pipe->link_to.epoch;
    if (error) {
        vine__served_end(pipe, error, vine_error_text(error));
        return;
    }
    appliance->named_pipe = pipe;
    vine__account_open(appliance);
    vine__loop_activate(pipe);
    /* B7 pairs with B8: all of our half before the answer. */
    vine__store_release_u32(&pipe->half.layout->board.epoch, pipe->link_to.epoch);
    (void)vine__futex_wake(&pipe->half.layout->board.epoch, INT32_MAX);
}

/* Whether who is served has closed the pipe or is lost. To ask for a process takes as long as some
 * tasks: that is done now and then, and at once when somebody else has come. */
static int look_at(struct vine__served *pipe, uint64_t now_ticks)
{
    const uint32_t epoch = vine__load_relaxed_u32(&pipe->mirror.layout->board.epoch);
    const int error = pipe->link_to.operations->receive(&pipe->link_to, &pipe->why);

    if (error)
        return error;
    if (epoch == pipe->link_to.epoch &&
        now_ticks - pipe->looked_ticks < vine__clock_ns_to_ticks(LOOK_NS))
        return 0;
    pipe->looked_ticks = now_ticks;
    if (!pipe->link_to.operations->peer_lost(&pipe->link_to))
        return 0;
    vine__why_say(&pipe->why, "its process has ended");
    return -VINE_EPEERLOST;
}

bool vine__served_is_followed(struct vine__served *pipe)
{
    return (pipe == pipe->appliance->named_pipe || pipe->place != NULL) &&
           pipe->link_to.operations->peer_lost(&pipe->link_to);
}

void vine__served_look_named(struct vine_appliance *appliance, uint64_t now_ticks)
{
    struct vine__served *pipe = appliance->named_pipe;
    const int error = pipe != NULL ? look_at(pipe, now_ticks) : 0;

    if (error)
        vine__served_end(pipe, error == -VINE_ECLOSED ? 0 : error, pipe->why.text);
    else if (pipe != NULL)
        vine__account_turn(appliance, now_ticks);
    vine__served_reap(appliance);
    /* Jobs of the last one write into the memory that the next one gets: it waits for their end. */
    if (appliance->pipe_count == 0 && !appliance->is_draining &&
        vine__load_relaxed_u32(&appliance->common->suspended) == 0)
        open_pipe(appliance);
}

void vine__served_answer_named(struct vine_appliance *appliance, uint64_t now_ticks)
{
    vine__served_look_named(appliance, now_ticks);
    if (appliance->named_pipe != NULL)
        vine__loop_activate(appliance->named_pipe);
}

/* What an application raises to wake us, and we ourselves, too: so that one sleep on one word hears
 * of both. It lies in the application's half; one that writes over it makes us hear late, by the
 * longest sleep, of its own tasks and of our end. */
uint32_t vine__served_named_word(const struct vine_appliance *appliance)
{
    /* Acquire pairs with the releases in `wake` of link_named.c and in vine__served_wake_named:
     * looks come after it. */
    return appliance->named == NULL ? 0 : vine__load_acquire_u32(appliance->named_word);
}

void vine__served_wait_named(struct vine_appliance *appliance, uint32_t event_word,
                             uint32_t named_word, uint64_t timeout_ns)
{
    int error = vine__futex_wait(appliance->named_word, named_word, timeout_ns);

    /* In the memory of a device nobody can be woken: be it by our own, at least. */
    if (error == -EFAULT)
        error = vine__futex_wait(&appliance->event_word, event_word, POLL_NS);
    (void)error;
}

void vine__served_wake_named(struct vine_appliance *appliance)
{
    (void)vine__fetch_add_acq_rel_u32(appliance->named_word, 1);
    if (vine__futex_wake(appliance->named_word, 1) == -EFAULT)
        (void)vine__futex_wake(&appliance->event_word, 1);
}
