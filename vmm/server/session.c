/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/session.c - see session.h. */

#include "vmm/server/session.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/server/session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 30000 /* where nobody says how long a guest may take */

static enum vine_server_error refuse(char why[VINE__SERVER_WHY_BYTES], enum vine_server_error error,
                                     const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%s", text);
    return error;
}

/* Whose VMs a command is about; NULL: everybody's. */
static const struct vine__client *scope_of(const struct vine__session *session,
                                           const struct vine__command *command)
{
    return command->is_over_all ? NULL : session->client;
}

/* ---- answers --------------------------------------------------------------------------------- */

void vine__session_sent(struct vine__session *session)
{
    if (session->large != NULL && session->held_bytes != NULL)
        *session->held_bytes -= session->answer_bytes;
    free(session->large);
    session->large = NULL;
    session->answer = NULL;
    session->answer_bytes = 0;
}

static void answer_error(struct vine__session *session, const struct vine__command *command,
                         uint32_t number, uint32_t version, enum vine_server_error error,
                         const char *detail)
{
    struct vine__answer answer = {.bytes = session->small, .room_bytes = sizeof(session->small)};

    VINE_ASSERT(session->answer == NULL);
    vine__answer_refuse(&answer, command, number, version, error, detail);
    session->answer = answer.bytes;
    session->answer_bytes = answer.size_bytes;
}

/* That a name is taken says nothing of who has it. */
static void answer_refusal(struct vine__session *session, const struct vine__command *command,
                           enum vine_server_error error, const char *why)
{
    const bool is_secret = error == VINE_SERVER_E_EXISTS && session->control == NULL;
    char room[VINE__VM_END_BYTES];
    const char *const told = is_secret ? "" : vine__session_sentence(session, why, room);

    if (told != why && session->shortened != NULL)
        session->shortened(session, why);
    answer_error(session, command, command->number, command->version, error,
                 told[0] != '\0' ? told : NULL);
}

/* Most answers are small. What is not is counted first. */
static void answer_values(struct vine__session *session, const struct vine__command *command,
                          const struct vine__session_result *result)
{
    struct vine__answer answer = {.bytes = session->small, .room_bytes = sizeof(session->small)};

    VINE_ASSERT(session->answer == NULL);
    vine__session_write(&answer, command, result);
    if (!vine__answer_is_whole(&answer)) {
        if (answer.size_bytes > VINE__SESSION_ANSWER_BYTES_MAX) {
            answer_refusal(session, command, VINE_SERVER_E_TOO_LONG, "the answer is too long");
            return;
        }
        if (session->held_bytes != NULL &&
            answer.size_bytes > VINE__SESSION_HELD_BYTES_MAX - *session->held_bytes) {
            answer_refusal(session, command, VINE_SERVER_E_LIMIT,
                           "answers that were not read hold all that they may");
            return;
        }
        session->large = malloc(answer.size_bytes);
        if (session->large == NULL) {
            answer_refusal(session, command, VINE_SERVER_E_FAILED, "no memory");
            return;
        }
        if (session->held_bytes != NULL)
            *session->held_bytes += answer.size_bytes;
        answer = (struct vine__answer){.bytes = session->large, .room_bytes = answer.size_bytes};
        vine__session_write(&answer, command, result);
        VINE_ASSERT(vine__answer_is_whole(&answer));
    }
    session->answer = answer.bytes;
    session->answer_bytes = answer.size_bytes;
}

void vine__session_refuse(struct vine__session *session, const struct vine__request *request)
{
    vine__upload_abandon(&session->upload);
    answer_error(session, request->command, request->number, request->version, request->error,
                 vine__request_fault_text(request->fault));
}

/* ---- lists ----------------------------------------------------------------------------------- */

static bool read_index(const char *bytes, size_t size, uint32_t *ret_index)
{
    uint32_t index = 0;

    if (size == 0 || size > 5 || (size > 1 && bytes[0] == '0'))
        return false;
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] < '0' || bytes[at] > '9')
            return false;
        index = index * 10 + (uint32_t)(bytes[at] - '0');
    }
    *ret_index = index;
    return true;
}

/* Those of the elements of a list: indices among `all`, or UIDs where that is NULL. */
static enum vine_server_error find_each(struct vine__session_result *result,
                                        const struct vine__client *scope, struct vine__vm **all,
                                        uint32_t all_count, char *why)
{
    const struct vine__request_parameter *const list = &result->parameters[0];
    const char *element;
    size_t at = 0, size;
    uint32_t index;

    /* An element has a byte, or is an error. */
    result->vms = malloc((list->size_bytes + 1U) * sizeof(struct vine__vm *));
    if (result->vms == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    while (vine__session_element(list->bytes, list->size_bytes, &at, &element, &size)) {
        struct vine__vm *vm = NULL;

        if (all == NULL)
            vm = vine__registry_find(result->session->registry, scope, element, size);
        else if (!read_index(element, size, &index))
            return refuse(why, VINE_SERVER_E_BAD_VALUE, "an index is 1 to 5 digits");
        else if (index < all_count)
            vm = all[index];
        if (vm == NULL)
            return VINE_SERVER_E_NO_VM;
        result->vms[result->count++] = vm;
    }
    return VINE_SERVER_E_DONE;
}

/* One that cannot be read is no shorter one: who changes what was answered would lose the rest. */
static enum vine_server_error list_configurations(struct vine__session_result *result,
                                                  const struct vine__client *scope, char *why)
{
    const enum vine_server_error told = find_each(result, scope, NULL, 0, why);

    for (uint32_t i = 0; told == VINE_SERVER_E_DONE && i < result->count; i++) {
        const struct vine__vm_facts *const facts = &result->vms[i]->facts;

        if (facts->configuration == NULL) {
            (void)snprintf(why, VINE__SERVER_WHY_BYTES, "the configuration cannot be read: %.180s",
                           facts->problem != NULL ? facts->problem : "");
            return VINE_SERVER_E_FAILED;
        }
    }
    return told;
}

static enum vine_server_error list(struct vine__session_result *result,
                                   const struct vine__command *command, char *why)
{
    const struct vine__client *const scope = scope_of(result->session, command);
    struct vine__vm **all;
    uint32_t count;
    enum vine_server_error told;

    if (command->action == VINE_SERVER_CONFIGURATIONS)
        return list_configurations(result, scope, why);
    all = vine__registry_collect(result->session->registry, scope, &count);
    if (all == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    if (command->action != VINE_SERVER_UIDS_AT) {
        result->vms = all;
        result->count = count;
        return VINE_SERVER_E_DONE;
    }
    told = find_each(result, scope, all, count, why);
    free(all);
    return told;
}

/* ---- one VM ---------------------------------------------------------------------------------- */

static enum vine_server_error create(struct vine__session_result *result,
                                     const struct vine__command *command)
{
    struct vine__session *const session = result->session;
    const struct vine__request_parameter *const name = &result->parameters[command->is_over_all];
    const struct vine__request_parameter *const owner = &result->parameters[0];
    struct vine__client *client = session->client;
    char text[VINE__CLIENT_NAME_BYTES] = "";

    if (command->is_over_all) {
        if (owner->size_bytes < sizeof(text))
            memcpy(text, owner->bytes, owner->size_bytes);
        client = vine__clients_find(session->registry->clients, text);
        if (client == NULL || strlen(client->name) != owner->size_bytes)
            return VINE_SERVER_E_NO_CLIENT;
    }
    return vine__registry_create(session->registry, client, name->bytes, name->size_bytes,
                                 &session->asker);
}

static enum vine_server_error read_log(struct vine__session_result *result, char *why)
{
    struct vine__machines *const machines = result->session->registry->machines;
    const int64_t wanted = result->parameters[1].integer;
    const size_t room =
        wanted > VINE__SESSION_LOG_BYTES_MAX ? VINE__SESSION_LOG_BYTES_MAX : (size_t)wanted;

    if (wanted < 0)
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "less than no bytes");
    result->log = malloc(room + 1);
    if (result->log == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    result->log_bytes = machines->calls->log(machines, result->vm->uid, result->log, room);
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error stop(struct vine__session_result *result, bool starts_again,
                                   char *why)
{
    const int64_t timeout_ms = result->parameters[1].integer;

    if (timeout_ms < 0 || timeout_ms > VINE__SESSION_WAIT_MS_MAX)
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "milliseconds are from 0 to a day's");
    return vine__registry_stop(result->vm, timeout_ms != 0 ? (uint64_t)timeout_ms : STOP_MS,
                               starts_again, why);
}

static enum vine_server_error listen_to(struct vine__session *session,
                                        const struct vine__command *command, char *why)
{
    if (session->events == NULL) {
        session->events = calloc(VINE__SESSION_EVENTS_MAX, sizeof(*session->events));
        if (session->events == NULL)
            return refuse(why, VINE_SERVER_E_FAILED, "no memory");
        vine__registry_watch(session->registry, &session->listens);
    }
    session->listens.client = scope_of(session, command);
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error begin_wait(struct vine__session_result *result,
                                         const struct vine__command *command, char *why)
{
    struct vine__session *const session = result->session;
    const struct vine__request_parameter *const word = &result->parameters[1];
    const int64_t timeout_ms = result->parameters[2].integer;

    if (timeout_ms < 0 || timeout_ms > VINE__SESSION_WAIT_MS_MAX)
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "milliseconds are from 0 to a day's");
    if (!vine__vm_state_read(word->bytes, word->size_bytes, &session->wait_state))
        return refuse(why, VINE_SERVER_E_BAD_VALUE,
                      "a state is off, starting, running, paused, stopping, backoff or deleted");
    if (result->vm->state == session->wait_state)
        return VINE_SERVER_E_DONE;
    if (timeout_ms == 0)
        return VINE_SERVER_E_TIMED_OUT;
    memcpy(session->wait_uid, result->vm->uid, sizeof(session->wait_uid));
    session->is_reached = false;
    session->waiting = command;
    session->wait_ms = (uint64_t)timeout_ms;
    session->waits.client = scope_of(session, command);
    vine__registry_watch(session->registry, &session->waits);
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error find_console(const struct vine__vm *vm, char *why)
{
    if (vine__vm_is_off(vm))
        return refuse(why, VINE_SERVER_E_BAD_STATE, "the VM is off");
    return vm->console[0] != '\0'
               ? VINE_SERVER_E_DONE
               : refuse(why, VINE_SERVER_E_BAD_STATE, "its console is not there yet");
}

/* Of commands about one VM, which was found. */
static enum vine_server_error act_on_vm(struct vine__session_result *result,
                                        const struct vine__command *command, char *why)
{
    struct vine__asker *const asker = &result->session->asker;
    const struct vine__request_parameter *const second = &result->parameters[1];

    switch ((enum vine_server_action)command->action) {
    case VINE_SERVER_EXECUTE:
        return vine__registry_start(result->vm, second->bytes, second->size_bytes, asker);
    case VINE_SERVER_STOP:
        return stop(result, false, why);
    case VINE_SERVER_RESTART:
        return stop(result, true, why);
    case VINE_SERVER_KILL:
        return vine__registry_kill(result->vm, why);
    case VINE_SERVER_DELETE:
        return vine__registry_remove(result->vm, !command->is_over_all, asker);
    case VINE_SERVER_CONFIGURE:
        return vine__registry_configure(result->vm, !command->is_over_all, second->bytes,
                                        second->size_bytes, asker);
    case VINE_SERVER_LOGS:
        return read_log(result, why);
    case VINE_SERVER_CONSOLE:
        return find_console(result->vm, why);
    case VINE_SERVER_WAIT:
        return begin_wait(result, command, why);
    default:
        return VINE_SERVER_E_DONE;
    }
}

static void heard_server(struct vine__control_asked *asked)
{
    struct vine__session *const session = asked->context;

    session->wake(session);
}

/* Texts of a request, which are copied where they are taken. */
static bool take_text(const struct vine__request_parameter *parameter, char **ret_text)
{
    if (memchr(parameter->bytes, '\0', parameter->size_bytes) != NULL)
        return false;
    *ret_text = strndup(parameter->bytes, parameter->size_bytes);
    return *ret_text != NULL;
}

static enum vine_server_error ask_pools(struct vine__session_result *result,
                                        const struct vine__command *command, char *why)
{
    struct vine__session *const session = result->session;
    const bool opens = command->action == VINE_SERVER_OPEN_POOL;
    struct vine__control_pools_wish wish = {.action = (enum vine_server_control)command->action};
    enum vine_server_error told = VINE_SERVER_E_BAD_VALUE;
    char *folder = NULL, *name = NULL;

    if ((!opens || take_text(&result->parameters[0], &folder)) &&
        (command->action == VINE_SERVER_POOLS || take_text(&result->parameters[opens], &name))) {
        wish.folder = folder;
        wish.name = name;
        told = vine__control_ask_pools(session->control, &wish, &session->asked, why);
    }
    free(folder);
    free(name);
    return told;
}

/* Those of a pool that is open; of another one there are none. */
static enum vine_server_error list_pool(struct vine__session_result *result, char *why)
{
    const struct vine__request_parameter *const name = &result->parameters[0];
    uint32_t count, kept = 0;
    struct vine__vm **const vms = vine__registry_collect(result->session->registry, NULL, &count);

    if (vms == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    for (uint32_t i = 0; i < count; i++)
        if (strlen(vms[i]->facts.pool) == name->size_bytes &&
            memcmp(vms[i]->facts.pool, name->bytes, name->size_bytes) == 0)
            vms[kept++] = vms[i];
    result->vms = vms;
    result->count = kept;
    return VINE_SERVER_E_DONE;
}

/* Of the server itself. */
static enum vine_server_error act_on_server(struct vine__session_result *result,
                                            const struct vine__command *command, char *why)
{
    struct vine__control *const control = result->session->control;
    const struct vine__request_parameter *const first = &result->parameters[0];
    const struct vine__request_parameter *const second = &result->parameters[1];

    VINE_ASSERT(control != NULL); /* who has no control socket has not the permission */
    switch ((enum vine_server_control)command->action) {
    case VINE_SERVER_SERVER:
    case VINE_SERVER_FAULTS:
        break;
    case VINE_SERVER_CLIENTS:
        result->log = vine__clients_print(control->registry->clients);
        if (result->log == NULL)
            return refuse(why, VINE_SERVER_E_FAILED, "no memory");
        result->log_bytes = strlen(result->log);
        break;
    case VINE_SERVER_ADD_CLIENT:
        return vine__control_add_client(control, first->bytes, first->size_bytes,
                                        &result->session->asked, why);
    case VINE_SERVER_REMOVE_CLIENT:
        return vine__control_remove_client(control, first->bytes, first->size_bytes,
                                           &result->session->asked, why);
    case VINE_SERVER_GIVE_VM:
        result->vm = vine__registry_find(control->registry, NULL, first->bytes, first->size_bytes);
        return result->vm == NULL
                   ? VINE_SERVER_E_NO_VM
                   : vine__control_give_vm(control, result->vm, second->bytes, second->size_bytes,
                                           &result->session->asked, why);
    case VINE_SERVER_STOP_SERVER:
        if (first->integer != 0 && first->integer != 1)
            return refuse(why, VINE_SERVER_E_BAD_VALUE, "0: VMs run on, or 1: they are stopped");
        control->stop(control, first->integer != 0);
        break;
    case VINE_SERVER_POOLS:
    case VINE_SERVER_OPEN_POOL:
    case VINE_SERVER_CLOSE_POOL:
        return ask_pools(result, command, why);
    case VINE_SERVER_POOL_VMS:
        return list_pool(result, why);
    }
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error act(struct vine__session_result *result,
                                  const struct vine__command *command, char *why)
{
    struct vine__session *const session = result->session;
    const struct vine__request_parameter *const uid = &result->parameters[0];

    if (command->number >= VINE_SERVER_CONTROL)
        return act_on_server(result, command, why);
    switch ((enum vine_server_action)command->action) {
    case VINE_SERVER_PERMISSIONS:
    case VINE_SERVER_KERNEL_BYTES_MAX:
    case VINE_SERVER_HELLO:
    case VINE_SERVER_LIMITS:
        return VINE_SERVER_E_DONE;
    case VINE_SERVER_COUNT:
    case VINE_SERVER_UIDS_AT:
    case VINE_SERVER_UIDS:
    case VINE_SERVER_CONFIGURATIONS:
    case VINE_SERVER_STATES:
        return list(result, command, why);
    case VINE_SERVER_CREATE:
        return create(result, command);
    case VINE_SERVER_EVENTS:
        return listen_to(session, command, why);
    case VINE_SERVER_UPLOAD_KERNEL:
    case VINE_SERVER_UPLOAD_INITRD:
    case VINE_SERVER_UPLOAD_DISK:
        vine__upload_end(&session->upload, &session->asker);
        return VINE_SERVER_E_DONE;
    default:
        result->vm = vine__registry_find(session->registry, scope_of(session, command), uid->bytes,
                                         uid->size_bytes);
        return result->vm == NULL ? VINE_SERVER_E_NO_VM : act_on_vm(result, command, why);
    }
}

/* Work has begun: it takes as long as it takes. */
static void wait_for_work(struct vine__session *session, const struct vine__command *command)
{
    if (session->asked != NULL) {
        session->asked->done = heard_server;
        session->asked->context = session;
    }
    session->waiting = command;
    session->is_working = true;
    session->wait_ms = VINE__SESSION_WAIT_MS_MAX;
}

enum vine__session_told vine__session_do(struct vine__session *session,
                                         const struct vine__request *request)
{
    const struct vine__command *const command = request->command;
    struct vine__session_result result = {
        .session = session, .parameters = request->parameters, .is_over_all = command->is_over_all};
    char why[VINE__SERVER_WHY_BYTES] = "";
    enum vine_server_error told;

    VINE_ASSERT(!request->is_refused && session->waiting == NULL);
    session->asker.why[0] = '\0';
    told = act(&result, command, why);
    if (session->asker.vm != NULL || session->asked != NULL)
        wait_for_work(session, command);
    else if (told != VINE_SERVER_E_DONE)
        answer_refusal(session, command, told, why[0] != '\0' ? why : session->asker.why);
    else if (session->waiting == NULL)
        answer_values(session, command, &result);
    free(result.vms);
    free(result.log);
    return session->waiting != NULL ? VINE__SESSION_WAITS : VINE__SESSION_ANSWERED;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void heard_work(struct vine__asker *asker)
{
    struct vine__session *const session = VINE_CONTAINER_OF(asker, struct vine__session, asker);

    session->wake(session);
}

static enum vine__session_told go_on_with_work(struct vine__session *session, bool is_timed_out)
{
    const struct vine__command *const command = session->waiting;
    const struct vine__asker *const asker = &session->asker;
    const struct vine__session_result result = {.session = session, .text = asker->text};
    const bool is_done = asker->vm == NULL;

    if (!is_done && !is_timed_out)
        return VINE__SESSION_WAITS;
    vine__registry_unask(&session->asker);
    session->waiting = NULL;
    session->is_working = false;
    if (!is_done)
        answer_refusal(session, command, VINE_SERVER_E_TIMED_OUT, "it is still under way");
    else if (asker->error != VINE_SERVER_E_DONE)
        answer_refusal(session, command, asker->error, asker->why);
    else
        answer_values(session, command, &result);
    return VINE__SESSION_ANSWERED;
}

static enum vine__session_told go_on_with_server(struct vine__session *session, bool is_timed_out)
{
    const struct vine__command *const command = session->waiting;
    struct vine__control_asked *const asked = session->asked;
    const struct vine__session_result result = {.session = session, .text = asked->text};

    if (!asked->is_done && !is_timed_out)
        return VINE__SESSION_WAITS;
    session->waiting = NULL;
    session->is_working = false;
    session->asked = NULL;
    if (!asked->is_done)
        answer_refusal(session, command, VINE_SERVER_E_TIMED_OUT, "it is still under way");
    else if (asked->error != VINE_SERVER_E_DONE)
        answer_refusal(session, command, asked->error, asked->why);
    else
        answer_values(session, command, &result);
    vine__control_leave(asked);
    return VINE__SESSION_ANSWERED;
}

enum vine__session_told vine__session_go_on(struct vine__session *session, bool is_timed_out)
{
    const struct vine__command *const command = session->waiting;
    const struct vine__session_result result = {.session = session};

    VINE_ASSERT(command != NULL);
    if (session->asked != NULL)
        return go_on_with_server(session, is_timed_out);
    if (session->is_working)
        return go_on_with_work(session, is_timed_out);
    if (session->is_reached)
        answer_values(session, command, &result);
    else if (vine__registry_find(session->registry, scope_of(session, command), session->wait_uid,
                                 sizeof(session->wait_uid) - 1) == NULL)
        answer_refusal(session, command, VINE_SERVER_E_NO_VM, "");
    else if (is_timed_out)
        answer_refusal(session, command, VINE_SERVER_E_TIMED_OUT, "");
    else
        return VINE__SESSION_WAITS;
    session->waiting = NULL;
    vine__registry_unwatch(&session->waits);
    return VINE__SESSION_ANSWERED;
}

static void heard_waiting(struct vine__watcher *watcher, const struct vine__vm *vm)
{
    struct vine__session *const session = VINE_CONTAINER_OF(watcher, struct vine__session, waits);

    if (strcmp(vm->uid, session->wait_uid) != 0)
        return;
    session->is_reached |= vm->state == session->wait_state;
    if (session->is_reached || vm->state == VINE__VM_DELETED)
        session->wake(session);
}

static void lost_waiting(struct vine__watcher *watcher, const struct vine__vm *vm)
{
    struct vine__session *const session = VINE_CONTAINER_OF(watcher, struct vine__session, waits);

    if (strcmp(vm->uid, session->wait_uid) == 0)
        session->wake(session);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void heard_event(struct vine__watcher *watcher, const struct vine__vm *vm)
{
    struct vine__session *const session = VINE_CONTAINER_OF(watcher, struct vine__session, listens);
    const uint32_t at = (session->event_first + session->event_count) % VINE__SESSION_EVENTS_MAX;
    struct vine__session_event *const event = &session->events[at];
    char room[VINE__VM_END_BYTES];

    session->event_number++;
    if (session->event_count == VINE__SESSION_EVENTS_MAX)
        return; /* its number tells that it is missing */
    event->number = session->event_number;
    memcpy(event->uid, vm->uid, sizeof(event->uid));
    event->state = vm->state;
    event->ended_by = vine__vm_is_off(vm) ? vine__vm_end_word(vm) : "";
    (void)snprintf(event->text, sizeof(event->text), "%s",
                   vine__vm_is_off(vm) ? vine__session_end_text(session, vm, room) : "");
    session->event_count++;
    session->wake(session);
}

bool vine__session_next_event(struct vine__session *session)
{
    struct vine__answer answer = {.bytes = session->small, .room_bytes = sizeof(session->small)};
    const struct vine__session_event *event;

    VINE_ASSERT(session->answer == NULL);
    if (session->event_count == 0)
        return false;
    event = &session->events[session->event_first];
    vine__answer_begin_event(&answer);
    vine__answer_integer(&answer, (int64_t)event->number);
    vine__answer_text(&answer, event->uid);
    vine__answer_text(&answer, vine__vm_state_word(event->state));
    vine__answer_text(&answer, event->ended_by);
    vine__answer_text(&answer, event->text);
    VINE_ASSERT(vine__answer_is_whole(&answer));
    session->event_first = (session->event_first + 1) % VINE__SESSION_EVENTS_MAX;
    session->event_count--;
    session->answer = answer.bytes;
    session->answer_bytes = answer.size_bytes;
    return true;
}

/* ---- uploads --------------------------------------------------------------------------------- */

static enum vine__vm_upload upload_of(const struct vine__command *command)
{
    return command->action == VINE_SERVER_UPLOAD_KERNEL   ? VINE__UPLOAD_KERNEL
           : command->action == VINE_SERVER_UPLOAD_INITRD ? VINE__UPLOAD_INITRD
                                                          : VINE__UPLOAD_DISK;
}

bool vine__session_buffer(struct vine__session *session, const struct vine__request *request)
{
    const struct vine__command *const command = request->command;
    const struct vine__request_parameter *const uid = &request->parameters[0];
    char why[VINE__SERVER_WHY_BYTES] = "";
    struct vine__vm *const vm = vine__registry_find(session->registry, scope_of(session, command),
                                                    uid->bytes, uid->size_bytes);
    const enum vine_server_error told =
        vm == NULL ? VINE_SERVER_E_NO_VM
                   : vine__upload_begin(&session->upload, session->registry, vm, upload_of(command),
                                        request->buffer_bytes, why);

    if (told == VINE_SERVER_E_DONE)
        return true;
    answer_refusal(session, command, told, why);
    return false;
}

bool vine__session_piece(struct vine__session *session, const struct vine__command *command,
                         size_t size, int error)
{
    char why[VINE__SERVER_WHY_BYTES] = "";
    const enum vine_server_error told = vine__upload_wrote(&session->upload, size, error, why);

    if (told == VINE_SERVER_E_DONE)
        return true;
    answer_refusal(session, command, told, why);
    return false;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

void vine__session_init(struct vine__session *session, struct vine__registry *registry,
                        struct vine__client *client, void (*wake)(struct vine__session *session))
{
    *session = (struct vine__session){
        .registry = registry,
        .client = client,
        .waits = {.heard = heard_waiting, .lost = lost_waiting},
        .listens = {.heard = heard_event},
        .asker = {.done = heard_work},
        .wake = wake,
    };
    vine_list_init(&session->waits.link);
    vine_list_init(&session->listens.link);
}

void vine__session_fini(struct vine__session *session)
{
    vine__upload_abandon(&session->upload);
    vine__control_leave(session->asked);
    session->asked = NULL;
    vine__registry_unask(&session->asker);
    vine__registry_unwatch(&session->waits);
    vine__registry_unwatch(&session->listens);
    vine__session_sent(session);
    free(session->events);
    session->events = NULL;
}
