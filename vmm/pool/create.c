/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/change.h"
#include "vmm/pool/pool_internal.h"
#include "vmm/pool/program_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_PATH_BYTES 32

/* The paths of a pool that is being made. */
struct paths {
    char *image;
    char *settings;
    char *new_image; /* as they are called until they are whole */
    char *new_settings;
};

/* A file that is open, for a program and by a name that nobody can give to another one: whoever
 * writes the folder of its path can put there what he likes, at any moment. */
static void name_own(int fd, char ret_path[OWN_PATH_BYTES])
{
    (void)snprintf(ret_path, OWN_PATH_BYTES, "/proc/self/fd/%d", fd);
}

static void forget_paths(struct paths *paths)
{
    free(paths->image);
    free(paths->settings);
    free(paths->new_image);
    free(paths->new_settings);
}

static int say(struct vine__problem *problem, int error, const char *path)
{
    return vine__problem_set(problem, error, "%s: %s", path, strerror(-error));
}

static int make_image(const char *path, uint64_t size_bytes, int lock_fd, int *ret_fd,
                      struct vine__problem *problem)
{
    char own_path[OWN_PATH_BYTES];
    const char *const words[] = {"mkfs.ext4",
                                 "-q",
                                 "-F",
                                 "-b",
                                 "4096",
                                 "-m",
                                 "0",
                                 "-i",
                                 "32768",
                                 "-J",
                                 "size=4",
                                 "-E",
                                 "lazy_itable_init=0,root_owner=0:0",
                                 "--",
                                 own_path,
                                 NULL};
    char said[VINE__PROGRAM_SAID_BYTES];
    /* What a former one that was killed has left is of no use. */
    vine__journal_forget(path);
    (void)unlink(path);
    const int fd = *ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const int kept_fds[] = {lock_fd, fd, -1};
    int error = fd < 0 || ftruncate(fd, (off_t)size_bytes) != 0 ? -errno : 0;

    if (error != 0)
        return say(problem, error, path);
    name_own(fd, own_path);
    error = vine__program_run(words, kept_fds, said);
    if (error < 0)
        return vine__problem_set(problem, error, "mkfs.ext4: %s", strerror(-error));
    return error == 0 ? 0 : vine__problem_set(problem, -EIO, "%s: mkfs.ext4: %s", path, said);
}

static bool is_same_file(int fd, int other_fd)
{
    struct stat status, other;

    return fstat(fd, &status) == 0 && fstat(other_fd, &other) == 0 &&
           status.st_dev == other.st_dev && status.st_ino == other.st_ino;
}

static int fill_image(const char *path, int fd, struct vine__problem *problem)
{
    struct vine__filesystem filesystem;
    struct vine__store *store = NULL;
    int error = vine__store_open(path, true, &store, problem);

    if (error != 0)
        return error;
    error =
        is_same_file(fd, store->fd)
            ? vine__filesystem_open(store, true, &filesystem, problem)
            : vine__problem_set(problem, -ESTALE, "%s: somebody has put another file there", path);
    if (error == 0) {
        error = vine__pool_contents_create(&filesystem, problem);
        const int committed = vine__filesystem_commit(&filesystem, error == 0, problem);
        error = error != 0 ? error : committed;
    }
    vine__store_close(store);
    return error;
}

static int make_settings(const char *path, const char *text, struct vine__problem *problem)
{
    struct vine__pool_settings settings = {0};
    int error = vine__pool_settings_parse(path, text, strlen(text), &settings, problem);

    vine__pool_settings_fini(&settings);
    if (error != 0)
        return error;
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    error = fd < 0 ? -errno : vine__write_at(fd, text, strlen(text), 0);
    if (error == 0 && fsync(fd) != 0)
        error = -errno;
    if (fd >= 0)
        (void)close(fd);
    return error != 0 ? say(problem, error, path) : 0;
}

/* The settings first: without an image they are no pool, and the next one replaces them. A link
 * that somebody has made for them stays one. */
static int give_names(const struct paths *paths, int image_fd, struct vine__problem *problem)
{
    char own_path[OWN_PATH_BYTES];
    struct stat status;

    if (lstat(paths->settings, &status) == 0 && !S_ISREG(status.st_mode))
        return vine__no_file(problem, paths->settings, status.st_mode);
    if ((unlink(paths->settings) != 0 && errno != ENOENT) ||
        link(paths->new_settings, paths->settings) != 0)
        return say(problem, -errno, paths->settings);
    name_own(image_fd, own_path);
    if (linkat(AT_FDCWD, own_path, AT_FDCWD, paths->image, AT_SYMLINK_FOLLOW) != 0)
        return say(problem, -errno, paths->image);
    (void)unlink(paths->new_image);
    (void)unlink(paths->new_settings); /* last: its lock keeps the name until here */
    const int error = vine__settle_folder_of(paths->image);

    return error != 0 ? say(problem, error, paths->image) : 0;
}

/* Two that make a pool of one name do not meet in its files; nor does one meet the mkfs.ext4 of
 * another that was killed, which has the lock too. */
static int lock_name(const struct paths *paths, int *ret_fd, struct vine__problem *problem)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat status;
    const int fd = open(paths->new_settings, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 && errno == ENOENT)
        return vine__problem_set(problem, -ENOENT, "%s: its folder is not there", paths->image);
    if (fd < 0)
        return say(problem, -errno, paths->new_settings);
    if (fcntl(fd, F_OFD_SETLK, &range) != 0) {
        (void)close(fd);
        return vine__problem_set(problem, -EBUSY, "%s: somebody else is making it", paths->image);
    }
    if (lstat(paths->image, &status) == 0) {
        (void)unlink(paths->new_settings);
        (void)close(fd);
        return say(problem, -EEXIST, paths->image);
    }
    *ret_fd = fd;
    return 0;
}

int vine__pool_create(const char *folder, const char *name, uint64_t size_bytes,
                      const char *settings, struct vine__problem *problem)
{
    static const char plain[] = "{\n \"version\": 1\n}\n";
    struct paths paths = {0};
    int lock_fd = -1, image_fd = -1;

    if (!vine__pool_is_name(name))
        return vine__problem_set(problem, -EINVAL, "%s: " VINE__POOL_NAME_RULE, name);
    if (size_bytes < VINE__POOL_BYTES_MIN || size_bytes > INT64_MAX)
        return vine__problem_set(problem, -EINVAL, "%s: a pool has at least 16 MiB", name);
    paths.image = vine__pool_path(folder, name, "img");
    paths.settings = vine__pool_path(folder, name, "json");
    paths.new_image = vine__pool_path(folder, name, "img.new");
    paths.new_settings = vine__pool_path(folder, name, "json.new");
    int error = 0;
    if (paths.image == NULL || paths.settings == NULL || paths.new_image == NULL ||
        paths.new_settings == NULL)
        error = say(problem, -ENOMEM, name);
    if (error == 0)
        error = lock_name(&paths, &lock_fd, problem);
    if (error == 0) {
        error = make_settings(paths.new_settings, settings != NULL ? settings : plain, problem);
        if (error == 0)
            error =
                make_image(paths.new_image, size_bytes / 4096 * 4096, lock_fd, &image_fd, problem);
        if (error == 0)
            error = fill_image(paths.new_image, image_fd, problem);
        if (error == 0)
            error = give_names(&paths, image_fd, problem);
        if (error != 0) {
            (void)unlink(paths.new_image);
            (void)unlink(paths.new_settings);
        }
        if (image_fd >= 0)
            (void)close(image_fd);
        (void)close(lock_fd);
    }
    forget_paths(&paths);
    return error;
}
