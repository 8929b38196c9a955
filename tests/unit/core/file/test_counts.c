/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What files are told of in the metrics of their core, by class. */
#include "file_tests.h"

#include <vine/metrics.h>

#include "core/metrics/metrics.h"

#define TEXT_BYTES 65536

static char text[TEXT_BYTES];
static size_t text_length;
static bool is_collected;

static void open_world(uint32_t count, uint32_t requests_max)
{
    snprintf(world.folder, sizeof(world.folder), "/tmp/vine-counts-XXXXXX");
    assert_int_equal(folder_make(world.folder), 0);
    world_open(count, requests_max);
    for (uint32_t core = 0; core < count; core++) {
        (void)vine__reactor_enter(world.reactors[core]);
        assert_int_equal(vine__file_metrics_start(), 0);
    }
    (void)vine__reactor_enter(world.reactors[0]);
}

static void close_world(void)
{
    for (uint32_t core = 0; core < world.count; core++)
        vine__metrics_end(core);
    world_close();
}

/* ---- reading what is told -------------------------------------------------------------------- */

static void take_text(void *context, const char *piece, size_t size_bytes)
{
    (void)context;
    assert_true(text_length + size_bytes < TEXT_BYTES);
    memcpy(text + text_length, piece, size_bytes);
    text_length += size_bytes;
    text[text_length] = '\0';
}

static void see_collected(void *context, int error)
{
    (void)context;
    assert_int_equal(error, 0);
    is_collected = true;
}

static void collect(void)
{
    const struct vine_metrics_sink sink = {.text = take_text, .done = see_collected};

    text_length = 0;
    is_collected = false;
    (void)vine__reactor_enter(world.reactors[0]);
    assert_int_equal(vine_metrics_collect(VINE_METRICS_PROMETHEUS, &sink), 0);
    world_run_until(&is_collected);
}

/* The value of a metric, or -1: nothing is told of it. */
static int64_t told(const char *name, const char *class, uint32_t core)
{
    for (const char *line = text; line != NULL; line = strchr(line + 1, '\n')) {
        char in_class[64], on_core[32];
        const char *const begin = line + (*line == '\n');
        const size_t length = strcspn(begin, "\n");
        char copy[512];

        if (length >= sizeof(copy))
            continue;
        memcpy(copy, begin, length);
        copy[length] = '\0';
        snprintf(in_class, sizeof(in_class), "class=\"%s\"", class);
        snprintf(on_core, sizeof(on_core), "core=\"%u\"", core);
        if (strncmp(copy, name, strlen(name)) == 0 && copy[strlen(name)] == '{' &&
            strstr(copy, in_class) != NULL && strstr(copy, on_core) != NULL)
            return (int64_t)strtod(strrchr(copy, ' '), NULL);
    }
    return -1;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void use_file(struct vine_io_class io_class, uint32_t writes)
{
    static char bytes[4096];
    char path[128];
    struct vine_file file = {0};
    struct wish wish;

    snprintf(path, sizeof(path), "%s/file", world.folder);
    assert_int_equal(AWAIT(vine_file_open, &file, NULL, path, O_RDWR | O_CREAT, 0600), 0);
    for (uint32_t i = 0; i < writes; i++) {
        vine_file_op_set_class(&wish_new(&wish)->op, io_class);
        vine_file_write(&wish.op, &file, bytes, sizeof(bytes), 0);
        assert_int_equal(wish_wait(&wish), sizeof(bytes));
    }
    vine_file_op_set_class(&wish_new(&wish)->op, io_class);
    vine_file_read(&wish.op, &file, bytes, sizeof(bytes), 1000);
    assert_int_equal(wish_wait(&wish), 3096);
    close_file(&file);
}

static void operations_bytes_and_errors_are_told_by_class(void **state)
{
    struct vine_io_class bulk, namesake;
    struct vine_file file = {0};

    (void)state;
    open_world(1, 8);
    assert_int_equal(vine_io_class_create("bulk", 50, &bulk), 0);
    assert_int_equal(vine_io_class_create("bulk", 50, &namesake), 0);
    collect();
    assert_int_equal(told("vine_file_operations_total", "default", 0), 0);
    assert_int_equal(told("vine_file_operations_total", "bulk", 0), -1);
    use_file(bulk, 3);
    use_file(namesake, 1);
    assert_int_equal(AWAIT(vine_file_open, &file, NULL, "/proc/self/none", O_RDONLY, 0), -ENOENT);
    collect();
    assert_int_equal(told("vine_file_operations_total", "bulk", 0), 4);
    assert_int_equal(told("vine_file_errors_total", "bulk", 0), 0);
    assert_int_equal(told("vine_file_written_bytes_total", "bulk", 0), 3 * 4096);
    assert_int_equal(told("vine_file_read_bytes_total", "bulk", 0), 3096);
    assert_int_equal(told("vine_file_operations_total", "bulk-2", 0), 2);
    assert_int_equal(told("vine_file_operations_total", "default", 0), 5);
    assert_int_equal(told("vine_file_errors_total", "default", 0), 1);
    assert_int_equal(told("vine_file_read_bytes_total", "default", 0), 0);
    close_world();
}

static void requests_are_told_where_their_queue_is(void **state)
{
    (void)state;
    open_world(2, 8);
    (void)vine__reactor_enter(world.reactors[1]);
    use_file((struct vine_io_class){0}, 2);
    collect();
    assert_int_equal(told("vine_file_operations_total", "default", 1), 5);
    assert_int_equal(told("vine_file_operations_total", "default", 0), 0);
    assert_int_equal(told("vine_file_queue_requests_total", "default", 1), -1);
    /* The read asks once more, to see the end of the file. */
    assert_in_range(told("vine_file_queue_requests_total", "default", 0), 3, 4);
    close_world();
}

static void what_waits_is_counted_and_for_how_long(void **state)
{
    enum { WISHES = 20 };
    static struct wish wishes[WISHES];
    static char bytes[WISHES][512];
    struct vine_io_class bulk;
    struct vine_file file = {0};

    (void)state;
    open_world(1, 1);
    assert_int_equal(vine_io_class_create("bulk", 50, &bulk), 0);
    assert_int_equal(AWAIT(vine_file_open, &file, NULL, "/dev/zero", O_RDONLY, 0), 0);
    for (int i = 0; i < WISHES; i++) {
        vine_file_op_set_class(&wish_new(&wishes[i])->op, bulk);
        vine_file_read(&wishes[i].op, &file, bytes[i], sizeof(bytes[i]), 0);
    }
    assert_int_equal(vine__io_queue_own()->lanes[bulk.id].waiting, WISHES - 1);
    for (int i = 0; i < WISHES; i++)
        assert_int_equal(wish_wait(&wishes[i]), 512);
    close_file(&file);
    collect();
    assert_int_equal(told("vine_file_queue_length", "bulk", 0), 0);
    assert_int_equal(told("vine_file_queue_requests_total", "bulk", 0), WISHES);
    assert_int_equal(told("vine_file_queue_wait_seconds_count", "bulk", 0), WISHES);
    close_world();
}

static void one_that_is_cancelled_is_no_error(void **state)
{
    struct vine_file file = {0};
    struct wish one, other;
    char bytes[2];
    int ends[2];

    (void)state;
    open_world(1, 1);
    assert_int_equal(pipe(ends), 0);
    vine_file_adopt(&file, ends[0]);
    vine_file_read(&wish_new(&one)->op, &file, bytes, 1, VINE_FILE_STREAM);
    vine_file_read(&wish_new(&other)->op, &file, bytes + 1, 1, VINE_FILE_STREAM);
    vine_file_cancel(&other.op);
    assert_int_equal(wish_wait(&other), -ECANCELED);
    assert_int_equal(vine__io_queue_own()->lanes[0].waiting, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(wish_wait(&one), 1);
    close_file(&file);
    (void)close(ends[1]);
    collect();
    assert_int_equal(told("vine_file_operations_total", "default", 0), 3);
    assert_int_equal(told("vine_file_errors_total", "default", 0), 0);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_bytes_and_errors_are_told_by_class),
        cmocka_unit_test(requests_are_told_where_their_queue_is),
        cmocka_unit_test(what_waits_is_counted_and_for_how_long),
        cmocka_unit_test(one_that_is_cancelled_is_no_error),
    };

    return RUN_OVER_BOTH(tests);
}
