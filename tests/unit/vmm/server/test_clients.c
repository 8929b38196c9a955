/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * Clients: what may be said of them, whose VMs are whose, who is admitted, and all of it again out
 * of a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/server/clients.h"

#define UID_1 "9f86d081884c7d659a2feaa0c55ad015"
#define UID_2 "2c26b46b68ffc68ff99b453c1d304134"
#define UID_3 "00000000000000000000000000000000"

static char why[VINE__CLIENTS_WHY_BYTES];

static struct vine__client client_of(const char *name)
{
    struct vine__client client = {
        .mode = 0600,
        .user = VINE__CLIENT_NOBODY,
        .group = VINE__CLIENT_NOBODY,
        .permissions = 7,
        .limits = {.vms = 2, .memory_bytes = 1 << 20, .kernel_bytes = 1000, .disk_bytes = 5},
    };

    (void)snprintf(client.name, sizeof(client.name), "%s", name);
    (void)snprintf(client.path, sizeof(client.path), "/run/vine/%s.sock", name);
    (void)snprintf(client.pool, sizeof(client.pool), "work");
    return client;
}

/* alice with two VMs, bob without. */
static struct vine__clients two_clients(void)
{
    struct vine__clients clients = {.count = 0};
    struct vine__client alice = client_of("alice"), bob = client_of("bob");

    assert_int_equal(vine__clients_add(&clients, &alice, why), 0);
    assert_int_equal(vine__clients_add(&clients, &bob, why), 0);
    assert_int_equal(vine__clients_give(&clients, clients.all[0], UID_1, ""), 0);
    assert_int_equal(vine__clients_give(&clients, clients.all[0], UID_2, ""), 0);
    return clients;
}

static void a_name_and_a_path_are_one_clients(void **state)
{
    struct vine__clients clients = two_clients();
    struct vine__client client = client_of("alice");

    (void)state;
    assert_int_equal(vine__clients_add(&clients, &client, why), -EEXIST);
    assert_string_equal(why, "name: there is a client `alice`");
    memcpy(client.name, "carol", 6);
    assert_int_equal(vine__clients_add(&clients, &client, why), -EEXIST);
    assert_string_equal(why, "path: it is the socket of `alice`");
    assert_int_equal(clients.count, 2);
    vine__clients_fini(&clients);
}

static void a_vm_is_one_clients(void **state)
{
    struct vine__clients clients = two_clients();
    struct vine__client *const alice = vine__clients_find(&clients, "alice");
    struct vine__client *const bob = vine__clients_find(&clients, "bob");

    (void)state;
    assert_int_equal(vine__clients_give(&clients, bob, UID_1, ""), -EEXIST);
    assert_int_equal(vine__clients_give(&clients, alice, UID_3, ""), -ENOSPC);
    assert_int_equal(vine__clients_give(&clients, bob, "not one", ""), -EINVAL);
    assert_ptr_equal(vine__clients_owner(&clients, UID_1), alice);
    assert_null(vine__clients_owner(&clients, UID_3));
    assert_int_equal(vine__clients_take(bob, UID_1), -ENOENT);
    assert_int_equal(vine__clients_take(alice, UID_1), 0);
    assert_int_equal(alice->vm_count, 1);
    assert_string_equal(alice->vms[0].uid, UID_2);
    assert_int_equal(vine__clients_give(&clients, bob, UID_1, ""), 0);
    assert_ptr_equal(vine__clients_owner(&clients, UID_1), bob);
    assert_ptr_equal(vine__clients_detach(&clients, "bob"), bob);
    vine__client_destroy(bob);
    assert_null(vine__clients_detach(&clients, "bob"));
    assert_null(vine__clients_owner(&clients, UID_1));
    vine__clients_fini(&clients);
}

static void what_was_printed_is_read_the_same(void **state)
{
    struct vine__clients clients = two_clients(), again;
    char *text, *text_again;

    (void)state;
    assert_int_equal(vine__clients_place(clients.all[0], UID_2, "work"), 0);
    assert_int_equal(vine__clients_place(clients.all[0], UID_3, "work"), -ENOENT);
    text = vine__clients_print(&clients);
    assert_non_null(text);
    assert_int_equal(vine__clients_parse("clients.json", text, strlen(text), &again, why), 0);
    assert_int_equal(again.count, 2);
    assert_string_equal(again.all[0]->name, "alice");
    assert_string_equal(again.all[0]->path, "/run/vine/alice.sock");
    assert_string_equal(again.all[0]->pool, "work");
    assert_int_equal(again.all[0]->mode, 0600);
    assert_int_equal(again.all[0]->user, VINE__CLIENT_NOBODY);
    assert_int_equal(again.all[0]->permissions, 7);
    assert_memory_equal(&again.all[0]->limits, &clients.all[0]->limits,
                        sizeof(clients.all[0]->limits));
    assert_int_equal(again.all[0]->vm_count, 2);
    assert_string_equal(again.all[0]->vms[1].uid, UID_2);
    assert_string_equal(again.all[0]->vms[0].pool, "");
    assert_string_equal(again.all[0]->vms[1].pool, "work");
    text_again = vine__clients_print(&again);
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    vine__clients_fini(&clients);
    vine__clients_fini(&again);
}

/* ---- what is refused ------------------------------------------------------------------------- */

#define LIMITS           "\"limits\":{\"vms\":2,\"memory\":0,\"kernel\":0,\"disk\":0}"
#define NAME             "\"name\":\"a\""
#define PATH             "\"path\":\"/a\""
#define MODE             "\"mode\":\"0600\""
#define POOL             "\"pool\":\"p\""
#define IDS              POOL ",\"user\":-1,\"group\":-1"
#define WORD             "\"permissions\":1"
#define VMS              "\"vms\":[]"
#define FILE_OF(clients) "{\"version\":1,\"clients\":[" clients "]}"
#define REST             "," MODE "," IDS "," WORD "," LIMITS "," VMS
#define GOOD             "{" NAME "," PATH REST "}"

static const struct {
    const char *text;
    const char *why; /* a part of it */
} bad[] = {
    {"", "f:1:0: "},
    {"[]", "f: "},
    {"{", "f:1:1: "},
    {"{\"version\":2,\"clients\":[]}", "f: version: it is not 1"},
    {"{\"version\":\"1\",\"clients\":[]}", "f: "},
    {"{\"version\":1,\"clients\":{}}", "f: clients: it is a list"},
    {"{\"version\":1}", "f: "},
    {"{\"version\":1,\"version\":1,\"clients\":[]}", "duplicate object key"},
    {"{\"version\":1,\"clients\":[],\"more\":1}", "more"},
    {FILE_OF("7"), "f: clients[0]: "},
    {FILE_OF("{}"), "f: clients[0]: Object item not found: name"},
    {FILE_OF("{" NAME "," NAME "," PATH REST "}"), "duplicate object key"},
    {FILE_OF("{" NAME "," PATH ",\"odd\":1" REST "}"), "f: clients[0]: 1 object item(s) left"},
    {FILE_OF("{\"name\":1," PATH REST "}"), "f: clients[0]: "},
    {FILE_OF("{\"name\":\"\"," PATH REST "}"), "f: clients[0]: name: "},
    {FILE_OF("{\"name\":\"a b\"," PATH REST "}"), "f: clients[0]: name: "},
    {FILE_OF("{\"name\":\"../a\"," PATH REST "}"), "f: clients[0]: name: "},
    {FILE_OF("{\"name\":\"a.b\"," PATH REST "}"), "f: clients[0]: name: "},
    {FILE_OF("{\"name\":\"a1234567890123456789012345678901\"," PATH REST "}"),
     "f: clients[0]: name: too long"},
    {FILE_OF("{" NAME ",\"path\":\"a\"" REST "}"), "f: clients[0]: path: "},
    {FILE_OF("{" NAME ",\"path\":\"/\"" REST "}"), "f: clients[0]: path: "},
    {FILE_OF("{" NAME ",\"path\":\"/a\\nb\"" REST "}"), "f: clients[0]: path: "},
    {FILE_OF("{" NAME ",\"path\":\"/12345678901234567890123456789012345678901234567890123456789"
             "012345678901234567890123456789012345678901234567890\"" REST "}"),
     "f: clients[0]: path: too long"},
    {FILE_OF("{" NAME "," PATH ",\"mode\":\"600\"," IDS "," WORD "," LIMITS "," VMS "}"),
     "f: clients[0]: mode: "},
    {FILE_OF("{" NAME "," PATH ",\"mode\":\"0680\"," IDS "," WORD "," LIMITS "," VMS "}"),
     "f: clients[0]: mode: "},
    {FILE_OF("{" NAME "," PATH ",\"mode\":\"4755\"," IDS "," WORD "," LIMITS "," VMS "}"),
     "f: clients[0]: mode: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," POOL ",\"user\":-2,\"group\":-1," WORD "," LIMITS
             "," VMS "}"),
     "f: clients[0]: user: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," POOL ",\"user\":0,\"group\":4294967295," WORD "," LIMITS
             "," VMS "}"),
     "f: clients[0]: group: "},
    {FILE_OF("{" NAME "," PATH "," MODE ",\"pool\":\"a/b\",\"user\":-1,\"group\":-1," WORD
             "," LIMITS "," VMS "}"),
     "f: clients[0]: pool: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS ",\"permissions\":32," LIMITS "," VMS "}"),
     "f: clients[0]: permissions: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS ",\"permissions\":65536," LIMITS "," VMS "}"),
     "f: clients[0]: permissions: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS ",\"permissions\":-1," LIMITS "," VMS "}"),
     "f: clients[0]: permissions: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," VMS
             ",\"limits\":{\"vms\":65536,\"memory\":0,\"kernel\":0,\"disk\":0}}"),
     "f: clients[0]: limits.vms: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," VMS
             ",\"limits\":{\"vms\":1,\"memory\":-1,\"kernel\":0,\"disk\":0}}"),
     "f: clients[0]: limits.memory: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," VMS
             ",\"limits\":{\"vms\":1,\"memory\":0,\"kernel\":4294967296,\"disk\":0}}"),
     "f: clients[0]: limits.kernel: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," VMS
             ",\"limits\":{\"vms\":1,\"memory\":0,\"kernel\":0,\"disk\":-1}}"),
     "f: clients[0]: limits.disk: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":{}}"),
     "f: clients[0]: vms: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":[1]}"),
     "f: clients[0]: vms[0]: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":[\"" UID_1
             "\",\"ABCDEF\"]}"),
     "f: clients[0]: vms[1]: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":[\"" UID_1
             "\",\"" UID_1 "\"]}"),
     "f: clients[0]: vms[1]: " UID_1},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":[\"" UID_1
             "\",\"" UID_2 "\",\"" UID_3 "\"]}"),
     "f: clients[0]: vms: there are more than"},
    {FILE_OF("{" NAME "," PATH REST ",\"pools\":[]}"), "f: clients[0]: pools: "},
    {FILE_OF("{" NAME "," PATH REST ",\"pools\":{\"" UID_1 "\":\"p\"}}"), "f: clients[0]: pools: "},
    {FILE_OF("{" NAME "," PATH "," MODE "," IDS "," WORD "," LIMITS ",\"vms\":[\"" UID_1
             "\"],\"pools\":{\"" UID_1 "\":\"a/b\"}}"),
     "f: clients[0]: pools: "},
    {FILE_OF(GOOD "," GOOD), "f: clients[1]: name: there is a client `a`"},
    {FILE_OF(GOOD ",{\"name\":\"b\"," PATH REST "}"),
     "f: clients[1]: path: it is the socket of `a`"},
};

static void what_is_wrong_is_told_by_where_it_is(void **state)
{
    struct vine__clients clients;

    (void)state;
    assert_int_equal(vine__clients_parse("f", FILE_OF(GOOD), strlen(FILE_OF(GOOD)), &clients, why),
                     0);
    vine__clients_fini(&clients);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why[0] = '\0';
        assert_int_equal(vine__clients_parse("f", bad[i].text, strlen(bad[i].text), &clients, why),
                         -EINVAL);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("%s: `%s` has no `%s`", bad[i].text, why, bad[i].why);
    }
}

/* ---- who is admitted ------------------------------------------------------------------------- */

static void a_mode_admits_whom_it_says(void **state)
{
    static const struct {
        uint32_t mode, user, group;
        uid_t peer;
        gid_t peer_group;
        bool is_admitted;
    } cases[] = {
        {0600, 10, 20, 10, 99, true},
        {0400, 10, 20, 10, 99, false},
        {0066, 10, 20, 10, 20, false},
        {0600, 10, 20, 11, 20, false},
        {0620, 10, 20, 11, 20, true},
        {0602, 10, 20, 11, 20, false},
        {0602, 10, 20, 11, 21, true},
        {0620, 10, 20, 11, 21, false},
        {0000, 10, 20, 0, 0, true},
        {0600, VINE__CLIENT_NOBODY, VINE__CLIENT_NOBODY, 7, 7, true},
        {0600, VINE__CLIENT_NOBODY, VINE__CLIENT_NOBODY, 8, 7, false},
        {0660, VINE__CLIENT_NOBODY, VINE__CLIENT_NOBODY, 8, 71, true},
        {0606, VINE__CLIENT_NOBODY, VINE__CLIENT_NOBODY, 8, 71, false},
        {0660, VINE__CLIENT_NOBODY, VINE__CLIENT_NOBODY, 8, 72, false},
    };
    struct vine__client client = client_of("alice");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const gid_t groups[] = {1000, cases[i].peer_group};

        client.mode = cases[i].mode;
        client.user = cases[i].user;
        client.group = cases[i].group;
        assert_int_equal(vine__client_admits(&client, 7, 71, cases[i].peer, groups, 2),
                         cases[i].is_admitted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_and_a_path_are_one_clients),
        cmocka_unit_test(a_vm_is_one_clients),
        cmocka_unit_test(what_was_printed_is_read_the_same),
        cmocka_unit_test(what_is_wrong_is_told_by_where_it_is),
        cmocka_unit_test(a_mode_admits_whom_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
