/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Which route a request takes. */
#include "http_tests.h"

#include <vine/http_router.h>
#include <vine/http_writer.h>

enum { ROOT, USERS, USER, ME, POSTS, FILES, EDIT, ANY };

static const struct vine_http_route routes[] = {
    {VINE_HTTP_ON(GET), ROOT, "/"},
    {VINE_HTTP_ON(GET) | VINE_HTTP_ON(POST), USERS, "/users"},
    {VINE_HTTP_ON(GET), ME, "/users/me"},
    {VINE_HTTP_ON(GET) | VINE_HTTP_ON(DELETE), USER, "/users/:id"},
    {VINE_HTTP_ON(PUT), EDIT, "/users/:id"},
    {VINE_HTTP_ON(GET), POSTS, "/users/:id/posts/:post"},
    {VINE_HTTP_ON(GET), FILES, "/files/*path"},
};

static unsigned route(struct vine_http_match *match, enum vine_http_method method, const char *path)
{
    char *const copy = exactly(path, strlen(path));
    const unsigned status = vine_http_route(routes, COUNT(routes), method,
                                            (struct vine_http_slice){copy, strlen(path)}, match);

    for (size_t i = 0; i < match->parameter_count; i++)
        match->parameters[i].text = path + (match->parameters[i].text - copy);
    free(copy);
    return status;
}

static void what_no_pattern_is_like_is_not_found(void **state)
{
    static const char *const paths[] = {
        "/user",           "/userss",    "/users/", "/users//posts/", "/users/1/posts",
        "/users/1/posts/", "/users/1/2", "/Users",  "//users",        "/users/1/posts/2/3",
        "/file",           "/files",     "/user%",  "/user%7",        "/users%2f1",
        "/us\xffrs"};

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct vine_http_match match;

        if (route(&match, VINE_HTTP_GET, paths[i]) != 404)
            fail_msg("found: %s", paths[i]);
        assert_null(match.route);
        assert_int_equal(match.allowed, 0);
        assert_text(vine_http_parameter(&match, "id"), "");
    }
}

static void other_methods_are_told_which_there_are(void **state)
{
    struct vine_http_match match;
    struct vine_http_writer writer;
    char bytes[128];

    (void)state;
    assert_int_equal(route(&match, VINE_HTTP_POST, "/users/7"), 405);
    assert_null(match.route);
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_allow(&writer, match.allowed);
    assert_text((struct vine_http_slice){bytes, writer.size}, "Allow: GET, HEAD, PUT, DELETE\r\n");
    assert_int_equal(route(&match, VINE_HTTP_OTHER, "/users/7"), 501);
    assert_int_equal(route(&match, VINE_HTTP_OTHER, "/nowhere"), 501);
    vine_http_writer_init(&writer, bytes, sizeof(bytes));
    vine_http_write_allow(&writer, VINE_HTTP_ANY_METHODS);
    assert_text((struct vine_http_slice){bytes, writer.size},
                "Allow: GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH\r\n");
}

static void the_first_route_that_is_like_it_is_taken(void **state)
{
    static const struct {
        enum vine_http_method method;
        const char *path;
        int id;
    } rows[] = {
        {VINE_HTTP_GET, "/", ROOT},          {VINE_HTTP_GET, "", ROOT},
        {VINE_HTTP_HEAD, "/", ROOT},         {VINE_HTTP_POST, "/users", USERS},
        {VINE_HTTP_GET, "/users/me", ME},    {VINE_HTTP_GET, "/users/%6de", ME},
        {VINE_HTTP_GET, "/users/you", USER}, {VINE_HTTP_DELETE, "/users/me", USER},
        {VINE_HTTP_PUT, "/users/me", EDIT},  {VINE_HTTP_GET, "/users/1/posts/2", POSTS},
        {VINE_HTTP_GET, "/files/", FILES},   {VINE_HTTP_GET, "/files/a/b/", FILES},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct vine_http_match match;

        if (route(&match, rows[i].method, rows[i].path) != 200 || match.route->id != rows[i].id)
            fail_msg("%s", rows[i].path);
    }
}

static void parameters_are_found_by_name_as_they_came(void **state)
{
    struct vine_http_match match;

    (void)state;
    assert_int_equal(route(&match, VINE_HTTP_GET, "/users/a%2fb/posts/%"), 200);
    assert_int_equal(match.parameter_count, 2);
    assert_text(vine_http_parameter(&match, "id"), "a%2fb");
    assert_text(vine_http_parameter(&match, "post"), "%");
    assert_text(vine_http_parameter(&match, "other"), "");
    assert_text(vine_http_parameter(&match, "i"), "");
    assert_int_equal(route(&match, VINE_HTTP_GET, "/files/a/b?"), 200);
    assert_text(vine_http_parameter(&match, "path"), "a/b?");
    assert_int_equal(route(&match, VINE_HTTP_GET, "/files/"), 200);
    assert_text(vine_http_parameter(&match, "path"), "");
}

static void any_method_takes_unknown_ones_too(void **state)
{
    static const struct vine_http_route any[] = {{VINE_HTTP_ANY_METHODS, ANY, "/*"}};
    struct vine_http_match match;

    (void)state;
    assert_int_equal(vine_http_route(any, 1, VINE_HTTP_OTHER, slice_of("/a/b"), &match), 200);
    assert_text(vine_http_parameter(&match, ""), "a/b");
}

static void more_parameters_than_there_is_room_for_match_nothing(void **state)
{
    static const struct vine_http_route many[] = {
        {VINE_HTTP_ON(GET), 0, "/:a/:b/:c/:d/:e/:f/:g/:h"},
        {VINE_HTTP_ON(GET), 1, "/:a/:b/:c/:d/:e/:f/:g/:h/:i"},
    };
    struct vine_http_match match;

    (void)state;
    assert_int_equal(vine_http_route(many, 2, VINE_HTTP_GET, slice_of("/1/2/3/4/5/6/7/8"), &match),
                     200);
    assert_text(vine_http_parameter(&match, "h"), "8");
    assert_int_equal(
        vine_http_route(many, 2, VINE_HTTP_GET, slice_of("/1/2/3/4/5/6/7/8/9"), &match), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_pattern_is_like_is_not_found),
        cmocka_unit_test(other_methods_are_told_which_there_are),
        cmocka_unit_test(the_first_route_that_is_like_it_is_taken),
        cmocka_unit_test(parameters_are_found_by_name_as_they_came),
        cmocka_unit_test(any_method_takes_unknown_ones_too),
        cmocka_unit_test(more_parameters_than_there_is_room_for_match_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
