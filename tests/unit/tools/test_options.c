/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../tools/message.h"
#include "../tools/options.h"

struct values {
    bool flag, other;
    const char *text;
    uint64_t count, few, size;
    struct option_list list;
};

static const struct option table[] = {
    {.name = "flag", .letter = 'f', .kind = OPTION_FLAG, .offset = offsetof(struct values, flag)},
    {.name = "other", .letter = 'x', .kind = OPTION_FLAG, .offset = offsetof(struct values, other)},
    {.name = "text",
     .letter = 't',
     .kind = OPTION_TEXT,
     .offset = offsetof(struct values, text),
     .value = "WORD"},
    {.name = "count",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .offset = offsetof(struct values, count),
     .value = "N"},
    {.name = "few",
     .kind = OPTION_COUNT,
     .min = 1,
     .max = 9,
     .offset = offsetof(struct values, few),
     .value = "N"},
    {.name = "size", .kind = OPTION_SIZE, .offset = offsetof(struct values, size), .value = "SIZE"},
    {.name = "list",
     .letter = 'l',
     .kind = OPTION_LIST,
     .offset = offsetof(struct values, list),
     .value = "WORD"},
};

static const struct verb verb = {
    .name = "test",
    .synopsis = "A [B]",
    .options = table,
    .option_count = sizeof(table) / sizeof(table[0]),
    .values_size = sizeof(struct values),
    .operands_min = 1,
    .operands_max = 2,
};

static enum options_outcome parse(struct arguments *arguments, char **argv)
{
    int count = 0;

    while (argv[count] != NULL)
        count++;
    return options_parse(&verb, count, argv, arguments);
}

#define PARSE(arguments, ...) parse(arguments, (char *[]){__VA_ARGS__, NULL})

static void expect_wrong(char **argv)
{
    struct arguments arguments;

    assert_int_equal(parse(&arguments, argv), OPTIONS_WRONG);
    options_free(&arguments);
}

#define WRONG(...) expect_wrong((char *[]){__VA_ARGS__, NULL})

static void what_is_not_in_the_table_is_refused(void **state)
{
    (void)state;
    WRONG("a", "--nothing");
    WRONG("a", "--fla");
    WRONG("a", "--flags");
    WRONG("a", "-q");
    WRONG("a", "-fq");
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
    (void)state;
    WRONG("a", "--count");
    WRONG("a", "-n");
    WRONG("a", "--count=");
    WRONG("a", "--count=-1");
    WRONG("a", "--count=1x");
    WRONG("a", "--count", "18446744073709551616");
    WRONG("a", "--size=1Q");
    WRONG("a", "--size=99999999999G");
    WRONG("a", "--text=");
    WRONG("a", "--flag=1");
}

static void counts_keep_to_their_bounds_and_zero_is_as_good_as_given(void **state)
{
    struct arguments arguments;
    const struct values *values;

    (void)state;
    expect_wrong((char *[]){"--few=0", "a", NULL});
    expect_wrong((char *[]){"--few=10", "a", NULL});
    assert_int_equal(PARSE(&arguments, "--few", "9", "-n0", "a"), OPTIONS_PARSED);
    values = arguments.values;
    assert_int_equal(values->few, 9);
    assert_int_equal(values->count, 0);
    assert_int_equal(arguments.given, 1ULL << 3 | 1ULL << 4);
    options_free(&arguments);
}

static void too_few_and_too_many_operands_are_refused(void **state)
{
    (void)state;
    WRONG("--flag");
    WRONG("a", "b", "c");
}

static void every_form_of_an_option_is_understood(void **state)
{
    struct arguments arguments;

    (void)state;
    assert_int_equal(PARSE(&arguments, "-fxtword", "a", "--count=3", "--size", "1M", "b"),
                     OPTIONS_PARSED);
    const struct values *values = arguments.values;
    assert_true(values->flag && values->other);
    assert_string_equal(values->text, "word");
    assert_int_equal(values->count, 3);
    assert_int_equal(values->size, 1 << 20);
    assert_int_equal(arguments.operand_count, 2);
    assert_string_equal(arguments.operands[0], "a");
    assert_string_equal(arguments.operands[1], "b");
    options_free(&arguments);
}

static void what_can_be_one_alone_is_refused_the_second_time(void **state)
{
    struct arguments arguments;

    (void)state;
    WRONG("a", "-n1", "--count", "2");
    WRONG("a", "-n1", "-n1");
    WRONG("a", "--text=b", "--text", "c");
    WRONG("a", "--size=1M", "--size=1M");
    assert_non_null(strstr(message_last_error(), "--size is given twice"));
    assert_int_equal(PARSE(&arguments, "a", "-f", "-lb", "--flag", "--list=c"), OPTIONS_PARSED);
    assert_int_equal(((const struct values *)arguments.values)->list.count, 2);
    options_free(&arguments);
}

static void behind_two_dashes_all_are_operands(void **state)
{
    struct arguments arguments;

    (void)state;
    assert_int_equal(PARSE(&arguments, "--", "--flag", "-h"), OPTIONS_PARSED);
    assert_int_equal(arguments.operand_count, 2);
    assert_false(((const struct values *)arguments.values)->flag);
    options_free(&arguments);
}

static void a_single_dash_is_an_operand(void **state)
{
    struct arguments arguments;

    (void)state;
    assert_int_equal(PARSE(&arguments, "-"), OPTIONS_PARSED);
    assert_string_equal(arguments.operands[0], "-");
    options_free(&arguments);
}

static void help_is_given_whatever_else_is_wrong(void **state)
{
    struct arguments arguments;

    (void)state;
    assert_int_equal(PARSE(&arguments, "--nothing", "--help"), OPTIONS_HELP);
    options_free(&arguments);
    assert_int_equal(PARSE(&arguments, "-h"), OPTIONS_HELP);
    options_free(&arguments);
}

static void every_verb_has_a_table_without_doubles(void **state)
{
    (void)state;
    assert_true(verb_count >= 8);
    for (size_t i = 0; i < verb_count; i++) {
        assert_ptr_equal(verb_find(verbs[i]->name), verbs[i]);
        assert_true((verbs[i]->run != NULL) != (verbs[i]->program != NULL));
        for (size_t k = 0; k < verbs[i]->option_count; k++) {
            const struct option *option = &verbs[i]->options[k];
            assert_non_null(option->help);
            assert_true((option->kind == OPTION_FLAG) == (option->value == NULL));
            assert_true(option->offset < verbs[i]->values_size);
            for (size_t j = 0; j < k; j++) {
                const struct option *before = &verbs[i]->options[j];
                assert_string_not_equal(before->name, option->name);
                assert_true(option->letter == 0 || before->letter != option->letter);
            }
        }
    }
}

static void a_list_has_all_in_their_order(void **state)
{
    char *argv[] = {"-l", "one", "--list=two", "operand", "-lone", NULL};
    char *empty[] = {"-l", "one", "--list=", "operand", NULL};
    struct arguments arguments;

    (void)state;
    assert_int_equal(parse(&arguments, argv), OPTIONS_PARSED);
    const struct values *values = arguments.values;
    assert_int_equal(values->list.count, 3);
    assert_string_equal(values->list.texts[0], "one");
    assert_string_equal(values->list.texts[1], "two");
    assert_string_equal(values->list.texts[2], "one");
    options_free(&arguments);
    assert_int_equal(parse(&arguments, empty), OPTIONS_WRONG);
    options_free(&arguments);
}

static void what_does_not_print_is_shown_in_octal(void **state)
{
    (void)state;
    assert_string_equal(message_escape("plain \xc3\xa4 \\ name"), "plain \xc3\xa4 \\ name");
    assert_string_equal(message_escape("a\nb\033[31m\x7f"), "a\\012b\\033[31m\\177");
    assert_string_equal(message_escape("\xff\xc3"), "\\377\\303");
    assert_string_equal(message_escape("\xc0\xaf"), "\\300\\257");          /* too long a form */
    assert_string_equal(message_escape("\xed\xa0\x80"), "\\355\\240\\200"); /* a surrogate */
    assert_string_equal(message_escape("\xc2\x9b"), "\\302\\233");          /* a C1 control */
    assert_string_equal(message_escape("\xe2\x80\xae"), "\\342\\200\\256"); /* right to left */
}

static void a_long_name_is_cut(void **state)
{
    char *name = malloc(100001);

    (void)state;
    assert_non_null(name);
    memset(name, '\n', 100000);
    name[100000] = '\0';
    const char *shown = message_escape(name);
    assert_true(strlen(shown) < 4100);
    assert_string_equal(shown + strlen(shown) - 3, "...");
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_in_the_table_is_refused),
        cmocka_unit_test(values_of_the_wrong_kind_are_refused),
        cmocka_unit_test(counts_keep_to_their_bounds_and_zero_is_as_good_as_given),
        cmocka_unit_test(too_few_and_too_many_operands_are_refused),
        cmocka_unit_test(every_form_of_an_option_is_understood),
        cmocka_unit_test(what_can_be_one_alone_is_refused_the_second_time),
        cmocka_unit_test(a_list_has_all_in_their_order),
        cmocka_unit_test(behind_two_dashes_all_are_operands),
        cmocka_unit_test(a_single_dash_is_an_operand),
        cmocka_unit_test(help_is_given_whatever_else_is_wrong),
        cmocka_unit_test(every_verb_has_a_table_without_doubles),
        cmocka_unit_test(what_does_not_print_is_shown_in_octal),
        cmocka_unit_test(a_long_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
