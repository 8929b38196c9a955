/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments that a session keeps, since those that it was given go: of a command that comes in
 * parts, as entries of the keyspace; of one whose reply goes on, as a copy.
 *
 *     kept != NULL: a block of kept_bytes of the keyspace's memory, in which kept_count of
 *                   kept_room arguments are
 *     payload_come <= payload_bytes; while it is less, the last argument is an entry with room for
 *                   its size_bytes, which are as many or more, or the command is refused
 */
#include <vine/resp_server.h>

#include <errno.h>
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "utils/assert.h"

#define KEPT_MIN       8             /* arguments */
#define PAYLOAD_AHEAD  (16U * 1024U) /* what is taken for one of which nothing has come */
#define PAYLOAD_GROWTH 4U            /* and then for each byte that has */

void vine__resp_release(struct vine_keyspace *keyspace, struct vine_resp_argument *arguments,
                        uint32_t argument_count)
{
    VINE_ASSERT(arguments != NULL || argument_count == 0);
    for (uint32_t n = 0; n < argument_count; n++) {
        struct vine_keyspace_entry *const entry = vine__resp_take_owner(&arguments[n]);

        if (entry != NULL)
            vine_keyspace_release(keyspace, entry);
    }
}

void vine__resp_forget_kept(struct vine_resp_session *session)
{
    struct vine_keyspace *const keyspace = session->server->keyspace;

    vine__resp_release(keyspace, session->kept, session->kept_count);
    vine_keyspace_free(keyspace, session->kept, session->kept_bytes);
    session->kept = NULL;
    session->kept_count = 0;
    session->kept_room = 0;
}

bool vine__resp_keep(struct vine_resp_session *session, struct vine_resp_argument *arguments,
                     uint32_t argument_count)
{
    size_t size = argument_count * sizeof(*arguments);
    char *to;

    VINE_ASSERT(argument_count > 0 && session->kept == NULL);
    for (uint32_t n = 0; n < argument_count; n++)
        size += arguments[n].size_bytes;
    /* Its half reply has been sent: it is refused no more. */
    session->kept = vine_keyspace_alloc(session->server->keyspace, size, true);
    if (session->kept == NULL)
        return false;
    session->kept_bytes = size;
    session->kept_room = argument_count;
    to = (char *)(session->kept + argument_count);
    for (uint32_t n = 0; n < argument_count; n++) {
        struct vine_resp_argument *const argument = &arguments[n];

        if (argument->size_bytes > 0)
            memcpy(to, argument->bytes, argument->size_bytes);
        session->kept[n] = *argument;
        session->kept[n].bytes = to;
        argument->owner = NULL;
        to += argument->size_bytes;
    }
    session->kept_count = argument_count;
    return true;
}

/* ---- a command that comes in parts ----------------------------------------------------------- */

static void refuse(struct vine_resp_session *session)
{
    if (session->kept != NULL)
        vine__resp_forget_kept(session);
    session->is_refused = true;
}

/* The key whose value that argument is, or none. */
static struct vine_resp_argument key_of(const struct vine_resp_session *session, uint32_t index)
{
    const struct vine_resp_argument *const kept = session->kept;

    if (index >= 2 && ((index == 2 && vine__resp_is(&kept[0], "set")) ||
                       (index % 2 == 0 && vine__resp_is(&kept[0], "mset"))))
        return kept[index - 1];
    return (struct vine_resp_argument){.bytes = NULL};
}

static bool has_room_for_one(struct vine_resp_session *session)
{
    struct vine_keyspace *const keyspace = session->server->keyspace;
    const uint32_t room = session->kept_room == 0 ? KEPT_MIN : 2 * session->kept_room;
    struct vine_resp_argument *kept;

    if (session->kept_count < session->kept_room)
        return true;
    kept = vine_keyspace_alloc(keyspace, room * sizeof(*kept), false);
    if (kept == NULL)
        return false;
    if (session->kept != NULL) {
        memcpy(kept, session->kept, session->kept_count * sizeof(*kept));
        vine_keyspace_free(keyspace, session->kept, session->kept_bytes);
    }
    session->kept = kept;
    session->kept_bytes = room * sizeof(*kept);
    session->kept_room = room;
    return true;
}

/* An entry for the argument at `index`, with so much room; it begins with the first `come` bytes of
 * the one that is there. Returns false, and nothing has changed: there is no memory. */
static bool make_room(struct vine_resp_session *session, uint32_t index, uint32_t room,
                      uint32_t come)
{
    struct vine_keyspace *const keyspace = session->server->keyspace;
    const struct vine_resp_argument key = key_of(session, index);
    struct vine_resp_argument *const argument = &session->kept[index];
    struct vine_keyspace_entry *entry;
    char *value;

    if (vine_keyspace_prepare(keyspace, key.bytes, key.size_bytes, room, &entry) != 0)
        return false;
    value = vine_keyspace_prepared_value(entry);
    if (come > 0)
        memcpy(value, argument->bytes, come);
    *argument = (struct vine_resp_argument){.bytes = value, .size_bytes = room, .owner = entry};
    return true;
}

/* The next argument, with room for so much of it. */
static void begin_one(struct vine_resp_session *session, uint32_t room)
{
    vine__resp_end_payload(session);
    if (session->is_refused)
        return;
    if (!has_room_for_one(session) || !make_room(session, session->kept_count, room, 0))
        refuse(session);
    else
        session->kept_count++;
}

void vine__resp_end_payload(struct vine_resp_session *session)
{
    /* What has not come whole is nothing. */
    if (session->payload_come < session->payload_bytes)
        refuse(session);
    session->payload_bytes = 0;
    session->payload_come = 0;
}

void vine_resp_take_payload(struct vine_resp_session *session, uint32_t size_bytes)
{
    begin_one(session, size_bytes < PAYLOAD_AHEAD ? size_bytes : PAYLOAD_AHEAD);
    session->payload_bytes = size_bytes;
}

/* Where the next so many bytes of the payload go. NULL: there is no memory. */
static char *room_for(struct vine_resp_session *session, uint32_t size_bytes)
{
    const uint32_t index = session->kept_count - 1;
    const uint64_t needed = (uint64_t)session->payload_come + size_bytes;
    uint64_t room = session->kept[index].size_bytes;
    struct vine_keyspace_entry *former;

    if (needed > room) {
        room = PAYLOAD_GROWTH * needed;
        if (room > session->payload_bytes)
            room = session->payload_bytes;
        former = session->kept[index].owner;
        if (!make_room(session, index, (uint32_t)room, session->payload_come))
            return NULL;
        vine_keyspace_release(session->server->keyspace, former);
    }
    return vine_keyspace_prepared_value(session->kept[index].owner) + session->payload_come;
}

int vine_resp_put_payload(struct vine_resp_session *session, const char *bytes, size_t size_bytes)
{
    char *to;

    if (size_bytes > session->payload_bytes - session->payload_come)
        return -EINVAL;
    if (size_bytes == 0)
        return 0;
    if (!session->is_refused) {
        to = room_for(session, (uint32_t)size_bytes);
        if (to != NULL)
            memcpy(to, bytes, size_bytes);
        else
            refuse(session);
    }
    session->payload_come += (uint32_t)size_bytes;
    return 0;
}

void vine_resp_take(struct vine_resp_session *session, const struct vine_resp_argument *arguments,
                    uint32_t argument_count)
{
    for (uint32_t n = 0; n < argument_count; n++) {
        const uint32_t size = arguments[n].size_bytes;

        begin_one(session, size);
        if (!session->is_refused && size > 0)
            memcpy(vine_keyspace_prepared_value(session->kept[session->kept_count - 1].owner),
                   arguments[n].bytes, size);
    }
}
