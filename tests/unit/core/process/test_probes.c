/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime timeout=120 */
/*
 * A hostile micro-process reads and writes whatever there is, one thing at a time, with each guard
 * that this machine has. What is trapped and what is not is one table here, and the same one in
 * docs/guides/service.md. Who was trapped ends alone: the others go on.
 */
#include "process_tests.h"

#include <signal.h>

#include "arch/poll/uring_internal.h"
#include "core/process/process_internal.h"
#include "core/reactor/reactor.h"

#define VICTIMS 15 /* each colour, and some more, for those that go */

/* ---- inside ---------------------------------------------------------------------------------- */

/* Where a victim's things are, as it says itself: in memory that is open to all. */
struct victim {
    struct one one;
    struct vine__process *process; /* NULL: it has ended */
    struct vine_connection *connection;
    char *received, *room;
    bool is_over;
};

static struct victim victims[VICTIMS];

VINE_COROUTINE(victim)
{
    struct {
        size_t size;
        struct victim *said;
    } *self;

    vine_begin();
    self->said = vine_argument();
    vine_look(self->size, self->said->received, 1);
    vine_room(self->size, self->said->room, 64);
    memcpy(self->said->room, "written", 7);
    vine_wrote(7);
    vine_flush();
    while (!self->said->is_over)
        vine_sleep(VINE_NS_PER_SECOND / 10);
    vine_write(self->said->received, 1);
    vine_end();
}

/* What to do, and at which address. */
static struct probe {
    volatile uint64_t *address;
    bool is_write;
    bool is_overflow;
    uint64_t found;
} probe;

#define UNSEEN __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

VINE_SERVICE_CODE UNSEEN static uint64_t recurse(volatile uint64_t *before)
{
    volatile uint64_t numbers[64];

    numbers[0] = *before + 1;
    return numbers[0] != 0 ? recurse(numbers) + numbers[63] : 0;
}

/* What it writes is what it has read: where that succeeds nothing has changed. */
VINE_SERVICE_CODE UNSEEN static void do_probe(void)
{
    if (probe.is_overflow)
        probe.found = recurse(&probe.found);
    else if (probe.is_write)
        *probe.address = probe.found;
    else
        probe.found = *probe.address;
}

VINE_COROUTINE(attacking)
{
    struct {
        char byte[1];
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, self->byte, 1);
    do_probe();
    vine_write("!", 1);
    vine_end();
}

/* ---- what there is --------------------------------------------------------------------------- */

static struct one attacker;
static struct vine__process *attacker_process;
static uint64_t *stack_word;

static uint32_t colour_of(const struct vine__process *process)
{
    return process->polling.heap->region.colour;
}

static struct victim *find(bool is_same)
{
    for (uint32_t i = 0; i < VICTIMS; i++)
        if (victims[i].process != NULL &&
            (colour_of(victims[i].process) == colour_of(attacker_process)) == is_same)
            return &victims[i];
    fail_msg("no victim has that colour");
    return NULL;
}

/* One of another colour; where all have the same, any. */
static struct victim *other(void)
{
    return find(vine__guard_colour_count() == 1);
}

static void *behind_its_heap(void)
{
    const struct vine__guard_region *const region = &attacker_process->polling.heap->region;

    return region->start + region->size_bytes;
}

static void *overflow(void)
{
    return NULL;
}

static void *heap(void)
{
    return other()->process->polling.heap->region.start;
}

static void *heap_of_its_colour(void)
{
    return find(true)->process->polling.heap->region.start;
}

/* As the core on which it runs would have it: here that is the test. */
static struct vine__guard_region *opened;

static void *heap_that_runs(void)
{
    opened = &other()->process->polling.heap->region;
    assert_int_equal(vine__guard_open(opened), 0);
    return opened->start;
}

static void *heap_given_back(void)
{
    struct victim *const victim = other();
    void *const start = victim->process->polling.heap->region.start;

    victim->is_over = true;
    victim->process = NULL;
    while (victim->one.ends == 0)
        advance(VINE_NS_PER_SECOND / 10);
    return start;
}

static void *word_at(const char *bytes)
{
    return (void *)((uintptr_t)bytes & ~UINT64_C(7));
}

static void *received(void)
{
    return word_at(other()->received);
}

static void *received_of_its_colour(void)
{
    return word_at(find(true)->received);
}

static void *written(void)
{
    return word_at(other()->room);
}

static void *record(void)
{
    return vine__core_of(attacker_process)->page;
}

static void *process(void)
{
    return other()->process;
}

static void *connection(void)
{
    return other()->connection;
}

static void *reactor(void)
{
    return vine__reactor_self();
}

static void *queue(void)
{
    struct vine__poller *const poller = vine__reactor_poller();

    if (strcmp(vine__poller_name(poller), "io_uring") != 0)
        return NULL;
    return VINE_CONTAINER_OF(poller, struct vine__uring, poller)->ring.sq.sqes;
}

static void *stack(void)
{
    return stack_word;
}

static void *stack_for_signals(void)
{
    stack_t alternate;

    assert_int_equal(sigaltstack(NULL, &alternate), 0);
    return alternate.ss_sp;
}

static void *allocated(void)
{
    static uint64_t *word;

    if (word == NULL)
        word = calloc(1, sizeof(*word));
    return word;
}

static void *variable(void)
{
    static uint64_t word;

    return &word;
}

enum outcome {
    OPEN,    /* it is read and written */
    READ,    /* it is read; who writes is trapped */
    TRAPPED, /* who reads or writes is */
};

static const char *const outcomes[] = {"open", "only read", "trapped"};

/* clang-format off */
static const struct target {
    const char *what;
    void *(*find)(void);      /* NULL from it: there is no such thing here */
    enum outcome outcomes[3]; /* by enum vine__guard_kind */
} targets[] = {
    {"its own heap, behind its pages", behind_its_heap, {TRAPPED, TRAPPED, TRAPPED}},
    {"its stack, by too many calls", overflow, {TRAPPED, TRAPPED, TRAPPED}},
    {"another heap", heap, {OPEN, TRAPPED, TRAPPED}},
    {"another heap of the same colour, one in 13", heap_of_its_colour, {OPEN, TRAPPED, OPEN}},
    {"a heap that runs on another core at that moment", heap_that_runs, {OPEN, OPEN, TRAPPED}},
    {"what another one received and has not read", received, {OPEN, OPEN, TRAPPED}},
    {"the same of one of its colour", received_of_its_colour, {OPEN, OPEN, OPEN}},
    {"what another one wrote", written, {OPEN, OPEN, TRAPPED}},
    {"the record of what has ended, with which it is run", record, {OPEN, OPEN, READ}},
    {"what the runtime knows of another one", process, {OPEN, OPEN, TRAPPED}},
    {"another one's connection", connection, {OPEN, OPEN, TRAPPED}},
    {"the core's reactor", reactor, {OPEN, OPEN, TRAPPED}},
    {"io_uring's queues", queue, {OPEN, OPEN, TRAPPED}},
    {"the core's stack", stack, {OPEN, OPEN, TRAPPED}},
    {"the stacks on which services run and signals are handled", stack_for_signals,
     {OPEN, OPEN, OPEN}},
    {"what libraries, and the service itself, `malloc`", allocated, {OPEN, OPEN, OPEN}},
    {"variables of the program, of libraries and of the runtime", variable, {OPEN, OPEN, OPEN}},
    {"a heap that was given back", heap_given_back, {OPEN, TRAPPED, TRAPPED}},
};
/* clang-format on */
#define TARGETS (sizeof(targets) / sizeof(targets[0]))

/* ---- all of it ------------------------------------------------------------------------------- */

static struct vine__process *last_process(void)
{
    return VINE_LIST_OBJECT(vine__processes_here()->all.prev, struct vine__process, link);
}

static void start_victims(void)
{
    for (uint32_t i = 0; i < VICTIMS; i++) {
        struct victim *const victim = &victims[i];

        *victim = (struct victim){.is_over = false};
        start_one(&victim->one, &vine__type_victim, victim);
        victim->process = last_process();
        victim->connection = victim->process->polling.io.connection;
        say_to(&victim->one, "x");
        expect(&victim->one, "written");
        assert_non_null(victim->received);
    }
}

static void check_trapped(const struct target *target)
{
    until(attacker.ends == 1);
    if (attacker.end.error != -EFAULT || !attacker.end.is_fault)
        fail_msg("%s: it was %s", target->what, probe.is_write ? "written" : "read");
    if (probe.is_overflow)
        assert_true(attacker.end.fault.is_stack_overflow);
    else
        assert_ptr_equal(attacker.end.fault.address, probe.address);
}

static void check_open(const struct target *target)
{
    until(attacker.ends == 1);
    if (attacker.end.error != 0)
        fail_msg("%s: who %s it was trapped", target->what, probe.is_write ? "wrote" : "read");
    expect(&attacker, "!");
}

static void try(const struct target *target, bool is_write)
{
    const enum outcome outcome = target->outcomes[guard_kind];
    const uint64_t found = probe.found;

    start_one(&attacker, &vine__type_attacking, NULL);
    attacker_process = last_process();
    step_often();
    probe = (struct probe){.address = target->find(),
                           .is_write = is_write,
                           .is_overflow = target->find == overflow,
                           .found = found};
    if (probe.address == NULL && !probe.is_overflow) {
        print_message("skipped: there are none of %s\n", target->what);
        probe.address = variable();
        say_to(&attacker, "x");
        until(attacker.ends == 1);
    } else {
        say_to(&attacker, "x");
        if (outcome == TRAPPED || (outcome == READ && is_write))
            check_trapped(target);
        else
            check_open(target);
    }
    if (opened != NULL)
        vine__guard_close(opened);
    opened = NULL;
    close(attacker.fd);
    until(attacker.goings == 1);
}

/* What was probed lives, and has what it had. */
static void end_victims(void)
{
    for (uint32_t i = 0; i < VICTIMS; i++)
        victims[i].is_over = true;
    for (uint32_t i = 0; i < VICTIMS; i++) {
        while (victims[i].one.ends == 0)
            advance(VINE_NS_PER_SECOND / 10);
        expect(&victims[i].one, "x");
        finish_one(&victims[i].one, 0);
    }
}

static void probe_all(void *nothing)
{
    uint64_t word = 1;

    (void)nothing;
    stack_word = &word;
    open_processes();
    start_victims();
    for (uint32_t i = 0; i < TARGETS; i++)
        for (int is_write = 0; is_write <= 1; is_write++)
            try(&targets[i], is_write != 0);
    end_victims();
    close_cores();
    assert_int_equal(word, 1);
}

static void what_is_probed_is_trapped_or_open_as_the_table_says(void **state)
{
    (void)state;
    vine__guard_call_apart(probe_all, NULL);
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void the_guide_has_this_table(void **state)
{
    const char *const folder = getenv("VINE_SOURCE_DIR");
    static char guide[UINT32_C(1) << 17];
    char path[4096], row[256];
    FILE *file;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/docs/guides/service.md", folder != NULL ? folder : "");
    file = fopen(path, "r");
    if (file == NULL) {
        print_message("skipped: the guide is not here\n");
        return;
    }
    guide[fread(guide, 1, sizeof(guide) - 1, file)] = '\0';
    (void)fclose(file);
    for (uint32_t i = 0; i < TARGETS; i++) {
        const enum outcome *const by = targets[i].outcomes;

        (void)snprintf(row, sizeof(row), "\n| %s | %s | %s | %s |\n", targets[i].what,
                       outcomes[by[VINE__GUARD_NONE]], outcomes[by[VINE__GUARD_MPROTECT]],
                       outcomes[by[VINE__GUARD_PKU]]);
        if (strstr(guide, row) == NULL)
            fail_msg("docs/guides/service.md has no line:%s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_probed_is_trapped_or_open_as_the_table_says),
    };
    const struct CMUnitTest told[] = {cmocka_unit_test(the_guide_has_this_table)};

    return run_by_all_guards(tests) + cmocka_run_group_tests(told, NULL, NULL);
}
