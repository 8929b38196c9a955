/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=pool timeout=200 */
/*
 * A pool is made in a folder that somebody else writes, who puts other files in the place of its
 * own all the time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/folder.h"
#include "utils/atomic.h"
#include "vmm/pool/change.h"

#define VICTIM_BYTES (1 << 20)
#define TIMES        30

static char folder[] = "/tmp/vine-pool-XXXXXX";
static char victim[64], image[64], link_path[64];
static uint32_t is_over;

/* Whatever is written to the new image by its name is written to the victim. */
static void *replace_always(void *unused)
{
    (void)unused;
    /* O1 pairs with O2: it is over. */
    while (vine__load_acquire_u32(&is_over) == 0) {
        if (access(image, F_OK) != 0)
            continue;
        (void)!symlink(victim, link_path);
        (void)!rename(link_path, image);
    }
    return NULL;
}

static void assert_untouched(void)
{
    static char bytes[VICTIM_BYTES];
    struct stat status;
    const int fd = open(victim, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, VICTIM_BYTES);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        if (bytes[i] != 'v')
            fail_msg("byte %zu of another file was written", i);
    (void)close(fd);
}

static void what_is_put_in_the_images_place_is_not_written_to(void **state)
{
    pthread_t other;

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, replace_always, NULL), 0);
    for (int i = 0; i < TIMES; i++) {
        struct vine__problem problem = {.text = ""};
        char path[64];

        (void)!vine__pool_create(folder, "farm", UINT64_C(16) << 20, NULL, &problem);
        (void)snprintf(path, sizeof(path), "%s/farm.img", folder);
        (void)unlink(path);
        (void)unlink(image);
    }
    /* O2 */
    vine__store_release_u32(&is_over, 1);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_untouched();
}

static int begin(void **state)
{
    static char bytes[VICTIM_BYTES];
    int fd;

    (void)state;
    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(victim, sizeof(victim), "%s/victim", folder);
    (void)snprintf(image, sizeof(image), "%s/farm.img.new", folder);
    (void)snprintf(link_path, sizeof(link_path), "%s/link", folder);
    memset(bytes, 'v', sizeof(bytes));
    fd = open(victim, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
        return -1;
    return close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_the_images_place_is_not_written_to),
    };

    if (access("/usr/sbin/mkfs.ext4", X_OK) != 0 && access("/sbin/mkfs.ext4", X_OK) != 0) {
        print_message("skipped: no e2fsprogs\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, begin, NULL);
}
