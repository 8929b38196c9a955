/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - the uncompressed kernel out of a bzImage: QEMU starts it by its PVH entry, without the
 * time that a guest takes to unpack it.
 *
 * Trust: the image may be anything.
 */
#ifndef VINE_VMM_IMAGE_KERNEL_H
#define VINE_VMM_IMAGE_KERNEL_H

#include <stddef.h>

#include <vine/base.h>

/*
 * Returns 0, with an ELF file for free(); -ENOTSUP: the kernel is packed by something other than
 * LZ4; -EBADMSG: this is no bzImage, or a damaged one; -ENOMEM.
 */
VINE_MUST_CHECK int kernel_unpack(const void *image, size_t size, void **ret_bytes,
                                  size_t *ret_size);

#endif
