/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/http_exchange.c - what a server says to a client by HTTP: heads and small answers,
 * inside. */

#include <errno.h>

#include <vine/http_exchange.h>
#include <vine/http_router.h>

#include "utils/inside.h"

#define IDLE_NS   (60 * VINE_NS_PER_SECOND)
#define HEADER_NS (10 * VINE_NS_PER_SECOND)
#define BODY_NS   (30 * VINE_NS_PER_SECOND)

#define SMALL_MAX (VINE_HTTP_EXCHANGE_ROOM / 2) /* of a body that goes with its head */

VINE__INSIDE void vine__http_choose_times(struct vine_http_exchange *exchange)
{
    if (exchange->idle_ns == 0)
        exchange->idle_ns = IDLE_NS;
    if (exchange->header_ns == 0)
        exchange->header_ns = HEADER_NS;
    if (exchange->body_ns == 0)
        exchange->body_ns = BODY_NS;
}

/* What has come already is answered before. */
VINE__INSIDE void vine__http_say_last(struct vine_http_exchange *exchange)
{
    if (exchange->request.framing != VINE_HTTP_NO_BODY ||
        exchange->stream.size == (size_t)exchange->head_size)
        exchange->request.keeps_alive = false;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Nobody knows where the next request begins behind what was not read. */
VINE__INSIDE static const struct vine_http_request *answered(struct vine_http_exchange *exchange)
{
    if (!vine__http_is_read(exchange))
        exchange->request.keeps_alive = false;
    return &exchange->request;
}

VINE__INSIDE bool vine_http_put_head(struct vine_http_exchange *exchange,
                                     const struct vine_http_reply *reply)
{
    struct vine_http_reply full = *reply;
    struct vine_http_reply_plan plan;

    full.request = answered(exchange);
    full.date = exchange->date.text;
    vine_http_write_reply(&exchange->writer, &full, &plan);
    exchange->keeps_alive = plan.keeps_alive;
    return !plan.omits_body;
}

VINE__INSIDE bool vine__http_put(struct vine_http_exchange *exchange, unsigned status,
                                 const char *content_type, const void *bytes, size_t size_bytes)
{
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .content_type = content_type,
        .status = (uint16_t)status,
        .framing = VINE_HTTP_LENGTH,
        .content_length = size_bytes,
    };
    const bool has_body = vine_http_put_head(exchange, &reply);

    vine_http_write_end(&exchange->writer);
    if (!has_body)
        return true;
    if (size_bytes > SMALL_MAX)
        return false;
    vine_http_write_bytes(&exchange->writer, bytes, size_bytes);
    return true;
}

VINE__INSIDE void vine__http_put_refusal(struct vine_http_exchange *exchange, unsigned status,
                                         const char *what)
{
    const struct vine_http_reply reply = {.size_bytes = sizeof(reply), .status = (uint16_t)status};

    if (status != 405) {
        exchange->keeps_alive = vine_http_write_error(&exchange->writer, answered(exchange), status,
                                                      what, exchange->date.text);
        return;
    }
    (void)vine_http_put_head(exchange, &reply);
    vine_http_write_allow(&exchange->writer, exchange->allowed);
    vine_http_write_end(&exchange->writer);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Who was silent between two requests hears nothing, whether its time or the service's was over,
 * and who gets half an answer sees that. */
VINE__INSIDE bool vine__http_may_tell(struct vine_http_exchange *exchange, int error)
{
    const bool is_idle = exchange->head_size == 0 && exchange->stream.wanted == 1;

    exchange->writer.size = 0;
    exchange->keeps_alive = false;
    return !exchange->is_half && !(is_idle && (error == -ETIMEDOUT || error == -ECANCELED));
}

VINE__INSIDE void vine__http_put_failure(struct vine_http_exchange *exchange, int error)
{
    const struct vine_http_refusal *const refusal = &exchange->request.head.refusal;
    const unsigned status = error == -ETIMEDOUT ? 408 : error == -VINE_EPROTOCOL ? 400 : 500;

    (void)vine_http_write_error(
        &exchange->writer, NULL, exchange->head_size < 0 ? refusal->status : status,
        exchange->head_size < 0 ? refusal->what : NULL, exchange->date.text);
}
