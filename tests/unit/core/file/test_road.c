/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Cores without an I/O queue, whose requests go by that of core 0.
 */
#include "file_tests.h"

#define CORES 4
#define DEPTH 200

static char folder_path[] = "/tmp/vine-road-XXXXXX";
static char path[64];
static struct vine_file files[CORES];
static uint64_t random_state;

/* What follows is called on `core`. */
static void enter(uint32_t core)
{
    (void)vine__reactor_enter(world.reactors[core]);
}

static int open_world(void **state)
{
    (void)state;
    world_open(CORES, 4);
    (void)snprintf(path, sizeof(path), "%s/file", folder_path);
    for (uint32_t core = 0; core < CORES; core++) {
        enter(core);
        assert_int_equal(
            AWAIT(vine_file_open, &files[core], NULL, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
    }
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    for (uint32_t core = 0; core < CORES; core++) {
        enter(core);
        close_file(&files[core]);
    }
    world_close();
    return 0;
}

static void a_core_without_a_queue_reads_and_writes_by_its_neighbours(void **state)
{
    (void)state;
    char bytes[32] = "";

    enter(3);
    assert_null(vine__io_queue_own());
    assert_int_equal(AWAIT(vine_file_write, &files[3], "from core 3", 11, 0), 11);
    enter(1);
    assert_int_equal(AWAIT(vine_file_read, &files[1], bytes, 32, 0), 11);
    assert_memory_equal(bytes, "from core 3", 11);
    assert_int_equal(AWAIT(vine_file_write, &files[1], bytes, 1, (uint64_t)1 << 62), -EFBIG);
    enter(0);
    assert_non_null(vine__io_queue_own());
}

/* The function of an operation that says where it ran. */
struct located {
    struct vine_file_op op;
    uint32_t core;
    uint32_t calls;
};

static void note_core(struct vine_file_op *op)
{
    struct located *const located = (struct located *)(void *)op;

    located->core = vine_core();
    located->calls++;
}

static void many_from_all_cores_end_once_each_on_their_own(void **state)
{
    (void)state;
    static struct located ops[CORES][DEPTH];
    static char bytes[CORES][DEPTH][64];
    bool all_done = false;

    for (uint32_t core = 0; core < CORES; core++) {
        enter(core);
        for (int i = 0; i < DEPTH; i++) {
            memset(bytes[core][i], (int)core * 50 + i % 50, 64);
            ops[core][i] = (struct located){0};
            vine_file_op_init(&ops[core][i].op, note_core);
            vine_file_write(&ops[core][i].op, &files[core], bytes[core][i], 64,
                            (core * DEPTH + (uint64_t)i) * 64);
        }
    }
    while (!all_done) {
        world_turn();
        all_done = true;
        for (uint32_t core = 0; core < CORES; core++)
            for (int i = 0; i < DEPTH; i++)
                all_done &= ops[core][i].calls > 0;
    }
    for (uint32_t core = 0; core < CORES; core++) {
        for (int i = 0; i < DEPTH; i++) {
            char found[64];

            assert_int_equal(ops[core][i].core, core);
            assert_int_equal(ops[core][i].calls, 1);
            assert_int_equal(vine_file_result(&ops[core][i].op), 64);
            assert_int_equal(pread(vine_file_descriptor(&files[core]), found, 64,
                                   (off_t)(core * DEPTH + (uint32_t)i) * 64),
                             64);
            assert_memory_equal(found, bytes[core][i], 64);
        }
    }
    enter(0);
}

/* The end of a request and its cancel pass each other on the road; the operation is freed at its
 * end, as its owner may. */
static uint32_t freed;

static void free_op(struct vine_file_op *op)
{
    assert_true(vine_file_result(op) == 16 || vine_file_result(op) == -ECANCELED);
    freed++;
    memset(op, 0xee, sizeof(*op));
    free(op);
}

static void cancels_and_ends_may_pass_each_other(void **state)
{
    (void)state;
    static char bytes[16];

    for (int round = 0; round < 50; round++) {
        struct vine_file_op *ops[3 * 20];
        uint32_t count = 0;

        freed = 0;
        for (uint32_t core = 1; core < CORES; core++) {
            enter(core);
            for (int i = 0; i < 20; i++, count++) {
                ops[count] = malloc(sizeof(*ops[count]));
                assert_non_null(ops[count]);
                vine_file_op_init(ops[count], free_op);
                vine_file_write(ops[count], &files[core], bytes, 16, 0);
            }
        }
        for (uint64_t turn = next_random(&random_state) % 6; turn > 0; turn--)
            (void)vine__reactor_step(world.reactors[next_random(&random_state) % CORES]);
        /* Before any has ended: nobody but the neighbour has turned since some have. */
        if (freed == 0) {
            for (uint32_t i = 0; i < count; i++) {
                enter(1 + i / 20);
                if (next_random(&random_state) % 2 == 0)
                    vine_file_cancel(ops[i]);
            }
        }
        while (freed < count)
            world_turn();
    }
    enter(0);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest roads[] = {
        IN_A_WORLD(a_core_without_a_queue_reads_and_writes_by_its_neighbours),
        IN_A_WORLD(many_from_all_cores_end_once_each_on_their_own),
        IN_A_WORLD(cancels_and_ends_may_pass_each_other),
    };

    random_state = choose_seed();
    if (folder_make(folder_path) != 0)
        return 1;
    return RUN_OVER_BOTH(roads);
}
