/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Command lines of programs on reactors: what is wrong is told, what is right is taken. */
#include "core/launch/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/launch/options_internal.h"
#include "utils/tables.h"

static struct vine__launch_options options;
static struct vine__mistakes mistakes;

/* The words behind the program's name; NULL ends them. */
static int try(const struct vine_options *program, char **words)
{
    static char name[] = "bin/program";
    static char *argv[64];
    int argc = 0;

    memset(&options, 0, sizeof(options));
    memset(&mistakes, 0, sizeof(mistakes));
    argv[argc++] = name;
    for (; *words != NULL; words++)
        argv[argc++] = *words;
    argv[argc] = NULL;
    return vine__launch_options_init(&options, program, argc, argv, &mistakes);
}

#define TRY(program, ...) try(program, (char *[]){__VA_ARGS__, NULL})

static void take(const struct vine_options *program, char **words)
{
    if (try(program, words) != 0)
        fail_msg("%s: %s", words[0] != NULL ? words[0] : "no options", mistakes.text);
}

#define TAKE(program, ...) take(program, (char *[]){__VA_ARGS__, NULL})

static void every_bad_value_is_named_with_what_would_be_right(void **state)
{
    static const struct {
        const char *word, *right;
    } cases[] = {
        {"--smp=0", "a whole number, 1 to 64"},
        {"--smp=four", "a whole number, 1 to 64"},
        {"--smp=65", "a whole number, 1 to 64"},
        {"--smp=", "a whole number, 1 to 64"},
        {"--smp=-1", "a whole number, 1 to 64"},
        {"--smp=18446744073709551617", "a whole number, 1 to 64"},
        {"--cpuset=", "a list of processors, as 0-3,8"},
        {"--cpuset=3-1", "a list of processors, as 0-3,8"},
        {"--cpuset=0,9999999", "a list of processors, as 0-3,8"},
        {"--memory=much", "a size, as 512M or 4G, or a part, as 25%"},
        {"--memory=4X", "a size, as 512M"},
        {"--memory=101%", "or a part, as 25%"},
        {"--memory=%", "or a part, as 25%"},
        {"--memory=-5%", "or a part, as 25%"},
        {"--memory=99999999999999999999G", "a size, as 512M"},
        {"--reserve-memory=", "a size, as 512M"},
        {"--reserve-memory=1000000000000000000000000000000000%", "or a part"},
        {"--hugepages=", "a path"},
        {"--lock-memory=yes", "0 or 1"},
        {"--lock-memory=2", "0 or 1"},
        {"--num-io-queues=0", "a whole number, 1 to 64"},
        {"--max-io-requests=0", "a whole number, 1 to 1048576"},
        {"--topology=", "a file of hwloc's XML, or hwloc's words"},
        {"--explain-start=maybe", "0 or 1, or no value"},
        {"--thread-affinity=on", "0 or 1"},
        {"--overprovisioned=x", "0 or 1, or no value"},
        {"--poll-mode=-1", "0 or 1, or no value"},
        {"--idle-poll-time-us=1000001", "microseconds, as 200, 0 to 1000000"},
        {"--idle-poll-time-us=soon", "microseconds, as 200"},
        {"--task-quota-ms=0", "milliseconds, as 0.5, 0.01 to 1000"},
        {"--task-quota-ms=0.001", "milliseconds, as 0.5, 0.01 to 1000"},
        {"--task-quota-ms=.5", "milliseconds, as 0.5"},
        {"--task-quota-ms=5.", "milliseconds, as 0.5"},
        {"--task-quota-ms=0.5ms", "milliseconds, as 0.5"},
        {"--blocked-reactor-notify-ms=99999999999999999999", "milliseconds, as 0.5"},
        {"--max-task-backlog=0", "a whole number, 1 to 1000000000"},
        {"--shuffle-seed=4294967296", "a whole number, 0 to 4294967295"},
        {"--network-stack=native", "posix"},
        {"--reactor-backend=aio", "auto, io_uring or epoll"},
        {"--reactor-backend=io_uring|epoll", "auto, io_uring or epoll"},
        {"--malloc=mimalloc", "core or process"},
        {"--abort-on-bad-alloc=no", "0 or 1, or no value"},
        {"--default-log-level=loud", "error, warning, info or debug"},
        {"--logger-log-level=file", "MODULE=LEVEL, the level one of error, warning, info or debug"},
        {"--logger-log-level==info", "MODULE=LEVEL"},
        {"--logger-log-level=a=info:", "MODULE=LEVEL"},
        {"--logger-log-level=a=info:b=much", "MODULE=LEVEL"},
        {"--help=me", "text, man or markdown"},
        {"--version=2", "0 or 1, or no value"},
    };

    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(cases); i++) {
        char word[128], name[64];

        snprintf(word, sizeof(word), "%s", cases[i].word);
        snprintf(name, sizeof(name), "%.*s: '", (int)strcspn(word, "="), word);
        if (TRY(NULL, word) != -EINVAL)
            fail_msg("%s was taken", word);
        assert_int_equal(mistakes.count, 1);
        if (strstr(mistakes.text, name) == NULL || strstr(mistakes.text, cases[i].right) == NULL ||
            strstr(mistakes.text, strchr(word, '=') + 1) == NULL)
            fail_msg("%s: %s", word, mistakes.text);
        assert_null(options.argv);
    }
    /* Each option that takes a value is among them. */
    for (uint32_t i = 0; i < VINE__LAUNCH_COUNT; i++) {
        const struct vine__option_row row = vine__option_row(NULL, i);
        bool is_there = false;

        for (size_t j = 0; j < VINE_ARRAY_COUNT(cases); j++)
            is_there = is_there || (strncmp(cases[j].word + 2, row.name, strlen(row.name)) == 0 &&
                                    cases[j].word[2 + strlen(row.name)] == '=');
        if (!is_there)
            fail_msg("--%s: no case", row.name);
    }
}

static void a_modules_name_that_is_too_long_is_told_as_such(void **state)
{
    (void)state;
    assert_int_equal(TRY(NULL, "--logger-log-level=a23456789b123456789c123456789d12=info"),
                     -EINVAL);
    assert_non_null(
        strstr(mistakes.text, "has too long a name; right would be one of 31 bytes at most"));
}

static void an_option_without_its_value_says_what_it_takes(void **state)
{
    (void)state;
    assert_int_equal(TRY(NULL, "--smp"), -EINVAL);
    assert_string_equal(mistakes.text, "--smp: it takes a value: a whole number, 1 to 64");
}

static void operands_that_a_program_does_not_take_are_told(void **state)
{
    static const struct {
        const char *takes, *given, *wrong;
    } cases[] = {
        {NULL, "", NULL},
        {"", "", NULL},
        {NULL, "x", "'x': it takes options alone, and this is none"},
        {"", "x", "'x': it takes options alone, and this is none"},
        {"FILE", "", "FILE is missing"},
        {"FILE", "a", NULL},
        {"FILE", "a b", "'b' is one too many: it takes FILE"},
        {"FROM TO", "", "FROM is missing: it takes FROM TO"},
        {"FROM TO", "a", "TO is missing: it takes FROM TO"},
        {"FROM TO", "a b", NULL},
        {"FROM TO", "a b c d", "'c' is one too many: it takes FROM TO"},
        {"FROM [TO]", "", "FROM is missing: it takes FROM [TO]"},
        {"FROM [TO]", "a", NULL},
        {"FROM [TO]", "a b", NULL},
        {"FROM [TO]", "a b c", "'c' is one too many: it takes FROM [TO]"},
        {"FILE...", "", "FILE... is missing: it takes FILE..."},
        {"FILE...", "a b c d e", NULL},
        {"[FILE...]", "", NULL},
        {"[FILE...]", "a b c d e", NULL},
        {"  FROM...  TO ", "a", "TO is missing"},
    };
    char words[64], *list[16], *rest;

    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(cases); i++) {
        const struct vine_options program = {.size_bytes = sizeof(program),
                                             .operands = cases[i].takes};
        size_t count = 0;
        int error;

        (void)snprintf(words, sizeof(words), "%s", cases[i].given);
        rest = words;
        while ((list[count] = strsep(&rest, " ")) != NULL)
            count += list[count][0] != '\0';
        error = try(&program, list);
        if (cases[i].wrong == NULL
                ? error != 0
                : error != -EINVAL || strstr(mistakes.text, cases[i].wrong) == NULL)
            fail_msg("%s: '%s': %d, %s", cases[i].takes, cases[i].given, error, mistakes.text);
        vine__launch_options_fini(&options);
    }
    /* Who asks what there is to be given need not give it. */
    const struct vine_options program = {.size_bytes = sizeof(program), .operands = "FILE"};

    TAKE(&program, "--help");
    vine__launch_options_fini(&options);
    TAKE(&program, "--version");
    vine__launch_options_fini(&options);
    TAKE(&program, "--topology=pu:1");
    vine__launch_options_fini(&options);
}

static void addresses_and_choices_of_a_program_are_checked_when_they_are_read(void **state)
{
    const char *where = NULL;
    struct vine_texts all = {0};
    uint64_t how = 77;
    const struct vine_option own[] = {
        {.name = "listen", .kind = VINE_OPTION_ADDRESS, .value = &where, .help = "where"},
        {.name = "also", .kind = VINE_OPTION_ADDRESSES, .value = &all, .help = "where else"},
        {.name = "how",
         .kind = VINE_OPTION_CHOICE,
         .value = &how,
         .shown = "best|fast|safe",
         .fallback = "fast",
         .help = "how"},
    };
    const struct vine_options program = {
        .size_bytes = sizeof(program), .options = own, .option_count = VINE_ARRAY_COUNT(own)};
    static const char *const wrong[] = {"--listen=x", "--listen=", "--listen=localhost:80",
                                        "--listen=127.0.0.1:65536", "--also=x"};

    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(wrong); i++) {
        char word[64];

        (void)snprintf(word, sizeof(word), "%s", wrong[i]);
        assert_int_equal(TRY(&program, word), -EINVAL);
        assert_non_null(strstr(mistakes.text, strchr(wrong[i], '=') + 1));
        assert_non_null(strstr(mistakes.text, "is not what it takes: an address, as 127.0.0.1:80, "
                                              "[::1]:80, unix:PATH or unix:@NAME"));
    }
    /* What is too long is no other form of an address. */
    char path[200] = "--listen=unix:";

    memset(path + strlen(path), 'x', 108);
    assert_int_equal(TRY(&program, path), -EINVAL);
    assert_non_null(strstr(mistakes.text, "a path or name of at most 107 bytes behind unix:"));
    assert_int_equal(TRY(&program, "--how=well"), -EINVAL);
    assert_string_equal(mistakes.text, "--how: 'well' is not what it takes: best, fast or safe");
    assert_int_equal(how, 77);
    TAKE(&program, "--listen=[::1]:80", "--also=unix:@a", "--also", "127.0.0.1:0");
    assert_string_equal(where, "[::1]:80");
    assert_int_equal(all.count, 2);
    assert_string_equal(all.texts[1], "127.0.0.1:0");
    assert_int_equal(how, 1);
    vine__launch_options_fini(&options);
    TAKE(&program, "--how=safe");
    assert_int_equal(how, 2);
    vine__launch_options_fini(&options);
}

static void an_unknown_option_is_told_with_the_one_that_is_like_it(void **state)
{
    (void)state;
    assert_int_equal(TRY(NULL, "--smpp", "3"), -EINVAL);
    assert_string_equal(mistakes.text, "--smpp: there is no such option; there is --smp");
    assert_int_equal(TRY(NULL, "--max_io_request=3"), -EINVAL);
    assert_string_equal(mistakes.text,
                        "--max_io_request: there is no such option; there is --max-io-requests");
    assert_int_equal(TRY(NULL, "--zebra"), -EINVAL);
    assert_string_equal(mistakes.text, "--zebra: there is no such option; --help lists all");
    assert_int_equal(TRY(NULL, "-c4"), -EINVAL);
    assert_non_null(strstr(mistakes.text, "-c4: there is no such option"));
    assert_int_equal(TRY(NULL, "--=4"), -EINVAL);
}

static void all_mistakes_are_told_at_once_a_line_each(void **state)
{
    (void)state;
    assert_int_equal(TRY(NULL, "--smp=0", "--memory=x", "--nothing-like-it", "--poll-mode"),
                     -EINVAL);
    assert_int_equal(mistakes.count, 3);
    assert_string_equal(
        mistakes.text,
        "--smp: '0' is not what it takes: a whole number, 1 to 64\n"
        "--memory: 'x' is not what it takes: a size, as 512M or 4G, or a part, as 25%\n"
        "--nothing-like-it: there is no such option; --help lists all");
}

static void mistakes_beyond_the_room_are_counted_and_none_is_cut(void **state)
{
    static struct vine__mistakes many;

    (void)state;
    for (int i = 0; i < 1000; i++)
        vine__mistakes_add(&many, "mistake number %d.", i);
    assert_int_equal(many.count, 1000);
    assert_int_equal(strlen(many.text), many.length);
    assert_int_equal(many.text[many.length - 1], '.');
}

static void without_options_the_tables_defaults_hold(void **state)
{
    (void)state;
    TAKE(NULL, NULL);
    assert_int_equal(options.smp.origin, VINE__ORIGIN_NONE);
    assert_null(options.memory.text);
    assert_int_equal(options.lock_memory.number, 0);
    assert_int_equal(options.thread_affinity.number, 1);
    assert_int_equal(options.idle_poll_time.number, 200000);
    assert_int_equal(options.task_quota.number, 500000);
    assert_int_equal(options.blocked_notify.number, 25000000);
    assert_int_equal(options.max_task_backlog.number, 1000);
    assert_int_equal(options.reactor_backend.number, VINE__LAUNCH_BACKEND_AUTO);
    assert_int_equal(options.default_log_level.number, VINE_LOG_INFO);
    assert_null(options.help.text);
    assert_false(vine__is_asked(&options.task_quota));
    assert_int_equal(options.argc, 1);
    vine__launch_options_fini(&options);
}

static void values_are_taken_by_their_units(void **state)
{
    (void)state;
    TAKE(NULL, "--smp", "3", "--memory=4G", "--reserve-memory", "12.5%", "--task-quota-ms", "1.25",
         "--idle-poll-time-us=0", "--poll-mode", "--reactor-backend=epoll", "--help=markdown",
         "--cpuset", "0-1", "--blocked-reactor-notify-ms", "0", "--overprovisioned=0");
    assert_int_equal(options.smp.number, 3);
    assert_true(vine__is_asked(&options.smp));
    assert_int_equal(options.memory.number, UINT64_C(4) << 30);
    assert_false(options.memory.is_percent);
    assert_int_equal(options.reserve_memory.number, 12500);
    assert_true(options.reserve_memory.is_percent);
    assert_int_equal(options.task_quota.number, 1250000);
    assert_int_equal(options.idle_poll_time.number, 0);
    assert_int_equal(options.poll_mode.number, 1);
    assert_int_equal(options.overprovisioned.number, 0);
    assert_int_equal(options.reactor_backend.number, VINE__LAUNCH_BACKEND_EPOLL);
    assert_int_equal(options.help.number, VINE__LAUNCH_HELP_MARKDOWN);
    assert_string_equal(options.cpuset.text, "0-1");
    vine__launch_options_fini(&options);
    /* The last one counts. */
    TAKE(NULL, "--smp=3", "-h", "--smp=5");
    assert_int_equal(options.smp.number, 5);
    assert_int_equal(options.help.number, VINE__LAUNCH_HELP_TEXT);
    assert_non_null(options.help.text);
    vine__launch_options_fini(&options);
}

static void what_is_no_option_goes_to_the_program(void **state)
{
    (void)state;
    TAKE(NULL, "one", "--smp", "2", "-", "two", "--", "--smp", "--", "-x");
    static const char *const expected[] = {"bin/program", "one", "-", "two", "--smp", "--", "-x"};
    assert_int_equal(options.argc, VINE_ARRAY_COUNT(expected));
    for (size_t i = 0; i < VINE_ARRAY_COUNT(expected); i++)
        assert_string_equal(options.argv[i], expected[i]);
    assert_null(options.argv[options.argc]);
    vine__launch_options_fini(&options);

    char *nothing[] = {NULL};
    assert_int_equal(vine__launch_options_init(&options, NULL, 0, nothing, &mistakes), 0);
    assert_string_equal(options.argv[0], "vine");
    vine__launch_options_fini(&options);
}

static void levels_of_modules_are_found_and_the_last_one_counts(void **state)
{
    (void)state;
    TAKE(NULL, "--logger-log-level", "file=debug:net=error", "--default-log-level=warning",
         "--logger-log-level=file=info");
    assert_int_equal(vine__launch_level(&options, "file"), VINE_LOG_INFO);
    assert_int_equal(vine__launch_level(&options, "net"), VINE_LOG_ERROR);
    assert_int_equal(vine__launch_level(&options, "fil"), VINE_LOG_WARNING);
    assert_int_equal(vine__launch_level(&options, "files"), VINE_LOG_WARNING);
    vine__launch_options_fini(&options);

    /* One more than there is room for. */
    static char all[VINE__LEVELS_MAX * 8 + 16];
    for (int i = 0; i <= VINE__LEVELS_MAX; i++)
        strcat(all, i == 0 ? "a=info" : ":a=info");
    static char word[sizeof(all) + 32];
    snprintf(word, sizeof(word), "--logger-log-level=%s", all);
    assert_int_equal(TRY(NULL, word), -EINVAL);
    assert_string_equal(mistakes.text, "--logger-log-level: there is room for 64 modules");
}

static bool own_flag;
static uint64_t own_port, own_size, own_pause;
static const char *own_text;
static struct vine_texts own_texts, own_others;

static const struct vine_option own[] = {
    {.name = "chatty", .kind = VINE_OPTION_FLAG, .value = &own_flag, .help = "say more"},
    {.name = "port",
     .kind = VINE_OPTION_COUNT,
     .value = &own_port,
     .shown = "PORT",
     .fallback = "7000",
     .least = "1",
     .greatest = "65535",
     .help = "where to listen"},
    {.name = "chunk", .kind = VINE_OPTION_SIZE, .value = &own_size, .least = "4K", .help = "bytes"},
    {.name = "pause",
     .kind = VINE_OPTION_MILLISECONDS,
     .value = &own_pause,
     .greatest = "10",
     .help = "between two"},
    {.name = "name", .kind = VINE_OPTION_TEXT, .value = &own_text, .help = "who it is"},
    {.name = "at", .kind = VINE_OPTION_TEXTS, .value = &own_texts, .help = "where"},
    {.name = "other",
     .kind = VINE_OPTION_TEXTS,
     .value = &own_others,
     .fallback = "nobody",
     .help = "who else"},
};

static const struct vine_options program = {
    .size_bytes = sizeof(program),
    .name = "program",
    .operands = "[WORD...]",
    .options = own,
    .option_count = VINE_ARRAY_COUNT(own),
    .defaults = (const char *const[]){"--smp=2", "--chunk=8K", "--poll-mode", NULL},
};

static void reset_own(void)
{
    own_flag = false;
    own_port = own_size = own_pause = 77;
    own_text = "untouched";
    own_texts = own_others = (struct vine_texts){0};
}

static void a_programs_own_options_are_refused_as_the_others_and_nothing_is_stored(void **state)
{
    (void)state;
    reset_own();
    assert_int_equal(
        TRY(&program, "--port=0", "--chunk", "1K", "--pause=10.1", "--chattty", "--name=x"),
        -EINVAL);
    assert_string_equal(mistakes.text,
                        "--port: '0' is not what it takes: a whole number, 1 to 65535\n"
                        "--chunk: '1K' is not what it takes: a size, as 512M, at least 4K\n"
                        "--pause: '10.1' is not what it takes: milliseconds, as 0.5, at most 10\n"
                        "--chattty: there is no such option; there is --chatty");
    assert_int_equal(own_port, 77);
    assert_string_equal(own_text, "untouched");
}

static void a_programs_own_options_are_stored_by_their_kinds(void **state)
{
    (void)state;
    reset_own();
    TAKE(&program, NULL);
    assert_false(own_flag);
    assert_int_equal(own_port, 7000);
    assert_int_equal(own_size, 8192); /* the program's own wish */
    assert_int_equal(own_pause, 77);  /* nobody says anything */
    assert_string_equal(own_text, "untouched");
    vine__launch_options_fini(&options);
    TAKE(&program, "--chatty", "--port", "0x50", "--chunk=1M", "--pause=0.25", "--name=", "x");
    assert_true(own_flag);
    assert_int_equal(own_port, 80);
    assert_int_equal(own_size, 1 << 20);
    assert_int_equal(own_pause, 250000);
    assert_string_equal(own_text, "");
    assert_int_equal(options.argc, 2);
    vine__launch_options_fini(&options);
}

static void an_option_of_texts_may_be_given_any_number_of_times(void **state)
{
    struct vine_options wishing = program;

    (void)state;
    reset_own();
    TAKE(&program, NULL);
    assert_int_equal(own_texts.count, 0);
    assert_int_equal(own_others.count, 1);
    assert_string_equal(own_others.texts[0], "nobody");
    vine__launch_options_fini(&options);
    TAKE(&program, "--at=one", "--other", "a", "--at", "two", "--at=", "--other=b");
    assert_int_equal(own_texts.count, 3);
    assert_string_equal(own_texts.texts[0], "one");
    assert_string_equal(own_texts.texts[1], "two");
    assert_string_equal(own_texts.texts[2], "");
    assert_int_equal(own_others.count, 2);
    assert_string_equal(own_others.texts[0], "a");
    assert_string_equal(own_others.texts[1], "b");
    vine__launch_options_fini(&options);
    /* Those of the program stay as long as the command line has none. */
    wishing.defaults = (const char *const[]){"--other=x", "--other=y", NULL};
    TAKE(&wishing, NULL);
    assert_int_equal(own_others.count, 2);
    assert_string_equal(own_others.texts[1], "y");
    vine__launch_options_fini(&options);
    TAKE(&wishing, "--other=z");
    assert_int_equal(own_others.count, 1);
    assert_string_equal(own_others.texts[0], "z");
    vine__launch_options_fini(&options);
}

static void what_a_program_wishes_gives_way_to_the_command_line(void **state)
{
    (void)state;
    TAKE(&program, NULL);
    assert_int_equal(options.smp.number, 2);
    assert_int_equal(options.smp.origin, VINE__ORIGIN_PROGRAM);
    assert_int_equal(options.poll_mode.number, 1);
    vine__launch_options_fini(&options);
    TAKE(&program, "--smp=7", "--poll-mode=0");
    assert_int_equal(options.smp.number, 7);
    assert_int_equal(options.smp.origin, VINE__ORIGIN_USER);
    assert_int_equal(options.poll_mode.number, 0);
    vine__launch_options_fini(&options);
}

static void a_wrong_wish_is_told_as_the_programs(void **state)
{
    struct vine_options wrong = program;

    (void)state;
    wrong.defaults = (const char *const[]){"--smp=x", "memory", "--nope=1", "--memory", NULL};
    assert_int_equal(TRY(&wrong, NULL), -EINVAL);
    assert_string_equal(
        mistakes.text,
        "--smp (the program's own default): 'x' is not what it takes: a whole number, 1 to 64\n"
        "memory (the program's own default): an option begins with two dashes\n"
        "--nope (the program's own default): there is no such option; --help lists all\n"
        "--memory (the program's own default): it takes a value: a size, as 512M or 4G, or a part, "
        "as 25%");
}

static void a_program_of_another_version_is_read_as_far_as_it_goes(void **state)
{
    const struct vine_options older = {.size_bytes = offsetof(struct vine_options, version),
                                       .summary = "it runs",
                                       .version = "beyond its end"};
    struct vine_options known = vine__launch_program(&older, "some/where/run");

    (void)state;
    assert_string_equal(known.name, "run");
    assert_string_equal(known.summary, "it runs");
    assert_null(known.version);
    assert_int_equal(known.size_bytes, sizeof(known));
    known = vine__launch_program(NULL, NULL);
    assert_string_equal(known.name, "vine");
    known = vine__launch_program(&program, "x");
    assert_string_equal(known.name, "program");
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VINE__LAUNCH_COUNT; i++) {
        const struct vine__option_row row = vine__option_row(NULL, i);
        struct vine__launch_value value;
        char right[VINE__RIGHT_BYTES];
        const char *const texts[] = {vine__option_has_fallback(&row) ? row.fallback : NULL,
                                     row.bare, row.least, row.greatest};

        assert_int_equal(vine__option_find(NULL, row.name, strlen(row.name)), i);
        assert_true(row.help[strlen(row.help) - 1] != '.');
        for (size_t j = 0; j < VINE_ARRAY_COUNT(texts); j++)
            if (texts[j] != NULL && vine__option_parse(&row, texts[j], &value, right) != 0)
                fail_msg("--%s: its own '%s' is wrong", row.name, texts[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_value_is_named_with_what_would_be_right),
        cmocka_unit_test(a_modules_name_that_is_too_long_is_told_as_such),
        cmocka_unit_test(an_option_without_its_value_says_what_it_takes),
        cmocka_unit_test(operands_that_a_program_does_not_take_are_told),
        cmocka_unit_test(addresses_and_choices_of_a_program_are_checked_when_they_are_read),
        cmocka_unit_test(an_unknown_option_is_told_with_the_one_that_is_like_it),
        cmocka_unit_test(all_mistakes_are_told_at_once_a_line_each),
        cmocka_unit_test(mistakes_beyond_the_room_are_counted_and_none_is_cut),
        cmocka_unit_test(without_options_the_tables_defaults_hold),
        cmocka_unit_test(values_are_taken_by_their_units),
        cmocka_unit_test(what_is_no_option_goes_to_the_program),
        cmocka_unit_test(levels_of_modules_are_found_and_the_last_one_counts),
        cmocka_unit_test(a_programs_own_options_are_refused_as_the_others_and_nothing_is_stored),
        cmocka_unit_test(a_programs_own_options_are_stored_by_their_kinds),
        cmocka_unit_test(an_option_of_texts_may_be_given_any_number_of_times),
        cmocka_unit_test(what_a_program_wishes_gives_way_to_the_command_line),
        cmocka_unit_test(a_wrong_wish_is_told_as_the_programs),
        cmocka_unit_test(a_program_of_another_version_is_read_as_far_as_it_goes),
        cmocka_unit_test(every_row_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
