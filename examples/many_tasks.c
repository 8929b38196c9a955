/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_tasks.c - keep many tasks in flight; a callback takes each result and issues the next task.
 *
 *     cc many_tasks.c -lvine -o many_tasks && ./many_tasks [ADDRESS]
 *
 * Callbacks run inside vine_pipe_poll and the waits, on the thread that calls them: this program
 * has one thread and needs no lock. Here it polls; a program that has nothing else to do waits
 * instead.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include <vine/vine.h>

#define TASKS_TOTAL     10000u
#define TASKS_IN_FLIGHT 32u
#define BLOCK_BYTES     4096u

struct crowd {
    struct vine_pipe *pipe;
    struct vine_procedure *procedure;
    struct vine_data *block;
    struct vine_accelerator *accelerator;
    unsigned issued, ended;
    uint32_t sum; /* of all results */
    int error;    /* the first */
};

static void issue(struct crowd *crowd);

static void on_end(struct vine_task *task, int status, void *context)
{
    struct crowd *crowd = context;
    uint8_t crc[4] = {0};

    if (status == 0)
        (void)vine_task_result(task, crc, sizeof(crc));
    for (size_t i = 0; i < sizeof(crc); i++)
        crowd->sum += (uint32_t)crc[i] << (24 - 8 * i);
    if (status < 0 && crowd->error == 0)
        crowd->error = status;
    vine_task_free(task);
    crowd->ended++;
    issue(crowd);
}

static void issue(struct crowd *crowd)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .accelerator = crowd->accelerator,
        .inputs = &crowd->block,
        .input_count = 1,
        .callback = on_end,
        .context = crowd,
    };
    struct vine_task *task;
    int error;

    if (crowd->issued == TASKS_TOTAL || crowd->error < 0)
        return;
    error = vine_task_issue(crowd->pipe, crowd->procedure, &options, &task);
    if (error == 0)
        crowd->issued++;
    else
        crowd->error = error;
}

static int run(struct crowd *crowd)
{
    static const uint8_t zeros[BLOCK_BYTES];
    int error = vine_procedure_get(crowd->pipe, "crc32", &crowd->procedure);

    /* Tasks of the pipe's own accelerator run one after the other; these need no order. */
    if (error == 0)
        error = vine_accelerator_acquire(crowd->pipe, "cpu", VINE_PARALLEL, &crowd->accelerator);
    if (error == 0)
        error = vine_data_create(crowd->pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &crowd->block);
    if (error == 0)
        error = vine_data_write(crowd->block, 0, zeros, BLOCK_BYTES);
    if (error < 0)
        return error;
    while (crowd->issued < TASKS_IN_FLIGHT && crowd->error == 0)
        issue(crowd);
    while (crowd->ended < crowd->issued) {
        const int count = vine_pipe_poll(crowd->pipe);

        if (count < 0)
            return count;
        if (count == 0)
            sched_yield();
    }
    return crowd->error;
}

int main(int argc, char **argv)
{
    struct crowd crowd = {0};
    int error;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: many_tasks [ADDRESS]\n");
        return 2;
    }
    error = vine_pipe_open(argc > 1 ? argv[1] : NULL, NULL, &crowd.pipe);
    if (error == 0)
        error = run(&crowd);
    if (error == 0)
        printf("%u tasks ended, sum %08x\n", crowd.ended, crowd.sum);
    else
        fprintf(stderr, "many_tasks: %s: %s\n", argc > 1 ? argv[1] : "the default appliance",
                vine_error_text(error));
    vine_data_free(crowd.block);
    vine_accelerator_release(crowd.accelerator);
    vine_pipe_close(crowd.pipe);
    return error < 0;
}
