/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/request.c - see request.h. */

#include "vmm/server/request.h"

#include "utils/assert.h"

#include <string.h>

#define NUMBER_MAX        65535
#define LENGTH_DIGITS_MAX 18 /* no sum of ours comes near the end of 64 bits */

enum stage {
    STAGE_HEAD,  /* COMMAND,VERSION and a newline */
    STAGE_VALUE, /* the next parameter, or the request's end */
    STAGE_INTEGER,
    STAGE_LENGTH,
    STAGE_STRING,
    STAGE_BUFFER,
    STAGE_NEWLINE, /* behind a string or a buffer */
    STAGE_LOST,
};

void vine__request_init(struct vine__request *request, uint16_t permissions, char *room,
                        uint32_t room_bytes)
{
    *request = (struct vine__request){
        .room = room, .room_bytes = room_bytes, .permissions = permissions, .stage = STAGE_HEAD};
}

const char *vine__request_fault_text(uint32_t fault)
{
    static const char *const texts[] = {
#define FAULT_TEXT(name, text) [VINE__REQUEST_FAULT_##name] = (text),
        VINE__REQUEST_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
    };

    return fault < sizeof(texts) / sizeof(texts[0]) ? texts[fault] : NULL;
}

bool vine__request_is_between(const struct vine__request *request)
{
    return request->stage == STAGE_HEAD && request->line_bytes == 0 && !request->is_doubtful;
}

void vine__request_refuse(struct vine__request *request)
{
    VINE_ASSERT(request->stage != STAGE_HEAD);
    request->is_refused = true;
}

static enum vine__request_told refuse(struct vine__request *request, enum vine_server_error error,
                                      enum vine__request_fault fault)
{
    VINE_ASSERT(!request->is_refused);
    request->is_refused = true;
    request->error = error;
    request->fault = (uint8_t)fault;
    return VINE__REQUEST_REFUSED;
}

/* What was refused has been answered: that answer stays. */
static enum vine__request_told lose(struct vine__request *request, enum vine__request_fault fault)
{
    request->stage = STAGE_LOST;
    if (!request->is_refused) {
        request->error = VINE_SERVER_E_MALFORMED;
        request->fault = (uint8_t)fault;
    }
    return VINE__REQUEST_LOST;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/*
 * Take bytes of a line up to `end`, which is taken and not kept.
 *
 * Returns 1, the line is whole; 0, more has to come; -1, it is longer than any that is right.
 */
static int take_line(struct vine__request *request, const char *bytes, size_t size, char end)
{
    while (request->consumed_bytes < size) {
        const char byte = bytes[request->consumed_bytes++];

        if (byte == end)
            return 1;
        if (request->line_bytes == VINE__REQUEST_LINE_BYTES)
            return -1;
        request->line[request->line_bytes++] = byte;
    }
    return 0;
}

/* The number that all of these bytes are: digits without a zero before them, at most 18. */
static bool read_digits(const char *bytes, size_t size, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (size == 0 || size > LENGTH_DIGITS_MAX || (size > 1 && bytes[0] == '0'))
        return false;
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] < '0' || bytes[at] > '9')
            return false;
        number = number * 10 + (uint64_t)(bytes[at] - '0');
    }
    *ret_number = number;
    return true;
}

static bool read_integer(const char *bytes, size_t size, int64_t *ret_integer)
{
    const bool is_negative = size > 0 && bytes[0] == '-';
    uint64_t number;

    if (!read_digits(bytes + is_negative, size - is_negative, &number) ||
        (is_negative && number == 0))
        return false;
    *ret_integer = is_negative ? -(int64_t)number : (int64_t)number;
    return true;
}

/* ---- a request's parts ----------------------------------------------------------------------- */

static void begin(struct vine__request *request)
{
    request->command = NULL;
    request->number = request->version = 0;
    request->parameter_count = 0;
    request->buffer_bytes = 0;
    request->used_bytes = 0;
    request->is_refused = false;
    request->error = VINE_SERVER_E_DONE;
    request->fault = VINE__REQUEST_FAULT_NONE;
}

/*
 * Which parameters belong to what we do not understand, we do not know: it is taken to have none.
 * What comes next has to be a request then. If it is not, it was a parameter, and where the next
 * request begins nobody can tell.
 */
static enum vine__request_told take_head(struct vine__request *request)
{
    const char *const comma = memchr(request->line, ',', request->line_bytes);
    const size_t digits = comma != NULL ? (size_t)(comma - request->line) : 0;
    const bool was_doubtful = request->is_doubtful;
    uint64_t number = 0, version = 0;

    request->stage = STAGE_VALUE;
    request->is_doubtful = true;
    if (!read_digits(request->line, digits, &number) || number > NUMBER_MAX ||
        !read_digits(request->line + digits + 1, request->line_bytes - digits - 1U, &version) ||
        version > NUMBER_MAX) {
        if (was_doubtful)
            return lose(request, VINE__REQUEST_FAULT_DOUBT);
        return refuse(request, VINE_SERVER_E_MALFORMED, VINE__REQUEST_FAULT_HEAD);
    }
    request->number = (uint32_t)number;
    request->version = (uint32_t)version;
    request->command = vine__command_find(request->number);
    if (request->command == NULL)
        return refuse(request, VINE_SERVER_E_UNKNOWN_COMMAND, VINE__REQUEST_FAULT_NONE);
    if (request->version != request->command->version)
        return refuse(request, VINE_SERVER_E_UNKNOWN_VERSION, VINE__REQUEST_FAULT_NONE);
    request->is_doubtful = false;
    if (!vine__command_is_permitted(request->command, request->permissions))
        return refuse(request, VINE_SERVER_E_DENIED, VINE__REQUEST_FAULT_NONE);
    return VINE__REQUEST_MORE;
}

/* Which parameter comes next; 0: none. */
static char next_kind(const struct vine__request *request)
{
    if (request->command == NULL || request->version != request->command->version)
        return '\0';
    return request->command->parameters[request->parameter_count];
}

static enum vine__request_told take_value(struct vine__request *request)
{
    request->line_bytes = 0;
    switch (next_kind(request)) {
    case '\0':
        request->stage = STAGE_HEAD;
        return VINE__REQUEST_DONE;
    case 'i':
        request->stage = STAGE_INTEGER;
        return VINE__REQUEST_MORE;
    default:
        request->stage = STAGE_LENGTH;
        return VINE__REQUEST_MORE;
    }
}

static enum vine__request_told take_integer(struct vine__request *request)
{
    struct vine__request_parameter *const parameter =
        &request->parameters[request->parameter_count];

    *parameter = (struct vine__request_parameter){.integer = 0};
    request->parameter_count++;
    request->stage = STAGE_VALUE;
    if (!read_integer(request->line, request->line_bytes, &parameter->integer) &&
        !request->is_refused)
        return refuse(request, VINE_SERVER_E_BAD_VALUE, VINE__REQUEST_FAULT_INTEGER);
    return VINE__REQUEST_MORE;
}

static enum vine__request_told take_length(struct vine__request *request)
{
    struct vine__request_parameter *const parameter =
        &request->parameters[request->parameter_count];

    if (!read_digits(request->line, request->line_bytes, &request->left_bytes))
        return lose(request, VINE__REQUEST_FAULT_LENGTH);
    *parameter = (struct vine__request_parameter){.bytes = request->room + request->used_bytes};
    if (next_kind(request) == 'b') {
        request->stage = STAGE_BUFFER;
        request->buffer_bytes = request->left_bytes;
        return request->is_refused ? VINE__REQUEST_MORE : VINE__REQUEST_BUFFER;
    }
    request->stage = STAGE_STRING;
    if (request->left_bytes > request->room_bytes - request->used_bytes) {
        if (!request->is_refused)
            return refuse(request, VINE_SERVER_E_TOO_LONG, VINE__REQUEST_FAULT_STRING);
        return VINE__REQUEST_MORE;
    }
    parameter->size_bytes = (uint32_t)request->left_bytes;
    return VINE__REQUEST_MORE;
}

/* Take as much of a string or a buffer as there is. It is kept, or handed on, if it is wanted. */
static enum vine__request_told take_bytes(struct vine__request *request, const char *bytes,
                                          size_t size)
{
    const size_t there = size - request->consumed_bytes;
    const size_t now = request->left_bytes < there ? (size_t)request->left_bytes : there;
    const char *const from = bytes + request->consumed_bytes;

    request->consumed_bytes += now;
    request->left_bytes -= now;
    if (request->left_bytes == 0)
        request->stage = STAGE_NEWLINE;
    if (request->is_refused || now == 0)
        return VINE__REQUEST_MORE;
    if (next_kind(request) == 'b') {
        request->piece = from;
        request->piece_bytes = now;
        return VINE__REQUEST_PIECE;
    }
    memcpy(request->room + request->used_bytes, from, now);
    request->used_bytes += (uint32_t)now;
    return VINE__REQUEST_MORE;
}

static enum vine__request_told take_newline(struct vine__request *request, char byte)
{
    request->consumed_bytes++;
    if (byte != '\n')
        return lose(request, VINE__REQUEST_FAULT_NEWLINE);
    request->parameter_count++;
    request->stage = STAGE_VALUE;
    return VINE__REQUEST_MORE;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A line of the stage, whose end is `end`; *ret_is_whole says whether it has come. */
static enum vine__request_told read_line(struct vine__request *request, const char *bytes,
                                         size_t size, char end, bool *ret_is_whole)
{
    const int taken = take_line(request, bytes, size, end);

    *ret_is_whole = taken > 0;
    return taken < 0 ? lose(request, VINE__REQUEST_FAULT_LINE) : VINE__REQUEST_MORE;
}

/* One step of the stage that we are in. *ret_is_over: nothing more can be done with these bytes. */
static enum vine__request_told step(struct vine__request *request, const char *bytes, size_t size,
                                    bool *ret_is_over)
{
    enum vine__request_told told;
    bool is_whole;

    *ret_is_over = request->consumed_bytes == size;
    switch ((enum stage)request->stage) {
    case STAGE_HEAD:
        if (*ret_is_over)
            return VINE__REQUEST_MORE;
        if (request->line_bytes == 0)
            begin(request);
        told = read_line(request, bytes, size, '\n', &is_whole);
        return is_whole ? take_head(request) : told;
    case STAGE_INTEGER:
        told = read_line(request, bytes, size, '\n', &is_whole);
        return is_whole ? take_integer(request) : told;
    case STAGE_LENGTH:
        told = read_line(request, bytes, size, ',', &is_whole);
        return is_whole ? take_length(request) : told;
    case STAGE_VALUE:
        *ret_is_over = false;
        return take_value(request);
    case STAGE_STRING:
    case STAGE_BUFFER:
        *ret_is_over = *ret_is_over && request->left_bytes > 0;
        return take_bytes(request, bytes, size);
    case STAGE_NEWLINE:
        return *ret_is_over ? VINE__REQUEST_MORE
                            : take_newline(request, bytes[request->consumed_bytes]);
    case STAGE_LOST:
        break;
    }
    request->consumed_bytes = size;
    return VINE__REQUEST_LOST;
}

enum vine__request_told vine__request_read(struct vine__request *request, const char *bytes,
                                           size_t size_bytes)
{
    enum vine__request_told told;
    bool is_over;

    request->consumed_bytes = 0;
    do
        told = step(request, bytes, size_bytes, &is_over);
    while (told == VINE__REQUEST_MORE && !is_over);
    return told;
}
