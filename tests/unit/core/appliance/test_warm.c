/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Handlers that take one task after another: whose tasks, what of one the next one sees, and what a
 * fault in one leaves of the others. */
#include "handlers.h"

#include <sched.h>

#define RUN_NS (20 * 1000 * 1000ULL) /* that a handler may take without waiting */

VINE_SERVICE_CODE static int go_deeper(volatile int *depth)
{
    volatile char room[512];

    room[0] = (char)*depth;
    *depth = *depth + 1;
    return *depth < 1000000 ? go_deeper(depth) + room[0] : 0;
}

/* A task says by its first byte what to do. Most are told how many there were before. */
VINE_COROUTINE(serves)
{
    struct {
        char wish;
        bool is_there;
        ssize_t length;
        int count;
        volatile int depth;
        void *memory;
        struct vine_handled handled;
    } *self;

    vine_begin();
    do {
        self->wish = '\0';
        vine_read(self->length, &self->wish, 1);
        switch (self->wish) {
        case 'c':
            *(volatile char *)0xbad0 = 1;
            break;
        case 's':
            for (;;)
                self->depth++;
        case 'd':
            self->count += go_deeper(&self->depth);
            break;
        case 'a':
            for (;;)
                vine_alloc(self->memory, 1000);
        case 'r':
            vine_raise(-VINE_EDATA);
        case 'w':
            vine_sleep(100 * VINE_NS_PER_SECOND);
            break;
        case 'l':
            vine_deadline(1);
            break;
        case 'e':
            vine_forward(that->socket, that->socket);
            break;
        case 't':
            vine_handled(&self->handled);
            vine_writef(
                "%llu brings %llu, room %llu: ", (unsigned long long)self->handled.scalars[0],
                (unsigned long long)self->handled.input_bytes,
                (unsigned long long)self->handled.room_bytes);
            break;
        default:
            break;
        }
        if (self->wish != 'e')
            vine_writef("%d", self->count);
        self->count++;
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_write("end", 3);
    vine_end();
}

/* A child of it still waits for what comes when it asks for the next task. */
VINE_COROUTINE(reads_on)
{
    struct {
        char bytes[16];
        ssize_t length;
    } *self;

    vine_begin();
    do
        vine_read(self->length, self->bytes, sizeof self->bytes);
    while (self->length > 0);
    vine_end();
}

VINE_COROUTINE(leaves_a_reader)
{
    struct {
        bool is_there;
        int count;
    } *self;

    vine_begin();
    do {
        vine_start(reads_on, NULL);
        vine_writef("%d", self->count++);
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

/* Only its first coroutine has tasks. */
VINE_COROUTINE(asks_for_it)
{
    struct {
        bool is_there;
    } *self;

    vine_begin();
    vine_task_next(self->is_there);
    vine_end();
}

VINE_COROUTINE(has_it_asked_for)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_call(asks_for_it, NULL);
    vine_end();
}

/* Somebody who goes on between two tasks, and during them. */
VINE_COROUTINE(ticks)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    for (;;) {
        vine_sleep(1000 * 1000);
        ++*(uint32_t *)vine_argument();
    }
    vine_end();
}

/* Most of its tasks bring a byte and are told nothing. */
VINE_COROUTINE(says_little)
{
    struct {
        char wish;
        bool is_there;
        ssize_t length;
        uint32_t count, ticks;
        struct vine_coroutine *ticking;
    } *self;

    vine_begin();
    do {
        self->wish = '\0';
        vine_read(self->length, &self->wish, 1);
        if (self->wish == 'c')
            *(volatile char *)0xbad0 = 1;
        if (self->wish == 'k')
            vine_responder(ticks, &self->ticks, self->ticking);
        if (self->wish == 'n')
            vine_writef("%u", self->count);
        if (self->wish == 't')
            vine_write(self->ticks > 2 ? "yes" : "no ", 3);
        self->count++;
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

#define NAMED(text)                                                                                \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = text,                      \
        .arguments = in_and_out, .argument_count = 4, .coroutine = VINE_COROUTINE_OF(serves),      \
    }

static const struct vine_procedure_definition procedures[] = {
    HANDLER(serves),
    HANDLER(leaves_a_reader),
    HANDLER(has_it_asked_for),
    HANDLER(says_little),
    NAMED("s0"),
    NAMED("s1"),
    NAMED("s2"),
    NAMED("s3"),
    NAMED("s4"),
    NAMED("s5"),
    NAMED("s6"),
    NAMED("s7"),
    NAMED("s8"),
    NAMED("s9"),
};

static void serve_with(void (*run)(struct vine_pipe *pipe, struct application *application),
                       uint32_t count, const struct vine_appliance_options *options)
{
    serve(procedures, sizeof procedures / sizeof procedures[0], options, RUN_NS);
    serve_applications(run, count);
    serve_no_more();
}

static void expect_answer(struct vine_pipe *pipe, const char *name, const char *wish,
                          const char *answer)
{
    struct issued issued = issue(pipe, name, NULL, wish, strlen(wish), 100, false);

    expect_text(&issued, answer);
}

static void expect_failure(struct vine_pipe *pipe, const char *wish, int error)
{
    struct issued issued = issue(pipe, "serves", NULL, wish, strlen(wish), 100, false);

    (void)finish(&issued, error, NULL, 0);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static void be_hard_on_it(struct vine_pipe *pipe, struct application *application)
{
    static const struct {
        const char *wish;
        int error;
    } bad[] = {
        {"c", -VINE_EFAILED},
#ifndef __SANITIZE_THREAD__ /* which keeps the signal back from who makes no calls */
        {"s", -VINE_EFAILED},
#endif
        {"d", -VINE_EFAILED}, {"a", -VINE_EFAILED}, {"r", -VINE_EDATA},
    };

    (void)application;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_answer(pipe, "serves", "n", "0");
        expect_answer(pipe, "serves", "n", "1");
        expect_failure(pipe, bad[i].wish, bad[i].error);
    }
    expect_answer(pipe, "serves", "n", "0");
}

static void a_fault_ends_the_task_at_hand_alone(void **state)
{
    (void)state;
    serve_with(be_hard_on_it, 4, NULL);
}

static void overflow_and_cancel(struct vine_pipe *pipe, struct application *application)
{
    struct issued issued;

    (void)application;
    expect_answer(pipe, "serves", "n", "0");
    issued = issue(pipe, "serves", NULL, "e12345", 6, 4, false);
    (void)finish(&issued, -VINE_EOVERFLOW, NULL, 0);
    expect_answer(pipe, "serves", "n", "0"); /* not one that has lost the thread */

    issued = issue(pipe, "serves", NULL, "w", 1, 100, false);
    assert_int_equal(vine_task_cancel(issued.task), 0);
    (void)finish(&issued, -VINE_ECANCELED, NULL, 0);
    expect_answer(pipe, "serves", "n", "0");
    issued = issue(pipe, "has_it_asked_for", NULL, "", 0, 4, false);
    (void)finish(&issued, -VINE_EFAILED, NULL, 0); /* a misuse, which is told */
}

static void who_wrote_too_much_or_was_cancelled_has_no_next_task(void **state)
{
    (void)state;
    serve_with(overflow_and_cancel, 2, NULL);
}

/* How many tasks the handler has had that takes this one. */
static int ask_for_count(struct vine_pipe *pipe)
{
    struct issued issued = issue(pipe, "serves", NULL, "n", 1, 100, false);
    char text[16];

    text[finish(&issued, 0, text, sizeof text - 1)] = '\0';
    return atoi(text);
}

static void wait_until(struct vine_pipe *pipe, uint64_t deadline_ns)
{
    struct issued issued = {.task = NULL};
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &issued.input,
                                              .input_count = 1,
                                              .outputs = &issued.output,
                                              .output_count = 1,
                                              .deadline_ns = deadline_ns};

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 1, &issued.input), 0);
    assert_int_equal(vine_data_write(issued.input, 0, "w", 1), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 100, &issued.output), 0);
    assert_int_equal(vine_task_issue(pipe, procedure_of(pipe, "serves"), &options, &issued.task),
                     0);
    (void)finish(&issued, -VINE_EDEADLINE, NULL, 0);
}

/* Of one with a deadline its coroutine is cancelled where it waits. On a busy machine the deadline
 * may be over before the task is begun, which costs no handler: then there is another with more
 * time. */
static void be_late(struct vine_pipe *pipe, struct application *application)
{
    uint64_t deadline_ns = 20 * 1000 * 1000ULL;
    int count = 0;

    (void)application;
    for (int cancelled = 0; cancelled < 3;) {
        assert_int_equal(ask_for_count(pipe), count);
        wait_until(pipe, deadline_ns);

        const int next = ask_for_count(pipe);

        assert_true(next == 0 || next == count + 1);
        cancelled += next == 0;
        deadline_ns *= next == 0 ? 1 : 2;
        count = next + 1;
    }
}

static void who_waits_ends_at_the_deadline_of_its_task(void **state)
{
    (void)state;
    serve_with(be_late, 2, NULL);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void use_one(struct vine_pipe *pipe, struct application *application)
{
    static char large[300000], back[300000];
    struct issued issued;
    char text[16];

    (void)application;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        expect_answer(pipe, "serves", "n", text);
    }
    /* What was not read of one is nothing of the next one, nor is its deadline. */
    memset(large, 'n', sizeof large);
    issued = issue(pipe, "serves", NULL, large, sizeof large, 100, false);
    expect_text(&issued, "100");
    expect_answer(pipe, "serves", "n", "101");
    expect_answer(pipe, "serves", "", "102");
    expect_answer(pipe, "serves", "l", "103");
    expect_answer(pipe, "serves", "n", "104");
    expect_answer(pipe, "serves", "tx", "0 brings 2, room 100: 105");
    expect_answer(pipe, "serves", "exyz", "xyz");

    large[0] = 'e';
    for (size_t i = 1; i < sizeof large; i++)
        large[i] = (char)(i * 7 + i / 4096);
    for (int i = 0; i < 3; i++) {
        issued = issue(pipe, "serves", NULL, large, sizeof large, sizeof back, false);
        assert_int_equal(finish(&issued, 0, back, sizeof back), sizeof large - 1);
        assert_memory_equal(back, large + 1, sizeof large - 1);
    }
    expect_answer(pipe, "serves", "n", "110");
    expect_answer(pipe, "s1", "n", "0"); /* another procedure's is another one */
    expect_answer(pipe, "serves", "n", "111");
}

static void a_handler_takes_task_after_task_of_one_pipe_and_procedure(void **state)
{
    (void)state;
    /* Each pipe's begins at 0, whatever the others have had. */
    serve_with(use_one, 1, NULL);
}

static void ask_little(struct vine_pipe *pipe, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        expect_answer(pipe, "says_little", i % 2 == 0 ? "q" : "", "");
}

static void ask_little_and_more(struct vine_pipe *pipe, struct application *application)
{
    struct issued issued;
    char text[4] = "";

    (void)application;
    ask_little(pipe, 50);
    expect_answer(pipe, "says_little", "n", "50");
    ask_little(pipe, 3);
    issued = issue(pipe, "says_little", NULL, "c", 1, 100, false);
    (void)finish(&issued, -VINE_EFAILED, NULL, 0);
    expect_answer(pipe, "says_little", "n", "0"); /* not the one that fell */
    ask_little(pipe, 3);
    expect_answer(pipe, "says_little", "k", "");
    while (strcmp(text, "yes") != 0) {
        ask_little(pipe, 5);
        issued = issue(pipe, "says_little", NULL, "t", 1, 3, false);
        assert_int_equal(finish(&issued, 0, text, 3), 3);
    }
    ask_little(pipe, 5);
    issued = issue(pipe, "says_little", NULL, "c", 1, 100, false);
    (void)finish(&issued, -VINE_EFAILED, NULL, 0);
    ask_little(pipe, 2);
    expect_answer(pipe, "says_little", "n", "2");
}

static void tasks_without_an_answer_are_counted_among_all_others(void **state)
{
    (void)state;
    serve_with(ask_little_and_more, 4, NULL);
}

static void count_alone(struct vine_pipe *pipe, struct application *application)
{
    char text[16];

    (void)application;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        expect_answer(pipe, "serves", "n", text);
    }
}

static void no_handler_serves_two_pipes(void **state)
{
    (void)state;
    serve_with(count_alone, 8, NULL);
}

static void use_a_session(struct vine_pipe *pipe, struct application *application)
{
    struct vine_session *const session = session_of(pipe, "serves");
    struct issued issued = issue(pipe, "serves", session, "n", 1, 100, true);

    (void)application;
    expect_text(&issued, "0end");
    vine_session_close(session);
    expect_answer(pipe, "leaves_a_reader", "n", "0");
    expect_answer(pipe, "leaves_a_reader", "n", "0");
}

static void there_is_no_next_task_in_a_session_or_while_somebody_reads(void **state)
{
    (void)state;
    serve_with(use_a_session, 2, NULL);
}

/* ---- how they go ----------------------------------------------------------------------------- */

/* Ten of them do not fit into what this pipe may have. */
static void use_many(struct vine_pipe *pipe, struct application *application)
{
    char name[8], answer[16];

    (void)application;
    for (int i = 0; i < 100; i++) {
        struct issued issued;

        (void)snprintf(name, sizeof name, "s%d", i % 10);
        issued = issue(pipe, name, NULL, "n", 1, sizeof answer, false);
        assert_true(finish(&issued, 0, answer, sizeof answer) > 0);
    }
}

static void those_that_rest_go_where_their_pipe_has_no_memory_for_another(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = 1U << 20};

    (void)state;
    serve_with(use_many, 1, &options);
}

static uint32_t has_rested; /* atomic: 1: it may be given back, 2: it was */

static void let_it_rest(struct vine_pipe *pipe, struct application *application)
{
    (void)application;
    expect_answer(pipe, "serves", "n", "0");
    expect_answer(pipe, "serves", "n", "1");
    __atomic_store_n(&has_rested, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&has_rested, __ATOMIC_ACQUIRE) != 2)
        sched_yield();
    expect_answer(pipe, "serves", "n", "0");
}

static void one_that_is_idle_is_given_back(void **state)
{
    struct application application = {.run = let_it_rest};

    (void)state;
    has_rested = 0;
    serve(procedures, sizeof procedures / sizeof procedures[0], NULL, RUN_NS);
    assert_int_equal(pthread_create(&application.thread, NULL, run_application, &application), 0);
    while (__atomic_load_n(&has_rested, __ATOMIC_ACQUIRE) != 1)
        (void)serve_turn();
    assert_int_equal(vine__process_count(), 1);
    for (int i = 0; i < 1000 && vine__process_count() > 0; i++) {
        served.clock_ns += VINE_NS_PER_SECOND / 100;
        (void)serve_turn();
    }
    assert_int_equal(vine__process_count(), 0);
    __atomic_store_n(&has_rested, 2, __ATOMIC_RELEASE);
    while (__atomic_load_n(&application.has_ended, __ATOMIC_ACQUIRE) == 0)
        (void)serve_turn();
    assert_int_equal(pthread_join(application.thread, NULL), 0);
    serve_no_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_ends_the_task_at_hand_alone),
        cmocka_unit_test(who_wrote_too_much_or_was_cancelled_has_no_next_task),
        cmocka_unit_test(who_waits_ends_at_the_deadline_of_its_task),
        cmocka_unit_test(a_handler_takes_task_after_task_of_one_pipe_and_procedure),
        cmocka_unit_test(tasks_without_an_answer_are_counted_among_all_others),
        cmocka_unit_test(no_handler_serves_two_pipes),
        cmocka_unit_test(there_is_no_next_task_in_a_session_or_while_somebody_reads),
        cmocka_unit_test(those_that_rest_go_where_their_pipe_has_no_memory_for_another),
        cmocka_unit_test(one_that_is_idle_is_given_back),
    };

    return run_by_all_guards(tests);
}
