/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/config.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct vine__config_reason reason;

static int parse_bytes(struct vine__config *config, const char *bytes, size_t size)
{
    *config = (struct vine__config){0};
    memset(&reason, 0, sizeof(reason));
    return vine__config_add_memory(config, "file", bytes, size, &reason);
}

static int parse(struct vine__config *config, const char *text)
{
    return parse_bytes(config, text, strlen(text));
}

static void assert_refused(const char *bytes, size_t size, const char *expected_reason)
{
    struct vine__config config;
    assert_int_equal(parse_bytes(&config, bytes, size), -VINE_ECONFIG);
    assert_string_equal(reason.text, expected_reason);
    assert_int_equal(config.count, 0);
    vine__config_fini(&config);
}

#define ASSERT_REFUSED(text, expected_reason)                                                      \
    assert_refused("" text, sizeof(text) - 1, expected_reason)

static void assert_value(const char *text, const char *key, const char *expected)
{
    struct vine__config config;
    assert_int_equal(parse(&config, text), 0);
    const struct vine__config_entry *entry = vine__config_find(&config, key);
    assert_non_null(entry);
    assert_string_equal(entry->value, expected);
    vine__config_fini(&config);
}

static void mistakes_are_told_with_file_and_line(void **state)
{
    (void)state;
    ASSERT_REFUSED("a 1\nlonely\n", "file:2: the key 'lonely' has no value");
    ASSERT_REFUSED("lonely   ", "file:1: the key 'lonely' has no value");
    ASSERT_REFUSED("lonely =\t ", "file:1: the key 'lonely' has no value");
    ASSERT_REFUSED("lonely # what", "file:1: the key 'lonely' has no value");
    ASSERT_REFUSED("[section]", "file:1: the key '[section]' has no value");
    ASSERT_REFUSED("= 1", "file:1: no key before '='");
    ASSERT_REFUSED("\n\n\n  =1", "file:4: no key before '='");
    ASSERT_REFUSED("a 1\nb 2\na 3", "file:3: the key 'a' was given before, in line 1");
    ASSERT_REFUSED("a 1\na 1", "file:2: the key 'a' was given before, in line 1");
    ASSERT_REFUSED("a\0b 1", "file:1: the line has a NUL byte");
    ASSERT_REFUSED("a b\0", "file:1: the line has a NUL byte");
    ASSERT_REFUSED("#\0", "file:1: the line has a NUL byte");
    ASSERT_REFUSED("a b\rc", "file:1: the value of 'a' has the control character 0x0d");
    ASSERT_REFUSED("a b\x1b[31m", "file:1: the value of 'a' has the control character 0x1b");
    ASSERT_REFUSED("a b\x7f", "file:1: the value of 'a' has the control character 0x7f");
    ASSERT_REFUSED("\xef\xbb\xbf"
                   "a b",
                   "file:1: byte 1 of the key is 0xef, not a printable ASCII character");
    ASSERT_REFUSED("ab\x01 c",
                   "file:1: byte 3 of the key is 0x01, not a printable ASCII character");
    ASSERT_REFUSED("key456789_123456789_123456789_123 1",
                   "file:1: the key 'key456789_123456789_123456789_12...' has 33 characters; "
                   "32 are allowed");
}

static void a_line_that_is_too_long_is_refused_and_one_less_is_not(void **state)
{
    (void)state;
    char line[VINE__CONFIG_LINE_MAX + 8];
    struct vine__config config;
    memset(line, 'v', sizeof(line));
    memcpy(line, "k ", 2);
    line[VINE__CONFIG_LINE_MAX] = '\n';
    assert_int_equal(parse_bytes(&config, line, VINE__CONFIG_LINE_MAX + 1), 0);
    assert_int_equal(strlen(config.entries[0].value), VINE__CONFIG_LINE_MAX - 2);
    vine__config_fini(&config);
    line[VINE__CONFIG_LINE_MAX] = '\r';
    line[VINE__CONFIG_LINE_MAX + 1] = '\n';
    assert_int_equal(parse_bytes(&config, line, VINE__CONFIG_LINE_MAX + 2), 0);
    vine__config_fini(&config);
    line[VINE__CONFIG_LINE_MAX] = 'v';
    assert_refused(line, VINE__CONFIG_LINE_MAX + 1,
                   "file:1: the line has 4097 bytes; 4096 are allowed");
    memset(line, '#', sizeof(line));
    assert_refused(line, VINE__CONFIG_LINE_MAX + 1,
                   "file:1: the line has 4097 bytes; 4096 are allowed");
}

static void too_many_keys_and_too_many_bytes_are_refused(void **state)
{
    (void)state;
    struct vine__config config;
    char *text = calloc(1, VINE__CONFIG_FILE_MAX + 1);
    assert_non_null(text);
    size_t at = 0;
    for (int i = 0; i < VINE__CONFIG_ENTRIES_MAX; i++)
        at += (size_t)sprintf(text + at, "key%d v\n", i);
    assert_int_equal(parse(&config, text), 0);
    assert_int_equal(config.count, VINE__CONFIG_ENTRIES_MAX);
    assert_int_equal(vine__config_set(&config, "key7", "w", "--flag", &reason), 0);
    assert_int_equal(vine__config_set(&config, "other", "w", "--flag", &reason), -ENOSPC);
    assert_null(vine__config_find(&config, "other"));
    vine__config_fini(&config);
    strcpy(text + at, "more v\n");
    assert_int_equal(parse(&config, text), -ENOSPC);
    assert_string_equal(reason.text, "file:513: more than 512 keys");
    vine__config_fini(&config);
    assert_int_equal(parse_bytes(&config, text, VINE__CONFIG_FILE_MAX + 1), -VINE_ECONFIG);
    vine__config_fini(&config);
    free(text);
}

static void a_layer_with_a_mistake_adds_nothing(void **state)
{
    (void)state;
    struct vine__config config;
    assert_int_equal(parse(&config, "a 1\nb 2\n"), 0);
    assert_int_equal(vine__config_add_memory(&config, "other", "a 9\nwrong", 9, &reason),
                     -VINE_ECONFIG);
    assert_string_equal(reason.text, "other:2: the key 'wrong' has no value");
    assert_string_equal(vine__config_find(&config, "a")->value, "1");
    assert_int_equal(config.count, 2);
    vine__config_fini(&config);
}

static void every_way_to_write_a_pair_is_understood(void **state)
{
    (void)state;
    assert_value("key value", "key", "value");
    assert_value("key value\n", "key", "value");
    assert_value("key value\r\n", "key", "value");
    assert_value("  key\t \t value \t ", "key", "value");
    assert_value("key = value", "key", "value");
    assert_value("key=value", "key", "value");
    assert_value("key =value", "key", "value");
    assert_value("key= value", "key", "value");
    assert_value("key two words", "key", "two words");
    assert_value("key two\twords  # and a comment", "key", "two\twords");
    assert_value("key a=b", "key", "a=b");
    assert_value("key == b", "key", "= b");
    assert_value("key a#b", "key", "a#b");
    assert_value("key =#b", "key", "#b");
    assert_value("key gr\xc3\xbc\xc3\x9f", "key", "gr\xc3\xbc\xc3\x9f");
    assert_value("# all\n\n \t\n\t# of\r\n\r\nkey v\n#this", "key", "v");
    assert_value("Key v\nkey w", "key", "w");
    assert_value("k-e.y:/[]#!\"\\ v", "k-e.y:/[]#!\"\\", "v");
    assert_value("key456789_123456789_123456789_12 1", "key456789_123456789_123456789_12", "1");
}

static void an_empty_file_has_no_entries(void **state)
{
    (void)state;
    struct vine__config config;
    assert_int_equal(parse_bytes(&config, NULL, 0), 0);
    assert_int_equal(config.count, 0);
    assert_null(vine__config_find(&config, "a"));
    vine__config_fini(&config);
    vine__config_fini(&config);
}

static void the_later_layer_wins_and_each_value_knows_its_origin(void **state)
{
    (void)state;
    struct vine__config config;
    char origin[64];
    const struct vine__config_key keys[] = {
        {.key = "a"}, {.key = "c.d", .fallback = "ten"}, {.key = "z", .fallback = "eleven"}};
    assert_int_equal(parse(&config, "a 1\nb 2\n\nc.d 3"), 0);
    assert_int_equal(vine__config_add_memory(&config, "second", "b 20", 4, &reason), 0);
    setenv("VINETEST_A", "", 1);
    setenv("VINETEST_C_D", "300", 1);
    setenv("VINETEST_OTHER", "not a known key", 1);
    assert_int_equal(vine__config_add_environment(&config, "VINETEST_", keys, 3, &reason), 0);
    assert_int_equal(vine__config_set(&config, "e", "5", "--e", &reason), 0);
    assert_int_equal(vine__config_add_fallbacks(&config, keys, 3, &reason), 0);

    const char *const expected[][3] = {{"a", "1", "file:1"},
                                       {"b", "20", "second:1"},
                                       {"c.d", "300", "$VINETEST_C_D"},
                                       {"e", "5", "--e"},
                                       {"z", "eleven", "default"}};
    assert_int_equal(config.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const struct vine__config_entry *entry = &config.entries[i];
        vine__config_origin(entry, origin, sizeof(origin));
        assert_string_equal(entry->key, expected[i][0]);
        assert_string_equal(entry->value, expected[i][1]);
        assert_string_equal(origin, expected[i][2]);
    }
    uint32_t index = 0;
    assert_string_equal(vine__config_next_unknown(&config, keys, 3, &index)->key, "b");
    assert_string_equal(vine__config_next_unknown(&config, keys, 3, &index)->key, "e");
    assert_null(vine__config_next_unknown(&config, keys, 3, &index));
    vine__config_fini(&config);
}

static void wrong_values_of_flags_and_variables_name_them(void **state)
{
    (void)state;
    struct vine__config config = {0};
    const struct vine__config_key keys[] = {{.key = "bad"}};
    assert_int_equal(vine__config_set(&config, "has blank", "1", "--set", &reason), -VINE_ECONFIG);
    assert_int_equal(vine__config_set(&config, "", "1", "--set", &reason), -VINE_ECONFIG);
    assert_int_equal(vine__config_set(&config, "a", "", "--set", &reason), -VINE_ECONFIG);
    assert_string_equal(reason.text, "--set: the key 'a' has no value");
    setenv("VINETEST_BAD", "two\nlines", 1);
    assert_int_equal(vine__config_add_environment(&config, "VINETEST_", keys, 1, &reason),
                     -VINE_ECONFIG);
    assert_string_equal(reason.text,
                        "$VINETEST_BAD: the value of 'bad' has the control character 0x0a");
    assert_int_equal(config.count, 0);
    unsetenv("VINETEST_BAD");
    vine__config_fini(&config);
}

static void a_missing_required_key_is_named_with_the_files(void **state)
{
    (void)state;
    struct vine__config config = {0};
    const struct vine__config_key keys[] = {
        {.key = "free", .group = "shm"},
        {.key = "needed", .group = "shm", .required = true, .type = VINE__CONFIG_SIZE},
    };
    char folder[] = "/tmp/vine-test-XXXXXX";
    char path[64], expected[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/absent", folder);
    assert_int_equal(vine__config_add_file(&config, path, &reason), -ENOENT);
    snprintf(path, sizeof(path), "%s/conf", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("free 1\n", file);
    fclose(file);
    assert_int_equal(vine__config_add_file(&config, path, &reason), 0);

    assert_int_equal(vine__config_check(&config, keys, 2, NULL, &reason), 0);
    assert_int_equal(vine__config_check(&config, keys, 2, "other", &reason), 0);
    assert_int_equal(vine__config_check(&config, keys, 2, "shm", &reason), -VINE_ECONFIG);
    snprintf(expected, sizeof(expected),
             "%s/absent (absent), %s/conf: the required key 'needed' is missing", folder, folder);
    assert_string_equal(reason.text, expected);

    assert_int_equal(vine__config_set(&config, "needed", "many", "--needed", &reason), 0);
    assert_int_equal(vine__config_check(&config, keys, 2, NULL, &reason), -VINE_ECONFIG);
    assert_string_equal(reason.text,
                        "--needed: needed: 'many' is not a size (like 4096, 64K, 512M or 2GiB)");
    assert_int_equal(vine__config_set(&config, "needed", "1M", "--needed", &reason), 0);
    assert_int_equal(vine__config_check(&config, keys, 2, "shm", NULL), 0);
    vine__config_fini(&config);
    unlink(path);
    rmdir(folder);
}

static void what_is_not_a_readable_regular_file_is_refused_at_once(void **state)
{
    (void)state;
    struct vine__config config = {0};
    char folder[] = "/tmp/vine-test-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(vine__config_add_file(&config, folder, &reason), -EISDIR);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(vine__config_add_file(&config, path, &reason), -EINVAL);
    assert_non_null(strstr(reason.text, "/fifo: not a regular file"));
    unlink(path);
    snprintf(path, sizeof(path), "%s/loop", folder);
    assert_int_equal(symlink("loop", path), 0);
    assert_int_equal(vine__config_add_file(&config, path, &reason), -ELOOP);
    unlink(path);
    snprintf(path, sizeof(path), "%s/secret", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    chmod(path, 0);
    if (geteuid() != 0)
        assert_int_equal(vine__config_add_file(&config, path, &reason), -EACCES);
    else
        assert_int_equal(vine__config_add_file(&config, path, &reason), 0);
    assert_int_equal(truncate(path, VINE__CONFIG_FILE_MAX + 1), geteuid() == 0 ? 0 : -1);
    if (geteuid() == 0)
        assert_int_equal(vine__config_add_file(&config, path, &reason), -EFBIG);
    unlink(path);
    rmdir(folder);
    vine__config_fini(&config);
}

static void sizes_have_units_and_bounds(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int error;
        uint64_t bytes;
    } rows[] = {
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"1X", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1Ki", -EINVAL, 0},
        {"1KiBs", -EINVAL, 0},
        {"1BB", -EINVAL, 0},
        {"1iB", -EINVAL, 0},
        {"0x", -EINVAL, 0},
        {"0x1K", -EINVAL, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999x", -EINVAL, 0},
        {"16777216T", -ERANGE, 0},
        {"18014398509481984K", -ERANGE, 0},
        {"0x10000000000000000", -ERANGE, 0},
        {"18446744073709551615", 0, UINT64_MAX},
        {"0xffffffffffffffff", 0, UINT64_MAX},
        {"16383P", 0, UINT64_C(16383) << 50},
        {"0", 0, 0},
        {"007", 0, 7},
        {"10B", 0, 10},
        {"10 b", 0, 10},
        {"0X1b", 0, 27},
        {"64K", 0, 65536},
        {"64k", 0, 65536},
        {"64KB", 0, 65536},
        {"64kib", 0, 65536},
        {"64 \t KiB", 0, 65536},
        {"512M", 0, UINT64_C(512) << 20},
        {"2GiB", 0, UINT64_C(2) << 30},
        {"3tb", 0, UINT64_C(3) << 40},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 77;
        const int error = vine__parse_size(rows[i].text, &bytes);
        if (error != rows[i].error || bytes != (error == 0 ? rows[i].bytes : 77))
            fail_msg("'%s': %d, %llu", rows[i].text, error, (unsigned long long)bytes);
    }
}

static void times_take_a_unit_and_a_fraction(void **state)
{
    static const struct {
        const char *text;
        int error;
        uint64_t ns;
    } rows[] = {
        {"", -EINVAL, 0},
        {"5", -EINVAL, 0},
        {"ms", -EINVAL, 0},
        {"-1ms", -EINVAL, 0},
        {"5 ms", -EINVAL, 0},
        {"5MS", -EINVAL, 0},
        {"5m", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {".5s", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"1.5.5s", -EINVAL, 0},
        {"5msx", -EINVAL, 0},
        {"0x5ms", -EINVAL, 0},
        {"18446744073709551616ns", -ERANGE, 0},
        {"18446744073s", 0, UINT64_C(18446744073000000000)},
        {"18446744074s", -ERANGE, 0},
        {"18446744073.9s", -ERANGE, 0},
        {"0", 0, 0},
        {"0ms", 0, 0},
        {"7ns", 0, 7},
        {"250us", 0, 250000},
        {"100ms", 0, 100000000},
        {"1.5s", 0, 1500000000},
        {"0.000000001s", 0, 1},
        {"0.0000000019s", 0, 1},
        {"2min", 0, UINT64_C(120000000000)},
        {"1h", 0, UINT64_C(3600000000000)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ns = 77;
        const int error = vine__parse_duration(rows[i].text, &ns);
        if (error != rows[i].error || ns != (error == 0 ? rows[i].ns : 77))
            fail_msg("'%s': %d, %llu", rows[i].text, error, (unsigned long long)ns);
    }
}

static void numbers_and_switches_take_nothing_else(void **state)
{
    (void)state;
    uint64_t value = 77;
    bool is_on = false;
    assert_int_equal(vine__parse_unsigned("1K", &value), -EINVAL);
    assert_int_equal(vine__parse_unsigned("", &value), -EINVAL);
    assert_int_equal(vine__parse_unsigned("18446744073709551616", &value), -ERANGE);
    assert_int_equal(value, 77);
    assert_int_equal(vine__parse_unsigned("0xfF", &value), 0);
    assert_int_equal(value, 255);
    assert_int_equal(vine__parse_bool("yes", &is_on), -EINVAL);
    assert_int_equal(vine__parse_bool("", &is_on), -EINVAL);
    assert_int_equal(vine__parse_bool("01", &is_on), -EINVAL);
    assert_int_equal(vine__parse_bool("1", &is_on), 0);
    assert_true(is_on);
    assert_int_equal(vine__parse_bool("0", &is_on), 0);
    assert_false(is_on);
}

static void a_tilde_is_the_home_folder_at_the_start_of_a_path_alone(void **state)
{
    (void)state;
    char *path = NULL;
    assert_int_equal(vine__expand_path("~other/x", "/home/me", &path), -EINVAL);
    assert_int_equal(vine__expand_path("~/x", NULL, &path), -ENOENT);
    assert_int_equal(vine__expand_path("~/x", "", &path), -ENOENT);
    assert_null(path);
    const char *const rows[][2] = {
        {"~/x", "/home/me/x"}, {"~", "/home/me"}, {"/a/~", "/a/~"}, {"a~b", "a~b"}, {"", ""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(vine__expand_path(rows[i][0], "/home/me", &path), 0);
        assert_string_equal(path, rows[i][1]);
        free(path);
    }
}

static void typed_values_name_line_and_key_when_they_are_wrong(void **state)
{
    (void)state;
    struct vine__config config;
    uint64_t number = 77;
    bool is_on = true;
    const char *text = "untouched";
    char *path = NULL;
    assert_int_equal(parse(&config, "size 12Q\nnumber -4\nswitch on\npath ~you/x\n"
                                    "huge 99999999999999999999\ntext some words\n"
                                    "good_size 4K\ngood_switch 0\ngood_path /x\ngood_number 9"),
                     0);
    assert_int_equal(vine__config_get_size(&config, "size", &number, &reason), -VINE_ECONFIG);
    assert_string_equal(reason.text,
                        "file:1: size: '12Q' is not a size (like 4096, 64K, 512M or 2GiB)");
    assert_int_equal(vine__config_get_unsigned(&config, "number", &number, &reason), -VINE_ECONFIG);
    assert_string_equal(reason.text, "file:2: number: '-4' is not a whole number from 0 on");
    assert_int_equal(vine__config_get_bool(&config, "switch", &is_on, &reason), -VINE_ECONFIG);
    assert_string_equal(reason.text, "file:3: switch: 'on' is not 0 or 1");
    assert_int_equal(vine__config_get_path(&config, "path", &path, &reason), -VINE_ECONFIG);
    assert_int_equal(vine__config_get_size(&config, "huge", &number, &reason), -VINE_ECONFIG);
    assert_non_null(strstr(reason.text, "file:5: huge: '99999999999999999999' is beyond 64 bits"));
    assert_int_equal(vine__config_get_string(&config, "absent", &text, &reason), -ENOENT);
    assert_string_equal(reason.text, "the configuration: the required key 'absent' is missing");
    assert_int_equal(vine__config_get_size(&config, "absent", &number, NULL), -ENOENT);
    assert_int_equal(vine__config_get_bool(&config, "absent", &is_on, NULL), -ENOENT);
    assert_int_equal(vine__config_get_unsigned(&config, "absent", &number, NULL), -ENOENT);
    assert_int_equal(vine__config_get_path(&config, "absent", &path, NULL), -ENOENT);
    assert_int_equal(number, 77);
    assert_true(is_on);
    assert_null(path);
    assert_string_equal(text, "untouched");

    assert_int_equal(vine__config_get_size(&config, "good_size", &number, &reason), 0);
    assert_int_equal(number, 4096);
    assert_int_equal(vine__config_get_unsigned(&config, "good_number", &number, &reason), 0);
    assert_int_equal(number, 9);
    assert_int_equal(vine__config_get_bool(&config, "good_switch", &is_on, &reason), 0);
    assert_false(is_on);
    assert_int_equal(vine__config_get_string(&config, "text", &text, &reason), 0);
    assert_string_equal(text, "some words");
    assert_int_equal(vine__config_get_path(&config, "good_path", &path, &reason), 0);
    assert_string_equal(path, "/x");
    free(path);
    vine__config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_told_with_file_and_line),
        cmocka_unit_test(a_line_that_is_too_long_is_refused_and_one_less_is_not),
        cmocka_unit_test(too_many_keys_and_too_many_bytes_are_refused),
        cmocka_unit_test(a_layer_with_a_mistake_adds_nothing),
        cmocka_unit_test(every_way_to_write_a_pair_is_understood),
        cmocka_unit_test(an_empty_file_has_no_entries),
        cmocka_unit_test(the_later_layer_wins_and_each_value_knows_its_origin),
        cmocka_unit_test(wrong_values_of_flags_and_variables_name_them),
        cmocka_unit_test(a_missing_required_key_is_named_with_the_files),
        cmocka_unit_test(what_is_not_a_readable_regular_file_is_refused_at_once),
        cmocka_unit_test(sizes_have_units_and_bounds),
        cmocka_unit_test(times_take_a_unit_and_a_fraction),
        cmocka_unit_test(numbers_and_switches_take_nothing_else),
        cmocka_unit_test(a_tilde_is_the_home_folder_at_the_start_of_a_path_alone),
        cmocka_unit_test(typed_values_name_line_and_key_when_they_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
