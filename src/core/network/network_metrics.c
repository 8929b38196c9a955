/* SPDX-License-Identifier: Apache-2.0 */
/* What a core's network has counted, as metrics: from its start until it has stopped. */
#include "core/network/network_internal.h"

#include <stddef.h>

/* Where a value is, and what it means. */
struct row {
    const char *name;
    const char *help;
    const char *unit;
    size_t offset; /* of `struct vine_network_counts` */
};

#define COUNT(name, field, help)                                                                   \
    {                                                                                              \
        name, help, NULL, offsetof(struct vine_network_counts, field)                              \
    }
#define BYTES(name, field, help)                                                                   \
    {                                                                                              \
        name, help, "bytes", offsetof(struct vine_network_counts, field)                           \
    }

static const struct row rows[] = {
    COUNT("vine_network_accepted_total", accepted, "Connections that came and were accepted."),
    COUNT("vine_network_accept_rests_total", accept_rests,
          "Times that accepting rested for want of descriptors or memory."),
    COUNT("vine_network_shed_total", shed,
          "Of those that were accepted, such that came when all descriptors were in use."),
    COUNT("vine_network_refused_total", refused,
          "Connections that came and were closed at once, for want of memory or of a listener."),
    COUNT("vine_network_connected_total", connected, "Connections that were made from here."),
    COUNT("vine_network_connect_failures_total", connect_failures,
          "Connections that were to be made from here, and could not."),
    BYTES("vine_network_received_bytes_total", received_bytes, "Bytes that came."),
    BYTES("vine_network_sent_bytes_total", sent_bytes, "Bytes that the kernel has taken."),
    COUNT("vine_network_receives_total", receives, "Operations of the kernel that brought bytes."),
    COUNT("vine_network_sends_total", sends, "Operations of the kernel that took bytes."),
    COUNT("vine_network_receive_errors_total", receive_errors,
          "Receives that ended with an error."),
    COUNT("vine_network_send_errors_total", send_errors, "Sends that ended with an error."),
    COUNT("vine_network_datagrams_received_total", datagrams_received, "Datagrams that came."),
    COUNT("vine_network_datagrams_sent_total", datagrams_sent, "Datagrams that went out."),
    COUNT("vine_network_deadlines_total", deadlines, "Operations whose deadline has passed."),
    COUNT("vine_network_held_back_total", held_back,
          "Times that a connection was not received from, since nobody asked."),
    COUNT("vine_network_buffers_missed_total", buffers_missed,
          "Times that there was no buffer to receive into."),
    COUNT("vine_tls_handshakes_total", tls_handshakes, "Handshakes that succeeded."),
    COUNT("vine_tls_resumed_total", tls_resumed, "Handshakes that resumed an earlier session."),
    COUNT("vine_tls_refusals_total", tls_refusals, "Handshakes that failed."),
    COUNT("vine_tls_failures_total", tls_failures, "Sessions that failed after their handshake."),
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static double connections_of(void *context)
{
    const struct vine__network *const network = context;

    return (double)network->counts.connections;
}

static double buffers_of(void *context)
{
    const struct vine__network *const network = context;

    return (double)network->counts.buffers;
}

static double buffers_used_of(void *context)
{
    const struct vine__network *const network = context;

    return (double)network->stack->buffers_used(network);
}

static const struct {
    const char *name;
    const char *help;
    vine_metric_fn fn;
} levels[] = {
    {"vine_network_connections", "Connections that are not closed.", connections_of},
    {"vine_network_buffers", "Buffers into which the core receives.", buffers_of},
    {"vine_network_buffers_used", "Of these, such with something in them.", buffers_used_of},
};

#define LEVEL_COUNT (sizeof(levels) / sizeof(levels[0]))

VINE_STATIC_ASSERT(ROW_COUNT + LEVEL_COUNT == VINE__NETWORK_METRICS, "a place for each");

static int register_row(struct vine__network *network, size_t which)
{
    const void *const value = (const char *)&network->counts + rows[which].offset;
    const struct vine_metric_description description = {
        .name = rows[which].name,
        .help = rows[which].help,
        .unit = rows[which].unit,
        .kind = VINE_METRIC_COUNTER,
        .count = value,
    };

    return vine_metric_register(&network->metrics[which], &description);
}

static int register_level(struct vine__network *network, size_t which)
{
    const struct vine_metric_description description = {
        .name = levels[which].name,
        .help = levels[which].help,
        .kind = VINE_METRIC_GAUGE,
        .fn = levels[which].fn,
        .context = network,
    };

    return vine_metric_register(&network->metrics[ROW_COUNT + which], &description);
}

int vine__network_metrics_start(struct vine__network *network)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < ROW_COUNT; i++)
        error = register_row(network, i);
    for (size_t i = 0; error == 0 && i < LEVEL_COUNT; i++)
        error = register_level(network, i);
    if (error != 0)
        vine__network_metrics_stop(network);
    return error;
}

void vine__network_metrics_stop(struct vine__network *network)
{
    for (size_t i = 0; i < VINE__NETWORK_METRICS; i++)
        vine_metric_unregister(&network->metrics[i]);
}
