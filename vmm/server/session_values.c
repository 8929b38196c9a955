/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/session_values.c - what answers say. */

#include "vmm/server/own_names.h"
#include "vmm/server/session_internal.h"

#include "utils/assert.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a clause says without its names of files, behind what the room has. Returns its new size. */
static size_t write_clause(const char *clause, size_t length, char room[VINE__VM_END_BYTES],
                           size_t size)
{
    const char *const over = clause + length;
    const char *const last = memrchr(clause, '/', length);
    const char *begin = over, *end = over;

    if (last != NULL) {
        begin = memchr(clause, '/', length);
        while (begin > clause && strncmp(begin, ": ", 2) != 0)
            begin--;
        end = memmem(last, (size_t)(over - last), ": ", 2);
        if (end == NULL)
            end = over;
        else if (begin == clause)
            end += 2;
    }
    if (begin == clause && end == over)
        return size;
    return size + (size_t)snprintf(room + size, VINE__VM_END_BYTES - size, "%s%.*s%.*s",
                                   size > 0 ? "; " : "", (int)(begin - clause), clause,
                                   (int)(over - end), end);
}

const char *vine__session_sentence(const struct vine__session *session, const char *text,
                                   char room[VINE__VM_END_BYTES])
{
    const bool has_path = strchr(text, '/') != NULL;
    size_t size = 0;

    if (session->control != NULL)
        return text;
    VINE_ASSERT(strlen(text) < VINE__VM_END_BYTES);
    (void)snprintf(room, VINE__VM_END_BYTES, "%s", has_path ? "" : text);
    for (const char *clause = has_path ? text : NULL, *next; clause != NULL; clause = next) {
        next = strstr(clause, "; ");
        size = write_clause(clause, next != NULL ? (size_t)(next - clause) : strlen(clause), room,
                            size);
        next = next != NULL ? next + 2 : NULL;
    }
    vine__own_names_speak(session->client, room);
    return strcmp(room, text) != 0 ? room : text;
}

const char *vine__session_end_text(const struct vine__session *session, const struct vine__vm *vm,
                                   char room[VINE__VM_END_BYTES])
{
    char whole[VINE__VM_END_BYTES];
    const char *const text = vine__vm_end_text(vm, whole);
    const char *const told = vine__session_sentence(session, text, room);

    if (text[0] != '\0' && told[0] == '\0')
        return "who runs the server is told why";
    if (told == whole)
        memcpy(room, whole, sizeof(whole));
    return told == whole ? room : told;
}

/* A string whose size is that of what `write` writes. */
static void write_string(struct vine__answer *answer,
                         void (*write)(struct vine__answer *answer,
                                       const struct vine__session_result *result),
                         const struct vine__session_result *result)
{
    struct vine__answer counted = {.room_bytes = 0};

    write(&counted, result);
    vine__answer_string_begin(answer, counted.size_bytes);
    write(answer, result);
    vine__answer_string_end(answer);
}

static void write_uids(struct vine__answer *answer, const struct vine__session_result *result)
{
    for (uint32_t i = 0; i < result->count; i++) {
        vine__answer_piece(answer, ";", i > 0);
        vine__answer_piece(answer, result->vms[i]->uid, strlen(result->vms[i]->uid));
    }
}

static void write_configurations(struct vine__answer *answer,
                                 const struct vine__session_result *result)
{
    for (uint32_t i = 0; i < result->count; i++) {
        const struct vine__vm *const vm = result->vms[i];
        const bool is_own = !result->is_over_all && vm->own_configuration != NULL;
        const char *const json = is_own ? vm->own_configuration : vm->facts.configuration;

        vine__answer_piece(answer, ";", i > 0);
        vine__answer_json_piece(answer, json, strlen(json));
    }
}

static void write_states(struct vine__answer *answer, const struct vine__session_result *result)
{
    for (uint32_t i = 0; i < result->count; i++) {
        const struct vine__vm *const vm = result->vms[i];
        char text[128];
        const int size =
            snprintf(text, sizeof(text), "%s,%s,%s", vm->uid, vine__vm_state_word(vm->state),
                     result->is_over_all ? vm->facts.name : vm->name);

        vine__answer_piece(answer, ";", i > 0);
        vine__answer_piece(answer, text, (size_t)size);
    }
}

static void write_commands(struct vine__answer *answer, const struct vine__session_result *result)
{
    const struct vine__command *const first = vine__command_next(NULL);

    (void)result;
    for (const struct vine__command *command = first; command != NULL;
         command = vine__command_next(command)) {
        char text[64];
        const int size = snprintf(text, sizeof(text), "%s%u,%u,%s", command != first ? ";" : "",
                                  command->number, command->version, command->word);

        vine__answer_piece(answer, text, (size_t)size);
    }
}

static void write_status(struct vine__answer *answer, const struct vine__session *session,
                         const struct vine__vm *vm)
{
    char room[VINE__VM_END_BYTES];

    vine__answer_text(answer, vine__vm_state_word(vm->state));
    vine__answer_text(answer, vine__vm_end_word(vm));
    vine__answer_text(answer, vine__session_end_text(session, vm, room));
    vine__answer_integer(answer, (int64_t)vm->start_count);
}

static void write_limits(struct vine__answer *answer, const struct vine__session *session)
{
    const struct vine__client *const client = session->client;

    vine__answer_integer(answer, client->limits.vms);
    vine__answer_integer(answer, (int64_t)client->limits.memory_bytes);
    vine__answer_integer(answer, client->limits.kernel_bytes);
    vine__answer_integer(answer, (int64_t)client->limits.disk_bytes);
    vine__answer_integer(answer, client->vm_count);
    vine__answer_integer(answer, (int64_t)vine__registry_memory(session->registry, client));
    vine__answer_integer(answer, (int64_t)vine__registry_disk(session->registry, client));
}

static void write_of_server(struct vine__answer *answer, const struct vine__command *command,
                            const struct vine__session_result *result)
{
    const struct vine__control *const control = result->session->control;

    switch ((enum vine_server_control)command->action) {
    case VINE_SERVER_SERVER:
        vine__answer_text(answer, control->version);
        vine__answer_integer(answer, getpid());
        vine__answer_text(answer, control->places->configuration);
        vine__answer_text(answer, control->places->state);
        vine__answer_text(answer, control->places->runtime);
        break;
    case VINE_SERVER_CLIENTS:
        vine__answer_string(answer, result->log, result->log_bytes);
        break;
    case VINE_SERVER_POOLS:
        vine__answer_text(answer, result->text);
        break;
    case VINE_SERVER_POOL_VMS:
        write_string(answer, write_uids, result);
        break;
    case VINE_SERVER_FAULTS:
        vine__answer_text(answer, control->faults != NULL ? control->faults : "[]");
        break;
    case VINE_SERVER_OPEN_POOL:
    case VINE_SERVER_CLOSE_POOL:
    case VINE_SERVER_ADD_CLIENT:
    case VINE_SERVER_REMOVE_CLIENT:
    case VINE_SERVER_GIVE_VM:
    case VINE_SERVER_STOP_SERVER:
        break;
    }
}

void vine__session_write(struct vine__answer *answer, const struct vine__command *command,
                         const struct vine__session_result *result)
{
    const struct vine__client *const client = result->session->client;

    vine__answer_begin(answer, command);
    if (command->number >= VINE_SERVER_CONTROL) {
        write_of_server(answer, command, result);
        return;
    }
    switch ((enum vine_server_action)command->action) {
    case VINE_SERVER_PERMISSIONS:
        vine__answer_integer(answer, client->permissions);
        break;
    case VINE_SERVER_COUNT:
        vine__answer_integer(answer, result->count);
        break;
    case VINE_SERVER_UIDS_AT:
    case VINE_SERVER_UIDS:
        write_string(answer, write_uids, result);
        break;
    case VINE_SERVER_CONFIGURATIONS:
        write_string(answer, write_configurations, result);
        break;
    case VINE_SERVER_CREATE:
        vine__answer_text(answer, result->text);
        break;
    case VINE_SERVER_KERNEL_BYTES_MAX:
        vine__answer_integer(answer, client->limits.kernel_bytes);
        break;
    case VINE_SERVER_UPLOAD_KERNEL:
        vine__answer_text(answer, "");
        break;
    case VINE_SERVER_EXECUTE:
        vine__answer_text(answer, result->text);
        break;
    case VINE_SERVER_HELLO:
        write_string(answer, write_commands, result);
        break;
    case VINE_SERVER_STATUS:
        write_status(answer, result->session, result->vm);
        break;
    case VINE_SERVER_STATES:
        write_string(answer, write_states, result);
        break;
    case VINE_SERVER_LIMITS:
        write_limits(answer, result->session);
        break;
    case VINE_SERVER_LOGS:
        vine__answer_string(answer, result->log, result->log_bytes);
        break;
    case VINE_SERVER_CONSOLE:
        vine__answer_text(answer, result->vm->console);
        break;
    case VINE_SERVER_WAIT:
        vine__answer_text(answer, vine__vm_state_word(result->session->wait_state));
        break;
    case VINE_SERVER_STOP:
    case VINE_SERVER_KILL:
    case VINE_SERVER_RESTART:
    case VINE_SERVER_DELETE:
    case VINE_SERVER_UPLOAD_INITRD:
    case VINE_SERVER_UPLOAD_DISK:
    case VINE_SERVER_EVENTS:
    case VINE_SERVER_CONFIGURE:
        break;
    }
}

bool vine__session_element(const char *list, size_t size, size_t *at, const char **ret_bytes,
                           size_t *ret_size)
{
    const char *semicolon;

    /* Behind the last one it is one beyond the end; an empty list has none. */
    if (*at > size || size == 0)
        return false;
    *ret_bytes = list + *at;
    semicolon = memchr(list + *at, ';', size - *at);
    *ret_size = semicolon != NULL ? (size_t)(semicolon - *ret_bytes) : size - *at;
    *at += *ret_size + 1;
    return true;
}
