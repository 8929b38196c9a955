/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Paths, queries and types of files. */
#include "http_tests.h"

#include <errno.h>

#include <vine/http_resource.h>

#define ROOM 64u

/* Into memory of just so many bytes. */
static int path_of(const char *text, size_t size, unsigned flags, char *out, size_t size_max)
{
    char *const memory = malloc(size_max > 0 ? size_max : 1);
    char *const copy = exactly(text, size);
    int result;

    assert_non_null(memory);
    result = vine_http_path((struct vine_http_slice){copy, size}, flags, memory, size_max);
    if (result >= 0) {
        assert_true((size_t)result < size_max);
        assert_int_equal(memory[result], '\0');
        memcpy(out, memory, (size_t)result + 1);
    }
    free(copy);
    free(memory);
    return result;
}

static void paths_that_are_none_or_lead_elsewhere_are_refused(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        int error;
    } rows[] = {
        {BYTES("a"), -EINVAL},
        {BYTES("*"), -EINVAL},
        {BYTES("/a\0b"), -EINVAL},
        {BYTES("/a%00b"), -EINVAL},
        {BYTES("/a%00"), -EINVAL},
        {BYTES("/%0a"), -EINVAL},
        {BYTES("/%7f"), -EINVAL},
        {BYTES("/%"), -EINVAL},
        {BYTES("/%4"), -EINVAL},
        {BYTES("/%4g"), -EINVAL},
        {BYTES("/%g4"), -EINVAL},
        {BYTES("/%%41"), -EINVAL},
        {BYTES("/a%2fb"), -EINVAL},
        {BYTES("/a%2Fb"), -EINVAL},
        {BYTES("/.."), -EINVAL},
        {BYTES("/../etc/passwd"), -EINVAL},
        {BYTES("/a/../../b"), -EINVAL},
        {BYTES("/a/./.././../b"), -EINVAL},
        {BYTES("/%2e%2e/b"), -EINVAL},
        {BYTES("/.%2e/b"), -EINVAL},
        {BYTES("/a/%2E%2E/%2e./b"), -EINVAL},
        {BYTES("//../b"), -EINVAL},
        {BYTES("/.git/config"), -EACCES},
        {BYTES("/a/.b"), -EACCES},
        {BYTES("/..."), -EACCES},
        {BYTES("/%2egit"), -EACCES},
        {BYTES("/..%00"), -EINVAL},
        {BYTES("/0123456789012345678901234567890123456789012345678901234567890123"), -ENAMETOOLONG},
    };
    char out[ROOM] = "untouched";

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const int result = path_of(rows[i].text, rows[i].size, 0, out, ROOM);

        if (result != rows[i].error)
            fail_msg("%s: %d", rows[i].text, result);
    }
    assert_string_equal(out, "untouched");
    assert_int_equal(path_of(BYTES("/"), 0, out, 0), -ENAMETOOLONG);
    assert_int_equal(path_of(BYTES("/"), 0, out, 1), -ENAMETOOLONG);
    assert_int_equal(path_of(BYTES("/ab"), 0, out, 2), -ENAMETOOLONG);
}

static void paths_become_those_of_files(void **state)
{
    static const struct {
        const char *text;
        unsigned flags;
        const char *expected;
    } rows[] = {
        {"", 0, "."},
        {"/", 0, "."},
        {"//", 0, "."},
        {"/./", 0, "."},
        {"/a", 0, "a"},
        {"/a/", 0, "a/"},
        {"/a/b.c", 0, "a/b.c"},
        {"/a//b", 0, "a/b"},
        {"//a///b//", 0, "a/b/"},
        {"/a/./b/.", 0, "a/b/"},
        {"/a/b/..", 0, "a/"},
        {"/a/b/../..", 0, "."},
        {"/a/../b", 0, "b"},
        {"/aa/bb/../cc", 0, "aa/cc"},
        {"/a/%2e%2e/b", 0, "b"},
        {"/%61%2E%62", 0, "a.b"},
        {"/a%20b+c", 0, "a b+c"},
        {"/%c3%a9\xff", 0, "\xc3\xa9\xff"},
        {"/a%5cb", 0, "a\\b"},
        /* RFC 3986 2.4: escapes are undone once. */
        {"/a%252fb", 0, "a%2fb"},
        {"/%252e%252e/", 0, "%2e%2e/"},
        {"/a..b/c..", 0, "a..b/c.."},
        {"/a%2fb", VINE_HTTP_PATH_SLASHES, "a/b"},
        {"/a%2f%2e%2e%2fb", VINE_HTTP_PATH_SLASHES, "b"},
        {"/.well-known/x", VINE_HTTP_PATH_HIDDEN, ".well-known/x"},
        {"/.../a", VINE_HTTP_PATH_HIDDEN, ".../a"},
    };
    char out[ROOM];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t size = strlen(rows[i].text);

        if (path_of(rows[i].text, size, rows[i].flags, out, ROOM) < 0)
            fail_msg("%s is refused", rows[i].text);
        assert_string_equal(out, rows[i].expected);
    }
    assert_int_equal(path_of(BYTES("/a/b"), 0, out, 4), 3);
    assert_int_equal(path_of(BYTES("/a/"), 0, out, 3), 2);
    assert_int_equal(path_of(BYTES("/"), VINE_HTTP_PATH_SLASHES, out, 2), 1);
}

/* Whatever comes: no part of what is handed out is empty, "." or "..", and none is hidden. */
static void no_path_of_chance_leaves_its_folder(void **state)
{
    static const char letters[] = "////..%%22eEfF05ca";
    uint64_t seed = 0x2545f4914f6cdd1d;
    int taken = 0;

    (void)state;
    for (int run = 0; run < 200000; run++) {
        char text[16] = "/", out[ROOM];
        const size_t size = 1 + chance(&seed) % 15;
        const unsigned flags = (unsigned)chance(&seed) & 3;

        for (size_t i = 1; i < size; i++)
            text[i] = letters[chance(&seed) % (sizeof(letters) - 1)];
        const int result =
            vine_http_path((struct vine_http_slice){text, size}, flags, out, sizeof(out));

        if (result < 0 || strcmp(out, ".") == 0)
            continue;
        taken++;
        assert_int_equal(strlen(out), result);
        char *part = out;

        for (char *end; (end = strchr(part, '/')) != NULL; part = end + 1) {
            *end = '\0';
            assert_true(part[0] != '\0' && strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
            assert_true(part[0] != '.' || (flags & VINE_HTTP_PATH_HIDDEN) != 0);
        }
        assert_true(strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
    }
    assert_true(taken > 10000);
}

static void escapes_are_undone(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(vine_http_unescape(slice_of("%"), false, out, 8), -EINVAL);
    assert_int_equal(vine_http_unescape(slice_of("a%4"), false, out, 8), -EINVAL);
    assert_int_equal(vine_http_unescape(slice_of("%zz"), false, out, 8), -EINVAL);
    assert_int_equal(vine_http_unescape(slice_of("123456789"), false, out, 8), -ENOSPC);
    assert_int_equal(vine_http_unescape(slice_of("a+b%2B%00"), true, out, 8), 5);
    assert_memory_equal(out, "a b+\0", 5);
    assert_int_equal(vine_http_unescape(slice_of("a+b"), false, out, 3), 3);
    assert_memory_equal(out, "a+b", 3);
    assert_int_equal(vine_http_unescape(slice_of(""), false, out, 0), 0);
}

static void queries_are_taken_apart(void **state)
{
    static const char *const pairs[][2] = {{"a", "1"}, {"b", ""},    {"c", ""},
                                           {"", "d"},  {"e", "f=g"}, {"%26", "h"}};
    struct vine_http_slice rest = slice_of("&a=1&&b=&c&=d&e=f=g&%26=h&"), name, value;

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        assert_true(vine_http_query_next(&rest, &name, &value));
        assert_text(name, pairs[i][0]);
        assert_text(value, pairs[i][1]);
    }
    assert_false(vine_http_query_next(&rest, &name, &value));
    rest = slice_of("");
    assert_false(vine_http_query_next(&rest, &name, &value));
}

static void types_follow_from_the_ends_of_names(void **state)
{
    static const char *const rows[][2] = {
        {"index.html", "text/html; charset=utf-8"},
        {"a/b.c/INDEX.HTML", "text/html; charset=utf-8"},
        {"a.tar.gz", "application/gzip"},
        {"x.webmanifest", "application/manifest+json"},
        {"x.js", "text/javascript; charset=utf-8"},
        {"html", "application/octet-stream"},
        {"a.html/b", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"", "application/octet-stream"},
        {".", "application/octet-stream"},
        {"a.verylongextension", "application/octet-stream"},
        {"a.htmlx", "application/octet-stream"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(vine_http_content_type(slice_of(rows[i][0])), rows[i][1]);
#define FOUND(extension, type)                                                                     \
    assert_string_equal(vine_http_content_type(slice_of("x." extension)), type);
    VINE_HTTP_CONTENT_TYPES(FOUND)
#undef FOUND
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_are_none_or_lead_elsewhere_are_refused),
        cmocka_unit_test(paths_become_those_of_files),
        cmocka_unit_test(no_path_of_chance_leaves_its_folder),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(queries_are_taken_apart),
        cmocka_unit_test(types_follow_from_the_ends_of_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
