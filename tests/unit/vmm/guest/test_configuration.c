/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=guest */
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/guest/configuration.h"

static struct configuration configuration;
static char complaints[8192];

static void complain(void *context, unsigned number, const char *why)
{
    const size_t used = strlen(complaints);

    assert_ptr_equal(context, &configuration);
    snprintf(complaints + used, sizeof(complaints) - used, "%u: %s\n", number, why);
}

static void parse_bytes(const char *text, size_t size)
{
    static char copy[CONFIGURATION_BYTES_MAX + 1];

    assert_true(size < sizeof(copy));
    memcpy(copy, text, size);
    complaints[0] = '\0';
    configuration_parse(copy, size, complain, &configuration, &configuration);
}

static void parse(const char *text)
{
    parse_bytes(text, strlen(text));
}

/* The words of a line, between bars. */
static void expect(size_t line, enum configuration_kind kind, unsigned number, const char *words)
{
    char all[1024] = "|";
    size_t used = 1, i;

    assert_true(line < configuration.line_count);
    assert_int_equal(configuration.lines[line].kind, kind);
    assert_int_equal(configuration.lines[line].number, number);
    for (i = 0; configuration.lines[line].words[i] != NULL; i++)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s|",
                                 configuration.lines[line].words[i]);
    assert_int_equal(configuration.lines[line].word_count, i);
    assert_string_equal(all, words);
}

static void lines_that_are_wrong_are_told_and_left_out(void **state)
{
    (void)state;
    parse("frob\n"
          "hostname\n"
          "hostname a b\n"
          "env A\n"
          "env =b\n"
          "net eth0\n"
          "mount /dev/vda relative ext4\n"
          "mount /dev/vda /a\n"
          "run name\n"
          "run name relative\n"
          "run na/me /bin/x\n"
          "run 12345678901234567890123456789012 /bin/x\n"
          "start \"\" /bin/x\n"
          "poweroff now\n"
          "env \"A=b\n"
          "hostname last");
    assert_int_equal(configuration.line_count, 1);
    expect(0, LINE_HOSTNAME, 16, "|last|");
    assert_string_equal(
        complaints,
        "1: there is no such keyword\n"
        "2: hostname NAME\n"
        "3: hostname NAME\n"
        "4: env KEY=VALUE\n"
        "5: env KEY=VALUE\n"
        "6: net INTERFACE ADDRESS/PREFIX\n"
        "7: a directory is named by its whole path\n"
        "8: mount DEVICE DIRECTORY TYPE [OPTIONS]\n"
        "9: run NAME PROGRAM [ARGUMENT...]\n"
        "10: a program is named by its whole path\n"
        "11: a program's name has 1 to 31 letters, digits, dots, underscores and dashes\n"
        "12: a program's name has 1 to 31 letters, digits, dots, underscores and dashes\n"
        "13: a program's name has 1 to 31 letters, digits, dots, underscores and dashes\n"
        "14: poweroff\n"
        "15: a quote is not closed\n");
}

static void a_line_with_a_zero_byte_is_left_out(void **state)
{
    (void)state;
    parse_bytes("hostname a\0b\npoweroff", 21);
    assert_string_equal(complaints, "1: it has a zero byte\n");
    assert_int_equal(configuration.line_count, 1);
    expect(0, LINE_POWEROFF, 2, "|");
}

static void words_stand_between_blanks_and_quotes(void **state)
{
    (void)state;
    parse("# a comment\n\n   \t\r\n"
          "\trun  a.b-c_1\t/bin/x \"two words\" \"\" a\"b c\"d \"\\\"\\\\\\n\" \\ #\r\n"
          "mount none /m tmpfs size=1M,nodev\n"
          "keep k /bin/k\n");
    assert_string_equal(complaints, "");
    assert_int_equal(configuration.line_count, 3);
    expect(0, LINE_RUN, 4, "|a.b-c_1|/bin/x|two words||ab cd|\"\\\\n|\\|#|");
    expect(1, LINE_MOUNT, 5, "|none|/m|tmpfs|size=1M,nodev|");
    expect(2, LINE_KEEP, 6, "|k|/bin/k|");
}

static void what_is_too_many_is_told(void **state)
{
    static char text[CONFIGURATION_BYTES_MAX];
    size_t used = 0;

    (void)state;
    for (int i = 0; i < CONFIGURATION_LINES_MAX + 1; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "poweroff\n");
    parse(text);
    assert_int_equal(configuration.line_count, CONFIGURATION_LINES_MAX);
    assert_string_equal(complaints, "257: there are too many lines\n");

    used = (size_t)snprintf(text, sizeof(text), "run a /b");
    for (int i = 2; i < CONFIGURATION_WORDS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " x");
    snprintf(text + used, sizeof(text) - used, "\nrun c /d\n");
    parse(text);
    assert_string_equal(complaints, "1: there are too many words\n");
    assert_int_equal(configuration.line_count, 1);
    expect(0, LINE_RUN, 2, "|c|/d|");

    /* One word less leaves room for the end, and for nothing more. */
    text[used - 2] = '\0';
    snprintf(text + used - 2, sizeof(text) - used, "\nrun c /d\npoweroff\n");
    parse(text);
    assert_string_equal(complaints, "2: there are too many words\n3: there are too many words\n");
    assert_int_equal(configuration.lines[0].word_count, CONFIGURATION_WORDS_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_are_wrong_are_told_and_left_out),
        cmocka_unit_test(a_line_with_a_zero_byte_is_left_out),
        cmocka_unit_test(words_stand_between_blanks_and_quotes),
        cmocka_unit_test(what_is_too_many_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
