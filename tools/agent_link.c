/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's pipe: opened, its procedures offered, watched, and opened anew after its loss. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vine/error.h>

#include "agent.h"
#include "events.h"
#include "message.h"

#define LOOK_MS            1000
#define RETRY_MS_MIN       100
#define RETRY_MS_MAX       5000
#define RETRY_MS_BESIDE    5 /* it is started anew at once */
#define CONNECT_TIMEOUT_NS VINE_NS_PER_SECOND

static void hear(void *context, enum vine_log_level level, const char *text)
{
    struct far *far = context;

    if (level <= VINE_LOG_WARNING) {
        pthread_mutex_lock(&far->agent->lock);
        snprintf(far->reason, sizeof(far->reason), "%s", text);
        pthread_mutex_unlock(&far->agent->lock);
    } else if (far->agent->is_verbose) {
        message_note("%s", message_escape(text));
    }
}

/* ---- procedures ------------------------------------------------------------------------------ */

static bool is_same_argument(const struct vine_argument *one, const struct vine_argument *other)
{
    return strcmp(one->name, other->name) == 0 && one->kind == other->kind &&
           one->data_type == other->data_type && one->min == other->min && one->max == other->max;
}

static bool is_same(const struct vine_procedure_info *one, const struct vine_procedure_info *other)
{
    bool same = strcmp(one->name, other->name) == 0 &&
                strcmp(one->accelerator_type, other->accelerator_type) == 0 &&
                strcmp(one->summary, other->summary) == 0 &&
                one->copies_arguments == other->copies_arguments &&
                one->has_sessions == other->has_sessions &&
                one->argument_count == other->argument_count;

    for (uint32_t i = 0; same && i < one->argument_count; i++)
        same = is_same_argument(&one->arguments[i], &other->arguments[i]);
    return same;
}

/* The forward of this description: one that there is, or a new one; NULL if there is no more room
 * for any. */
static struct forward *forward_of(struct agent *agent, const struct vine_procedure_info *info)
{
    for (uint32_t i = 0; i < agent->forward_count; i++)
        if (is_same(&agent->forwards[i]->info, info))
            return agent->forwards[i];

    struct forward *forward =
        agent->forward_count < FORWARDS_MAX ? calloc(1, sizeof(*forward)) : NULL;

    if (forward == NULL)
        return NULL;
    forward->agent = agent;
    forward->index = agent->forward_count;
    forward->info = *info;
    for (uint32_t i = 0; i < info->argument_count; i++) {
        snprintf(forward->argument_names[i], sizeof(forward->argument_names[i]), "%s",
                 info->arguments[i].name);
        forward->info.arguments[i].name = forward->argument_names[i];
    }
    forward->definition = (struct vine_procedure_definition){
        .size_bytes = sizeof(forward->definition),
        .name = forward->info.name,
        .summary = forward->info.summary,
        .accelerator_type = forward->info.accelerator_type,
        .flags = info->copies_arguments ? VINE_ARGUMENTS_COPIED_BY_HANDLER : VINE_ARGUMENTS_SHARED,
        .argument_count = info->argument_count,
        .arguments = forward->info.arguments,
        .run = forward_run,
        .state_bytes = info->has_sessions ? forward_state_bytes() : 0,
        .end = forward_end,
    };
    agent->forwards[agent->forward_count++] = forward;
    return forward;
}

static void offer(struct agent *agent, struct far *far, struct vine_procedure *procedure)
{
    const struct vine_procedure_info *info = vine_procedure_describe(procedure);
    struct forward *forward = forward_of(agent, info);
    int error = forward == NULL ? -VINE_EQUOTA : 0;

    if (error == 0 && !forward->is_offered)
        error = vine_appliance_register(agent->near, &forward->definition);
    if (error < 0) {
        message_warning("procedure %s cannot be offered: %s", message_escape(info->name),
                        vine_error_text(error));
        return;
    }
    /* It has taken the place of another description of the same name, if there was one. */
    for (uint32_t i = 0; i < agent->forward_count; i++)
        if (strcmp(agent->forwards[i]->info.name, info->name) == 0)
            agent->forwards[i]->is_offered = false;
    forward->is_offered = true;
    far->procedures[forward->index] = procedure;
    far->procedure_count++;
}

/* Offer what the far appliance has, and no more what it has no more. */
static int offer_all(struct agent *agent, struct far *far)
{
    struct vine_procedure **procedures =
        calloc(VINE_APPLIANCE_PROCEDURES_MAX, sizeof(struct vine_procedure *));
    const int count = procedures == NULL ? -ENOMEM
                                         : vine_procedure_list(far->pipe, procedures,
                                                               VINE_APPLIANCE_PROCEDURES_MAX);

    for (int i = 0; i < count && i < VINE_APPLIANCE_PROCEDURES_MAX; i++)
        offer(agent, far, procedures[i]);
    for (uint32_t i = 0; count >= 0 && i < agent->forward_count; i++) {
        struct forward *forward = agent->forwards[i];

        if (!forward->is_offered || far->procedures[i] != NULL)
            continue;
        forward->is_offered = false;
        const int error = vine_appliance_withdraw(agent->near, forward->info.name);
        if (error < 0)
            message_warning("procedure %s: %s", forward->info.name, vine_error_text(error));
    }
    free(procedures);
    return count < 0 ? count : 0;
}

/* ---- the pipe -------------------------------------------------------------------------------- */

struct far *agent_hold(struct agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    struct far *far = agent->far;
    if (far != NULL)
        far->refs++;
    pthread_mutex_unlock(&agent->lock);
    return far;
}

void agent_hold_too(struct far *far)
{
    pthread_mutex_lock(&far->agent->lock);
    far->refs++;
    pthread_mutex_unlock(&far->agent->lock);
}

void agent_let_go(struct far *far)
{
    pthread_mutex_lock(&far->agent->lock);
    const bool is_last = --far->refs == 0;
    pthread_mutex_unlock(&far->agent->lock);
    if (!is_last)
        return;
    vine_pipe_close(far->pipe);
    gate_fini(&far->gate);
    free(far);
}

/* It is the present one no more; who notices first has the watcher look for another. */
static void lose(struct far *far, int error)
{
    struct agent *agent = far->agent;
    const uint64_t one = 1;

    pthread_mutex_lock(&agent->lock);
    const bool is_present = agent->far == far;
    if (is_present) {
        agent->far = NULL;
        agent->lost = error;
        memcpy(agent->lost_reason, far->reason, sizeof(agent->lost_reason));
        if (!agent->is_beside)
            vine_appliance_suspend(agent->near, -VINE_ENOAPPLIANCE);
    }
    pthread_mutex_unlock(&agent->lock);
    if (!is_present)
        return;
    (void)!write(agent->source.fd, &one, sizeof(one));
    agent_let_go(far);
}

int agent_check(struct far *far)
{
    const int error = vine_pipe_status(far->pipe);

    if (error == 0)
        return 0;
    lose(far, error);
    /* What is wrong with our pipe is nothing that an application could find in its own. */
    return error == -VINE_EDRAINING ? error : -VINE_EPEERLOST;
}

static int open_far(struct agent *agent, struct far *far)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof(options),
        .name = "vine agent",
        .connect_timeout_ns = CONNECT_TIMEOUT_NS,
        .call_timeout_ns = CONNECT_TIMEOUT_NS,
        .log = hear,
        .log_context = far,
    };
    int error = vine_pipe_open(agent->source.behind, &options, &far->pipe);

    if (error == 0)
        error = vine_accelerator_acquire(far->pipe, NULL, VINE_PARALLEL, &far->accelerator);
    if (error == 0)
        error = offer_all(agent, far);
    return error;
}

/* Returns 0, or a negative code and why. */
static int connect_far(struct agent *agent, char ret_reason[REASON_BYTES])
{
    struct far *far = calloc(1, sizeof(*far));
    struct vine_pipe_limits limits = {0};

    if (far == NULL)
        return -ENOMEM;
    far->agent = agent;
    far->refs = 1;
    const int error = open_far(agent, far);
    if (error == 0)
        vine_pipe_get_limits(far->pipe, &limits);
    /* Some is left for what lies between the tasks' data. */
    const uint64_t room = limits.memory_max_bytes / 4 * 3;
    gate_init(&far->gate, room, room / 4);
    pthread_mutex_lock(&agent->lock);
    memcpy(ret_reason, far->reason, REASON_BYTES);
    if (error == 0) {
        agent->far = far;
        if (!agent->is_beside)
            vine_appliance_suspend(agent->near, 0);
    }
    pthread_mutex_unlock(&agent->lock);
    if (error < 0)
        agent_let_go(far);
    return error;
}

static const char *reason_of(int error, const char *reason)
{
    return message_escape(reason[0] != '\0' ? reason : vine_error_text(error));
}

/* Wait the longer for the next attempt, the more have failed. */
static int back_off(struct agent *agent)
{
    const int wait_ms = agent->wait_ms;

    agent->wait_ms = wait_ms > RETRY_MS_MAX / 2 ? RETRY_MS_MAX : 2 * wait_ms;
    return wait_ms;
}

static void tell_loss(struct agent *agent)
{
    const char *behind = agent->source.behind;
    const char *why = reason_of(agent->lost, agent->lost_reason);

    if (agent->is_beside)
        message_error("lost the process of keys: %s; waiting for another", why);
    else
        message_error("lost the appliance at %s: %s; trying to come back", message_escape(behind),
                      why);
    if (agent->json && !agent->is_beside)
        events_behind(behind, agent->lost, agent->lost_reason, 0);
}

static void tell_return(struct agent *agent)
{
    const char *behind = agent->source.behind;
    struct far *far = agent_hold(agent);
    const uint32_t count = far != NULL ? far->procedure_count : 0;

    if (far != NULL)
        agent_let_go(far);
    if (agent->is_beside) {
        message_note("there is a process of keys again");
        return;
    }
    message_note("the appliance at %s is back, with %u procedures", message_escape(behind), count);
    if (agent->json)
        events_behind(behind, 0, "", count);
}

static int come_back(struct agent *agent)
{
    char reason[REASON_BYTES] = "";

    if (!agent->is_lost_told) {
        tell_loss(agent);
        agent->is_lost_told = true;
        agent->wait_ms = agent->is_beside ? RETRY_MS_BESIDE : RETRY_MS_MIN;
    }
    if (connect_far(agent, reason) < 0)
        return back_off(agent);
    agent->is_lost_told = false;
    tell_return(agent);
    return LOOK_MS;
}

static int look_far(struct serve_source *source)
{
    struct agent *agent = (struct agent *)source;
    uint64_t news;

    (void)!read(source->fd, &news, sizeof(news));
    struct far *far = agent_hold(agent);
    if (far == NULL)
        return come_back(agent);
    const int error = agent_check(far);
    agent_let_go(far);
    return error == 0 ? LOOK_MS : 0;
}

static int open_first(struct serve_source *source, struct vine_appliance *appliance)
{
    struct agent *agent = (struct agent *)source;
    char reason[REASON_BYTES] = "";
    int error;

    agent->near = appliance;
    source->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->fd < 0) {
        message_error("cannot make an eventfd: %m");
        return -errno;
    }
    agent->wait_ms = RETRY_MS_MIN;
    while ((error = connect_far(agent, reason)) < 0) {
        if (!agent->waits) {
            message_error("%s (%s)", reason_of(error, reason), vine_error_name(error));
            return error;
        }
        if (!agent->is_lost_told)
            message_note("%s; waiting for it", reason_of(error, reason));
        agent->is_lost_told = true;
        (void)poll(NULL, 0, back_off(agent));
    }
    agent->is_lost_told = false;
    return 0;
}

static void close_far(struct serve_source *source)
{
    struct agent *agent = (struct agent *)source;

    if (agent->far != NULL)
        agent_let_go(agent->far);
    for (uint32_t i = 0; i < agent->forward_count; i++)
        free(agent->forwards[i]);
    if (source->fd >= 0)
        close(source->fd);
    pthread_mutex_destroy(&agent->lock);
}

void agent_init(struct agent *agent, const char *address)
{
    memset(agent, 0, sizeof(*agent));
    pthread_mutex_init(&agent->lock, NULL);
    agent->source = (struct serve_source){
        .verb = "agent",
        .behind = address,
        .open = open_first,
        .look = look_far,
        .fd = -1,
        .close = close_far,
    };
}
