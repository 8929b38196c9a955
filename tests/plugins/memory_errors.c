/* SPDX-License-Identifier: Apache-2.0 */
/* A service with memory errors, of which a line chooses one; anything else it says again. Without a
 * tool that watches memory none of them is noticed. */
#include <string.h>

#include <vine/coroutine.h>

/* What is read decides, so that no tool may pass it over. By a pointer, which no compiler sees
 * through. */
static const char *look_at(const char *byte)
{
    return (*byte & 1) != 0 ? "odd" : "even";
}

static const char *(*volatile parity)(const char *) = look_at;

/* A variable that nobody has written. */
static const char *look_at_a_local(void)
{
    char local[16];
    char *volatile const byte = local;

    return parity(byte + 8);
}

VINE_COROUTINE(memory_errors)
{
    struct {
        char text[64];
        ssize_t length;
        char *memory;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        if (strcmp(self->text, "frame\n") == 0) {
            vine_writef("%s\n", parity((char *)self + sizeof *self));
        } else if (strcmp(self->text, "freed\n") == 0) {
            vine_alloc(self->memory, 100);
            vine_free(self->memory);
            vine_writef("%s\n", parity(self->memory + 50));
        } else if (strcmp(self->text, "beyond\n") == 0) {
            vine_keep(self->memory, 100);
            vine_writef("%s\n", parity(self->memory + 100));
        } else if (strcmp(self->text, "unkept\n") == 0) {
            vine_keep(self->memory, 100);
            vine_unkeep(self->memory);
            self->memory[50] = 1;
        } else if (strcmp(self->text, "local\n") == 0) {
            vine_writef("%s\n", look_at_a_local());
        } else {
            vine_alloc(self->memory, 100);
            vine_writef("%s", self->memory[99] == 0 ? self->text : "not zero\n");
            vine_free(self->memory);
        }
        vine_flush();
    }
    vine_end();
}

VINE_SERVICE(memory_errors, .summary = "make an error that a tool can find");
