/* SPDX-License-Identifier: Apache-2.0 */
/* core/mail/ends.c - what has come of operations and to mailboxes, for the next run. */

#include <string.h>

#include "core/mail/mail_internal.h"

/* What a coroutine finds that is still there, as was looked at after the run before. */
static void write_end(const struct operation *operation)
{
    struct vine__mail *const mail = operation->mail;
    const uint32_t place = operation->paper;
    unsigned char *to = NULL;

    if (operation->kind == VINE__ASK_MAIL_OFFER) {
        to = bytes_at(mail, place + offsetof(struct paper, error), sizeof(operation->result));
        if (to != NULL)
            memcpy(to, &operation->result, sizeof(operation->result));
    } else if (operation->kind == VINE__ASK_MAIL_FIND) {
        to = bytes_at(mail, place + offsetof(struct paper, address), sizeof(operation->address));
        if (to != NULL)
            memcpy(to, &operation->address, sizeof(operation->address));
    } else if (operation->kind == VINE__ASK_MAIL_REQUEST && operation->result == 0) {
        to = bytes_at(mail, place + offsetof(struct paper, bytes), operation->reply_bytes);
        if (to != NULL)
            memcpy(to, operation->reply, operation->reply_bytes);
    }
}

static bool bring_message(struct vine__mail *mail, struct box *box, struct vine__record *record)
{
    const struct letter *const letter = vine__box_first(box);
    unsigned char *to;

    if (letter == NULL)
        return true;
    if (!vine__record_put(record,
                          (struct vine__item){.kind = VINE__ITEM_MAIL, .place = box->place}))
        return false;
    to = bytes_at(mail, box->place + offsetof(struct vine_mailbox, bytes), letter->size_bytes);
    if (to != NULL)
        memcpy(to, letter->bytes, letter->size_bytes);
    vine__box_take(box);
    return true;
}

bool vine__mail_bring(struct vine__mail *mail, struct vine__record *record)
{
    /* These first: they are few, and operations may be as many as there is room for each time. */
    for (uint32_t i = 0; i < VINE_MAIL_BOXES_MAX; i++)
        if (mail->boxes[i] != NULL && !bring_message(mail, mail->boxes[i], record))
            return false;
    VINE_LIST_FOR_EACH(node, &mail->operations)
    {
        struct operation *const operation = VINE_LIST_OBJECT(node, struct operation, link);
        const int64_t result =
            operation->kind == VINE__ASK_MAIL_OFFER ? 0 : (int64_t)operation->result;

        if (!operation->is_done)
            continue;
        if (!vine__record_put(record, (struct vine__item){.kind = VINE__ITEM_ASK,
                                                          .place = operation->place,
                                                          .number = operation->asked,
                                                          .result = result}))
            return false;
        write_end(operation);
        vine__operation_forget(operation);
    }
    return true;
}
