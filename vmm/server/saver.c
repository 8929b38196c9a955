/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/saver.c - see saver.h. */

#include "vmm/server/saver.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/server/state_file.h"

#include <vine/reactor.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the thread ------------------------------------------------------------------------------ */

struct thread {
    struct vine__saver base;
    struct vine__errands *errands;
    void (*done)(void *context);
    void *context;
};

static void is_written(struct vine__errand *errand)
{
    struct vine__saver_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__saver_work, errand);

    work->done(work);
}

static void write_it(struct vine__errand *errand)
{
    struct vine__saver_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__saver_work, errand);
    const struct thread *const thread = VINE_CONTAINER_OF(work->saver, struct thread, base);

    work->error = work->text != NULL
                      ? vine__state_file_replace(work->path, work->text, strlen(work->text))
                      : -ENOMEM;
    vine__errands_return(thread->errands, errand, is_written);
}

static void begin_work(struct vine__saver *saver, struct vine__saver_work *work)
{
    work->saver = saver;
    vine__errands_send(VINE_CONTAINER_OF(saver, struct thread, base)->errands, &work->errand,
                       write_it);
}

int vine__saver_create(struct vine__saver **ret_saver)
{
    struct thread *const thread = calloc(1, sizeof(*thread));
    int error;

    if (thread == NULL)
        return -ENOMEM;
    thread->base.begin = begin_work;
    error = vine__errands_open("state", NULL, NULL, &thread->errands);
    if (error != 0)
        free(thread);
    else
        *ret_saver = &thread->base;
    return error;
}

static void is_gone(void *context)
{
    struct thread *const thread = context;
    void (*const done)(void *) = thread->done;

    context = thread->context;
    free(thread);
    done(context);
}

void vine__saver_destroy(struct vine__saver *saver, void (*done)(void *context), void *context)
{
    struct thread *const thread = VINE_CONTAINER_OF(saver, struct thread, base);

    thread->done = done;
    thread->context = context;
    vine__errands_close(thread->errands, is_gone, thread);
}

/* ---- files ----------------------------------------------------------------------------------- */

void vine__saved_file_init(struct vine__saved_file *file, struct vine__saver *saver,
                           const char *path)
{
    *file = (struct vine__saved_file){.path = path, .saver = saver};
    vine_list_init(&file->waiting);
    vine_list_init(&file->writing);
}

static void write_next(struct vine__saved_file *file);

static void is_saved(struct vine__saver_work *work)
{
    struct vine__saved_file *const file = VINE_CONTAINER_OF(work, struct vine__saved_file, work);

    free(work->text);
    for (struct vine_list *node; (node = vine_list_pop_front(&file->writing)) != NULL;) {
        struct vine__saving *const saving = VINE_LIST_OBJECT(node, struct vine__saving, link);

        saving->done(saving, work->error); /* which may hand over another text */
    }
    file->is_under_way = false;
    if (file->has_next)
        write_next(file);
    else if (file->is_closed)
        file->closed(file->context);
}

static void write_next(struct vine__saved_file *file)
{
    file->is_under_way = true;
    file->has_next = false;
    for (struct vine_list *node; (node = vine_list_pop_front(&file->waiting)) != NULL;)
        vine_list_push_back(&file->writing, node);
    file->work =
        (struct vine__saver_work){.done = is_saved, .path = file->path, .text = file->next};
    file->next = NULL;
    file->saver->begin(file->saver, &file->work);
}

static int64_t refuse(void *argument)
{
    struct vine__saving *const saving = argument;

    saving->done(saving, -ESHUTDOWN);
    return 0;
}

void vine__save(struct vine__saved_file *file, char *text, struct vine__saving *saving)
{
    /* What is taken back while it is written is taken back in what waits, too. */
    const bool is_open = !file->is_closed || (file->has_next && saving == NULL);

    if (file->saver == NULL || !is_open) {
        VINE_ASSERT(file->is_closed || saving == NULL);
        free(text);
        /* Where even that cannot be said, the end says it. */
        if (saving != NULL)
            (void)!vine_submit_to(0, refuse, saving);
        return;
    }
    free(file->next);
    file->next = text;
    file->has_next = true;
    if (saving != NULL)
        vine_list_push_back(&file->waiting, &saving->link);
    if (!file->is_under_way)
        write_next(file);
}

void vine__saved_file_close(struct vine__saved_file *file, void (*closed)(void *context),
                            void *context)
{
    VINE_ASSERT(!file->is_closed);
    file->is_closed = true;
    file->closed = closed;
    file->context = context;
    if (!file->is_under_way)
        closed(context);
}
