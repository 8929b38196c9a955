/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/segment/view.h - a second look at a segment, of which one may be kept as it is.
 *
 * Owns:     a view owns a mapping of its own, for reading, and holds no side.
 * Threads:  any; one at a time for a view.
 * Blocking: never; keeping takes as long as what is copied.
 * Trust:    as the segment that it is a view of, whose header is not read again.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_SEGMENT_VIEW_H
#define VINE_CORE_SEGMENT_VIEW_H

#include <vine/segment.h>

/* Map the segment once more. Any holder of one that has a descriptor: see vine_segment_fd. Returns
 * 0; -VINE_EFORK; -EBADF; -ENOMEM; or what the system said. It goes with vine_segment_unref. */
VINE_MUST_CHECK int vine__segment_view(const struct vine_segment *segment,
                                       struct vine_segment **ret_view);

/* From here on a view, or whatever is mapped for reading alone, is private and does not change any
 * more: `copy` writes what is to stay, and all else is zero. Addresses stay, and whoever reads
 * meanwhile finds the same. Returns 0; -VINE_EFORK; or what the system said. */
VINE_MUST_CHECK int vine__segment_keep(struct vine_segment *segment,
                                       void (*copy)(unsigned char *to, const unsigned char *from,
                                                    void *context),
                                       void *context);

#endif
