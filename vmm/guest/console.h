/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - what init tells: lines `vine-init: ...` on the console (docs/formats/init.md).
 */
#ifndef VINE_VMM_GUEST_CONSOLE_H
#define VINE_VMM_GUEST_CONSOLE_H

/* Descriptors 0, 1 and 2 become the console, or stay what the kernel gave us. */
void console_open(void);

/* One line; `%m` is understood. What init could not do is told this way, and init goes on. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
