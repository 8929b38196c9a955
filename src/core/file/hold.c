/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write that is not aligned reads the blocks at its edges and writes them back: what another one
 * writes to them meanwhile would be lost, and what it cuts off behind its tail might be another's.
 * So it runs alone among what changes the same file; all else runs beside each other. Who waits is
 * served in order, so that nobody waits for ever.
 */
#include "core/file/file_internal.h"

static bool may_hold(const struct vine_file *file, bool is_alone)
{
    return !file->is_exclusive && (!is_alone || file->sharers == 0);
}

static void take(struct vine_file_op *op)
{
    op->holds_file = true;
    if (op->is_alone)
        op->file->is_exclusive = true;
    else
        op->file->sharers++;
}

bool vine__file_hold(struct vine_file_op *op, bool is_alone)
{
    struct vine_file *const file = op->file;

    op->is_alone = is_alone;
    if (file->waiting_first == NULL && may_hold(file, is_alone)) {
        take(op);
        return true;
    }
    if (file->waiting_first == NULL)
        file->waiting_last = &file->waiting_first;
    op->state = VINE__FILE_HOLDING_ON;
    op->next = NULL;
    *file->waiting_last = op;
    file->waiting_last = &op->next;
    return false;
}

static void serve(struct vine_file *file)
{
    while (file->waiting_first != NULL && may_hold(file, file->waiting_first->is_alone)) {
        struct vine_file_op *const op = file->waiting_first;

        file->waiting_first = op->next;
        if (file->waiting_first == NULL)
            file->waiting_last = &file->waiting_first;
        take(op);
        op->step(op);
    }
}

void vine__file_let_go(struct vine_file_op *op)
{
    struct vine_file *const file = op->file;

    if (!op->holds_file)
        return;
    op->holds_file = false;
    if (op->is_alone)
        file->is_exclusive = false;
    else
        file->sharers--;
    serve(file);
}

void vine__file_stop_waiting(struct vine_file_op *op)
{
    struct vine_file *const file = op->file;
    struct vine_file_op **link = &file->waiting_first;

    while (*link != op)
        link = &(*link)->next;
    *link = op->next;
    if (op->next == NULL)
        file->waiting_last = link;
    serve(file); /* it may have been in the way of those behind it */
}
