/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes lines, which an appliance does: each client's coroutine awaits its tasks as it awaits
 * anything else, two of them at a time, and others are served meanwhile. A service as a library:
 *
 *     vine appliance --listen ./my.sock &
 *     VINE_APPLIANCE=./my.sock vine serve ./hash_lines.so --listen 127.0.0.1:7014
 */
#include <vine/coroutine.h>

static struct vine_remote hashes;

static int begin(const void *nothing)
{
    (void)nothing;
    return vine_remote_add(NULL, &hashes); /* $VINE_APPLIANCE, or `default` */
}

struct hash {
    const char *procedure;
    const char *text;
    size_t text_bytes;
    unsigned char digest[32];
    size_t digest_bytes;
    int error;
};

VINE_COROUTINE(hash)
{
    char *self;
    struct hash *const hash = vine_argument();

    vine_begin();
    vine_await(hash->digest_bytes, hashes, hash->procedure, .input = hash->text,
               .input_bytes = hash->text_bytes, .output = hash->digest,
               .output_max = sizeof hash->digest);
    vine_catch(hash->error)
    {
    }
    vine_end();
}

VINE_COROUTINE(hash_lines)
{
    struct {
        char text[1024];
        ssize_t length;
        struct hash hashes[2];
        struct vine_coroutine *children[2];
        size_t i, at;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        for (self->i = 0; self->i < 2; self->i++) {
            self->hashes[self->i] = (struct hash){.procedure = self->i == 0 ? "sha256" : "crc32",
                                                  .text = self->text,
                                                  .text_bytes = (size_t)self->length};
            vine_child(hash, &self->hashes[self->i], self->children[self->i]);
        }
        for (self->i = 0; self->i < 2; self->i++) {
            vine_join(self->children[self->i]);
            if (self->hashes[self->i].error != 0)
                vine_writef("(%s)", vine_error_text(self->hashes[self->i].error));
            for (self->at = 0; self->at < self->hashes[self->i].digest_bytes; self->at++)
                vine_writef("%02x", self->hashes[self->i].digest[self->at]);
            vine_write(self->i == 0 ? " " : "\n", 1);
        }
        vine_flush();
    }
    vine_end();
}

VINE_SERVICE(hash_lines, .summary = "hash lines, by an appliance", .begin = begin);
