/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* --help, the page for man and the guide say of each option what its table has. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/launch/explain.h"
#include "core/launch/options_internal.h"

/* All lines, each with its end. */
static char text[64 * 1024];
static size_t text_length, longest;

static void keep(void *context, const char *line)
{
    const size_t length = strlen(line);

    (void)context;
    assert_true(text_length + length + 2 < sizeof(text));
    assert_null(strchr(line, '\n'));
    memcpy(text + text_length, line, length);
    text_length += length;
    text[text_length++] = '\n';
    text[text_length] = '\0';
    longest = length > longest ? length : longest;
}

static const struct vine__lines lines = {.fn = keep};

static void reset(void)
{
    text_length = longest = 0;
    text[0] = '\0';
}

static const struct vine_option own[] = {
    {.name = "port",
     .kind = VINE_OPTION_COUNT,
     .shown = "PORT",
     .fallback = "7000",
     .help = "where to listen|speak"},
};

static const struct vine_options program = {
    .size_bytes = sizeof(program),
    .name = "echo-server",
    .summary = ".answers with what it was sent, which it does on and on and on until it is stopped",
    .version = "1.2",
    .operands = "FILE...",
    .options = own,
    .option_count = 1,
    .defaults = (const char *const[]){"--smp=2", NULL},
};

static void has(const char *what)
{
    if (strstr(text, what) == NULL)
        fail_msg("'%s' is not in:\n%s", what, text);
}

static void help_has_each_option_of_both_tables(void **state)
{
    (void)state;
    reset();
    vine__launch_help(&program, program.name, &lines);
    for (uint32_t i = 0; i < vine__option_rows(&program); i++) {
        const struct vine__option_row row = vine__option_row(&program, i);
        char name[128];

        snprintf(name, sizeof(name), "\n  --%s%s", row.name,
                 row.shown == NULL ? "" : (row.bare != NULL ? "[=" : " "));
        has(name);
        assert_true(strlen(row.help) > 10);
    }
    has("Usage: echo-server [OPTION...] FILE...\n.answers with");
    has("\nOptions:\n  --port PORT                 where to listen|speak (default 7000)\n");
    /* The program's wish stands in place of the table's default. */
    has("how many cores there are, each a thread on a\n"
        "                              processor of its own (default 2)\n");
    assert_true(longest <= 80);
    reset();
    vine__launch_help(NULL, "x", &lines);
    has("Usage: x [OPTION...]\n");
    has("(default: all that may be\n");
    assert_null(strstr(text, "--port"));
}

static void the_page_for_man_has_each_option_with_its_dashes(void **state)
{
    (void)state;
    reset();
    vine__launch_manual(&program, program.name, &lines);
    has(".TH \"echo\\-server\" 1 \"\" \"1.2\"\n.SH NAME\necho\\-server \\- \\&.answers");
    has(".TP\n.B \\-\\-port \\fIPORT\\fR\nwhere to listen|speak; default 7000.\n");
    has(".B \\-\\-lock\\-memory \\fI0|1\\fR\n");
    has(".B \\-\\-help\\fR[=\\fItext|man|markdown\\fR]\n");
    has(".B \\-\\-poll\\-mode\n");
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        if (at[1] == '.')
            assert_true(strchr("TSB", at[2]) != NULL);
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, ".TP\n")) != NULL; at++)
        count++;
    assert_int_equal(count, vine__option_rows(&program));
}

/* The guide, in `ret_guide`. */
static void read_guide(char *ret_guide, size_t capacity)
{
    const char *const folder = getenv("VINE_SOURCE_DIR");
    char path[512];
    FILE *file;

    assert_non_null(folder); /* ctest says where the sources are */
    snprintf(path, sizeof(path), "%s/docs/guides/runtime.md", folder);
    file = fopen(path, "r");
    assert_non_null(file);

    const size_t size = fread(ret_guide, 1, capacity - 1, file);

    fclose(file);
    assert_true(size > 0 && size < capacity - 1);
    ret_guide[size] = '\0';
}

/* What lies between two lines of the guide is `text`. */
static void expect_between(const char *guide, const char *first, const char *last)
{
    const char *begin = strstr(guide, first), *end = strstr(guide, last);

    assert_non_null(begin);
    assert_non_null(end);
    begin += strlen(first);
    if ((size_t)(end - begin) != text_length || memcmp(begin, text, text_length) != 0)
        fail_msg("between %s and %s docs/guides/runtime.md ought to have:\n%s", first, last, text);
}

static void the_guide_has_the_tables_of_options_and_steps(void **state)
{
    static char guide[64 * 1024];

    (void)state;
    read_guide(guide, sizeof(guide));
    reset();
    vine__launch_markdown(NULL, &lines);
    expect_between(guide, "<!-- options -->\n", "<!-- end of options -->");
    reset();
    keep(NULL, "| step | | what happens |");
    keep(NULL, "|---|---|---|");
    for (enum vine__step step = VINE__STEP_SIGNALS; step < VINE__STEP_COUNT; step++)
        vine__lines_add(&lines, "| %u | %s | %s |", (unsigned int)step + 1, vine__step_name(step),
                        vine__step_text(step));
    expect_between(guide, "<!-- steps -->\n", "<!-- end of steps -->");
}

static void a_table_has_the_programs_options_first_and_no_bar_in_a_cell(void **state)
{
    (void)state;
    reset();
    vine__launch_markdown(&program, &lines);
    has("|---|---|---|---|\n"
        "| `--port PORT` | a whole number | 7000 | where to listen\\|speak |\n"
        "| `--smp N` | a whole number, 1 to 64 | 2 |");
}

static void lines_are_broken_between_words(void **state)
{
    (void)state;
    reset();
    vine__lines_wrap(&lines, "a: ", 3, 10, "one two three fourfivesixseven eight");
    assert_string_equal(text, "a: one two\n   three\n   fourfivesixseven\n   eight\n");
    reset();
    vine__lines_wrap(&lines, "much too long: ", 2, 8, "one two");
    assert_string_equal(text, "much too long: one\n  two\n");
    reset();
    vine__lines_wrap(&lines, "x", 0, 8, "");
    assert_string_equal(text, "x\n");
    reset();
    vine__lines_add(&(struct vine__lines){0}, "nobody hears %d", 1);
    assert_string_equal(text, "");
}

static void bytes_are_written_in_the_unit_that_fits(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 bytes"},
        {1023, "1023 bytes"},
        {1024, "1 KiB"},
        {1536, "1.50 KiB"},
        {UINT64_C(1536) << 20, "1.50 GiB"},
        {(UINT64_C(1) << 30) - 1, "1023.99 MiB"},
        {UINT64_C(3) << 40, "3 TiB"},
        {UINT64_MAX, "16383.99 PiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char written[VINE__BYTES_TEXT];

        assert_string_equal(vine__bytes_text(cases[i].bytes, written), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_has_each_option_of_both_tables),
        cmocka_unit_test(the_page_for_man_has_each_option_with_its_dashes),
        cmocka_unit_test(the_guide_has_the_tables_of_options_and_steps),
        cmocka_unit_test(a_table_has_the_programs_options_first_and_no_bar_in_a_cell),
        cmocka_unit_test(lines_are_broken_between_words),
        cmocka_unit_test(bytes_are_written_in_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
