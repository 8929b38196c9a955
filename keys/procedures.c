/* SPDX-License-Identifier: Apache-2.0 */
#include "procedures.h"

#include <stddef.h>

#include <vine/error.h>

#include "seal.h"

/* What a session of either holds beside its state: charged to the pipe, which has one user, whose
 * own users it keeps from each other. */
#define HELD_BYTES (VINE_SEAL_CHUNK_BYTES + 8192)

enum {
    KEY_NAME,
    KEY_INPUT,
    KEY_OUTPUT,
};

static const struct keyring *keyring;

static const struct vine_argument seal_arguments[] = {
    [KEY_NAME] = {"key", VINE_BYTES, 0, 1, VINE_KEY_NAME_MAX},
    [KEY_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, KEY_DATA_MAX},
    [KEY_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, SEAL_ROOM(KEY_DATA_MAX)},
};

static const struct vine_argument open_arguments[] = {
    [KEY_NAME] = {"key", VINE_BYTES, 0, 0, VINE_KEY_NAME_MAX},
    [KEY_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, KEY_DATA_MAX},
    [KEY_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, OPEN_ROOM(KEY_DATA_MAX)},
};

struct seal_state {
    struct sealer *sealer;
};

struct open_state {
    struct opener *opener;
};

void key_procedures_init(const struct keyring *keys)
{
    keyring = keys;
}

/* The key that the task names: 0 and NULL if it names none. */
static int key_of(const struct vine_call *call, const struct key **ret_key)
{
    size_t length;
    const char *name = vine_call_bytes(call, KEY_NAME, &length);

    *ret_key = length > 0 ? keyring_find(keyring, name, length) : NULL;
    return length > 0 && *ret_key == NULL ? -VINE_EKEY : 0;
}

static struct seal_piece piece_of(struct vine_call *call)
{
    static uint8_t nothing[1]; /* nobody writes it: the room is 0 */
    struct seal_piece piece = {
        .is_last = vine_call_state(call) == NULL || vine_call_is_last(call),
    };

    piece.input = vine_call_bytes(call, KEY_INPUT, &piece.size);
    piece.output = vine_call_output(call, KEY_OUTPUT, &piece.room);
    if (piece.output == NULL)
        piece.output = nothing;
    return piece;
}

/* ---- seal ------------------------------------------------------------------------------------ */

static int begin_seal(struct vine_call *call, struct sealer **ret_sealer)
{
    const struct key *key;
    int error = key_of(call, &key);

    if (error == 0 && key == NULL)
        error = -VINE_EKEY;
    if (error == 0 && vine_call_state(call) != NULL)
        error = vine_call_charge(call, HELD_BYTES);
    return error < 0 ? error : sealer_create(key, ret_sealer);
}

static int seal(struct vine_call *call)
{
    struct seal_state own = {0};
    struct seal_state *state = vine_call_state(call) != NULL ? vine_call_state(call) : &own;
    struct seal_piece piece = piece_of(call);
    int error = state->sealer == NULL ? begin_seal(call, &state->sealer) : 0;

    if (error == 0)
        error = sealer_add(state->sealer, &piece);
    sealer_destroy(own.sealer);
    return error < 0 ? error : vine_call_output_size(call, KEY_OUTPUT, piece.made);
}

static void seal_end(void *state)
{
    sealer_destroy(((struct seal_state *)state)->sealer);
}

/* ---- open ------------------------------------------------------------------------------------ */

static int begin_open(struct vine_call *call, struct opener **ret_opener)
{
    const struct key *key;
    int error = key_of(call, &key);

    if (error == 0 && vine_call_state(call) != NULL)
        error = vine_call_charge(call, HELD_BYTES);
    return error < 0 ? error : opener_create(keyring, key, ret_opener);
}

static int unseal(struct vine_call *call)
{
    struct open_state own = {0};
    struct open_state *state = vine_call_state(call) != NULL ? vine_call_state(call) : &own;
    struct seal_piece piece = piece_of(call);
    int error = state->opener == NULL ? begin_open(call, &state->opener) : 0;

    if (error == 0)
        error = opener_add(state->opener, &piece);
    opener_destroy(own.opener);
    return error < 0 ? error : vine_call_output_size(call, KEY_OUTPUT, piece.made);
}

static void open_end(void *state)
{
    opener_destroy(((struct open_state *)state)->opener);
}

#define KEYS_FLAGS VINE_ARGUMENTS_SHARED
#define KEYS_SHORT 8192 /* some 10 us, of which the file's own key takes the half */

const struct vine_procedure_definition key_seal = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "seal",
    .summary = "encrypt and authenticate with a key of the appliance (AES-256-GCM)",
    .flags = KEYS_FLAGS,
    .arguments = seal_arguments,
    .argument_count = 3,
    .run = seal,
    .short_input_max = KEYS_SHORT,
    .state_bytes = sizeof(struct seal_state),
    .end = seal_end,
};

const struct vine_procedure_definition key_open = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "open",
    .summary = "undo seal; what does not authenticate does not come out",
    .flags = KEYS_FLAGS,
    .arguments = open_arguments,
    .argument_count = 3,
    .run = unseal,
    .short_input_max = KEYS_SHORT,
    .state_bytes = sizeof(struct open_state),
    .end = open_end,
};
