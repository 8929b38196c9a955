/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/*
 * What --verify and --in-process go by: the same libraries, called here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"

#include <vine/error.h>

#include "../tools/engine.h"
#include "../tools/human.h"
#include "../tools/local.h"
#include "../tools/sums.h"
#include "../tools/verify.h"

static bool go_on(void)
{
    return false;
}

static bool stop_at_once(void)
{
    return true;
}

#define BYTES (700U << 10)

static unsigned char plain[BYTES];

static void fill(void)
{
    uint32_t random = 1;

    for (size_t i = 0; i < BYTES; i++) {
        random = random * 1664525 + 1013904223;
        plain[i] = (unsigned char)(i % 3 == 0 ? random >> 24 : 'a');
    }
}

/* Compress `size` bytes in chunks, one frame each, into a file. */
static void pack(const char *procedure, size_t size, const char *path)
{
    static unsigned char packed[BYTES + 65536];
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    struct local_packer *packer = local_packer_create(procedure, false, 0);
    size_t at = 0, made;

    assert_non_null(packer);
    do {
        const size_t chunk = size - at < 300000 ? size - at : 300000;
        assert_int_equal(local_pack(packer, plain + at, chunk, packed, sizeof(packed), &made), 0);
        assert_int_equal(write(fd, packed, made), made);
        at += chunk;
    } while (at < size);
    local_packer_destroy(packer);
    close(fd);
}

static int verify(const char *procedure, const char *source, const char *result)
{
    struct recipe recipe;
    const int one = open(source, O_RDONLY), other = open(result, O_RDONLY);

    assert_true(one >= 0 && other >= 0);
    assert_true(recipe_of_shipped(procedure, &recipe));
    assert_true(verify_knows(&recipe));
    const int outcome = verify_files(&recipe, one, other, go_on);
    close(one);
    close(other);
    return outcome;
}

static void expect_verified(const char *procedure, const char *undo, size_t size)
{
    scratch_write("plain", plain, size);
    pack(procedure, size, "packed");
    assert_int_equal(verify(procedure, "plain", "packed"), 0);
    if (undo != NULL)
        assert_int_equal(verify(undo, "packed", "plain"), 0);
}

static void what_was_done_right_is_verified(void **state)
{
    static const size_t sizes[] = {0, 1, 262144, 300000, 300001, BYTES};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        expect_verified("zstd", "unzstd", sizes[i]);
        expect_verified("gzip", "gunzip", sizes[i]);
        expect_verified("copy", NULL, sizes[i]);
    }
}

static void expect_caught(const char *procedure, const char *spoil)
{
    scratch_write("plain", plain, BYTES);
    pack(procedure, BYTES, "packed");
    assert_int_equal(system(spoil), 0);
    assert_int_equal(verify(procedure, "plain", "packed"), -VINE_EDATA);
}

static void what_was_done_wrong_is_caught(void **state)
{
    static const char *const spoils[] = {
        "truncate -s -1 packed",                                           /* the end is missing */
        "truncate -s 0 packed",                                            /* all of it */
        "printf x >>plain",                                                /* the source has more */
        "truncate -s -1 plain",                                            /* ... or less */
        "printf X | dd of=packed bs=1 seek=5000 conv=notrunc status=none", /* another byte */
        "printf X | dd of=plain bs=1 seek=5000 conv=notrunc status=none",
        "dd if=/dev/zero of=packed bs=1 count=4 conv=notrunc status=none",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        expect_caught("zstd", spoils[i]);
        expect_caught("gzip", spoils[i]);
        expect_caught("copy", spoils[i]);
    }
}

static void garbage_behind_gzip_members_is_ignored_as_gzip_does(void **state)
{
    (void)state;
    scratch_write("plain", plain, 1000);
    pack("gzip", 1000, "packed");
    assert_int_equal(system("printf garbage >>packed"), 0);
    assert_int_equal(verify("gunzip", "packed", "plain"), 0);
    assert_int_equal(verify("gzip", "plain", "packed"), -VINE_EDATA);
}

static void a_wrong_sum_is_caught(void **state)
{
    static const char *const procedures[] = {"sha256", "blake2b", "crc32", "xxh3"};
    unsigned char bytes[LOCAL_SUM_MAX];

    (void)state;
    scratch_write("plain", plain, BYTES);
    const int fd = open("plain", O_RDONLY);
    for (size_t i = 0; i < sizeof(procedures) / sizeof(procedures[0]); i++) {
        struct local_sum *sum = local_sum_create(procedures[i]);
        assert_non_null(sum);
        local_sum_add(sum, plain, 12345);
        local_sum_add(sum, plain + 12345, BYTES - 12345);
        const size_t size = local_sum_final(sum, bytes);
        assert_int_equal(verify_sum(procedures[i], fd, bytes, size, go_on), 0);
        assert_int_equal(verify_sum(procedures[i], fd, bytes, size - 1, go_on), -VINE_EDATA);
        bytes[size - 1] ^= 1;
        assert_int_equal(verify_sum(procedures[i], fd, bytes, size, go_on), -VINE_EDATA);
        local_sum_destroy(sum);
    }
    assert_int_equal(verify_sum("sha256", fd, bytes, 32, stop_at_once), -4 /* EINTR */);
    close(fd);
    assert_null(local_sum_create("zstd"));
}

static void sums_of_nothing_are_the_published_ones(void **state)
{
    static const char *const known[][2] = {
        {"sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"blake2b", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
        {"crc32", "00000000"},
        {"xxh3", "2d06800538d394c2"},
    };
    unsigned char bytes[LOCAL_SUM_MAX];
    char text[2 * LOCAL_SUM_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct local_sum *sum = local_sum_create(known[i][0]);
        assert_non_null(sum);
        local_sum_add(sum, "x", 1);
        local_sum_reset(sum);
        sums_hex(bytes, local_sum_final(sum, bytes), text);
        assert_string_equal(text, known[i][1]);
        local_sum_destroy(sum);
    }
}

/* ---- the engine of threads ---------------------------------------------------------------- */

static struct engine *make_engine(const char *procedure, struct recipe *recipe)
{
    struct engine *engine;

    assert_true(recipe_of_shipped(procedure, recipe));
    const struct engine_options options = {.recipe = recipe, .with_sums = true, .threads = 3};
    assert_int_equal(engine_threads_create(&options, &engine), 0);
    return engine;
}

static struct work *issue(struct engine *engine, enum engine_role role, const void *bytes,
                          size_t size, struct engine_session *session, bool is_last)
{
    struct work *work = calloc(1, sizeof(*work));

    assert_non_null(work);
    work->role = role;
    assert_int_equal(engine_block_create(engine, size, &work->input), 0);
    memcpy(work->input->bytes, bytes, size);
    work->room = role == ENGINE_MAIN ? size + 1024 : 0;
    work->session = session;
    work->is_last = is_last;
    assert_int_equal(engine_issue(engine, work), 0);
    return work;
}

static struct work *take(struct engine *engine)
{
    struct work *work;

    while ((work = engine_next_done(engine)) == NULL)
        assert_int_equal(engine_wait(engine, VINE_NS_PER_SECOND), 0);
    return work;
}

static void a_session_hashes_its_tasks_in_order(void **state)
{
    struct recipe recipe;
    struct engine *engine = make_engine("zstd", &recipe);
    struct engine_session *session;
    struct local_sum *sum = local_sum_create("sha256");
    unsigned char expected[LOCAL_SUM_MAX];
    unsigned ended = 0;

    (void)state;
    local_sum_add(sum, plain, 200 * 1000);
    local_sum_final(sum, expected);
    local_sum_destroy(sum);
    assert_int_equal(engine_session_open(engine, ENGINE_SUM, &session), 0);
    for (size_t i = 0; i < 200; i++)
        issue(engine, ENGINE_SUM, plain + i * 1000, 1000, session, i == 199);
    engine_session_close(engine, session); /* its tasks end all the same */
    while (engine->in_flight > 0) {
        struct work *work = take(engine);
        assert_int_equal(work->status, 0);
        if (work->is_last)
            assert_memory_equal(work->result, expected, 32);
        engine_work_free(engine, work);
        ended++;
    }
    assert_int_equal(ended, 200);
    engine_destroy(engine);
}

static void more_than_the_engine_takes_is_refused(void **state)
{
    struct recipe recipe;
    struct engine *engine = make_engine("copy", &recipe);
    struct work *extra = calloc(1, sizeof(*extra));

    (void)state;
    for (uint32_t i = 0; i < engine->tasks_max; i++)
        issue(engine, ENGINE_MAIN, "x", 1, NULL, true);
    assert_int_equal(engine_block_create(engine, 1, &extra->input), 0);
    assert_int_equal(engine_issue(engine, extra), -11 /* EAGAIN */);
    engine_work_free(engine, extra);
    while (engine->in_flight > 0)
        engine_work_free(engine, take(engine));
    engine_destroy(engine);
}

/* Sanitizers see whether anything of it is left. */
static void an_engine_is_destroyed_with_work_under_way(void **state)
{
    struct recipe recipe;
    struct engine *engine = make_engine("zstd", &recipe);
    struct engine_session *session;

    (void)state;
    assert_int_equal(engine_session_open(engine, ENGINE_SUM, &session), 0);
    for (int i = 0; i < 50; i++) {
        issue(engine, ENGINE_MAIN, plain, 10000, NULL, true);
        issue(engine, ENGINE_SUM, plain, 10000, session, i == 49);
    }
    assert_int_equal(engine_wait(engine, VINE_NS_PER_SECOND), 0);
    engine_session_close(engine, session);
    engine_destroy(engine);
}

static void what_threads_cannot_do_is_refused(void **state)
{
    struct recipe recipe;
    struct engine *engine;

    (void)state;
    assert_true(recipe_of_shipped("unzstd", &recipe));
    const struct engine_options options = {.recipe = &recipe, .threads = 1};
    assert_true(engine_threads_create(&options, &engine) < 0);
}

static void numbers_are_readable(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_string_equal(human_bytes(0, text), "0 B");
    assert_string_equal(human_bytes(1234567, text), "1.23 MB");
    assert_string_equal(human_binary(1 << 20, text), "1 MiB");
    assert_string_equal(human_ns(4700, text), "4.70 us");
    assert_string_equal(human_ns(65535, text), "65.5 us");
    assert_string_equal(human_count(12345678, text), "12,345,678");
    assert_string_equal(human_count(999, text), "999");
}

static int set_up(void **state)
{
    (void)state;
    fill();
    return 0;
}

#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_enter, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(what_was_done_wrong_is_caught),
        IN_SCRATCH(a_wrong_sum_is_caught),
        cmocka_unit_test(more_than_the_engine_takes_is_refused),
        cmocka_unit_test(what_threads_cannot_do_is_refused),
        cmocka_unit_test(an_engine_is_destroyed_with_work_under_way),
        IN_SCRATCH(what_was_done_right_is_verified),
        IN_SCRATCH(garbage_behind_gzip_members_is_ignored_as_gzip_does),
        cmocka_unit_test(sums_of_nothing_are_the_published_ones),
        cmocka_unit_test(a_session_hashes_its_tasks_in_order),
        cmocka_unit_test(numbers_are_readable),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
