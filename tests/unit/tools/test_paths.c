/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/*
 * Where results go: recipes, the walk, arguments that collide, files that appear whole or not at
 * all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>

#include "scratch.h"

#include "../tools/collide.h"
#include "../tools/output.h"
#include "../tools/recipe.h"
#include "../tools/walk.h"

/* ---- recipes ------------------------------------------------------------------------------ */

static struct recipe recipe_of(const char *procedure)
{
    struct recipe recipe;

    assert_true(recipe_of_shipped(procedure, &recipe));
    return recipe;
}

static void expect_result(const char *procedure, const char *path, const char *expected)
{
    const struct recipe recipe = recipe_of(procedure);
    char *result = recipe_result_path(&recipe, path);

    if (expected == NULL) {
        assert_null(result);
        assert_false(recipe_fits(&recipe, path));
        return;
    }
    assert_true(recipe_fits(&recipe, path));
    assert_string_equal(result, expected);
    free(result);
}

static void suffixes_are_added_and_taken_off(void **state)
{
    (void)state;
    expect_result("zstd", "a/b.c", "a/b.c.zst");
    expect_result("zstd", "a.zst", "a.zst.zst");
    expect_result("gzip", "b", "b.gz");
    expect_result("copy", "x/y", "x/y");
    expect_result("unzstd", "a/b.c.zst", "a/b.c");
    expect_result("gunzip", "b.gz", "b");
}

static void a_name_without_the_suffix_does_not_fit(void **state)
{
    (void)state;
    expect_result("unzstd", "a", NULL);
    expect_result("unzstd", ".zst", NULL);
    expect_result("unzstd", "dir/.zst", NULL);
    expect_result("gunzip", "a.zst", NULL);
}

static void an_unknown_procedure_is_taken_by_its_signature(void **state)
{
    char reason[RECIPE_REASON_MAX];
    struct recipe recipe;
    struct vine_procedure_info info = {
        .name = "rot13",
        .argument_count = 2,
        .arguments = {{"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 1 << 20},
                      {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1 << 20}},
    };

    (void)state;
    assert_false(recipe_of_shipped("rot13", &recipe));
    assert_true(recipe_of_info(&info, &recipe, reason));
    assert_true(recipe.makes_files);
    assert_string_equal(recipe.suffix, ".rot13");
    assert_int_equal(recipe.shape, RECIPE_WHOLE);
    info.has_sessions = true;
    assert_true(recipe_of_info(&info, &recipe, reason));
    assert_int_equal(recipe.shape, RECIPE_STREAM);
    info.arguments[1] = (struct vine_argument){"sum", VINE_RESULT, 0, 8, 8};
    assert_true(recipe_of_info(&info, &recipe, reason));
    assert_int_equal(recipe.shape, RECIPE_SUM);
    assert_false(recipe.has_levels);
    info.arguments[info.argument_count++] = (struct vine_argument){"level", VINE_SCALAR, 0, 1, 9};
    assert_true(recipe_of_info(&info, &recipe, reason));
    assert_true(recipe.has_levels);
}

static void what_cannot_be_run_on_files_is_refused_with_the_argument(void **state)
{
    static const struct {
        struct vine_argument arguments[3];
        const char *reason;
    } cases[] = {
        {{{"sum", VINE_RESULT, 0, 8, 8}}, "it takes no input"},
        {{{"text", VINE_INPUT, VINE_TYPE_BYTES, 0, 9}}, "neither an output nor a result"},
        {{{"text", VINE_INPUT, VINE_TYPE_BYTES, 0, 9},
          {"key", VINE_INPUT, VINE_TYPE_BYTES, 0, 9},
          {"sum", VINE_RESULT, 0, 8, 8}},
         "a second input, 'key'"},
        {{{"text", VINE_INPUT, VINE_TYPE_BYTES, 0, 9},
          {"one", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 9},
          {"other", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 9}},
         "a second output, 'other'"},
        {{{"numbers", VINE_INPUT, VINE_TYPE_F32, 0, 8}, {"sum", VINE_RESULT, 0, 8, 8}},
         "its input 'numbers' is of type f32"},
        {{{"text", VINE_INPUT, VINE_TYPE_BYTES, 0, 9},
          {"words", VINE_OUTPUT, VINE_TYPE_USER, 0, 8}},
         "its output 'words' is of type own"},
        {{{"text", VINE_INPUT, VINE_TYPE_BYTES, 0, 9},
          {"sum", VINE_RESULT, 0, 8, 8},
          {"salt", VINE_BYTES, 0, 16, 32}},
         "requires the argument 'salt'"},
    };
    struct vine_procedure_info info = {.name = "odd"};
    char reason[RECIPE_REASON_MAX];
    struct recipe recipe;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memcpy(info.arguments, cases[i].arguments, sizeof(cases[i].arguments));
        for (info.argument_count = 0; info.argument_count < 3; info.argument_count++)
            if (info.arguments[info.argument_count].kind == 0)
                break;
        assert_false(recipe_of_info(&info, &recipe, reason));
        assert_non_null(strstr(reason, cases[i].reason));
    }
    /* One that ships, with another signature. */
    memcpy(info.name, "zstd", sizeof("zstd"));
    memcpy(info.arguments, cases[0].arguments, sizeof(cases[0].arguments));
    info.arguments[1] = cases[1].arguments[0];
    info.argument_count = 2;
    assert_false(recipe_of_info(&info, &recipe, reason));
    assert_non_null(strstr(reason, "another signature"));
}

/* ---- the walk ----------------------------------------------------------------------------- */

static void expect_entry(struct walk *walk, enum walk_kind kind, const char *path,
                         const char *shown)
{
    struct walk_entry entry;

    assert_int_equal(walk_next(walk, &entry), 1);
    assert_int_equal(entry.kind, kind);
    assert_string_equal(entry.path, path);
    assert_string_equal(entry.shown, shown);
}

static void expect_end(struct walk *walk)
{
    struct walk_entry entry;

    assert_int_equal(walk_next(walk, &entry), 0);
    assert_int_equal(walk_next(walk, &entry), 0);
    walk_close(walk);
}

static void files_come_in_the_order_of_their_names(void **state)
{
    struct walk *walk;

    (void)state;
    mkdir("d", 0755);
    mkdir("d/b", 0755);
    scratch_text("d/c", "");
    scratch_text("d/a", "");
    scratch_text("d/b/z", "");
    scratch_text("d/b/y\n", "");
    scratch_text("f", "");
    assert_int_equal(walk_open((char *[]){"f", "d/", "./d/b"}, 3, NULL, &walk), 0);
    expect_entry(walk, WALK_FILE, "f", "f");
    expect_entry(walk, WALK_FILE, "a", "d/a");
    expect_entry(walk, WALK_FILE, "b/y\n", "d/b/y\n");
    expect_entry(walk, WALK_FILE, "b/z", "d/b/z");
    expect_entry(walk, WALK_FILE, "c", "d/c");
    expect_entry(walk, WALK_FILE, "y\n", "./d/b/y\n");
    expect_entry(walk, WALK_FILE, "z", "./d/b/z");
    expect_end(walk);
}

static void links_are_not_followed_but_as_arguments(void **state)
{
    struct walk *walk;

    (void)state;
    mkdir("d", 0755);
    scratch_text("d/a", "");
    assert_int_equal(symlink("..", "d/loop"), 0);
    assert_int_equal(symlink("a", "d/to-a"), 0);
    assert_int_equal(symlink("d", "to-d"), 0);
    assert_int_equal(symlink("nowhere", "broken"), 0);
    assert_int_equal(walk_open((char *[]){"d/to-a", "to-d", "broken"}, 3, NULL, &walk), 0);
    expect_entry(walk, WALK_FILE, "to-a", "d/to-a");
    expect_entry(walk, WALK_FILE, "a", "to-d/a");
    expect_entry(walk, WALK_LINK, "loop", "to-d/loop");
    expect_entry(walk, WALK_LINK, "to-a", "to-d/to-a");
    expect_entry(walk, WALK_ERROR, "broken", "broken");
    expect_end(walk);
}

static void fifos_are_told_and_the_excluded_directory_is_not_entered(void **state)
{
    struct walk *walk;
    struct stat out;

    (void)state;
    mkdir("d", 0755);
    mkdir("d/out", 0755);
    scratch_text("d/out/a", "");
    assert_int_equal(mkfifo("d/fifo", 0644), 0);
    assert_int_equal(stat("d/out", &out), 0);
    assert_int_equal(walk_open((char *[]){"d"}, 1, &out, &walk), 0);
    expect_entry(walk, WALK_SPECIAL, "fifo", "d/fifo");
    expect_entry(walk, WALK_EXCLUDED, "out", "d/out");
    expect_end(walk);
}

/* Deeper than the descriptors that a walk keeps, and than PATH_MAX. */
static void a_very_deep_tree_is_walked_down_and_up_again(void **state)
{
    enum { DEPTH = 600 };
    struct walk *walk;
    struct walk_entry entry;
    char name[64];
    unsigned files = 0;

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(chdir("d"), 0);
    for (int i = 0; i < DEPTH; i++) {
        scratch_text("z", "");
        snprintf(name, sizeof(name), "a-rather-long-name-%d", i);
        assert_int_equal(mkdir(name, 0755), 0);
        assert_int_equal(chdir(name), 0);
    }
    assert_int_equal(chdir(scratch_path), 0);
    assert_int_equal(walk_open((char *[]){"d"}, 1, NULL, &walk), 0);
    while (walk_next(walk, &entry) == 1) {
        assert_int_equal(entry.kind, WALK_FILE);
        files++;
    }
    assert_int_equal(files, DEPTH);
    walk_close(walk);

    /* Nothing but openat reaches down there: so take it apart by hand. */
    for (int i = DEPTH - 1; i >= 0; i--) {
        assert_int_equal(chdir(scratch_path), 0);
        assert_int_equal(chdir("d"), 0);
        for (int k = 0; k < i; k++) {
            snprintf(name, sizeof(name), "a-rather-long-name-%d", k);
            assert_int_equal(chdir(name), 0);
        }
        snprintf(name, sizeof(name), "a-rather-long-name-%d", i);
        assert_int_equal(rmdir(name), 0);
        assert_int_equal(unlink("z"), 0);
    }
    assert_int_equal(chdir(scratch_path), 0);
}

static void the_last_component_of_a_path_is_its_name(void **state)
{
    static const char *const pairs[][2] = {{"a", "a"},  {"/a/b", "b"},  {"a/b//", "b"},
                                           {".", NULL}, {"a/..", NULL}, {"/", NULL},
                                           {"", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char *name = walk_last_component(pairs[i][0]);
        if (pairs[i][1] == NULL)
            assert_null(name);
        else
            assert_string_equal(name, pairs[i][1]);
        free(name);
    }
}

/* ---- collisions --------------------------------------------------------------------------- */

static int find_collision(const char *procedure, char **arguments, size_t count, char *ret_result)
{
    const struct recipe recipe = recipe_of(procedure);
    struct collision collision;
    const int found = collide_find(&recipe, arguments, count, &collision);

    if (found == 1) {
        snprintf(ret_result, 64, "%s", collision.result);
        free(collision.result);
    }
    return found;
}

static void two_arguments_with_one_result_are_found(void **state)
{
    char result[64];

    (void)state;
    mkdir("d", 0755);
    mkdir("e", 0755);
    mkdir("d/s", 0755);
    mkdir("e/s", 0755);
    scratch_text("d/s/a", "");
    scratch_text("e/s/b", "");
    scratch_text("e/c", "");
    assert_int_equal(find_collision("zstd", (char *[]){"d", "e"}, 2, result), 0);
    assert_int_equal(find_collision("zstd", (char *[]){"d", "d"}, 2, result), 1);
    assert_string_equal(result, "s/a.zst");
    assert_int_equal(find_collision("zstd", (char *[]){"d", "e", "e/c"}, 3, result), 1);
    assert_string_equal(result, "c.zst");
    scratch_text("e/s/a", "");
    assert_int_equal(find_collision("zstd", (char *[]){"d", "e"}, 2, result), 1);
    assert_string_equal(result, "s/a.zst");
}

static void a_result_and_a_directory_of_one_name_are_found(void **state)
{
    char result[64];

    (void)state;
    mkdir("d", 0755);
    mkdir("e", 0755);
    mkdir("e/a.zst", 0755);
    scratch_text("d/a", "");
    assert_int_equal(find_collision("copy", (char *[]){"d", "e"}, 2, result), 0);
    assert_int_equal(find_collision("zstd", (char *[]){"d", "e"}, 2, result), 1);
    assert_string_equal(result, "a.zst");
}

static void what_has_no_result_does_not_collide(void **state)
{
    char result[64];

    (void)state;
    mkdir("d", 0755);
    mkdir("e", 0755);
    scratch_text("d/a", "");
    scratch_text("e/a", "");
    assert_int_equal(find_collision("unzstd", (char *[]){"d", "e", "missing"}, 3, result), 0);
}

/* ---- results ------------------------------------------------------------------------------ */

static struct output open_output(bool has_tmpfile)
{
    struct output output;

    assert_int_equal(output_open("out/below", &output), 0);
    if (!has_tmpfile)
        output.has_tmpfile = false;
    return output;
}

static void expect_whole_or_nothing(bool has_tmpfile)
{
    struct output output = open_output(has_tmpfile);
    struct output_file file;
    struct stat status;

    assert_int_equal(output_begin(&output, "a/b/c", 0640, NULL, &file), 0);
    assert_int_equal(output_write(&file, "world", 5, 6), 0);
    assert_int_equal(output_write(&file, "hello ", 6, 0), 0);
    assert_int_equal(output_stat(&output, "a/b/c", &status), -ENOENT);
    assert_int_equal(output_commit(&file, &status), 0);
    assert_int_equal(status.st_size, 11);
    assert_int_equal(status.st_mode & 0137, 0);
    char *text = scratch_read("out/below/a/b/c");
    assert_string_equal(text, "hello world");
    free(text);

    /* A second one takes its place, and an abandoned third one does not. */
    assert_int_equal(output_begin(&output, "a/b/c", 0644, NULL, &file), 0);
    assert_int_equal(output_write(&file, "new", 3, 0), 0);
    assert_int_equal(output_commit(&file, &status), 0);
    assert_int_equal(output_begin(&output, "a/b/c", 0644, NULL, &file), 0);
    assert_int_equal(output_write(&file, "bad", 3, 0), 0);
    output_abandon(&file);
    /* Nor does one of which it is the source. */
    assert_int_equal(output_stat(&output, "a/b/c", &status), 0);
    assert_int_equal(output_begin(&output, "a/b/c", 0644, &status, &file), 0);
    assert_int_equal(output_write(&file, "bad", 3, 0), 0);
    assert_int_equal(output_commit(&file, &status), -EEXIST);
    text = scratch_read("out/below/a/b/c");
    assert_string_equal(text, "new");
    free(text);
    output_close(&output);
    assert_int_equal(system("test \"$(find out -type f)\" = out/below/a/b/c"), 0);
}

static void a_result_appears_whole(void **state)
{
    (void)state;
    expect_whole_or_nothing(true);
}

static void so_it_does_where_files_without_a_name_cannot_be_made(void **state)
{
    (void)state;
    expect_whole_or_nothing(false);
}

static void what_a_killed_run_left_is_taken_up(void **state)
{
    struct output output = open_output(false);
    struct output_file file, again;
    struct stat status;

    (void)state;
    assert_int_equal(output_begin(&output, "a", 0644, NULL, &file), 0);
    assert_int_equal(output_write(&file, "left behind", 11, 0), 0);
    assert_int_equal(output_begin(&output, "a", 0644, NULL, &again), 0); /* as after a kill */
    assert_int_equal(output_write(&again, "new", 3, 0), 0);
    assert_int_equal(output_commit(&again, &status), 0);
    char *text = scratch_read("out/below/a");
    assert_string_equal(text, "new");
    free(text);
    output_abandon(&file);
    output_close(&output);
}

static void nothing_is_written_through_a_symbolic_link(void **state)
{
    struct output output = open_output(true);
    struct output_file file;

    (void)state;
    mkdir("elsewhere", 0755);
    assert_int_equal(symlink("../../elsewhere", "out/below/a"), 0);
    assert_true(output_begin(&output, "a/b", 0644, NULL, &file) < 0);
    assert_int_equal(system("test -z \"$(ls elsewhere)\""), 0);
    output_close(&output);
}

static void a_file_in_the_way_of_a_directory_is_an_error(void **state)
{
    struct output output = open_output(true);
    struct output_file file;
    struct stat status;

    (void)state;
    scratch_text("out/below/a", "");
    assert_int_equal(output_begin(&output, "a/b", 0644, NULL, &file), -ENOTDIR);
    mkdir("out/below/d", 0755);
    assert_int_equal(output_begin(&output, "d", 0644, NULL, &file), 0);
    assert_true(output_commit(&file, &status) < 0);
    output_close(&output);
    assert_int_equal(system("test -z \"$(find out -name '*.part')\""), 0);
}

static void two_runs_do_not_share_an_output(void **state)
{
    struct output output = open_output(true), second;

    (void)state;
    assert_int_equal(output_open("out/below", &second), -EBUSY);
    output_close(&output);
    assert_int_equal(output_open("out/below", &second), 0);
    output_close(&second);
}

static void the_longest_name_can_be_written(void **state)
{
    char name[256], longer[257];
    struct output_file file;
    struct stat status;

    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    memset(longer, 'n', 256);
    longer[256] = '\0';
    for (int has_tmpfile = 0; has_tmpfile < 2; has_tmpfile++) {
        struct output output = open_output(has_tmpfile != 0);
        assert_int_equal(output_begin(&output, name, 0644, NULL, &file), 0);
        assert_int_equal(output_commit(&file, &status), 0);
        assert_int_equal(output_begin(&output, longer, 0644, NULL, &file), 0);
        assert_int_equal(output_commit(&file, &status), -ENAMETOOLONG);
        output_close(&output);
    }
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_enter, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_the_suffix_does_not_fit),
        cmocka_unit_test(suffixes_are_added_and_taken_off),
        cmocka_unit_test(an_unknown_procedure_is_taken_by_its_signature),
        cmocka_unit_test(what_cannot_be_run_on_files_is_refused_with_the_argument),
        cmocka_unit_test(the_last_component_of_a_path_is_its_name),
        IN_SCRATCH(files_come_in_the_order_of_their_names),
        IN_SCRATCH(links_are_not_followed_but_as_arguments),
        IN_SCRATCH(fifos_are_told_and_the_excluded_directory_is_not_entered),
        IN_SCRATCH(a_very_deep_tree_is_walked_down_and_up_again),
        IN_SCRATCH(two_arguments_with_one_result_are_found),
        IN_SCRATCH(a_result_and_a_directory_of_one_name_are_found),
        IN_SCRATCH(what_has_no_result_does_not_collide),
        IN_SCRATCH(a_result_appears_whole),
        IN_SCRATCH(so_it_does_where_files_without_a_name_cannot_be_made),
        IN_SCRATCH(what_a_killed_run_left_is_taken_up),
        IN_SCRATCH(nothing_is_written_through_a_symbolic_link),
        IN_SCRATCH(a_file_in_the_way_of_a_directory_is_an_error),
        IN_SCRATCH(two_runs_do_not_share_an_output),
        IN_SCRATCH(the_longest_name_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
