/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fails says where, at once. cmocka tells it when the test has ended, to which what fails in
 * another thread cannot go back: then it ends the process without a word.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noreturn, visibility("default"))) void _fail(const char *file, int line);

/* In place of cmocka's, which every assertion of it calls. */
void _fail(const char *file, int line)
{
    void (*const go_on)(const char *, int) = (void (*)(const char *, int))dlsym(RTLD_NEXT, "_fail");

    (void)fprintf(stderr, "%s:%d: failed\n", file, line);
    if (go_on != NULL)
        go_on(file, line);
    abort();
}
