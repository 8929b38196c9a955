/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * A core without an I/O queue, and the neighbour that has one, each on a thread of its own.
 */
#include "file_tests.h"

#include <pthread.h>

#define AT_ONCE 50
#define READS   5000

static char folder_path[] = "/tmp/vine-road-XXXXXX";
static char path[64];
static pthread_barrier_t barrier;
static struct vine__mesh *mesh;

/* Core 1's alone. */
static struct {
    struct vine_file file;
    struct vine_file_op op;
    struct vine_work work;
    struct vine_file_op reads[AT_ONCE];
    unsigned char bytes[AT_ONCE][64];
    uint64_t random;
    uint32_t begun, ended, cancelled;
} reader;

static void see_closed(struct vine_file_op *op)
{
    assert_int_equal(vine_file_result(op), 0);
    vine_stop(0);
}

static void begin_read(uint32_t i)
{
    const uint64_t random = next_random(&reader.random);

    reader.begun++;
    vine_file_read(&reader.reads[i], &reader.file, reader.bytes[i], 64, random % 64 * 64);
    /* It, or another one that may be anywhere on its way. */
    if (random % 3 == 0)
        vine_file_cancel(&reader.reads[random % 2 == 0 ? i : (random >> 8) % AT_ONCE]);
}

static void see_read(struct vine_file_op *op)
{
    const uint32_t i = (uint32_t)(op - reader.reads);

    assert_int_equal(vine_core(), 1);
    if (vine_file_result(op) == 64)
        assert_int_equal(reader.bytes[i][0], reader.bytes[i][63]);
    else
        assert_int_equal(vine_file_result(op), -ECANCELED);
    reader.cancelled += vine_file_result(op) != 64;
    reader.ended++;
    memset(reader.bytes[i], 0, 64);
    if (reader.begun < READS) {
        begin_read(i);
    } else if (reader.ended == reader.begun) {
        vine_file_op_init(&reader.op, see_closed);
        vine_file_close(&reader.op, &reader.file);
    }
}

static void see_opened(struct vine_file_op *op)
{
    assert_int_equal(vine_file_result(op), 0);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        vine_file_op_init(&reader.reads[i], see_read);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        begin_read(i);
}

static void begin(struct vine_work *work)
{
    (void)work;
    vine_file_op_init(&reader.op, see_opened);
    vine_file_open(&reader.op, &reader.file, NULL, path, O_RDONLY, 0);
}

static void *live(void *context)
{
    const uint32_t core = context != NULL;
    const struct vine__poller_options poller_options = {.backend = (uint8_t)world_backend};
    const struct vine__file_options options = {.requests_max = core == 0 ? 8 : 0};
    struct vine__poller *poller;
    struct vine__reactor *reactor;

    assert_int_equal(vine__poller_create(&poller, &poller_options), 0);
    assert_int_equal(vine__reactor_create(&reactor, mesh, core, poller), 0);
    (void)vine__reactor_enter(reactor);
    assert_int_equal(vine__file_start(&options), 0);
    (void)pthread_barrier_wait(&barrier);
    if (core == 1) {
        vine__io_queue_assign(0);
        vine_work_init(&reader.work, begin);
        vine_work_post(&reader.work);
    }
    vine__reactor_run(reactor);
    (void)pthread_barrier_wait(&barrier);
    vine__reactor_destroy(reactor);
    vine__file_end(core);
    (void)vine__reactor_enter(NULL);
    return NULL;
}

static void reads_and_cancels_cross_between_threads(void **state)
{
    (void)state;
    const struct vine__mesh_options options = {.core_count = 2};
    pthread_t thread;

    memset(&reader, 0, sizeof(reader));
    reader.random = choose_seed();
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(vine__mesh_create(&mesh, &options), 0);
    assert_int_equal(pthread_create(&thread, NULL, live, &reader), 0);
    (void)live(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vine__mesh_destroy(mesh);
    (void)pthread_barrier_destroy(&barrier);
    assert_int_equal(reader.ended, reader.begun);
    assert_int_equal(reader.begun, READS);
    print_message("%u of %u were cancelled in time\n", reader.cancelled, reader.begun);
}

int main(void)
{
    const struct CMUnitTest roads[] = {
        cmocka_unit_test(reads_and_cancels_cross_between_threads),
    };
    unsigned char bytes[4096];

    if (folder_make(folder_path) != 0)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/file", folder_path);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(1 + i / 64);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) || close(fd) != 0)
        return 1;
    return RUN_OVER_BOTH(roads);
}
