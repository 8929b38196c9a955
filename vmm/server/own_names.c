/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/own_names.c - see own_names.h. */

#include "vmm/server/own_names.h"

#include "vmm/server/registry_internal.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

const char *vine__own_name(const struct vine__client *client, const char *whole)
{
    const size_t size = client != NULL ? strlen(client->name) : 0;

    return size > 0 && strncmp(whole, client->name, size) == 0 && whole[size] == '.' &&
                   whole[size + 1] != '\0'
               ? whole + size + 1
               : whole;
}

/* ---- shown ----------------------------------------------------------------------------------- */

/* The text of this key in the words of the client. Returns whether it had others. */
static bool show(const struct vine__client *owner, json_t *object, const char *key)
{
    const char *const whole = json_string_value(json_object_get(object, key));
    const char *const own = whole != NULL ? vine__own_name(owner, whole) : NULL;

    return own != whole && json_object_set_new(object, key, json_string(own)) == 0;
}

char *vine__own_names_show(const struct vine__client *owner, const char *json, size_t size)
{
    json_t *const root = json_loadb(json, size, 0, NULL);
    bool is_other = show(owner, root, "name");
    char *text = NULL;
    json_t *link;
    size_t index;

    json_array_foreach(json_object_get(root, "links"), index, link)
    {
        is_other |= show(owner, link, "appliance");
    }
    if (is_other)
        text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* ---- said ------------------------------------------------------------------------------------ */

#define FILE_END    "_vmcfg.cfg"
#define FILE_SAID   "the configuration"
#define HASH_DIGITS (VINE__VM_HASH_BYTES - 1)

static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* `begin` to `end` becomes `with`, which is no longer. Returns what is behind that. */
static char *put(char *begin, const char *end, const char *with)
{
    const size_t size = strlen(with);

    memcpy(begin, with, size);
    memmove(begin + size, end, strlen(end) + 1);
    return begin + size;
}

/* Of a machine that is named before it, that name says no more to who has asked for this one. */
static void call_configurations(char *sentence)
{
    for (char *at = sentence; (at = strstr(at, FILE_END)) != NULL;) {
        const char *const end = at + strlen(FILE_END);
        char *begin = at;

        while (begin > sentence && at - begin < HASH_DIGITS && isxdigit((unsigned char)begin[-1]))
            begin--;
        if (at - begin < HASH_DIGITS) {
            at += strlen(FILE_END);
            continue;
        }
        if (begin - sentence > 2 && memcmp(begin - 2, ": ", 2) == 0 && is_of_name(begin[-3]))
            for (begin -= 2; begin > sentence && is_of_name(begin[-1]);)
                begin--;
        at = put(begin, end, FILE_SAID);
    }
}

void vine__own_names_speak(const struct vine__client *client, char *sentence)
{
    const size_t size = client != NULL ? strlen(client->name) : 0;

    call_configurations(sentence);
    for (char *at = sentence; size > 0 && (at = strstr(at, client->name)) != NULL;) {
        const bool is_begin = at == sentence || !is_of_name(at[-1]);

        if (is_begin && at[size] == '.' && at[size + 1] != '.' && is_of_name(at[size + 1]))
            at = put(at, at + size + 1, "") + 1; /* one owner is taken off */
        else
            at += size;
    }
}

/* ---- links to one ---------------------------------------------------------------------------- */

static bool is_linked(const struct vine__vm *vm, const char *name)
{
    json_t *root, *link;
    bool is_found = false;
    size_t index;

    /* Few are: it is read if it can be so. */
    if (vm->facts.configuration == NULL || strstr(vm->facts.configuration, name) == NULL)
        return false;
    root = json_loadb(vm->facts.configuration, vm->facts.configuration_bytes, 0, NULL);
    json_array_foreach(json_object_get(root, "links"), index, link)
    {
        const char *const appliance = json_string_value(json_object_get(link, "appliance"));

        is_found |= appliance != NULL && strcmp(appliance, name) == 0;
    }
    json_decref(root);
    return is_found;
}

bool vine__own_names_linked(const struct vine__vm *vm, bool is_owners,
                            char why[VINE__SERVER_WHY_BYTES])
{
    VINE_LIST_FOR_EACH(node, &vm->registry->vms)
    {
        const struct vine__vm *const other = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (other == vm || other->facts.problem != NULL ||
            strcmp(other->facts.pool, vm->facts.pool) != 0 || !is_linked(other, vm->facts.name))
            continue;
        if (is_owners && other->owner != vm->owner)
            (void)snprintf(why, VINE__SERVER_WHY_BYTES, "a VM that is not yours is linked to it");
        else
            (void)snprintf(why, VINE__SERVER_WHY_BYTES, "the VM `%s` is linked to it",
                           is_owners ? other->name : other->facts.name);
        return true;
    }
    return false;
}

/* ---- read ------------------------------------------------------------------------------------ */

/* The machine that the owner of this one calls so, in the same pool; or NULL. */
static const struct vine__vm *find(const struct vine__vm *vm, const char *name)
{
    VINE_LIST_FOR_EACH(node, &vm->registry->vms)
    {
        const struct vine__vm *const other = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (other->owner == vm->owner && strcmp(other->name, name) == 0 &&
            strcmp(other->facts.pool, vm->facts.pool) == 0)
            return other;
    }
    return NULL;
}

/* What is no text is left to who reads it. A link that has no name has that of its appliance, as
 * the client says it. */
static enum vine_server_error read_link(const struct vine__vm *vm, json_t *link, size_t index,
                                        char *why)
{
    const char *const name = json_string_value(json_object_get(link, "appliance"));
    const struct vine__vm *const appliance = name != NULL ? find(vm, name) : NULL;

    if (name == NULL)
        return VINE_SERVER_E_DONE;
    if (appliance == NULL) {
        (void)snprintf(why, VINE__SERVER_WHY_BYTES,
                       "links[%zu].appliance: you have no VM `%.31s` in this pool", index, name);
        return VINE_SERVER_E_BAD_VALUE;
    }
    if ((json_object_get(link, "name") == NULL &&
         json_object_set_new(link, "name", json_string(name)) != 0) ||
        json_object_set_new(link, "appliance", json_string(appliance->facts.name)) != 0)
        return vine__registry_refuse(why, VINE_SERVER_E_FAILED, "no memory");
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__own_names_read(const struct vine__vm *vm, const char *json,
                                            size_t size, char **ret_whole, size_t *ret_size,
                                            char why[VINE__SERVER_WHY_BYTES])
{
    enum vine_server_error told = VINE_SERVER_E_DONE;
    json_error_t error;
    json_t *const root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &error);
    json_t *link;
    size_t index;
    char *text;

    if (root == NULL) {
        (void)snprintf(why, VINE__SERVER_WHY_BYTES, "the configuration, line %d: %s", error.line,
                       error.text);
        return VINE_SERVER_E_BAD_VALUE;
    }
    json_array_foreach(json_object_get(root, "links"), index, link)
    {
        if (told == VINE_SERVER_E_DONE)
            told = read_link(vm, link, index, why);
    }
    text = told == VINE_SERVER_E_DONE ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (told != VINE_SERVER_E_DONE)
        return told;
    if (text == NULL)
        return vine__registry_refuse(why, VINE_SERVER_E_FAILED, "no memory");
    *ret_whole = text;
    *ret_size = strlen(text);
    return VINE_SERVER_E_DONE;
}
