/* SPDX-License-Identifier: Apache-2.0 */
#include "library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/inotify.h>
#include <unistd.h>

#include <vine/error.h>

#include "library_file.h"

#define LIBRARY_FILES_MAX 256

/* What may make a file usable, or be the end of one: written and closed, moved here or away, given
 * another owner or mode, removed. */
#define LIBRARY_EVENTS                                                                             \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR)

struct library_version {
    void *handle;
    int copy; /* open as long as it is loaded: the loader knows it by the descriptor's number */
    const struct vine_procedure_library *table; /* NULL: was refused, but will not unload */
};

struct library_entry {
    char name[NAME_MAX + 1];
    struct library_identity seen;          /* all zero: not there, or to be looked at again */
    const struct library_version *current; /* NULL: none has been taken up */
};

struct vine_library_set {
    char *directory;
    struct vine_appliance *appliance;
    struct vine_library_watcher watcher;
    int notify;                /* -1: none */
    bool is_directory_refused; /* said so already */
    bool is_full;              /* said so already */
    uint32_t entry_count;
    uint32_t version_count;
    struct library_entry entries[LIBRARY_FILES_MAX];
    struct library_version versions[VINE_LIBRARY_VERSIONS_MAX];
};

/* Log a line about a file, or about the directory if `name` is NULL. What does not print is shown
 * as a question mark. */
VINE_PRINTF(4, 5)
static void say(const struct vine_library_set *set, enum vine_log_level level, const char *name,
                const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int used;

    if (!set->watcher.log)
        return;
    used = snprintf(line, sizeof(line), "%s%s%.*s: ", set->directory, name ? "/" : "",
                    name ? (int)strlen(name) : 0, name ? name : "");
    if (used < 0 || (size_t)used >= sizeof(line))
        used = 0;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
    va_end(arguments);
    for (char *byte = line; *byte != '\0'; byte++)
        if ((unsigned char)*byte < ' ' || *byte == 0x7f)
            *byte = '?';
    set->watcher.log(set->watcher.context, level, line);
}

static void tell(const struct vine_library_set *set, const struct vine_library_news *news)
{
    if (set->watcher.news)
        set->watcher.news(set->watcher.context, news);
}

/* A file, or the directory (NULL), cannot be used. */
static void refuse(const struct vine_library_set *set, const char *name, int error,
                   const char *reason, bool has_older)
{
    say(set, VINE_LOG_ERROR, name, "%s%s", reason,
        has_older ? "; the version before it goes on serving" : "");
    tell(set, &(struct vine_library_news){
                  .file = name, .error = error, .reason = reason, .version = set->version_count});
}

/* ---- one file -------------------------------------------------------------------------------- */

static const struct vine_procedure_definition *
find_in_table(const struct vine_procedure_library *table, const char *name,
              const struct vine_procedure_definition *const *end)
{
    for (const struct vine_procedure_definition *const *next = table->begin; next < end; next++)
        if (strcmp((*next)->name, name) == 0)
            return *next;
    return NULL;
}

/* Which other file offers a procedure of this name, or NULL. */
static const char *find_other(const struct vine_library_set *set, const struct library_entry *entry,
                              const char *name)
{
    for (uint32_t index = 0; index < set->entry_count; index++) {
        const struct library_entry *other = &set->entries[index];

        if (other != entry && other->current &&
            find_in_table(other->current->table, name, other->current->table->end))
            return other->name;
    }
    return NULL;
}

/* Whether a table can be offered as a whole; if not, why is in `reason`. */
static bool is_table_good(const struct vine_library_set *set, const struct library_entry *entry,
                          const struct vine_procedure_library *table,
                          char reason[LIBRARY_REASON_BYTES])
{
    if (table->magic != VINE_PROCEDURE_LIBRARY_MAGIC) {
        snprintf(reason, LIBRARY_REASON_BYTES, "its " VINE_PROCEDURE_LIBRARY_SYMBOL " is no table");
        return false;
    }
    if (table->abi_version != VINE_PROCEDURE_LIBRARY_ABI ||
        table->definition_bytes != sizeof(struct vine_procedure_definition)) {
        snprintf(reason, LIBRARY_REASON_BYTES,
                 "it was built for another version of Vine (ABI %u, ours is %u)",
                 table->abi_version, VINE_PROCEDURE_LIBRARY_ABI);
        return false;
    }
    if (table->begin >= table->end || table->end - table->begin > VINE_APPLIANCE_PROCEDURES_MAX) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it declares no procedure, or too many");
        return false;
    }
    for (const struct vine_procedure_definition *const *next = table->begin; next < table->end;
         next++) {
        const char *other;

        if (!*next || !(*next)->name) {
            snprintf(reason, LIBRARY_REASON_BYTES, "it declares a procedure without a name");
            return false;
        }
        if (find_in_table(table, (*next)->name, next)) {
            snprintf(reason, LIBRARY_REASON_BYTES, "it declares '%.31s' twice", (*next)->name);
            return false;
        }
        other = find_other(set, entry, (*next)->name);
        if (other) {
            snprintf(reason, LIBRARY_REASON_BYTES, "its procedure '%.31s' is offered by %.80s",
                     (*next)->name, other);
            return false;
        }
    }
    return true;
}

/* Offer a whole table or, where one is refused, what was offered before. */
static int register_table(const struct vine_library_set *set, const struct library_entry *entry,
                          const struct vine_procedure_library *table,
                          char reason[LIBRARY_REASON_BYTES])
{
    for (const struct vine_procedure_definition *const *next = table->begin; next < table->end;
         next++) {
        const int error = vine_appliance_register(set->appliance, *next);

        if (error == 0)
            continue;
        snprintf(reason, LIBRARY_REASON_BYTES, "its procedure '%.31s' is refused: %.80s",
                 (*next)->name, vine_error_text(error));
        for (const struct vine_procedure_definition *const *undo = table->begin; undo < next;
             undo++) {
            const struct vine_procedure_definition *old =
                entry->current ? find_in_table(entry->current->table, (*undo)->name,
                                               entry->current->table->end)
                               : NULL;

            if (old && vine_appliance_register(set->appliance, old) < 0)
                say(set, VINE_LOG_ERROR, entry->name, "the old '%.31s' cannot be put back",
                    old->name);
        }
        return error;
    }
    return 0;
}

/* Load a copy; the version takes it over. Returns 0; a negative code, and why in `reason`. */
static int load(struct library_version *version, int copy, char reason[LIBRARY_REASON_BYTES])
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", copy);
    *version = (struct library_version){.copy = copy};
    version->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!version->handle) {
        const char *error = dlerror();

        snprintf(reason, LIBRARY_REASON_BYTES, "it cannot be loaded: %.120s",
                 error ? error : "no reason given");
        return -ENOEXEC;
    }
    version->table = dlsym(version->handle, VINE_PROCEDURE_LIBRARY_SYMBOL);
    if (!version->table) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it declares no procedure library");
        return -ENOEXEC;
    }
    return 0;
}

/* Unload. Returns whether it is gone: some libraries cannot be unloaded, and the loader would
 * answer with them if their descriptor's number were used again. */
static bool unload(struct library_version *version)
{
    char path[32];
    void *again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", version->copy);
    if (version->handle) {
        dlclose(version->handle);
        again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        if (again) {
            version->handle = again;
            version->table = NULL;
            return false;
        }
    }
    close(version->copy);
    return true;
}

/* Returns 0 if a new version serves, -EALREADY if the old one is the newest, or why not. */
static int take_up(struct vine_library_set *set, int directory, struct library_entry *entry)
{
    char reason[LIBRARY_REASON_BYTES] = "";
    struct library_identity identity = {0};
    struct library_version *version;
    bool is_offered = false;
    uint32_t count;
    int copy = -1;
    int error;

    error = library_copy(directory, entry->name, &entry->seen, &identity, &copy, reason);
    if (error == -EALREADY || error == -EAGAIN)
        return error;
    entry->seen = identity;
    if (error == 0 && set->version_count == VINE_LIBRARY_VERSIONS_MAX) {
        close(copy);
        snprintf(reason, sizeof(reason), "%d versions are loaded and stay: restart the appliance",
                 VINE_LIBRARY_VERSIONS_MAX);
        error = -VINE_EQUOTA;
    } else if (error == 0) {
        version = &set->versions[set->version_count];
        error = load(version, copy, reason);
        if (error == 0 && !is_table_good(set, entry, version->table, reason))
            error = -ENOEXEC;
        if (error == 0) {
            /* From here on the appliance may hold a definition of it. */
            is_offered = true;
            error = register_table(set, entry, version->table, reason);
        }
        if (is_offered || !unload(version))
            set->version_count++;
        if (error == 0)
            entry->current = version;
    }
    if (error < 0) {
        refuse(set, entry->name, error, reason, entry->current != NULL);
        return error;
    }
    count = (uint32_t)(entry->current->table->end - entry->current->table->begin);
    say(set, VINE_LOG_INFO, entry->name, "%u procedure%s, version %u", count, count == 1 ? "" : "s",
        set->version_count);
    tell(set, &(struct vine_library_news){
                  .file = entry->name, .procedure_count = count, .version = set->version_count});
    return 0;
}

/* ---- the directory --------------------------------------------------------------------------- */

static bool is_library_name(const char *name)
{
    const size_t length = strlen(name);

    return name[0] != '.' && length > 3 && strcmp(name + length - 3, ".so") == 0;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static struct library_entry *find_entry(struct vine_library_set *set, const char *name)
{
    struct library_entry *entry;

    for (uint32_t index = 0; index < set->entry_count; index++)
        if (strcmp(set->entries[index].name, name) == 0)
            return &set->entries[index];
    if (set->entry_count == LIBRARY_FILES_MAX || strlen(name) > NAME_MAX)
        return NULL;
    entry = &set->entries[set->entry_count++];
    *entry = (struct library_entry){0};
    memcpy(entry->name, name, strlen(name) + 1);
    return entry;
}

/* Open the directory, check it, watch what was opened. */
static int open_directory(struct vine_library_set *set)
{
    char reason[LIBRARY_REASON_BYTES] = "";
    char path[32];
    struct stat status;
    int error = 0;
    const int directory = open(set->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (directory < 0 || fstat(directory, &status) < 0) {
        error = -errno;
        snprintf(reason, sizeof(reason), "it cannot be read: %s", strerror(-error));
    } else if (!library_is_ours(&status, reason)) {
        error = -EPERM;
    }
    if (error < 0) {
        if (!set->is_directory_refused)
            refuse(set, NULL, error, reason, false);
        set->is_directory_refused = true;
        if (directory >= 0)
            close(directory);
        return error;
    }
    set->is_directory_refused = false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", directory);
    if (set->notify >= 0 && inotify_add_watch(set->notify, path, LIBRARY_EVENTS) < 0) {
        close(set->notify);
        set->notify = -1;
    }
    return directory;
}

/* The names of libraries, sorted; the caller frees each and the array. Returns how many. */
static size_t list_names(int directory, char ***ret_names)
{
    const int again = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    DIR *stream = again >= 0 ? fdopendir(again) : NULL;
    char **names = calloc(LIBRARY_FILES_MAX, sizeof(*names));
    size_t count = 0;
    const struct dirent *item;

    if (!stream && again >= 0)
        close(again);
    while (stream && names && count < LIBRARY_FILES_MAX && (item = readdir(stream)) != NULL)
        if (is_library_name(item->d_name) && (names[count] = strdup(item->d_name)) != NULL)
            count++;
    if (stream)
        closedir(stream);
    if (count > 0)
        qsort(names, count, sizeof(*names), compare_names);
    *ret_names = names;
    return count;
}

static bool is_listed(char *const *names, size_t count, const char *name)
{
    for (size_t index = 0; index < count; index++)
        if (strcmp(names[index], name) == 0)
            return true;
    return false;
}

static uint32_t scan(struct vine_library_set *set, int directory)
{
    char **names;
    const size_t count = list_names(directory, &names);
    uint32_t taken = 0;

    for (size_t index = 0; index < count; index++) {
        struct library_entry *entry = find_entry(set, names[index]);

        if (entry) {
            if (take_up(set, directory, entry) == 0)
                taken++;
        } else if (!set->is_full) {
            set->is_full = true;
            refuse(set, names[index], -VINE_EQUOTA, "there are more libraries than can be taken up",
                   false);
        }
    }
    for (uint32_t index = 0; index < set->entry_count; index++) {
        struct library_entry *entry = &set->entries[index];

        if (entry->seen.inode != 0 && !is_listed(names, count, entry->name)) {
            entry->seen = (struct library_identity){0};
            if (!entry->current)
                continue;
            say(set, VINE_LOG_INFO, entry->name, "is gone; what was loaded goes on serving");
            tell(set, &(struct vine_library_news){
                          .file = entry->name, .is_gone = true, .version = set->version_count});
        }
    }
    for (size_t index = 0; index < count; index++)
        free(names[index]);
    free(names);
    return taken;
}

int vine_library_open(const char *directory, struct vine_appliance *appliance,
                      const struct vine_library_watcher *watcher, struct vine_library_set **ret_set)
{
    struct vine_library_set *set = calloc(1, sizeof(*set));
    int opened;

    if (!set)
        return -ENOMEM;
    set->appliance = appliance;
    set->watcher = *watcher;
    set->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    set->directory = strdup(directory);
    opened = set->directory ? open_directory(set) : -ENOMEM;
    if (opened < 0) {
        vine_library_close(set);
        return opened;
    }
    (void)scan(set, opened);
    close(opened);
    *ret_set = set;
    return 0;
}

int vine_library_fd(const struct vine_library_set *set)
{
    return set ? set->notify : -1;
}

uint32_t vine_library_rescan(struct vine_library_set *set)
{
    uint32_t taken;
    char events[4096];
    int directory;

    if (!set)
        return 0;
    /* Before the scan: what happens from now on polls readable again. */
    while (set->notify >= 0 && read(set->notify, events, sizeof(events)) > 0)
        continue;
    directory = open_directory(set);
    if (directory < 0)
        return 0;
    taken = scan(set, directory);
    close(directory);
    return taken;
}

void vine_library_close(struct vine_library_set *set)
{
    if (!set)
        return;
    for (uint32_t index = 0; index < set->version_count; index++) {
        dlclose(set->versions[index].handle);
        close(set->versions[index].copy);
    }
    if (set->notify >= 0)
        close(set->notify);
    free(set->directory);
    free(set);
}
