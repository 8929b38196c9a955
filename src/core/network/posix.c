/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/network/posix_internal.h"

#include <errno.h>

size_t vine__network_connection_bytes(void)
{
    return sizeof(struct posix_connection);
}

static int posix_start(struct vine__network *network)
{
    struct posix_pools *const pools = vine__closed_alloc(sizeof(*pools));

    if (pools == NULL)
        return -ENOMEM;
    const int error = vine__posix_pools_open(pools, network);

    if (error != 0) {
        vine__closed_free(pools);
        return error;
    }
    network->state = pools;
    return 0;
}

static void posix_stop(struct vine__network *network)
{
    vine__posix_pools_close(network->state);
    vine__closed_free(network->state);
    network->state = NULL;
}

static uint64_t posix_buffers_used(const struct vine__network *network)
{
    return vine__posix_pools_used(network->state);
}

const struct vine__network_stack vine__posix_stack = {
    .name = "posix",
    .text = "posix: the kernel's",
    .start = posix_start,
    .stop = posix_stop,
    .buffers_used = posix_buffers_used,
    .listen = vine__posix_listen,
    .unlisten = vine__posix_unlisten,
    .part_drop = vine__posix_part_drop,
    .accept_begin = vine__posix_accept_begin,
    .accept_end = vine__posix_accept_end,
    .connect = vine__posix_connect,
    .connect_cancel = vine__posix_connect_cancel,
    .adopt = vine__posix_adopt,
    .udp_open = vine__posix_udp_open,
};
