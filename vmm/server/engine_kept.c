/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_kept.c - VMs outlive the engine: see engine_internal.h.
 *
 * What runs is written down in RUNTIME/machines.json: of each VM what it was started with, which
 * process it is and until when it may take to stop, of each link whose it is. Descriptors of status
 * pages and of links are with the process of the doorbells, which outlives us too. The next engine
 * adopts what is there, in three steps: all machines, all links between them, then the loop.
 */

#include "vmm/server/engine_internal.h"

#include "arch/peer/process.h"
#include "arch/wake/epoll.h"
#include "vmm/engine/adoption.h"
#include "vmm/engine/bells_protocol.h"
#include "vmm/pool/names.h"
#include "vmm/server/state_file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION    1
#define NAME_BYTES VINE_BELLS_NAME_BYTES /* of what is kept */

VINE_STATIC_ASSERT(NAME_BYTES > VINE__VM_UID_BYTES, "a UID fits, with a letter before it");

static void path_of(const struct vine__engine *engine, char path[VINE__ENGINE_PATH_BYTES])
{
    (void)snprintf(path, VINE__ENGINE_PATH_BYTES, "%s/machines.json", engine->options.runtime);
}

/* ---- names of what is kept ------------------------------------------------------------------- */

static void name_page(const char *uid, int page, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "%c%s", page == 0 ? 'p' : 'b', uid);
}

static void name_process(const char *uid, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "r%s", uid);
}

static void name_half(uint64_t number, int half, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "link%llu%c", (unsigned long long)number,
                   half == 0 ? 'a' : 'b');
}

void vine__engine_keep_pages(const struct vine__engine_vm *vm)
{
    int fds[VINE__MACHINE_PAGES];
    char name[NAME_BYTES];

    if (vm->description.links_max == 0)
        return;
    vine__machine_pages(vm->machine, fds);
    for (int page = 0; page < VINE__MACHINE_PAGES; page++) {
        name_page(vm->boot->uid, page, name);
        vine__engine_keep(vm->engine, name, fds[page]);
    }
}

void vine__engine_keep_process(const struct vine__engine_vm *vm)
{
    char name[NAME_BYTES];
    int fd;

    /* Where nothing else is kept of it, nobody has to wait for its end. */
    if (vm->description.links_max == 0 ||
        vine__process_pidfd(vine__machine_pid(vm->machine), &fd) != 0)
        return;
    name_process(vm->boot->uid, name);
    vine__engine_keep(vm->engine, name, fd);
    (void)close(fd);
}

static void forget_run(struct vine__engine *engine, const char *uid)
{
    char name[NAME_BYTES];

    for (int page = 0; page < VINE__MACHINE_PAGES; page++) {
        name_page(uid, page, name);
        vine__engine_forget(engine, name);
    }
    name_process(uid, name);
    vine__engine_forget(engine, name);
}

void vine__engine_forget_run(const struct vine__engine_vm *vm)
{
    if (vm->description.links_max > 0)
        forget_run(vm->engine, vm->boot->uid);
}

static void keep_halves(struct vine__engine *engine, const struct vine__engine_link *link)
{
    char name[NAME_BYTES];

    for (int half = 0; half < 2; half++) {
        name_half(link->number, half, name);
        vine__engine_keep(engine, name,
                          vine__machine_link_fd(link->link, (enum vine_status_end)half));
    }
}

void vine__engine_keep_link(struct vine__engine *engine, struct vine__engine_link *link)
{
    link->number = engine->link_number++;
    keep_halves(engine, link);
    engine->is_changed = true;
}

void vine__engine_keep_all(struct vine__engine *engine)
{
    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        const struct vine__engine_vm *const vm =
            VINE_LIST_OBJECT(node, struct vine__engine_vm, node);

        /* Of one that is about to start, or to be adopted, it is done then. */
        if (vm->machine == NULL || vine__machine_state_of(vm->machine) == VINE__MACHINE_OFF)
            continue;
        vine__engine_keep_pages(vm);
        vine__engine_keep_process(vm);
    }
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        const struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (link->filled == 0)
            keep_halves(engine, link);
    }
}

void vine__engine_forget_link(struct vine__engine *engine, const struct vine__engine_link *link)
{
    char name[NAME_BYTES];

    for (int half = 0; half < 2; half++) {
        name_half(link->number, half, name);
        vine__engine_forget(engine, name);
    }
    engine->is_changed = true;
}

/* ---- writing down ---------------------------------------------------------------------------- */

static json_t *write_stop(const struct vine__engine_vm *vm)
{
    return vm->stop_deadline_ns == VINE_FOREVER
               ? NULL
               : json_pack("{s:I, s:b}", "deadline_ns", (json_int_t)vm->stop_deadline_ns,
                           "starts_again", (int)vm->starts_again);
}

static void read_stop(struct vine__engine_vm *vm, const json_t *stop)
{
    const json_t *const deadline_ns = json_object_get(stop, "deadline_ns");

    if (!json_is_integer(deadline_ns) || json_integer_value(deadline_ns) < 0)
        return;
    vm->stop_deadline_ns = (uint64_t)json_integer_value(deadline_ns);
    vm->starts_again = json_is_true(json_object_get(stop, "starts_again"));
}

static json_t *write_vm(const struct vine__engine_vm *vm,
                        const struct vine__machine_identity *identity)
{
    return json_pack("{s:s, s:s, s:b, s:i, s:I, s:o, s:o*}", "uid", vm->boot->uid, "parameters",
                     vm->parameters, "kvm", vm->description.accelerator == VINE__ACCELERATOR_KVM,
                     "vectors", (int)vm->description.doorbell_vectors, "bell", (json_int_t)vm->bell,
                     "identity", vine__machine_identity_save(identity), "stop", write_stop(vm));
}

/* -1: that VM has not got it. */
static json_int_t place_of(const struct vine__engine_link *link, enum vine_status_end end)
{
    return link->is_held[end] ? (json_int_t)link->places[end] : -1;
}

static json_t *write_link(const struct vine__engine_link *link)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:[I, I]}", "name", link->name, "application",
        link->uids[VINE_STATUS_APPLICATION], "appliance", link->uids[VINE_STATUS_APPLIANCE], "size",
        (json_int_t)link->size_bytes, "number", (json_int_t)link->number, "places",
        place_of(link, VINE_STATUS_APPLICATION), place_of(link, VINE_STATUS_APPLIANCE));
}

/* A list, an item of which is a line: hundreds of machines are in memory one after the other. */
struct list {
    FILE *stream;
    size_t count;
    int error;
};

static void put(struct list *list, const json_t *item)
{
    if (fputs(list->count++ > 0 ? ",\n" : "\n", list->stream) < 0 ||
        json_dumpf(item, list->stream, JSON_COMPACT) != 0)
        list->error = ferror(list->stream) != 0 ? -errno : -ENOMEM;
}

static void put_new(struct list *list, json_t *item)
{
    if (item != NULL)
        put(list, item);
    else
        list->error = -ENOMEM;
    json_decref(item);
}

/* Whom we cannot write down stays as the file has it: who comes after us would start it again. */
static void put_vm(struct list *list, const struct vine__engine_vm *vm)
{
    struct vine__machine_identity identity;
    const int error = vine__machine_identify(vm->machine, &identity);

    if (error == 0)
        put_new(list, write_vm(vm, &identity));
    else if (error != -ESRCH) /* it has a process */
        list->error = error;
}

static void put_left(struct list *list, const json_t *left)
{
    for (size_t i = 0; i < json_array_size(left); i++)
        put(list, json_array_get(left, i));
}

static int put_all(const struct vine__engine *engine, FILE *stream)
{
    struct list vms = {.stream = stream}, links = {.stream = stream};

    (void)fprintf(stream, "{\"version\":%d,\"vms\":[", VERSION);
    put_left(&vms, engine->left);
    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        put_vm(&vms, VINE_LIST_OBJECT(node, struct vine__engine_vm, node));
    }
    (void)fputs("],\n\"links\":[", stream);
    put_left(&links, engine->left_links);
    VINE_LIST_FOR_EACH(node, &engine->links)
    {
        const struct vine__engine_link *const link =
            VINE_LIST_OBJECT(node, struct vine__engine_link, node);

        if (!link->is_going && link->filled == 0)
            put_new(&links, write_link(link));
    }
    (void)fputs("]}\n", stream);
    return vms.error != 0 ? vms.error : links.error;
}

int vine__engine_save(struct vine__engine *engine)
{
    char path[VINE__ENGINE_PATH_BYTES];
    FILE *stream;
    int error;

    engine->is_changed = false;
    path_of(engine, path);
    error = vine__state_file_begin(path, &stream);
    return error != 0 ? error : vine__state_file_end(path, stream, put_all(engine, stream));
}

/* ---- reading --------------------------------------------------------------------------------- */

static json_t *read_file(const struct vine__engine *engine)
{
    char path[VINE__ENGINE_PATH_BYTES], why[VINE__STATE_FILE_WHY_BYTES];
    json_t *root;

    path_of(engine, path);
    root = vine__state_file_load(path, VERSION, "vms", why);
    if (why[0] != '\0')
        engine->options.note(engine->options.context, "", path, why);
    return root;
}

static const char *uid_of(const json_t *saved)
{
    const char *const uid = json_string_value(json_object_get(saved, "uid"));

    return uid != NULL && vine__vm_is_uid(uid) ? uid : NULL;
}

void vine__engine_load(struct vine__engine *engine)
{
    json_t *const root = read_file(engine);
    const json_t *const vms = json_object_get(root, "vms");
    json_t *const links = json_object_get(root, "links");
    const size_t count = json_array_size(vms);

    engine->left = json_array();
    engine->left_links = json_is_array(links) ? json_incref(links) : json_array();
    engine->left_uids = calloc(count + 1, sizeof(*engine->left_uids));
    for (size_t i = 0; engine->left_uids != NULL && i < count; i++) {
        json_t *const saved = json_array_get(vms, i);

        if (uid_of(saved) == NULL || vine__engine_is_left(engine, uid_of(saved)) ||
            json_array_append(engine->left, saved) != 0)
            continue;
        (void)snprintf(engine->left_uids[engine->left_count++], VINE__VM_UID_BYTES, "%s",
                       uid_of(saved));
    }
    for (size_t i = 0; i < json_array_size(engine->left_links); i++) {
        const uint64_t number = (uint64_t)json_integer_value(
            json_object_get(json_array_get(engine->left_links, i), "number"));

        if (number >= engine->link_number)
            engine->link_number = number + 1;
    }
    json_decref(root);
}

/* ---- adopting -------------------------------------------------------------------------------- */

/* Its process must not go on beside another one. */
static void end_process(const struct vine__machine_identity *identity)
{
    struct vine__child child;
    struct pollfd ended = {.events = POLLIN};

    if (vine__machine_identity_find(identity, &child) != 0)
        return;
    ended.fd = child.pidfd;
    vine__child_signal(&child, SIGKILL);
    (void)poll(&ended, 1, -1);
    vine__child_close(&child);
}

/* What was kept of a VM that runs is lost. Its page may be there, and then its links come anew. */
static void say_lost(const struct vine__engine_vm *vm)
{
    int fds[VINE__MACHINE_PAGES];

    vine__machine_pages(vm->machine, fds);
    if (fds[0] >= 0)
        vine__engine_keep_pages(vm);
    vine__engine_note(vm->engine, vm->boot,
                      "it runs, and the process of its doorbells was killed: %s",
                      fds[0] >= 0 ? "its links are unplugged and plugged anew"
                                  : "it has no links until it is started anew");
}

static int adopt_machine(struct vine__engine_vm *vm, const struct vine__machine_identity *identity,
                         char why[VINE__SERVER_WHY_BYTES])
{
    int fds[VINE__MACHINE_PAGES] = {-1, -1};
    bool has_pages = identity->links_max > 0;
    char name[NAME_BYTES];
    int error;

    for (int page = 0; page < VINE__MACHINE_PAGES && has_pages; page++) {
        name_page(vm->boot->uid, page, name);
        fds[page] = vine__engine_kept(vm->engine, name);
        has_pages = fds[page] >= 0;
    }
    error = vine__machine_adopt(vm->machine, identity, has_pages ? fds : NULL, why,
                                VINE__SERVER_WHY_BYTES);
    for (int page = 0; page < VINE__MACHINE_PAGES; page++)
        if (fds[page] >= 0)
            (void)close(fds[page]);
    if (error == 0 && identity->links_max > 0 && !has_pages && vine__machine_pid(vm->machine) != 0)
        say_lost(vm);
    return error;
}

bool vine__engine_is_left(const struct vine__engine *engine, const char *uid)
{
    for (size_t i = 0; uid != NULL && i < json_array_size(engine->left); i++)
        if (strcmp(uid_of(json_array_get(engine->left, i)), uid) == 0)
            return true;
    return false;
}

/* What is written of a VM, no more among what is left; NULL: nothing is. */
static json_t *take_left(struct vine__engine *engine, const char *uid)
{
    for (size_t i = 0; i < json_array_size(engine->left); i++) {
        json_t *const saved = json_incref(json_array_get(engine->left, i));

        if (strcmp(uid_of(saved), uid) == 0) {
            (void)json_array_remove(engine->left, i);
            return saved;
        }
        json_decref(saved);
    }
    return NULL;
}

static enum vine_server_error adopt(struct vine__engine *engine, const struct vine__boot *boot,
                                    const json_t *saved, char why[VINE__SERVER_WHY_BYTES],
                                    struct vine__engine_vm **ret_vm)
{
    const char *const parameters = json_string_value(json_object_get(saved, "parameters"));
    const struct vine__engine_start start = {
        .boot = boot,
        .parameters = parameters,
        .accelerator = json_is_true(json_object_get(saved, "kvm")) ? VINE__ACCELERATOR_KVM
                                                                   : VINE__ACCELERATOR_TCG,
        .is_adopted = true,
        .doorbell_vectors = (uint32_t)json_integer_value(json_object_get(saved, "vectors")),
    };
    struct vine__machine_identity identity;
    enum vine_server_error told;

    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "what was written down of it makes no sense");
    if (parameters == NULL ||
        vine__machine_identity_load(json_object_get(saved, "identity"), &identity, why,
                                    VINE__SERVER_WHY_BYTES) != 0)
        return VINE_SERVER_E_FAILED;
    told = vine__engine_make(engine, &start, ret_vm, why);
    if (told == VINE_SERVER_E_DONE && adopt_machine(*ret_vm, &identity, why) != 0) {
        vine__engine_unmake(*ret_vm);
        told = VINE_SERVER_E_FAILED;
    }
    if (told != VINE_SERVER_E_DONE) {
        end_process(&identity);
        return told;
    }
    read_stop(*ret_vm, json_object_get(saved, "stop"));
    vine__engine_keep_process(*ret_vm);
    if (start.doorbell_vectors > 0)
        vine__engine_bells_resume(*ret_vm,
                                  (uint32_t)json_integer_value(json_object_get(saved, "bell")));
    return told;
}

enum vine_server_error vine__engine_adopt(struct vine__engine *engine,
                                          const struct vine__boot *boot,
                                          char why[VINE__SERVER_WHY_BYTES],
                                          struct vine__engine_vm **ret_vm)
{
    json_t *const saved = take_left(engine, boot->uid);
    const enum vine_server_error told = adopt(engine, boot, saved, why, ret_vm);

    json_decref(saved);
    engine->is_changed = true;
    return told;
}

bool vine__engine_end_left(struct vine__engine *engine, const char *uid)
{
    json_t *const saved = take_left(engine, uid);
    struct vine__machine_identity identity;
    char text[VINE__SERVER_WHY_BYTES];

    if (saved == NULL)
        return false;
    if (vine__machine_identity_load(json_object_get(saved, "identity"), &identity, text,
                                    sizeof(text)) == 0)
        end_process(&identity);
    forget_run(engine, uid);
    json_decref(saved);
    engine->is_changed = true;
    return true;
}

/* The memories of a link are there, and it is one. */
static int open_link(struct vine__engine *engine, struct vine__engine_link *link)
{
    const uint64_t sizes[2] = {link->size_bytes, link->size_bytes};
    int fds[2] = {-1, -1};
    int error = 0;

    for (int half = 0; half < 2 && error == 0; half++) {
        char name[NAME_BYTES];

        name_half(link->number, half, name);
        fds[half] = vine__engine_kept(engine, name);
        error = fds[half] < 0 ? -ENOENT : 0;
    }
    if (error == 0)
        error = vine__machine_link_adopt(link->name, sizes, fds, &link->link);
    for (int half = 0; half < 2; half++)
        if (fds[half] >= 0)
            (void)close(fds[half]);
    return error;
}

/* The VMs at its ends have what they had of it, in the places that are written down. */
static void enter_link(struct vine__engine *engine, struct vine__engine_link *link,
                       const json_t *places)
{
    for (size_t end = 0; end < 2; end++) {
        struct vine__engine_vm *const vm = vine__engine_find(engine, link->uids[end]);
        const json_t *const saved = json_array_get(places, end);
        const json_int_t place =
            json_is_integer(saved) ? json_integer_value(saved) : VINE__MACHINE_LINK_ANY_PLACE;

        if (vm != NULL && vm->is_adopted && place >= 0)
            link->is_held[end] =
                vine__machine_link_attach(link->link, (enum vine_status_end)end, vm->machine,
                                          (uint32_t)place, &link->places[end]) == 0;
    }
    /* It is its application's. */
    if (!link->is_held[VINE_STATUS_APPLICATION])
        vine__engine_links_remove(engine, link);
}

static void adopt_link(struct vine__engine *engine, const json_t *saved)
{
    static const char *const keys[2] = {"application", "appliance"};
    const char *const name = json_string_value(json_object_get(saved, "name"));
    struct vine__engine_link *const link = calloc(1, sizeof(*link));

    if (link == NULL || name == NULL) {
        free(link);
        return;
    }
    (void)snprintf(link->name, sizeof(link->name), "%s", name);
    for (int end = 0; end < 2; end++) {
        const char *const uid = json_string_value(json_object_get(saved, keys[end]));

        (void)snprintf(link->uids[end], sizeof(link->uids[end]), "%s", uid != NULL ? uid : "");
    }
    link->size_bytes = (uint64_t)json_integer_value(json_object_get(saved, "size"));
    link->number = (uint64_t)json_integer_value(json_object_get(saved, "number"));
    if (open_link(engine, link) != 0) {
        free(link);
        return;
    }
    vine_list_push_back(&engine->links, &link->node);
    enter_link(engine, link, json_object_get(saved, "places"));
}

void vine__engine_adopt_links(struct vine__engine *engine)
{
    size_t i = 0;

    /* Those whose application is left are left. */
    while (i < json_array_size(engine->left_links)) {
        json_t *const saved = json_array_get(engine->left_links, i);

        if (vine__engine_is_left(engine,
                                 json_string_value(json_object_get(saved, "application")))) {
            i++;
            continue;
        }
        adopt_link(engine, saved);
        (void)json_array_remove(engine->left_links, i);
    }
}
