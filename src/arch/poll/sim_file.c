/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files are arrays of bytes, folders are names that others begin with. The disk is as full as the
 * sizes of all files together.
 */
#include "arch/poll/sim_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- nodes ----------------------------------------------------------------------------------- */

static struct vine__sim_node *find_node(const struct vine__sim *sim, const char *path)
{
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i]->path != NULL && strcmp(sim->nodes[i]->path, path) == 0)
            return sim->nodes[i];
    return NULL;
}

static int add_node(struct vine__sim *sim, const char *path, uint32_t mode,
                    struct vine__sim_node **ret_node)
{
    struct vine__sim_node **nodes =
        realloc(sim->nodes, (sim->node_count + 1) * sizeof(struct vine__sim_node *));

    if (nodes == NULL)
        return -ENOMEM;
    sim->nodes = nodes;
    struct vine__sim_node *node = calloc(1, sizeof(*node));

    if (node == NULL)
        return -ENOMEM;
    node->path = strdup(path);
    if (node->path == NULL) {
        free(node);
        return -ENOMEM;
    }
    node->mode = mode;
    node->references = 1;
    sim->nodes[sim->node_count++] = node;
    *ret_node = node;
    return 0;
}

void vine__sim_node_unref(struct vine__sim *sim, struct vine__sim_node *node)
{
    uint32_t at = 0;

    if (node == NULL || --node->references > 0)
        return;
    while (sim->nodes[at] != node)
        at++;
    sim->nodes[at] = sim->nodes[--sim->node_count];
    sim->disk_used -= node->size;
    free(node->path);
    free(node->bytes);
    free(node);
}

static void forget_path(struct vine__sim *sim, struct vine__sim_node *node)
{
    free(node->path);
    node->path = NULL;
    vine__sim_node_unref(sim, node);
}

static bool is_folder_in_use(const struct vine__sim *sim, const char *path)
{
    const size_t length = strlen(path);

    for (uint32_t i = 0; i < sim->node_count; i++) {
        const char *other = sim->nodes[i]->path;

        if (other != NULL && strncmp(other, path, length) == 0 && other[length] == '/')
            return true;
    }
    return false;
}

/* Make a file so large, with zeros. Returns 0, -ENOSPC or -ENOMEM. */
static int resize(struct vine__sim *sim, struct vine__sim_node *node, uint64_t size)
{
    if (size > node->size) {
        if (size - node->size > sim->options.disk_bytes - sim->disk_used)
            return -ENOSPC;
        unsigned char *bytes = realloc(node->bytes, size);

        if (bytes == NULL)
            return -ENOMEM;
        memset(bytes + node->size, 0, size - node->size);
        node->bytes = bytes;
    }
    sim->disk_used += size - node->size;
    node->size = size;
    return 0;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static int32_t try_open(struct vine__sim *sim, const struct vine__operation *operation)
{
    const int flags = (int)operation->flags;
    struct vine__sim_node *node = find_node(sim, operation->path);
    bool is_new = false;

    if (node != NULL && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
        return -EEXIST;
    if (node == NULL && (flags & O_CREAT) == 0)
        return -ENOENT;
    if (node == NULL) {
        const int error =
            add_node(sim, operation->path, S_IFREG | (operation->mode & 07777), &node);

        if (error != 0)
            return error;
        is_new = true;
    }
    if (S_ISDIR(node->mode) && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (!S_ISDIR(node->mode) && (flags & O_DIRECTORY) != 0)
        return -ENOTDIR;
    const int fd = vine__sim_open(
        sim, &(struct vine__sim_descriptor){
                 .kind = VINE__SIM_FILE, .node = node, .open_flags = operation->flags});

    if (fd < 0) {
        if (is_new)
            forget_path(sim, node);
        return fd;
    }
    node->references++;
    if ((flags & O_TRUNC) != 0 && (flags & O_ACCMODE) != O_RDONLY)
        (void)resize(sim, node, 0);
    return fd;
}

static int32_t try_stat(struct vine__sim *sim, const struct vine__operation *operation)
{
    const struct vine__sim_node *node = NULL;

    if (operation->path[0] == '\0' && (operation->flags & AT_EMPTY_PATH) != 0) {
        const struct vine__sim_descriptor *descriptor = vine__sim_find(sim, operation->fd);

        if (descriptor == NULL)
            return -EBADF;
        node = descriptor->node;
    } else {
        node = find_node(sim, operation->path);
    }
    if (node == NULL)
        return -ENOENT;
    memset(operation->status, 0, sizeof(*operation->status));
    operation->status->stx_mask = STATX_TYPE | STATX_MODE | STATX_SIZE;
    operation->status->stx_mode = (uint16_t)node->mode;
    operation->status->stx_size = node->size;
    operation->status->stx_blksize = 4096;
    return 0;
}

static int32_t try_rename(struct vine__sim *sim, const struct vine__operation *operation)
{
    struct vine__sim_node *from = find_node(sim, operation->path);
    struct vine__sim_node *to = find_node(sim, operation->to_path);

    if (from == NULL)
        return -ENOENT;
    if (to == from)
        return 0;
    if (to != NULL && (operation->flags & RENAME_NOREPLACE) != 0)
        return -EEXIST;
    if (S_ISDIR(from->mode) || (to != NULL && S_ISDIR(to->mode)))
        return -EISDIR; /* the names of what is in it would have to follow */
    char *path = strdup(operation->to_path);

    if (path == NULL)
        return -ENOMEM;
    if (to != NULL)
        forget_path(sim, to);
    free(from->path);
    from->path = path;
    return 0;
}

static int32_t try_unlink(struct vine__sim *sim, const struct vine__operation *operation)
{
    const bool is_for_folder = (operation->flags & AT_REMOVEDIR) != 0;
    struct vine__sim_node *node = find_node(sim, operation->path);

    if (node == NULL)
        return -ENOENT;
    if (S_ISDIR(node->mode) != is_for_folder)
        return is_for_folder ? -ENOTDIR : -EISDIR;
    if (is_for_folder && is_folder_in_use(sim, operation->path))
        return -ENOTEMPTY;
    forget_path(sim, node);
    return 0;
}

int32_t vine__sim_try_path(struct vine__sim *sim, struct vine__operation *operation)
{
    struct vine__sim_node *node;

    if (vine__sim_happens(sim, sim->options.error_per_thousand))
        return -EIO;
    switch (operation->kind) {
    case VINE__POLL_OPEN:
        return try_open(sim, operation);
    case VINE__POLL_STAT:
        return try_stat(sim, operation);
    case VINE__POLL_RENAME:
        return try_rename(sim, operation);
    case VINE__POLL_UNLINK:
        return try_unlink(sim, operation);
    default:
        VINE_ASSERT(operation->kind == VINE__POLL_MAKE_FOLDER);
        if (find_node(sim, operation->path) != NULL)
            return -EEXIST;
        return add_node(sim, operation->path, S_IFDIR | (operation->mode & 07777), &node);
    }
}

/* ---- open files ------------------------------------------------------------------------------ */

static int32_t read_at(struct vine__sim *sim, const struct vine__sim_node *node, void *bytes,
                       uint32_t size, uint64_t offset)
{
    const uint64_t left = offset < node->size ? node->size - offset : 0;
    const uint32_t most = left < size ? (uint32_t)left : size;
    const uint32_t moved = vine__sim_shortened(sim, most);

    if (moved > 0)
        memcpy(bytes, node->bytes + offset, moved);
    return (int32_t)moved;
}

/* What no longer fits the disk is not written: less than all of it, or -ENOSPC. */
static int32_t write_at(struct vine__sim *sim, struct vine__sim_node *node, const void *bytes,
                        uint32_t size, uint64_t offset)
{
    uint32_t moved = vine__sim_shortened(sim, size);

    if (offset + moved > node->size) {
        const uint64_t room = node->size + (sim->options.disk_bytes - sim->disk_used);

        if (offset >= room && moved > 0)
            return -ENOSPC;
        if (offset + moved > room)
            moved = (uint32_t)(room - offset);
        const int error = resize(sim, node, offset + moved);

        if (error != 0)
            return error;
    }
    if (moved > 0)
        memcpy(node->bytes + offset, bytes, moved);
    return (int32_t)moved;
}

static int32_t transfer(struct vine__sim *sim, const struct vine__operation *operation,
                        struct vine__sim_descriptor *file)
{
    const bool is_read = operation->kind == VINE__POLL_READ || operation->kind == VINE__POLL_READV;
    const bool is_vector =
        operation->kind == VINE__POLL_READV || operation->kind == VINE__POLL_WRITEV;
    const struct iovec whole = {.iov_base = operation->bytes, .iov_len = operation->size};
    const struct iovec *vector = is_vector ? operation->vector : &whole;
    const uint32_t count = is_vector ? operation->size : 1;
    const uint32_t refused = is_read ? O_WRONLY : O_RDONLY;
    const bool is_stream = operation->offset == VINE__POLL_STREAM;
    uint64_t offset = is_stream ? file->position : operation->offset;
    int32_t total = 0;

    if ((file->open_flags & O_ACCMODE) == refused)
        return -EBADF;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t size = (uint32_t)vector[i].iov_len;
        const int32_t moved = is_read ? read_at(sim, file->node, vector[i].iov_base, size, offset)
                                      : write_at(sim, file->node, vector[i].iov_base, size, offset);

        if (moved < 0)
            return total > 0 ? total : moved;
        total += moved;
        offset += (uint32_t)moved;
        if ((uint32_t)moved < size)
            break;
    }
    if (is_stream)
        file->position = offset;
    return total;
}

int32_t vine__sim_try_file(struct vine__sim *sim, struct vine__operation *operation,
                           struct vine__sim_descriptor *descriptor)
{
    struct vine__sim_node *node = descriptor->node;
    const bool is_read_only = (descriptor->open_flags & O_ACCMODE) == O_RDONLY;
    const uint64_t end = operation->offset + operation->length;

    if (operation->kind == VINE__POLL_READY)
        return (int32_t)operation->flags; /* a file always is */
    if (operation->kind > VINE__POLL_TRUNCATE)
        return -ENOTSOCK;
    if (S_ISDIR(node->mode))
        return -EISDIR;
    if (vine__sim_happens(sim, sim->options.error_per_thousand))
        return -EIO;
    switch (operation->kind) {
    case VINE__POLL_SYNC:
        return 0;
    case VINE__POLL_ALLOCATE:
        if (is_read_only)
            return -EBADF;
        if (operation->length == 0 || (operation->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE) != 0)
            return operation->length == 0 ? -EINVAL : -EOPNOTSUPP;
        if ((operation->mode & FALLOC_FL_KEEP_SIZE) != 0 || end <= node->size)
            return 0;
        return resize(sim, node, end);
    case VINE__POLL_TRUNCATE:
        return is_read_only ? -EINVAL : resize(sim, node, operation->offset);
    default:
        return transfer(sim, operation, descriptor);
    }
}
