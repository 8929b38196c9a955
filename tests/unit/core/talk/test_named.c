/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe in a named segment: who comes and who goes. Both sides are threads of this process. */
#include "served.h"

#include "harness/emulator.h"

#include "core/talk/appliance_internal.h"
#include "core/talk/half.h"

#include <sys/wait.h>

static const struct vine_appliance_options appliance_options = {
    .size_bytes = sizeof appliance_options, .segment_bytes = 1u << 20};

/* It is not to be stopped, and writes all of its output at the end. */
static int run_stubborn(struct vine_call *call)
{
    size_t room = 0;
    void *output = vine_call_output(call, 0, &room);

    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting--;
    pthread_mutex_unlock(&gate.lock);
    memset(output, 'x', room);
    return vine_call_output_size(call, 0, room);
}

static const struct vine_argument stubborn_arguments[] = {
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536},
};

static const struct vine_procedure_definition stubborn = {
    .size_bytes = sizeof stubborn,
    .name = "stubborn",
    .run = run_stubborn,
    SERVED_ARGUMENTS(stubborn_arguments),
};

static void one_application_after_the_other_is_served(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    struct served served;

    (void)state;
    served_start_at(&served, "file:", &appliance_options, 1);
    for (int i = 0; i < 20; i++) {
        struct vine_pipe *pipe = served_open(&served, NULL);
        struct vine_pipe *second = NULL;
        char turned[5];
        size_t size = 0;

        assert_int_equal(vine_pipe_open(served.path, NULL, &second), -EBUSY);
        assert_int_equal(vine_pipe_call(pipe, "turn", "Hello", 5, turned, sizeof turned, &size), 0);
        assert_memory_equal(turned, "hELLO", 5);
        vine_pipe_close(pipe);
    }
    served_stop(&served);
}

/* They write into the memory that it will get. */
static void the_next_application_waits_for_the_jobs_of_the_last(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    const struct vine_pipe_options hasty = {.size_bytes = sizeof hasty,
                                            .connect_timeout_ns = SECOND / 20};
    struct served served;
    struct vine_pipe *pipe;
    struct vine_pipe *next = NULL;
    struct vine_data *output = NULL;
    struct vine_task *task = NULL;

    (void)state;
    served_start_at(&served, "file:", &appliance_options, 1);
    assert_int_equal(vine_appliance_register(served.appliance, &stubborn), 0);
    pipe = served_open(&served, NULL);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 65536, &output), 0);

    const struct vine_task_options options = {
        .size_bytes = sizeof options, .outputs = &output, .output_count = 1};

    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "stubborn"), &options, &task), 0);
    gate_wait_for(1);
    vine_task_free(task);
    vine_data_free(output);
    vine_pipe_close(pipe);

    assert_int_equal(vine_pipe_open(served.path, &hasty, &next), -ETIMEDOUT);
    gate_set(true);
    next = served_open(&served, NULL);
    assert_int_equal(vine_procedure_get(next, "noop", &(struct vine_procedure *){NULL}), 0);
    vine_pipe_close(next);
    served_stop(&served);
}

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

/* Or a new appliance, which may not take a segment from those who live in it, could be kept out. */
static void who_finds_no_appliance_claims_nothing(void **state)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .log = keep_quiet};
    struct vine_segment_options attach;
    struct vine_segment *segment = NULL;
    struct vine_segment_report report;
    struct vine_segment_presence presence;
    char path[] = "/tmp/vine-named-XXXXXX";
    char address[64];
    struct vine_pipe *pipe = NULL;

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");

    const int fd = mkstemp(path);
    const pid_t child = fork();

    assert_true(fd >= 0 && child >= 0);
    (void)snprintf(address, sizeof address, "file:%s", path);
    if (child == 0) {
        /* It dies without a word. */
        struct vine_appliance *appliance = NULL;

        if (vine_appliance_create(&appliance_options, &appliance) != 0)
            _exit(1);
        _exit(vine_appliance_listen(appliance, address) == 0 ? 0 : 2);
    }

    int status = -1;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(vine_pipe_open(address, &options, &pipe), -VINE_ENOAPPLIANCE);
    vine_segment_options_init(&attach);
    attach.backend = VINE_SEGMENT_FILE;
    attach.name = path;
    attach.fingerprint = vine__half_fingerprint();
    assert_int_equal(vine_segment_attach(&attach, &segment, &report), 0);
    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(presence.claims, 0);
    vine_segment_unref(segment);
    close(fd);
    assert_int_equal(unlink(path), 0);
}

/* What a loop that falls asleep has read, and where it sleeps. */
struct sleeper {
    struct vine_appliance *appliance;
    uint32_t event_word;
    uint32_t named_word;
};

static void *sleep_until_woken(void *context)
{
    const struct sleeper *sleeper = context;

    vine__served_wait_named(sleeper->appliance, sleeper->event_word, sleeper->named_word,
                            VINE_FOREVER);
    return NULL;
}

/* By the one word that the application raises, too, and without looking now and then. */
static void an_appliance_that_sleeps_is_woken_by_itself(void **state)
{
    char folder[] = "/tmp/vine-named-XXXXXX";
    char address[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(address, sizeof address, "file:%s/segment", folder);
    for (int i = 0; i < 20; i++) {
        struct sleeper sleeper = {NULL, 0, 0};
        pthread_t thread;

        assert_int_equal(vine_appliance_create(&appliance_options, &sleeper.appliance), 0);
        assert_int_equal(vine_appliance_listen(sleeper.appliance, address), 0);
        sleeper.event_word = vine__load_acquire_u32(&sleeper.appliance->event_word);
        sleeper.named_word = vine__served_named_word(sleeper.appliance);
        vine__store_relaxed_u32(&sleeper.appliance->is_asleep, 1);
        assert_int_equal(pthread_create(&thread, NULL, sleep_until_woken, &sleeper), 0);
        vine_appliance_stop(sleeper.appliance); /* now and then before it sleeps */
        assert_int_equal(pthread_join(thread, NULL), 0);
        vine_appliance_destroy(sleeper.appliance);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* Else it could come back to a number that who sleeps on it has read before. */
static void the_wake_word_never_falls_whoever_comes(void **state)
{
    skip_if_emulated("tells a process another start time of itself than others see");
    struct served served;

    (void)state;
    served_start_at(&served, "file:", &appliance_options, 1);

    uint32_t *const word = served.appliance->named_word;
    uint32_t seen = vine__fetch_add_acq_rel_u32(word, 1000) + 1000;

    for (int i = 0; i < 3; i++) {
        struct vine_pipe *const pipe = served_open(&served, NULL);
        const uint32_t count = vine__load_acquire_u32(word);

        assert_true(count > seen);
        seen = count;
        vine_pipe_close(pipe);
    }
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_application_after_the_other_is_served),
        cmocka_unit_test(the_next_application_waits_for_the_jobs_of_the_last),
        cmocka_unit_test(who_finds_no_appliance_claims_nothing),
        cmocka_unit_test(an_appliance_that_sleeps_is_woken_by_itself),
        cmocka_unit_test(the_wake_word_never_falls_whoever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
