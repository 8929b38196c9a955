/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_attach.h - this terminal as the console of one machine, both ways, until Ctrl-] is typed.
 *
 * The terminal is raw meanwhile, so that Ctrl-C is the guest's, and what it was again afterwards.
 * Where standard input is no terminal its bytes go to the guest as they are.
 */
#ifndef VINE_TOOLS_GUEST_ATTACH_H
#define VINE_TOOLS_GUEST_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct guest_attach {
    int fd;         /* the console's socket; -1: not attached */
    bool is_typed;  /* somebody sits there: Ctrl-] leaves */
    bool has_input; /* standard input has not ended */
    bool shows;     /* what the guest says goes to standard output as it is: not left yet */
    struct termios before;
    size_t pending_size;
    char pending[256]; /* read, and not taken by the guest yet */
};

/* Connect to the console. Says what goes wrong. Returns a status. */
int guest_attach_begin(struct guest_attach *attach, const char *path);

/* What standard input is polled for, and the console. */
struct pollfd guest_attach_input(const struct guest_attach *attach);
struct pollfd guest_attach_console(const struct guest_attach *attach);

/* Take what is typed, and hand it on. */
void guest_attach_take(struct guest_attach *attach);
void guest_attach_send(struct guest_attach *attach);

/* Give the terminal back; the console goes on being read. */
void guest_attach_leave(struct guest_attach *attach);

/* And all of it. */
void guest_attach_end(struct guest_attach *attach);

#endif
