/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/access_log.c - each core's lines, and how they come to the file.
 *
 * A coroutine comes out of its heap by the gate, and what it says, which lies in its heap, is
 * copied into the buffer that is being filled; nothing else happens there. A timer, or a full
 * buffer, has it written while the other one is filled. The file is open for appending, so that
 * cores and processes share it: a write is some whole lines.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vine/access_log.h>
#include <vine/error.h>
#include <vine/file.h>
#include <vine/log.h>
#include <vine/metrics.h>

#include "arch/clock/clock.h"
#include "arch/guard/closed.h"
#include "arch/guard/guard.h"
#include "core/heap/heap.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "core/state/state.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define BUFFER_BYTES 131072U /* each of two */
#define SOON_BYTES   32768U  /* then it is written at once */
#define WRITE_NS     VINE_NS_PER_SECOND
#define TELL_NS      (10 * VINE_NS_PER_SECOND)
#define DATE_BYTES   40U
#define SIZE_BITS    12U /* of what goes through the gate */
#define ESCAPE_BYTES 4U  /* "\x0a" */

VINE_STATIC_ASSERT(VINE_ACCESS_BYTES < 1U << SIZE_BITS, "a size has its bits");
VINE_STATIC_ASSERT(VINE_ACCESS_BYTES *ESCAPE_BYTES + DATE_BYTES + VINE_ADDRESS_TEXT_BYTES <
                       BUFFER_BYTES - SOON_BYTES,
                   "any line has room in what is as good as empty");

struct access_log {
    struct vine_file file;
    struct vine_file_op op;
    struct vine_timer timer;
    struct vine_work soon;
    char *filling, *writing;
    uint32_t filled, written, write_size;
    bool is_busy; /* `op` is under way */
    bool is_open;
    bool is_armed;
    bool is_stopping;
    int error;      /* of the last write, or of opening */
    uint64_t lines; /* that were taken, the lost ones among them */
    uint64_t lost;
    struct vine_metric metrics[2]; /* of these two */
    uint64_t lost_told;
    uint64_t told_ns;
    uint64_t date_second;
    char date[DATE_BYTES];
};

/* Of each core. The loop looks at stoppers after what they belong to is gone. */
static struct access_log *logs[VINE_CORES_MAX];
static struct vine_stopper stoppers[VINE_CORES_MAX];

/* ---- writing --------------------------------------------------------------------------------- */

static void tell_lost(struct access_log *log)
{
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_COARSE);

    if (log->lost == log->lost_told || (now_ns - log->told_ns < TELL_NS && log->told_ns != 0))
        return;
    vine_log("service", VINE_LOG_WARNING, "access log: %" PRIu64 " line%s lost: %s",
             log->lost - log->lost_told, log->lost - log->lost_told == 1 ? " is" : "s are",
             log->error != 0 ? vine_error_text(log->error) : "it cannot be written fast enough");
    log->lost_told = log->lost;
    log->told_ns = now_ns;
}

static void write_on(struct access_log *log);

static void destroy(struct access_log *log)
{
    vine__closed_free(log->filling);
    vine__closed_free(log->writing);
    vine__closed_free(log);
}

/* Its micro-processes have ended before. */
static void end(struct access_log *log)
{
    if (log->soon.is_posted)
        return; /* that comes here again */
    logs[vine_core()] = NULL;
    vine_metric_unregister(&log->metrics[1]);
    vine_metric_unregister(&log->metrics[0]);
    destroy(log);
    vine_stopper_done(&stoppers[vine_core()]);
}

static void closed(struct vine_file_op *op)
{
    struct access_log *const log = VINE_CONTAINER_OF(op, struct access_log, op);

    log->is_busy = false;
    log->is_open = false;
    end(log);
}

static void done(struct vine_file_op *op)
{
    struct access_log *const log = VINE_CONTAINER_OF(op, struct access_log, op);
    const int64_t result = vine_file_result(op);

    log->is_busy = false;
    if (!log->is_open) {
        log->is_open = result == 0;
        log->error = (int)result;
    } else if (result > 0 && log->written + (uint64_t)result < log->write_size) {
        log->written += (uint32_t)result;
        log->is_busy = true;
        vine_file_write(op, &log->file, log->writing + log->written, log->write_size - log->written,
                        VINE_FILE_STREAM);
        return;
    } else {
        log->error = result < 0 ? (int)result : 0;
        for (uint32_t i = log->written; result <= 0 && i < log->write_size; i++)
            log->lost += log->writing[i] == '\n';
    }
    write_on(log);
}

/* Write what was filled, if nothing is being written. */
static void write_on(struct access_log *log)
{
    char *const filled = log->filling;

    tell_lost(log);
    if (log->is_busy)
        return;
    if (log->is_open && log->filled > 0) {
        log->filling = log->writing;
        log->writing = filled;
        log->write_size = log->filled;
        log->written = 0;
        log->filled = 0;
        log->is_busy = true;
        vine_file_write(&log->op, &log->file, log->writing, log->write_size, VINE_FILE_STREAM);
    } else if (log->is_stopping && log->is_open) {
        log->is_busy = true;
        vine_file_op_init(&log->op, closed);
        vine_file_close(&log->op, &log->file);
    } else if (log->is_stopping) {
        end(log);
    }
}

static void write_soon(struct vine_work *work)
{
    write_on(VINE_CONTAINER_OF(work, struct access_log, soon));
}

static void write_now(struct vine_timer *timer)
{
    struct access_log *const log = VINE_CONTAINER_OF(timer, struct access_log, timer);

    log->is_armed = false;
    write_on(log);
}

static void stop(struct vine_stopper *stopper)
{
    struct access_log *const log = logs[vine_core()];

    (void)stopper;
    (void)vine_timer_cancel(&log->timer);
    log->is_stopping = true;
    if (!log->is_busy)
        write_on(log);
}

/* Without them it works all the same. */
static void register_metrics(struct access_log *log)
{
    struct vine_metric_description description = {
        .name = "vine_service_access_lines_total",
        .help = "Lines that were to be appended to the access log.",
        .kind = VINE_METRIC_COUNTER,
        .count = &log->lines,
    };
    int error = vine_metric_register(&log->metrics[0], &description);

    description.name = "vine_service_access_lost_total";
    description.help = "Of these, such that could not be written, or not fast enough.";
    description.count = &log->lost;
    if (error == 0)
        error = vine_metric_register(&log->metrics[1], &description);
    if (error != 0)
        vine_log("service", VINE_LOG_WARNING, "the access log has no metrics here: %s",
                 vine_error_text(error));
}

int vine__access_log_begin(const char *path)
{
    struct access_log *const log = vine__closed_alloc(sizeof(*log));

    if (log == NULL)
        return -ENOMEM;
    log->filling = vine__closed_alloc_raw(BUFFER_BYTES);
    log->writing = vine__closed_alloc_raw(BUFFER_BYTES);
    if (log->filling == NULL || log->writing == NULL) {
        destroy(log);
        return -ENOMEM;
    }
    vine_timer_init(&log->timer, VINE_CLOCK_COARSE, write_now);
    vine_work_init(&log->soon, write_soon);
    vine_file_op_init(&log->op, done);
    log->is_busy = true;
    logs[vine_core()] = log;
    register_metrics(log);
    vine_at_stop(&stoppers[vine_core()], stop);
    vine_file_open(&log->op, &log->file, NULL, path, O_WRONLY | O_APPEND | O_CREAT, 0644);
    return 0;
}

char *vine__access_log_lines(void)
{
    return logs[vine_core()] != NULL ? logs[vine_core()]->filling : NULL;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* " - - [22/Nov/2026:14:08:21 +0000] ", anew each second. */
static const char *date_of(struct access_log *log)
{
    const uint64_t second = vine__clock_wall_ns() / VINE_NS_PER_SECOND;
    const time_t now = (time_t)second;
    struct tm tm;

    if (second != log->date_second && gmtime_r(&now, &tm) != NULL) {
        (void)strftime(log->date, sizeof(log->date), " - - [%d/%b/%Y:%H:%M:%S +0000] ", &tm);
        log->date_second = second;
    }
    return log->date;
}

static void add(struct access_log *log, const char *text)
{
    const size_t size = strlen(text);

    memcpy(log->filling + log->filled, text, size);
    log->filled += (uint32_t)size;
}

/* Its address without the port. */
static void add_client(struct access_log *log, struct vine_connection *connection)
{
    struct vine_address address;
    char text[VINE_ADDRESS_TEXT_BYTES] = "-";
    char *colon;

    if (connection != NULL && vine_connection_get_peer(connection, &address) == 0 &&
        (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6)) {
        vine_address_print(&address, text);
        colon = strrchr(text, ':');
        if (colon != NULL)
            *colon = '\0';
    }
    add(log, text);
}

/* No byte that ends a line, or means something to a terminal: some beyond ASCII do. */
static void add_tamed(struct access_log *log, const char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *at = log->filling + log->filled;

    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)text[i];

        if (byte >= ' ' && byte < 0x7f) {
            *at++ = (char)byte;
            continue;
        }
        *at++ = '\\';
        *at++ = 'x';
        *at++ = digits[byte / 16];
        *at++ = digits[byte % 16];
    }
    log->filled = (uint32_t)(at - log->filling);
}

/* Through the gate: outside, and in the middle of a run, so that nothing is begun here. What it is
 * told is the place in the heap and the size, and both are checked. */
static int take(struct vine__guard_region *region, uintptr_t argument)
{
    const size_t size = argument & ((1U << SIZE_BITS) - 1);
    const size_t place = argument >> SIZE_BITS;
    struct access_log *const log = logs[vine_core()];

    if (log == NULL)
        return 0;
    if (size > VINE_ACCESS_BYTES || place > region->size_bytes || size > region->size_bytes - place)
        return -EINVAL;
    log->lines++;
    if (BUFFER_BYTES - log->filled <
        size * ESCAPE_BYTES + DATE_BYTES + VINE_ADDRESS_TEXT_BYTES + 1) {
        log->lost++;
        return 0;
    }
    add_client(log, vine__process_running_connection());
    add(log, date_of(log));
    add_tamed(log, (const char *)region->start + place, size);
    add(log, "\n");
    if (log->filled > SOON_BYTES && !log->is_busy && !log->soon.is_posted) {
        vine_work_post(&log->soon);
    } else if (!log->is_armed && !log->is_stopping) {
        log->is_armed = true;
        vine_timer_arm_after(&log->timer, WRITE_NS);
    }
    return 0;
}

VINE__INSIDE void vine__access(const struct vine_coroutine *that, const char *text,
                               size_t size_bytes)
{
    const uintptr_t size = size_bytes < VINE_ACCESS_BYTES ? size_bytes : VINE_ACCESS_BYTES;
    char *const copy = vine__heap_alloc_raw(&that->inside->heap, size);

    if (copy == NULL)
        return; /* as any line for which there is no room */
    memcpy(copy, text, size);
    (void)vine__guard_gate(take, ((uintptr_t)copy - (uintptr_t)that->inside) << SIZE_BITS | size);
    vine__heap_free(&that->inside->heap, copy);
}
