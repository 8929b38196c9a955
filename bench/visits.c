/* SPDX-License-Identifier: Apache-2.0 */
#include "visits.h"

#include "bench.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void begin(struct visits *visits)
{
    const struct asking *const asking = &visits->asking;

    if (visits->open_count == VISITS_OPEN_MAX)
        return;
    const int fd = asking_connect(visits->port, 1);

    /* Who has crashed meanwhile may have reset it: that is seen when the answer is read. */
    (void)send(fd, asking->request, asking->request_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    visits->open[visits->open_count++] = fd;
    visits->begun++;
}

/* Returns whether the visit has ended. */
static bool look(struct visits *visits, int fd)
{
    char answer[4096] = "";
    const ssize_t got = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return false;
    if (got > 0 && strncmp(answer, "HTTP/1.1 200", 12) == 0)
        visits->good++;
    else if (got > 0 && strncmp(answer, "HTTP/1.1 500", 12) == 0)
        visits->failed++;
    else
        visits->dropped++;
    (void)close(fd);
    return true;
}

void visits_turn(struct visits *visits, uint64_t now_ns)
{
    if (visits->every_ns == 0 || now_ns < visits->next_ns)
        return;
    /* Those that are late come at once, but not all of a long time. */
    visits->next_ns = now_ns > visits->next_ns + 10 * visits->every_ns
                          ? now_ns
                          : visits->next_ns + visits->every_ns;
    for (uint32_t i = visits->open_count; i-- > 0;)
        if (look(visits, visits->open[i]))
            visits->open[i] = visits->open[--visits->open_count];
    begin(visits);
}
