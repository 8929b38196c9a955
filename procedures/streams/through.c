/* SPDX-License-Identifier: Apache-2.0 */
/* A stream through a filter, which is what all procedures with streams are. */
#include "streams_internal.h"

VINE_COROUTINE(vine__through_feed)
{
    struct {
        struct vine_socket *filter;
    } *self;

    vine_begin();
    self->filter = *(struct vine_socket *const *)vine_argument();
    vine_forward(that->socket, self->filter);
    vine_close_output_on(self->filter);
    vine_end();
}

VINE_COROUTINE(vine__through)
{
    struct {
        struct vine__through through;
        struct vine_socket *filter;
        struct vine_coroutine *feeder;
    } *self;

    vine_begin();
    self->through = *(const struct vine__through *)vine_argument();
    vine_filter(self->filter, self->through.type, &self->through.level, sizeof self->through.level);
    vine_child(vine__through_feed, &self->filter, self->feeder);
    vine_forward(self->filter, that->socket);
    vine_join(self->feeder);
    vine_end();
}

VINE_SERVICE_CODE uint64_t vine__through_level(const struct vine_handled *handled,
                                               uint64_t otherwise)
{
    return handled->scalar_count > 0 ? handled->scalars[0] : otherwise;
}
