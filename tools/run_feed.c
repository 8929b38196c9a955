/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_feed.c - from the walk to tasks: files are opened, read in chunks, and issued.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vine/error.h>

#include "utils/assert.h"

#include "message.h"
#include "run.h"

/* File systems of old stamp changes with the time of a timer's tick. */
#define TICK_NS 10000000LL

/* Compressed input for one expanding task: what usually fills the room of its result. */
#define EXPAND_INPUT (256ULL << 10)

static uint64_t smaller(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* A change within the same tick as the last one would leave no trace: wait until the tick has gone
 * by before reading what has only just been changed. */
static void let_tick_pass(const struct stat *status)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    const long long age = (now.tv_sec - status->st_ctim.tv_sec) * 1000000000LL +
                          (now.tv_nsec - status->st_ctim.tv_nsec);
    if (age < 0 || age >= TICK_NS)
        return;
    poll(NULL, 0, (int)((TICK_NS - age) / 1000000) + 1);
}

/* What was named has to be done, and has failed; what a directory holds is passed over. */
static void pass_over(struct run *run, const struct walk_entry *entry, struct file *file,
                      const char *why, bool is_noted)
{
    if (entry->is_argument) {
        run_file_fail(run, file, why, 0);
        return;
    }
    run_file_pass(file, why);
    if (is_noted)
        message_note("%s: %s; passed over", message_escape(entry->shown), why);
}

/* What our own runs leave beside compressed files is nothing to expand, and no surprise. */
static bool is_our_own(const struct run *run, const struct walk_entry *entry)
{
    const char *slash = strrchr(entry->path, '/');
    const char *name = slash != NULL ? slash + 1 : entry->path;

    return run->options.recipe.takes_suffix_off && entry->kind == WALK_FILE &&
           !entry->is_argument && (strcmp(name, STATE_NAME) == 0 || strcmp(name, SUMS_NAME) == 0);
}

/* See whether the entry is a file to work on; what else there is to say of it is said. */
static void judge(struct run *run, const struct walk_entry *entry, struct file *file)
{
    char why[64];

    switch (entry->kind) {
    case WALK_FILE:
        if (recipe_fits(&run->options.recipe, entry->path))
            break;
        snprintf(why, sizeof(why), "its name does not end in %s", run->options.recipe.suffix);
        pass_over(run, entry, file, why, true);
        break;
    case WALK_LINK:
        pass_over(run, entry, file, "a symbolic link", run->options.verbose);
        break;
    case WALK_SPECIAL:
        pass_over(run, entry, file, entry->reason, true);
        break;
    case WALK_EXCLUDED:
        pass_over(run, entry, file, "where results go", true);
        break;
    case WALK_ERROR:
    default:
        run_file_fail(run, file, NULL, entry->error);
        break;
    }
}

static struct file *append_file(struct run *run, const struct walk_entry *entry)
{
    const bool makes_file = run->options.recipe.makes_files && entry->kind == WALK_FILE &&
                            recipe_fits(&run->options.recipe, entry->path);
    struct file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->fd = -1;
    file->output.fd = -1;
    file->before = entry->status;
    file->path = strdup(entry->path);
    file->shown = strdup(entry->shown);
    if (makes_file)
        file->result_path = recipe_result_path(&run->options.recipe, entry->path);
    if (file->path == NULL || file->shown == NULL || (makes_file && file->result_path == NULL)) {
        run_file_free(run, file);
        return NULL;
    }
    *run->last = file;
    run->last = &file->next;
    run->unretired++;
    return file;
}

static bool is_reserved(const struct run *run, const char *path)
{
    return strcmp(path, STATE_NAME) == 0 ||
           (run->options.with_sums && strcmp(path, SUMS_NAME) == 0);
}

static int source_flags(const struct walk_entry *entry)
{
    return entry->is_argument ? 0 : AT_SYMLINK_NOFOLLOW;
}

/* Whether the result is there already. */
static bool is_unchanged(struct run *run, const struct walk_entry *entry, struct file *file)
{
    struct stat result;

    if (!state_knows(&run->state, file->result_path))
        return false;
    if (!entry->has_status &&
        fstatat(entry->directory, entry->name, &file->before, source_flags(entry)) < 0)
        return false; /* opening it will say why */
    return output_stat(&run->output, file->result_path, &result) == 0 && S_ISREG(result.st_mode) &&
           state_is_complete(&run->state, file->result_path, &result, &file->before, file->sum,
                             &file->sum_size) &&
           (!run->options.with_sums || file->sum_size == SUMS_BYTES_MAX);
}

static int open_source(const struct walk_entry *entry, struct file *file)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    file->fd = openat(entry->directory, entry->name, flags | (entry->is_argument ? 0 : O_NOFOLLOW));
    if (file->fd < 0)
        return -errno;
    if (fstat(file->fd, &file->before) < 0)
        return -errno;
    return S_ISREG(file->before.st_mode) ? 0 : -EINVAL; /* it became something else meanwhile */
}

/* What goes with one task has to be what the procedure takes. */
static bool has_right_size(struct run *run, struct file *file)
{
    const struct recipe *recipe = &run->options.recipe;
    const uint64_t size = (uint64_t)file->before.st_size;
    char what[128];

    if (recipe->shape != RECIPE_WHOLE || (size >= recipe->input_min && size <= recipe->input_max))
        return true;
    snprintf(what, sizeof(what), "it has %llu bytes, and %s takes %llu to %llu",
             (unsigned long long)size, recipe->procedure, (unsigned long long)recipe->input_min,
             (unsigned long long)recipe->input_max);
    run_file_fail(run, file, what, 0);
    return false;
}

static void begin_file(struct run *run, const struct walk_entry *entry, struct file *file)
{
    if (file->result_path != NULL) {
        if (is_reserved(run, file->result_path)) {
            run_file_fail(run, file, "its result would have a name that is taken", 0);
            return;
        }
        if (is_unchanged(run, entry, file)) {
            file->outcome = FILE_UNCHANGED;
            return;
        }
    }
    int error = open_source(entry, file);
    if (error < 0) {
        run_file_fail(run, file, NULL, error);
        return;
    }
    if (!has_right_size(run, file))
        return;
    if (file->result_path != NULL) {
        let_tick_pass(&file->before);
        error = output_begin(&run->output, file->result_path, file->before.st_mode & 0777,
                             &file->before, &file->output);
        if (error < 0) {
            run_file_fail(run, file, "cannot write its result", error);
            return;
        }
    }
    run_file_rewind(run, file, true);
    run->active[run->active_count++] = file;
}

bool run_take_file(struct run *run)
{
    struct walk_entry entry;

    if (run->walk_has_ended || run->active_count >= run->files_max ||
        run->unretired >= RUN_UNRETIRED_MAX)
        return false;
    int outcome;
    do
        outcome = walk_next(run->walk, &entry);
    while (outcome == 1 && is_our_own(run, &entry));
    struct file *file = outcome == 1 ? append_file(run, &entry) : NULL;
    if (file == NULL) {
        run->walk_has_ended = true;
        if (outcome != 0) {
            message_error("out of memory");
            run->is_fatal = true;
        }
        return false;
    }
    judge(run, &entry, file);
    if (file->outcome == FILE_ACTIVE)
        begin_file(run, &entry, file);
    if (file->outcome != FILE_ACTIVE)
        run_file_settle(run, file);
    return true;
}

/* Returns 0, a negated errno, or -ESTALE if the file is shorter than it was. */
static int read_fully(int fd, void *bytes, uint64_t size, uint64_t offset)
{
    uint64_t done = 0;

    while (done < size) {
        const ssize_t got =
            pread(fd, (char *)bytes + done, (size_t)(size - done), (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -ESTALE;
        done += (uint64_t)got;
    }
    return 0;
}

/* Errors that pass when a task ends. */
static bool is_refusal(int error)
{
    return error == -EAGAIN || error == -VINE_EQUOTA;
}

/* The engine did not take something of the file: for now, for ever because it is lost, or because
 * of the file. */
static enum feed refuse(struct run *run, struct file *file, int error)
{
    run->refused = error;
    if (is_refusal(error))
        return FEED_REFUSED;
    if (run_is_loss(error)) {
        run->lost = error;
        return FEED_REFUSED;
    }
    run_file_fail(run, file, NULL, error);
    return FEED_NOTHING;
}

/* Read a piece of the file into new memory of the engine. */
static enum feed read_block(struct run *run, struct file *file, uint64_t offset, uint64_t size,
                            struct block **ret_block)
{
    int error = engine_block_create(run->engine, size, ret_block);

    if (error < 0)
        return refuse(run, file, error);
    error = read_fully(file->fd, (*ret_block)->bytes, size, offset);
    if (error == 0) {
        run->progress.bytes_in += size;
        return FEED_ISSUED;
    }
    engine_block_unref(*ret_block);
    if (error == -ESTALE)
        run_file_changed(run, file);
    else
        run_file_fail(run, file, NULL, error);
    return FEED_NOTHING;
}

static void keep_unsent(struct run *run, struct work *work)
{
    work->next = NULL;
    *run->unsent_last = work;
    run->unsent_last = &work->next;
}

/* Work that was refused because of its file is freed, and the file has failed. Returns whether. */
static bool take_back(struct run *run, struct work *work, int error)
{
    struct file *file = work->owner;

    if (refuse(run, file, error) == FEED_REFUSED)
        return false;
    file->in_flight--;
    run->memory -= work->cost;
    run_work_free(run, work);
    return true;
}

/* The work counts as the file's from here on, whether it is issued now or later. */
static void send_work(struct run *run, struct work *work)
{
    struct file *file = work->owner;

    file->in_flight++;
    run->memory += work->cost;
    const int error = run->unsent == NULL ? engine_issue(run->engine, work) : -EAGAIN;
    if (error < 0 && !take_back(run, work, error))
        keep_unsent(run, work);
}

bool run_feed_unsent(struct run *run)
{
    while (run->unsent != NULL) {
        struct work *work = run->unsent;
        struct work *next = work->next;
        const int error = engine_issue(run->engine, work);

        if (error < 0 && !take_back(run, work, error))
            return false;
        run->unsent = next;
        if (next == NULL)
            run->unsent_last = &run->unsent;
    }
    return true;
}

static struct work *make_work(struct file *file, enum engine_role role, struct block *block,
                              uint64_t room)
{
    struct work *work = calloc(1, sizeof(*work));

    if (work == NULL)
        return NULL;
    work->owner = file;
    work->role = role;
    work->input = block;
    work->room = room;
    work->cost = block->size + room;
    engine_block_ref(block);
    return work;
}

static enum feed open_session(struct run *run, struct file *file, struct engine_session **session,
                              enum engine_role role)
{
    const int error = *session == NULL ? engine_session_open(run->engine, role, session) : 0;

    return error < 0 ? refuse(run, file, error) : FEED_ISSUED;
}

static bool has_room(const struct run *run, uint32_t tasks, uint64_t bytes)
{
    if (run->engine->in_flight == 0)
        return true; /* one goes always, however large */
    return run->engine->in_flight + tasks <= run->tasks_max &&
           run->memory + bytes <= run->memory_max;
}

static bool out_of_memory(struct run *run, struct file *file)
{
    run_file_fail(run, file, NULL, -ENOMEM);
    return false;
}

static enum feed feed_chunk(struct run *run, struct file *file, bool needs_main, bool needs_sum)
{
    const struct recipe *recipe = &run->options.recipe;
    const uint64_t index = needs_main && needs_sum ? smaller(file->next_main, file->next_sum)
                           : needs_main            ? file->next_main
                                                   : file->next_sum;
    const uint64_t offset = index * file->chunk_bytes;
    const uint64_t size = smaller(file->chunk_bytes, (uint64_t)file->before.st_size - offset);
    const bool is_last = index + 1 == file->chunk_count;
    const bool for_main = needs_main && file->next_main == index;
    const bool for_sum = needs_sum && file->next_sum == index;
    const uint64_t room = for_main ? recipe_room(recipe, size) : 0;
    struct block *block;

    run->refused = -EAGAIN;
    if (!has_room(run, (uint32_t)for_main + (uint32_t)for_sum, size + room))
        return FEED_REFUSED;
    const bool has_sessions = file->chunk_count > 1;
    enum feed opened = FEED_ISSUED;
    if (has_sessions && for_main && recipe->needs_sessions)
        opened = open_session(run, file, &file->session, ENGINE_MAIN);
    if (has_sessions && for_sum && opened == FEED_ISSUED)
        opened = open_session(run, file, &file->sum_session, ENGINE_SUM);
    if (opened != FEED_ISSUED)
        return opened;
    const enum feed read = read_block(run, file, offset, size, &block);
    if (read != FEED_ISSUED)
        return read;
    struct work *main = for_main ? make_work(file, ENGINE_MAIN, block, room) : NULL;
    struct work *sum = for_sum ? make_work(file, ENGINE_SUM, block, 0) : NULL;
    engine_block_unref(block);
    if ((for_main && main == NULL) || (for_sum && sum == NULL))
        return out_of_memory(run, file) ? FEED_ISSUED : FEED_NOTHING;
    if (main != NULL) {
        main->index = index;
        main->session = file->session;
        main->is_last = is_last;
        file->next_main++;
        send_work(run, main);
    }
    if (sum != NULL) {
        sum->index = index;
        sum->session = file->sum_session;
        sum->is_last = is_last;
        file->next_sum++;
        send_work(run, sum);
    }
    return FEED_ISSUED;
}

/* One task at a time: how much it took says what the next one gets. */
static enum feed feed_expand(struct run *run, struct file *file)
{
    const uint64_t left = (uint64_t)file->before.st_size - file->expand_offset;
    const uint64_t size = file->expand_has_more ? 0 : smaller(left, EXPAND_INPUT);
    const uint64_t room = recipe_room(&run->options.recipe, size);
    struct block *block;

    run->refused = -EAGAIN;
    if (!has_room(run, 1, size + room))
        return FEED_REFUSED;
    const enum feed opened = open_session(run, file, &file->session, ENGINE_MAIN);
    if (opened != FEED_ISSUED)
        return opened;
    const enum feed read = read_block(run, file, file->expand_offset, size, &block);
    if (read != FEED_ISSUED)
        return read;
    struct work *work = make_work(file, ENGINE_MAIN, block, room);
    engine_block_unref(block);
    if (work == NULL)
        return out_of_memory(run, file) ? FEED_ISSUED : FEED_NOTHING;
    work->session = file->session;
    work->is_last = size == 0 && !file->expand_has_more;
    work->index = file->next_main++;
    file->expand_is_over = work->is_last;
    send_work(run, work);
    return FEED_ISSUED;
}

enum feed run_feed_file(struct run *run, struct file *file)
{
    const bool expands = run->options.recipe.shape == RECIPE_EXPAND;

    if (file->outcome != FILE_ACTIVE || file->wants_restart)
        return FEED_NOTHING;
    if (run->unsent != NULL)
        return FEED_REFUSED;
    const bool needs_sum = run->options.with_sums && file->next_sum < file->chunk_count;
    const bool needs_main = !expands && file->next_main < file->chunk_count;
    if (expands && !file->expand_is_over && file->next_main == file->written) {
        const enum feed fed = feed_expand(run, file);
        if (fed != FEED_NOTHING || !needs_sum || file->outcome != FILE_ACTIVE)
            return fed;
    }
    if (!needs_main && !needs_sum)
        return FEED_NOTHING;
    return feed_chunk(run, file, needs_main, needs_sum);
}
