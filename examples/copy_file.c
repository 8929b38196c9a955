/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy a file, and say how far it is while it goes: one stream reads ahead, one writes behind, and
 * the core does other things meanwhile.
 *
 *     copy_file FROM TO
 *     copy_file --direct FROM TO        past the page cache
 */
#include <vine/runtime.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#ifndef O_DIRECT
#define O_DIRECT 0 /* the compiler was asked for plain C */
#endif

#define PROGRESS_NS (100 * 1000 * 1000ULL)

static bool is_direct;

static struct {
    const char *from_path, *to_path;
    struct vine_file_op op;
    struct vine_file from, to;
    struct vine_file_status status, to_status;
    struct vine_input_stream input;
    struct vine_output_stream output;
    struct vine_timer timer;
    uint64_t copied_bytes;
    int code;
} copy;

/* A step that failed ends the program; what is open goes with it. */
static void fail(const char *what, int64_t error)
{
    fprintf(stderr, "copy_file: '%s': %s\n", what, vine_error_text((int)error));
    vine_stop(1);
}

static void show_progress(struct vine_timer *timer)
{
    (void)timer;
    printf("%llu of %llu bytes\n", (unsigned long long)copy.copied_bytes,
           (unsigned long long)copy.status.size_bytes);
    fflush(stdout);
}

/* ---- the end, from the last line up ---------------------------------------------------------- */

static void see_to_closed(struct vine_file_op *op)
{
    if (vine_file_result(op) < 0)
        fail(copy.to_path, vine_file_result(op));
    else
        vine_stop(0);
}

static void see_from_closed(struct vine_file_op *op)
{
    (void)op;
    vine_file_op_init(&copy.op, see_to_closed);
    vine_file_close(&copy.op, &copy.to);
}

static void see_synced(struct vine_file_op *op)
{
    /* A pipe keeps nothing that could be synced. */
    if (vine_file_result(op) < 0 && vine_file_result(op) != -EINVAL) {
        fail(copy.to_path, vine_file_result(op));
        return;
    }
    show_progress(&copy.timer);
    vine_file_op_init(&copy.op, see_from_closed);
    vine_file_close(&copy.op, &copy.from);
}

static void see_input_closed(struct vine_input_stream *input)
{
    (void)input;
    vine_file_op_init(&copy.op, see_synced);
    vine_file_sync(&copy.op, &copy.to, VINE_FILE_DATA_ONLY);
}

/* All errors of writing are told here at the latest. */
static void see_output_closed(struct vine_output_stream *output)
{
    (void)vine_timer_cancel(&copy.timer);
    if (vine_output_stream_result(output) < 0)
        fail(copy.to_path, vine_output_stream_result(output));
    else
        vine_input_stream_close(&copy.input, see_input_closed);
}

/* ---- copying --------------------------------------------------------------------------------- */

static void see_read(struct vine_input_stream *input);

static void see_written(struct vine_output_stream *output)
{
    if (vine_output_stream_result(output) < 0) {
        fail(copy.to_path, vine_output_stream_result(output));
        return;
    }
    copy.copied_bytes += (uint64_t)vine_input_stream_result(&copy.input);
    vine_input_stream_next(&copy.input, see_read);
}

static void see_read(struct vine_input_stream *input)
{
    const int64_t result = vine_input_stream_result(input);

    if (result < 0)
        fail(copy.from_path, result);
    else if (result == 0)
        vine_output_stream_close(&copy.output, see_output_closed);
    else
        vine_output_stream_write(&copy.output, vine_input_stream_bytes(input), (size_t)result,
                                 see_written);
}

static void see_truncated(struct vine_file_op *op)
{
    int64_t error = vine_file_result(op);

    /* A pipe has no length. */
    if (error == -EINVAL && !S_ISREG(copy.to_status.mode))
        error = 0;

    if (error == 0)
        error = vine_input_stream_open(&copy.input, &copy.from, NULL);
    if (error == 0)
        error = vine_output_stream_open(&copy.output, &copy.to, NULL);
    if (error != 0) {
        fail(copy.from_path, error);
        return;
    }
    vine_timer_init(&copy.timer, VINE_CLOCK_COARSE, show_progress);
    vine_timer_arm_every(&copy.timer, PROGRESS_NS);
    vine_input_stream_next(&copy.input, see_read);
}

/* What was in it goes, unless that is what is to be copied. */
static void see_to_status(struct vine_file_op *op)
{
    if (vine_file_result(op) < 0) {
        fail(copy.to_path, vine_file_result(op));
    } else if (copy.to_status.device == copy.status.device &&
               copy.to_status.inode == copy.status.inode) {
        fprintf(stderr, "copy_file: '%s': it is the file that is to be copied\n", copy.to_path);
        vine_stop(1);
    } else {
        vine_file_op_init(&copy.op, see_truncated);
        vine_file_truncate(&copy.op, &copy.to, 0);
    }
}

static void see_status(struct vine_file_op *op)
{
    if (vine_file_result(op) < 0) {
        fail(copy.from_path, vine_file_result(op));
        return;
    }
    vine_file_op_init(&copy.op, see_to_status);
    vine_file_stat(&copy.op, &copy.to, &copy.to_status);
}

/* ---- the begin ------------------------------------------------------------------------------- */

static void see_to_opened(struct vine_file_op *op)
{
    if (vine_file_result(op) < 0) {
        fail(copy.to_path, vine_file_result(op));
        return;
    }
    vine_file_op_init(&copy.op, see_status);
    vine_file_stat(&copy.op, &copy.from, &copy.status);
}

static void see_from_opened(struct vine_file_op *op)
{
    const int how = is_direct ? O_RDWR | O_DIRECT : O_WRONLY;

    if (vine_file_result(op) < 0) {
        fail(copy.from_path, vine_file_result(op));
        return;
    }
    vine_file_op_init(&copy.op, see_to_opened);
    vine_file_open(&copy.op, &copy.to, NULL, copy.to_path, how | O_CREAT, 0666);
}

static int begin(int argc, char **argv)
{
    (void)argc; /* there are two operands, as main says */
    copy.from_path = argv[1];
    copy.to_path = argv[2];
    vine_file_op_init(&copy.op, see_from_opened);
    vine_file_open(&copy.op, &copy.from, NULL, copy.from_path,
                   O_RDONLY | (is_direct ? O_DIRECT : 0), 0);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {{
        .name = "direct",
        .kind = VINE_OPTION_FLAG,
        .value = &is_direct,
        .help = "read and write past the page cache",
    }};
    const char *const defaults[] = {"--smp=1", NULL};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Copy a file, and say how far it is.",
        .version = "0.1",
        .operands = "FROM TO",
        .options = own,
        .option_count = 1,
        .defaults = defaults,
    };

    return vine_main(argc, argv, &options, begin);
}
