/* SPDX-License-Identifier: Apache-2.0 */
#include "shares.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utils/config.h"

#include "message.h"
#include "status.h"

#define USER "user:"
#define EXE  "exe:"

static bool refuse(const char *rule, const char *why)
{
    message_error("shares: '%s' %s: it takes user:NAME=N, user:UID=N or exe:/PATH=N, separated by "
                  "commas, with N from 1 to %u (%u is usual)",
                  message_escape(rule), why, VINE_APPLIANCE_SHARES_MAX, VINE_APPLIANCE_SHARES);
    return false;
}

/* Whose rule this is. */
static bool take_who(struct shares_rule *rule, const char *who, const char *whole)
{
    uint64_t uid;

    rule->uid = -1;
    if (strncmp(who, EXE, strlen(EXE)) == 0) {
        rule->executable = who + strlen(EXE);
        return rule->executable[0] == '/' || refuse(whole, "names no path");
    }
    if (strncmp(who, USER, strlen(USER)) != 0)
        return refuse(whole, "names neither a user nor an executable");
    who += strlen(USER);
    if (vine__parse_unsigned(who, &uid) == 0 && uid < UINT32_MAX) {
        rule->uid = (int64_t)uid;
        return true;
    }
    /* The command has one thread here. */
    const struct passwd *known = getpwnam(who); /* NOLINT(concurrency-mt-unsafe) */

    if (known == NULL)
        return refuse(whole, "names no user of this machine");
    rule->uid = (int64_t)known->pw_uid;
    return true;
}

static bool take_rule(struct shares *shares, char *rule)
{
    struct shares_rule *const taken = &shares->rules[shares->count];
    char *const whole = strdup(rule), *const equals = strrchr(rule, '=');
    uint64_t number = 0;
    bool is_good = whole != NULL;

    if (is_good && equals == NULL)
        is_good = refuse(whole, "has no =N");
    if (is_good) {
        *equals = '\0';
        if (vine__parse_unsigned(equals + 1, &number) != 0 || number == 0 ||
            number > VINE_APPLIANCE_SHARES_MAX)
            is_good = refuse(whole, "has an impossible N");
        else
            is_good = take_who(taken, rule, whole);
    }
    taken->shares = (uint32_t)number;
    shares->count += is_good;
    free(whole);
    return is_good;
}

int shares_init(struct shares *shares, const char *text)
{
    size_t count = 1;
    char *at;

    *shares = (struct shares){0};
    if (text == NULL)
        return STATUS_DONE;
    for (const char *comma = text; *comma != '\0'; comma++)
        count += *comma == ',';
    shares->text = strdup(text);
    shares->rules = calloc(count, sizeof(*shares->rules));
    if (shares->text == NULL || shares->rules == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    at = shares->text;
    for (char *rule; (rule = strsep(&at, ",")) != NULL;)
        if (!take_rule(shares, rule))
            return STATUS_USAGE;
    return STATUS_DONE;
}

void shares_fini(struct shares *shares)
{
    free(shares->rules);
    free(shares->text);
    *shares = (struct shares){0};
}

static bool runs(int64_t pid, const char *executable)
{
    char path[64], target[4096];
    ssize_t length;

    if (pid <= 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%lld/exe", (long long)pid);
    length = readlink(path, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = '\0';
    return strcmp(target, executable) == 0;
}

uint32_t shares_of(void *context, const struct vine_appliance_event *opened)
{
    const struct shares *shares = context;

    for (size_t i = 0; i < shares->count; i++) {
        const struct shares_rule *rule = &shares->rules[i];

        if (rule->uid >= 0 ? rule->uid == opened->uid : runs(opened->pid, rule->executable))
            return rule->shares;
    }
    return 0;
}
