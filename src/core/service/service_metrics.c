/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service_metrics.c - what a core has seen of a service's connections, as metrics. */

#include <vine/log.h>
#include <vine/network.h>

#include "core/service/service_internal.h"

static const char *const reasons[VINE__AWAY_COUNT] = {
    [VINE__AWAY_FULL] = "full",
    [VINE__AWAY_RATE] = "rate",
    [VINE__AWAY_HEAPS] = "heaps",
    [VINE__AWAY_DESCRIPTORS] = "descriptors",
};

static int begin(struct vine__service_core *core)
{
    char listen[VINE_ADDRESS_TEXT_BYTES];
    struct vine_label labels[3] = {
        {.name = "service", .value = core->running->kind.service->name},
        {.name = "listen", .value = listen},
    };
    struct vine_metric_description description = {
        .name = "vine_service_connections",
        .help = "Connections of a service that are not closed.",
        .kind = VINE_METRIC_GAUGE,
        .labels = labels,
        .label_count = 2,
        .level = &core->connections,
    };
    int error;

    vine_address_print(vine_listener_address(core->running->listener), listen);
    error = vine_metric_register(&core->metrics[0], &description);
    if (error != 0)
        return error;
    description.name = "vine_service_accepted_total";
    description.help = "Connections that came to a service.";
    description.kind = VINE_METRIC_COUNTER;
    description.level = NULL;
    description.count = &core->accepted;
    error = vine_metric_register(&core->metrics[1], &description);
    description.name = "vine_service_turned_away_total";
    description.help =
        "Of these, such that found no room: too many, by one client, no heap, or no descriptor.";
    description.label_count = 3;
    for (uint32_t i = 0; error == 0 && i < VINE__AWAY_COUNT; i++) {
        labels[2] = (struct vine_label){.name = "reason", .value = reasons[i]};
        description.count = &core->turned_away[i];
        error = vine_metric_register(&core->metrics[2 + i], &description);
    }
    return error;
}

void vine__service_core_begin(struct vine__service_core *core, struct vine_running *running)
{
    int error;

    core->has_begun = true;
    core->running = running;
    error = begin(core);
    if (error != 0)
        vine_log("service", VINE_LOG_WARNING, "%s: it has no metrics here: error %d",
                 running->kind.service->name, -error);
}
