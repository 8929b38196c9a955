/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/command.c - see command.h. */

#include "vmm/server/command.h"

#include "utils/assert.h"

#include <stddef.h>

/* Bits of local VMs, as those of all. */
#define OF_ALL(needs)                                                                              \
    (((needs)&VINE_SERVER_VIEW_LOCAL_STATE) |                                                      \
     ((needs)&VINE_SERVER_MANAGE_LOCAL_VM ? VINE_SERVER_MANAGE_ALL_VM : 0) |                       \
     ((needs)&VINE_SERVER_RUN_LOCAL_VM ? VINE_SERVER_RUN_ALL_VM : 0))

#define LOCAL(name, number_, word_, needs_, shape_, parameters_, all_)                             \
    {                                                                                              \
        .number = (number_),                                                                       \
        .version = 1,                                                                              \
        .needs = (needs_),                                                                         \
        .action = (number_),                                                                       \
        .shape = VINE_SERVER_SHAPE_##shape_,                                                       \
        .word = (word_),                                                                           \
        .parameters = (parameters_),                                                               \
    },

#define OVER_ALL(name, number_, word_, needs_, shape_, parameters_, all_)                          \
    {                                                                                              \
        .number = VINE_SERVER_OVER_ALL + (number_),                                                \
        .version = 1,                                                                              \
        .needs = OF_ALL(needs_),                                                                   \
        .action = (number_),                                                                       \
        .shape = VINE_SERVER_SHAPE_STATUS,                                                         \
        .is_over_all = true,                                                                       \
        .word = "all_" word_,                                                                      \
        .parameters = (all_),                                                                      \
    },

#define CONTROL(name, number_, word_, parameters_)                                                 \
    {                                                                                              \
        .number = (number_),                                                                       \
        .version = 1,                                                                              \
        .needs = VINE_SERVER_MANAGE_SERVER,                                                        \
        .action = (number_),                                                                       \
        .shape = VINE_SERVER_SHAPE_STATUS,                                                         \
        .word = (word_),                                                                           \
        .parameters = (parameters_),                                                               \
    },

/* In the order of their numbers; those without parameters are of commands that are never asked over
 * all. */
static const struct vine__command commands[] = {
    VINE_SERVER_COMMANDS(LOCAL) VINE_SERVER_COMMANDS(OVER_ALL) VINE_SERVER_CONTROLS(CONTROL)};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const struct vine__command *vine__command_next(const struct vine__command *command)
{
    size_t at = command == NULL ? 0 : (size_t)(command - commands) + 1;

    while (at < COMMAND_COUNT && commands[at].parameters == NULL)
        at++;
    return at < COMMAND_COUNT ? &commands[at] : NULL;
}

const struct vine__command *vine__command_find(uint32_t number)
{
    const struct vine__command *command = NULL;

    while ((command = vine__command_next(command)) != NULL)
        if (command->number == number)
            return command;
    return NULL;
}

bool vine__command_is_permitted(const struct vine__command *command, uint16_t permissions)
{
    return (permissions & command->needs) == command->needs;
}

const char *vine__command_error_text(enum vine_server_error error)
{
    static const char *const texts[] = {
#define ERROR_TEXT(name, number, text) [number] = (text),
        VINE_SERVER_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    };

    VINE_ASSERT((size_t)error < sizeof(texts) / sizeof(texts[0]));
    return texts[error];
}
