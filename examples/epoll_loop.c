/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll_loop.c - a program with a loop of its own, in which a pipe is one descriptor among others:
 * whatever comes from standard input is handed over block by block, while more is read.
 *
 *     cc epoll_loop.c -lvine -o epoll_loop && cat FILE | ./epoll_loop [ADDRESS]
 *
 * The loop is epoll's here; uv_loop.c has libuv's.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <vine/vine.h>

#define BLOCK_BYTES     (64u << 10)
#define TASKS_IN_FLIGHT 32u

struct loop {
    struct vine_pipe *pipe;
    struct vine_procedure *procedure;
    int epoll_fd;
    int pipe_fd;
    bool is_watching; /* standard input, which is not read while too much is in flight */
    bool is_at_end;
    unsigned in_flight;
    unsigned blocks;
    unsigned long long bytes;
    uint32_t sum; /* of all results */
    int error;    /* the first */
};

static void on_end(struct vine_task *task, int status, void *context)
{
    struct loop *loop = context;
    uint8_t crc[4] = {0};

    if (status == 0)
        (void)vine_task_result(task, crc, sizeof(crc));
    for (size_t i = 0; i < sizeof(crc); i++)
        loop->sum += (uint32_t)crc[i] << (24 - 8 * i);
    if (status < 0 && loop->error == 0)
        loop->error = status;
    loop->in_flight--;
    vine_task_free(task);
}

/* Read a block right into the memory that the appliance sees, and hand it over. */
static int take_block(struct loop *loop)
{
    struct vine_data *block = NULL;
    struct vine_task *task = NULL;
    ssize_t size = 0;
    int error = vine_data_create(loop->pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &block);

    if (error == 0) {
        size = read(STDIN_FILENO, vine_data_map(block), BLOCK_BYTES);
        error = size < 0 ? -errno : vine_data_resize(block, (uint64_t)size);
        loop->is_at_end = size == 0;
    }
    if (error == 0 && size > 0) {
        const struct vine_task_options options = {
            .size_bytes = sizeof(options),
            .inputs = &block,
            .input_count = 1,
            .callback = on_end,
            .context = loop,
        };

        error = vine_task_issue(loop->pipe, loop->procedure, &options, &task);
    }
    vine_data_free(block); /* the task keeps it until its end */
    if (error == 0 && size > 0) {
        loop->in_flight++;
        loop->blocks++;
        loop->bytes += (unsigned long long)size;
    }
    return error;
}

static int watch(struct loop *loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* Standard input is watched while there is room for more. */
static int watch_input(struct loop *loop)
{
    const bool is_wanted = !loop->is_at_end && loop->in_flight < TASKS_IN_FLIGHT;
    int error = 0;

    if (is_wanted && !loop->is_watching)
        error = watch(loop, STDIN_FILENO);
    else if (!is_wanted && loop->is_watching)
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    loop->is_watching = is_wanted && error == 0;
    return error;
}

static int turn(struct loop *loop)
{
    struct epoll_event events[2];
    uint64_t timeout_ns = 0;
    int error = vine_pipe_arm(loop->pipe, &timeout_ns); /* runs on_end for what has ended */
    int count;

    if (error >= 0)
        error = watch_input(loop);
    if (error < 0 || (loop->is_at_end && loop->in_flight == 0))
        return error;
    count = epoll_wait(loop->epoll_fd, events, 2, (int)((timeout_ns + 999999) / 1000000));
    vine_pipe_disarm(loop->pipe); /* awake: what ends until the next turn need not wake us */
    for (int i = 0; i < count && error == 0; i++)
        if (events[i].data.fd == STDIN_FILENO)
            error = take_block(loop);
    return error;
}

static int run(struct loop *loop)
{
    int error = vine_procedure_get(loop->pipe, "crc32", &loop->procedure);

    if (error == 0)
        error = vine_pipe_descriptor(loop->pipe, &loop->pipe_fd);
    if (error == 0)
        error = watch(loop, loop->pipe_fd);
    while (error == 0 && loop->error == 0 && !(loop->is_at_end && loop->in_flight == 0))
        error = turn(loop);
    return error < 0 ? error : loop->error;
}

int main(int argc, char **argv)
{
    struct loop loop = {.epoll_fd = -1};
    int error;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: epoll_loop [ADDRESS]\n");
        return 2;
    }
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    error = loop.epoll_fd < 0 ? -errno : 0;
    if (error == 0)
        error = vine_pipe_open(argc > 1 ? argv[1] : NULL, NULL, &loop.pipe);
    if (error == 0)
        error = run(&loop);
    if (error == -EPERM)
        fprintf(stderr, "epoll_loop: a file is always ready, which epoll does not watch: cat it\n");
    else if (error < 0)
        fprintf(stderr, "epoll_loop: %s: %s\n", argc > 1 ? argv[1] : "the default appliance",
                vine_error_text(error));
    else
        printf("%u blocks, %llu bytes, sum %08x\n", loop.blocks, loop.bytes, loop.sum);
    vine_pipe_close(loop.pipe);
    if (loop.epoll_fd >= 0)
        close(loop.epoll_fd);
    return error < 0;
}
