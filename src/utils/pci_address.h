/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/pci_address.h - the name of a PCI function as sysfs has it, before it is part of a path.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    the text may be anything.
 * Limits:   none of its own.
 */
#ifndef VINE_UTILS_PCI_ADDRESS_H
#define VINE_UTILS_PCI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether it is DDDD:BB:DD.F, in lower-case digits, and nothing else. */
static inline bool vine__is_pci_address(const char *text)
{
    static const char shape[] = "dddd:bb:dd.f";

    if (strlen(text) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++)
        if (strchr(":.", shape[i]) != NULL ? text[i] != shape[i]
                                           : strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    return true;
}

#endif
