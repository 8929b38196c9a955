/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/* What an engine finds of those that tried before it which accelerator boots a VM. */
#include "engine_world.h"

#include <sys/stat.h>

static bool is_closed;

static void closed(void *context)
{
    (void)context;
    is_closed = true;
}

static void open_and_close_engine(void)
{
    const struct vine__engine_options options = world_options();
    struct vine__machines *machines;

    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    assert_int_equal(vine__engine_open(&options, &machines), 0);
    vine__engine_close(machines, closed, NULL);
    until(is_closed);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
}

static bool is_there(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void make_file(const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *const file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

/* One that was killed while it tried what boots a guest. */
static void what_probes_have_left_is_cleared_but_for_what_they_know(void **state)
{
    static const char *const folders[] = {"probe-0", "probe-3"};
    char path[64];

    (void)state;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/probe-77.qmp", folders[i]);
        make_file(path);
        (void)snprintf(path, sizeof(path), "%s/accelerators.new", folders[i]);
        make_file(path);
    }
    make_file("probe-3/accelerators");
    open_and_close_engine();
    assert_false(is_there("probe-0"));
    assert_false(is_there("probe-3/probe-77.qmp") || is_there("probe-3/accelerators.new"));
    assert_true(is_there("probe-3/accelerators"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_probes_have_left_is_cleared_but_for_what_they_know),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
