/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_HEADER  "vine-run 1\n"
#define STATE_MAX     (4ULL << 30) /* bytes that are read; a larger file is begun anew */
#define DEAD_LINES_OK 1000

struct loader {
    struct state *state;
    const char *with;
    bool same_boot;
    size_t capacity;
    size_t unsynced; /* the first record that no `synced` follows yet */
};

static uint64_t nanoseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000ULL + (uint64_t)time->tv_nsec;
}

static void read_boot_id(char *ret_text, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    ret_text[0] = '\0';
    if (file != NULL) {
        if (fgets(ret_text, (int)size, file) == NULL)
            ret_text[0] = '\0';
        fclose(file);
    }
    ret_text[strcspn(ret_text, "\n")] = '\0';
    if (ret_text[0] == '\0')
        snprintf(ret_text, size, "unknown");
}

/* In place. Returns false if it is not what state_add writes. */
static bool unescape(char *path)
{
    char *to = path;

    for (const char *at = path; *at != '\0'; at++) {
        char byte = *at;
        if (byte == '\\') {
            at++;
            byte = (char)(*at == 'n' ? '\n' : *at == 'r' ? '\r' : *at);
            if (*at != 'n' && *at != 'r' && *at != '\\')
                return false;
        }
        *to++ = byte;
    }
    *to = '\0';
    return to != path;
}

/* The eighth field of a `done` line, and with blanks in it. */
static char *path_field(char *fields)
{
    char *at = fields;

    for (int i = 0; i < 7; i++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return NULL;
        at++;
    }
    return at;
}

static int take_done(struct loader *loader, char *fields)
{
    struct state *state = loader->state;
    char *path = path_field(fields);

    if (path == NULL)
        return 0;
    path[-1] = '\0';
    if (!unescape(path))
        return 0;
    if (state->count == loader->capacity) {
        const size_t capacity = loader->capacity > 0 ? 2 * loader->capacity : 256;
        struct state_record *records = realloc(state->records, capacity * sizeof(*records));
        if (records == NULL)
            return -ENOMEM;
        state->records = records;
        loader->capacity = capacity;
    }
    state->records[state->count++] = (struct state_record){
        .path = path, .with = loader->with, .fields = fields, .believed = loader->same_boot};
    return 0;
}

static int take_line(struct loader *loader, char *line)
{
    struct state *state = loader->state;

    state->lines++;
    if (strncmp(line, "done ", 5) == 0)
        return take_done(loader, line + 5);
    if (strncmp(line, "with ", 5) == 0)
        loader->with = line + 5;
    else if (strncmp(line, "boot ", 5) == 0)
        loader->same_boot = strcmp(line + 5, state->boot) == 0;
    else if (strcmp(line, "synced") == 0)
        for (; loader->unsynced < state->count; loader->unsynced++)
            state->records[loader->unsynced].believed = true;
    return 0;
}

/* Fields lie in the order of the lines. */
static int compare_records(const void *one, const void *other)
{
    const struct state_record *a = one, *b = other;
    const int order = strcmp(a->path, b->path);

    return order != 0 ? order : a->path < b->path ? -1 : 1;
}

static void keep_last_of_each(struct state *state)
{
    size_t kept = 0;

    if (state->count > 1)
        qsort(state->records, state->count, sizeof(*state->records), compare_records);
    for (size_t i = 0; i < state->count; i++)
        if (i + 1 == state->count ||
            strcmp(state->records[i].path, state->records[i + 1].path) != 0)
            state->records[kept++] = state->records[i];
    state->count = kept;
}

/* A last line without its newline was cut off by a kill: it counts for nothing. */
static int parse(struct state *state, char *bytes, size_t size)
{
    struct loader loader = {.state = state, .with = ""};
    char *const end = bytes + size;
    int error = 0;

    if (size < strlen(STATE_HEADER) || memcmp(bytes, STATE_HEADER, strlen(STATE_HEADER)) != 0)
        return 0;
    for (char *line = bytes, *newline; error == 0 && line < end; line = newline + 1) {
        newline = memchr(line, '\n', (size_t)(end - line));
        if (newline == NULL)
            break;
        *newline = '\0';
        if (strlen(line) == (size_t)(newline - line))
            error = take_line(&loader, line);
    }
    if (error == 0)
        keep_last_of_each(state);
    return error;
}

static int load(struct output *output, struct state *state)
{
    struct stat status;
    const int fd = openat(output->fd, STATE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &status) < 0)
        error = -errno;
    else if (!S_ISREG(status.st_mode))
        error = -EINVAL;
    else if ((uint64_t)status.st_size <= STATE_MAX)
        state->bytes = malloc((size_t)status.st_size + 1);
    size_t size = 0;
    while (error == 0 && state->bytes != NULL && size < (size_t)status.st_size) {
        const ssize_t got = read(fd, state->bytes + size, (size_t)status.st_size - size);
        if (got < 0 && errno != EINTR)
            error = -errno;
        if (got == 0)
            break;
        size += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return error < 0 || state->bytes == NULL ? error : parse(state, state->bytes, size);
}

static void put_path(FILE *file, const char *path)
{
    for (; *path != '\0'; path++) {
        if (*path == '\n')
            fputs("\\n", file);
        else if (*path == '\r')
            fputs("\\r", file);
        else if (*path == '\\')
            fputs("\\\\", file);
        else
            putc(*path, file);
    }
    putc('\n', file);
}

/* Write the living records into a new file, which takes the old one's place. */
static int rewrite(struct output *output, const struct state *state)
{
    struct output_file file;
    struct stat status;
    const char *with = "";
    int error = output_begin(output, STATE_NAME, 0666, NULL, &file);

    if (error < 0)
        return error;
    const int fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 0);
    FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (stream == NULL) {
        output_abandon(&file);
        return -ENOMEM;
    }
    fprintf(stream, STATE_HEADER "boot %s\n", state->boot);
    for (size_t i = 0; i < state->count; i++) {
        const struct state_record *record = &state->records[i];
        if (!record->believed)
            continue;
        if (strcmp(record->with, with) != 0)
            fprintf(stream, "with %s\n", record->with);
        with = record->with;
        fprintf(stream, "done %s ", record->fields);
        put_path(stream, record->path);
    }
    const bool written = fflush(stream) == 0 && !ferror(stream);
    fclose(stream);
    if (!written) {
        output_abandon(&file);
        return -EIO;
    }
    return output_commit(&file, &status);
}

static int open_end(struct output *output, struct state *state)
{
    const int fd = openat(output->fd, STATE_NAME,
                          O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);

    if (fd < 0)
        return -errno;
    state->file = fdopen(fd, "a");
    if (state->file == NULL) {
        close(fd);
        return -ENOMEM;
    }
    /* A line at a time, so that a kill loses none; a newline first: it ends what a kill cut off. */
    setvbuf(state->file, NULL, _IOLBF, 8192);
    fprintf(state->file, "\nboot %s\nwith %s\n", state->boot, state->with);
    return fflush(state->file) != 0 ? -errno : 0;
}

int state_open(struct output *output, const char *with, struct state *ret_state)
{
    struct state state = {.with = strdup(with)};

    read_boot_id(state.boot, sizeof(state.boot));
    int error = state.with != NULL ? load(output, &state) : -ENOMEM;
    if (error == 0 && (state.lines == 0 || state.lines > 2 * state.count + DEAD_LINES_OK))
        error = rewrite(output, &state);
    if (error == 0)
        error = open_end(output, &state);
    if (error < 0) {
        (void)state_close(&state, false);
        return error;
    }
    *ret_state = state;
    return 0;
}

static const struct state_record *find(const struct state *state, const char *path)
{
    size_t low = 0, high = state->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(path, state->records[middle].path);
        if (order == 0)
            return &state->records[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool state_knows(const struct state *state, const char *path)
{
    return find(state, path) != NULL;
}

bool state_is_complete(const struct state *state, const char *path, const struct stat *result,
                       const struct stat *source, unsigned char *ret_sum, size_t *ret_sum_size)
{
    const struct state_record *record = find(state, path);
    char expected[256];

    if (record == NULL || !record->believed || strcmp(record->with, state->with) != 0)
        return false;
    const int length =
        snprintf(expected, sizeof(expected), "%lld %" PRIu64 " %lld %" PRIu64 " %" PRIu64 " %llu ",
                 (long long)result->st_size, nanoseconds(&result->st_mtim),
                 (long long)source->st_size, nanoseconds(&source->st_mtim),
                 nanoseconds(&source->st_ctim), (unsigned long long)source->st_ino);
    if (strncmp(record->fields, expected, (size_t)length) != 0)
        return false;
    const char *sum = record->fields + length;
    *ret_sum_size = sums_from_hex(sum, strlen(sum), ret_sum, SUMS_BYTES_MAX);
    return true;
}

void state_add(struct state *state, const char *path, const struct stat *result,
               const struct stat *source, const unsigned char *sum)
{
    char hex[2 * SUMS_BYTES_MAX + 1] = "-";

    if (state->file == NULL)
        return;
    if (sum != NULL)
        sums_hex(sum, SUMS_BYTES_MAX, hex);
    fprintf(state->file, "done %lld %" PRIu64 " %lld %" PRIu64 " %" PRIu64 " %llu %s ",
            (long long)result->st_size, nanoseconds(&result->st_mtim), (long long)source->st_size,
            nanoseconds(&source->st_mtim), nanoseconds(&source->st_ctim),
            (unsigned long long)source->st_ino, hex);
    put_path(state->file, path);
}

int state_close(struct state *state, bool synced)
{
    int error = 0;

    if (state->file != NULL) {
        if (synced)
            fputs("synced\n", state->file);
        if (fflush(state->file) != 0 || ferror(state->file))
            error = -EIO;
        if (fclose(state->file) != 0 && error == 0)
            error = -errno;
    }
    free(state->bytes);
    free(state->records);
    free(state->with);
    *state = (struct state){0};
    return error;
}
