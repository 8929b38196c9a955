/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/log/log.h - the log as the runtime sees it.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: vine__log_more alone, LOG_PATIENCE_MS at most.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_LOG_LOG_H
#define VINE_CORE_LOG_LOG_H

#include <vine/log.h>

/* A line that somebody has asked for, whatever levels are on. */
void vine__log_asked(const char *module, const char *format, ...) VINE_PRINTF(2, 3);

/* A line that belongs to the one before, whatever levels are on: on standard error it comes without
 * time and place. Not for reactors: it waits a moment where there is no room. */
void vine__log_more(const char *module, enum vine_log_level level, const char *format, ...)
    VINE_PRINTF(3, 4);

/* Say how many lines were lost, if that was not said yet and can be said now. */
void vine__log_tell_lost(void);

/* All levels as at first. */
void vine__log_reset_levels(void);

#endif
