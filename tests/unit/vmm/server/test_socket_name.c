/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * Names of clients' sockets: whoever can change the way to one, or the name itself, has nothing
 * else changed or removed by it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness/folder.h"
#include "vmm/server/socket_name.h"

static char folder[] = "/tmp/vine-name-XXXXXX";
static char why[VINE__CLIENTS_WHY_BYTES];

static const char *path_of(const char *name)
{
    static char paths[8][100];
    static uint32_t next;
    char *const path = paths[next++ % 8];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int begin(void **state)
{
    (void)state;
    return folder_make(folder);
}

static void make_folder(const char *name, mode_t mode)
{
    assert_int_equal(mkdir(path_of(name), 0700), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static void make_file(const char *path)
{
    FILE *const file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(fd), 0);
}

static struct vine__client client_at(const char *path)
{
    struct vine__client client = {
        .mode = 0666, .user = VINE__CLIENT_NOBODY, .group = VINE__CLIENT_NOBODY};

    (void)snprintf(client.path, sizeof(client.path), "%s", path);
    return client;
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static void expect_refused(const char *path, const char *at)
{
    assert_int_equal(vine__socket_name_check(path, why), -EPERM);
    assert_memory_equal(why, at, strlen(at));
    assert_non_null(strstr(why, " can be changed by others"));
}

static void a_way_that_others_can_change_is_refused_by_where_that_is(void **state)
{
    (void)state;
    make_folder("ours", 0755);
    make_folder("sticky", 01777);
    make_folder("group", 0770);
    make_folder("world", 0707);
    make_folder("group/below", 0700);
    assert_int_equal(symlink("../group/below", path_of("ours/link")), 0);
    assert_int_equal(symlink(path_of("sticky"), path_of("ours/good")), 0);
    assert_int_equal(symlink("loop", path_of("ours/loop")), 0);
    assert_int_equal(vine__socket_name_check(path_of("ours/s"), why), 0);
    assert_int_equal(vine__socket_name_check(path_of("sticky/s"), why), 0);
    assert_int_equal(vine__socket_name_check(path_of("ours/good/s"), why), 0);
    assert_int_equal(vine__socket_name_check(path_of("ours//../ours/./s"), why), 0);
    expect_refused(path_of("group/s"), path_of("group"));
    expect_refused(path_of("world/s"), path_of("world"));
    expect_refused(path_of("group/below/s"), path_of("group"));
    expect_refused(path_of("ours/link/s"), path_of("ours/../group"));
    assert_int_equal(vine__socket_name_check(path_of("ours/loop/s"), why), -ELOOP);
    assert_int_equal(vine__socket_name_check(path_of("none/s"), why), -ENOENT);
    make_file(path_of("file"));
    assert_int_equal(vine__socket_name_check(path_of("file/s"), why), -ENOTDIR);
    assert_int_equal(vine__socket_name_check("s", why), -EINVAL);
    if (geteuid() != 0)
        return;
    make_folder("another", 0755);
    assert_int_equal(chown(path_of("another"), 65534, 65534), 0);
    expect_refused(path_of("another/s"), path_of("another"));
    assert_int_equal(lchown(path_of("ours/good"), 65534, 65534), 0);
    expect_refused(path_of("ours/good/s"), path_of("ours/good"));
}

static void what_is_no_socket_keeps_its_mode_though_it_has_the_name(void **state)
{
    struct vine__socket_name name = {0};
    struct vine__client client = client_at(path_of("swapped"));

    (void)state;
    make_file(path_of("secret"));
    assert_int_equal(symlink(path_of("secret"), client.path), 0);
    assert_int_equal(vine__socket_name_give(&client, &name, why), -EPERM);
    assert_int_equal(mode_of(path_of("secret")), 0600);
    assert_int_equal(unlink(client.path), 0);
    assert_int_equal(link(path_of("secret"), client.path), 0);
    assert_int_equal(vine__socket_name_give(&client, &name, why), -EPERM);
    assert_int_equal(mode_of(path_of("secret")), 0600);
    make_socket(path_of("socket"));
    client = client_at(path_of("socket"));
    assert_int_equal(vine__socket_name_give(&client, &name, why), 0);
    assert_int_equal(mode_of(client.path), 0666);
}

static void what_has_taken_the_place_of_a_socket_is_not_removed(void **state)
{
    const struct vine__client client = client_at(path_of("mine/s"));
    struct vine__socket_name name = {0};

    (void)state;
    vine__socket_name_remove(client.path, &name);
    make_folder("mine", 0755);
    make_folder("roots", 0755);
    make_socket(client.path);
    assert_int_equal(vine__socket_name_give(&client, &name, why), 0);
    make_file(path_of("roots/s"));
    assert_int_equal(rename(path_of("mine"), path_of("former")), 0);
    assert_int_equal(symlink("roots", path_of("mine")), 0);
    vine__socket_name_remove(client.path, &name);
    assert_int_equal(mode_of(path_of("roots/s")), 0600);
    assert_int_equal(unlink(path_of("mine")), 0);
    assert_int_equal(rename(path_of("former"), path_of("mine")), 0);
    vine__socket_name_remove(client.path, &name);
    assert_int_equal(access(client.path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_way_that_others_can_change_is_refused_by_where_that_is),
        cmocka_unit_test(what_is_no_socket_keeps_its_mode_though_it_has_the_name),
        cmocka_unit_test(what_has_taken_the_place_of_a_socket_is_not_removed),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
