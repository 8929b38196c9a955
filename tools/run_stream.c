/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_stream.c - `vine run PROC -`: standard input through a stream to standard output, of whatever
 * length, as it comes.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/stream.h>

#include "message.h"
#include "run_verb.h"
#include "status.h"

#define PIECE_BYTES (256U << 10)

struct through {
    struct vine_pipe *pipe;
    struct vine_stream *stream;
    unsigned char *bytes;  /* what was read */
    void *memory;          /* for what is written next, or NULL */
    size_t room;           /* of it */
    size_t filled;         /* which is to be handed over */
    bool is_at_end;        /* standard input */
    bool is_ended;         /* and so is the stream's */
    unsigned char sum[64]; /* a result, which is printed at the end */
    size_t sum_size;
    bool is_sum;
};

static int tell(const char *what, int error)
{
    message_error("%s: %s", what, vine_error_text(error));
    return status_of_error(error);
}

/* An error that may be the stream's, which knows its reason. */
static int tell_of(const struct through *through, int error)
{
    const char *const reason = vine_stream_reason(through->stream);
    const bool is_lost = run_is_loss(error);

    message_error("%s: %s%s%s",
                  is_lost ? "the stream was lost with the appliance" : "standard input",
                  vine_error_text(error), reason[0] != 0 ? ": " : "", message_escape(reason));
    return is_lost ? STATUS_TRY_AGAIN : status_of_error(error);
}

static int write_out(const unsigned char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t part = write(STDOUT_FILENO, bytes + done, size - done);

        if (part < 0 && errno != EINTR)
            return -errno;
        done += part > 0 ? (size_t)part : 0;
    }
    return 0;
}

/* A result is printed as sha256sum prints that of its standard input. */
static int take_out(struct through *through, size_t size)
{
    if (!through->is_sum)
        return write_out(through->bytes, size);
    if (size > sizeof(through->sum) - through->sum_size)
        return -VINE_EPROTOCOL;
    memcpy(through->sum + through->sum_size, through->bytes, size);
    through->sum_size += size;
    return 0;
}

/* Read what is there. Returns 1 at the end, 0, or a negative error that was told. */
static int drain(struct through *through, int *ret_status)
{
    for (;;) {
        size_t size = 0;
        int error = vine_stream_read(through->stream, through->bytes, PIECE_BYTES, 0, &size);

        if (error == -EAGAIN)
            return 0;
        if (error == 0 && size == 0)
            return 1;
        if (error != 0) {
            *ret_status = tell_of(through, error);
            return error;
        }
        error = take_out(through, size);
        if (error != 0) {
            *ret_status = tell("standard output", error);
            return error;
        }
    }
}

/* Hand over what was read of standard input, and its end. Returns 0, or an error of the stream. */
static int hand_over(struct through *through)
{
    int error = 0;

    if (through->filled > 0) {
        error = vine_stream_commit(through->stream, through->filled);
        if (error == 0) {
            through->filled = 0;
            through->memory = NULL;
        }
    }
    if (error == 0 && through->is_at_end && !through->is_ended) {
        if (through->memory != NULL)
            error = vine_stream_commit(through->stream, 0);
        through->memory = NULL;
        if (error == 0)
            error = vine_stream_end(through->stream, 0);
        through->is_ended = error == 0;
    }
    if (error == 0 && !through->is_at_end && through->memory == NULL)
        error = vine_stream_map(through->stream, 0, &through->memory, &through->room);
    return error == -EAGAIN ? 0 : error;
}

static int read_in(struct through *through)
{
    const ssize_t size = read(STDIN_FILENO, through->memory, through->room);

    if (size < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    through->filled = (size_t)size;
    through->is_at_end = size == 0;
    return 0;
}

/* Wait for something to do, and do what is to be done with standard input. Returns 0 or an error of
 * that. */
static int wait(struct through *through, int fd)
{
    const bool reads = through->memory != NULL && through->filled == 0 && !through->is_at_end;
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                            {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN}};
    uint64_t timeout_ns = 0;
    const int ended = vine_pipe_arm(through->pipe, &timeout_ns);

    if (ended != 0 && !reads)
        return 0; /* the stream knows what is wrong, or has more */
    (void)poll(fds, 2, ended != 0 ? 0 : (int)(timeout_ns / 1000000) + 1);
    vine_pipe_disarm(through->pipe);
    return fds[1].revents != 0 ? read_in(through) : 0;
}

static int go_through(struct through *through)
{
    int status = STATUS_DONE;
    int fd = -1;
    int error = vine_pipe_descriptor(through->pipe, &fd);

    if (error != 0)
        return tell("the appliance", error);
    for (;;) {
        error = hand_over(through);
        if (error != 0 && error != -EPIPE)
            return tell_of(through, error);
        through->is_at_end |= error == -EPIPE; /* nothing more is wanted */
        through->is_ended |= error == -EPIPE;
        const int ended = drain(through, &status);
        if (ended != 0)
            return status;
        error = wait(through, fd);
        if (error != 0)
            return tell("standard input", error);
    }
}

int run_stream(struct run_verb *verb)
{
    const struct run_options *const options = &verb->run.options;
    const struct vine_stream_options wishes = {.size_bytes = sizeof(wishes),
                                               .scalars = &options->level,
                                               .scalar_count = options->has_level,
                                               .chunk_bytes = PIECE_BYTES};
    struct through through = {.pipe = verb->pipe, .is_sum = !options->recipe.makes_files};
    struct vine_procedure *procedure = NULL;
    int status = STATUS_DONE;
    int error = vine_procedure_get(verb->pipe, verb->procedure, &procedure);

    if (error == 0 && !vine_procedure_describe(procedure)->has_streams) {
        message_error("%s has no streams at this appliance, and standard input wants one: name a "
                      "file, or with --appliance one on reactors, for what they stream",
                      verb->procedure);
        return STATUS_USAGE;
    }
    if (error == 0)
        error = vine_stream_open(verb->pipe, procedure, &wishes, &through.stream);
    through.bytes = malloc(PIECE_BYTES);
    if (error == 0 && through.bytes == NULL)
        error = -ENOMEM;
    status = error == 0 ? go_through(&through) : tell(verb->procedure, error);
    if (status == STATUS_DONE && through.is_sum)
        sums_print(stdout, through.sum, through.sum_size, "-");
    vine_stream_close(through.stream);
    free(through.bytes);
    return status;
}
