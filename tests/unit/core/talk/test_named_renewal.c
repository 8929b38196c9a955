/* SPDX-License-Identifier: Apache-2.0 */
/* What a named segment needs for its pipe to go on: a next appliance that enters it as it finds it,
 * results that stay where the next one writes, and a name that waits for it. What becomes of tasks
 * and sessions is in test_renewal.c. */
#include "served.h"

#include "harness/emulator.h"

#include "core/talk/half.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SEGMENT_BYTES (1u << 20)

static char folder[32];
static char file[64];
static char address[80];

static struct vine_appliance *stopped_by_signal;

static void stop(int signal)
{
    (void)signal;
    vine_appliance_stop(stopped_by_signal);
}

static int serve(uint64_t segment_bytes, int ready)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .segment_bytes = segment_bytes};
    struct vine_appliance *appliance = NULL;
    int error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (vine_appliance_create(&options, &appliance) != 0)
        return 2;
    stopped_by_signal = appliance;
    signal(SIGTERM, stop);
    for (size_t i = 0; i < SERVED_PROCEDURES; i++)
        if (vine_appliance_register(appliance, &served_procedures[i]) != 0)
            return 3;
    error = vine_appliance_listen(appliance, address);
    if (error)
        return error == -EADDRINUSE ? 4 : 5;
    (void)!write(ready, "r", 1);
    error = vine_appliance_serve(appliance);
    vine_appliance_destroy(appliance);
    return error == 0 ? 0 : 6;
}

/* A process that says when it listens; *ret_is_there is whether it does. */
static pid_t try_appliance(uint64_t segment_bytes, bool *ret_is_there)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ready[0]);
        _exit(serve(segment_bytes, ready[1]));
    }
    close(ready[1]);
    *ret_is_there = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    return pid;
}

static pid_t start_appliance(void)
{
    bool is_there = false;
    const pid_t pid = try_appliance(SEGMENT_BYTES, &is_there);

    assert_true(is_there);
    return pid;
}

static int end_process(pid_t pid, int with)
{
    int status = 0;

    assert_int_equal(kill(pid, with), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

static struct vine_pipe *open_pipe(uint64_t reconnect_ns)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .reconnect_ns = reconnect_ns, .log = keep_quiet};
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(address, &options, &pipe), 0);
    return pipe;
}

static void wait_until_renewed(struct vine_pipe *pipe, uint64_t count)
{
    struct vine_pipe_stats stats;

    do {
        const int error = vine_pipe_status(pipe);

        assert_true(error == 0 || error == -EAGAIN);
        vine_pipe_get_stats(pipe, &stats);
    } while (stats.renewals < count);
}

static bool has_name(void)
{
    struct stat status;

    return lstat(file, &status) == 0;
}

/* The appliance turns `size` bytes of `letter`; where it wrote them. */
static struct vine_data *turn(struct vine_pipe *pipe, char letter, size_t size)
{
    struct vine_data *input = NULL;
    struct vine_data *output = NULL;

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, size, &input), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, size, &output), 0);
    memset(vine_data_map(input), letter, size);

    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = &output,
                                              .output_count = 1};

    assert_int_equal(vine_task_run(pipe, served_get(pipe, "turn"), &options, LIMIT, NULL, NULL), 0);
    vine_data_free(input);
    assert_int_equal(vine_data_size(output), size);
    return output;
}

static void holds_only(const struct vine_data *data, char letter)
{
    const char *view = vine_data_view(data);

    for (size_t i = 0; i < vine_data_size(data); i++)
        assert_int_equal(view[i], letter);
}

static unsigned mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned count = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, file) != NULL;
    assert_int_equal(fclose(maps), 0);
    return count;
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* The halves are where both sides think that they are. */
static void an_appliance_with_other_sizes_finds_the_segment_in_use(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);
    bool is_there = true;
    int status = 0;

    (void)state;
    end_process(pid, SIGKILL);
    pid = try_appliance(2 * SEGMENT_BYTES, &is_there);
    assert_false(is_there);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 4);
    pid = start_appliance();
    wait_until_renewed(pipe, 1);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void a_living_appliance_keeps_its_segment(void **state)
{
    const pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);
    bool is_there = true;
    int status = 0;

    (void)state;
    const pid_t second = try_appliance(SEGMENT_BYTES, &is_there);

    assert_false(is_there);
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(WEXITSTATUS(status), 4);
    vine_data_free(turn(pipe, 'a', 100));
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void
to_an_application_that_does_not_wait_the_next_one_says_that_the_former_is_gone(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_data *data = turn(pipe, 'a', 1000);

    (void)state;
    end_process(pid, SIGKILL);
    pid = start_appliance();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    holds_only(data, 'A'); /* nobody has greeted the next one */
    vine_data_free(data);
    vine_pipe_close(pipe);
    pipe = open_pipe(0);
    vine_data_free(turn(pipe, 'b', 1000));
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* ---- what stays ------------------------------------------------------------------------------ */

static void nothing_is_written_over_before_the_application_has_greeted(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);
    struct vine_data *data = turn(pipe, 'a', 100000);

    (void)state;
    for (int i = 0; i < 5; i++) {
        end_process(pid, SIGKILL);
        pid = start_appliance();
        holds_only(data, 'A');
    }
    wait_until_renewed(pipe, 1);
    holds_only(data, 'A');
    vine_data_free(data);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

static void results_of_every_appliance_stay_while_the_next_ones_write(void **state)
{
    struct vine_data *datas[4];
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);
    const unsigned before = mappings();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0) {
            end_process(pid, SIGKILL);
            pid = start_appliance();
            wait_until_renewed(pipe, i);
        }
        datas[i] = turn(pipe, (char)('a' + i), 200000);
        for (unsigned j = 0; j <= i; j++)
            holds_only(datas[j], (char)('A' + j));
    }
    for (unsigned i = 0; i < 4; i++)
        vine_data_free(datas[i]);
    assert_int_equal(mappings(), before);
    vine_data_free(turn(pipe, 'z', 200000));
    vine_pipe_close(pipe);
    assert_int_equal(mappings(), 0);
    end_process(pid, SIGKILL);
}

struct reader {
    struct vine_data *data;
    uint32_t is_over;
    uint32_t looks;
};

static void *read_on(void *context)
{
    struct reader *reader = context;

    while (__atomic_load_n(&reader->is_over, __ATOMIC_ACQUIRE) == 0) {
        const char *view = vine_data_view(reader->data);

        for (size_t i = 0; i < vine_data_size(reader->data); i += 64)
            if (view[i] != 'A')
                return reader;
        __atomic_fetch_add(&reader->looks, 1, __ATOMIC_ACQ_REL);
    }
    return NULL;
}

static void a_thread_that_reads_a_result_never_finds_another_one(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);
    struct reader reader = {.data = turn(pipe, 'a', 300000)};
    pthread_t thread;
    void *found = NULL;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    for (unsigned i = 1; i <= 3; i++) {
        const uint32_t looks = __atomic_load_n(&reader.looks, __ATOMIC_ACQUIRE);

        end_process(pid, SIGKILL);
        pid = start_appliance();
        wait_until_renewed(pipe, i);
        vine_data_free(turn(pipe, 'b', 100000));
        while (__atomic_load_n(&reader.looks, __ATOMIC_ACQUIRE) == looks)
            sched_yield();
    }
    __atomic_store_n(&reader.is_over, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(thread, &found), 0);
    assert_null(found);
    vine_data_free(reader.data);
    vine_pipe_close(pipe);
    end_process(pid, SIGKILL);
}

/* ---- applications ---------------------------------------------------------------------------- */

/* It opens a pipe, and dies with it as the test wishes. */
static pid_t start_application(void)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                                  .reconnect_ns = VINE_FOREVER};
        struct vine_pipe *pipe = NULL;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (vine_pipe_open(address, &options, &pipe) != 0)
            _exit(2);
        (void)!write(ready[1], "r", 1);
        for (;;)
            (void)!vine_pipe_status(pipe);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void an_application_that_dies_while_it_waits_makes_room_for_the_next(void **state)
{
    pid_t pid = start_appliance();

    (void)state;
    for (int i = 0; i < 5; i++) {
        const pid_t application = start_application();

        end_process(pid, SIGKILL);
        if (i % 2 == 0)
            end_process(application, SIGKILL);
        pid = start_appliance();
        if (i % 2 != 0)
            end_process(application, SIGKILL);

        struct vine_pipe *pipe = open_pipe(0);

        vine_data_free(turn(pipe, 'a', 1000));
        vine_pipe_close(pipe);
    }
    end_process(pid, SIGKILL);
}

/* ---- the name -------------------------------------------------------------------------------- */

static void the_name_waits_with_the_application_and_goes_with_it(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(LIMIT);

    (void)state;
    vine_data_free(turn(pipe, 'a', 1000));
    assert_int_equal(end_process(pid, SIGTERM), 0);
    assert_true(has_name());
    pid = start_appliance();
    wait_until_renewed(pipe, 1);
    vine_data_free(turn(pipe, 'b', 1000));
    /* Once more, by one that found the segment. */
    assert_int_equal(end_process(pid, SIGTERM), 0);
    assert_true(has_name());
    assert_int_equal(vine_pipe_status(pipe), -EAGAIN);
    vine_pipe_close(pipe);
    assert_false(has_name());
}

static void the_name_goes_with_an_appliance_for_which_nobody_waits(void **state)
{
    pid_t pid = start_appliance();
    struct vine_pipe *pipe = open_pipe(0);

    (void)state;
    assert_int_equal(end_process(pid, SIGTERM), 0);
    assert_false(has_name());
    vine_pipe_close(pipe);
    pid = start_appliance();
    pipe = open_pipe(LIMIT);
    vine_pipe_close(pipe);
    assert_true(has_name());
    assert_int_equal(end_process(pid, SIGTERM), 0);
    assert_false(has_name());
}

static void a_file_that_was_there_before_stays(void **state)
{
    FILE *made = fopen(file, "w");
    pid_t pid;
    struct vine_pipe *pipe;

    (void)state;
    assert_non_null(made);
    assert_int_equal(fclose(made), 0);
    pid = start_appliance();
    pipe = open_pipe(LIMIT);
    end_process(pid, SIGKILL);
    pid = start_appliance();
    wait_until_renewed(pipe, 1);
    assert_int_equal(end_process(pid, SIGTERM), 0);
    vine_pipe_close(pipe);
    assert_true(has_name());
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(file, sizeof file, "%s/segment", folder);
    (void)snprintf(address, sizeof address, "file:%s", file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(folder);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(an_appliance_with_other_sizes_finds_the_segment_in_use),
        WITH_FOLDER(a_living_appliance_keeps_its_segment),
        WITH_FOLDER(to_an_application_that_does_not_wait_the_next_one_says_that_the_former_is_gone),
        WITH_FOLDER(nothing_is_written_over_before_the_application_has_greeted),
        WITH_FOLDER(results_of_every_appliance_stay_while_the_next_ones_write),
        WITH_FOLDER(a_thread_that_reads_a_result_never_finds_another_one),
        WITH_FOLDER(an_application_that_dies_while_it_waits_makes_room_for_the_next),
        WITH_FOLDER(the_name_waits_with_the_application_and_goes_with_it),
        WITH_FOLDER(the_name_goes_with_an_appliance_for_which_nobody_waits),
        WITH_FOLDER(a_file_that_was_there_before_stays),
    };

    if (is_emulated("tells a process another start time of itself than others see"))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
