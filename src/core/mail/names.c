/* SPDX-License-Identifier: Apache-2.0 */
/* core/mail/names.c - the names of mailboxes, all of which core 0 knows. */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/mail/mail_internal.h"

static struct name *find(const struct office *office, const char *text)
{
    for (uint32_t i = 0; i < office->name_count; i++)
        if (strncmp(office->names[i].text, text, VINE_MAIL_NAME_BYTES) == 0)
            return &office->names[i];
    return NULL;
}

int64_t vine__name_publish(void *argument)
{
    const struct operation *const operation = argument;
    struct office *const office = vine__office_here();
    struct name *name;

    if (office == NULL)
        return -ECANCELED;
    if (office->names == NULL)
        office->names = vine__closed_alloc(VINE_MAIL_NAMES_MAX * sizeof(*office->names));
    if (office->names == NULL)
        return -ENOMEM;
    if (find(office, operation->name) != NULL)
        return -EEXIST;
    if (office->name_count == VINE_MAIL_NAMES_MAX)
        return -ENOSPC;
    name = &office->names[office->name_count++];
    memcpy(name->text, operation->name, sizeof(name->text));
    name->address = operation->address;
    return 0;
}

int64_t vine__name_find(void *argument)
{
    struct operation *const operation = argument;
    const struct office *const office = vine__office_here();
    const struct name *const name = office != NULL ? find(office, operation->name) : NULL;

    if (name == NULL)
        return -ENOENT;
    operation->address = name->address;
    return 0;
}

int64_t vine__name_forget(void *argument)
{
    const struct box *const box = argument;
    struct office *const office = vine__office_here();

    for (uint32_t i = 0; office != NULL && i < office->name_count;) {
        if (vine_mail_is_same(office->names[i].address, box->address))
            office->names[i] = office->names[--office->name_count];
        else
            i++;
    }
    return 0;
}
