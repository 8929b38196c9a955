/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * What a person says of the VM server, and what is wrong with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/folder.h"
#include "vmm/server/server_conf.h"
#include "vmm/server/state_file.h"

static int parse(const char *text, struct vine__server_conf *ret_conf,
                 struct vine__problem *problem)
{
    *problem = (struct vine__problem){0};
    return vine__server_conf_parse("f", text, strlen(text), ret_conf, problem);
}

static void what_is_absent_has_its_fallback(void **state)
{
    struct vine__server_conf conf;
    struct vine__problem problem;

    (void)state;
    assert_int_equal(parse("{\"version\": 1}", &conf, &problem), 0);
    assert_int_equal(conf.pool_count, 0);
    assert_string_equal(conf.console_links, "/tmp");
    assert_string_equal(conf.user, "nobody");
    assert_null(conf.group);
    assert_null(conf.qemu);
    assert_int_equal(conf.accelerator, VINE__SERVER_ACCELERATOR_AUTO);
    assert_int_equal(conf.log_bytes, 1 << 20);
    assert_false(conf.mounts_pools);
    assert_int_equal(conf.connections_max, 64);
    vine__server_conf_fini(&conf);
}

static void what_is_there_is_delivered(void **state)
{
    struct vine__server_conf conf;
    struct vine__problem problem;

    (void)state;
    assert_int_equal(parse("{\"version\": 1, \"pools\": [\"/p/one\", \"/p/two\"], "
                           "\"console_links\": \"runtime\", \"accelerator\": \"tcg\", "
                           "\"user\": \"qemu\", \"group\": \"36\", \"qemu\": \"/q\", "
                           "\"log_size\": \"64K\", \"mount_pools\": true, \"connections\": 4096}",
                           &conf, &problem),
                     0);
    assert_int_equal(conf.pool_count, 2);
    assert_string_equal(conf.pools[1], "/p/two");
    assert_null(conf.console_links);
    assert_int_equal(conf.accelerator, VINE__SERVER_ACCELERATOR_TCG);
    assert_string_equal(conf.user, "qemu");
    assert_string_equal(conf.group, "36");
    assert_string_equal(conf.qemu, "/q");
    assert_int_equal(conf.log_bytes, 64 << 10);
    assert_true(conf.mounts_pools);
    assert_int_equal(conf.connections_max, 4096);
    vine__server_conf_fini(&conf);
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const char *const wrong[][2] = {
        {"[]", "f: this is no JSON object"},
        {"{}", "f: version: is 0"},
        {"{\"version\": 1, \"version\": 1}", "duplicate object key"},
        {"{\"version\": 1, \"pool\": []}", "f: \"pool\" is not known here"},
        {"{\"version\": 1, \"pools\": [\"demo\"]}", "f: pools: [0] is no absolute path"},
        {"{\"version\": 1, \"pools\": [\"/p/.demo\"]}", "f: pools: [0] is no absolute path"},
        {"{\"version\": 1, \"pools\": [\"/p/a\", \"/p/a\"]}", "f: pools: \"/p/a\" is there twice"},
        {"{\"version\": 1, \"pools\": [\"/p: q/demo\"]}", "f: pools: [0] is no absolute path"},
        {"{\"version\": 1, \"pools\": [\"/p/de; mo\"]}", "f: pools: [0] is no absolute path"},
        {"{\"version\": 1, \"qemu\": \"/q; r/qemu\"}", "f: qemu: a path here has neither"},
        {"{\"version\": 1, \"console_links\": \"/c: d\"}", "f: console_links: a path here has"},
        {"{\"version\": 1, \"console_links\": \"here\"}", "f: console_links: is neither"},
        {"{\"version\": 1, \"accelerator\": \"xen\"}", "f: accelerator: is none of"},
        {"{\"version\": 1, \"user\": 7}", "f: user: is no text"},
        {"{\"version\": 1, \"mount_pools\": \"/mnt\"}",
         "f: mount_pools: is neither true nor false"},
        {"{\"version\": 1, \"connections\": 0}", "f: connections: is from 1 to 4096"},
        {"{\"version\": 1, \"connections\": 4097}", "f: connections: is no number from 0 to 4096"},
        {"{\"version\": 1, \"log_size\": 1}", "f: log_size: is from 4K to 1G"},
    };
    struct vine__server_conf conf;
    struct vine__problem problem;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse(wrong[i][0], &conf, &problem), -EINVAL);
        if (strstr(problem.text, wrong[i][1]) == NULL)
            fail_msg("%s: %s", wrong[i][0], problem.text);
    }
}

static void a_file_that_is_not_there_says_nothing_and_a_bad_one_is_named(void **state)
{
    char folder[] = "/tmp/vine-conf-XXXXXX";
    struct vine__server_conf conf;
    struct vine__problem problem = {0};
    char path[64];

    (void)state;
    assert_int_equal(folder_make(folder), 0);
    (void)snprintf(path, sizeof(path), "%s/server.conf", folder);
    assert_int_equal(vine__server_conf_load(path, &conf, &problem), 0);
    assert_string_equal(conf.console_links, "/tmp");
    vine__server_conf_fini(&conf);
    assert_int_equal(vine__state_file_replace(path, "{", 1), 0);
    assert_int_equal(vine__server_conf_load(path, &conf, &problem), -EINVAL);
    assert_ptr_equal(strstr(problem.text, path), problem.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_absent_has_its_fallback),
        cmocka_unit_test(what_is_there_is_delivered),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(a_file_that_is_not_there_says_nothing_and_a_bad_one_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
