/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorbell.h - hands the doorbell device, if the kernel's command line names one, to vfio-pci, so
 * that a program can use it.
 */
#ifndef VINE_VMM_GUEST_DOORBELL_H
#define VINE_VMM_GUEST_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>

/* The device of `vine.doorbell=` in a kernel's command line, if it is one: DDDD:BB:DD.F. */
bool doorbell_find(const char *command_line, char *ret_device, size_t size);

void doorbell_bind(void);

#endif
