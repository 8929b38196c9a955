/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd is told, if it is there: sd_notify(3), sd_watchdog_enabled(3). */
#include "core/supervise/supervise_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/clock/clock.h"
#include "arch/process/notify.h"

#define LINES_BYTES 1024

static bool read_number(const char *name, uint64_t *ret_number)
{
    const char *const text = getenv(name);
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

void vine__manager_init(struct manager *manager)
{
    const char *const where = getenv("NOTIFY_SOCKET");
    uint64_t usec = 0, pid = (uint64_t)getpid();

    *manager = (struct manager){.where = where != NULL ? strdup(where) : NULL};
    if (getenv("WATCHDOG_PID") != NULL && !read_number("WATCHDOG_PID", &pid))
        pid = 0;
    /* Twice within the time, as they advise. */
    if (read_number("WATCHDOG_USEC", &usec) && usec < UINT64_MAX / 1000 &&
        pid == (uint64_t)getpid())
        manager->watchdog_ns = usec * 1000 / 2;
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void vine__manager_fini(struct manager *manager)
{
    free(manager->where);
    *manager = (struct manager){.where = NULL};
}

void vine__manager_tell(struct manager *manager, const char *format, ...)
{
    char lines[LINES_BYTES];
    va_list arguments;

    if (manager->where == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(lines, sizeof(lines), format, arguments);
    va_end(arguments);
    const int error = vine__notify(manager->where, lines);

    if (error != 0 && !manager->has_failed)
        vine_log(SUPERVISE_LOG, VINE_LOG_WARNING, "$NOTIFY_SOCKET, %s: %s", manager->where,
                 vine_error_text(error));
    manager->has_failed = error != 0;
}

void vine__manager_feed(struct manager *manager, uint64_t now_ns)
{
    if (manager->watchdog_ns == 0 || manager->where == NULL || now_ns < manager->next_ns)
        return;
    vine__manager_tell(manager, "WATCHDOG=1");
    manager->next_ns = now_ns + manager->watchdog_ns;
}
