/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Procedure libraries: real shared objects, before an appliance that only remembers what it is
 * offered.
 *
 * The loader is compiled in, since the command's other parts want the real appliance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/sendfile.h>

#include "../tools/library.c"
#include "../tools/library_file.c"
#include "unit/procedures/fake_call.h"

/* ---- an appliance that remembers ------------------------------------------------------------- */

struct vine_appliance {
    const struct vine_procedure_definition *answer; /* what it offers under this name */
    unsigned offers;
};

int vine_appliance_register(struct vine_appliance *appliance,
                            const struct vine_procedure_definition *definition)
{
    if (!definition->run)
        return -EINVAL;
    appliance->offers++;
    if (strcmp(definition->name, "answer") == 0)
        appliance->answer = definition;
    return 0;
}

/* ---- a directory to play in ------------------------------------------------------------------ */

struct place {
    char path[64];
    struct vine_appliance appliance;
    struct vine_library_set *set;
    unsigned errors; /* lines of this level */
    char last[1024]; /* of them */
    unsigned taken, refused, gone;
    struct vine_library_news news; /* the last ones; texts are not kept */
    int fds;                       /* open before */
};

static void take_log(void *context, enum vine_log_level level, const char *message)
{
    struct place *place = context;

    if (level != VINE_LOG_ERROR)
        return;
    place->errors++;
    snprintf(place->last, sizeof(place->last), "%s", message);
}

static void take_news(void *context, const struct vine_library_news *news)
{
    struct place *place = context;

    place->gone += news->is_gone;
    place->taken += news->error == 0 && !news->is_gone;
    place->refused += news->error != 0;
    place->news = *news;
}

static struct vine_library_watcher watcher_of(struct place *place)
{
    return (struct vine_library_watcher){.log = take_log, .news = take_news, .context = place};
}

static int count_fds(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(stream);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static int set_up(void **context)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->path, sizeof(place->path), "/tmp/vine-library-XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->fds = count_fds();
    *context = place;
    return 0;
}

static int tear_down(void **context)
{
    struct place *place = *context;
    char command[128];

    vine_library_close(place->set);
    assert_int_equal(count_fds(), place->fds);
    snprintf(command, sizeof(command), "rm -rf '%s'", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static const char *path_of(const struct place *place, const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", place->path, name);
    return path;
}

/* Give it a mode, and a time that no file had before: on many kernels the clock of files ticks
 * every few milliseconds, and what changes twice in one tick looks as if it had changed once. */
static void stamp(const char *path, mode_t mode)
{
    static struct timespec last;
    struct stat status;

    do {
        assert_int_equal(chmod(path, mode), 0);
        assert_int_equal(stat(path, &status), 0);
    } while (status.st_ctim.tv_sec == last.tv_sec && status.st_ctim.tv_nsec == last.tv_nsec);
    last = status.st_ctim;
}

/* Overwrite the file `name` in place with the first `size` bytes of a plugin (-1: all). */
static void put_part(const struct place *place, const char *plugin, const char *name, off_t size)
{
    const char *build = getenv("VINE_BUILD_DIR");
    char from[512];
    struct stat status;
    int input, output;

    snprintf(from, sizeof(from), "%s/tests/plugins/%s.so", build ? build : ".", plugin);
    input = open(from, O_RDONLY | O_CLOEXEC);
    if (input < 0)
        fail_msg("%s: %s (VINE_BUILD_DIR says where)", from, strerror(errno));
    assert_int_equal(fstat(input, &status), 0);
    output = open(path_of(place, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(output >= 0);
    for (off_t left = size < 0 ? status.st_size : size; left > 0;) {
        const ssize_t sent = sendfile(output, input, NULL, (size_t)left);

        assert_true(sent > 0);
        left -= sent;
    }
    close(output);
    close(input);
    stamp(path_of(place, name), 0644);
}

static void put(const struct place *place, const char *plugin, const char *name)
{
    put_part(place, plugin, name, -1);
}

static void open_set(struct place *place)
{
    const struct vine_library_watcher watcher = watcher_of(place);

    assert_int_equal(vine_library_open(place->path, &place->appliance, &watcher, &place->set), 0);
}

/* What the appliance's `answer` says now, or 0 if it has none. */
static int answer_of(const struct vine_procedure_definition *definition)
{
    struct vine_call call = {.definition = definition};

    if (!definition)
        return 0;
    assert_int_equal(definition->run(&call), 0);
    assert_int_equal(call.result_size, 1);
    return call.result[0];
}

static void expect_refused(struct place *place, const char *words)
{
    open_set(place);
    assert_int_equal(place->errors, 1);
    if (!strstr(place->last, words))
        fail_msg("'%s' does not say '%s'", place->last, words);
    assert_int_equal(place->appliance.offers, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_directory_that_cannot_be_trusted_is_refused(void **context)
{
    struct place *place = *context;
    const struct vine_library_watcher nobody = {.log = NULL};
    const struct vine_library_watcher watcher = watcher_of(place);
    struct vine_library_set *set = NULL;

    assert_int_equal(vine_library_open("/nonexistent", &place->appliance, &nobody, &set), -ENOENT);
    assert_int_equal(vine_library_open("/proc/self/cmdline", &place->appliance, &nobody, &set),
                     -ENOTDIR);
    assert_int_equal(chmod(place->path, 0777), 0);
    assert_int_equal(vine_library_open(place->path, &place->appliance, &watcher, &set), -EPERM);
    assert_non_null(strstr(place->last, "others may write it"));
    assert_int_equal(place->refused, 1);
    assert_null(place->news.file);
    assert_null(set);
}

static void a_file_that_others_may_write_is_named_and_the_rest_goes_on(void **context)
{
    struct place *place = *context;

    put(place, "answer_2", "a.so");
    assert_int_equal(chmod(path_of(place, "a.so"), 0664), 0);
    put(place, "answer_1", "b.so");
    open_set(place);
    assert_int_equal(place->errors, 1);
    assert_non_null(strstr(place->last, "/a.so: others may write it"));
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void a_file_of_another_user_is_refused(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    if (chown(path_of(place, "a.so"), 65534, 65534) < 0) {
        print_message("skipped: only root can give a file away\n");
        skip();
    }
    expect_refused(place, "it belongs to user 65534");
}

static void a_file_cut_short_is_refused_at_every_length(void **context)
{
    struct place *place = *context;
    struct stat status;

    put(place, "answer_1", "a.so");
    assert_int_equal(stat(path_of(place, "a.so"), &status), 0);
    put_part(place, "answer_1", "a.so", 0);
    open_set(place);
    for (off_t size = 0; size < status.st_size; size += status.st_size / 97 + 1) {
        put_part(place, "answer_1", "a.so", size);
        assert_int_equal(vine_library_rescan(place->set), 0);
        assert_non_null(strstr(place->last, "not all of one"));
    }
    put(place, "answer_1", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void what_is_no_library_is_refused(void **context)
{
    static const struct {
        const char *plugin, *words;
    } cases[] = {
        {"other_abi", "built for another version"},
        {"no_table", "declares no procedure library"},
        {"unresolved", "cannot be loaded"},
        {"refused_definition", "'bad' is refused"},
    };
    struct place *place = *context;

    open_set(place);
    for (unsigned index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        put(place, cases[index].plugin, "a.so");
        assert_int_equal(vine_library_rescan(place->set), 0);
        assert_int_equal(place->errors, index + 1);
        if (!strstr(place->last, cases[index].words))
            fail_msg("'%s' does not say '%s'", place->last, cases[index].words);
    }
}

static void a_fifo_a_directory_and_a_dangling_link_are_refused(void **context)
{
    struct place *place = *context;

    assert_int_equal(mkfifo(path_of(place, "a.so"), 0600), 0);
    assert_int_equal(mkdir(path_of(place, "b.so"), 0700), 0);
    assert_int_equal(symlink("/nonexistent", path_of(place, "c.so")), 0);
    put(place, "answer_1", "d.so");
    open_set(place);
    assert_int_equal(place->errors, 3);
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void a_second_file_with_the_same_procedure_is_refused(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    put(place, "answer_2", "b.so");
    open_set(place);
    assert_int_equal(place->errors, 1);
    assert_non_null(strstr(place->last, "/b.so: its procedure 'answer' is offered by a.so"));
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void names_that_do_not_print_are_logged_in_one_line(void **context)
{
    struct place *place = *context;

    put_part(place, "answer_1", "a\nb.so", 100);
    open_set(place);
    assert_int_equal(place->errors, 1);
    assert_non_null(strstr(place->last, "/a?b.so: "));
    assert_null(strchr(place->last, '\n'));
}

/* ---- changes --------------------------------------------------------------------------------- */

static void other_files_are_left_alone(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", ".hidden.so");
    put(place, "answer_1", "a.so.new");
    put(place, "answer_1", "so");
    open_set(place);
    assert_int_equal(place->errors, 0);
    assert_int_equal(place->appliance.offers, 0);
}

static void a_link_is_followed(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.version");
    assert_int_equal(symlink("a.version", path_of(place, "a.so")), 0);
    open_set(place);
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void an_overwritten_file_is_taken_up_and_the_old_code_still_runs(void **context)
{
    struct place *place = *context;
    const struct vine_procedure_definition *old;

    put(place, "answer_1", "a.so");
    open_set(place);
    old = place->appliance.answer;
    assert_int_equal(answer_of(old), 1);
    assert_int_equal(vine_library_rescan(place->set), 0);
    put(place, "answer_2", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
    assert_int_equal(answer_of(old), 1);
    assert_int_equal(place->errors, 0);
    assert_int_equal(place->taken, 2);
    assert_int_equal(place->news.version, 2);
    assert_int_equal(place->news.procedure_count, 1);
}

static void a_bad_version_leaves_the_old_one_serving_and_is_logged_once(void **context)
{
    static const char *const bad[] = {"no_table", "other_abi", "unresolved", "refused_definition"};
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    open_set(place);
    for (unsigned index = 0; index < 4; index++) {
        put(place, bad[index], "a.so");
        assert_int_equal(vine_library_rescan(place->set), 0);
        assert_int_equal(vine_library_rescan(place->set), 0);
        assert_int_equal(place->errors, index + 1);
        assert_int_equal(place->refused, index + 1);
        assert_non_null(strstr(place->last, "the version before it goes on serving"));
        assert_int_equal(answer_of(place->appliance.answer), 1);
    }
    put(place, "answer_2", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
}

static void a_mode_that_is_mended_is_noticed(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    stamp(path_of(place, "a.so"), 0666);
    open_set(place);
    assert_int_equal(place->appliance.offers, 0);
    stamp(path_of(place, "a.so"), 0644);
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 1);
}

static void a_change_polls_readable(void **context)
{
    struct place *place = *context;
    struct pollfd fd;
    char from[256];

    open_set(place);
    fd = (struct pollfd){.fd = vine_library_fd(place->set), .events = POLLIN};
    assert_true(fd.fd >= 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    put(place, "answer_1", "a.so");
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(poll(&fd, 1, 0), 0);
    put(place, "answer_2", "a.new");
    snprintf(from, sizeof(from), "%s", path_of(place, "a.new"));
    assert_int_equal(rename(from, path_of(place, "a.so")), 0);
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
}

static void a_file_that_is_being_written_waits_for_its_writer(void **context)
{
    struct place *place = *context;
    int writer;

    put(place, "answer_1", "a.so");
    open_set(place);
    put(place, "answer_2", "a.so");
    writer = open(path_of(place, "a.so"), O_WRONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    if (vine_library_rescan(place->set) != 0) {
        close(writer);
        print_message("skipped: this file system knows no leases\n");
        skip();
    }
    assert_int_equal(answer_of(place->appliance.answer), 1);
    assert_int_equal(place->errors, 0);
    close(writer);
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
}

static void a_file_that_is_gone_goes_on_serving_and_may_come_back(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    open_set(place);
    assert_int_equal(unlink(path_of(place, "a.so")), 0);
    assert_int_equal(vine_library_rescan(place->set), 0);
    assert_int_equal(answer_of(place->appliance.answer), 1);
    put(place, "answer_2", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
    assert_int_equal(place->errors, 0);
    assert_int_equal(place->gone, 1);
    assert_int_equal(place->taken, 2);
}

static void a_directory_that_turns_bad_is_said_once_and_serving_goes_on(void **context)
{
    struct place *place = *context;

    put(place, "answer_1", "a.so");
    open_set(place);
    assert_int_equal(chmod(place->path, 0777), 0);
    put(place, "answer_2", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 0);
    assert_int_equal(vine_library_rescan(place->set), 0);
    assert_int_equal(place->errors, 1);
    assert_int_equal(answer_of(place->appliance.answer), 1);
    assert_int_equal(chmod(place->path, 0755), 0);
    assert_int_equal(vine_library_rescan(place->set), 1);
    assert_int_equal(answer_of(place->appliance.answer), 2);
}

static void the_sixty_fifth_version_is_refused_and_the_last_one_serves(void **context)
{
    struct place *place = *context;
    const struct vine_procedure_definition *first;

    put(place, "answer_1", "a.so");
    open_set(place);
    first = place->appliance.answer;
    for (unsigned version = 2; version <= VINE_LIBRARY_VERSIONS_MAX; version++) {
        put(place, version % 2 ? "answer_1" : "answer_2", "a.so");
        assert_int_equal(vine_library_rescan(place->set), 1);
    }
    put(place, "answer_1", "a.so");
    assert_int_equal(vine_library_rescan(place->set), 0);
    assert_int_equal(place->errors, 1);
    assert_non_null(strstr(place->last, "64 versions are loaded"));
    assert_int_equal(answer_of(place->appliance.answer), 2);
    assert_int_equal(answer_of(first), 1);
}

#define LIBRARY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIBRARY_TEST(a_directory_that_cannot_be_trusted_is_refused),
        LIBRARY_TEST(a_file_that_others_may_write_is_named_and_the_rest_goes_on),
        LIBRARY_TEST(a_file_of_another_user_is_refused),
        LIBRARY_TEST(a_file_cut_short_is_refused_at_every_length),
        LIBRARY_TEST(what_is_no_library_is_refused),
        LIBRARY_TEST(a_fifo_a_directory_and_a_dangling_link_are_refused),
        LIBRARY_TEST(a_second_file_with_the_same_procedure_is_refused),
        LIBRARY_TEST(names_that_do_not_print_are_logged_in_one_line),
        LIBRARY_TEST(other_files_are_left_alone),
        LIBRARY_TEST(a_link_is_followed),
        LIBRARY_TEST(an_overwritten_file_is_taken_up_and_the_old_code_still_runs),
        LIBRARY_TEST(a_bad_version_leaves_the_old_one_serving_and_is_logged_once),
        LIBRARY_TEST(a_mode_that_is_mended_is_noticed),
        LIBRARY_TEST(a_change_polls_readable),
        LIBRARY_TEST(a_file_that_is_being_written_waits_for_its_writer),
        LIBRARY_TEST(a_file_that_is_gone_goes_on_serving_and_may_come_back),
        LIBRARY_TEST(a_directory_that_turns_bad_is_said_once_and_serving_goes_on),
        LIBRARY_TEST(the_sixty_fifth_version_is_refused_and_the_last_one_serves),
    };

    umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
