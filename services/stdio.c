/* SPDX-License-Identifier: Apache-2.0 */
/* services/stdio.c - a service for the connection that this program was started with, by inetd, a
 * shell or a person. */

#include <unistd.h>

#include <vine/runtime.h>

#include "services.h"

/* Who reads our output may have had enough, and that is told by the exit code alone. */
static void see_end(void *context, int error)
{
    const struct vine_service *const service = context;

    if (error != 0 && error != -ECANCELED && error != -EPIPE)
        (void)serve_fail(service->name, vine_error_text(error));
    vine_stop(error != 0 && error != -ECANCELED);
}

int serve_stdio(const struct vine_service *service, const struct vine_service_options *options)
{
    struct vine_connection *connection;
    int error = vine_connection_adopt(STDIN_FILENO, STDOUT_FILENO, &connection);

    if (error != 0)
        return serve_fail("standard input and output", vine_error_text(error));
    error =
        vine_service_run_here(service, connection, options, see_end, (void *)(uintptr_t)service);
    if (error == -EOPNOTSUPP)
        return serve_fail("--isolate", vine_isolation_why());
    if (error == -VINE_ECONFIG) /* the log has why */
        return 2;
    if (error != 0)
        return serve_fail(service->name, vine_error_text(error));
    return VINE_MAIN_GOES_ON;
}
