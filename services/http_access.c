/* SPDX-License-Identifier: Apache-2.0 */
/* services/http_access.c - a request and its answer as a line of the access log. */

#include "http_access.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define METHOD_BYTES 32U
#define TARGET_BYTES 512U /* of the line that the target takes at most, and each field: */
#define FIELD_BYTES  192U

/* With quotation marks, blanks and the version: what is cut ends its quotation, too. */
_Static_assert(METHOD_BYTES + TARGET_BYTES + 2 * FIELD_BYTES + 24 <= HTTP_ACCESS_BYTES,
               "all words of a line have room");

VINE_SERVICE_CODE static void put(struct http_access *access, const char *text, size_t size)
{
    const size_t room = sizeof(access->text) - access->all_bytes;

    if (size > room)
        size = room;
    memcpy(access->text + access->all_bytes, text, size);
    access->all_bytes = (uint16_t)(access->all_bytes + size);
}

/* What a client said, without what would end the quotation: at most so much of the line. */
VINE_SERVICE_CODE static void put_quoted(struct http_access *access, struct vine_http_slice slice,
                                         size_t most)
{
    for (size_t i = 0; i < slice.size; i++) {
        const bool is_quote = slice.text[i] == '"';
        const bool is_escaped = is_quote || slice.text[i] == '\\';
        const size_t size = is_escaped ? 4 : 1;

        if (size > most)
            break;
        most -= size;
        put(access, is_quote ? "\\x22" : is_escaped ? "\\x5c" : &slice.text[i], size);
    }
}

VINE_SERVICE_CODE static void put_field(struct http_access *access,
                                        const struct vine_http_request *request,
                                        enum vine_http_field_id id)
{
    struct vine_http_slice value;

    put(access, " \"", 2);
    if (vine_http_value(&request->head, id, &value))
        put_quoted(access, value, FIELD_BYTES);
    else
        put(access, "-", 1);
    put(access, "\"", 1);
}

VINE_SERVICE_CODE void http_access_note(struct http_access *access,
                                        const struct vine_http_request *request)
{
    access->all_bytes = 0;
    put(access, "\"", 1);
    put_quoted(access, vine_http_text(&request->head, request->method_name), METHOD_BYTES);
    put(access, " ", 1);
    put_quoted(access, vine_http_text(&request->head, request->target), TARGET_BYTES);
    put(access, request->minor == 0 ? " HTTP/1.0\"" : " HTTP/1.1\"", 10);
    access->line_bytes = access->all_bytes;
    put_field(access, request, VINE_HTTP_FIELD_REFERER);
    put_field(access, request, VINE_HTTP_FIELD_USER_AGENT);
}

/* How long the body is, as the answer's head says; 0 if it does not. */
VINE_SERVICE_CODE static uint64_t length_of(const char *head, size_t size)
{
    static const char name[] = "\r\nContent-Length: ";
    const char *const end = memmem(head, size, "\r\n\r\n", 4);
    const char *const field =
        end != NULL ? memmem(head, (size_t)(end - head), name, sizeof(name) - 1) : NULL;
    uint64_t length = 0;

    for (const char *at = field != NULL ? field + sizeof(name) - 1 : end;
         at != end && *at >= '0' && *at <= '9'; at++)
        length = length * 10 + (uint64_t)(*at - '0');
    return length;
}

VINE_SERVICE_CODE void http_access_tell(const struct vine_coroutine *that,
                                        const struct http_access *access, const char *head,
                                        size_t size)
{
    static const char unknown[] = "\"-\" \"-\" \"-\"";
    const char *const text = access != NULL ? access->text : unknown;
    const size_t line_bytes = access != NULL ? access->line_bytes : 3;
    const size_t rest_bytes = access != NULL ? (size_t)access->all_bytes - line_bytes : 8;
    char line[HTTP_ACCESS_BYTES + 64];
    const int length =
        size < 12 ? 0
                  : snprintf(line, sizeof(line), "%.*s %.3s %" PRIu64 "%.*s", (int)line_bytes, text,
                             head + 9, length_of(head, size), (int)rest_bytes, text + line_bytes);

    if (length > 0)
        vine_access(line, (size_t)length);
}
