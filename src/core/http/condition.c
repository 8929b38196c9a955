/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of requests (RFC 9110 8.8 and 13). */
#include <vine/http_resource.h>

#include "http_internal.h"
#include "resource_internal.h"

/* ---- entity tags ----------------------------------------------------------------------------- */

VINE__INSIDE size_t vine_http_etag_write(uint64_t file_size, int64_t modified_s,
                                         uint32_t modified_ns, int64_t now_s,
                                         char text[VINE_HTTP_ETAG_BYTES])
{
    const uint64_t numbers[] = {file_size, (uint64_t)modified_s, modified_ns};
    size_t at = 0;

    if (modified_s >= now_s) {
        text[at++] = 'W';
        text[at++] = '/';
    }
    text[at++] = '"';
    for (unsigned i = 0; i < 3; i++) {
        unsigned shift = 60;

        if (i > 0)
            text[at++] = '-';
        while (shift > 0 && numbers[i] >> shift == 0)
            shift -= 4;
        for (;; shift -= 4) {
            text[at++] = "0123456789abcdef"[numbers[i] >> shift & 15];
            if (shift == 0)
                break;
        }
    }
    text[at++] = '"';
    return at;
}

/* Take an entity tag from the start of a list. Lists of them are read here, because a backslash in
 * one escapes nothing (RFC 9110 8.8.3). Returns whether there was one. */
VINE__INSIDE static bool next_etag(struct vine_http_slice *rest, struct vine_http_slice *ret_etag)
{
    const char *at = rest->text;
    const char *const end = rest->text + rest->size;
    const char *start;

    while (at < end && (*at == ',' || vine__http_is_blank(*at)))
        at++;
    start = at;
    if (end - at >= 2 && at[0] == 'W' && at[1] == '/')
        at += 2;
    if (at == end || *at != '"')
        return false;
    for (at++; at < end && vine__http_is_class(*at, VINE__HTTP_ETAG); at++)
        continue;
    if (at == end || *at != '"')
        return false;
    at++;
    ret_etag->text = start;
    ret_etag->size = (size_t)(at - start);
    while (at < end && vine__http_is_blank(*at))
        at++;
    if (at < end && *at != ',')
        return false;
    rest->text = at;
    rest->size = (size_t)(end - at);
    return true;
}

VINE__INSIDE static bool is_weak(struct vine_http_slice etag)
{
    return etag.size >= 2 && etag.text[0] == 'W';
}

VINE__INSIDE static bool same_text(struct vine_http_slice a, struct vine_http_slice b)
{
    return a.size == b.size && memcmp(a.text, b.text, a.size) == 0;
}

/* RFC 9110 8.8.3.2. An empty one is none. */
VINE__INSIDE static bool same_etag(struct vine_http_slice a, struct vine_http_slice b,
                                   bool is_strong)
{
    if (a.size == 0 || b.size == 0)
        return false;
    if (is_weak(a)) {
        if (is_strong)
            return false;
        a.text += 2;
        a.size -= 2;
    }
    if (is_weak(b)) {
        if (is_strong)
            return false;
        b.text += 2;
        b.size -= 2;
    }
    return same_text(a, b);
}

/* Whether If-Match or If-None-Match names what there is. */
VINE__INSIDE static bool names_state(const struct vine_http_head *head, enum vine_http_field_id id,
                                     const struct vine_http_state *state, bool is_strong)
{
    const struct vine_http_field *field = NULL;

    if (!state->exists)
        return false;
    while ((field = vine_http_next(head, id, field)) != NULL) {
        struct vine_http_slice rest = vine_http_field_value(head, field), etag;

        if (rest.size == 1 && rest.text[0] == '*')
            return true;
        while (next_etag(&rest, &etag))
            if (same_etag(etag, state->etag, is_strong))
                return true;
    }
    return false;
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* The date of a field that is there once and is one; else the field is to be ignored. */
VINE__INSIDE static bool read_date(const struct vine_http_head *head, enum vine_http_field_id id,
                                   int64_t now, int64_t *ret_date)
{
    struct vine_http_slice value;

    return (head->repeated >> id & 1) == 0 && vine_http_value(head, id, &value) &&
           vine_http_date_read(value, now, ret_date) == 0;
}

/* ---- conditions ------------------------------------------------------------------------------ */

VINE__INSIDE unsigned vine_http_condition(const struct vine_http_request *request,
                                          const struct vine_http_state *state)
{
    const struct vine_http_head *const head = &request->head;
    const bool reads = request->method == VINE_HTTP_GET || request->method == VINE_HTTP_HEAD;
    const bool has_date = state->modified != VINE_HTTP_NO_DATE;
    int64_t date;

    /* RFC 9110 13.2.1 */
    if (request->method == VINE_HTTP_CONNECT || request->method == VINE_HTTP_OPTIONS ||
        request->method == VINE_HTTP_TRACE)
        return 0;
    /* RFC 9110 13.2.2, steps 1 and 2 */
    if (vine_http_has(head, VINE_HTTP_FIELD_IF_MATCH)) {
        if (!names_state(head, VINE_HTTP_FIELD_IF_MATCH, state, true))
            return 412;
    } else if (has_date &&
               read_date(head, VINE_HTTP_FIELD_IF_UNMODIFIED_SINCE, state->now, &date)) {
        if (state->modified > date)
            return 412;
    }
    /* Steps 3 and 4 */
    if (vine_http_has(head, VINE_HTTP_FIELD_IF_NONE_MATCH)) {
        if (names_state(head, VINE_HTTP_FIELD_IF_NONE_MATCH, state, false))
            return reads ? 304 : 412;
    } else if (reads && has_date &&
               read_date(head, VINE_HTTP_FIELD_IF_MODIFIED_SINCE, state->now, &date)) {
        if (state->modified <= date)
            return 304;
    }
    return 0;
}

/* Step 5: whether Range counts. */
VINE__INSIDE bool vine__http_if_range(const struct vine_http_request *request,
                                      const struct vine_http_state *state)
{
    const struct vine_http_head *const head = &request->head;
    struct vine_http_slice value, etag;
    int64_t date;

    if (!vine_http_value(head, VINE_HTTP_FIELD_IF_RANGE, &value))
        return true;
    if ((head->repeated & VINE__HTTP_BIT(IF_RANGE)) != 0)
        return false;
    /* RFC 9110 13.1.5: a date has to be the same, and a strong validator. */
    if (vine_http_date_read(value, state->now, &date) == 0)
        return state->modified == date && date < state->now;
    return next_etag(&value, &etag) && value.size == 0 && same_etag(etag, state->etag, true);
}
