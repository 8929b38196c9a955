/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Micro-processes that fail: each is told of, its client hears of it, and those beside it go on. */
#include "process_tests.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include <vine/error.h>

/* ---- what is told ---------------------------------------------------------------------------- */

static uint32_t told_count;
static struct vine__process_end told; /* the last */

static void tell(const struct vine__process_kind *kind, const struct vine__process_end *end)
{
    assert_string_equal(kind->name, "tested");
    told_count++;
    told = *end;
}

static const struct vine__process_kind with_farewell = {
    .name = "tested", .farewell = "farewell", .crashed = tell};

/* ---- what goes wrong ------------------------------------------------------------------------- */

#define UNSEEN __attribute__((no_sanitize("address", "thread", "undefined")))

VINE_SERVICE_CODE UNSEEN static void write_to_nowhere(void)
{
    *(volatile char *)0xbad0 = 1;
}

VINE_SERVICE_CODE UNSEEN static void divide_by_zero(void)
{
    volatile int zero = 0;

    zero = 7 / zero;
}

VINE_SERVICE_CODE UNSEEN static void do_what_is_no_instruction(void)
{
    __asm__ volatile("ud2");
}

/* A page of a file that ends before it. */
static char *beyond;

VINE_SERVICE_CODE UNSEEN static void look_beyond_a_file(void)
{
    (void)*(volatile char *)beyond;
}

VINE_SERVICE_CODE UNSEEN static void spin(void)
{
    for (volatile uint64_t word = 0;; word++)
        continue;
}

static void (*fail_now)(void) = write_to_nowhere;

/* ---- coroutines ------------------------------------------------------------------------------ */

/* Answers a byte by failing, and says so itself. */
VINE_COROUTINE(catching)
{
    struct {
        char byte;
        int error;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    fail_now();
    vine_catch(self->error)
    {
        vine_writef("caught %d", -self->error);
    }
    vine_end();
}

VINE_COROUTINE(careless)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    if (self->length > 0)
        fail_now();
    vine_end();
}

VINE_COROUTINE(careless_half_way)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_writef("half");
    fail_now();
    vine_end();
}

VINE_COROUTINE(careless_unasked)
{
    struct {
        char nothing;
    } *self;

    vine_begin();
    vine_sleep(VINE_NS_PER_SECOND / 10);
    fail_now();
    vine_end();
}

VINE_COROUTINE(raising)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_raise(self->byte == 'e' ? -EINVAL : -ECONNRESET);
    vine_end();
}

/* Fails in what it calls, where it takes that, and where it cleans up. */
VINE_COROUTINE(nested)
{
    struct {
        char byte;
        int error;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_call(careless_unasked, NULL);
    vine_catch(self->error)
    {
        vine_writef("a");
        fail_now();
    }
    vine_finally()
    {
        vine_writef("b");
        vine_drain();
        fail_now();
    }
    vine_end();
}

VINE_COROUTINE(echoing)
{
    struct {
        char bytes[64];
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_read(self->length, self->bytes, sizeof self->bytes);
        if (self->length == 0)
            break;
        vine_write(self->bytes, (size_t)self->length);
    }
    vine_end();
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void begin(struct one *one, const struct vine_coroutine_type *type)
{
    told_count = 0;
    open_processes();
    start_one_of_a_kind(one, type, NULL, &with_farewell);
    say_to(one, "e");
}

static void a_fault_is_told_with_coroutine_line_and_address(void **state)
{
    struct one one;

    (void)state;
    begin(&one, &vine__type_catching);
    expect(&one, "caught 14");
    expect_end(&one);
    assert_int_equal(told_count, 1);
    assert_true(told.is_fault);
    assert_int_equal(told.fault.signal, SIGSEGV);
    assert_int_equal(told.fault.address, 0xbad0);
    assert_string_equal(told.type->name, "catching");
    assert_string_equal(told.point->operation, "vine_read"); /* the last that it came to */
    finish_one(&one, 0);
    close_cores();
}

static void each_signal_of_a_fault_is_caught(void **state)
{
    static const struct {
        void (*fn)(void);
        int signal;
    } faults[] = {
        {write_to_nowhere, SIGSEGV},
        {divide_by_zero, SIGFPE},
        {do_what_is_no_instruction, SIGILL},
        {look_beyond_a_file, SIGBUS},
    };
    FILE *const file = tmpfile();

    (void)state;
    beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    assert_ptr_not_equal(beyond, MAP_FAILED);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct one one;

        fail_now = faults[i].fn;
        begin(&one, &vine__type_catching);
        expect(&one, "caught 14");
        expect_end(&one);
        assert_int_equal(told_count, 1);
        assert_int_equal(told.fault.signal, faults[i].signal);
        finish_one(&one, 0);
        close_cores();
    }
    fail_now = write_to_nowhere;
    (void)munmap(beyond, 4096);
    (void)fclose(file);
}

static void who_does_not_catch_it_has_its_client_told(void **state)
{
    struct one one;

    (void)state;
    begin(&one, &vine__type_careless);
    expect(&one, "farewell");
    expect_end(&one);
    assert_int_equal(told_count, 1);
    finish_one(&one, -EFAULT);
    assert_true(one.end.is_fault);
    close_cores();
}

static void half_an_answer_is_followed_by_nothing(void **state)
{
    struct one one;

    (void)state;
    begin(&one, &vine__type_careless_half_way);
    expect(&one, "half");
    expect_end(&one);
    finish_one(&one, -EFAULT);
    close_cores();
}

static void who_has_asked_for_nothing_hears_nothing(void **state)
{
    struct one one;

    (void)state;
    told_count = 0;
    open_processes();
    start_one_of_a_kind(&one, &vine__type_careless_unasked, NULL, &with_farewell);
    advance(VINE_NS_PER_SECOND / 5);
    expect_end(&one);
    assert_int_equal(told_count, 1);
    finish_one(&one, -EFAULT);
    close_cores();
}

static void an_error_that_nobody_takes_is_told_and_what_a_peer_does_is_not(void **state)
{
    struct one one;

    (void)state;
    begin(&one, &vine__type_raising);
    expect(&one, "farewell");
    expect_end(&one);
    assert_int_equal(told_count, 1);
    assert_false(told.is_fault);
    assert_int_equal(told.error, -EINVAL);
    assert_string_equal(told.type->name, "raising");
    finish_one(&one, -EINVAL);
    start_one_of_a_kind(&one, &vine__type_raising, NULL, &with_farewell);
    say_to(&one, "c");
    expect_end(&one);
    assert_int_equal(told_count, 1);
    finish_one(&one, -ECONNRESET);
    close_cores();
}

static void faults_may_be_nested(void **state)
{
    struct one one;

    (void)state;
    begin(&one, &vine__type_nested);
    advance(VINE_NS_PER_SECOND / 5);
    expect(&one, "ab");
    expect_end(&one);
    assert_int_equal(told_count, 3);
    finish_one(&one, -EFAULT);
    close_cores();
}

static void who_runs_for_too_long_is_ended_and_the_second_time_at_once(void **state)
{
    const char *const sanitizers = getenv("VINE_SANITIZE");
    struct one one;

    (void)state;
    if (sanitizers != NULL && strstr(sanitizers, "thread") != NULL) {
        print_message("skipped: ThreadSanitizer keeps signals back from who makes no calls\n");
        return;
    }
    fail_now = spin;
    guard_run_ns = 20000000;
    begin(&one, &vine__type_catching);
    expect(&one, "caught 14");
    expect_end(&one);
    assert_int_equal(told.fault.signal, SIGXCPU);
    finish_one(&one, 0);
    start_one_of_a_kind(&one, &vine__type_nested, NULL, &with_farewell);
    say_to(&one, "x");
    advance(VINE_NS_PER_SECOND / 5);
    expect(&one, "farewell");
    expect_end(&one);
    assert_int_equal(told_count, 3);
    finish_one(&one, -EFAULT);
    close_cores();
    fail_now = write_to_nowhere;
    guard_run_ns = 0;
}

enum { CRASHES = 1000 };

/* A connection each, while another one is answered all the time. */
static void a_thousand_crashes_are_nobody_elses(void **state)
{
    static const struct vine_coroutine_type *const types[] = {&vine__type_careless,
                                                              &vine__type_catching};
    struct one good, bad;

    (void)state;
    told_count = 0;
    open_processes();
    start_one(&good, &vine__type_echoing, NULL);
    for (uint32_t i = 0; i < CRASHES; i++) {
        start_one_of_a_kind(&bad, types[i % 2], NULL, &with_farewell);
        say_to(&bad, "x");
        say_to(&good, "hello");
        expect(&good, "hello");
        expect(&bad, i % 2 == 0 ? "farewell" : "caught 14");
        close(bad.fd);
        until(bad.goings == 1);
    }
    assert_int_equal(told_count, CRASHES);
    assert_int_equal(vine__process_count(), 1);
    finish_one(&good, 0);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_is_told_with_coroutine_line_and_address),
        cmocka_unit_test(each_signal_of_a_fault_is_caught),
        cmocka_unit_test(who_does_not_catch_it_has_its_client_told),
        cmocka_unit_test(half_an_answer_is_followed_by_nothing),
        cmocka_unit_test(who_has_asked_for_nothing_hears_nothing),
        cmocka_unit_test(an_error_that_nobody_takes_is_told_and_what_a_peer_does_is_not),
        cmocka_unit_test(faults_may_be_nested),
        cmocka_unit_test(who_runs_for_too_long_is_ended_and_the_second_time_at_once),
        cmocka_unit_test(a_thousand_crashes_are_nobody_elses),
    };

    return run_by_all_guards(tests);
}
