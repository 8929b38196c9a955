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

/* An answer without a body, but for what `status` is about. */
VINE_SERVICE_CODE static size_t answer_shortly(struct http *http, unsigned status)
{
    const struct vine_http_request *const request = &http->request;
    const struct vine_http_slice path = vine_http_text(&request->head, request->path);
    const char *const slash = memrchr(path.text, '/', path.size);
    const struct vine_http_reply reply = {.size_bytes = sizeof(reply),
                                          .request = request,
                                          .date = http_date(http),
                                          .status = (uint16_t)status};
    struct vine_http_reply_plan plan;
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, http->room, http->room_size);
    vine_http_write_reply(&writer, &reply, &plan);
    if (status == 405) {
        vine_http_write_allow(&writer, VINE_HTTP_ON(GET) | VINE_HTTP_ON(HEAD));
    } else if (slash != NULL) { /* a folder: the same name, with a slash behind it */
        vine_http_write_bytes(&writer, "Location: .", 11);
        vine_http_write_bytes(&writer, slash, (size_t)(path.text + path.size - slash));
        vine_http_write_bytes(&writer, "/\r\n", 3);
    }
    vine_http_write_end(&writer);
    http->keeps = plan.keeps_alive;
    return vine_http_writer_result(&writer) > 0 ? writer.size : http_refuse(http, 414, NULL);
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
VINE_SERVICE_CODE static size_t answer(struct http *http, const struct vine_below *file,
                                       const char *path, uint64_t now_ns, struct parts *parts)
{
    char etag[VINE_HTTP_ETAG_BYTES], modified[VINE_HTTP_DATE_BYTES + 1];
    const struct vine_http_state state = {
        .etag = {etag, vine_http_etag_write(file->size_bytes, file->modified_s, file->modified_ns,
                                            time(NULL), etag)},
        .modified = file->modified_s,
        .now = time(NULL),
        .exists = true,
    };
    const char *const type = vine_http_content_type(vine_http_slice(path));
    unsigned status = vine_http_condition(&http->request, &state);
    struct vine_http_reply_plan reply_plan;
    struct vine_http_writer writer;

    if (status == 0)
        status = vine_http_ranges(&http->request, &state, file->size_bytes, parts->ranges,
                                  RANGES_MAX, &parts->count);
    if (status == 200) {
        parts->ranges[0] = (struct vine_http_range){.first = 0, .size = file->size_bytes};
        parts->count = 1;
    }

    const bool is_whole = status == 200 || status == 206;
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &http->request,
        .date = http_date(http),
        .content_type = is_whole && parts->count == 1 ? type : NULL,
        .status = (uint16_t)status,
        .framing = is_whole ? VINE_HTTP_LENGTH : VINE_HTTP_NO_BODY,
        .content_length = is_whole ? plan(parts, file, type, now_ns) : 0,
    };

    vine_http_writer_init(&writer, http->room, http->room_size);
    vine_http_write_reply(&writer, &reply, &reply_plan);
    vine_http_write_field(&writer, "ETag", state.etag);
    vine_http_date_write(file->modified_s, modified);
    vine_http_write_text(&writer, "Last-Modified", modified);
    vine_http_write_text(&writer, "Accept-Ranges", "bytes");
    if (status == 206 && parts->count == 1)
        vine_http_write_content_range(&writer, parts->ranges[0], file->size_bytes);
    else if (status == 206)
        vine_http_write_multipart_type(&writer, &parts->several);
    if (status == 416)
        vine_http_write_unsatisfied(&writer, file->size_bytes);
    vine_http_write_end(&writer);
    http->keeps = reply_plan.keeps_alive;
    if (!is_whole || reply_plan.omits_body)
        parts->count = 0;
    return writer.size;
}

/* What stands in front of a part, or behind the last one. */
VINE_SERVICE_CODE static size_t separate(struct http *http, const struct parts *parts, size_t index)
{
    struct vine_http_writer writer;

    vine_http_writer_init(&writer, http->room, http->room_size);
    vine_http_write_part(&writer, &parts->several, index);
    return writer.size;
}

VINE_COROUTINE(http_file)
{
    struct {
        struct http *http;
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
    self->status = find(&self->http->request, self->path);
    if (self->http->request.framing != VINE_HTTP_NO_BODY) {
        vine_alloc(self->head, (size_t)self->http->head_size);
        memcpy(self->head, self->http->bytes, (size_t)self->http->head_size);
        vine_call(http_drop, self->http);
        self->http->request.head.bytes = self->head;
    }
    if (self->status == 0) {
        vine_open_below(self->error, self->file, self->http->wishes->root, self->path);
        self->status = status_of(self->error);
    }
    vine_room(self->http->room_size, self->http->room, HTTP_ROOM_MIN);
    if (self->status == 0 && self->file->is_folder)
        self->http->answered = answer_shortly(self->http, 301);
    else if (self->status == 405)
        self->http->answered = answer_shortly(self->http, 405);
    else if (self->status != 0)
        self->http->answered = http_refuse(self->http, self->status, NULL);
    else
        self->http->answered = answer(self->http, self->file, self->path, vine_now(), &self->parts);
    http_tell(that, self->http);
    vine_wrote(self->http->answered);
    if (self->http->request.framing == VINE_HTTP_NO_BODY)
        vine_skip((size_t)self->http->head_size);
    self->http->is_half = self->parts.count > 0;
    for (self->at = 0; self->at < self->parts.count; self->at++) {
        if (self->parts.count > 1) {
            vine_room(self->http->room_size, self->http->room, HTTP_ROOM_MIN);
            vine_wrote(separate(self->http, &self->parts, self->at));
        }
        self->range = &self->parts.ranges[self->at];
        while (self->range->size > 0) {
            vine_deadline(self->http->wishes->body_ns);
            vine_send_file(self->sent, self->file, self->range->first, self->range->size);
            self->range->first += self->sent;
            self->range->size -= self->sent;
        }
    }
    if (self->parts.count > 1) {
        vine_room(self->http->room_size, self->http->room, HTTP_ROOM_MIN);
        vine_wrote(separate(self->http, &self->parts, self->at));
    }
    self->http->is_half = false;
    vine_end();
}
