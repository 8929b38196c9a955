/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * A table: each operation of vine/socket.h, on each kind of socket, with the same outcome on all.
 * In one thread, by a clock that the test owns, which passes only while nobody has anything to do.
 */
#include "application_end.h"

#include <stdio.h>

/* ---- what happens ---------------------------------------------------------------------------- */

static char said[256];

static void say(const char *text)
{
    strncat(said, text, sizeof(said) - strlen(said) - 1);
}

static void say_bytes(const char *bytes, ssize_t size)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "'%.*s' ", (int)size, bytes);
    say(text);
}

static void say_number(int64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld ", (long long)number);
    say(text);
}

/* ---- the table ------------------------------------------------------------------------------- */

/* What the far end does, for the near one to have something to do. */
enum far {
    WRITES,  /* "one\ntwo", in two parts with a second between, and nothing more */
    READS,   /* to the end, and says so */
    RETURNS, /* writes the same, reads all that comes back and says it */
    WAITS,   /* ten seconds */
    LEAVES   /* at once */
};

enum near {
    READ,
    READ_ALL,
    READLINE,
    LOOK,
    WRITE,
    WRITEF,
    ROOM,
    FLUSH,
    DRAIN,
    CLOSE_OUTPUT,
    CLOSE_INPUT,
    SPLICE,
    FORWARD,
    POLL,
    HANG_UP,
    SLEEP,
    DEADLINE,
    READ_IN_VAIN,
    READ_ALL_IN_VAIN,
    READLINE_IN_VAIN,
    LOOK_IN_VAIN,
    POLL_IN_VAIN,
    HANG_UP_IN_VAIN,
    SPLICE_IN_VAIN,
    WRITE_IN_VAIN,
    ROOM_IN_VAIN,
    DRAIN_IN_VAIN,
    NEARS
};

/* Of which part of the near end it is. */
enum near_kind { READING, WRITING, IN_VAIN, SLEEPING };

static const struct {
    enum far far;
    enum near_kind near;
    const char *operations; /* that it is about */
    const char *said;       /* by both */
} rows[NEARS] = {
    [READ] = {WRITES, READING, "read", "'one\n' 'two' '' "},
    [READ_ALL] = {WRITES, READING, "read_all", "'one\ntw' 'o' "},
    [READLINE] = {WRITES, READING, "readline", "'one\n' 'two' '' "},
    [LOOK] = {WRITES, READING, "look skip", "'one\nt' 'e\ntwo' "},
    [WRITE] = {READS, WRITING, "write", "'one\n' end "},
    [WRITEF] = {READS, WRITING, "writef", "'number 7' end "},
    [ROOM] = {READS, WRITING, "room wrote", "'one\n' end "},
    [FLUSH] = {READS, WRITING, "flush", "'one\n' end "},
    [DRAIN] = {READS, WRITING, "drain", "'one\n' drained end "},
    [CLOSE_OUTPUT] = {READS, WRITING, "close_output", "end closed "},
    [CLOSE_INPUT] = {WRITES, READING, "close_input", "'' "},
    [SPLICE] = {RETURNS, WRITING, "splice", "5 'one\nt' end "},
    [FORWARD] = {RETURNS, WRITING, "forward", "'one\ntwo' end "},
    [POLL] = {WRITES, READING, "poll", "1 'one\n' "},
    [HANG_UP] = {LEAVES, READING, "hang_up", "gone "},
    [SLEEP] = {WAITS, SLEEPING, "sleep now", "3 "},
    [DEADLINE] = {WAITS, IN_VAIN, "deadline", "-110 2 "},
    [READ_IN_VAIN] = {WAITS, IN_VAIN, "read", "-110 "},
    [READ_ALL_IN_VAIN] = {WAITS, IN_VAIN, "read_all", "-110 "},
    [READLINE_IN_VAIN] = {WAITS, IN_VAIN, "readline", "-110 "},
    [LOOK_IN_VAIN] = {WAITS, IN_VAIN, "look", "-110 "},
    [POLL_IN_VAIN] = {WAITS, IN_VAIN, "poll", "-110 "},
    [HANG_UP_IN_VAIN] = {WAITS, IN_VAIN, "hang_up", "-110 "},
    [SPLICE_IN_VAIN] = {WAITS, IN_VAIN, "splice", "-110 "},
    [WRITE_IN_VAIN] = {WAITS, IN_VAIN, "write", "-110 "},
    [ROOM_IN_VAIN] = {WAITS, IN_VAIN, "room wrote", "-110 "},
    [DRAIN_IN_VAIN] = {WAITS, IN_VAIN, "drain", "-110 "},
};

static enum near now; /* the row */

/* Those of vine/socket.h that make sockets, and are about no kind that there is before. */
static const char makers[] =
    "connect connect_tls listen_at port accept close pipe pair child_on park is_draining";

/* ---- both ends ------------------------------------------------------------------------------- */

VINE_COROUTINE(far_end)
{
    struct {
        char text[64];
        ssize_t length;
        int error;
    } *self;

    vine_begin();
    switch (rows[now].far) {
    case RETURNS:
    case WRITES:
        vine_write("one\n", 4);
        vine_flush();
        vine_sleep(VINE_NS_PER_SECOND);
        vine_write("two", 3);
        vine_close_output();
        if (rows[now].far == WRITES)
            break;
        vine_read_all(self->length, self->text, sizeof self->text);
        say_bytes(self->text, self->length);
        say("end ");
        break;
    case READS:
        for (;;) {
            vine_read(self->length, self->text, sizeof self->text);
            if (self->length == 0)
                break;
            say_bytes(self->text, self->length);
        }
        say("end ");
        break;
    case WAITS:
        vine_sleep(10 * VINE_NS_PER_SECOND);
        break;
    default:
        break;
    }
    vine_catch(self->error)
    {
        /* Who is closed while it writes may be told. */
        if (self->error != -EPIPE && self->error != -ECONNRESET)
            vine_raise(self->error);
    }
    vine_end();
}

VINE_COROUTINE(reads_near)
{
    struct {
        char text[64];
        ssize_t length;
        size_t size;
        const char *there;
        struct vine_poll poll;
    } *self;

    vine_begin();
    self->poll = (struct vine_poll){that->socket, VINE_POLL_READABLE, 0};
    switch (now) {
    case READ:
        do {
            vine_read(self->length, self->text, sizeof self->text);
            say_bytes(self->text, self->length);
        } while (self->length > 0);
        break;
    case READ_ALL:
        vine_read_all(self->length, self->text, 6);
        say_bytes(self->text, self->length);
        vine_read_all(self->length, self->text, 6);
        say_bytes(self->text, self->length);
        break;
    case READLINE:
        do {
            vine_readline(self->length, self->text, sizeof self->text);
            say_bytes(self->text, self->length);
        } while (self->length > 0);
        break;
    case LOOK:
        vine_look(self->size, self->there, 5);
        say_bytes(self->there, 5);
        vine_skip(2);
        vine_look(self->size, self->there, 5);
        say_bytes(self->there, (ssize_t)self->size);
        break;
    case CLOSE_INPUT:
        vine_close_input();
        vine_sleep(2 * VINE_NS_PER_SECOND);
        vine_read(self->length, self->text, sizeof self->text);
        say_bytes(self->text, self->length);
        break;
    case POLL:
        vine_poll(self->size, &self->poll, 1);
        say_number(self->poll.told);
        vine_read(self->length, self->text, sizeof self->text);
        say_bytes(self->text, self->length);
        break;
    case HANG_UP:
        vine_hang_up(that->socket);
        say("gone ");
        break;
    default:
        break;
    }
    vine_end();
}

VINE_COROUTINE(writes_near)
{
    struct {
        size_t size;
        char *room;
        uint64_t moved;
    } *self;

    vine_begin();
    switch (now) {
    case WRITE:
    case FLUSH:
    case DRAIN:
        vine_write("one\n", 4);
        if (now == FLUSH) {
            vine_flush();
            vine_sleep(VINE_NS_PER_SECOND);
        } else if (now == DRAIN) {
            vine_drain();
            vine_sleep(VINE_NS_PER_SECOND); /* of a connection it is the kernel that has taken it */
            say("drained ");
        }
        break;
    case WRITEF:
        vine_writef("number %d", 7);
        break;
    case ROOM:
        vine_room(self->size, self->room, 4);
        memcpy(self->room, "one\n", 4);
        vine_wrote(4);
        break;
    case CLOSE_OUTPUT:
        vine_close_output();
        vine_sleep(VINE_NS_PER_SECOND);
        say("closed ");
        break;
    case SPLICE:
        vine_splice(self->moved, that->socket, that->socket, 5);
        say_number((int64_t)self->moved);
        break;
    case FORWARD:
        vine_forward(that->socket, that->socket);
        break;
    default:
        break;
    }
    vine_end();
}

VINE_COROUTINE(waits_in_vain)
{
    struct {
        char text[64];
        char much[3000];
        ssize_t length;
        size_t size;
        const char *there;
        char *room;
        struct vine_poll poll;
        uint64_t moved;
    } *self;

    vine_begin();
    self->poll = (struct vine_poll){that->socket, VINE_POLL_READABLE, 0};
    vine_deadline(2 * VINE_NS_PER_SECOND);
    switch (now) {
    case READ_IN_VAIN:
        vine_read(self->length, self->text, sizeof self->text);
        break;
    case READ_ALL_IN_VAIN:
        vine_read_all(self->length, self->text, 6);
        break;
    case READLINE_IN_VAIN:
        vine_readline(self->length, self->text, sizeof self->text);
        break;
    case LOOK_IN_VAIN:
        vine_look(self->size, self->there, 1);
        break;
    case POLL_IN_VAIN:
        vine_poll(self->size, &self->poll, 1);
        break;
    case HANG_UP_IN_VAIN:
        vine_hang_up(that->socket);
        break;
    case SPLICE_IN_VAIN:
        vine_splice(self->moved, that->socket, that->socket, 5);
        break;
    case WRITE_IN_VAIN:
        for (;;)
            vine_write(self->much, sizeof self->much);
    case ROOM_IN_VAIN:
        for (;;) {
            vine_room(self->size, self->room, 1000);
            memset(self->room, 'x', self->size);
            vine_wrote(self->size);
        }
    case DRAIN_IN_VAIN:
        for (;;) {
            vine_write(self->much, sizeof self->much);
            vine_drain();
        }
    default:
        vine_read(self->length, self->text, sizeof self->text);
        break;
    }
    vine_end();
}

VINE_COROUTINE(near_end)
{
    struct {
        uint64_t begin_ns;
        int error;
    } *self;

    vine_begin();
    self->begin_ns = vine_now();
    switch (rows[now].near) {
    case READING:
        vine_call(reads_near, NULL);
        break;
    case WRITING:
        vine_call(writes_near, NULL);
        break;
    case IN_VAIN:
        vine_call(waits_in_vain, NULL);
        break;
    default:
        vine_sleep(3 * VINE_NS_PER_SECOND);
        say_number((int64_t)((vine_now() - self->begin_ns) / VINE_NS_PER_SECOND));
        break;
    }
    vine_catch(self->error)
    {
        say_number(self->error);
        if (now == DEADLINE)
            say_number((int64_t)((vine_now() - self->begin_ns) / VINE_NS_PER_SECOND));
    }
    vine_end();
}

/* Within one micro-process both ends are coroutines. */
enum kind {
    PAIR,
    PIPES, /* one for each direction */
    TCP,
    UNIX,
    DESCRIPTORS, /* an input and an output, as of standard ones */
    TALK,        /* a pipe of an appliance, whose far end is an application */
    REMOTE,      /* the same, and the far end is a handler */
    KINDS
};

static const char *const kind_names[KINDS] = {
    "a pair",      "two pipes",      "TCP", "a Unix socket", "an input and an output",
    "a talk pipe", "a remote stream"};

VINE_COROUTINE(both_ends)
{
    struct {
        struct vine_socket *one, *other;
        struct vine_coroutine *near, *far;
    } *self;

    vine_begin();
    if (*(const enum kind *)vine_argument() == PAIR) {
        vine_pair(self->one, self->other);
        vine_child_on(near_end, NULL, self->one, self->one, self->near);
        vine_child_on(far_end, NULL, self->other, self->other, self->far);
    } else {
        vine_pipe(self->one);
        vine_pipe(self->other);
        vine_child_on(near_end, NULL, self->one, self->other, self->near);
        vine_child_on(far_end, NULL, self->other, self->one, self->far);
    }
    vine_join(self->near);
    vine_join(self->far);
    vine_end();
}

static uint32_t ended_count, wrong;
static int first_error;

static void ended(void *context, const struct vine__process_end *end)
{
    (void)context;
    ended_count++;
    if (first_error == 0)
        first_error = end->error;
}

static void begin(struct vine_connection *connection, const struct vine_coroutine_type *type,
                  void *argument)
{
    const struct vine__process_options options = {
        .type = type, .argument = argument, .ended = ended};

    assert_int_equal(vine__process_start(connection, &options), 0);
}

static struct vine_connection *adopt(int input, int output)
{
    struct vine_connection *connection = NULL;

    assert_int_equal(vine_connection_adopt(input, output, &connection), 0);
    return connection;
}

/* Begin both ends. Returns how many micro-processes that are. */
static uint32_t begin_both(enum kind *kind, struct pair *pair, int *ret_other_fd)
{
    const char *const addresses[KINDS] = {[TCP] = "127.0.0.1:0", [UNIX] = local_address()};
    int there[2], back[2];

    switch (*kind) {
    case PAIR:
    case PIPES:
        /* Its own connection is not used. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, there), 0);
        begin(adopt(there[0], there[0]), &vine__type_both_ends, kind);
        *ret_other_fd = there[1];
        return 1;
    case DESCRIPTORS:
        assert_int_equal(pipe2(there, O_CLOEXEC), 0);
        assert_int_equal(pipe2(back, O_CLOEXEC), 0);
        begin(adopt(there[0], back[1]), &vine__type_near_end, NULL);
        begin(adopt(back[0], there[1]), &vine__type_far_end, NULL);
        return 2;
    default:
        open_pair(pair, addresses[*kind]);
        begin(pair->server, &vine__type_near_end, NULL);
        begin(pair->client, &vine__type_far_end, NULL);
        return 2;
    }
}

static void tell_said(enum kind kind)
{
    if (first_error == 0 && strcmp(said, rows[now].said) == 0)
        return;
    print_error("%s on %s: error %d, and said: %s\n", rows[now].operations, kind_names[kind],
                first_error, said);
    wrong++;
}

/* ---- with an application --------------------------------------------------------------------- */

static const struct vine_argument bytes_both_ways[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1U << 20},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1U << 20},
};

static const struct vine_procedure_definition near_procedure = {
    .size_bytes = sizeof near_procedure,
    .name = "near_end",
    .arguments = bytes_both_ways,
    .argument_count = 2,
    .coroutine = VINE_COROUTINE_OF(near_end),
};

/* As far_end has it: who leaves is one who will not write. */
static const struct application_wishes wishes[] = {
    [WRITES] = {.parts = {"one\n", "two"}},
    [READS] = {.stays_ns = 10 * VINE_NS_PER_SECOND, .reads = true},
    [RETURNS] = {.parts = {"one\n", "two"}, .reads = true, .in_one = true},
    [WAITS] = {.stays_ns = 10 * VINE_NS_PER_SECOND},
    [LEAVES] = {.stays_ns = 0},
};

static void hear(const char *text, ssize_t size)
{
    if (text != NULL)
        say_bytes(text, size);
    else
        say("end ");
}

static void run_with_application(void)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    struct application_end far;

    said[0] = '\0';
    guard_kind = VINE__GUARD_NONE;
    application_end_begin(&far, &near_procedure, &wishes[rows[now].far]);
    while (!application_end_is_over(&far)) {
        application_end_step(&far, hear);
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("%s on a talk pipe: never ends, and said: %s", rows[now].operations, said);
    }
    first_error = application_end_close(&far);
    tell_said(TALK);
}

/* ---- with a handler elsewhere ---------------------------------------------------------------- */

static const struct vine_procedure_definition far_procedure = {
    .size_bytes = sizeof far_procedure,
    .name = "far_end",
    .arguments = bytes_both_ways,
    .argument_count = 2,
    .coroutine = VINE_COROUTINE_OF(far_end),
};

static struct vine_remote elsewhere;
static char elsewhere_path[64]; /* leads to wherever the test serves */
static bool is_connected;

/* The near one is of the same core, and so is the appliance where the far one is. */
VINE_COROUTINE(connects)
{
    struct {
        struct vine_socket *socket;
        struct vine_coroutine *near;
        char text[64];
        ssize_t length;
    } *self;

    vine_begin();
    vine_connect_remote(self->socket, elsewhere, "far_end");
    is_connected = true;
    vine_child_on(near_end, NULL, self->socket, self->socket, self->near);
    vine_join(self->near);
    /* Who does not wait for the far one's end gives it up. */
    vine_close_output_on(self->socket);
    do
        vine_read_on(self->socket, self->length, self->text, sizeof self->text);
    while (self->length > 0);
    vine_catch(self->length)
    {
        /* As the far one: what it wrote in vain nobody has read. */
        if (self->length != -EPIPE)
            vine_raise((int)self->length);
    }
    vine_end();
}

static void run_with_handler(void)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    int pair[2];

    said[0] = '\0';
    ended_count = 0;
    first_error = 0;
    is_connected = false;
    guard_kind = VINE__GUARD_NONE;
    serve(&far_procedure, 1, NULL, 0);
    (void)unlink(elsewhere_path);
    assert_int_equal(symlink(served.path, elsewhere_path), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    begin(adopt(pair[0], pair[0]), &vine__type_connects, NULL);
    while (ended_count == 0 || vine__coroutines_count(served.coroutines) > 0) {
        for (uint32_t i = 0; i < 200; i++) {
            (void)vine__serving_turn(served.part, vine__clock_ticks());
            step_all();
        }
        if (is_connected) /* for that there is a thread, which has a time of its own */
            stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("%s on a remote stream: never ends, and said: %s", rows[now].operations, said);
    }
    tell_said(REMOTE);
    (void)close(pair[1]);
    serve_no_more();
}

/* ---- each kind ------------------------------------------------------------------------------- */

/* A tenth of a second passes whenever nobody has anything to do. */
static void run(enum kind kind)
{
    const struct vine__guard_options guard = {.wanted = VINE__GUARD_NONE};
    const struct vine__processes_options options = {.count_max = 4};
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;
    char why[VINE__GUARD_WHY_BYTES];
    struct pair pair;
    uint32_t count;
    int fd = -1;

    said[0] = '\0';
    ended_count = 0;
    first_error = 0;
    assert_int_equal(vine__guard_choose(&guard, why), 0);
    open_cores(1);
    assert_int_equal(vine__processes_prepare(), 0);
    assert_int_equal(vine__processes_start(&options), 0);
    count = begin_both(&kind, &pair, &fd);
    while (ended_count < count) {
        step_often();
        stepped.clock_ns += VINE_NS_PER_SECOND / 10;
        if (vine__clock_now_ns() > hang_ns)
            fail_msg("%s on %s: never ends, and said: %s", rows[now].operations, kind_names[kind],
                     said);
    }
    tell_said(kind);
    if (kind == TCP || kind == UNIX)
        close_listener(&pair.arrivals);
    if (fd >= 0)
        (void)close(fd);
    close_cores();
}

static void each_operation_does_the_same_on_each_kind(void **state)
{
    (void)state;
    wrong = 0;
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (now = 0; now < NEARS; now++)
            if (kind == TALK)
                run_with_application();
            else if (kind == REMOTE)
                run_with_handler();
            else
                run(kind);
    assert_int_equal(wrong, 0);
}

/* ---- none is left out ------------------------------------------------------------------------ */

static bool has_word(const char *words, const char *word, size_t size)
{
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++)
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

static void no_operation_is_left_out(void **state)
{
    char path[1024], line[512], name[64];
    uint32_t count = 0;
    FILE *file;

    (void)state;
    assert_non_null(getenv("VINE_SOURCE_DIR"));
    (void)snprintf(path, sizeof(path), "%s/include/vine/socket.h", getenv("VINE_SOURCE_DIR"));
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        bool is_there = false;
        size_t size;

        if (sscanf(line, "#define vine_%63[a-z_](", name) != 1 || strchr(line, '(') == NULL)
            continue;
        size = strlen(name);
        if (size > 3 && strcmp(name + size - 3, "_on") == 0 && !has_word(makers, name, size))
            name[size -= 3] = '\0';
        for (uint32_t i = 0; i < NEARS; i++)
            is_there |= has_word(rows[i].operations, name, size);
        if (!is_there && !has_word(makers, name, size))
            fail_msg("vine_%s is in no row", name);
        count++;
    }
    (void)fclose(file);
    assert_true(count > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operation_is_left_out),
        cmocka_unit_test(each_operation_does_the_same_on_each_kind),
    };

    int failed;

    (void)snprintf(elsewhere_path, sizeof elsewhere_path, "/tmp/vine-test-elsewhere-%d",
                   (int)getpid());
    if (vine_remote_add(elsewhere_path, &elsewhere) != 0)
        return 1;
    failed = run_by_both(tests);
    (void)unlink(elsewhere_path);
    return failed;
}
