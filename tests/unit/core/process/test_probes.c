/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * A hostile micro-process reads and writes whatever there is, one thing at a time, with each guard
 * that this machine has. What is trapped and what is not is one table here, and the same one in
 * docs/guides/service.md. Who was trapped ends alone: the others go on.
 */
#include "process_tests.h"

#include <semaphore.h>
#include <signal.h>

#include <vine/lookup.h>
#include <vine/mail.h>

#include "arch/poll/uring_internal.h"
#include "core/file/file.h"
#include "core/mail/mail_internal.h"
#include "core/poll/poll_internal.h"
#include "core/process/process_internal.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "harness/folder.h"

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

/* One whose mailbox has a message that is not taken; and who has sent it. */
struct message {
    char text[32];
};

static struct vine_mail_address letter_box;
static bool is_mail_over;

VINE_COROUTINE(does_not_read)
{
    struct {
        struct vine_mailbox *box;
        struct message message;
    } *self;

    vine_begin();
    vine_mail_open(self->box, struct message);
    letter_box = vine_mail_address(self->box);
    while (!is_mail_over)
        vine_sleep(VINE_NS_PER_SECOND / 10);
    vine_mail_recv(self->box, struct message, self->message);
    if (strcmp(self->message.text, "for its eyes only") != 0)
        vine_raise(-EBADMSG);
    vine_end();
}

VINE_COROUTINE(writes_to_it)
{
    struct {
        struct message message;
    } *self;

    vine_begin();
    memcpy(self->message.text, "for its eyes only", 18);
    vine_mail_send(letter_box, struct message, self->message);
    vine_end();
}

/* Has a file open. */
static struct vine_root root;

VINE_COROUTINE(has_a_file)
{
    struct {
        struct vine_below *file;
        char byte[1];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    vine_open_below(self->error, self->file, root, "passwd");
    vine_writef("%d", self->error);
    vine_flush();
    vine_read(self->length, self->byte, 1);
    vine_close_file(self->file);
    vine_end();
}

/* What a service has once; and one of its connections, which says something of itself. */
VINE_COROUTINE(center)
{
    struct {
        char unused;
    } *self;

    (void)self;
    vine_begin();
    for (;;)
        vine_sleep(VINE_NS_PER_SECOND);
    vine_end();
}

VINE_COROUTINE(says_what_it_did)
{
    struct {
        char unused;
    } *self;

    (void)self;
    vine_begin();
    vine_access("\"GET /secret HTTP/1.1\" 200 7", 28);
    vine_end();
}

VINE_SERVICE(says_what_it_did, .central = VINE_COROUTINE_OF(center));

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

static struct one reader, filer;
static struct vine__process *filer_process, *center_process;

static struct box *mailbox_of_reader(void)
{
    struct box *const box = vine__box_find(letter_box);

    assert_non_null(box);
    return box;
}

static void *mailbox(void)
{
    return mailbox_of_reader();
}

static void *letter(void)
{
    assert_non_null(mailbox_of_reader()->letters.first);
    return mailbox_of_reader()->letters.first->bytes;
}

static void *open_file(void)
{
    return VINE_LIST_OBJECT(vine__list_first(&filer_process->polling.furthers->all), struct further,
                            link)
        ->file;
}

/* Workers that are busy, and a name that waits for one of them. */
#define WORKERS 4

static struct worker {
    struct vine__operation operation;
    sem_t *may_end;
    bool is_over;
} workers[WORKERS];
static struct vine_lookup lookup;
static bool is_looked_up;

static void *name_that_is_looked_up(void)
{
    return lookup.job;
}

static void *center_of_service(void)
{
    return center_process->origin->options.context;
}

/* They stay for a second of the test's own clock, which does not pass by itself. */
static void *lines_of_the_log(void)
{
    struct one one;

    start_one(&one, &vine__type_says_what_it_did, NULL);
    until(one.ends == 1);
    finish_one(&one, 0);
    assert_non_null(strstr(vine__access_log_lines(), "/secret"));
    return vine__access_log_lines();
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
    {"a message for another one, which has not taken it", letter, {OPEN, OPEN, TRAPPED}},
    {"another one's mailbox", mailbox, {OPEN, OPEN, TRAPPED}},
    {"a file that another one has open", open_file, {OPEN, OPEN, TRAPPED}},
    {"a name that is being looked up", name_that_is_looked_up, {OPEN, OPEN, TRAPPED}},
    {"what is known of the service's central part", center_of_service, {OPEN, OPEN, TRAPPED}},
    {"lines of the access log that are not written yet", lines_of_the_log, {OPEN, OPEN, TRAPPED}},
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

static void start_mail(void)
{
    struct one writer;

    letter_box = (struct vine_mail_address){.place = 0};
    is_mail_over = false;
    start_one(&reader, &vine__type_does_not_read, NULL);
    until(letter_box.key != 0);
    start_one(&writer, &vine__type_writes_to_it, NULL);
    until(writer.ends == 1);
    finish_one(&writer, 0);
}

static void end_mail(void)
{
    is_mail_over = true;
    while (reader.ends == 0)
        advance(VINE_NS_PER_SECOND / 10);
    finish_one(&reader, 0);
}

static int32_t be_busy(void *context)
{
    const struct worker *const worker = context;

    while (sem_wait(worker->may_end) != 0)
        continue;
    return 0;
}

static void worked(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    (void)flags;
    assert_int_equal(result, 0);
    VINE_CONTAINER_OF(operation, struct worker, operation)->is_over = true;
}

static void looked_up(struct vine_lookup *its)
{
    (void)its;
    is_looked_up = true;
}

static void start_looking_up(sem_t *may_end)
{
    assert_int_equal(sem_init(may_end, 0, 0), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.operation = {.fn = worked,
                                                   .kind = VINE__POLL_CALL,
                                                   .call = be_busy,
                                                   .context = &workers[i]},
                                     .may_end = may_end};
        vine__poller_begin(vine__reactor_poller(), &workers[i].operation);
    }
    is_looked_up = false;
    vine_lookup(&lookup, "localhost:80", looked_up);
    assert_non_null(lookup.job);
}

static void end_looking_up(sem_t *may_end)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(sem_post(may_end), 0);
    for (uint32_t i = 0; i < WORKERS; i++)
        until(workers[i].is_over);
    until(is_looked_up); /* whether or not this machine knows that name */
    assert_int_equal(sem_destroy(may_end), 0);
}

static void start_service(void)
{
    const struct vine_service_options options = {.size_bytes = sizeof(options)};

    assert_int_equal(vine__access_log_begin("/dev/null"), 0);
    assert_int_equal(vine__service_begin_central(&vine_service_says_what_it_did, &options), 0);
    center_process = last_process();
    start_one(&filer, &vine__type_has_a_file, NULL);
    filer_process = last_process();
    expect(&filer, "0");
}

static void end_service(void)
{
    say_to(&filer, "x");
    until(filer.ends == 1);
    finish_one(&filer, 0);
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
    const struct vine__file_options files = {.requests_max = 16};
    uint64_t word = 1;
    sem_t may_end;

    (void)nothing;
    stack_word = &word;
    open_processes();
    assert_int_equal(vine__file_start(&files), 0);
    start_victims();
    start_mail();
    start_service();
    start_looking_up(&may_end);
    for (uint32_t i = 0; i < TARGETS; i++)
        for (int is_write = 0; is_write <= 1; is_write++)
            try(&targets[i], is_write != 0);
    end_looking_up(&may_end);
    end_service();
    end_mail();
    end_victims();
    vine_stop(0);
    advance(8 * VINE_NS_PER_SECOND);
    close_cores();
    vine__file_end(0);
    assert_int_equal(word, 1);
}

static void what_is_probed_is_trapped_or_open_as_the_table_says(void **state)
{
    (void)state;
    vine__guard_call_apart(probe_all, NULL);
}

/* Below which there is one file. */
static int make_folder(void)
{
    static char folder[] = "/tmp/vine-probes-XXXXXX";
    char path[64];
    FILE *file;

    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/passwd", folder);
    file = fopen(path, "we");
    if (file == NULL || fputs("secret", file) == EOF || fclose(file) != 0)
        return -1;
    return vine_root_open(folder, &root);
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

    /* As a program that serves begins. */
    vine__guard_prepare();
    if (make_folder() != 0)
        return 1;
    return run_by_all_guards(tests) + cmocka_run_group_tests(told, NULL, NULL);
}
