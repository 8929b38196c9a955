/* SPDX-License-Identifier: Apache-2.0 */
#include "serving.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "utils/atomic.h"

static struct vine_appliance *appliance;
static uint64_t *noops_begun;

/* ---- procedures ------------------------------------------------------------------------------ */

static int run_noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

static int run_counted_noop(struct vine_call *call)
{
    (void)call;
    vine__store_relaxed_u64(noops_begun, *noops_begun + 1);
    return 0;
}

static int fill(struct vine_call *call, uint32_t argument)
{
    size_t room = 0;

    (void)vine_call_output(call, argument, &room);
    return vine_call_output_size(call, argument, room);
}

static int run_fill(struct vine_call *call)
{
    return fill(call, 0);
}

static int run_both(struct vine_call *call)
{
    return fill(call, 1);
}

/* The physical limit of a copy on this side: both ends its own, of the same kinds of pages. */
static int run_memcpy(struct vine_call *call)
{
    static unsigned char *shared_memory;
    static unsigned char *private_memory;

    (void)call;
    if (private_memory == NULL) {
        shared_memory = mmap(NULL, BENCH_LARGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        private_memory = malloc(BENCH_LARGE_BYTES);
        bench_require(shared_memory != MAP_FAILED && private_memory != NULL, "memory");
    }
    memcpy(private_memory, shared_memory, BENCH_LARGE_BYTES);
    __asm__ volatile("" : : "r"(private_memory) : "memory");
    return 0;
}

#define LARGEST (UINT64_C(64) << 20)

static const struct vine_argument input = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, LARGEST};
static const struct vine_argument output = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, LARGEST};
static const struct vine_argument both[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, LARGEST},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, LARGEST},
};

#define PROCEDURE(text, function, with, count, how)                                                \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = text, .run = function,     \
        .arguments = with, .argument_count = count, .flags = VINE_PROCEDURE_SHORT | (how)          \
    }

static const struct vine_procedure_definition procedures[] = {
    PROCEDURE("noop", run_noop, NULL, 0, 0),
    PROCEDURE("read", run_noop, &input, 1, VINE_ARGUMENTS_SHARED),
    PROCEDURE("copy", run_noop, &input, 1, VINE_ARGUMENTS_COPIED),
    PROCEDURE("memcpy", run_memcpy, NULL, 0, 0),
    PROCEDURE("fill", run_fill, &output, 1, 0),
    PROCEDURE("both", run_both, both, 2, VINE_ARGUMENTS_SHARED),
};

static const struct vine_procedure_definition counted =
    PROCEDURE("noop", run_counted_noop, NULL, 0, 0);

/* ---- the appliance --------------------------------------------------------------------------- */

static void stop(int number)
{
    (void)number;
    vine_appliance_stop(appliance);
}

void bench_serving_offer(struct vine_appliance *to)
{
    for (size_t n = 0; n < sizeof(procedures) / sizeof(procedures[0]); n++)
        bench_check(vine_appliance_register(to, &procedures[n]), "register");
    if (noops_begun != NULL)
        bench_check(vine_appliance_register(to, &counted), "register");
}

static void serve(const struct bench_serving *serving, const struct bench_serving_options *options)
{
    const struct vine_appliance_options how = {
        .size_bytes = sizeof(how),
        .name = "bench",
        .spin_ns = options->spin_ns,
    };

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options->is_pinned)
        bench_pin(1);
    noops_begun = options->noops_begun;
    if (options->serve != NULL) {
        options->serve(serving->path, &how);
        _exit(0);
    }
    bench_check(vine_appliance_create(&how, &appliance), "create");
    bench_serving_offer(appliance);
    (void)signal(SIGTERM, stop);
    bench_check(vine_appliance_listen(appliance, serving->path), "listen");
    bench_check(vine_appliance_serve(appliance), "serve");
    vine_appliance_destroy(appliance);
    _exit(0);
}

void bench_serving_start(struct bench_serving *serving, const struct bench_serving_options *options)
{
    static unsigned count;

    (void)snprintf(serving->path, sizeof(serving->path), "/tmp/vine-bench-%d-%u.socket",
                   (int)getpid(), count++);
    (void)fflush(stdout);
    serving->pid = fork();
    bench_require(serving->pid >= 0, "fork");
    if (serving->pid == 0)
        serve(serving, options);
}

void bench_serving_stop(const struct bench_serving *serving)
{
    (void)kill(serving->pid, SIGTERM);
    (void)waitpid(serving->pid, NULL, 0);
}

/* ---- the application ------------------------------------------------------------------------- */

struct vine_procedure *bench_application_procedure(const struct bench_application *application,
                                                   const char *name)
{
    struct vine_procedure *procedure = NULL;

    bench_check(vine_procedure_get(application->pipe, name, &procedure), name);
    return procedure;
}

void bench_application_open(struct bench_application *application,
                            const struct bench_serving *serving, enum vine_wait_mode mode,
                            uint64_t spin_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof(options),
        .name = "bench",
        .wait_mode = mode,
        .spin_ns = spin_ns,
    };
    int error = -VINE_ENOAPPLIANCE;

    for (int tries = 0; error == -VINE_ENOAPPLIANCE && tries < 10000; tries++) {
        error = vine_pipe_open(serving->path, &options, &application->pipe);
        if (error == -VINE_ENOAPPLIANCE)
            (void)usleep(1000);
    }
    bench_check(error, "open");
    application->noop = bench_application_procedure(application, "noop");
}

static void end(struct vine_task *task)
{
    bench_check(vine_task_wait(task, VINE_FOREVER), "wait");
    vine_task_free(task);
}

void bench_noop_trips(const struct bench_application *application, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        struct vine_task *task = NULL;

        bench_check(vine_task_issue(application->pipe, application->noop, NULL, &task), "issue");
        end(task);
    }
}

void bench_noop_stream(const struct bench_application *application, struct bench_noops *noops,
                       uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        struct vine_task **task = &noops->tasks[noops->next];

        if (*task != NULL)
            end(*task);
        bench_check(vine_task_issue(application->pipe, application->noop, NULL, task), "issue");
        noops->next = (noops->next + 1) % NOOPS_IN_FLIGHT;
    }
}

void bench_noop_drain(struct bench_noops *noops)
{
    for (uint32_t n = 0; n < NOOPS_IN_FLIGHT; n++) {
        if (noops->tasks[n] != NULL)
            end(noops->tasks[n]);
        noops->tasks[n] = NULL;
    }
}
