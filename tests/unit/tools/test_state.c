/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/*
 * What a second run believes: OUT/.vine-run, and the lines of SHA256SUMS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "scratch.h"

#include "../tools/state.h"
#include "../tools/sums.h"

static const unsigned char sum_of_nothing[SUMS_BYTES_MAX] = {
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

static const struct stat source = {
    .st_size = 10, .st_ino = 7, .st_mtim = {100, 5}, .st_ctim = {101, 6}};
static const struct stat result = {.st_size = 20, .st_ino = 8, .st_mtim = {200, 1}};

static struct output output;

static struct state begin(const char *with)
{
    struct state state;

    assert_int_equal(output_open("out", &output), 0);
    assert_int_equal(state_open(&output, with, &state), 0);
    return state;
}

static void end(struct state *state, bool synced)
{
    assert_int_equal(state_close(state, synced), 0);
    output_close(&output);
}

static bool knows(const struct state *state, const char *path, const struct stat *one,
                  const struct stat *other)
{
    unsigned char sum[SUMS_BYTES_MAX];
    size_t size;

    return state_is_complete(state, path, one, other, sum, &size);
}

/* One result, remembered. */
static void remember(const char *path, const unsigned char *sum, bool synced)
{
    struct state state = begin("zstd level=3");

    state_add(&state, path, &result, &source, sum);
    end(&state, synced);
}

/* As after another boot: the state names another one. */
static void pretend_a_reboot(void)
{
    assert_int_equal(system("sed -i 's/^boot .*/boot another/' out/.vine-run"), 0);
}

static void what_was_never_done_is_not_believed(void **unused)
{
    (void)unused;
    struct state state = begin("zstd level=3");
    assert_false(knows(&state, "a.zst", &result, &source));
    end(&state, false);
}

static void what_was_done_is_believed_with_its_sum(void **unused)
{
    unsigned char sum[SUMS_BYTES_MAX];
    size_t size;

    (void)unused;
    remember("a.zst", sum_of_nothing, true);
    remember("b.zst", NULL, true);
    struct state state = begin("zstd level=3");
    assert_true(state_is_complete(&state, "a.zst", &result, &source, sum, &size));
    assert_int_equal(size, SUMS_BYTES_MAX);
    assert_memory_equal(sum, sum_of_nothing, SUMS_BYTES_MAX);
    assert_true(state_is_complete(&state, "b.zst", &result, &source, sum, &size));
    assert_int_equal(size, 0);
    end(&state, false);
}

static void every_difference_makes_it_stale(void **unused)
{
    (void)unused;
    remember("a.zst", NULL, true);
    struct state state = begin("zstd level=3");
    struct stat other = source;
    other.st_size++;
    assert_false(knows(&state, "a.zst", &result, &other));
    other = source;
    other.st_mtim.tv_nsec++;
    assert_false(knows(&state, "a.zst", &result, &other));
    other = source;
    other.st_ctim.tv_sec++;
    assert_false(knows(&state, "a.zst", &result, &other));
    other = source;
    other.st_ino++;
    assert_false(knows(&state, "a.zst", &result, &other));
    other = result;
    other.st_size--;
    assert_false(knows(&state, "a.zst", &other, &source));
    other = result;
    other.st_mtim.tv_sec--;
    assert_false(knows(&state, "a.zst", &other, &source));
    assert_true(knows(&state, "a.zst", &result, &source));
    end(&state, false);
}

static void another_procedure_or_level_makes_it_stale(void **unused)
{
    (void)unused;
    remember("a.zst", NULL, true);
    struct state state = begin("zstd level=4");
    assert_false(knows(&state, "a.zst", &result, &source));
    end(&state, false);
}

static void a_killed_run_is_believed_until_the_machine_boots(void **unused)
{
    (void)unused;
    remember("a.zst", NULL, false);
    struct state state = begin("zstd level=3");
    assert_true(knows(&state, "a.zst", &result, &source));
    end(&state, false);
    pretend_a_reboot();
    state = begin("zstd level=3");
    assert_false(knows(&state, "a.zst", &result, &source));
    end(&state, false);
}

static void what_was_synced_is_believed_after_a_boot(void **unused)
{
    (void)unused;
    remember("a.zst", NULL, true);
    remember("b.zst", NULL, false);
    pretend_a_reboot();
    struct state state = begin("zstd level=3");
    assert_true(knows(&state, "a.zst", &result, &source));
    assert_false(knows(&state, "b.zst", &result, &source));
    end(&state, false);
}

static void the_last_line_of_a_path_counts(void **unused)
{
    struct stat newer = source;

    (void)unused;
    newer.st_size = 11;
    struct state state = begin("zstd level=3");
    state_add(&state, "a", &result, &source, NULL);
    state_add(&state, "b", &result, &source, NULL);
    state_add(&state, "a", &result, &newer, NULL);
    end(&state, true);
    state = begin("zstd level=3");
    assert_false(knows(&state, "a", &result, &source));
    assert_true(knows(&state, "a", &result, &newer));
    assert_true(knows(&state, "b", &result, &source));
    end(&state, false);
}

static void odd_names_come_back(void **unused)
{
    static const char *const names[] = {"a b  c ",  "new\nline", "back\\slash", "\\n",
                                        "\xff\xfe", "cr\r",      "tab\t",       "done 1 2 3"};

    (void)unused;
    struct state state = begin("w");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        state_add(&state, names[i], &result, &source, NULL);
    end(&state, true);
    state = begin("w");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(knows(&state, names[i], &result, &source));
    assert_false(knows(&state, "a b  c", &result, &source));
    end(&state, false);
}

static void nonsense_in_the_file_counts_for_nothing(void **unused)
{
    static const char *const files[] = {
        "",
        "something else\ndone 20 200000000001 10 100000000005 101000000006 7 - a\nsynced\n",
        "vine-run 1\nwith w\ndone\ndone \ndone 1 2 3\ndone x x x x x x x x\nsynced\n",
        "vine-run 1\nwith w\ndone 20 200000000001 10 100000000005 101000000006 7 - \nsynced\n",
        "vine-run 1\nwith w\ndone 20 200000000001 10 100000000005 101000000006 7 - a\\\nsynced\n",
        "vine-run 1\nwith w\ndone 20 200000000001 10 100000000005 101000000006 7 - a", /* cut off */
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        mkdir("out", 0755);
        scratch_text("out/.vine-run", files[i]);
        struct state state = begin("w");
        assert_false(knows(&state, "a", &result, &source));
        state_add(&state, "after", &result, &source, NULL);
        end(&state, true);
        state = begin("w"); /* and what is added behind it counts, unless it is no state at all */
        assert_true(knows(&state, "after", &result, &source));
        end(&state, false);
    }
}

static void a_file_of_dead_lines_is_written_anew(void **unused)
{
    struct stat status;

    (void)unused;
    struct state state = begin("w");
    for (int i = 0; i < 20000; i++)
        state_add(&state, "always the same", &result, &source, NULL);
    end(&state, true);
    assert_int_equal(stat("out/.vine-run", &status), 0);
    const off_t before = status.st_size;
    state = begin("w");
    assert_true(knows(&state, "always the same", &result, &source));
    end(&state, true);
    assert_int_equal(stat("out/.vine-run", &status), 0);
    assert_true(status.st_size < before / 1000);
    state = begin("w");
    assert_true(knows(&state, "always the same", &result, &source));
    end(&state, false);
}

static void a_state_that_is_a_link_is_refused(void **unused)
{
    struct state state;

    (void)unused;
    mkdir("out", 0755);
    scratch_text("precious", "precious");
    assert_int_equal(symlink("../precious", "out/.vine-run"), 0);
    assert_int_equal(output_open("out", &output), 0);
    assert_true(state_open(&output, "w", &state) < 0);
    output_close(&output);
    char *text = scratch_read("precious");
    assert_string_equal(text, "precious");
    free(text);
}

/* ---- sums --------------------------------------------------------------------------------- */

static void sums_are_those_of_sha256sum(void **unused)
{
    static const char *const names[] = {"plain", "with blank ", "new\nline", "back\\slash",
                                        "cr\r",  "\xff\xfe",    "esc\033[1m"};
    char *own = NULL, *theirs;
    size_t size;

    (void)unused;
    FILE *file = open_memstream(&own, &size);
    assert_non_null(file);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        scratch_text(names[i], "");
        sums_print(file, sum_of_nothing, SUMS_BYTES_MAX, names[i]);
    }
    fclose(file);
    assert_int_equal(
        system("sha256sum plain 'with blank ' \"$(printf 'new\\nline')\" 'back\\slash' "
               "\"$(printf 'cr\\r')\" \"$(printf '\\377\\376')\" "
               "\"$(printf 'esc\\033[1m')\" >theirs"),
        0);
    theirs = scratch_read("theirs");
    assert_string_equal(own, theirs);
    free(own);
    free(theirs);
}

static void a_terminal_is_not_steered_by_names(void **unused)
{
    char *text = NULL;
    size_t size;

    (void)unused;
    FILE *file = open_memstream(&text, &size);
    sums_show(file, sum_of_nothing, 1, "a\033[31m\xff\n\xc3\xa4");
    fclose(file);
    assert_string_equal(text, "\\e3  a\\033[31m\\377\\n\xc3\xa4\n");
    free(text);
}

static void hexadecimal_goes_both_ways(void **unused)
{
    unsigned char bytes[4];
    char text[9];

    (void)unused;
    assert_int_equal(sums_from_hex("00ff10ab", 8, bytes, 4), 4);
    sums_hex(bytes, 4, text);
    assert_string_equal(text, "00ff10ab");
    assert_int_equal(sums_from_hex("00ff1", 5, bytes, 4), 0);
    assert_int_equal(sums_from_hex("0g", 2, bytes, 4), 0);
    assert_int_equal(sums_from_hex("0011223344", 10, bytes, 4), 0);
    assert_int_equal(sums_from_hex("-", 1, bytes, 4), 0);
}

static void a_list_of_sums_appears_when_it_is_whole(void **unused)
{
    struct sums sums;

    (void)unused;
    assert_int_equal(output_open("out", &output), 0);
    assert_int_equal(sums_open(&output, &sums), 0);
    sums_print(sums.stream, sum_of_nothing, SUMS_BYTES_MAX, "a");
    sums_abandon(&sums);
    assert_true(access("out/SHA256SUMS", F_OK) < 0);
    assert_int_equal(sums_open(&output, &sums), 0);
    sums_print(sums.stream, sum_of_nothing, SUMS_BYTES_MAX, "a");
    assert_int_equal(sums_commit(&sums), 0);
    output_close(&output);
    scratch_text("a", "");
    assert_int_equal(system("sha256sum --quiet -c out/SHA256SUMS"), 0);
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_enter, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(what_was_never_done_is_not_believed),
        IN_SCRATCH(every_difference_makes_it_stale),
        IN_SCRATCH(another_procedure_or_level_makes_it_stale),
        IN_SCRATCH(a_killed_run_is_believed_until_the_machine_boots),
        IN_SCRATCH(what_was_synced_is_believed_after_a_boot),
        IN_SCRATCH(nonsense_in_the_file_counts_for_nothing),
        IN_SCRATCH(a_state_that_is_a_link_is_refused),
        IN_SCRATCH(what_was_done_is_believed_with_its_sum),
        IN_SCRATCH(the_last_line_of_a_path_counts),
        IN_SCRATCH(odd_names_come_back),
        IN_SCRATCH(a_file_of_dead_lines_is_written_anew),
        IN_SCRATCH(sums_are_those_of_sha256sum),
        IN_SCRATCH(a_terminal_is_not_steered_by_names),
        IN_SCRATCH(hexadecimal_goes_both_ways),
        IN_SCRATCH(a_list_of_sums_appears_when_it_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
