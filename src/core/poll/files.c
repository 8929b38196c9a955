/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/files.c - files of a micro-process, outside: opened below a root, and sent behind
 * what was written to a socket.
 *
 * A connection of the kernel's sends a file by itself; on others (TLS, pipes) a part of it is read
 * into memory and sent from there. What is small and in memory goes out with what was
 * written in front of it.
 */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "arch/poll/poll.h"
#include "arch/storage/beneath.h"
#include "core/network/network.h"
#include "core/poll/poll_internal.h"
#include "core/reactor/reactor.h"

#define COPY_BYTES (64 * 1024U)
#define PART_MAX   (1U << 30)

/* Written before services start, and read by all cores. */
static int roots[VINE_ROOTS_MAX];
static uint32_t root_count;

struct opened {
    struct further *further;
    int fd; /* -1: not yet */
    int root_fd;
    uint32_t place;          /* of its struct vine_below, in the heap */
    bool is_opening;         /* a worker does that: `operation` is the poller's, */
    bool is_reading;         /* as it is here */
    bool is_going;           /* it is being sent, */
    struct vine__outlet *on; /* there, or will be; NULL: it is not to be sent */
    uint64_t at;
    uint32_t left;         /* what of it */
    bool is_left;          /* nobody inside has it any more */
    unsigned char *copied; /* a part of it, where that has to be; or NULL */
    struct vine__sender *sender;
    struct vine__beneath_status status;
    struct vine__operation operation;
    struct vine_work work; /* behind a read, with its `result` */
    int32_t result;
    char path[VINE_BELOW_PATH_MAX];
};

int vine_root_open(const char *path, struct vine_root *ret_root)
{
    int error;

    if (root_count == VINE_ROOTS_MAX)
        return -ENOSPC;
    error = vine__beneath_root(path, &roots[root_count]);
    if (error == 0)
        ret_root->number = ++root_count;
    return error;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Once nobody has it and nothing of it is under way. */
static void look_at_end(struct opened *file)
{
    struct further *const further = file->further;

    if (!file->is_left || file->is_opening || file->is_going)
        return;
    if (file->fd >= 0)
        vine__beneath_close(file->fd);
    vine__closed_free(file->copied);
    vine__closed_free(file);
    further->file = NULL;
    vine_work_post(&further->closed);
}

void vine__opened_leave(struct opened *file)
{
    file->is_left = true;
    if (file->is_opening || file->is_reading) {
        vine__poller_cancel(vine__reactor_poller(), &file->operation);
    } else if (file->is_going) {
        vine_send_cancel(&file->sender->send);
    } else if (file->on != NULL) {
        /* It was to go out, and what is behind it must not without it. */
        file->on->has_file = false;
        file->on->error = -ECANCELED;
        file->on = NULL;
    }
    look_at_end(file);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void opened(struct opened *file, int error)
{
    struct further *const further = file->further;

    if (file->is_left) {
        look_at_end(file);
        return;
    }
    further->answer = -(int64_t)error;
    further->has_answer = true;
    vine_work_post(&further->polling->work);
}

static void see_read(struct vine_work *work);

/* On another thread. */
static int32_t open_patiently(void *context)
{
    struct opened *const file = context;

    return vine__beneath_open(file->root_fd, file->path, true, &file->fd, &file->status);
}

static void on_opened(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct opened *const file = VINE_CONTAINER_OF(operation, struct opened, operation);

    (void)flags;
    file->is_opening = false;
    opened(file, result);
}

int vine__opened_open(struct further *further, uint32_t root, const char *path, uint32_t place)
{
    struct opened *file;
    int error;

    if (root == 0 || root > root_count)
        return -VINE_ECORRUPT;
    file = vine__closed_alloc(sizeof(*file));
    if (file == NULL)
        return -ENOMEM;
    further->file = file;
    file->further = further;
    file->fd = -1;
    file->root_fd = roots[root - 1];
    file->place = place;
    vine_work_init(&file->work, see_read);
    error = vine__beneath_open(file->root_fd, path, false, &file->fd, &file->status);
    if (error != -EAGAIN) {
        opened(file, error);
        return 0;
    }
    memcpy(file->path, path, strlen(path) + 1);
    file->is_opening = true;
    file->operation = (struct vine__operation){
        .fn = on_opened, .kind = VINE__POLL_CALL, .call = open_patiently, .context = file};
    vine__poller_begin(vine__reactor_poller(), &file->operation);
    return 0;
}

/* Those inside see what it is when they are told that it is there. */
void vine__opened_tell(const struct opened *file)
{
    const struct vine_below below = {
        .size_bytes = file->status.size_bytes,
        .modified_s = file->status.modified_s,
        .modified_ns = file->status.modified_ns,
        .is_folder = file->status.is_folder,
    };

    memcpy(file->further->polling->heap->region.start + file->place, &below, sizeof(below));
}

/* ---- sending --------------------------------------------------------------------------------- */

/* All of it, behind what is written, without a wait for the disk. Returns whether that was done. */
static bool add_to_written(struct vine__outlet *outlet, const struct opened *file)
{
    const uint32_t room = VINE__BLOCK_BYTES - outlet->written_size;

    if (outlet->written == NULL || file->left > room ||
        vine__beneath_read_here(file->fd, outlet->written + outlet->written_size, file->left,
                                file->at) != (int64_t)file->left)
        return false;
    outlet->written_size += file->left;
    outlet->told = (int32_t)file->left;
    return true;
}

int vine__opened_ask(struct vine__polling *polling, struct vine__outlet *outlet, uint64_t a,
                     struct vine__asker asker)
{
    const struct further *further;
    struct vine__below below;
    struct opened *file;

    if (!vine__heap_has(polling->heap, a, sizeof(below), _Alignof(struct vine__below)))
        return -VINE_ECORRUPT;
    memcpy(&below, (const void *)(uintptr_t)a, sizeof(below));
    further = vine__further_at(polling, below.beyond.at_end.place);
    file = further != NULL ? further->file : NULL;
    if (file == NULL || file->is_opening || file->fd < 0 || file->on != NULL || outlet->has_file ||
        below.size > INT64_MAX || below.offset > INT64_MAX - below.size)
        return -VINE_ECORRUPT;
    outlet->sent = asker;
    outlet->told = 0;
    file->at = below.offset;
    file->left = below.size < PART_MAX ? (uint32_t)below.size : PART_MAX;
    if (outlet->error != 0 || file->left == 0 || add_to_written(outlet, file))
        return 0;
    file->on = outlet;
    outlet->has_file = true;
    return 0;
}

static struct opened *opened_of(const struct vine__outlet *outlet)
{
    const struct furthers *const furthers = vine__polling_of(outlet)->furthers;

    VINE_LIST_FOR_EACH(node, &furthers->all)
    {
        struct further *const further = VINE_LIST_OBJECT(node, struct further, link);

        if (further->file != NULL && further->file->on == outlet)
            return further->file;
    }
    return NULL;
}

static void end_copying(struct opened *file, int error)
{
    file->sender->send.error = error;
    file->sender->send.sent = 0;
    vine__outlet_send_ended(&file->sender->send);
}

static void see_read(struct vine_work *work)
{
    struct opened *const file = VINE_CONTAINER_OF(work, struct opened, work);
    const int32_t result = file->result;

    if (file->is_left || file->on->connection == NULL)
        end_copying(file, -ECANCELED);
    else if (result <= 0)
        end_copying(file, result == 0 ? -EIO : result); /* 0: it is shorter than it was */
    else
        vine_send(file->on->connection, &file->sender->send, file->copied, (size_t)result,
                  vine__outlet_send_ended);
}

static void on_read(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct opened *const file = VINE_CONTAINER_OF(operation, struct opened, operation);

    (void)flags;
    file->is_reading = false;
    file->result = result;
    vine_work_post(&file->work);
}

static void copy(struct opened *file)
{
    file->is_reading = true;
    file->operation = (struct vine__operation){
        .fn = on_read,
        .kind = VINE__POLL_READ,
        .fd = file->fd,
        .bytes = file->copied,
        .size = file->left < COPY_BYTES ? file->left : COPY_BYTES,
        .offset = file->at,
    };
    vine__poller_begin(vine__reactor_poller(), &file->operation);
}

void vine__opened_send(struct vine__outlet *outlet)
{
    struct opened *const file = opened_of(outlet);
    const bool is_copied = !vine__connection_sends_files(outlet->connection);

    if (is_copied && file->copied == NULL)
        file->copied = vine__closed_alloc_raw(COPY_BYTES);
    file->sender = !is_copied || file->copied != NULL ? vine__outlet_sender(outlet) : NULL;
    if (file->sender == NULL) {
        outlet->error = -ENOMEM;
        outlet->has_file = false;
        file->on = NULL;
        return;
    }
    file->is_going = true;
    outlet->has_news = false;
    if (is_copied)
        copy(file);
    else
        vine__send_file(outlet->connection, &file->sender->send, &file->fd, file->at, file->left,
                        vine__outlet_send_ended);
}

void vine__opened_sent(struct vine__outlet *outlet, size_t sent)
{
    struct opened *const file = opened_of(outlet);

    if (!file->is_going && outlet->error == 0)
        return; /* that was what is in front of it */
    file->is_going = false;
    file->on = NULL;
    outlet->has_file = false;
    outlet->told = (int32_t)sent;
    outlet->is_gone = true; /* it can be written behind it, or an error says why not */
    look_at_end(file);
}
