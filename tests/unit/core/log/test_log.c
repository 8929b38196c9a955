/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Which lines are logged, what they look like, and what becomes of them if nobody reads. */
#include "harness/stepped.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log/log.h"

static int ends[2];
static int real_stderr;
static char text[1 << 20];

/* Standard error is a pipe from here to hear(). */
static void listen_to_stderr(void)
{
    assert_int_equal(pipe(ends), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(ends[1]), 0);
}

static const char *hear(void)
{
    size_t length = 0;
    ssize_t size;

    assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(real_stderr), 0);
    while ((size = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)size;
    text[length] = '\0';
    assert_int_equal(close(ends[0]), 0);
    return text;
}

static int reset(void **state)
{
    (void)state;
    vine__log_reset_levels();
    vine_log_direct(NULL);
    return 0;
}

static void levels_and_modules_that_are_none_are_refused(void **state)
{
    char name[VINE_LOG_MODULE_BYTES + 1];

    (void)state;
    memset(name, 'm', VINE_LOG_MODULE_BYTES);
    name[VINE_LOG_MODULE_BYTES] = '\0';
    assert_int_equal(vine_log_set_level("", VINE_LOG_INFO), -EINVAL);
    assert_int_equal(vine_log_set_level(name, VINE_LOG_INFO), -EINVAL);
    assert_int_equal(vine_log_set_level(name + 1, VINE_LOG_INFO), 0);
    assert_int_equal(vine_log_set_level("kv", (enum vine_log_level)(VINE_LOG_DEBUG + 1)), -EINVAL);
    for (uint32_t i = 1; i < VINE_LOG_MODULES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(vine_log_set_level(name, VINE_LOG_INFO), 0);
    }
    assert_int_equal(vine_log_set_level("one more", VINE_LOG_INFO), -ENOSPC);
    assert_int_equal(vine_log_set_level("1", VINE_LOG_DEBUG), 0);
}

static void a_module_has_its_own_level_or_everybodys(void **state)
{
    (void)state;
    assert_true(vine_log_is_on("kv", VINE_LOG_INFO));
    assert_false(vine_log_is_on("kv", VINE_LOG_DEBUG));
    assert_int_equal(vine_log_set_level("kv", VINE_LOG_DEBUG), 0);
    assert_true(vine_log_is_on("kv", VINE_LOG_DEBUG));
    assert_false(vine_log_is_on("k", VINE_LOG_DEBUG));
    assert_int_equal(vine_log_set_level(NULL, VINE_LOG_ERROR), 0);
    assert_true(vine_log_is_on("kv", VINE_LOG_DEBUG));
    assert_false(vine_log_is_on("k", VINE_LOG_WARNING));
    assert_int_equal(vine_log_set_level("kv", VINE_LOG_ERROR), 0);
    assert_false(vine_log_is_on("kv", VINE_LOG_WARNING));
}

static void a_line_says_when_where_and_what(void **state)
{
    struct stepped world;
    int length = 0;

    (void)state;
    listen_to_stderr();
    vine_log("kv", VINE_LOG_WARNING, "%d of %s", 3, "these");
    vine_log("kv", VINE_LOG_DEBUG, "not to be seen");
    stepped_open(&world, 2, 1, NULL);
    (void)vine__reactor_enter(world.reactors[1]);
    vine_log("kv", VINE_LOG_ERROR, "here");
    stepped_close(&world);
    const char *line = hear();

    assert_int_equal(
        sscanf(line, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*6dZ warning - kv: 3 of these%n", &length), 0);
    assert_true(length > 0 && line[length] == '\n');
    line += length + 1;
    length = 0;
    assert_int_equal(
        sscanf(line, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*6dZ error core 1 kv: here%n", &length), 0);
    assert_true(length > 0);
    assert_string_equal(line + length, "\n");
}

static void a_line_is_one_line_and_no_terminals_command(void **state)
{
    char long_text[3 * VINE_LOG_LINE_BYTES];

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    listen_to_stderr();
    vine_log("kv", VINE_LOG_INFO, "a\nb\x1b[2J\x7f\tc \xc3\xa4");
    vine_log("kv", VINE_LOG_INFO, "%s", long_text);
    const char *const line = hear();
    const char *const end = strchr(line, '\n');

    assert_non_null(end);
    assert_non_null(strstr(line, "a?b?[2J??c \xc3\xa4\n"));
    assert_true(strlen(end + 1) > VINE_LOG_LINE_BYTES - 8);
    assert_true(strlen(end + 1) <= VINE_LOG_LINE_BYTES + 1);
    assert_ptr_equal(strchr(end + 1, '\n'), end + strlen(end) - 1);
}

static void lines_that_nobody_reads_are_lost_and_counted(void **state)
{
    const uint64_t lost_before = vine_log_lost();
    char wanted[64];
    char byte[65536];
    uint64_t lost;

    (void)state;
    listen_to_stderr();
    while (vine_log_lost() < lost_before + 100)
        vine_log("kv", VINE_LOG_INFO, "again and again");
    lost = vine_log_lost() - lost_before;
    assert_true(read(ends[0], byte, sizeof(byte)) > 0);
    vine_log("kv", VINE_LOG_INFO, "the last line");
    const char *const all = hear();
    (void)snprintf(wanted, sizeof(wanted), " log: %llu lines were lost", (unsigned long long)lost);

    const char *const told = strstr(all, wanted);

    assert_non_null(told);
    assert_non_null(strstr(told, "kv: the last line\n"));
    assert_int_equal(vine_log_lost() - lost_before, lost);
}

static struct kept {
    enum vine_log_level level;
    char module[32];
    char line[2000];
    uint32_t lines;
} kept;

static void keep(void *context, const char *module, enum vine_log_level level, const char *line)
{
    struct kept *const all = context;

    all->level = level;
    (void)snprintf(all->module, sizeof(all->module), "%s", module);
    (void)snprintf(all->line, sizeof(all->line), "%s", line);
    all->lines++;
}

static void lines_may_be_directed_elsewhere(void **state)
{
    const struct vine_log_target target = {.fn = keep, .context = &kept};

    (void)state;
    kept.lines = 0;
    listen_to_stderr();
    vine_log_direct(&target);
    errno = EXDEV;
    vine_log("kv", VINE_LOG_WARNING, "%s", "over there");
    assert_int_equal(errno, EXDEV);
    vine_log("kv", VINE_LOG_DEBUG, "not on");
    vine_log_direct(NULL);
    assert_string_equal(hear(), "");
    assert_int_equal(kept.lines, 1);
    assert_int_equal(kept.level, VINE_LOG_WARNING);
    assert_string_equal(kept.module, "kv");
    assert_string_equal(kept.line, "over there");
}

#define LOGGERS 3
#define LINES   200

static void *log_many(void *context)
{
    for (int i = 0; i < LINES; i++)
        vine_log("kv", VINE_LOG_INFO, "begin %d %s end", i, (const char *)context);
    return NULL;
}

static void lines_of_several_threads_stay_whole(void **state)
{
    pthread_t threads[LOGGERS];
    char *rest = NULL;
    uint32_t whole = 0;

    (void)state;
    listen_to_stderr();
    for (int i = 0; i < LOGGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, (void *)"middle"), 0);
    for (int i = 0; i < LOGGERS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)hear();
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        assert_true(strstr(line, "begin ") != NULL);
        assert_string_equal(line + strlen(line) - strlen(" middle end"), " middle end");
        whole++;
    }
    assert_int_equal(whole, LOGGERS * LINES);
}

#define TEST(name) cmocka_unit_test_teardown(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(levels_and_modules_that_are_none_are_refused),
        TEST(a_module_has_its_own_level_or_everybodys),
        TEST(a_line_says_when_where_and_what),
        TEST(a_line_is_one_line_and_no_terminals_command),
        TEST(lines_that_nobody_reads_are_lost_and_counted),
        TEST(lines_may_be_directed_elsewhere),
        TEST(lines_of_several_threads_stay_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
