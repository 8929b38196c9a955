/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.h - what is mounted, from the kernel's own file systems to the user's disks.
 */
#ifndef VINE_VMM_GUEST_MOUNTS_H
#define VINE_VMM_GUEST_MOUNTS_H

/* /proc, /sys, /dev, /dev/pts, /dev/shm, /run and /tmp. */
void mounts_make_system(void);

/* Mount `device` at `directory`, which is made, with its parents, if it is not there. `options` are
 * mount(8)'s, between commas; "" for none. A device that is not there yet is waited for, up to two
 * seconds. Returns 0 or a negated errno. */
int mounts_add(const char *device, const char *directory, const char *type, const char *options);

/* Unmount everything, the last first; what is still in use is made read-only, so that disks are
 * clean. */
void mounts_end(void);

#endif
