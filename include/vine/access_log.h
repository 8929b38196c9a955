/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/access_log.h - a line for each thing that a service has done, to a file.
 *
 * Owns:     nothing.
 * Threads:  coroutines.
 * Blocking: never: lines are put together on each core, and written a second later at most, or
 *           when there are many; what there is no room for is lost, and how much that is is told.
 * Trust:    a line is what the service says. Who the client was, and when, is added by the runtime;
 *           bytes that would end a line or mean something to a terminal are replaced.
 * Limits:   VINE_ACCESS_BYTES of a line; 256 KiB of each core until they are written.
 *
 * A line, as of a service by HTTP:
 *
 *     192.0.2.1 - - [22/Nov/2026:14:08:21 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/7.88.1"
 *
 * where everything behind the time is the service's.
 */
#ifndef VINE_ACCESS_LOG_H
#define VINE_ACCESS_LOG_H

#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

#define VINE_ACCESS_BYTES 2048

/* Log a line, without a newline, of the client whose connection this micro-process serves; of a
 * longer one the rest is cut. Nothing where there is no log (vine_service_log_access). */
#define vine_access(text, size_bytes) vine__access(that, (text), (size_bytes))

/* What stands behind it; private. */
VINE_API void vine__access(const struct vine_coroutine *that, const char *text, size_t size_bytes);

VINE_END_DECLARATIONS

#endif
