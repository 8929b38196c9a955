/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/file/io_queue.h - which request goes to the device next.
 *
 * Owns:     a queue for each class of requests; requests are their operations'.
 * Threads:  one core's.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   VINE_IO_CLASSES_MAX classes; as many requests at once as it is told.
 *
 * Of the classes that have requests waiting the one that has used least of its part goes next: what
 * a request costs is divided by the shares of its class (stride scheduling, Waldspurger 1995). A
 * class that comes back from having nothing to do begins where the others are.
 */
#ifndef VINE_CORE_FILE_IO_QUEUE_H
#define VINE_CORE_FILE_IO_QUEUE_H

#include <stdbool.h>

#include <vine/file.h>
#include <vine/metrics.h>

/* What a request costs beside its bytes: a device that does 100,000 requests or 1 GiB in a second
 * takes as long for either. */
#define VINE__IO_REQUEST_COST 10240

struct vine__io_queue;
typedef void (*vine__io_submit_fn)(struct vine__io_queue *queue, struct vine_io_request *request);

#define VINE__IO_CLASS_NAME_BYTES 32

/* Where a request is; its field `state`. */
enum vine__io_state {
    VINE__IO_IDLE,
    VINE__IO_QUEUED,    /* in its class */
    VINE__IO_SUBMITTED, /* the device's */
    VINE__IO_ENDED,     /* on its way home */
};

struct vine__io_lane {
    struct vine_io_request *first, **last;
    double used;   /* cost divided by shares */
    double weight; /* 1 / shares; 0: not met yet */
    uint64_t requests, bytes;
    int64_t waiting;
    struct vine_histogram
        *waited; /* nanoseconds of each request; NULL: nobody asks, or no memory */
};

struct vine__io_queue {
    uint32_t requests_max;
    uint32_t submitted;
    uint32_t active;  /* classes with requests waiting */
    bool is_measured; /* so that classes get histograms */
    double floor;     /* `used` of the class that went last, before it went */
    vine__io_submit_fn submit;
    struct vine__io_lane lanes[VINE_IO_CLASSES_MAX];
};

/* `submit` gives one to the device; it may not end one at once. */
void vine__io_queue_init(struct vine__io_queue *queue, uint32_t requests_max,
                         vine__io_submit_fn submit);

/* Give back what its classes have. */
void vine__io_queue_fini(struct vine__io_queue *queue);

/* Measure from now on how long requests wait: each class when its first one comes, the default
 * class at once. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__io_queue_measure(struct vine__io_queue *queue);

void vine__io_queue_add(struct vine__io_queue *queue, struct vine_io_request *request);

/* Take out one that is VINE__IO_QUEUED. */
void vine__io_queue_remove(struct vine__io_queue *queue, struct vine_io_request *request);

/* One that was submitted has ended: the next ones go. */
void vine__io_queue_ended(struct vine__io_queue *queue, struct vine_io_request *request);

/* How many classes there are, and what one of them is called. */
uint32_t vine__io_class_count(void);
const char *vine__io_class_name(uint32_t id);

/* Forget all classes but the default one. Before any core has a queue. */
void vine__io_classes_reset(void);

#endif
