/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subprocess.h - run another program to its end, and have what it wrote.
 */
#ifndef VINE_TOOLS_SUBPROCESS_H
#define VINE_TOOLS_SUBPROCESS_H

#include <stddef.h>

struct subprocess {
    int status;     /* its exit code, or -1: it was ended by a signal */
    char *output;   /* what it wrote to standard output; a zero is behind it */
    size_t size;    /* without that zero */
    char said[256]; /* the last line of its standard error */
};

/*
 * Run a program of $PATH in `directory` (NULL: where we are) in the locale C, without input. It is
 * interrupted with us by the terminal. Returns 0 when it has ended, well or not; -ENOENT: there is
 * no such program; another negated errno. What it returns is for subprocess_free.
 */
int subprocess_run(const char *const *argv, const char *directory,
                   struct subprocess *ret_subprocess);
void subprocess_free(struct subprocess *subprocess);

#endif
