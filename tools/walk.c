/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utils/assert.h"

#define TYPE_UNKNOWN 0x7f /* where the file system does not tell */

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOCTTY | O_CLOEXEC)

/* A directory on the way down. Invariant: the descriptors of the deepest WALK_DESCRIPTORS_MAX
 * levels are open; those above are -1 and are opened again through ".." on the way back. */
struct level {
    int fd;
    dev_t device; /* to know it again */
    ino_t inode;
    char *names; /* each NUL-terminated and behind its type, a DT_ value; one after the other */
    const char **sorted;
    size_t count;
    size_t next;
    size_t path_length; /* of walk->path, above the names in this directory */
    size_t shown_length;
};

struct text {
    char *bytes;
    size_t length;
    size_t capacity;
};

struct walk {
    char *const *arguments;
    size_t count;
    size_t next; /* argument */
    bool has_excluded;
    dev_t excluded_device;
    ino_t excluded_inode;
    struct level *levels;
    size_t depth;
    size_t capacity;
    struct text path;
    struct text shown;
    int lost; /* an error of coming back up, told once */
};

int walk_open(char *const *arguments, size_t count, const struct stat *excluded,
              struct walk **ret_walk)
{
    struct walk *walk = calloc(1, sizeof(*walk));

    if (walk == NULL)
        return -ENOMEM;
    walk->arguments = arguments;
    walk->count = count;
    if (excluded != NULL) {
        walk->has_excluded = true;
        walk->excluded_device = excluded->st_dev;
        walk->excluded_inode = excluded->st_ino;
    }
    *ret_walk = walk;
    return 0;
}

static void free_level(struct level *level)
{
    if (level->fd >= 0)
        close(level->fd);
    free(level->names);
    free(level->sorted);
}

void walk_close(struct walk *walk)
{
    if (walk == NULL)
        return;
    for (size_t i = 0; i < walk->depth; i++)
        free_level(&walk->levels[i]);
    free(walk->levels);
    free(walk->path.bytes);
    free(walk->shown.bytes);
    free(walk);
}

/* Cut the text to `length` and append to it. */
static int text_set(struct text *text, size_t length, const char *more)
{
    const size_t size = strlen(more);

    if (length + size + 1 > text->capacity) {
        const size_t capacity = 2 * (length + size + 1);
        char *bytes = realloc(text->bytes, capacity);
        if (bytes == NULL)
            return -ENOMEM;
        text->bytes = bytes;
        text->capacity = capacity;
    }
    memcpy(text->bytes + length, more, size + 1);
    text->length = length + size;
    return 0;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static int sort_names(struct level *level, size_t count)
{
    const char *name = level->names;

    level->sorted = malloc((count > 0 ? count : 1) * sizeof(char *));
    if (level->sorted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        level->sorted[i] = name + 1;
        name += strlen(name) + 1;
    }
    qsort(level->sorted, count, sizeof(char *), compare_names);
    level->count = count;
    return 0;
}

/* Read all names of the directory. Takes `fd` in any case. */
static int read_names(int fd, struct level *level)
{
    struct text names = {0};
    size_t count = 0;
    int error = 0;

    level->fd = fd;
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *directory = own >= 0 ? fdopendir(own) : NULL;
    if (directory == NULL) {
        error = -errno;
        if (own >= 0)
            close(own);
        return error;
    }
    while (error == 0) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            error = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* No type is 0 here, so that type and name are one text. */
        const char type[] = {(char)(entry->d_type != DT_UNKNOWN ? entry->d_type : TYPE_UNKNOWN),
                             '\0'};
        const size_t end = names.length + (count > 0); /* behind the last one's NUL */
        error = text_set(&names, end, type);
        if (error == 0)
            error = text_set(&names, end + 1, entry->d_name);
        count++;
    }
    closedir(directory);
    level->names = names.bytes;
    return error < 0 ? error : sort_names(level, count);
}

/* Enter the directory that `fd` (taken) shows. */
static int push(struct walk *walk, int fd, const struct stat *status)
{
    if (walk->depth == walk->capacity) {
        const size_t capacity = walk->capacity > 0 ? 2 * walk->capacity : 32;
        struct level *levels = realloc(walk->levels, capacity * sizeof(*levels));
        if (levels == NULL) {
            close(fd);
            return -ENOMEM;
        }
        walk->levels = levels;
        walk->capacity = capacity;
    }
    struct level *level = &walk->levels[walk->depth];
    *level = (struct level){.device = status->st_dev,
                            .inode = status->st_ino,
                            .path_length = walk->path.length,
                            .shown_length = walk->shown.length};
    const int error = read_names(fd, level);
    if (error < 0) {
        free_level(level);
        return error;
    }
    if (walk->depth >= WALK_DESCRIPTORS_MAX) {
        struct level *upper = &walk->levels[walk->depth - WALK_DESCRIPTORS_MAX];
        close(upper->fd);
        upper->fd = -1;
    }
    walk->depth++;
    return 0;
}

/* Leave the deepest directory. The one above is opened again if need be; that it is still the same
 * is checked, since the tree may have been moved meanwhile. */
static void pop(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];
    struct level *upper = walk->depth > 0 ? &walk->levels[walk->depth - 1] : NULL;
    struct stat status;

    if (upper != NULL && upper->fd < 0) {
        upper->fd = openat(level->fd, "..", OPEN_DIRECTORY);
        if (upper->fd < 0 || fstat(upper->fd, &status) < 0)
            walk->lost = -errno;
        else if (status.st_dev != upper->device || status.st_ino != upper->inode)
            walk->lost = -ESTALE;
        if (walk->lost < 0)
            upper->next = upper->count;
    }
    free_level(level);
}

static const char *describe_special(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFIFO:
        return "a fifo";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
        return "a character device";
    case S_IFBLK:
        return "a block device";
    default:
        return "not a regular file";
    }
}

/* Look at a directory and enter it. Returns 1 if `entry` has something to tell, 0, -ENOMEM. */
static int enter(struct walk *walk, int parent, struct walk_entry *entry)
{
    struct stat status;
    const int fd =
        openat(parent, entry->name, OPEN_DIRECTORY | (entry->is_argument ? 0 : O_NOFOLLOW));

    if (fd < 0 || fstat(fd, &status) < 0) {
        entry->kind = WALK_ERROR;
        entry->error = -errno;
        if (fd >= 0)
            close(fd);
        return 1;
    }
    if (walk->has_excluded && status.st_dev == walk->excluded_device &&
        status.st_ino == walk->excluded_inode) {
        entry->kind = WALK_EXCLUDED;
        close(fd);
        return 1;
    }
    const int error = push(walk, fd, &status);
    if (error == -ENOMEM)
        return error;
    entry->kind = WALK_ERROR;
    entry->error = error;
    return error < 0;
}

/* Returns 1 if the entry is to be shown, 0 if it was a directory that is entered, -ENOMEM. `type`
 * is what its directory says of it: a file is opened anyway, and looked at then. */
static int look(struct walk *walk, struct walk_entry *entry, unsigned char type)
{
    const int flags = entry->is_argument ? 0 : AT_SYMLINK_NOFOLLOW;
    mode_t mode = (mode_t)DTTOIF(type);

    entry->path = walk->path.bytes;
    entry->shown = walk->shown.bytes;
    if (type == TYPE_UNKNOWN) {
        if (fstatat(entry->directory, entry->name, &entry->status, flags) < 0) {
            entry->kind = WALK_ERROR;
            entry->error = -errno;
            return 1;
        }
        entry->has_status = true;
        mode = entry->status.st_mode;
    }
    if (S_ISDIR(mode))
        return enter(walk, entry->directory, entry);
    entry->kind = S_ISREG(mode) ? WALK_FILE : S_ISLNK(mode) ? WALK_LINK : WALK_SPECIAL;
    if (entry->kind == WALK_SPECIAL)
        entry->reason = describe_special(mode);
    return 1;
}

char *walk_last_component(const char *path)
{
    size_t end = strlen(path);

    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    const size_t length = end - begin;
    if (length == 0 || (length == 1 && path[begin] == '.') ||
        (length == 2 && path[begin] == '.' && path[begin + 1] == '.'))
        return NULL;
    return strndup(path + begin, length);
}

static int look_at_argument(struct walk *walk, struct walk_entry *entry)
{
    const char *argument = walk->arguments[walk->next];
    struct stat status;

    *entry = (struct walk_entry){
        .argument = walk->next++, .is_argument = true, .directory = AT_FDCWD, .name = argument};
    /* What lies in a directory is named without it; a file is named by its last component. */
    const bool is_directory = stat(argument, &status) == 0 && S_ISDIR(status.st_mode);
    char *last = is_directory ? NULL : walk_last_component(argument);
    int error = text_set(&walk->path, 0, last != NULL ? last : is_directory ? "" : argument);
    free(last);
    if (error == 0)
        error = text_set(&walk->shown, 0, argument);
    return error < 0 ? error : look(walk, entry, TYPE_UNKNOWN);
}

static int look_at_next(struct walk *walk, struct walk_entry *entry)
{
    struct level *level = &walk->levels[walk->depth - 1];
    const char *name = level->sorted[level->next++];
    int error = 0;

    VINE_ASSERT(level->fd >= 0);
    *entry = (struct walk_entry){.argument = walk->next - 1, .directory = level->fd, .name = name};
    size_t path = level->path_length, shown = level->shown_length;
    if (path > 0 && (error = text_set(&walk->path, path, "/")) == 0)
        path++;
    if (error == 0 && walk->shown.bytes[shown - 1] != '/' &&
        (error = text_set(&walk->shown, shown, "/")) == 0)
        shown++;
    if (error == 0)
        error = text_set(&walk->path, path, name);
    if (error == 0)
        error = text_set(&walk->shown, shown, name);
    return error < 0 ? error : look(walk, entry, (unsigned char)name[-1]);
}

int walk_next(struct walk *walk, struct walk_entry *ret_entry)
{
    for (;;) {
        int outcome = 0;

        if (walk->depth == 0 && walk->next == walk->count)
            return 0;
        if (walk->depth == 0) {
            outcome = look_at_argument(walk, ret_entry);
        } else if (walk->levels[walk->depth - 1].next < walk->levels[walk->depth - 1].count) {
            outcome = look_at_next(walk, ret_entry);
        } else {
            pop(walk);
            if (walk->lost < 0) {
                *ret_entry = (struct walk_entry){.kind = WALK_ERROR,
                                                 .argument = walk->next - 1,
                                                 .directory = -1,
                                                 .name = "..",
                                                 .path = walk->path.bytes,
                                                 .shown = walk->shown.bytes,
                                                 .error = walk->lost};
                walk->lost = 0;
                outcome = 1;
            }
        }
        if (outcome != 0)
            return outcome;
    }
}

bool walk_same_state(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
           one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}
