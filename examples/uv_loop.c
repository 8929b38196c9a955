/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uv_loop.c - a program on libuv, in whose loop a pipe is one descriptor among others: libuv reads
 * files, several at once, right into the memory that the appliance sees, and prints their SHA-256
 * as sha256sum does.
 *
 *     cc uv_loop.c -lvine -luv -o uv_loop && ./uv_loop ADDRESS FILE...
 *
 * A poll handle watches the pipe's descriptor, a prepare handle, which runs before each wait, takes
 * what has ended, and a timer bounds the wait. Each file is a session: its blocks are hashed one
 * after the other, the next one read when the last one is done with.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>
#include <vine/vine.h>

#define BLOCK_BYTES   (256u << 10)
#define FILES_AT_ONCE 8
#define DIGEST_BYTES  32

struct program {
    uv_loop_t loop;
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_timer_t timer;
    struct vine_pipe *pipe;
    struct vine_procedure *sha256;
    char **next; /* of the files, those that have not begun, with NULL behind the last */
    unsigned under_way;
    int failed;
};

struct file {
    struct program *program;
    const char *name;
    uv_fs_t request;
    uv_file fd;
    struct vine_session *session;
    struct vine_data *block;
    uint64_t offset;
    int error;
};

/* ---- files ----------------------------------------------------------------------------------- */

static void begin_next(struct program *program);

static void on_closed(uv_fs_t *request)
{
    struct file *file = request->data;
    struct program *program = file->program;

    uv_fs_req_cleanup(request);
    free(file);
    program->under_way--;
    begin_next(program);
}

/* `why` is NULL where all went well. */
static void end(struct file *file, const char *why)
{
    if (why != NULL) {
        fprintf(stderr, "uv_loop: %s: %s\n", file->name, why);
        file->program->failed = 1;
    }
    vine_data_free(file->block);
    vine_session_close(file->session);
    if (file->fd < 0)
        on_closed(&file->request);
    else
        uv_fs_close(&file->program->loop, &file->request, file->fd, on_closed);
}

static void read_next(struct file *file);

static void on_hashed(struct vine_task *task, int status, void *context)
{
    struct file *file = context;
    const uint64_t size = vine_data_size(file->block);
    uint8_t digest[DIGEST_BYTES];

    if (status == 0 && size == 0)
        (void)vine_task_result(task, digest, sizeof(digest));
    vine_task_free(task);
    if (status != 0) {
        end(file, vine_error_text(status));
    } else if (size > 0) {
        file->offset += size;
        read_next(file);
    } else {
        for (size_t i = 0; i < sizeof(digest); i++)
            printf("%02x", digest[i]);
        printf("  %s\n", file->name);
        end(file, NULL);
    }
}

/* Behind its last byte comes a block without any, which is the session's last. */
static void on_read(uv_fs_t *request)
{
    struct file *file = request->data;
    const ssize_t size = request->result;
    const struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .inputs = &file->block,
        .input_count = 1,
        .session = file->session,
        .session_last = size == 0,
        .callback = on_hashed,
        .context = file,
    };
    struct vine_task *task;
    int error;

    uv_fs_req_cleanup(request);
    if (size < 0) {
        end(file, uv_strerror((int)size));
        return;
    }
    error = vine_data_resize(file->block, (uint64_t)size);
    if (error == 0)
        error = vine_task_issue(file->program->pipe, file->program->sha256, &options, &task);
    if (error != 0)
        end(file, vine_error_text(error));
}

static void read_next(struct file *file)
{
    uv_buf_t memory = uv_buf_init(vine_data_map(file->block), BLOCK_BYTES);

    (void)uv_fs_read(&file->program->loop, &file->request, file->fd, &memory, 1,
                     (int64_t)file->offset, on_read);
}

static void on_opened(uv_fs_t *request)
{
    struct file *file = request->data;
    struct program *program = file->program;
    int error;

    file->fd = (uv_file)request->result;
    uv_fs_req_cleanup(request);
    if (file->fd < 0) {
        end(file, uv_strerror(file->fd));
        return;
    }
    error = vine_session_open(program->pipe, program->sha256, &file->session);
    if (error == 0)
        error = vine_data_create(program->pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &file->block);
    if (error == 0)
        read_next(file);
    else
        end(file, vine_error_text(error));
}

/* As many as may be at once. When there are none left, nothing keeps the loop. */
static void begin_next(struct program *program)
{
    while (*program->next != NULL && program->under_way < FILES_AT_ONCE) {
        struct file *file = calloc(1, sizeof(*file));

        if (file == NULL)
            break;
        file->program = program;
        file->name = *program->next++;
        file->request.data = file;
        program->under_way++;
        (void)uv_fs_open(&program->loop, &file->request, file->name, O_RDONLY, 0, on_opened);
    }
    if (program->under_way > 0)
        return;
    uv_close((uv_handle_t *)&program->poll, NULL);
    uv_close((uv_handle_t *)&program->prepare, NULL);
    uv_close((uv_handle_t *)&program->timer, NULL);
}

/* ---- the pipe in the loop -------------------------------------------------------------------- */

static void on_time(uv_timer_t *timer)
{
    (void)timer; /* on_prepare looks */
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct program *program = poll->data;

    (void)status, (void)events;
    vine_pipe_disarm(program->pipe); /* awake: what ends until the next wait need not wake us */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct program *program = prepare->data;
    uint64_t timeout_ns = 0;
    const int ended = vine_pipe_arm(program->pipe, &timeout_ns); /* runs on_hashed */

    if (ended < 0) {
        fprintf(stderr, "uv_loop: %s\n", vine_error_text(ended));
        exit(1);
    }
    if (!uv_is_closing((uv_handle_t *)&program->timer))
        (void)uv_timer_start(&program->timer, on_time, (timeout_ns + 999999) / 1000000, 0);
}

static int run(struct program *program)
{
    int fd = -1;
    int error = vine_procedure_get(program->pipe, "sha256", &program->sha256);

    if (error == 0)
        error = vine_pipe_descriptor(program->pipe, &fd);
    if (error == 0)
        error = uv_loop_init(&program->loop);
    if (error != 0)
        return error;
    program->poll.data = program;
    program->prepare.data = program;
    (void)uv_timer_init(&program->loop, &program->timer);
    (void)uv_prepare_init(&program->loop, &program->prepare);
    (void)uv_prepare_start(&program->prepare, on_prepare);
    error = uv_poll_init(&program->loop, &program->poll, fd);
    if (error == 0)
        error = uv_poll_start(&program->poll, UV_READABLE, on_readable);
    if (error != 0)
        return error;
    begin_next(program);
    (void)uv_run(&program->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&program->loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct program program = {.next = argv + 2};
    int error;

    if (argc < 3 || argv[1][0] == '-') {
        fprintf(stderr, "usage: uv_loop ADDRESS FILE...\n");
        return 2;
    }
    error = vine_pipe_open(argv[1], NULL, &program.pipe);
    if (error == 0)
        error = run(&program);
    if (error < 0)
        fprintf(stderr, "uv_loop: %s: %s\n", argv[1], vine_error_text(error));
    vine_pipe_close(program.pipe);
    return error < 0 || program.failed;
}
