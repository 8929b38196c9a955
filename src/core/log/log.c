/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory orders:
 *
 *   L1  who gives a module a level: release of `module_count`  pairs with L2: its name is there
 *   L2  who looks one up: acquire of it                        pairs with L1
 *   L3  who directs the log: release of `directed`             pairs with L4: the target is whole
 *   L4  who logs: acquire of it                                pairs with L3
 */
#include "core/log/log.h"

#include <vine/reactor.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "arch/console/console.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define LOG_PATIENCE_MS 200

VINE_STATIC_ASSERT(VINE_LOG_LINE_BYTES + 1 <= VINE__CONSOLE_BYTES_MAX, "a line is written at once");

struct module {
    char name[VINE_LOG_MODULE_BYTES];
    uint32_t level; /* atomic, in no order with anything */
};

static struct module modules[VINE_LOG_MODULES_MAX];
static uint32_t module_count;                  /* atomic: L1 */
static uint32_t default_level = VINE_LOG_INFO; /* atomic, in no order with anything */
static void *directed;                         /* atomic: L3; a struct vine_log_target, or NULL */
static uint64_t lost;                          /* atomic: since the start */
static uint64_t lost_untold;                   /* atomic: of these */

/* ---- levels ---------------------------------------------------------------------------------- */

static struct module *find_module(const char *name)
{
    /* L2 pairs with L1. */
    const uint32_t count = vine__load_acquire_u32(&module_count);

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(modules[i].name, name) == 0)
            return &modules[i];
    return NULL;
}

int vine_log_set_level(const char *name, enum vine_log_level level)
{
    const uint32_t count = vine__load_relaxed_u32(&module_count);
    struct module *module;

    if ((unsigned int)level > VINE_LOG_DEBUG ||
        (name != NULL && (name[0] == '\0' || strlen(name) >= VINE_LOG_MODULE_BYTES)))
        return -EINVAL;
    if (name == NULL) {
        vine__store_relaxed_u32(&default_level, level);
        return 0;
    }
    module = find_module(name);
    if (module != NULL) {
        vine__store_relaxed_u32(&module->level, level);
        return 0;
    }
    if (count == VINE_LOG_MODULES_MAX)
        return -ENOSPC;
    module = &modules[count];
    memcpy(module->name, name, strlen(name) + 1);
    vine__store_relaxed_u32(&module->level, level);
    vine__store_release_u32(&module_count, count + 1); /* L1 pairs with L2 */
    return 0;
}

void vine__log_reset_levels(void)
{
    vine__store_relaxed_u32(&module_count, 0);
    vine__store_relaxed_u32(&default_level, VINE_LOG_INFO);
}

bool vine_log_is_on(const char *name, enum vine_log_level level)
{
    const struct module *const module = find_module(name);

    return (uint32_t)level <=
           vine__load_relaxed_u32(module != NULL ? &module->level : &default_level);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* What has been written of a line. */
struct line {
    char bytes[VINE_LOG_LINE_BYTES + 1]; /* with room for its newline */
    size_t length;
};

static void add_v(struct line *line, const char *format, va_list arguments)
{
    const size_t room = VINE_LOG_LINE_BYTES - line->length;
    const int length = vsnprintf(line->bytes + line->length, room, format, arguments);

    if (length < 0)
        return;
    line->length += (size_t)length < room ? (size_t)length : room - 1;
}

VINE_PRINTF(2, 3) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add_v(line, format, arguments);
    va_end(arguments);
}

static void add_place(struct line *line, const char *module, enum vine_log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const uint64_t now_ns = vine__clock_wall_ns();
    const time_t seconds = (time_t)(now_ns / VINE_NS_PER_SECOND);
    struct tm tm = {0};

    (void)gmtime_r(&seconds, &tm);
    add(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06" PRIu64 "Z %s ", tm.tm_year + 1900, tm.tm_mon + 1,
        tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
        (uint64_t)(now_ns % VINE_NS_PER_SECOND / 1000), names[level]);
    if (vine_on_reactor())
        add(line, "core %" PRIu32 " %s: ", vine_core(), module);
    else
        add(line, "- %s: ", module);
}

/* A line is one line, and not a terminal's commands. What is not ASCII may be a word. */
static void tame(struct line *line)
{
    for (size_t i = 0; i < line->length; i++)
        if ((unsigned char)line->bytes[i] < ' ' || line->bytes[i] == 0x7f)
            line->bytes[i] = '?';
}

/* Returns whether it could be written. */
static bool write_line(struct line *line)
{
    line->bytes[line->length] = '\n';
    return vine__console_write(STDERR_FILENO, line->bytes, line->length + 1) == 0;
}

void vine__log_tell_lost(void)
{
    /* Pairs with nothing: whoever takes the number tells it. */
    const uint64_t count = vine__exchange_acq_rel_u64(&lost_untold, 0);
    struct line line = {.length = 0};

    if (count == 0)
        return;
    add_place(&line, "log", VINE_LOG_WARNING);
    add(&line, "%" PRIu64 " line%s lost: nobody read them in time", count,
        count == 1 ? " was" : "s were");
    if (!write_line(&line))
        (void)vine__fetch_add_relaxed_u64(&lost_untold, count);
}

static void lose_line(void)
{
    (void)vine__fetch_add_relaxed_u64(&lost, 1);
    (void)vine__fetch_add_relaxed_u64(&lost_untold, 1);
}

static void say(struct line *line, bool is_patient)
{
    vine__log_tell_lost();
    if (vine__load_relaxed_u64(&lost_untold) == 0 && write_line(line))
        return;
    if (is_patient) {
        vine__console_wait(STDERR_FILENO, LOG_PATIENCE_MS);
        vine__log_tell_lost();
    }
    if (!is_patient || vine__load_relaxed_u64(&lost_untold) != 0 || !write_line(line))
        lose_line();
}

static void log_line(const char *module, enum vine_log_level level, bool is_more,
                     const char *format, va_list arguments)
{
    const int error_before = errno;
    const struct vine_log_target *target;
    struct line line;

    line.length = 0;
    /* L4 pairs with L3. */
    target = vine__load_acquire_pointer(&directed);
    if (target == NULL && is_more)
        add(&line, "    ");
    else if (target == NULL)
        add_place(&line, module, level);
    add_v(&line, format, arguments);
    tame(&line);
    if (target != NULL) {
        line.bytes[line.length] = '\0';
        target->fn(target->context, module, level, line.bytes);
    } else {
        say(&line, is_more);
    }
    errno = error_before;
}

void vine_log(const char *module, enum vine_log_level level, const char *format, ...)
{
    va_list arguments;

    if (!vine_log_is_on(module, level))
        return;
    va_start(arguments, format);
    log_line(module, level, false, format, arguments);
    va_end(arguments);
}

void vine__log_asked(const char *module, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(module, VINE_LOG_INFO, false, format, arguments);
    va_end(arguments);
}

void vine__log_more(const char *module, enum vine_log_level level, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(module, level, true, format, arguments);
    va_end(arguments);
}

void vine_log_direct(const struct vine_log_target *target)
{
    /* L3 pairs with L4. */
    vine__store_release_pointer(&directed, (void *)(uintptr_t)target);
}

uint64_t vine_log_lost(void)
{
    return vine__load_relaxed_u64(&lost);
}
