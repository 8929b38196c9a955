/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/command.h - commands of the VM server by their numbers.
 *
 * Owns:     nothing; the tables are constant.
 * Threads:  any.
 * Blocking: never.
 * Trust:    numbers may be anything.
 * Limits:   those of server_protocol.h.
 */
#ifndef VINE_VMM_SERVER_COMMAND_H
#define VINE_VMM_SERVER_COMMAND_H

#include "vmm/server/server_protocol.h"

#include <stdbool.h>
#include <stdint.h>

struct vine__command {
    uint16_t number;
    uint16_t version;
    uint16_t needs; /* all of these bits of the permission word */
    uint8_t action; /* enum vine_server_action: what is done, whatever VMs it is done to; or enum
                       vine_server_control */
    uint8_t shape;  /* enum vine_server_shape */
    bool is_over_all;
    const char *word;
    const char *parameters;
};

/* The command of this number, or NULL. */
const struct vine__command *vine__command_find(uint32_t number);

/* The next one behind `command`, by number; behind NULL the first. NULL: that was the last. */
const struct vine__command *vine__command_next(const struct vine__command *command);

/* Whether a socket with this permission word may ask for it. */
bool vine__command_is_permitted(const struct vine__command *command, uint16_t permissions);

/* An error's text. */
const char *vine__command_error_text(enum vine_server_error error);

#endif
