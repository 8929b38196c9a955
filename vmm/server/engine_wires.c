/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_wires.c - networks and serial ports beside links: see engine_internal.h.
 *
 * They are sockets in a folder of their own, which QEMU makes and so has to own. The appliance
 * listens. An application's serial port looks for it again and again; its network does once, when
 * it starts: this QEMU can no more, and one of datagrams, which could, loses them under load.
 */

#include "vmm/server/engine_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum vine_server_error refuse(char why[VINE__SERVER_WHY_BYTES], const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%s", text);
    return VINE_SERVER_E_FAILED;
}

static enum vine_server_error make_folder(const struct vine__engine_options *options,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    char path[VINE__ENGINE_PATH_BYTES];
    int error = 0;

    (void)snprintf(path, sizeof(path), "%s/wires", options->runtime);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        error = -errno;
    if (error == 0 && options->user_id != 0 &&
        lchown(path, options->user_id, options->group_id) != 0)
        error = -errno;
    if (error == 0)
        return VINE_SERVER_E_DONE;
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%.160s cannot be made: %s", path,
                   vine_error_text(error));
    return VINE_SERVER_E_FAILED;
}

/* The path of an appliance's socket, kept with this VM. NULL: no memory. */
static const char *socket_of(struct vine__engine_vm *vm, enum vine__engine_wire wire,
                             const struct vine__boot_link *link)
{
    static const char *const words[] = {"net", "serial"};

    if (asprintf(&vm->wires[wire], "%s/wires/%s.%s", vm->engine->options.runtime,
                 link->appliance_uid, words[wire]) < 0)
        vm->wires[wire] = NULL;
    return vm->wires[wire];
}

static enum vine_server_error add_network(struct vine__engine_vm *vm,
                                          const struct vine__boot_link *link, bool is_application,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__machine_description *const description = &vm->description;

    if (description->network != VINE__NETWORK_NONE)
        return refuse(why, "two of its links bring a network, and it can have one");
    description->network =
        is_application ? VINE__NETWORK_STREAM_CONNECT : VINE__NETWORK_STREAM_LISTEN;
    description->network_socket = socket_of(vm, VINE__ENGINE_NETWORK, link);
    return description->network_socket != NULL ? VINE_SERVER_E_DONE : refuse(why, "no memory");
}

static enum vine_server_error add_serial(struct vine__engine_vm *vm,
                                         const struct vine__boot_link *link, bool is_application,
                                         char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__machine_description *const description = &vm->description;

    if (description->serial_socket != NULL)
        return refuse(why, "two of its links bring a serial port, and it can have one");
    description->serial_socket = socket_of(vm, VINE__ENGINE_SERIAL, link);
    description->serial_connects = is_application;
    return description->serial_socket != NULL ? VINE_SERVER_E_DONE : refuse(why, "no memory");
}

enum vine_server_error vine__engine_wires(struct vine__engine_vm *vm,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__boot *const boot = vm->boot;
    enum vine_server_error told = VINE_SERVER_E_DONE;

    for (uint32_t i = 0; told == VINE_SERVER_E_DONE && i < boot->link_count; i++) {
        const struct vine__boot_link *const link = &boot->links[i];
        const bool is_application = strcmp(link->application_uid, boot->uid) == 0;

        if (!link->has_network && !link->has_serial)
            continue;
        told = make_folder(&vm->engine->options, why);
        if (told == VINE_SERVER_E_DONE && link->has_network)
            told = add_network(vm, link, is_application, why);
        if (told == VINE_SERVER_E_DONE && link->has_serial)
            told = add_serial(vm, link, is_application, why);
    }
    return told;
}

void vine__engine_unwire(struct vine__engine_vm *vm, bool removes)
{
    if (removes && vm->description.network == VINE__NETWORK_STREAM_LISTEN)
        (void)unlink(vm->description.network_socket);
    if (removes && vm->description.serial_socket != NULL && !vm->description.serial_connects)
        (void)unlink(vm->description.serial_socket);
    for (int wire = 0; wire < VINE__ENGINE_WIRE_COUNT; wire++)
        free(vm->wires[wire]);
}
