/* SPDX-License-Identifier: Apache-2.0 */
/* A server of HTTP/1.1 behind a proxy: its answers are as the path says, in each framing, and it
 * tells what body it got. /length/N, /chunked/N, /close/N: so many bytes; /half/N: only half of
 * what it promises; /body; /hints: something interim first; /nonsense; /silent: nothing, until the
 * service ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/coroutine.h>

static const char block[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#define BLOCK (sizeof block - 1)

/* So many bytes. */
VINE_COROUTINE(write_some)
{
    struct {
        unsigned long left;
        size_t size;
    } *self;

    vine_begin();
    self->left = *(const unsigned long *)vine_argument();
    while (self->left > 0) {
        self->size = self->left < BLOCK ? self->left : BLOCK;
        vine_write(block, self->size);
        self->left -= self->size;
    }
    vine_end();
}

/* A body's bytes are counted and added up. */
struct counted {
    unsigned long length, bytes, sum;
    bool is_chunked;
};

VINE_COROUTINE(count_body)
{
    struct {
        struct counted *it;
        char text[4096];
        unsigned long left;
        ssize_t length;
    } *self;

    vine_begin();
    self->it = vine_argument();
    self->left = self->it->length;
    do {
        if (self->it->is_chunked) {
            vine_readline(self->length, self->text, sizeof self->text);
            self->left = strtoul(self->text, NULL, 16);
            if (self->left == 0)
                self->it->is_chunked = false;
        }
        while (self->left > 0) {
            vine_read(self->length, self->text,
                      self->left < sizeof self->text ? self->left : sizeof self->text);
            if (self->length == 0)
                vine_raise(-ECONNRESET);
            for (ssize_t i = 0; i < self->length; i++)
                self->it->sum += (unsigned char)self->text[i];
            self->it->bytes += (unsigned long)self->length;
            self->left -= (unsigned long)self->length;
        }
        if (self->it->is_chunked)
            vine_readline(self->length, self->text, sizeof self->text);
    } while (self->it->is_chunked);
    vine_end();
}

VINE_COROUTINE(origin)
{
    struct {
        char path[256], line[1024];
        char answer[80];
        ssize_t length;
        unsigned long size, half;
        struct counted body;
    } *self;

    vine_begin();
    vine_readline(self->length, self->path, sizeof self->path);
    do {
        vine_readline(self->length, self->line, sizeof self->line);
        if (strncmp(self->line, "Content-Length: ", 16) == 0)
            self->body.length = strtoul(self->line + 16, NULL, 10);
        self->body.is_chunked |= strcmp(self->line, "Transfer-Encoding: chunked\r\n") == 0;
    } while (self->length > 2);
    vine_call(count_body, &self->body);
    /* "GET /kind/N HTTP/1.1": N */
    if (strchr(self->path, '/') != NULL && strchr(strchr(self->path, '/') + 1, '/') != NULL)
        self->size = strtoul(strchr(strchr(self->path, '/') + 1, '/') + 1, NULL, 10);
    self->half = self->size / 2;
    if (strstr(self->path, " /length/") != NULL) {
        vine_writef("HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n", self->size);
        vine_call(write_some, &self->size);
    } else if (strstr(self->path, " /half/") != NULL) {
        vine_writef("HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n", self->size);
        vine_call(write_some, &self->half);
    } else if (strstr(self->path, " /close/") != NULL) {
        vine_writef("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        vine_call(write_some, &self->size);
    } else if (strstr(self->path, " /chunked/") != NULL) {
        vine_writef("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n%lx\r\n",
                    self->size);
        vine_call(write_some, &self->size);
        vine_writef("\r\n0\r\n\r\n");
    } else if (strstr(self->path, " /hints ") != NULL) {
        vine_writef("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    } else if (strstr(self->path, " /silent ") != NULL) {
        while (!vine_is_draining())
            vine_sleep(VINE_NS_PER_SECOND / 50);
    } else if (strstr(self->path, " /nonsense ") != NULL) {
        vine_writef("220 this is no HTTP\r\n");
    } else {
        self->length = snprintf(self->answer, sizeof self->answer, "%lu bytes, sum %lu\n",
                                self->body.bytes, self->body.sum);
        vine_writef("HTTP/1.1 200 OK\r\nContent-Length: %zd\r\n\r\n%s", self->length, self->answer);
    }
    vine_end();
}

VINE_SERVICE(origin, .summary = "answers as paths say");
