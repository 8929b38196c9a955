/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.c - open a pipe, run a task, print its result.
 *
 *     cc hello.c -lvine -o hello && ./hello [ADDRESS]
 */
#include <stdint.h>
#include <stdio.h>

#include <vine/vine.h>

int main(int argc, char **argv)
{
    struct vine_pipe *pipe = NULL;
    uint8_t digest[32];
    int error;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: hello [ADDRESS]\n");
        return 2;
    }
    error = vine_pipe_open(argc > 1 ? argv[1] : NULL, NULL, &pipe);
    if (error == 0)
        error = vine_pipe_call(pipe, "sha256", "hello", 5, digest, sizeof(digest), NULL);
    for (size_t i = 0; error == 0 && i < sizeof(digest); i++)
        printf("%02x%s", digest[i], i + 1 < sizeof(digest) ? "" : "  hello\n");
    if (error < 0)
        fprintf(stderr, "hello: %s: %s\n", argc > 1 ? argv[1] : "the default appliance",
                vine_error_text(error));
    vine_pipe_close(pipe);
    return error < 0;
}
