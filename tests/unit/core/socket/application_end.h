/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application as the far end of a talk pipe, for tests of sockets: it writes and reads by a
 * stream, in the test's own thread and by its clock, without ever waiting.
 */
#ifndef TESTS_APPLICATION_END_H
#define TESTS_APPLICATION_END_H

#include "../appliance/handlers.h"

#include <vine/stream.h>

/* What it is to do. */
struct application_wishes {
    const char *parts[2]; /* that it writes, a second after each other; NULL: none */
    uint64_t stays_ns;    /* until it ends what it writes */
    bool reads;           /* and says what comes, as it comes or, `in_one`, all of it */
    bool in_one;
};

struct application_end {
    struct application_wishes wishes;
    struct vine_pipe *pipe;
    struct vine_stream *stream;
    uint64_t begin_ns;
    uint32_t written; /* of the parts */
    bool has_begun;
    bool has_ended; /* what it writes */
    bool is_over;   /* what it reads, or all */
    char text[64];
    size_t length;
    uint32_t has_pipe; /* atomic */
};

static inline void *open_far_pipe(void *argument)
{
    struct application_end *const far = argument;

    assert_int_equal(vine_pipe_open(served.path, NULL, &far->pipe), 0);
    (void)procedure_of(far->pipe, "near_end"); /* which waits for an answer, the first time */
    __atomic_store_n(&far->has_pipe, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* The near end is a micro-process of this procedure. */
static inline void application_end_begin(struct application_end *far,
                                         const struct vine_procedure_definition *near,
                                         const struct application_wishes *wishes)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    pthread_t thread;

    *far = (struct application_end){.wishes = *wishes};
    serve(near, 1, NULL, 0);
    assert_int_equal(pthread_create(&thread, NULL, open_far_pipe, far), 0);
    while (__atomic_load_n(&far->has_pipe, __ATOMIC_ACQUIRE) == 0) {
        (void)vine__serving_turn(served.part, vine__clock_ticks());
        step_all();
        assert_true(vine__clock_now_ns() < hang_ns);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(
        vine_stream_open(far->pipe, procedure_of(far->pipe, near->name), NULL, &far->stream), 0);
    far->begin_ns = stepped.clock_ns;
}

static inline void application_end_write(struct application_end *far)
{
    const uint64_t passed_ns = stepped.clock_ns - far->begin_ns;
    const struct application_wishes *const wishes = &far->wishes;
    size_t size = 0;
    int error = 0;

    if (far->has_ended)
        return;
    while (far->written < 2 && wishes->parts[far->written] != NULL &&
           passed_ns >= far->written * VINE_NS_PER_SECOND) {
        const char *const part = wishes->parts[far->written];

        error = vine_stream_write(far->stream, part, strlen(part), 0, &size);
        if (error != 0)
            break;
        assert_int_equal(size, strlen(part)); /* the window has room for all of it */
        far->written++;
    }
    if (error == -EAGAIN || passed_ns < wishes->stays_ns ||
        (error == 0 && far->written < 2 && wishes->parts[far->written] != NULL))
        return;
    if (error == 0)
        error = vine_stream_end(far->stream, 0);
    assert_true(error == 0 || error == -EAGAIN || error == -EPIPE);
    far->has_ended = error != -EAGAIN;
}

/* Room for what the near end writes is there only where something is read. */
static inline void application_end_read(struct application_end *far,
                                        void (*tell)(const char *text, ssize_t size))
{
    const struct application_wishes *const wishes = &far->wishes;
    size_t size = 1;

    while (!far->is_over && (wishes->reads || far->has_ended)) {
        const int error = vine_stream_read(far->stream, far->text + far->length,
                                           sizeof far->text - far->length, 0, &size);

        if (error == -EAGAIN)
            return;
        far->is_over = error != 0 || size == 0;
        if (error != 0 || !wishes->reads)
            continue;
        far->length += wishes->in_one ? size : 0;
        if (wishes->in_one ? size == 0 : size > 0)
            tell(far->text, (ssize_t)(wishes->in_one ? far->length : size));
        if (size == 0)
            tell(NULL, 0);
    }
}

/* Whatever can be done at this time, with turns for what is on its way. */
static inline void application_end_step(struct application_end *far,
                                        void (*tell)(const char *text, ssize_t size))
{
    for (uint32_t i = 0; i < 50; i++) {
        application_end_write(far);
        if (!far->has_begun) {
            /* Who writes nothing has a window, which nobody may ever read. */
            size_t size = 0;

            assert_int_equal(vine_stream_read(far->stream, far->text, 1, 0, &size), -EAGAIN);
            far->has_begun = true;
        }
        application_end_read(far, tell);
        for (uint32_t j = 0; j < 4; j++) {
            (void)vine__serving_turn(served.part, vine__clock_ticks());
            step_all();
        }
    }
}

/* Whether both have ended. The near one's session stays until the stream is closed. */
static inline bool application_end_is_over(const struct application_end *far)
{
    return far->has_ended && far->is_over && vine__process_count() == 0;
}

/* Returns how the near one ended. */
static inline int application_end_close(struct application_end *far)
{
    const int error = vine_stream_error(far->stream);
    struct vine_appliance_stats stats;

    vine_stream_close(far->stream);
    vine_pipe_close(far->pipe);
    do {
        (void)serve_turn();
        vine_appliance_get_stats(served.part, &stats);
    } while (stats.pipes_open > 0);
    serve_no_more();
    return error;
}

#endif
