/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Direct I/O at any offset, size and address, against a model in memory and pread(2).
 */
#include "file_tests.h"

#include <sys/stat.h>

#define BYTES_MAX (1 << 20)

static char folder_path[] = "/tmp/vine-direct-XXXXXX";
static char path[64];
static struct vine_file file;
static int oracle_fd; /* the same file without O_DIRECT */
static uint64_t random_state;

static unsigned char model[BYTES_MAX];
static size_t model_size;

static int open_world(void **state)
{
    (void)state;
    world_open(1, 16);
    memset(model, 0, sizeof(model));
    model_size = 0;
    (void)snprintf(path, sizeof(path), "%s/file", folder_path);
    (void)unlink(path);
    const int64_t result =
        AWAIT(vine_file_open, &file, NULL, path, O_RDWR | O_CREAT | O_DIRECT, 0600);

    if (result == -EINVAL) {
        print_message("no direct I/O in %s: left out\n", folder_path);
        exit(77);
    }
    assert_int_equal(result, 0);
    oracle_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(oracle_fd >= 0);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    close_file(&file);
    assert_int_equal(close(oracle_fd), 0);
    world_close();
    return 0;
}

static void fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)next_random(&random_state);
}

static void check_file(void)
{
    static unsigned char found[BYTES_MAX];
    struct stat status;

    assert_int_equal(fstat(oracle_fd, &status), 0);
    assert_int_equal(status.st_size, model_size);
    assert_int_equal(pread(oracle_fd, found, sizeof(found), 0), model_size);
    assert_memory_equal(found, model, model_size);
}

static void model_write(const unsigned char *bytes, size_t size, size_t offset)
{
    memcpy(model + offset, bytes, size);
    if (size > 0 && offset + size > model_size)
        model_size = offset + size;
}

/* Mostly odd, sometimes whole blocks. */
static size_t some(size_t most)
{
    const uint64_t random = next_random(&random_state);
    const size_t value = (random >> 8) % most;

    return random % 4 == 0 ? value & ~(size_t)4095 : value;
}

static void write_some(unsigned char *memory)
{
    const size_t offset = some(BYTES_MAX / 2);
    const size_t size = some(next_random(&random_state) % 8 == 0 ? BYTES_MAX / 2 : 9000);
    unsigned char *const bytes = memory + next_random(&random_state) % 2 * some(600);

    fill(bytes, size);
    assert_int_equal(AWAIT(vine_file_write, &file, bytes, size, offset), size);
    model_write(bytes, size, offset);
}

static void write_some_parts(unsigned char *memory)
{
    struct iovec parts[5];
    const size_t offset = some(BYTES_MAX / 2);
    size_t at = 0;

    for (int i = 0; i < 5; i++) {
        parts[i] = (struct iovec){.iov_base = memory + at, .iov_len = some(5000)};
        at += parts[i].iov_len;
    }
    fill(memory, at);
    assert_int_equal(AWAIT(vine_file_writev, &file, parts, 5, offset), at);
    model_write(memory, at, offset);
}

static void read_some(unsigned char *memory)
{
    const size_t offset = some(BYTES_MAX / 2);
    const size_t size = some(next_random(&random_state) % 8 == 0 ? BYTES_MAX / 2 : 9000);
    const size_t expected = offset >= model_size         ? 0
                            : size < model_size - offset ? size
                                                         : model_size - offset;
    struct iovec parts[2] = {{memory, size / 3}, {memory + size / 3, size - size / 3}};
    const int64_t result = next_random(&random_state) % 2 == 0
                               ? AWAIT(vine_file_read, &file, memory, size, offset)
                               : AWAIT(vine_file_readv, &file, parts, 2, offset);

    assert_int_equal(result, expected);
    assert_memory_equal(memory, model + offset, expected);
}

static void truncate_some(void)
{
    const size_t size = some(BYTES_MAX / 2);

    assert_int_equal(AWAIT(vine_file_truncate, &file, size), 0);
    if (size < model_size)
        memset(model + size, 0, model_size - size);
    model_size = size;
}

static void any_offset_size_and_address_agree_with_the_oracle(void **state)
{
    (void)state;
    static _Alignas(4096) unsigned char memory[BYTES_MAX];

    for (int round = 0; round < 400; round++) {
        switch (next_random(&random_state) % 8) {
        case 0:
            truncate_some();
            break;
        case 1:
        case 2:
        case 3:
            write_some(memory);
            break;
        case 4:
            write_some_parts(memory);
            break;
        default:
            read_some(memory);
            break;
        }
        if (round % 20 == 0)
            check_file();
    }
    check_file();
}

static void whole_blocks_go_as_they_are_and_in_buffers_of_the_core(void **state)
{
    (void)state;
    const size_t size = vine_file_buffer_size();
    unsigned char *const buffer = vine_file_buffer_get();
    unsigned char *const other = vine_file_buffer_get();

    assert_non_null(buffer);
    assert_non_null(other);
    assert_ptr_not_equal(buffer, other);
    assert_true(vine_file_alignment(&file) > 1);
    fill(buffer, size);
    assert_int_equal(AWAIT(vine_file_write, &file, buffer, size, 4096), size);
    model_write(buffer, size, 4096);
    assert_int_equal(AWAIT(vine_file_read, &file, other, size, 4096), size);
    assert_memory_equal(buffer, other, size);
    assert_int_equal(AWAIT(vine_file_read, &file, other, 4096, 4096 + size), 0);
    check_file();
    vine_file_buffer_put(buffer);
    vine_file_buffer_put(other);
}

static void a_stream_has_no_place_in_direct_io(void **state)
{
    (void)state;
    char byte;

    assert_int_equal(AWAIT(vine_file_read, &file, &byte, 1, VINE_FILE_STREAM), -EINVAL);
}

/* What is in the same block is written by several at once. */
static void writes_at_once_to_the_same_blocks_lose_nothing(void **state)
{
    (void)state;
    enum { COUNT = 64, SIZE = 777 };
    static struct wish wishes[COUNT];
    static unsigned char bytes[COUNT][SIZE];
    static _Alignas(4096) unsigned char block[4096];

    for (int round = 0; round < 10; round++) {
        struct wish aligned, shrink;

        for (int i = 0; i < COUNT; i++) {
            fill(bytes[i], SIZE);
            vine_file_write(&wish_new(&wishes[i])->op, &file, bytes[i], SIZE, (uint64_t)i * SIZE);
            model_write(bytes[i], SIZE, (size_t)i * SIZE);
        }
        fill(block, sizeof(block));
        vine_file_write(&wish_new(&aligned)->op, &file, block, sizeof(block), 65536);
        model_write(block, sizeof(block), 65536);
        vine_file_truncate(&wish_new(&shrink)->op, &file, 65536 + 4096);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(wish_wait(&wishes[i]), SIZE);
        assert_int_equal(wish_wait(&aligned), 4096);
        assert_int_equal(wish_wait(&shrink), 0);
        check_file();
    }
}

static void operations_go_on_when_the_program_has_taken_all_buffers(void **state)
{
    (void)state;
    void *taken[64];
    int count = 0;
    struct wish wishes[20];
    static unsigned char bytes[20][100];

    while ((taken[count] = vine_file_buffer_get()) != NULL)
        assert_true(++count < 64);
    fill(bytes[0], sizeof(bytes));
    assert_int_equal(AWAIT(vine_file_write, &file, bytes[0], sizeof(bytes), 3), sizeof(bytes));
    memset(bytes, 0, sizeof(bytes));
    for (int i = 0; i < 20; i++)
        vine_file_read(&wish_new(&wishes[i])->op, &file, bytes[i], 100, 3 + (uint64_t)i * 100);
    /* Those that wait for a buffer can be cancelled, too. */
    vine_file_cancel(&wishes[19].op);
    vine_file_cancel(&wishes[10].op);
    for (int i = 0; i < 20; i++)
        assert_int_equal(wish_wait(&wishes[i]), i == 10 || i == 19 ? -ECANCELED : 100);
    while (count > 0)
        vine_file_buffer_put(taken[--count]);
}

static void cancelled_writes_leave_the_file_in_order(void **state)
{
    (void)state;
    enum { COUNT = 16, SIZE = 5001 };
    static struct wish wishes[COUNT];
    static unsigned char bytes[COUNT][SIZE];
    struct stat status;

    for (int round = 0; round < 20; round++) {
        size_t end = 0;

        assert_int_equal(ftruncate(oracle_fd, 0), 0);
        for (int i = 0; i < COUNT; i++) {
            memset(bytes[i], i + 1, SIZE);
            vine_file_write(&wish_new(&wishes[i])->op, &file, bytes[i], SIZE, (uint64_t)i * SIZE);
        }
        for (uint64_t turn = next_random(&random_state) % 30; turn > 0; turn--)
            world_turn();
        for (int i = 0; i < COUNT; i++)
            if (next_random(&random_state) % 2 == 0)
                vine_file_cancel(&wishes[i].op);
        for (int i = 0; i < COUNT; i++) {
            const int64_t result = wish_wait(&wishes[i]);
            const uint64_t count = vine_file_count(&wishes[i].op);

            assert_true(result == SIZE || result == -ECANCELED);
            if (count > 0)
                end = (size_t)i * SIZE + count;
        }
        /* No padding stays behind what was written. */
        assert_int_equal(fstat(oracle_fd, &status), 0);
        assert_int_equal(status.st_size, end);
    }
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest direct[] = {
        IN_A_WORLD(a_stream_has_no_place_in_direct_io),
        IN_A_WORLD(whole_blocks_go_as_they_are_and_in_buffers_of_the_core),
        IN_A_WORLD(any_offset_size_and_address_agree_with_the_oracle),
        IN_A_WORLD(writes_at_once_to_the_same_blocks_lose_nothing),
        IN_A_WORLD(operations_go_on_when_the_program_has_taken_all_buffers),
        IN_A_WORLD(cancelled_writes_leave_the_file_in_order),
    };

    random_state = choose_seed();
    if (folder_make(folder_path) != 0)
        return 1;
    return RUN_OVER_BOTH(direct);
}
