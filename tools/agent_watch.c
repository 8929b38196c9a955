/* SPDX-License-Identifier: Apache-2.0 */
/* `vine agent --watch`: who had a link and was killed cannot say so; we do. */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <jansson.h>

#include <vine/error.h>

#include "core/warden/warden.h"

#include "agent.h"
#include "json.h"
#include "message.h"
#include "status.h"

/* How late a look may be: it takes place when this machine is awake for something else, if that is
 * soon. To wake a machine that rests costs its host more than the look. */
#define SLACK_NS (VINE_NS_PER_SECOND / 5)

static volatile sig_atomic_t is_told_to_end;

static void end(int number)
{
    (void)number;
    is_told_to_end = 1;
}

static void tell(const struct vine__warden_finding *finding, bool json)
{
    if (json) {
        json_t *object = json_pack("{s:s, s:i}", "event", "died", "pid", (int)finding->pid);

        json_set_name(object, "link", finding->link);
        (void)json_print_line(object);
    } else if (finding->pid != 0) {
        message_warning("link %s: process %d has died, and the other end is told", finding->link,
                        (int)finding->pid);
    } else {
        message_warning("link %s: a process has died, and the other end is told", finding->link);
    }
}

int agent_watch(bool is_verbose, bool json)
{
    struct vine__warden_finding findings[32];
    const struct sigaction action = {.sa_handler = end};
    char why[256] = "";
    const struct vine__warden_options options = {
        .sysfs_root = getenv("VINE_SYSFS"),
        .command_line = getenv("VINE_CMDLINE"),
        .why = why,
        .why_size = sizeof(why),
    };
    struct vine__warden *warden = NULL;
    const int error = vine__warden_open(&options, &warden);

    if (error != 0) {
        message_error("no links to watch: %s", why[0] != '\0' ? why : vine_error_text(error));
        return STATUS_FAILED;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    (void)prctl(PR_SET_TIMERSLACK, (unsigned long)SLACK_NS, 0, 0, 0);
    if (is_verbose)
        message_note("watching who has the links of this machine");
    while (!is_told_to_end) {
        const uint32_t count =
            vine__warden_look(warden, findings, sizeof(findings) / sizeof(findings[0]));

        for (uint32_t i = 0; i < count; i++)
            tell(&findings[i], json);
        vine__warden_wait(warden, vine__warden_pause_ns(warden));
    }
    vine__warden_close(warden);
    return STATUS_DONE;
}
