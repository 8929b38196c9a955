/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=pool */
/*
 * What the files of a pool may say, and what is said of those that say something else.
 */
#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/pool/configuration.h"
#include "vmm/pool/names.h"
#include "vmm/pool/roll.h"
#include "vmm/pool/settings.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_pools_name_is_ascii_without_slash_and_two_dots(void **state)
{
    static const char *const good[] = {"a", "farm", "my farm", "a.b", "A_1-x", "~!#"};
    static const char *const bad[] = {"",   ".",  "..",  "a/b",  "/",           "a..b",
                                      "-x", ".x", "a\n", "\x7f", "gr\xc3\xbcn", "a\x01"};
    char longest[VINE__POOL_NAME_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(vine__pool_is_name(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(vine__pool_is_name(bad[i]));
    memset(longest, 'a', sizeof(longest));
    longest[VINE__POOL_NAME_BYTES] = '\0';
    assert_false(vine__pool_is_name(longest));
    longest[VINE__POOL_NAME_BYTES - 1] = '\0';
    assert_true(vine__pool_is_name(longest));
}

static void a_vms_name_can_be_a_folders(void **state)
{
    static const char *const good[] = {"a", "zip", "a.b", "bob..", "...", "A_1-x"};
    static const char *const bad[] = {"", ".", "..", "a/b", "a b", "a\n", "gr\xc3\xbcn"};

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(vine__vm_is_name(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(vine__vm_is_name(bad[i]));
    /* One that is taken for an option stays a name, and is none to be given. */
    assert_true(vine__vm_is_name("-x") && !vine__vm_is_new_name("-x"));
    assert_true(vine__vm_is_new_name("x-") && !vine__vm_is_new_name(".."));
}

static void the_hash_of_a_name_never_changes(void **state)
{
    /* The published vectors of FNV-1a with 64 bits, and names that meet. */
    static const char *const names[][2] = {{"", "cbf29ce484222325"},
                                           {"a", "af63dc4c8601ec8c"},
                                           {"foobar", "85944171f73967e8"},
                                           {"zip", "ce4e0a19876f9b74"},
                                           {"8yn0iYCKYHlIj4-BwPqk", "4eac0c95540867e4"},
                                           {"GReLUrM4wMqfg9yzV3KQ", "4eac0c95540867e4"}};
    char hash[VINE__VM_HASH_BYTES], path[VINE__POOL_PATH_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        vine__vm_hash(names[i][0], hash);
        assert_string_equal(hash, names[i][1]);
    }
    vine__vm_hash("zip", hash);
    vine__vm_path(hash, VINE__VM_CONFIGURATION, NULL, path);
    assert_string_equal(path, "ce4e0a19876f9b74_vmcfg.cfg");
    vine__vm_path(hash, VINE__VM_KERNEL, NULL, path);
    assert_string_equal(path, "kernels/ce4e0a19876f9b74.vmLinuz");
    vine__vm_path(hash, VINE__VM_INITRD, NULL, path);
    assert_string_equal(path, "kernels/ce4e0a19876f9b74.initrd.img");
    vine__vm_path(hash, VINE__VM_DISK, "root", path);
    assert_string_equal(path, "blocks/ce4e0a19876f9b74.root.img");
}

static int parse(const char *text, struct vine__vm_configuration *configuration,
                 struct vine__problem *problem)
{
    *problem = (struct vine__problem){.text = ""};
    return vine__vm_configuration_parse("f", text, strlen(text), configuration, problem);
}

static void a_configuration_has_defaults_and_starts_by_itself_never(void **state)
{
    struct vine__vm_configuration configuration;
    struct vine__problem problem;

    (void)state;
    assert_int_equal(parse("{\"version\": 1, \"name\": \"a\"}", &configuration, &problem), 0);
    assert_int_equal(configuration.memory_bytes, 256 << 20);
    assert_int_equal(configuration.cpu_count, 1);
    assert_int_equal(configuration.autostart, VINE__VM_AUTOSTART_NEVER);
    assert_int_equal(configuration.restart, VINE__VM_RESTART_NEVER);
    vine__vm_configuration_fini(&configuration);
    assert_int_equal(parse("{\"version\": 1, \"name\": \"a\", \"links\": [{\"appliance\": \"b\"}]}",
                           &configuration, &problem),
                     0);
    assert_int_equal(configuration.links[0].channels, 0);
    vine__vm_configuration_fini(&configuration);
    assert_int_equal(
        parse("{\"version\": 1, \"name\": \"a\", \"memory\": \"1G\", \"processors\": 4,"
              " \"kernel_options\": [\"quiet\"], \"disks\": [{\"name\": \"root\"},"
              " {\"name\": \"data\", \"read_only\": true}],"
              " \"links\": [{\"appliance\": \"zip\", \"size\": \"64M\", \"channels\": 4,"
              "   \"serial\": true}],"
              " \"limits\": {\"memory\": \"2G\", \"cpu_percent\": 150}, \"autostart\": "
              "\"as_before\", \"restart\": \"on_failure\", \"accelerator_groups\": [\"gpu\"]}",
              &configuration, &problem),
        0);
    assert_int_equal(configuration.disk_count, 2);
    assert_true(configuration.disks[1].is_read_only);
    assert_string_equal(configuration.links[0].name, "zip");
    assert_string_equal(configuration.links[0].application, "a");
    assert_int_equal(configuration.links[0].channels, 4);
    assert_false(configuration.links[0].has_network);
    assert_true(configuration.links[0].has_serial);
    assert_int_equal(configuration.links[0].size_bytes, 64 << 20);
    assert_int_equal(configuration.limits.cpu_percent, 150);
    assert_int_equal(configuration.autostart, VINE__VM_AUTOSTART_AS_BEFORE);
    assert_int_equal(configuration.restart, VINE__VM_RESTART_ON_FAILURE);
    assert_string_equal(configuration.accelerator_groups[0], "gpu");
    vine__vm_configuration_fini(&configuration);
}

static void what_is_wrong_with_a_configuration_is_said_with_its_place(void **state)
{
    static const char *const wrong[][2] = {
        {"{", "f:1:"},
        {"[]", "f: this is no JSON object"},
        {"{\"version\": 1, \"version\": 1}", "duplicate object key"},
        {"{}", "f: version: is 0, and this program knows 1"},
        {"{\"version\": 2}", "f: version: is 2"},
        {"{\"version\": 1}", "f: name: is missing"},
        {"{\"version\": 1, \"name\": 7}", "f: name: is no text"},
        {"{\"version\": 1, \"name\": \"a/b\"}", "f: name: a name is 1 to 31"},
        {"{\"version\": 1, \"name\": \"a\", \"memroy\": 1}", "f: \"memroy\" is not known here"},
        {"{\"version\": 1, \"name\": \"a\", \"memory\": \"lots\"}", "f: memory: is no size"},
        {"{\"version\": 1, \"name\": \"a\", \"memory\": \"64M\"}", "f: memory: is whole MiB"},
        {"{\"version\": 1, \"name\": \"a\", \"processors\": 0}", "f: processors: is 1 to 255"},
        {"{\"version\": 1, \"name\": \"a\", \"kernel_options\": [\"a b\"]}",
         "f: kernel_options: [0] is no word"},
        {"{\"version\": 1, \"name\": \"a\", \"disks\": [{\"name\": \"x\"}, {\"name\": \"x\"}]}",
         "f: disks[1].name: there are two disks \"x\""},
        {"{\"version\": 1, \"name\": \"a\", \"disks\": [{\"name\": \"x\", \"read_only\": 1}]}",
         "f: disks[0].read_only: is neither"},
        {"{\"version\": 1, \"name\": \"a\", \"links\": [{}]}", "f: links[0].appliance: is missing"},
        {"{\"version\": 1, \"name\": \"a\", \"links\": [{\"appliance\": \"a\"}]}",
         "f: links[0].appliance: is the application itself"},
        {"{\"version\": 1, \"name\": \"a\", \"links\": [{\"appliance\": \"b\", \"size\": 5000}]}",
         "f: links[0].size: is a power of two"},
        {"{\"version\": 1, \"name\": \"a\", \"links\": [{\"appliance\": \"b\", \"channels\": 0}]}",
         "f: links[0].channels: is 1 to 64"},
        {"{\"version\": 1, \"name\": \"a\", \"limits\": {\"memory\": \"128M\"}}",
         "f: limits.memory: leaves QEMU nothing"},
        {"{\"version\": 1, \"name\": \"a\", \"autostart\": true}", "f: autostart: is no text"},
        {"{\"version\": 1, \"name\": \"a\", \"autostart\": \"yes\"}", "f: autostart: is none of"},
        {"{\"version\": 1, \"name\": \"a\", \"restart\": \"often\"}", "f: restart: is none of"},
        {"{\"version\": 1, \"name\": \"a\", \"accelerator_groups\": [1]}",
         "f: accelerator_groups: [0]"},
    };
    struct vine__vm_configuration configuration;
    struct vine__problem problem;

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(parse(wrong[i][0], &configuration, &problem), -EINVAL);
        if (strstr(problem.text, wrong[i][1]) == NULL)
            fail_msg("%s: %s", wrong[i][0], problem.text);
    }
}

static void settings_are_limits_links_and_a_mount_point(void **state)
{
    static const char text[] = "{\"version\": 1, \"mount\": \"/mnt\", \"limits\": {\"vms\": 3,"
                               " \"kernel\": \"1M\"}, \"links\": [{\"application\": \"a\","
                               " \"appliance\": \"b\"}]}";
    static const char relative[] = "{\"version\": 1, \"mount\": \"mnt\"}";
    struct vine__pool_settings settings;
    struct vine__problem problem = {.text = ""};

    (void)state;
    assert_int_equal(vine__pool_settings_parse("f", text, strlen(text), &settings, &problem), 0);
    assert_string_equal(settings.mount_point, "/mnt");
    assert_int_equal(settings.limits.vms, 3);
    assert_int_equal(settings.limits.kernel_bytes, 1 << 20);
    assert_string_equal(settings.links[0].application, "a");
    vine__pool_settings_fini(&settings);
    assert_int_equal(
        vine__pool_settings_parse("f", relative, strlen(relative), &settings, &problem), -EINVAL);
    assert_string_equal(problem.text, "f: mount: is no absolute path");
}

#define UID_1 "00000000000000000000000000000001"
#define UID_2 "00000000000000000000000000000002"

static void an_entry_that_is_bad_leaves_the_others_usable(void **state)
{
    static const char text[] =
        "{\"version\": 1, \"vms\": ["
        "{\"name\": \"zip\", \"uid\": \"" UID_1 "\", \"hash\": \"ce4e0a19876f9b74\","
        " \"kernel\": {\"size\": 5}, \"disks\": {\"root\": {\"size\": 7}}},"
        "{\"name\": \"app\", \"uid\": \"" UID_2 "\", \"hash\": \"ce4e0a19876f9b74\"},"
        "{\"name\": \"a/b\"}, 7]}";
    struct vine__problem problem = {.text = ""};
    struct vine__pool_roll roll;

    (void)state;
    assert_int_equal(vine__pool_roll_parse(text, strlen(text), &roll, &problem), 0);
    assert_int_equal(roll.count, 4);
    assert_int_equal(roll.entries[0].kernel.size_bytes, 5);
    assert_string_equal(roll.entries[0].disks[0].name, "root");
    assert_non_null(strstr(roll.entries[1].problem.text,
                           "vms[1].hash: is not e74fa719056a838c, the hash of \"app\""));
    assert_non_null(strstr(roll.entries[2].problem.text, "vms[2]"));
    assert_non_null(strstr(roll.entries[3].problem.text, "vms[3]: this is no object"));
    vine__pool_roll_fini(&roll);
}

static void of_two_that_claim_one_name_neither_is_usable(void **state)
{
    static const char text[] =
        "{\"version\": 1, \"vms\": ["
        "{\"name\": \"zip\", \"uid\": \"" UID_1 "\", \"hash\": \"ce4e0a19876f9b74\"},"
        "{\"name\": \"zip\", \"uid\": \"" UID_2 "\", \"hash\": \"ce4e0a19876f9b74\"},"
        "{\"name\": \"8yn0iYCKYHlIj4-BwPqk\", \"uid\": \"00000000000000000000000000000003\","
        " \"hash\": \"4eac0c95540867e4\"},"
        "{\"name\": \"GReLUrM4wMqfg9yzV3KQ\", \"uid\": \"00000000000000000000000000000004\","
        " \"hash\": \"4eac0c95540867e4\"},"
        "{\"name\": \"app\", \"uid\": \"" UID_1 "\", \"hash\": \"e74fa719056a838c\"}]}";
    struct vine__problem problem = {.text = ""};
    struct vine__pool_roll roll;

    (void)state;
    assert_int_equal(vine__pool_roll_parse(text, strlen(text), &roll, &problem), 0);
    assert_non_null(strstr(roll.entries[0].problem.text, "vms[0].name"));
    assert_non_null(strstr(roll.entries[1].problem.text, "vms[1].name"));
    assert_non_null(strstr(roll.entries[2].problem.text, "vms[2].hash"));
    assert_non_null(strstr(roll.entries[3].problem.text, "vms[3].hash"));
    assert_non_null(strstr(roll.entries[4].problem.text, "vms[4].uid: is that of vms[0]"));
    vine__pool_roll_fini(&roll);
}

static void what_is_written_is_read_again(void **state)
{
    struct vine__pool_entry entry = {
        .name = "zip", .uid = UID_1, .hash = "ce4e0a19876f9b74", .disk_count = 1};
    struct vine__problem problem = {.text = ""};
    struct vine__pool_roll roll, again;

    (void)state;
    entry.kernel = (struct vine__pool_file){.is_there = true, .size_bytes = UINT64_C(1) << 40};
    entry.disks[0] = (struct vine__pool_disk){.name = "root", .file = entry.kernel};
    assert_int_equal(vine__pool_roll_init(&roll), 0);
    assert_int_equal(vine__pool_roll_put(&roll, &entry), 0);
    assert_int_equal(vine__pool_roll_put(&roll, &entry), 0);
    char *const text = vine__pool_roll_print(&roll);
    assert_int_equal(vine__pool_roll_parse(text, strlen(text), &again, &problem), 0);
    assert_int_equal(again.count, 1);
    assert_memory_equal(&again.entries[0], &entry, sizeof(entry));
    vine__pool_roll_remove(&again, "zip");
    assert_int_equal(again.count, 0);
    assert_null(vine__pool_roll_find(&again, "zip"));
    free(text);
    vine__pool_roll_fini(&roll);
    vine__pool_roll_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pools_name_is_ascii_without_slash_and_two_dots),
        cmocka_unit_test(a_vms_name_can_be_a_folders),
        cmocka_unit_test(the_hash_of_a_name_never_changes),
        cmocka_unit_test(a_configuration_has_defaults_and_starts_by_itself_never),
        cmocka_unit_test(what_is_wrong_with_a_configuration_is_said_with_its_place),
        cmocka_unit_test(settings_are_limits_links_and_a_mount_point),
        cmocka_unit_test(an_entry_that_is_bad_leaves_the_others_usable),
        cmocka_unit_test(of_two_that_claim_one_name_neither_is_usable),
        cmocka_unit_test(what_is_written_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
