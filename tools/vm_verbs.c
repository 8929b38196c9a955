/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/name.h"

#include "json.h"
#include "message.h"
#include "status.h"

#define LOOK_MS     500 /* how soon it is told that a VM ended instead of running */
#define WAIT_MS_MAX (24 * 3600 * UINT64_C(1000))

/* ---- VMs ------------------------------------------------------------------------------------- */

static bool is_uid(const char *text)
{
    return strlen(text) == VM_UID_BYTES - 1 && strspn(text, "0123456789abcdef") == VM_UID_BYTES - 1;
}

static bool is_state(const char *text)
{
    const size_t size = strlen(text);

    return size > 0 && size < VM_STATE_BYTES && strspn(text, "abcdefghijklmnopqrstuvwxyz") == size;
}

/* "UID,STATE,NAME", which is cut into its parts. */
static bool read_vm(char *element, struct vm *vm)
{
    char *const state = strchr(element, ',');
    char *const name = state != NULL ? strchr(state + 1, ',') : NULL;

    if (name == NULL)
        return false;
    *state = *name = '\0';
    if (!is_uid(element) || !is_state(state + 1) || !vine__is_name(name + 1, VM_NAME_BYTES))
        return false;
    memcpy(vm->uid, element, sizeof(vm->uid));
    (void)snprintf(vm->state, sizeof(vm->state), "%s", state + 1);
    (void)snprintf(vm->name, sizeof(vm->name), "%s", name + 1);
    return true;
}

static int read_list(struct vm_server *server, char *list, struct vm **ret_vms, size_t *ret_count)
{
    struct vm *vms;
    size_t count = 0, most = 1;

    for (const char *at = list; *at != '\0'; at++)
        most += *at == ';';
    vms = calloc(most, sizeof(*vms));
    if (vms == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    for (char *rest = list, *element; rest != NULL && *list != '\0';) {
        element = strsep(&rest, ";");
        if (!read_vm(element, &vms[count++])) {
            free(vms);
            return vm_server_nonsense(server, "a list of VMs that is none");
        }
    }
    *ret_vms = vms;
    *ret_count = count;
    return STATUS_DONE;
}

static int list_by(struct vm_server *server, uint32_t number, struct vm **ret_vms,
                   size_t *ret_count)
{
    char *list;
    int status = vm_server_ask(server, number, "");

    if (status == STATUS_DONE)
        status = vm_server_text(server, &list, VM_SERVER_LIST_BYTES);
    if (status != STATUS_DONE)
        return status;
    status = read_list(server, list, ret_vms, ret_count);
    free(list);
    return status;
}

int vm_list(struct vm_server *server, struct vm **ret_vms, size_t *ret_count)
{
    return list_by(server, vm_server_number(server, VINE_SERVER_STATES), ret_vms, ret_count);
}

/* Who may not see what there is may all the same do something to a VM of which it knows the UID. */
static int find_unseen(const char *operand, struct vm *ret_vm)
{
    struct vm vm = {.state = ""};

    if (!is_uid(operand)) {
        message_error("%s: this socket has not the permission to look for a VM by its name, which "
                      "takes `manage` and `run`: say which by its UID",
                      message_escape(operand));
        return STATUS_DENIED;
    }
    memcpy(vm.uid, operand, sizeof(vm.uid));
    (void)snprintf(vm.name, sizeof(vm.name), "%s", operand);
    *ret_vm = vm;
    return STATUS_DONE;
}

/* Those of this list that are called so, behind others; one that has this UID is the one. */
static int match(struct vm_server *server, uint32_t number, const char *operand, struct vm *vm,
                 size_t *matches)
{
    struct vm *vms;
    size_t count;
    const int status = list_by(server, number, &vms, &count);

    for (size_t i = 0; status == STATUS_DONE && i < count; i++) {
        const bool is_it = strcmp(vms[i].uid, operand) == 0;

        if (!is_it && strcmp(vms[i].name, operand) != 0)
            continue;
        if (*matches > 0 && strcmp(vms[i].uid, vm->uid) == 0)
            continue; /* of both lists, by one name */
        *vm = vms[i];
        *matches = is_it ? 1 : *matches + 1;
        if (is_it)
            break;
    }
    if (status == STATUS_DONE)
        free(vms);
    return status;
}

int vm_find(struct vm_server *server, const char *operand, struct vm *ret_vm)
{
    const uint32_t number = vm_server_number(server, VINE_SERVER_STATES);
    struct vm vm = {.uid = ""};
    size_t matches = 0;
    int status;

    if (!vm_server_may(server, number))
        return find_unseen(operand, ret_vm);
    status = match(server, number, operand, &vm, &matches);
    /* Among all its own have other names than it gives them. */
    if (status == STATUS_DONE && number != VINE_SERVER_STATES && !is_uid(operand) &&
        vm_server_may(server, VINE_SERVER_STATES))
        status = match(server, VINE_SERVER_STATES, operand, &vm, &matches);
    if (status != STATUS_DONE)
        return status;
    if (matches == 1) {
        *ret_vm = vm;
        return STATUS_DONE;
    }
    message_error(matches == 0 ? "there is no VM \"%s\" that this socket sees"
                               : "there are several VMs \"%s\": say which by its UID",
                  message_escape(operand));
    return STATUS_FAILED;
}

json_t *vm_json(const struct vm *vm)
{
    return json_pack("{s:s, s:s}", "name", vm->name, "uid", vm->uid);
}

int vm_open(const char *socket, const char *operand, struct vm_server **ret_server,
            struct vm *ret_vm)
{
    struct vm_server *server;
    int status = vm_server_open(socket, &server);

    if (status != STATUS_DONE)
        return status;
    vm_server_speak_of(server, operand);
    status = vm_find(server, operand, ret_vm);
    if (status == STATUS_DONE)
        *ret_server = server;
    else
        vm_server_close(server);
    return status;
}

void vm_error_json(json_t *object)
{
    json_set_name(object, "error", message_last_error());
}

/* Returns the status, with an object of its own where JSON is wanted. */
static int do_one(struct vm_server *server, const char *operand, bool json, vm_each_fn work,
                  void *context, json_t **ret_object)
{
    json_t *object = NULL;
    struct vm vm;
    int status;

    vm_server_speak_of(server, operand);
    status = vm_find(server, operand, &vm);
    if (json)
        object = status == STATUS_DONE ? vm_json(&vm) : json_object();
    if (json && status != STATUS_DONE)
        json_set_name(object, "name", operand);
    if (status == STATUS_DONE)
        status = work(server, &vm, context, object);
    if (status != STATUS_DONE && json)
        vm_error_json(object);
    vm_server_speak_of(server, NULL);
    *ret_object = object;
    return status;
}

int vm_each(const char *socket, const struct arguments *arguments, bool json, vm_each_fn work,
            void *context)
{
    json_t *const told = json ? json_array() : NULL;
    struct vm_server *server;
    int first = vm_server_open(socket, &server);

    if (first != STATUS_DONE) {
        json_decref(told);
        return first;
    }
    for (size_t i = 0; i < arguments->operand_count; i++) {
        json_t *object;
        const int status = do_one(server, arguments->operands[i], json, work, context, &object);

        if (json)
            (void)json_array_append_new(told, object);
        first = first != STATUS_DONE ? first : status;
    }
    vm_server_close(server);
    const int printed = json ? json_print(told) : STATUS_DONE;

    return first != STATUS_DONE ? first : printed;
}

/* ---- one ------------------------------------------------------------------------------------- */

void vm_status_fini(struct vm_status *status)
{
    free(status->ended_by);
    free(status->ended_text);
    *status = (struct vm_status){.ended_by = NULL};
}

int vm_status_get(struct vm_server *server, const char *uid, struct vm_status *ret_status)
{
    struct vm_status vm = {.ended_by = NULL};
    char *state = NULL;
    int status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_STATUS), "s", uid);

    if (status == STATUS_DONE)
        status = vm_server_text(server, &state, VM_STATE_BYTES - 1);
    if (status == STATUS_DONE && !is_state(state))
        status = vm_server_nonsense(server, "a state that is none");
    if (status == STATUS_DONE) {
        (void)snprintf(vm.state, sizeof(vm.state), "%s", state);
        status = vm_server_text(server, &vm.ended_by, 64);
    }
    if (status == STATUS_DONE)
        status = vm_server_text(server, &vm.ended_text, 1024);
    if (status == STATUS_DONE)
        status = vm_server_integer(server, &vm.start_count);
    free(state);
    if (status == STATUS_DONE)
        *ret_status = vm;
    else
        vm_status_fini(&vm);
    return status;
}

int vm_wait(struct vm_server *server, const char *uid, const char *state, uint64_t timeout_ms)
{
    char *reached = NULL;
    int status =
        vm_server_ask_waiting(server, timeout_ms, vm_server_number(server, VINE_SERVER_WAIT), "ssi",
                              uid, state, (int64_t)timeout_ms);

    if (status == STATUS_DONE)
        status = vm_server_text(server, &reached, VM_STATE_BYTES - 1);
    free(reached);
    return status;
}

/* Whether it runs by now, which is waited for; or how it has ended. */
static int look(struct vm_server *server, const struct vm *vm, uint64_t wait_ms, bool *ret_runs)
{
    struct vm_status now;
    char text[VM_END_BYTES];
    int status;

    vm_server_expect(server, VINE_SERVER_E_TIMED_OUT);
    status = vm_wait(server, vm->uid, "running", wait_ms);
    vm_server_expect(server, VINE_SERVER_E_DONE);
    *ret_runs = status == STATUS_DONE;
    if (*ret_runs || vm_server_error(server) != VINE_SERVER_E_TIMED_OUT)
        return status;
    status = vm_status_get(server, vm->uid, &now);
    if (status != STATUS_DONE)
        return status;
    if (vm_state_is_off(now.state)) {
        message_error("%s: %s", vm->name, vm_end_text(&now, text));
        status = STATUS_FAILED;
    }
    vm_status_fini(&now);
    return status;
}

int vm_wait_running(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms)
{
    bool runs = false;
    int status = STATUS_DONE;

    for (uint64_t ms = 0; status == STATUS_DONE && !runs; ms += LOOK_MS) {
        if (ms >= timeout_ms) {
            message_error("%s: it does not run yet", vm->name);
            return STATUS_TRY_AGAIN;
        }
        status = look(server, vm, timeout_ms - ms < LOOK_MS ? timeout_ms - ms : LOOK_MS, &runs);
    }
    return status;
}

int vm_wait_end(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms, json_t *object)
{
    struct vm_status ended;
    char text[VM_END_BYTES];
    int status;

    message_progress(vm->name);
    /* And some for the end that is harder then. */
    status = vm_wait(server, vm->uid, "off", timeout_ms + VM_WAIT_MS);
    message_progress("");
    if (status == STATUS_DONE)
        status = vm_status_get(server, vm->uid, &ended);
    if (status != STATUS_DONE)
        return status;
    (void)vm_end_text(&ended, text);
    if (object != NULL)
        vm_end_json(&ended, object);
    if (vm_is_unsaved(&ended)) {
        message_error("%s: %s", vm->name, text);
        status = STATUS_FAILED;
    } else if (object == NULL) {
        printf("%s: %s\n", vm->name, text);
    }
    vm_status_fini(&ended);
    return status;
}

int vm_execute(struct vm_server *server, const char *uid, const char *parameters,
               uint64_t timeout_ms, char **ret_console)
{
    const int status = vm_server_ask_waiting(
        server, timeout_ms, vm_server_number(server, VINE_SERVER_EXECUTE), "ss", uid, parameters);

    return status != STATUS_DONE ? status : vm_server_text(server, ret_console, 512);
}

int vm_console_get(struct vm_server *server, const char *uid, char **ret_path)
{
    const int status =
        vm_server_ask(server, vm_server_number(server, VINE_SERVER_CONSOLE), "s", uid);

    return status != STATUS_DONE ? status : vm_server_text(server, ret_path, 512);
}

int vm_configuration_get(struct vm_server *server, const char *uid, json_t **ret_json)
{
    json_error_t error;
    json_t *json;
    char *text;
    size_t size;
    int status =
        vm_server_ask(server, vm_server_number(server, VINE_SERVER_CONFIGURATIONS), "s", uid);

    if (status == STATUS_DONE)
        status = vm_server_string(server, &text, &size, VM_SERVER_LIST_BYTES);
    if (status != STATUS_DONE)
        return status;
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!json_is_object(json)) {
        json_decref(json);
        return vm_server_nonsense(server, "a configuration that is none");
    }
    *ret_json = json;
    return STATUS_DONE;
}

int vm_configuration_look(struct vm_server *server, const char *uid, json_t **ret_json)
{
    int status;

    *ret_json = NULL;
    vm_server_expect(server, VINE_SERVER_E_FAILED);
    status = vm_configuration_get(server, uid, ret_json);
    vm_server_expect(server, VINE_SERVER_E_DONE);
    return vm_server_error(server) == VINE_SERVER_E_FAILED ? STATUS_DONE : status;
}

int vm_configuration_set(struct vm_server *server, const char *uid, const json_t *json)
{
    char *const text = json_dumps(json, JSON_COMPACT);
    int status;

    if (text == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    status =
        vm_server_ask_waiting(server, VM_SERVER_CHANGE_MS,
                              vm_server_number(server, VINE_SERVER_CONFIGURE), "ss", uid, text);
    free(text);
    return status;
}

/* ---- what is said ---------------------------------------------------------------------------- */

uint64_t vm_milliseconds(uint64_t time_ns, uint64_t otherwise_ms)
{
    const uint64_t ms = time_ns / 1000000 + (time_ns % 1000000 != 0);

    return time_ns == 0 ? otherwise_ms : ms < WAIT_MS_MAX ? ms : WAIT_MS_MAX;
}

bool vm_is_unsaved(const struct vm_status *status)
{
    return strcmp(status->ended_by, "unsaved") == 0;
}

bool vm_state_is_off(const char *state)
{
    return strcmp(state, "off") == 0 || strcmp(state, "backoff") == 0;
}

const char *vm_end_text(const struct vm_status *status, char ret_text[VM_END_BYTES])
{
    const bool has_both = status->ended_by[0] != '\0' && status->ended_text[0] != '\0';

    if ((!vm_state_is_off(status->state) && status->ended_by[0] != '\0') ||
        (status->ended_by[0] == '\0' && status->ended_text[0] == '\0'))
        (void)snprintf(ret_text, VM_END_BYTES, "%s", status->state);
    else
        (void)snprintf(ret_text, VM_END_BYTES, "%s: %s%s%.400s", status->state,
                       message_escape(status->ended_by), has_both ? ", " : "",
                       message_escape(status->ended_text));
    return ret_text;
}

void vm_end_json(const struct vm_status *status, json_t *object)
{
    const bool is_note = !vm_state_is_off(status->state) && status->ended_by[0] == '\0';

    (void)json_object_set_new(object, "state", json_string(status->state));
    if (status->ended_by[0] != '\0')
        json_set_name(object, "ended_by", status->ended_by);
    if (status->ended_text[0] != '\0')
        json_set_name(object, is_note ? "note" : "ended_text", status->ended_text);
    (void)json_object_set_new(object, "starts", json_integer(status->start_count));
}
