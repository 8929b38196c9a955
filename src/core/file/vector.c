/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file/file_internal.h"

#include <string.h>

#include "utils/bits.h"

void vine__file_vector_advance(struct vine_file_op *op, size_t size)
{
    op->vector_within += size;
    while (op->vector_count > 0 && op->vector_within >= op->vector->iov_len) {
        op->vector_within -= op->vector->iov_len;
        op->vector++;
        op->vector_count--;
    }
    VINE_ASSERT(op->vector_count > 0 || op->vector_within == 0);
}

void vine__file_vector_fill(struct vine_file_op *op, const void *bytes, size_t size)
{
    for (const unsigned char *from = bytes; size > 0;) {
        const struct iovec part = vine__file_part(op);
        const size_t now = vine__min_u64(part.iov_len, size);

        memcpy(part.iov_base, from, now);
        from += now;
        size -= now;
        vine__file_vector_advance(op, now);
    }
}

void vine__file_vector_peek(const struct vine_file_op *op, void *ret_bytes, size_t size)
{
    size_t within = op->vector_within;
    unsigned char *to = ret_bytes;

    for (const struct iovec *part = op->vector; size > 0; part++) {
        const size_t now = vine__min_u64(part->iov_len - within, size);

        memcpy(to, (const unsigned char *)part->iov_base + within, now);
        to += now;
        size -= now;
        within = 0;
    }
}
