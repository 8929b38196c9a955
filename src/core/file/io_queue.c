/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory orders between cores:
 *
 *   C1  who makes a class: release of `class_count`  pairs with C2: its shares and its name
 *   C2  who meets a class: acquire of it             pairs with C1
 */
#include "core/file/io_queue.h"

#include <errno.h>
#include <stdio.h>

#include <vine/timer.h>

#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#define DEFAULT_SHARES 100

/* What all cores know of the classes: the process has one set of reactors. */
static uint32_t class_shares[VINE_IO_CLASSES_MAX] = {DEFAULT_SHARES};
static char class_names[VINE_IO_CLASSES_MAX][VINE__IO_CLASS_NAME_BYTES] = {"default"};
static uint32_t class_count = 1; /* atomic: C1 */

void vine__io_classes_reset(void)
{
    vine__store_relaxed_u32(&class_count, 1);
}

int vine_io_class_create(const char *name, uint32_t shares, struct vine_io_class *ret_class)
{
    const uint32_t id = vine__load_relaxed_u32(&class_count);

    VINE_ASSERT(vine_core() == 0);
    if (name == NULL || shares == 0 || shares > VINE_SHARES_MAX)
        return -EINVAL;
    if (id == VINE_IO_CLASSES_MAX)
        return -ENOSPC;
    class_shares[id] = shares;
    (void)snprintf(class_names[id], sizeof(class_names[id]), "%s", name);
    /* C1 pairs with C2: the class before its number. */
    vine__store_release_u32(&class_count, id + 1);
    ret_class->id = (uint8_t)id;
    return 0;
}

uint32_t vine__io_class_count(void)
{
    return vine__load_acquire_u32(&class_count); /* C2 pairs with C1 */
}

const char *vine__io_class_name(uint32_t id)
{
    VINE_ASSERT(id < vine__io_class_count());
    return class_names[id];
}

static struct vine__io_lane *lane_of(struct vine__io_queue *queue, uint8_t id)
{
    struct vine__io_lane *const lane = &queue->lanes[id];

    if (VINE__UNLIKELY(lane->weight == 0)) {
        /* C2 pairs with C1. */
        const uint32_t count = vine__load_acquire_u32(&class_count);

        VINE_ASSERT(id < count);
        lane->weight = 1.0 / class_shares[id];
        lane->last = &lane->first;
        /* The one allocation, of a class's first request; without it its waits are not told. */
        if (queue->is_measured && lane->waited == NULL)
            (void)!vine_histogram_create(&lane->waited);
    }
    return lane;
}

void vine__io_queue_init(struct vine__io_queue *queue, uint32_t requests_max,
                         vine__io_submit_fn submit)
{
    VINE_ASSERT(requests_max > 0);
    *queue = (struct vine__io_queue){.requests_max = requests_max, .submit = submit};
}

void vine__io_queue_fini(struct vine__io_queue *queue)
{
    for (uint32_t id = 0; id < VINE_IO_CLASSES_MAX; id++) {
        vine_histogram_destroy(queue->lanes[id].waited);
        queue->lanes[id].waited = NULL;
    }
}

int vine__io_queue_measure(struct vine__io_queue *queue)
{
    queue->is_measured = true;
    return vine_histogram_create(&queue->lanes[0].waited);
}

static void submit(struct vine__io_queue *queue, struct vine__io_lane *lane,
                   struct vine_io_request *request, uint64_t waited_ns)
{
    if (lane->waited != NULL)
        vine_histogram_record(lane->waited, waited_ns);
    if (lane->used > queue->floor)
        queue->floor = lane->used;
    lane->used += (VINE__IO_REQUEST_COST + (double)request->size) * lane->weight;
    lane->requests++;
    lane->bytes += request->size;
    queue->submitted++;
    request->state = VINE__IO_SUBMITTED;
    queue->submit(queue, request);
}

/* Of those of `active`, which is not 0, who has used least. */
static uint32_t choose(const struct vine__io_queue *queue)
{
    uint32_t least = vine__lowest_bit_u64(queue->active);

    for (uint32_t left = queue->active & (queue->active - 1); left != 0; left &= left - 1) {
        const uint32_t id = vine__lowest_bit_u64(left);

        if (queue->lanes[id].used < queue->lanes[least].used)
            least = id;
    }
    return least;
}

static void submit_waiting(struct vine__io_queue *queue)
{
    while (queue->active != 0 && queue->submitted < queue->requests_max) {
        struct vine__io_lane *const lane = &queue->lanes[choose(queue)];
        struct vine_io_request *const request = lane->first;

        vine__io_queue_remove(queue, request);
        /* To the turn: what makes room for it came in one. */
        submit(queue, lane, request, vine_clock_now(VINE_CLOCK_COARSE) - request->queued_ns);
    }
}

void vine__io_queue_add(struct vine__io_queue *queue, struct vine_io_request *request)
{
    struct vine__io_lane *const lane = lane_of(queue, request->io_class);

    VINE_ASSERT(request->state == VINE__IO_IDLE);
    if (lane->first == NULL && lane->used < queue->floor)
        lane->used = queue->floor; /* nothing is owed for the time without requests */
    if (queue->active == 0 && queue->submitted < queue->requests_max) {
        submit(queue, lane, request, 0);
        return;
    }
    request->state = VINE__IO_QUEUED;
    request->queued_ns = vine_clock_now(VINE_CLOCK_COARSE);
    lane->waiting++;
    request->next = NULL;
    request->link = lane->last;
    *lane->last = request;
    lane->last = &request->next;
    queue->active |= 1U << request->io_class;
}

void vine__io_queue_remove(struct vine__io_queue *queue, struct vine_io_request *request)
{
    struct vine__io_lane *const lane = &queue->lanes[request->io_class];

    VINE_ASSERT(request->state == VINE__IO_QUEUED);
    *request->link = request->next;
    if (request->next != NULL)
        request->next->link = request->link;
    else
        lane->last = request->link;
    lane->waiting--;
    if (lane->first == NULL)
        queue->active &= ~(1U << request->io_class);
    request->state = VINE__IO_IDLE;
}

void vine__io_queue_ended(struct vine__io_queue *queue, struct vine_io_request *request)
{
    VINE_ASSERT(request->state == VINE__IO_SUBMITTED && queue->submitted > 0);
    request->state = VINE__IO_ENDED;
    queue->submitted--;
    submit_waiting(queue);
}
