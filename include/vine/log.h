/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/log.h - a program's log: what runs, in one line each, to those who run it.
 *
 * Owns:     which levels are on, and where lines go; one of each in a process.
 * Threads:  any.
 * Blocking: never for long. A line for which standard error has no room is lost; how many were is
 *           told as soon as there is room again. Not for signal handlers.
 * Trust:    what is logged may be anything; bytes that would end a line or mean something to a
 *           terminal are replaced.
 * Limits:   VINE_LOG_LINE_BYTES a line, the rest is cut; VINE_LOG_MODULES_MAX modules with a level
 *           of their own.
 *
 * A line on standard error: when (UTC), level, where (the core, or `-` on other threads), module,
 * and what:
 *
 *     2026-11-22T06:13:24.123456Z warning core 1 kv: shard is 90 % full
 */
#ifndef VINE_LOG_H
#define VINE_LOG_H

#include <stdbool.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_LOG_LINE_BYTES   1024
#define VINE_LOG_MODULES_MAX  64
#define VINE_LOG_MODULE_BYTES 32

/* Log a line of `module`, a short word that users know from --logger-log-level, if its level is on.
 * `format` has no newline. Any thread. */
VINE_API void vine_log(const char *module, enum vine_log_level level, const char *format, ...)
    VINE_PRINTF(3, 4);

/* Whether such a line would be written: for those who would work hard for its text. Any thread. */
VINE_API bool vine_log_is_on(const char *module, enum vine_log_level level);

/* The least important level that is on: of one module, or with a NULL of all that have none of
 * their own (VINE_LOG_INFO at first; vine_main sets what the command line says). One thread at a
 * time. Returns 0, -EINVAL: a name or level that is none, or -ENOSPC. */
VINE_API VINE_MUST_CHECK int vine_log_set_level(const char *module, enum vine_log_level level);

/* Where lines go in place of standard error: `line` is what follows the module, valid during the
 * call, on whichever thread logs. It must not log. */
struct vine_log_target {
    void (*fn)(void *context, const char *module, enum vine_log_level level, const char *line);
    void *context;
};

/* `target` is used until another one takes its place and nobody is within its function. NULL:
 * standard error again. Any thread. */
VINE_API void vine_log_direct(const struct vine_log_target *target);

/* How many lines were lost since the start. Any thread. */
VINE_API uint64_t vine_log_lost(void);

VINE_END_DECLARATIONS

#endif
