/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_modules.h - which modules a guest's kernel needs, and the order in which they load.
 */
#ifndef VINE_TOOLS_GUEST_MODULES_H
#define VINE_TOOLS_GUEST_MODULES_H

#include <stddef.h>

#include "guest_files.h"

/* X(module, what for). Loaded in every guest: */
#define GUEST_MODULES(X)                                                                           \
    X("virtio_pci", "the bus of the devices below")                                                \
    X("virtio_blk", "disks")                                                                       \
    X("virtio_net", "networks")                                                                    \
    X("virtio_console", "serial ports, to be compared with")                                       \
    X("evdev", "input events, of the power button")                                                \
    X("button", "the power button")                                                                \
    X("pvpanic-pci", "tells the host of a panic")

/* Only where the host gives a doorbell, which a program gets by vfio: */
#define GUEST_DOORBELL_MODULES(X)                                                                  \
    X("vfio_iommu_type1", "the vIOMMU")                                                            \
    X("vfio-pci", "the device")

/* A module that a kernel brings as a file. */
struct guest_module {
    char name[64]; /* with `-` as `_` */
    const void *bytes;
    size_t size;
    unsigned mark; /* of guest_modules_add, while it looks */
};

/* Add those modules, with all that they depend on, and the lists for init. `builtin` is the text of
 * modules.builtin. Returns a status. */
int guest_modules_add(struct guest_files *files, struct guest_module *modules, size_t count,
                      const char *builtin);

/* The name of a module whose file, or whose name, the text is: without folder and .ko, `-` as `_`.
 * Returns 0 or -EINVAL. */
int guest_module_name(const char *text, size_t length, char ret_name[64]);

#endif
