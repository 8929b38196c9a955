/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Tasks of an appliance elsewhere that coroutines await: what is refused, who is not there any more
 * when one ends, an appliance that dies, and asks that nobody wrote down who means well. */
#include "../process/process_tests.h"

#include "../talk/killed.h"

#include "core/state/state.h"

#define LARGE_BYTES 12000

static struct served served;
static struct vine_remote remote, nobody, killable;
static char folder[32], path[64];

/* ---- one task -------------------------------------------------------------------------------- */

/* Each line has its letters turned elsewhere; or says how that went. */
VINE_COROUTINE(turning)
{
    struct {
        char line[64], turned[64];
        ssize_t length;
        size_t size;
        int error;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->line, sizeof self->line);
        if (self->length == 0)
            break;
        vine_await(self->size, remote, "turn", .input = self->line,
                   .input_bytes = (size_t)self->length - 1, .output = self->turned,
                   .output_max = sizeof self->turned);
        vine_writef("%.*s\n", (int)self->size, self->turned);
    }
    vine_end();
}

static void what_is_made_elsewhere_comes_into_the_heap(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_turning, NULL);
    say_to(&one, "abc\n");
    expect(&one, "ABC\n");
    say_to(&one, "\n");
    expect(&one, "\n");
    say_to(&one, "DeF\ngh\n");
    expect(&one, "dEf\nGH\n");
    finish_one(&one, 0);
    close_cores();
}

/* What came is handed over where it lies. */
VINE_COROUTINE(turning_in_place)
{
    struct {
        const void *bytes;
        unsigned char turned[LARGE_BYTES];
        size_t size, length;
    } *self;

    vine_begin();
    vine_look(self->length, self->bytes, LARGE_BYTES);
    vine_await(self->size, remote, "turn", .input = self->bytes, .input_bytes = LARGE_BYTES,
               .output = self->turned, .output_max = sizeof self->turned);
    vine_write(self->turned, self->size);
    vine_end();
}

static void what_came_is_an_input_as_it_lies(void **state)
{
    static char bytes[LARGE_BYTES], turned[LARGE_BYTES];
    struct one one;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 26);
    open_processes();
    start_one(&one, &vine__type_turning_in_place, NULL);
    assert_int_equal(write(one.fd, bytes, sizeof bytes), sizeof bytes);
    expect_bytes(&one, turned, sizeof turned);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(turned[i], bytes[i] ^ 0x20);
    finish_one(&one, 0);
    close_cores();
}

VINE_COROUTINE(answering)
{
    struct {
        char answer[VINE_RESULT_MAX];
        size_t size;
    } *self;
    uint64_t scalar = 0;

    vine_begin();
    vine_await(self->size, remote, "answer", .input = "hello", .input_bytes = 0, .scalars = &scalar,
               .scalar_count = 1, .output = self->answer, .output_max = sizeof self->answer);
    vine_writef("%zu\n", self->size);
    scalar = VINE_EDATA;
    vine_await(self->size, remote, "answer", .scalars = &scalar, .scalar_count = 1);
    vine_end();
}

static void scalars_go_with_it_and_its_error_is_raised(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_answering, NULL);
    expect(&one, "0\n");
    expect_end(&one);
    finish_one(&one, -VINE_EDATA);
    close_cores();
}

/* ---- refusals -------------------------------------------------------------------------------- */

static struct trial {
    struct vine_remote remote;
    const char *procedure;
    struct vine_awaited awaited;
    bool is_own_output; /* eight bytes of the heap, */
    uintptr_t beyond;   /* or so far behind their beginning */
} trial;

VINE_COROUTINE(trying)
{
    struct {
        char input[8], output[8];
        size_t size;
    } *self;

    vine_begin();
    vine_await(self->size, trial.remote, trial.procedure, .input = self->input,
               .input_bytes = trial.awaited.input_bytes,
               .output = trial.is_own_output ? self->output + trial.beyond : trial.awaited.output,
               .output_max = trial.awaited.output_max);
    vine_end();
}

static int how_ends(struct trial wish)
{
    struct one one;

    trial = wish;
    open_processes();
    start_one(&one, &vine__type_trying, NULL);
    expect_end(&one);
    close(one.fd);
    until(one.goings == 1);
    close_cores();
    return one.end.error;
}

static void what_there_is_not_is_raised(void **state)
{
    (void)state;
    assert_int_equal(how_ends((struct trial){.procedure = "noop"}), -EINVAL);
    assert_int_equal(how_ends((struct trial){.remote = {99}, .procedure = "noop"}), -EINVAL);
    assert_int_equal(how_ends((struct trial){.remote = nobody, .procedure = "noop"}),
                     -VINE_ENOAPPLIANCE);
    assert_int_equal(how_ends((struct trial){.remote = remote, .procedure = "never"}),
                     -VINE_EPROCEDURE);
    assert_int_equal(how_ends((struct trial){.remote = remote,
                                             .procedure = "a_name_of_more_than_thirty_one_bytes"}),
                     -VINE_EPROCEDURE);
    assert_int_equal(how_ends((struct trial){.remote = remote, .procedure = "many"}),
                     -VINE_EARGUMENT);
    assert_int_equal(how_ends((struct trial){.remote = remote,
                                             .procedure = "turn",
                                             .awaited = {.input_bytes = 8, .output_max = 7},
                                             .is_own_output = true}),
                     -VINE_EOVERFLOW);
    assert_int_equal(how_ends((struct trial){.remote = remote, .procedure = "noop"}), 0);
}

static void memory_that_is_not_its_own_is_efault(void **state)
{
    static char elsewhere[8];
    struct trial wish = {
        .remote = remote,
        .procedure = "turn",
        .awaited = {.input_bytes = 8, .output = elsewhere, .output_max = sizeof elsewhere}};

    (void)state;
    assert_int_equal(how_ends(wish), -EFAULT);
    wish.awaited.output = NULL;
    assert_int_equal(how_ends(wish), -EFAULT);
    wish.is_own_output = true;
    wish.beyond = 1U << 30;
    assert_int_equal(how_ends(wish), -EFAULT);
    wish.beyond = 0;
    wish.awaited.output_max = SIZE_MAX;
    assert_int_equal(how_ends(wish), -EFAULT);
    wish.awaited.output_max = 8;
    wish.awaited.input_bytes = SIZE_MAX;
    assert_int_equal(how_ends(wish), -EFAULT);
    wish.awaited.input_bytes = 8;
    assert_int_equal(how_ends(wish), 0);
    for (size_t i = 0; i < sizeof elsewhere; i++)
        assert_int_equal(elsewhere[i], 0);
}

VINE_COROUTINE(standing)
{
    struct {
        size_t size;
    } *self;

    vine_begin();
    vine_await(self->size, remote, "gate", .scalar_count = 0);
    vine_end();
}

/* One coroutine for each place, and one more. */
VINE_COROUTINE(crowding)
{
    struct {
        int i;
        size_t size;
    } *self;

    vine_begin();
    for (self->i = 0; self->i < 16; self->i++)
        vine_start(standing, NULL);
    vine_yield();
    vine_await(self->size, remote, "noop", .scalar_count = 0);
    vine_end();
}

static void more_at_once_than_there_are_places_is_emfile(void **state)
{
    struct one one;

    (void)state;
    gate_set(false);
    open_processes();
    start_one(&one, &vine__type_crowding, NULL);
    expect_end(&one);
    finish_one(&one, -EMFILE);
    gate_set(true);
    close_cores();
}

/* ---- what is left before its end ------------------------------------------------------------- */

VINE_COROUTINE(hasty)
{
    struct {
        size_t size;
    } *self;

    vine_begin();
    vine_deadline(VINE_NS_PER_SECOND);
    vine_await(self->size, remote, "gate", .scalar_count = 0);
    vine_end();
}

/* Of `gate`, over there. */
static int handlers_waiting(void)
{
    int waiting;

    pthread_mutex_lock(&gate.lock);
    waiting = gate.waiting;
    pthread_mutex_unlock(&gate.lock);
    return waiting;
}

static void a_deadline_ends_it_and_the_task_is_dropped(void **state)
{
    struct one one;

    (void)state;
    gate_set(false);
    open_processes();
    start_one(&one, &vine__type_hasty, NULL);
    until(handlers_waiting() == 1);
    advance(2 * VINE_NS_PER_SECOND);
    expect_end(&one);
    finish_one(&one, -ETIMEDOUT);
    until(handlers_waiting() == 0);
    close_cores();
}

/* Each leaves much behind that was to go there. */
VINE_COROUTINE(leaving)
{
    struct {
        unsigned char bytes[LARGE_BYTES];
        size_t size;
    } *self;

    vine_begin();
    vine_await(self->size, remote, "turn", .input = self->bytes, .input_bytes = LARGE_BYTES,
               .output = self->bytes, .output_max = LARGE_BYTES);
    vine_await(self->size, remote, "gate", .scalar_count = 0);
    vine_end();
}

static void start_held(struct one *one, const struct vine_coroutine_type *type,
                       struct vine__process **ret_process)
{
    const struct vine__process_options options = {
        .type = type, .ended = see_end, .gone = see_going, .context = one, .is_held = true};
    struct vine_connection *connection;
    int pair[2];

    *one = (struct one){.fd = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(vine_connection_adopt(pair[0], pair[0], &connection), 0);
    assert_int_equal(vine__process_start_held(connection, &options, ret_process), 0);
    one->fd = pair[1];
}

/* The pipe is open while the reactors are; all of it together is more than it may hold. */
static void who_dies_while_it_waits_leaves_nothing_there(void **state)
{
    (void)state;
    gate_set(false);
    open_processes();
    for (int i = 0; i < 300; i++) {
        struct vine__process *process;
        struct one one;

        start_held(&one, &vine__type_leaving, &process);
        if (i % 2 == 0)
            until(handlers_waiting() == 1); /* else it has hardly begun */
        vine__process_kill(process);
        until(one.goings == 1);
        close(one.fd);
        until(handlers_waiting() == 0);
    }
    close_cores();
}

/* ---- the appliance dies ---------------------------------------------------------------------- */

#define KILLED 8 /* at least as many as there are guards to try */

static struct killed killed[KILLED]; /* forked before there are threads */
static uint32_t killed_next;

VINE_COROUTINE(hoping)
{
    struct {
        size_t size;
    } *self;

    vine_begin();
    vine_await(self->size, killable, "noop", .scalar_count = 0);
    vine_writef("here\n");
    vine_await(self->size, killable, "gate", .scalar_count = 0);
    vine_end();
}

static void who_awaits_an_appliance_that_dies_is_told(void **state)
{
    struct killed *const appliance = &killed[killed_next++];
    struct one ones[5];

    (void)state;
    assert_true(killed_next <= KILLED);
    killed_begin(appliance);
    open_processes();
    for (int i = 0; i < 5; i++)
        start_one(&ones[i], &vine__type_hoping, NULL);
    for (int i = 0; i < 5; i++)
        expect(&ones[i], "here\n");
    killed_kill(appliance);
    for (int i = 0; i < 5; i++) {
        expect_end(&ones[i]);
        finish_one(&ones[i], -VINE_EPEERLOST);
    }
    close_cores();
}

int main(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .memory_max_bytes = 1U << 20};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_elsewhere_comes_into_the_heap),
        cmocka_unit_test(what_came_is_an_input_as_it_lies),
        cmocka_unit_test(scalars_go_with_it_and_its_error_is_raised),
        cmocka_unit_test(what_there_is_not_is_raised),
        cmocka_unit_test(memory_that_is_not_its_own_is_efault),
        cmocka_unit_test(more_at_once_than_there_are_places_is_emfile),
        cmocka_unit_test(a_deadline_ends_it_and_the_task_is_dropped),
        cmocka_unit_test(who_dies_while_it_waits_leaves_nothing_there),
        cmocka_unit_test(who_awaits_an_appliance_that_dies_is_told),
    };
    int failed;

    (void)snprintf(folder, sizeof folder, "/tmp/vine-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    for (int i = 0; i < KILLED; i++)
        killed_fork(&killed[i], path);
    served_start(&served, &options, 2);
    if (vine_remote_add(served.path, &remote) != 0 ||
        vine_remote_add("/tmp/vine-test-nobody/socket", &nobody) != 0 ||
        vine_remote_add(path, &killable) != 0)
        return 1;
    failed = run_by_all_guards(tests);
    served_stop(&served);
    while (killed_next < KILLED)
        killed_kill(&killed[killed_next++]);
    (void)snprintf(served.path, sizeof served.path, "%s", path);
    (void)snprintf(served.folder, sizeof served.folder, "%s", folder);
    served_remove(&served);
    return failed;
}
