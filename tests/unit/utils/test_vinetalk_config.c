/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/vinetalk_config.h"
#include "utils/vinetalk_keys.h"

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
static char home[] = "/tmp/vine-test-XXXXXX";
static char vinetalk_path[64], user_folder[64], user_path[64];

static int make_home(void **state)
{
    (void)state;
    if (mkdtemp(home) == NULL)
        return -1;
    snprintf(vinetalk_path, sizeof(vinetalk_path), "%s/.vinetalk", home);
    snprintf(user_folder, sizeof(user_folder), "%s/vine", home);
    snprintf(user_path, sizeof(user_path), "%s/vine/vine.conf", home);
    setenv("HOME", home, 1);
    setenv("XDG_CONFIG_HOME", home, 1);
    unsetenv("VINE_APPLIANCE");
    return mkdir(user_folder, 0700);
}

static int remove_home(void **state)
{
    (void)state;
    unlink(vinetalk_path);
    unlink(user_path);
    rmdir(user_folder);
    return rmdir(home);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_missing_shm_file_is_named_with_the_file_that_lacks_it(void **state)
{
    (void)state;
    struct vine__config config = {0};
    char expected[200];
    write_file(vinetalk_path, "shm_size 1M\n");
    assert_int_equal(vine__vinetalk_load_file(&config, "~/.vinetalk", &reason), 0);
    assert_int_equal(vine__vinetalk_check(&config, VINETALK_ARCHITECTURE_SHM, &reason),
                     -VINE_ECONFIG);
    snprintf(expected, sizeof(expected), "%s: the required key 'shm_file' is missing",
             vinetalk_path);
    assert_string_equal(reason.text, expected);
    assert_int_equal(vine__vinetalk_check(&config, NULL, &reason), 0);
    vine__config_fini(&config);
}

static void a_named_file_that_is_absent_is_an_error(void **state)
{
    (void)state;
    struct vine__config config = {0};
    assert_int_equal(vine__vinetalk_load_file(&config, "~/absent", &reason), -ENOENT);
    assert_non_null(strstr(reason.text, "/absent: No such file"));
    assert_int_equal(vine__vinetalk_load_file(&config, "~you/absent", &reason), -EINVAL);
    vine__config_fini(&config);
}

static void a_malformed_file_of_the_standard_ones_is_an_error(void **state)
{
    (void)state;
    struct vine__config config = {0};
    write_file(user_path, "appliance one\n");
    write_file(vinetalk_path, "shm_file /x\nshm_size\n");
    assert_int_equal(vine__vinetalk_load(&config, &reason), -VINE_ECONFIG);
    assert_non_null(strstr(reason.text, ".vinetalk:2: the key 'shm_size' has no value"));
    vine__config_fini(&config);
}

static void later_places_win(void **state)
{
    (void)state;
    struct vine__config config = {0};
    const char *appliance;
    uint64_t size_bytes;
    write_file(user_path, "appliance from_user\nshm_size 1M\nshm_file /x\n");
    write_file(vinetalk_path, "shm_size 2M\n");
    assert_int_equal(vine__vinetalk_load(&config, &reason), 0);
    assert_int_equal(vine__config_get_string(&config, "appliance", &appliance, &reason), 0);
    assert_string_equal(appliance, "from_user");
    assert_int_equal(vine__config_get_size(&config, "shm_size", &size_bytes, &reason), 0);
    assert_int_equal(size_bytes, 2 << 20);
    assert_int_equal(vine__vinetalk_check(&config, VINETALK_ARCHITECTURE_SHM, &reason), 0);
    vine__config_fini(&config);

    setenv("VINE_APPLIANCE", "from_environment", 1);
    assert_int_equal(vine__vinetalk_load(&config, &reason), 0);
    assert_int_equal(vine__config_get_string(&config, "appliance", &appliance, &reason), 0);
    assert_string_equal(appliance, "from_environment");
    vine__config_fini(&config);
    unsetenv("VINE_APPLIANCE");
}

static void the_defaults_of_the_table_are_of_their_keys_types(void **state)
{
    (void)state;
    struct vine__config config = {0};
    assert_int_equal(
        vine__config_add_fallbacks(&config, vinetalk_keys, VINETALK_KEY_COUNT, &reason), 0);
    assert_int_equal(vine__vinetalk_check(&config, NULL, &reason), 0);
    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        assert_true(strlen(vinetalk_keys[i].key) <= VINE__CONFIG_KEY_MAX);
        assert_true(strlen(vinetalk_keys[i].help) > 0);
        assert_false(vinetalk_keys[i].required && vinetalk_keys[i].fallback != NULL);
        assert_true((vinetalk_keys[i].least == NULL) == (vinetalk_keys[i].greatest == NULL));
    }
    vine__config_fini(&config);
}

/* One below the least and one above the greatest of each key that has limits; both themselves are
 * taken. */
static void a_value_beyond_its_limits_is_told_with_line_and_limits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        const struct vine__config_key *key = &vinetalk_keys[i];
        uint64_t least, greatest;
        char line[128], expected[256];

        if (key->least == NULL)
            continue;
        const bool is_time = key->type == VINE__CONFIG_DURATION;
        const char *const unit = is_time ? "ns" : "";
        int (*const parse)(const char *, uint64_t *) =
            is_time ? vine__parse_duration : vine__parse_size;

        assert_int_equal(parse(key->least, &least), 0);
        assert_int_equal(parse(key->greatest, &greatest), 0);
        const uint64_t values[] = {least, greatest, greatest + 1, least - 1};
        for (uint32_t k = 0; k < (least > 0 ? 4 : 3); k++) {
            struct vine__config config = {0};
            const int length = snprintf(line, sizeof(line), "\n%s %llu%s\n", key->key,
                                        (unsigned long long)values[k], unit);
            assert_int_equal(
                vine__config_add_memory(&config, "FILE", line, (size_t)length, &reason), 0);
            assert_int_equal(vine__vinetalk_check(&config, NULL, &reason),
                             k < 2 ? 0 : -VINE_ECONFIG);
            snprintf(expected, sizeof(expected), "FILE:2: %s: '%llu%s' is not from %s to %s",
                     key->key, (unsigned long long)values[k], unit, key->least, key->greatest);
            if (k >= 2)
                assert_string_equal(reason.text, expected);
            vine__config_fini(&config);
        }
    }
}

static void the_document_lists_each_key_as_the_table_has_it(void **state)
{
    (void)state;
    const char *source_folder = getenv("VINE_SOURCE_DIR");
    if (source_folder == NULL) {
        print_message("skipped: VINE_SOURCE_DIR is not set\n");
        skip();
    }
    char path[512];
    static char text[64 * 1024];
    snprintf(path, sizeof(path), "%s/docs/formats/vinetalk.md", source_folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    assert_true(size > 0 && size < sizeof(text) - 1);
    static const char *const types[] = {
        [VINE__CONFIG_STRING] = "string", [VINE__CONFIG_PATH] = "path",
        [VINE__CONFIG_SIZE] = "size",     [VINE__CONFIG_UNSIGNED] = "unsigned",
        [VINE__CONFIG_BOOL] = "0/1",      [VINE__CONFIG_DURATION] = "time"};
    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        const struct vine__config_key *key = &vinetalk_keys[i];
        char row[256];
        if (key->required)
            snprintf(row, sizeof(row), "\n| `%s` | %s | **required** | |", key->key,
                     types[key->type]);
        else
            snprintf(row, sizeof(row), "\n| `%s` | %s | optional | %s |", key->key,
                     types[key->type], key->fallback != NULL ? key->fallback : "none");
        const char *found = strstr(text, row);
        if (found == NULL)
            fail_msg("%s has no row%s", path, row);
        if (key->least == NULL)
            continue;
        snprintf(row, sizeof(row), "%s to %s", key->least, key->greatest);
        const char *limits = strstr(found, row);
        if (limits == NULL || limits > strchr(found + 1, '\n'))
            fail_msg("%s: the row of %s has no limits %s", path, key->key, row);
    }
    /* And no others. */
    const char *at = strstr(text, "\n## Keys");
    uint32_t rows = 0;
    assert_non_null(at);
    while ((at = strstr(at, "\n| `")) != NULL) {
        at++;
        rows++;
    }
    assert_int_equal(rows, VINETALK_KEY_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_shm_file_is_named_with_the_file_that_lacks_it),
        cmocka_unit_test(a_named_file_that_is_absent_is_an_error),
        cmocka_unit_test(a_malformed_file_of_the_standard_ones_is_an_error),
        cmocka_unit_test(later_places_win),
        cmocka_unit_test(the_defaults_of_the_table_are_of_their_keys_types),
        cmocka_unit_test(a_value_beyond_its_limits_is_told_with_line_and_limits),
        cmocka_unit_test(the_document_lists_each_key_as_the_table_has_it),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
