/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: patterns of paths, one part after the other. */
#include <vine/http_router.h>
#include <vine/http_writer.h>

#include "http_internal.h"

/* The part that `text` begins with, and the '/' behind it if there is one, are taken. */
VINE__INSIDE static struct vine_http_slice take_part(struct vine_http_slice *text)
{
    const char *const slash = text->size > 0 ? memchr(text->text, '/', text->size) : NULL;
    const size_t size = slash == NULL ? text->size : (size_t)(slash - text->text);
    const struct vine_http_slice part = {text->text, size};
    const size_t used = slash == NULL ? size : size + 1;

    text->text += used;
    text->size -= used;
    return part;
}

/* Whether a part of a path is the same as one of a pattern when its escapes are undone. */
VINE__INSIDE static bool same_part(struct vine_http_slice pattern, struct vine_http_slice part)
{
    size_t at = 0;

    for (size_t i = 0; i < pattern.size; i++, at++) {
        unsigned byte;

        if (at == part.size)
            return false;
        byte = (unsigned char)part.text[at];
        if (byte == '%') {
            if (part.size - at < 3)
                return false;
            byte = vine__http_hex(part.text[at + 1]) << 4 | vine__http_hex(part.text[at + 2]);
            at += 2;
        }
        if (byte != (unsigned char)pattern.text[i])
            return false;
    }
    return at == part.size;
}

VINE__INSIDE static bool keep(struct vine_http_match *match, struct vine_http_slice text)
{
    if (match->parameter_count == VINE_HTTP_PARAMETERS_MAX)
        return false;
    match->parameters[match->parameter_count++] = text;
    return true;
}

/* Both are behind their first '/'. That one more part follows is what a '/' says, so that "/a" and
 * "/a/" are two paths. */
VINE__INSIDE static bool matches(struct vine_http_slice pattern, struct vine_http_slice path,
                                 struct vine_http_match *match)
{
    match->parameter_count = 0;
    for (;;) {
        const struct vine_http_slice pattern_left = pattern, path_left = path;
        const struct vine_http_slice expected = take_part(&pattern);

        if (expected.size > 0 && expected.text[0] == '*')
            return keep(match, path_left);
        const struct vine_http_slice part = take_part(&path);

        if (expected.size > 0 && expected.text[0] == ':') {
            if (part.size == 0 || !keep(match, part))
                return false;
        } else if (!same_part(expected, part)) {
            return false;
        }
        const bool more_pattern = expected.size < pattern_left.size;
        const bool more_path = part.size < path_left.size;

        if (more_pattern != more_path)
            return false;
        if (!more_path)
            return true;
    }
}

VINE__INSIDE unsigned vine_http_route(const struct vine_http_route *routes, size_t route_count,
                                      enum vine_http_method method, struct vine_http_slice path,
                                      struct vine_http_match *ret_match)
{
    const unsigned wanted = 1U << method;
    struct vine_http_match match = {.route = NULL};
    unsigned allowed = 0, known = 0;

    if (path.size > 0 && path.text[0] == '/') {
        path.text++;
        path.size--;
    }
    for (size_t i = 0; i < route_count; i++) {
        unsigned methods = routes[i].methods;

        methods |= (methods & VINE_HTTP_ON(GET)) != 0 ? VINE_HTTP_ON(HEAD) : 0U;
        known |= methods;
        VINE__INSIDE_CHECK(routes[i].pattern[0] == '/');
        if (!matches(vine_http_slice(routes[i].pattern + 1), path, &match))
            continue;
        allowed |= methods;
        if ((methods & wanted) != 0) {
            match.route = &routes[i];
            break;
        }
    }
    match.allowed = (uint16_t)allowed;
    if (match.route == NULL)
        match.parameter_count = 0;
    *ret_match = match;
    if (match.route != NULL)
        return 200;
    if (method == VINE_HTTP_OTHER && (known & wanted) == 0)
        return 501;
    return allowed == 0 ? 404 : 405;
}

VINE__INSIDE struct vine_http_slice vine_http_parameter(const struct vine_http_match *match,
                                                        const char *name)
{
    struct vine_http_slice pattern = {"", 0};
    size_t index = 0;

    if (match->route != NULL)
        pattern = vine_http_slice(match->route->pattern + 1);
    while (pattern.size > 0 && index < match->parameter_count) {
        struct vine_http_slice part = take_part(&pattern);

        if (part.size == 0 || (part.text[0] != ':' && part.text[0] != '*'))
            continue;
        part.text++;
        part.size--;
        if (part.size == strlen(name) && memcmp(part.text, name, part.size) == 0)
            return match->parameters[index];
        index++;
    }
    return (struct vine_http_slice){"", 0};
}

/* Names of methods have seven letters at most. */
#define ALLOW_MAX (VINE_HTTP_METHOD_COUNT * 9u)

VINE__INSIDE void vine_http_write_allow(struct vine_http_writer *writer, uint16_t allowed)
{
    char text[ALLOW_MAX];
    size_t size = 0;

    for (unsigned method = VINE_HTTP_OTHER + 1; method < VINE_HTTP_METHOD_COUNT; method++) {
        const char *const name = vine_http_method_name(method);

        if ((allowed >> method & 1) == 0)
            continue;
        if (size > 0) {
            text[size++] = ',';
            text[size++] = ' ';
        }
        memcpy(text + size, name, strlen(name));
        size += strlen(name);
    }
    vine_http_write_field(writer, "Allow", (struct vine_http_slice){text, size});
}
