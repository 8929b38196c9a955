/* SPDX-License-Identifier: Apache-2.0 */
/* Surveys of segments that others are at work in, or were killed in, or cut off under it: what is
 * done meanwhile is no inconsistency, and nothing ends the one that looks. */
#include "surveyed.h"

#include "harness/emulator.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SURVEYS 60

static struct vine__survey *survey_of(const char *address)
{
    struct vine__survey *survey = calloc(1, sizeof *survey);
    struct vine__why why;

    assert_non_null(survey);
    assert_int_equal(vine__survey_segment(address, survey, &why), 0);
    return survey;
}

static void expect_none(const char *address)
{
    struct vine__survey *survey = survey_of(address);

    if (survey->fault_count > 0)
        print_findings(survey);
    assert_int_equal(survey->fault_count, 0);
    free(survey);
}

struct busy {
    const char *address;
    uint32_t is_over;
};

/* Opens a pipe, has some tasks of all kinds in flight, and closes it, again and again. */
static void *be_busy(void *context)
{
    struct busy *busy = context;

    while (__atomic_load_n(&busy->is_over, __ATOMIC_ACQUIRE) == 0) {
        struct vine_pipe *pipe = NULL;
        struct vine_task *tasks[32] = {NULL};
        struct vine_procedure *noop = NULL, *sum = NULL;
        static const char text[200] = "Hello";
        const struct vine_task_options with_text = {
            .size_bytes = sizeof with_text, .bytes = text, .bytes_size = sizeof text};

        if (vine_pipe_open(busy->address, NULL, &pipe) != 0)
            continue;
        int error = vine_procedure_get(pipe, "noop", &noop);

        if (error == 0)
            error = vine_procedure_get(pipe, "sum_bytes", &sum);
        for (int round = 0; round < 40 && error == 0; round++) {
            for (int i = 0; i < 32; i++)
                if (vine_task_issue(pipe, i % 4 == 0 ? sum : noop, i % 4 == 0 ? &with_text : NULL,
                                    &tasks[i]) != 0)
                    tasks[i] = NULL;
            for (int i = 0; i < 32; i++)
                if (tasks[i] != NULL) {
                    (void)!vine_task_wait(tasks[i], LIMIT);
                    vine_task_free(tasks[i]);
                }
        }
        vine_pipe_close(pipe);
    }
    return NULL;
}

static void what_is_under_way_is_no_inconsistency(void **state)
{
    struct served served;
    struct busy busy;
    pthread_t thread;

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    served_start_at(&served, "file:", &surveyed_options, 1);
    busy = (struct busy){.address = served.path};
    assert_int_equal(pthread_create(&thread, NULL, be_busy, &busy), 0);
    for (int i = 0; i < SURVEYS; i++)
        expect_none(served.path);
    __atomic_store_n(&busy.is_over, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    expect_none(served.path);
    served_stop(&served);
}

/* Tasks until it is killed; `*count` goes up with each. */
static void work_until_killed(const char *address, uint32_t *count)
{
    struct vine_pipe *pipe = NULL;
    static const char text[200] = "Hello";

    if (vine_pipe_open(address, NULL, &pipe) != 0)
        _exit(1);
    for (;;) {
        (void)!vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL);
        (void)!vine_pipe_call(pipe, "sum_bytes", text, sizeof text, &(uint64_t){0}, 8,
                              &(size_t){0});
        __atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL);
    }
}

static void what_a_killed_application_leaves_is_no_inconsistency(void **state)
{
    struct served served;
    uint32_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    assert_true(count != MAP_FAILED);
    served_start_at(&served, "file:", &surveyed_options, 1);
    for (uint32_t i = 0; i < 12; i++) {
        const pid_t child = fork();
        int status = 0;

        assert_true(child >= 0);
        __atomic_store_n(count, 0, __ATOMIC_RELEASE);
        if (child == 0)
            work_until_killed(served.path, count);
        while (__atomic_load_n(count, __ATOMIC_ACQUIRE) <= i * 3)
            sched_yield();
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        expect_none(served.path);
    }
    munmap(count, 4096);
    served_stop(&served);
}

static void *cut_and_grow(void *context)
{
    struct busy *busy = context;
    uint64_t size = 0;

    while (__atomic_load_n(&busy->is_over, __ATOMIC_ACQUIRE) == 0) {
        size = (size * 31 + 4097) % (2 * MODEL_BYTES);
        if (truncate(surveyed_path, (off_t)size) != 0)
            break;
    }
    return NULL;
}

static void a_file_that_is_cut_off_under_it_ends_nobody(void **state)
{
    struct busy busy = {0};
    pthread_t thread;

    (void)state;
    put(model.bytes, model.size);
    assert_int_equal(pthread_create(&thread, NULL, cut_and_grow, &busy), 0);
    for (int i = 0; i < SURVEYS; i++) {
        if (i % 4 == 0)
            put(model.bytes, model.size);
        free(survey_of(surveyed_address));
    }
    __atomic_store_n(&busy.is_over, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_under_way_is_no_inconsistency),
        cmocka_unit_test(what_a_killed_application_leaves_is_no_inconsistency),
        cmocka_unit_test(a_file_that_is_cut_off_under_it_ends_nobody),
    };

    return cmocka_run_group_tests(tests, make_model, remove_model);
}
