/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http_file.c - files below a root: found, conditions and ranges looked at, and sent past
 * the heap.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <vine/http_resource.h>
#include <vine/http_router.h>

#include "http.h"

#define INDEX          "index.html"
#define RANGES_MAX     16U /* of one answer; who asks for more gets all */
#define BOUNDARY_BYTES 24U

/* Which file is meant, for GET and HEAD. Returns 0, or with what to refuse. */
VINE_SERVICE_CODE static unsigned find(const struct vine_http_request *request, char *path)
{
    const size_t room = VINE_BELOW_PATH_MAX - sizeof(INDEX);
    const int size = vine_http_path(vine_http_text(&request->head, request->path), 0, path, room);

    if (request->method != VINE_HTTP_GET && request->method != VINE_HTTP_HEAD)
        return request->method == VINE_HTTP_OTHER ? 501 : 405;
    if (size < 0)
        return size == -EINVAL ? 400 : size == -EACCES ? 404 : 414;
    if (strcmp(path, ".") == 0)
        memcpy(path, INDEX, sizeof(INDEX));
    else if (path[size - 1] == '/')
        memcpy(path + size, INDEX, sizeof(INDEX));
    return 0;
}

VINE_SERVICE_CODE static unsigned status_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return 503;
    case -EIO:
        return 500;
    default: /* why it is not there is nobody's business */
        return 404;
    }
}

/* A folder is what the request names: the same name, with a slash behind it. Whether that has
 * room. */
VINE_SERVICE_CODE static bool put_folder(struct vine_http_exchange *exchange)
{
    const struct vine_http_head *const head = &exchange->request.head;
    const struct vine_http_slice path = vine_http_text(head, exchange->request.path);
    const char *const slash = memrchr(path.text, '/', path.size);
    const struct vine_http_reply reply = {.size_bytes = sizeof(reply), .status = 301};

    (void)vine_http_put_head(exchange, &reply);
    if (slash != NULL) {
        vine_http_write_bytes(&exchange->writer, "Location: .", 11);
        vine_http_write_bytes(&exchange->writer, slash, (size_t)(path.text + path.size - slash));
        vine_http_write_bytes(&exchange->writer, "/\r\n", 3);
    }
    vine_http_write_end(&exchange->writer);
    return vine_http_writer_result(&exchange->writer) > 0;
}

/* What of a file follows the head of its answer. */
struct parts {
    struct vine_http_range ranges[RANGES_MAX];
    size_t count; /* 0: nothing; more than 1: each with a head of its own */
    struct vine_http_multipart several;
    char boundary[BOUNDARY_BYTES];
};

/* Whatever can be said of them before the first one is sent. Returns how long the answer is. */
VINE_SERVICE_CODE static uint64_t plan(struct parts *parts, const struct vine_below *file,
                                       const char *type, uint64_t now_ns)
{
    if (parts->count == 1)
        return parts->ranges[0].size;
    /* Nobody knows before when that will be. */
    (void)snprintf(parts->boundary, BOUNDARY_BYTES, "vine%016" PRIx64,
                   (now_ns ^ file->modified_ns) * UINT64_C(0x9e3779b97f4a7c15));
    parts->several = (struct vine_http_multipart){
        .boundary = parts->boundary,
        .content_type = type,
        .ranges = parts->ranges,
        .range_count = parts->count,
        .content_size = file->size_bytes,
    };
    return vine_http_multipart_size(&parts->several);
}

/* The head of the answer by a file, of which `parts` follow. */
VINE_SERVICE_CODE static void put_file(struct vine_http_exchange *exchange,
                                       const struct vine_below *file, const char *path,
                                       uint64_t now_ns, struct parts *parts)
{
    struct vine_http_writer *const writer = &exchange->writer;
    char etag[VINE_HTTP_ETAG_BYTES], modified[VINE_HTTP_DATE_BYTES + 1];
    const struct vine_http_state state = {
        .etag = {etag, vine_http_etag_write(file->size_bytes, file->modified_s, file->modified_ns,
                                            time(NULL), etag)},
        .modified = file->modified_s,
        .now = time(NULL),
        .exists = true,
    };
    const char *const type = vine_http_content_type(vine_http_slice(path));
    unsigned status = vine_http_condition(&exchange->request, &state);

    if (status == 0)
        status = vine_http_ranges(&exchange->request, &state, file->size_bytes, parts->ranges,
                                  RANGES_MAX, &parts->count);
    if (status == 200) {
        parts->ranges[0] = (struct vine_http_range){.first = 0, .size = file->size_bytes};
        parts->count = 1;
    }

    const bool is_whole = status == 200 || status == 206;
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .content_type = is_whole && parts->count == 1 ? type : NULL,
        .status = (uint16_t)status,
        .framing = is_whole ? VINE_HTTP_LENGTH : VINE_HTTP_NO_BODY,
        .content_length = is_whole ? plan(parts, file, type, now_ns) : 0,
    };
    const bool has_body = vine_http_put_head(exchange, &reply);

    vine_http_write_field(writer, "ETag", state.etag);
    vine_http_date_write(file->modified_s, modified);
    vine_http_write_text(writer, "Last-Modified", modified);
    vine_http_write_text(writer, "Accept-Ranges", "bytes");
    if (status == 206 && parts->count == 1)
        vine_http_write_content_range(writer, parts->ranges[0], file->size_bytes);
    else if (status == 206)
        vine_http_write_multipart_type(writer, &parts->several);
    if (status == 416)
        vine_http_write_unsatisfied(writer, file->size_bytes);
    vine_http_write_end(writer);
    if (!is_whole || !has_body)
        parts->count = 0;
}

VINE_COROUTINE(http_file)
{
    struct {
        struct http *http;
        struct vine_http_exchange *exchange;
        struct vine_below *file;
        struct vine_http_range *range;
        struct parts parts;
        size_t at;
        uint64_t sent;
        char *head; /* a copy of the request's, where a body follows it */
        unsigned status;
        int error;
        char path[VINE_BELOW_PATH_MAX];
    } *self;

    vine_begin();
    self->http = vine_argument();
    self->exchange = &self->http->exchange;
    self->exchange->allowed = VINE_HTTP_ON(GET) | VINE_HTTP_ON(HEAD);
    self->status = find(&self->exchange->request, self->path);
    if (self->exchange->request.framing != VINE_HTTP_NO_BODY) {
        vine_alloc(self->head, (size_t)self->exchange->head_size);
        memcpy(self->head, self->exchange->request.head.bytes, (size_t)self->exchange->head_size);
        vine_http_drop(self->exchange);
        self->exchange->request.head.bytes = self->head;
    }
    if (self->status == 0) {
        vine_open_below(self->error, self->file, self->http->wishes->root, self->path);
        self->status = status_of(self->error);
    }
    vine_http_room(self->exchange);
    if (self->status == 0 && !self->file->is_folder)
        put_file(self->exchange, self->file, self->path, vine_now(), &self->parts);
    else if (self->status == 0 && !put_folder(self->exchange))
        self->status = 414;
    if (self->status != 0)
        vine_http_refuse(self->exchange, self->status, NULL);
    else
        vine_http_wrote(self->exchange);
    http_tell(that, self->http);
    self->exchange->is_half = self->parts.count > 0;
    for (self->at = 0; self->at < self->parts.count; self->at++) {
        if (self->parts.count > 1) {
            vine_http_room(self->exchange);
            vine_http_write_part(&self->exchange->writer, &self->parts.several, self->at);
            vine_http_wrote(self->exchange);
        }
        self->range = &self->parts.ranges[self->at];
        while (self->range->size > 0) {
            vine_deadline(self->exchange->body_ns);
            vine_send_file(self->sent, self->file, self->range->first, self->range->size);
            self->range->first += self->sent;
            self->range->size -= self->sent;
        }
    }
    if (self->parts.count > 1) { /* what stands behind the last one */
        vine_http_room(self->exchange);
        vine_http_write_part(&self->exchange->writer, &self->parts.several, self->at);
        vine_http_wrote(self->exchange);
    }
    self->exchange->is_half = false;
    vine_end();
}
