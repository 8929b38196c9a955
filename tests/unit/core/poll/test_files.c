/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Files that coroutines open below a root and send: what is refused, what goes wrong half way, and
 * all of it in its order, on a socket and on a pipe. */
#include "../process/process_tests.h"

#include <limits.h>

#include "core/poll/poll.h"
#include "harness/folder.h"

#define LARGE_BYTES (1500 * 1000)

static struct vine_root root;
static char folder[] = "/tmp/vine-files-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static unsigned char byte_at(size_t at)
{
    return (unsigned char)(at * 7 + at / 4096);
}

static void write_file(const char *name, size_t size)
{
    FILE *const file = fopen(path_of(name), "we");

    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        assert_true(fputc(byte_at(i), file) != EOF);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (folder_make(folder) != 0 || mkdir(path_of("inner"), 0700) != 0)
        return -1;
    write_file("small", 100);
    write_file("large", LARGE_BYTES);
    write_file("none", 0);
    return vine_root_open(folder, &root);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Answers each line, a path, by what is there. */
VINE_COROUTINE(looking)
{
    struct {
        char path[2048];
        ssize_t length;
        int error;
        struct vine_below *file;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->path, sizeof self->path);
        if (self->length == 0)
            break;
        self->path[self->length - 1] = '\0';
        vine_open_below(self->error, self->file, root, self->path);
        if (self->error != 0) {
            vine_writef("%d\n", self->error);
            continue;
        }
        vine_writef("%s %llu\n", self->file->is_folder ? "folder" : "file",
                    (unsigned long long)(self->file->is_folder ? 0 : self->file->size_bytes));
        vine_close_file(self->file);
    }
    vine_end();
}

static void what_is_not_below_the_root_is_told(void **state)
{
    struct one one;
    char line[2048], expected[16];

    (void)state;
    open_processes();
    start_one(&one, &vine__type_looking, NULL);
    say_to(&one, "nothing\n");
    (void)snprintf(expected, sizeof(expected), "%d\n", -ENOENT);
    expect(&one, expected);
    say_to(&one, "small/more\n");
    (void)snprintf(expected, sizeof(expected), "%d\n", -ENOTDIR);
    expect(&one, expected);
    say_to(&one, "../../etc/passwd\n");
    (void)snprintf(expected, sizeof(expected), "%d\n", -EXDEV);
    expect(&one, expected);
    memset(line, 'a', sizeof(line));
    memcpy(line + VINE_BELOW_PATH_MAX, "\n", 2);
    say_to(&one, line);
    (void)snprintf(expected, sizeof(expected), "%d\n", -ENAMETOOLONG);
    expect(&one, expected);
    finish_one(&one, 0);
    close_cores();
}

static void files_and_folders_are_told_and_closed_again(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_looking, NULL);
    /* More often than it may have files. */
    for (uint32_t i = 0; i < 200; i++) {
        say_to(&one, "small\n");
        expect(&one, "file 100\n");
        say_to(&one, "inner/\n");
        expect(&one, "folder 0\n");
    }
    finish_one(&one, 0);
    close_cores();
}

VINE_COROUTINE(hoarding)
{
    struct {
        int error;
        struct vine_below *file;
    } *self;

    vine_begin();
    do {
        vine_open_below(self->error, self->file, root, "small");
    } while (self->error == 0);
    vine_end();
}

static void who_opens_too_many_is_told_and_loses_them(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_hoarding, NULL);
    until(one.ends == 1);
    assert_int_equal(one.end.error, -EMFILE);
    finish_one(&one, -EMFILE);
    close_cores();
}

VINE_COROUTINE(rootless)
{
    struct {
        int error;
        struct vine_below *file;
    } *self;

    vine_begin();
    vine_open_below(self->error, self->file, (struct vine_root){77}, "small");
    vine_end();
}

static void a_root_that_there_is_not_ends_it(void **state)
{
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_rootless, NULL);
    until(one.ends == 1);
    finish_one(&one, -VINE_ECORRUPT);
    close_cores();
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Sends what each line says: a path, from where, and how much; and a line behind it. */
struct wanted {
    const char *path;
    uint64_t at, size;
    uint64_t deadline_ns;
    int error; /* what it came to */
};

VINE_COROUTINE(sending)
{
    struct {
        struct wanted *wanted;
        struct vine_below *file;
        uint64_t done, sent;
        int error;
    } *self;

    vine_begin();
    self->wanted = vine_argument();
    vine_open_below(self->error, self->file, root, self->wanted->path);
    if (self->error != 0)
        vine_raise(self->error);
    if (self->wanted->deadline_ns != 0)
        vine_deadline(self->wanted->deadline_ns);
    vine_write("head ", 5);
    for (self->done = 0; self->done < self->wanted->size; self->done += self->sent)
        vine_send_file(self->sent, self->file, self->wanted->at + self->done,
                       self->wanted->size - self->done);
    vine_write(" tail", 5);

    vine_catch(self->error)
    {
        self->wanted->error = self->error;
        vine_write("never", 5); /* as nothing can follow a part */
    }
    vine_end();
}

static void expect_file(struct one *one, size_t at, size_t size)
{
    char *const bytes = malloc(size);

    assert_non_null(bytes);
    expect_bytes(one, bytes, size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal((unsigned char)bytes[i], byte_at(at + i));
    free(bytes);
}

static void a_file_goes_out_between_what_is_written(void **state)
{
    static const struct wanted cases[] = {
        {.path = "small", .size = 100},
        {.path = "small", .at = 10, .size = 5},
        {.path = "none"},
        {.path = "large", .size = LARGE_BYTES},
        {.path = "large", .at = 777, .size = 20000},
        {.path = "large", .at = LARGE_BYTES - 1, .size = 1},
    };

    (void)state;
    open_processes();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wanted wanted = cases[i];
        struct one one;

        start_one(&one, &vine__type_sending, &wanted);
        expect(&one, "head ");
        expect_file(&one, (size_t)wanted.at, (size_t)wanted.size);
        expect(&one, " tail");
        finish_one(&one, 0);
        assert_int_equal(wanted.error, 0);
    }
    close_cores();
}

/* By a pipe the kernel does not send files by itself. */
static void a_file_goes_out_by_a_pipe(void **state)
{
    struct wanted wanted = {.path = "large", .at = 3, .size = LARGE_BYTES - 3};
    struct one one = {.fd = -1};
    const struct vine__process_options options = {.type = &vine__type_sending,
                                                  .argument = &wanted,
                                                  .ended = see_end,
                                                  .gone = see_going,
                                                  .context = &one};
    struct vine_connection *connection;
    int in[2], out[2];

    (void)state;
    open_processes();
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(vine_connection_adopt(in[0], out[1], &connection), 0);
    assert_int_equal(vine__process_start(connection, &options), 0);
    one.fd = out[0];
    expect(&one, "head ");
    expect_file(&one, 3, LARGE_BYTES - 3);
    expect(&one, " tail");
    close(in[1]);
    finish_one(&one, 0);
    close_cores();
}

static void a_file_that_is_shorter_than_it_was_is_an_error(void **state)
{
    struct wanted wanted = {.path = "shrinks", .size = 50000};
    struct one one;

    (void)state;
    write_file("shrinks", 30000);
    open_processes();
    start_one(&one, &vine__type_sending, &wanted);
    expect(&one, "head ");
    expect_file(&one, 0, 30000);
    expect_end(&one);
    finish_one(&one, -EIO);
    assert_int_equal(wanted.error, -EIO);
    close_cores();
}

static void a_folder_is_not_sent(void **state)
{
    struct wanted wanted = {.path = "inner", .size = 10};
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_sending, &wanted);
    until(one.ends == 1);
    expect(&one, "head never");
    finish_one(&one, 0);
    assert_int_equal(wanted.error, -EISDIR);
    close_cores();
}

static void who_waits_for_a_peer_that_does_not_read_has_a_deadline(void **state)
{
    struct wanted wanted = {
        .path = "large", .size = LARGE_BYTES, .deadline_ns = VINE_NS_PER_SECOND};
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_sending, &wanted);
    step_often();
    assert_int_equal(one.ends, 0); /* a Unix socket holds less than that */
    advance(2 * VINE_NS_PER_SECOND);
    until(one.ends == 1);
    assert_int_equal(one.end.error, -EPIPE); /* of what was to follow */
    assert_int_equal(wanted.error, -ETIMEDOUT);
    finish_one(&one, -EPIPE);
    close_cores();
}

static void a_peer_that_goes_meanwhile_is_an_error(void **state)
{
    struct wanted wanted = {.path = "large", .size = LARGE_BYTES};
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_sending, &wanted);
    step_often();
    close(one.fd);
    until(one.goings == 1);
    assert_true(wanted.error == -EPIPE || wanted.error == -ECONNRESET);
    close_cores();
}

static void who_sends_when_the_reactors_stop_is_ended(void **state)
{
    struct wanted wanted = {.path = "large", .size = LARGE_BYTES};
    struct one one;

    (void)state;
    open_processes();
    start_one(&one, &vine__type_sending, &wanted);
    step_often();
    vine_stop(0);
    advance(6 * VINE_NS_PER_SECOND);
    until(one.goings == 1);
    assert_int_equal(wanted.error, -ECANCELED);
    close(one.fd);
    until(vine__reactor_has_stopped(stepped.reactors[0]));
    stepped_close(&stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_below_the_root_is_told),
        cmocka_unit_test(files_and_folders_are_told_and_closed_again),
        cmocka_unit_test(who_opens_too_many_is_told_and_loses_them),
        cmocka_unit_test(a_root_that_there_is_not_ends_it),
        cmocka_unit_test(a_file_goes_out_between_what_is_written),
        cmocka_unit_test(a_file_goes_out_by_a_pipe),
        cmocka_unit_test(a_file_that_is_shorter_than_it_was_is_an_error),
        cmocka_unit_test(a_folder_is_not_sent),
        cmocka_unit_test(who_waits_for_a_peer_that_does_not_read_has_a_deadline),
        cmocka_unit_test(a_peer_that_goes_meanwhile_is_an_error),
        cmocka_unit_test(who_sends_when_the_reactors_stop_is_ended),
    };

    if (make_folder(NULL) != 0)
        return 1;
    return run_by_all_guards(tests);
}
