/* SPDX-License-Identifier: Apache-2.0 */
/* Field lines of heads and of trailers (RFC 9112 5), and finding them afterwards. */
#include "http_internal.h"

#define NAME_MAX_BYTES 255u

VINE__INSIDE void vine__http_head_init(struct vine_http_head *head, struct vine_http_field *fields,
                                       size_t field_max, size_t size_max)
{
    VINE__INSIDE_CHECK(field_max <= VINE_HTTP_FIELDS_MAX);
    VINE__INSIDE_CHECK(size_max > 0 && size_max <= VINE_HTTP_HEAD_MAX);
    /* Not `first`, which counts for those alone that are present. */
    memset(head, 0, offsetof(struct vine_http_head, first));
    memset(&head->refusal, 0, sizeof(head->refusal));
    head->fields = fields;
    head->field_max = (uint16_t)field_max;
    head->size_max = (uint16_t)size_max;
}

/* ---- refusals -------------------------------------------------------------------------------- */

VINE__INSIDE __attribute__((cold)) int
vine__http_refuse(struct vine_http_head *head, unsigned status, size_t offset, const char *what)
{
    head->stage = VINE__HTTP_REFUSED;
    head->refusal.what = what;
    head->refusal.offset = offset;
    head->refusal.status = (uint16_t)status;
    return -VINE_EPROTOCOL;
}

VINE__INSIDE __attribute__((cold)) int vine__http_refuse_byte(struct vine_http_head *head,
                                                              size_t offset, const char *what)
{
    switch (head->bytes[offset]) {
    case '\n':
        what = "a line feed without a carriage return";
        break;
    case '\0':
        what = "a zero byte";
        break;
    default:
        break;
    }
    return vine__http_refuse(head, 400, offset, what);
}

/* ---- lines ----------------------------------------------------------------------------------- */

VINE__INSIDE bool vine__http_line_came(struct vine_http_head *head, size_t size_bytes)
{
    if (head->searched == 0 || size_bytes >= head->size_max)
        return true;
    if (size_bytes > head->searched &&
        memchr(head->bytes + head->searched, '\n', size_bytes - head->searched) != NULL)
        return true;
    head->searched = (uint16_t)size_bytes;
    return false;
}

/* What is wrong with a name that ends with `at`, which is no ':'. */
VINE__INSIDE __attribute__((cold)) static int refuse_name(struct vine_http_head *head,
                                                          const char *line, const char *at)
{
    const size_t offset = (size_t)(at - head->bytes);

    if (vine__http_is_blank(*at))
        return vine__http_refuse(head, 400, offset,
                                 at == line ? "a field that is folded over lines"
                                            : "white space before a field's colon");
    if (*at == '\r')
        return vine__http_refuse(head, 400, offset, "a field without a colon");
    return vine__http_refuse_byte(head, offset, "a character that no field's name has");
}

/* What is known of a line in which no ':' came by `end`: 0 is returned if it may still come. */
VINE__INSIDE __attribute__((noinline)) static int check_name(struct vine_http_head *head,
                                                             const char *line, const char *end)
{
    for (const char *at = line; at < end; at++) {
        if (!vine__http_is_class(*at, VINE__HTTP_TOKEN))
            return refuse_name(head, line, at);
        if ((size_t)(at - line) >= NAME_MAX_BYTES)
            return vine__http_refuse(head, 431, (size_t)(at - head->bytes),
                                     "a field's name is longer than 255 bytes");
    }
    return 0;
}

/* Where the ':' is, or NULL: it has not come, or comes later than it may. */
VINE__INSIDE static inline const char *find_colon(const char *at, const char *end)
{
    if ((size_t)(end - at) > NAME_MAX_BYTES + 1)
        end = at + NAME_MAX_BYTES + 1;
    while (end - at >= 8) {
        const uint64_t marks = vine__http_mark_equal(vine__http_load(at), ':');

        if (marks != 0)
            return at + vine__http_first_mark(marks);
        at += 8;
    }
    for (; at < end; at++)
        if (*at == ':')
            return at;
    return NULL;
}

/* The first byte that is not of a value, or `end`. */
VINE__INSIDE static inline const char *find_value_end(const char *at, const char *end)
{
    while (end - at >= 8) {
        const uint64_t word = vine__http_load(at);
        const uint64_t marks =
            vine__http_mark_below(word, 0x20) | vine__http_mark_equal(word, 0x7f);

        if (marks == 0) {
            at += 8;
            continue;
        }
        at += vine__http_first_mark(marks);
        if (*at != '\t')
            return at;
        at++;
    }
    while (at < end && vine__http_is_class(*at, VINE__HTTP_VALUE))
        at++;
    return at;
}

/* One field more. Returns 0 or -VINE_EPROTOCOL. */
VINE__INSIDE static inline int keep(struct vine_http_head *head,
                                    const struct vine_http_field *field)
{
    const uint64_t bit = UINT64_C(1) << field->id;

    if (head->fields == NULL) {
        head->present |= bit;
        return 0;
    }
    if (head->field_count >= head->field_max)
        return vine__http_refuse(head, 431, field->name_at, "more fields than are taken");
    if (field->id != VINE_HTTP_FIELD_OTHER) {
        if ((head->present & bit) == 0)
            head->first[field->id] = (uint8_t)head->field_count;
        head->repeated |= head->present & bit;
        head->present |= bit;
    }
    head->fields[head->field_count++] = *field;
    return 0;
}

/* The line at `line`, which is not the empty one. Returns 1, and where the next one begins; 0: it
 * is not whole; -VINE_EPROTOCOL. */
VINE__INSIDE static inline int read_line(struct vine_http_head *head, const char *line,
                                         const char *end, const char **ret_next)
{
    const char *const colon = find_colon(line, end);
    const char *value, *value_end, *stop;
    struct vine_http_field field;

    if (colon == NULL)
        return check_name(head, line, end);
    if (colon == line)
        return vine__http_refuse(head, 400, (size_t)(line - head->bytes), "a field without a name");
    field.id = vine__http_known(line, (size_t)(colon - line));
    if (field.id == VINE_HTTP_FIELD_OTHER) {
        const int error = check_name(head, line, colon);

        if (error != 0)
            return error;
    }
    for (value = colon + 1; value < end && vine__http_is_blank(*value); value++)
        continue;
    stop = find_value_end(value, end);
    if (end - stop < 2 && (stop == end || *stop == '\r'))
        return 0;
    if (stop[0] != '\r' || stop[1] != '\n')
        return vine__http_refuse_byte(head, (size_t)(stop - head->bytes),
                                      *stop == '\r' ? VINE__HTTP_BARE_CR
                                                    : "a control character in a field");
    for (value_end = stop; value_end > value && vine__http_is_blank(value_end[-1]); value_end--)
        continue;
    field.name_at = (uint16_t)(line - head->bytes);
    field.name_size = (uint8_t)(colon - line);
    field.value_at = (uint16_t)(value - head->bytes);
    field.value_size = (uint16_t)(value_end - value);
    *ret_next = stop + 2;
    return keep(head, &field) == 0 ? 1 : -VINE_EPROTOCOL;
}

VINE__INSIDE int vine__http_fields(struct vine_http_head *head, size_t size_bytes)
{
    const char *const end = head->bytes + size_bytes;
    const char *line = head->bytes + head->line_at;

    for (;;) {
        if (line == end)
            break;
        if (*line == '\r') {
            if (end - line < 2)
                break;
            if (line[1] == '\n')
                return (int)(line + 2 - head->bytes);
            return vine__http_refuse(head, 400, (size_t)(line - head->bytes), VINE__HTTP_BARE_CR);
        }
        const int result = read_line(head, line, end, &line);

        if (result < 0)
            return result;
        if (result == 0)
            break;
    }
    return vine__http_wait(head, (size_t)(line - head->bytes), size_bytes);
}

/* ---- finding --------------------------------------------------------------------------------- */

VINE__INSIDE const struct vine_http_field *vine_http_next(const struct vine_http_head *head,
                                                          enum vine_http_field_id id,
                                                          const struct vine_http_field *after)
{
    const struct vine_http_field *const end = head->fields + head->field_count;

    if (!vine_http_has(head, id))
        return NULL;
    if (after == NULL)
        return &head->fields[head->first[id]];
    for (const struct vine_http_field *field = after + 1; field < end; field++)
        if (field->id == id)
            return field;
    return NULL;
}

VINE__INSIDE const struct vine_http_field *vine_http_find(const struct vine_http_head *head,
                                                          const char *name,
                                                          const struct vine_http_field *after)
{
    const struct vine_http_field *const end = head->fields + head->field_count;

    for (const struct vine_http_field *field = after == NULL ? head->fields : after + 1;
         field < end; field++)
        if (vine_http_is(vine_http_field_name(head, field), name))
            return field;
    return NULL;
}
