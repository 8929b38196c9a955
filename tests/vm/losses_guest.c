/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What applications in guests run while their appliance is restarted: nothing of theirs is issued
 * anew by itself, so that what is lost has to be told. Each plays one part.
 *
 *   tasks ADDRESS COUNT     tasks whose result is compared; and beside them, until the appliance is
 *                           lost, one that ends by a cancel alone: COUNT times, and then once that
 *                           is canceled
 *   stream ADDRESS FRAME FILE
 *                           `vine run unzstd -`, which is fed FRAME and then nothing, until the
 *                           appliance is lost; before, all of FILE has come back
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/talk.h>

#define BLOCK_BYTES (64u << 10)
#define BLOCKS      8 /* in flight */
#define FILE_BYTES  (1u << 20)
#define TEXT_BYTES  1024
#define GUARD_NS    (300 * VINE_NS_PER_SECOND)

/* One write is one line of the console, whoever else writes there. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[TEXT_BYTES + 128];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    (void)!write(STDOUT_FILENO, line, (size_t)length);
}

static void must(const char *what, int error)
{
    if (error >= 0)
        return;
    say("FAILED: %s: %s: %s", what, vine_error_name(error), vine_error_text(error));
    exit(1);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

struct block {
    struct vine_data *input, *output;
    struct vine_task *task;
    unsigned number;
};

static struct {
    struct vine_pipe *pipe;
    struct vine_procedure *copy, *endless, *running;
    struct vine_accelerator *parallel; /* of the endless one, behind which nothing is to wait */
    unsigned issued, right, wrong, lost;
} app;

/* How a task ended. All others than those of which nobody knows what became have their result. */
static void count(unsigned number, const char *name, int error, bool is_right)
{
    if (error == -VINE_EPEERLOST) {
        app.lost++;
        say("lost: task %u, %s: %s: %s", number, name, vine_error_name(error),
            vine_error_text(error));
    } else if (is_right) {
        app.right++;
    } else {
        app.wrong++;
        say("WRONG: task %u, %s: %s", number, name, vine_error_text(error));
    }
}

static void issue(struct block *block)
{
    if (block->input == NULL)
        must("data", vine_data_create(app.pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &block->input));
    must("room", vine_data_expect(app.pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &block->output));

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .inputs = &block->input,
        .input_count = 1,
        .outputs = &block->output,
        .output_count = 1,
    };
    unsigned *const words = vine_data_map(block->input);

    block->number = ++app.issued;
    for (unsigned i = 0; i < BLOCK_BYTES / sizeof *words; i++)
        words[i] = block->number * 2654435761u + i;
    must("copy", vine_task_issue(app.pipe, app.copy, &options, &block->task));
}

static void collect(struct block *block)
{
    static unsigned char bytes[BLOCK_BYTES];
    int error = vine_task_wait(block->task, GUARD_NS);
    size_t size = 0;

    if (error == 0)
        error = vine_data_read(block->output, 0, bytes, sizeof bytes);
    if (error == 0)
        size = vine_data_size(block->output);
    count(block->number, "copy", error,
          error == 0 && size == BLOCK_BYTES &&
              memcmp(bytes, vine_data_map(block->input), BLOCK_BYTES) == 0);
    vine_task_free(block->task);
    vine_data_free(block->output);
    block->task = NULL;
    block->output = NULL;
}

/* One more of the tasks that go round. */
static void go_on(struct block blocks[BLOCKS])
{
    static unsigned next;
    struct block *const block = &blocks[next++ % BLOCKS];

    if (block->task != NULL)
        collect(block);
    issue(block);
}

/* A task that ends by a cancel alone. Returns when it runs over there. */
static struct vine_task *hold(unsigned *ret_number)
{
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .accelerator = app.parallel};
    struct vine_task *task;
    uint64_t running = 0;

    *ret_number = ++app.issued;
    must("endless", vine_task_issue(app.pipe, app.endless, &options, &task));
    while (running != 1) {
        size_t size = sizeof running;
        const unsigned number = ++app.issued;
        const int error = vine_task_run(app.pipe, app.running, NULL, GUARD_NS, &running, &size);

        count(number, "running", error, error == 0 && running <= 1);
        (void)poll(NULL, 0, 5);
    }
    return task;
}

static int tasks(const char *address, unsigned losses)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .connect_timeout_ns = GUARD_NS,
                                              .call_timeout_ns = GUARD_NS,
                                              .reconnect_ns = GUARD_NS,
                                              .throttle = true};
    static struct block blocks[BLOCKS];
    struct vine_task *held;
    unsigned number;

    must("pipe", vine_pipe_open(address, &options, &app.pipe));
    must("copy", vine_procedure_get(app.pipe, "copy", &app.copy));
    must("endless", vine_procedure_get(app.pipe, "endless", &app.endless));
    must("running", vine_procedure_get(app.pipe, "running", &app.running));
    must("accelerator", vine_accelerator_acquire(app.pipe, NULL, VINE_PARALLEL, &app.parallel));
    for (unsigned i = 1; i <= losses; i++) {
        held = hold(&number);
        say("held: %u", i);
        while (vine_task_poll(held) == -EAGAIN)
            go_on(blocks);
        count(number, "endless", vine_task_poll(held), false);
        vine_task_free(held);
    }
    for (unsigned i = 0; i < 8 * BLOCKS; i++)
        go_on(blocks);
    held = hold(&number);
    must("cancel", vine_task_cancel(held));
    count(number, "endless", 0, vine_task_wait(held, GUARD_NS) == -VINE_ECANCELED);
    vine_task_free(held);
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i].task != NULL)
            collect(&blocks[i]);
    say("issued %u right %u wrong %u lost %u", app.issued, app.right, app.wrong, app.lost);
    vine_pipe_close(app.pipe);
    return app.wrong != 0;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static size_t read_file(const char *path, char *bytes)
{
    FILE *const file = fopen(path, "re");
    const size_t size = file != NULL ? fread(bytes, 1, FILE_BYTES, file) : 0;

    if (file == NULL || fclose(file) != 0 || size == 0)
        must(path, -EIO);
    return size;
}

/* Until `size` bytes have come, or the end. */
static size_t read_out(int fd, char *bytes, size_t size)
{
    size_t done = 0;
    ssize_t part = 1;

    while (done < size && part > 0) {
        part = read(fd, bytes + done, size - done);
        done += part > 0 ? (size_t)part : 0;
    }
    return done;
}

static int stream(const char *address, const char *frame_path, const char *path)
{
    static char frame[FILE_BYTES], wanted[FILE_BYTES], made[FILE_BYTES];
    const size_t frame_size = read_file(frame_path, frame), size = read_file(path, wanted);
    char text[TEXT_BYTES] = "";
    int in[2], out[2], told[2], status;

    if (pipe(in) != 0 || pipe(out) != 0 || pipe(told) != 0)
        must("pipe", -errno);
    const pid_t pid = fork();

    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(told[1], STDERR_FILENO);
        for (int fd = 3; fd < 16; fd++)
            (void)close(fd);
        (void)execl("/usr/bin/vine", "vine", "run", "unzstd", "--appliance", address, "-",
                    (char *)NULL);
        _exit(126);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    (void)close(told[1]);
    if (write(in[1], frame, frame_size) != (ssize_t)frame_size)
        must("write", -errno);

    const bool is_open = read_out(out[0], made, size) == size;

    if (is_open)
        say(memcmp(made, wanted, size) == 0 ? "open" : "WRONG: not what it was made of");

    const size_t more = read_out(out[0], made, sizeof made);

    for (size_t i = read_out(told[0], text, sizeof text - 1); i > 0; i--)
        text[i - 1] = text[i - 1] == '\n' ? ' ' : text[i - 1];
    if (waitpid(pid, &status, 0) != pid)
        must("wait", -errno);
    say("%s: %d, %zu bytes more: %s", is_open ? "ended" : "not open",
        WIFEXITED(status) ? WEXITSTATUS(status) : -1, more, text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "tasks") == 0)
        return tasks(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 5 && strcmp(argv[1], "stream") == 0)
        return stream(argv[2], argv[3], argv[4]);
    say("usage: tasks ADDRESS COUNT, or stream ADDRESS FRAME FILE");
    return 2;
}
