/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <vine/error.h>

#include "json.h"

/* "2026-01-31T12:00:00.123Z" */
static json_t *now(void)
{
    struct timespec time;
    struct tm parts;
    char seconds[32], text[48];

    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &parts);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof(text), "%s.%03ldZ", seconds, time.tv_nsec / 1000000);
    return json_string(text);
}

static json_t *begin(const char *event)
{
    json_t *object = json_object();

    json_object_set_new(object, "event", json_string(event));
    json_object_set_new(object, "time", now());
    return object;
}

/* Whoever reads is waiting for it: it does not stay in a buffer. */
static void end(json_t *object)
{
    json_print_line(object);
    fflush(stdout);
}

static void set_reason(json_t *object, int error, const char *reason)
{
    if (error == 0)
        return;
    json_object_set_new(object, "error", json_string(vine_error_name(error)));
    json_set_name(object, "reason", reason[0] != '\0' ? reason : vine_error_text(error));
}

void events_listening(const struct vine_appliance *appliance, uint32_t worker_count,
                      uint32_t core_count, const char *behind)
{
    json_t *object = begin("listening");

    json_set_name(object, "address", vine_appliance_address(appliance));
    json_object_set_new(object, "pid", json_integer(getpid()));
    json_object_set_new(object, "workers", json_integer(worker_count));
    if (core_count != 0)
        json_object_set_new(object, "cores", json_integer(core_count));
    if (behind != NULL)
        json_set_name(object, "appliance", behind);
    end(object);
}

void events_behind(const char *behind, int error, const char *reason, uint32_t procedure_count)
{
    json_t *object = begin(error == 0 ? "appliance_back" : "appliance_lost");

    json_set_name(object, "appliance", behind);
    if (error == 0)
        json_object_set_new(object, "procedures", json_integer(procedure_count));
    set_reason(object, error, reason);
    end(object);
}

void events_appliance(void *context, const struct vine_appliance_event *event)
{
    static const char *const names[] = {
        [VINE_APPLIANCE_PIPE_OPENED] = "pipe_opened",
        [VINE_APPLIANCE_PIPE_CLOSED] = "pipe_closed",
        [VINE_APPLIANCE_PIPE_REFUSED] = "pipe_refused",
        [VINE_APPLIANCE_DRAINING] = "draining",
    };
    json_t *object = begin(names[event->kind]);

    (void)context;
    if (event->kind == VINE_APPLIANCE_DRAINING)
        json_object_set_new(object, "tasks", json_unsigned(event->count));
    if (event->pipe != 0)
        json_object_set_new(object, "pipe", json_unsigned(event->pipe));
    if (event->pid != 0) {
        json_set_name(object, "name", event->name);
        json_object_set_new(object, "pid", json_integer(event->pid));
    }
    if (event->uid >= 0)
        json_object_set_new(object, "uid", json_integer(event->uid));
    set_reason(object, event->error, event->reason);
    end(object);
}

void events_library(const struct vine_library_news *news)
{
    json_t *object = begin(news->is_gone      ? "library_gone"
                           : news->error == 0 ? "library_loaded"
                                              : "library_refused");

    if (news->file != NULL)
        json_set_name(object, "file", news->file);
    if (news->error == 0 && !news->is_gone)
        json_object_set_new(object, "procedures", json_integer(news->procedure_count));
    json_object_set_new(object, "version", json_integer(news->version));
    set_reason(object, news->error, news->reason);
    end(object);
}

void events_stopped(struct vine_appliance *appliance, int error, const char *reason, int status)
{
    struct vine_appliance_stats stats = {0};
    json_t *object = begin("stopped");

    if (appliance != NULL)
        vine_appliance_get_stats(appliance, &stats);
    json_object_set_new(object, "tasks_done", json_unsigned(stats.tasks_done));
    json_object_set_new(object, "tasks_failed", json_unsigned(stats.tasks_failed));
    json_object_set_new(object, "bytes_in", json_unsigned(stats.bytes_in));
    json_object_set_new(object, "bytes_out", json_unsigned(stats.bytes_out));
    json_object_set_new(object, "pipes", json_unsigned(stats.pipes_accepted));
    json_object_set_new(object, "pipes_refused", json_unsigned(stats.pipes_refused));
    json_object_set_new(object, "pipes_lost", json_unsigned(stats.pipes_lost));
    json_object_set_new(object, "pipes_broken", json_unsigned(stats.pipes_broken));
    set_reason(object, error, reason);
    json_object_set_new(object, "exit_status", json_integer(status));
    end(object);
}
