/* SPDX-License-Identifier: Apache-2.0 */
#include "collide.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walk.h"

/* Directories that several arguments share; deeper ones would cost a descriptor each and level. */
#define DEPTH_MAX 128

struct name {
    char *result; /* the name of a file's result, or of the directory */
    char *source;
    size_t argument;
    bool is_directory;
};

struct names {
    struct name *names;
    size_t count;
    size_t capacity;
};

/* One directory of an argument. */
struct place {
    int fd;
    size_t argument;
};

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i].result);
        free(names->names[i].source);
    }
    free(names->names);
}

static int add_name(struct names *names, const struct recipe *recipe, const char *source,
                    size_t argument, bool is_directory)
{
    if (!is_directory && !recipe_fits(recipe, source))
        return 0; /* it will have no result */
    if (names->count == names->capacity) {
        const size_t capacity = names->capacity > 0 ? 2 * names->capacity : 64;
        struct name *grown = realloc(names->names, capacity * sizeof(*grown));
        if (grown == NULL)
            return -ENOMEM;
        names->names = grown;
        names->capacity = capacity;
    }
    struct name name = {
        .source = strdup(source), .argument = argument, .is_directory = is_directory};
    name.result = is_directory ? strdup(source) : recipe_result_path(recipe, source);
    names->names[names->count++] = name;
    return name.source == NULL || name.result == NULL ? -ENOMEM : 0;
}

static int compare_names(const void *one, const void *other)
{
    const struct name *a = one, *b = other;
    const int order = strcmp(a->result, b->result);

    return order != 0 ? order : a->argument < b->argument ? -1 : a->argument > b->argument;
}

static int add_directory(struct names *names, const struct recipe *recipe,
                         const struct place *place)
{
    const int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int error = 0;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return 0; /* the run will name it */
    }
    while (error == 0 && (entry = readdir(directory)) != NULL) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(place->fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
            !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
            continue;
        error = add_name(names, recipe, entry->d_name, place->argument, S_ISDIR(status.st_mode));
    }
    closedir(directory);
    return error;
}

static int tell(const char *path, const struct name *first, const struct name *second,
                struct collision *ret_collision)
{
    *ret_collision = (struct collision){.first = first->argument, .second = second->argument};
    if (asprintf(&ret_collision->result, "%s%s%s", path, path[0] != '\0' ? "/" : "",
                 first->result) < 0)
        return -ENOMEM;
    return 1;
}

static int compare_places(const struct recipe *recipe, const struct place *places, size_t count,
                          struct names *names, const char *path, unsigned depth,
                          struct collision *ret_collision);

/* `group` names: the same result in several arguments, all of them directories. */
static int enter(const struct recipe *recipe, const struct place *places, size_t count,
                 const struct name *group, size_t group_count, const char *path, unsigned depth,
                 struct collision *ret_collision)
{
    struct place *inner = calloc(group_count, sizeof(*inner));
    struct names names = {0};
    char *inner_path = NULL;
    size_t opened = 0;
    int error = inner == NULL || asprintf(&inner_path, "%s%s%s", path, path[0] != '\0' ? "/" : "",
                                          group[0].result) < 0
                    ? -ENOMEM
                    : 0;

    if (error == 0 && depth == DEPTH_MAX)
        error = -ELOOP;
    for (size_t i = 0; error == 0 && i < group_count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (places[k].argument != group[i].argument)
                continue;
            const int fd = openat(places[k].fd, group[i].source,
                                  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd >= 0)
                inner[opened++] = (struct place){fd, places[k].argument};
            else if (errno == EMFILE || errno == ENFILE)
                error = -errno;
            break;
        }
    }
    if (error == 0 && opened > 1)
        error = compare_places(recipe, inner, opened, &names, inner_path, depth + 1, ret_collision);
    while (opened > 0)
        close(inner[--opened].fd);
    free_names(&names);
    free(inner);
    free(inner_path);
    return error;
}

/* Compare what the places hold, and the names that are given beside. */
static int compare_places(const struct recipe *recipe, const struct place *places, size_t count,
                          struct names *names, const char *path, unsigned depth,
                          struct collision *ret_collision)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++)
        error = add_directory(names, recipe, &places[i]);
    if (error == 0 && names->count > 1)
        qsort(names->names, names->count, sizeof(*names->names), compare_names);
    for (size_t i = 0, end; error == 0 && i < names->count; i = end) {
        const struct name *group = &names->names[i];
        bool only_directories = true, several = false;

        for (end = i; end < names->count && strcmp(names->names[end].result, group->result) == 0;
             end++) {
            only_directories &= names->names[end].is_directory;
            several |= names->names[end].argument != group->argument;
        }
        if (!several)
            continue;
        if (!only_directories) {
            const struct name *other = group;
            while (other->argument == group->argument)
                other++;
            error = tell(path, group, other, ret_collision);
        } else {
            error = enter(recipe, places, count, group, end - i, path, depth, ret_collision);
        }
    }
    return error;
}

int collide_find(const struct recipe *recipe, char *const *arguments, size_t count,
                 struct collision *ret_collision)
{
    struct place *places = calloc(count > 0 ? count : 1, sizeof(*places));
    struct names names = {0};
    size_t opened = 0;
    int error = places == NULL ? -ENOMEM : 0;

    for (size_t i = 0; error == 0 && count > 1 && i < count; i++) {
        struct stat status;
        if (stat(arguments[i], &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            const int fd = open(arguments[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd >= 0)
                places[opened++] = (struct place){fd, i};
            else if (errno == EMFILE || errno == ENFILE)
                error = -errno;
        } else if (S_ISREG(status.st_mode)) {
            char *last = walk_last_component(arguments[i]);
            error = last == NULL ? -ENOMEM : add_name(&names, recipe, last, i, false);
            free(last);
        }
    }
    if (error == 0 && count > 1)
        error = compare_places(recipe, places, opened, &names, "", 0, ret_collision);
    while (opened > 0)
        close(places[--opened].fd);
    free_names(&names);
    free(places);
    return error;
}
