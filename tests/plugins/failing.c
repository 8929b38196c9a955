/* SPDX-License-Identifier: Apache-2.0 */
/* A service that fails as it is told to, by a line: in its own code, within malloc, by wanting too
 * much memory, and by never waiting; to "pid" it says in which process it is. Anything else it says
 * again. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/coroutine.h>

static void (*volatile call_free)(void *) = free;

__attribute__((no_sanitize("address", "thread", "undefined"))) static void write_to_nowhere(void)
{
    *(volatile char *)0xbad0 = 1;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) static void spin(void)
{
    for (volatile size_t word = 0;; word++)
        continue;
}

VINE_COROUTINE(failing)
{
    struct {
        char text[64];
        ssize_t length;
        void *much;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        if (strcmp(self->text, "fault\n") == 0)
            write_to_nowhere();
        else if (strcmp(self->text, "malloc\n") == 0)
            call_free((void *)0x700000001000);
        else if (strcmp(self->text, "spin\n") == 0)
            spin();
        else if (strcmp(self->text, "raise\n") == 0)
            vine_raise(-EINVAL);
        else if (strcmp(self->text, "grow\n") == 0)
            vine_alloc(self->much, 100 * 4096);
        if (strcmp(self->text, "pid\n") == 0)
            vine_writef("%d\n", (int)getpid());
        else
            vine_writef("%s", self->text);
    }
    vine_end();
}

VINE_SERVICE(failing, .summary = "fail as it is told to", .farewell = "failed\n");
