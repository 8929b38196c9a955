/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application before an appliance that answers anything: extents of its half that come over the
 * socket, completions, boards, farewells. The input is a row of steps of 64 bytes: which step, how,
 * 6 of a place, 56 of a message, a completion or a block in the appliance's half. Both sides live
 * in this process; a thread of the appliance's shakes hands and is over before the first step.
 * Whatever comes: every task ends once, what a result names can be read, no descriptor stays.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "core/talk/message.h"
#include "core/talk/pipe_internal.h"
#include "fuzz/other_side.h"
#include "utils/assert.h"
#include "utils/bits.h"

#define MEMORY_BYTES (2u << 20)
#define EXTENT_PAGES 300u
#define SLOTS        64u
#define TASKS        8u /* that are tried at once */
#define STEP         64u
#define STEPS_MAX    48u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct fuzzed {
    struct vine__peer_listener listener;
    struct vine_pipe *pipe;
    /* The appliance's. */
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine_spsc_producer producer;
    uint32_t extents;
    /* The application's tasks and their outputs; NULL: none. */
    struct vine_task *tasks[TASKS];
    struct vine_data *outputs[TASKS];
    uint32_t issued;
    uint32_t called; /* callbacks */
};

static struct vine_procedure procedure = {
    .id = VINE_WIRE_PROCEDURES_FROM,
    .info =
        {.argument_count = 1,
         .arguments = {{.kind = VINE_OUTPUT, .data_type = VINE_TYPE_BYTES, .max = MEMORY_BYTES}}},
    .output_count = 1,
    .outputs = {&procedure.info.arguments[0]},
};

/* ---- both sides ------------------------------------------------------------------------------ */

static void *shake_hands(void *context)
{
    struct fuzzed *fuzzed = context;
    struct vine__why why = {.text = ""};
    const struct vine__grant grant = {
        .name = "fuzzed",
        .channels_max = 2,
        .tasks_max = SLOTS / 2,
        .memory_max_bytes = MEMORY_BYTES,
        .generation = 1,
        .why = &why,
    };
    struct vine__agreement agreement;
    union vine__talk_any hello;
    int socket_fd = -1;
    int fd = -1;
    int error = vine__peer_accept(fuzzed->listener.fd, UINT64_MAX, &socket_fd);

    VINE_ASSERT(error == 0);
    error = vine__talk_receive(socket_fd, &hello, &fd, UINT64_MAX, &why);
    VINE_ASSERT(error == 0);
    vine__link_init(&fuzzed->link, &fuzzed->half, &fuzzed->mirror);
    fuzzed->link.socket_fd = socket_fd;
    error = vine__link_welcome(&fuzzed->link, &hello.hello, fd, &grant, &agreement);
    VINE_ASSERT(error == 0);
    close(fd);
    return NULL;
}

static void begin(struct fuzzed *fuzzed)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .name = "fuzzed", .spin_ns = 1};
    char path[64];
    pthread_t thread;

    (void)snprintf(path, sizeof path, "/tmp/vine-fuzz-%d", (int)getpid());
    int error = vine__peer_listen(&fuzzed->listener, path, NULL);

    VINE_ASSERT(error == 0);
    error = pthread_create(&thread, NULL, shake_hands, fuzzed);
    VINE_ASSERT(error == 0);
    error = vine_pipe_open(path, &options, &fuzzed->pipe);
    VINE_ASSERT(error == 0);
    (void)pthread_join(thread, NULL);
    /* Its end of the first channel, which the application opens with its first task. */
    other_side_open_channel(&fuzzed->half, SLOTS,
                            &fuzzed->mirror.layout->channels[0].consumed.value, &fuzzed->producer);
}

/* ---- the application ------------------------------------------------------------------------- */

static void on_end(struct vine_task *task, int status, void *context)
{
    struct fuzzed *fuzzed = context;

    (void)task;
    VINE_ASSERT(status == 0 || (status <= -1000 && status > -2000));
    fuzzed->called++;
}

static void issue(struct fuzzed *fuzzed, uint32_t at, uint64_t room)
{
    struct vine_task_options options = {
        .size_bytes = sizeof options,
        .outputs = &fuzzed->outputs[at],
        .output_count = 1,
        .callback = on_end,
        .context = fuzzed,
    };

    if (fuzzed->tasks[at] != NULL)
        return;
    if (fuzzed->outputs[at] == NULL &&
        vine_data_expect(fuzzed->pipe, VINE_TYPE_BYTES, 1 + room, &fuzzed->outputs[at]) != 0)
        return;
    if (vine_task_issue(fuzzed->pipe, &procedure, &options, &fuzzed->tasks[at]) == 0)
        fuzzed->issued++;
}

/* Let go of a task that has ended, having read what it brought. */
static void finish(struct fuzzed *fuzzed, uint32_t at)
{
    struct vine_task *task = fuzzed->tasks[at];

    if (task == NULL || vine_task_poll(task) == -EAGAIN)
        return;

    const unsigned char *result = vine_data_view(fuzzed->outputs[at]);
    const uint64_t size = vine_data_size(fuzzed->outputs[at]);

    if (vine_task_poll(task) == 0 && result != NULL && size > 0)
        VINE_ASSERT(result[0] + result[size - 1] >= 0);
    vine_task_free(task);
    vine_data_free(fuzzed->outputs[at]);
    fuzzed->tasks[at] = NULL;
    fuzzed->outputs[at] = NULL;
}

static void end(struct fuzzed *fuzzed)
{
    fuzzed->link.operations->close(&fuzzed->link); /* which ends what has not ended */
    (void)!vine_pipe_status(fuzzed->pipe);
    (void)!vine_pipe_poll(fuzzed->pipe);
    for (uint32_t i = 0; i < TASKS; i++) {
        finish(fuzzed, i);
        VINE_ASSERT(fuzzed->tasks[i] == NULL);
        vine_data_free(fuzzed->outputs[i]);
    }
    VINE_ASSERT(fuzzed->called == fuzzed->issued);
    vine_pipe_close(fuzzed->pipe);
    vine__mirror_close(&fuzzed->mirror);
    vine__half_close(&fuzzed->half);
    vine__peer_listener_close(&fuzzed->listener);
}

/* ---- the appliance's steps ------------------------------------------------------------------- */

static void complete(struct fuzzed *fuzzed, const uint8_t *bytes, uint32_t at, bool is_good)
{
    struct vine_wire_completion completion;

    memcpy(&completion, bytes + 8, sizeof completion);
    if (is_good && fuzzed->tasks[at] != NULL) {
        completion.operation = vine__op_id(&fuzzed->tasks[at]->operation);
        completion.kind = VINE_WIRE_TASK;
    }
    (void)!vine_spsc_push(&fuzzed->producer, &completion, sizeof completion);
}

static void step(struct fuzzed *fuzzed, const uint8_t *bytes)
{
    const uint32_t at = bytes[2] % TASKS;
    const uint32_t words = sizeof(struct vine_half_layout) / sizeof(uint32_t);
    uint32_t place;

    memcpy(&place, bytes + 4, sizeof place);
    switch (bytes[0] % 8) {
    case 0: /* a block, for tokens and descriptors to name */
        memcpy((unsigned char *)fuzzed->half.layout + place % (96u << 10) / 8 * 8, bytes + 8, 56);
        break;
    case 1: /* a word of the board or of a channel */
        memcpy((uint32_t *)(void *)fuzzed->half.layout + place % words, bytes + 8,
               sizeof(uint32_t));
        break;
    case 2:
        other_side_say_anything(fuzzed->link.socket_fd, bytes);
        break;
    case 3:
        other_side_tell_of_extent(fuzzed->link.socket_fd, ++fuzzed->extents,
                                  (1 + place % EXTENT_PAGES) * 4096, bytes);
        break;
    case 4:
        issue(fuzzed, at, place % MEMORY_BYTES);
        break;
    case 5:
        if (fuzzed->tasks[at] != NULL)
            (void)!vine_task_cancel(fuzzed->tasks[at]);
        break;
    default:
        complete(fuzzed, bytes, at, bytes[0] % 8 == 6);
        break;
    }
    if (bytes[1] & 128)
        return;
    (void)!vine_pipe_status(fuzzed->pipe);
    (void)!vine_pipe_poll(fuzzed->pipe);
    finish(fuzzed, at);
    VINE_ASSERT(fuzzed->pipe->mirror.told_bytes <= fuzzed->pipe->mirror.bytes_max);
    VINE_ASSERT(fuzzed->called <= fuzzed->issued);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const int probe = dup(0); /* the next descriptor that is free */
    const size_t most = vine__min_u64(size_bytes, STEPS_MAX * STEP);
    struct fuzzed fuzzed;

    close(probe);
    memset(&fuzzed, 0, sizeof fuzzed);
    begin(&fuzzed);
    for (size_t at = 0; most - at >= STEP; at += STEP)
        step(&fuzzed, bytes + at);
    end(&fuzzed);

    const int again = dup(0);

    VINE_ASSERT(again == probe);
    close(again);
    return 0;
}
