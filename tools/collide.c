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

/* The same relative path in several arguments. */
struct places {
    const char *path;
    unsigned depth;
    struct place *places;
    size_t count;
};

static char *path_within(const struct places *places, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s%s%s", places->path, places->path[0] != '\0' ? "/" : "", name) < 0
               ? NULL
               : path;
}

static int tell(const struct places *places, const struct name *first, const struct name *second,
                struct collision *ret_collision)
{
    *ret_collision = (struct collision){.first = first->argument, .second = second->argument};
    ret_collision->result = path_within(places, first->result);
    return ret_collision->result == NULL ? -ENOMEM : 1;
}

static void close_places(struct places *places)
{
    while (places->count > 0)
        close(places->places[--places->count].fd);
    free(places->places);
}

/* Open what has this name in the argument's place. What cannot be opened is left to the run. */
static int add_place(struct places *inner, const struct places *outer, const struct name *name)
{
    size_t k = 0;

    while (k < outer->count && outer->places[k].argument != name->argument)
        k++;
    if (k == outer->count)
        return 0;

    const int fd =
        openat(outer->places[k].fd, name->source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        inner->places[inner->count++] = (struct place){fd, name->argument};
    else if (errno == EMFILE || errno == ENFILE)
        return -errno;
    return 0;
}

static int compare_places(const struct recipe *recipe, const struct places *places,
                          struct names *names, struct collision *ret_collision);

/* `group` names: the same result in several arguments, all of them directories. */
static int enter(const struct recipe *recipe, const struct places *outer, const struct name *group,
                 size_t group_count, struct collision *ret_collision)
{
    char *path = path_within(outer, group[0].result);
    struct places inner = {
        .path = path,
        .depth = outer->depth + 1,
        .places = calloc(group_count, sizeof(*inner.places)),
    };
    struct names names = {0};
    int error = inner.places == NULL || path == NULL ? -ENOMEM : 0;

    if (error == 0 && outer->depth == DEPTH_MAX)
        error = -ELOOP;
    for (size_t i = 0; error == 0 && i < group_count; i++)
        error = add_place(&inner, outer, &group[i]);
    if (error == 0 && inner.count > 1)
        error = compare_places(recipe, &inner, &names, ret_collision);
    close_places(&inner);
    free_names(&names);
    free(path);
    return error;
}

/* Compare what the places hold, and the names that are given beside. */
static int compare_places(const struct recipe *recipe, const struct places *places,
                          struct names *names, struct collision *ret_collision)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < places->count; i++)
        error = add_directory(names, recipe, &places->places[i]);
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
            error = tell(places, group, other, ret_collision);
        } else {
            error = enter(recipe, places, group, end - i, ret_collision);
        }
    }
    return error;
}

int collide_find(const struct recipe *recipe, char *const *arguments, size_t count,
                 struct collision *ret_collision)
{
    struct places places = {
        .path = "",
        .places = calloc(count > 0 ? count : 1, sizeof(*places.places)),
    };
    struct names names = {0};
    int error = places.places == NULL ? -ENOMEM : 0;

    for (size_t i = 0; error == 0 && count > 1 && i < count; i++) {
        struct stat status;
        if (stat(arguments[i], &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            const int fd = open(arguments[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd >= 0)
                places.places[places.count++] = (struct place){fd, i};
            else if (errno == EMFILE || errno == ENFILE)
                error = -errno;
        } else if (S_ISREG(status.st_mode)) {
            char *last = walk_last_component(arguments[i]);
            error = last == NULL ? -ENOMEM : add_name(&names, recipe, last, i, false);
            free(last);
        }
    }
    if (error == 0 && count > 1)
        error = compare_places(recipe, &places, &names, ret_collision);
    close_places(&places);
    free_names(&names);
    return error;
}
