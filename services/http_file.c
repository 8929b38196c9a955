/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http_file.c - files below a root: found, conditions and a range looked at, and sent past
 * the heap.
 */

#include <string.h>
#include <time.h>

#include <vine/http_resource.h>
#include <vine/http_router.h>

#include "http.h"

#define INDEX "index.html"

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

/* The head of the answer by a file, of which `ret_range` follows. */
VINE_SERVICE_CODE static size_t answer(struct http *http, const struct vine_below *file,
                                       const char *path, struct vine_http_range *ret_range)
{
    char etag[VINE_HTTP_ETAG_BYTES], modified[VINE_HTTP_DATE_BYTES + 1];
    const struct vine_http_state state = {
        .etag = {etag, vine_http_etag_write(file->size_bytes, file->modified_s, file->modified_ns,
                                            time(NULL), etag)},
        .modified = file->modified_s,
        .now = time(NULL),
        .exists = true,
    };
    struct vine_http_range range = {.first = 0, .size = file->size_bytes};
    unsigned status = vine_http_condition(&http->request, &state);
    struct vine_http_reply_plan plan;
    struct vine_http_writer writer;
    size_t count = 0;

    if (status == 0 && http->request.method == VINE_HTTP_GET)
        status = vine_http_ranges(&http->request, &state, file->size_bytes, &range, 1, &count);
    if (status == 0)
        status = 200;
    if (status == 200)
        range = (struct vine_http_range){.first = 0, .size = file->size_bytes};

    const bool is_whole = status == 200 || status == 206;
    const struct vine_http_reply reply = {
        .size_bytes = sizeof(reply),
        .request = &http->request,
        .date = http_date(http),
        .content_type = is_whole ? vine_http_content_type(vine_http_slice(path)) : NULL,
        .status = (uint16_t)status,
        .framing = is_whole ? VINE_HTTP_LENGTH : VINE_HTTP_NO_BODY,
        .content_length = range.size,
    };

    vine_http_writer_init(&writer, http->room, http->room_size);
    vine_http_write_reply(&writer, &reply, &plan);
    vine_http_write_field(&writer, "ETag", state.etag);
    vine_http_date_write(file->modified_s, modified);
    vine_http_write_text(&writer, "Last-Modified", modified);
    vine_http_write_text(&writer, "Accept-Ranges", "bytes");
    if (status == 206)
        vine_http_write_content_range(&writer, range, file->size_bytes);
    if (status == 416)
        vine_http_write_unsatisfied(&writer, file->size_bytes);
    vine_http_write_end(&writer);
    http->keeps = plan.keeps_alive;
    *ret_range = range;
    if (!is_whole || plan.omits_body)
        ret_range->size = 0;
    return writer.size;
}

VINE_COROUTINE(http_file)
{
    struct {
        struct http *http;
        struct vine_below *file;
        struct vine_http_range range;
        uint64_t sent;
        unsigned status;
        int error;
        char path[VINE_BELOW_PATH_MAX];
    } *self;

    vine_begin();
    self->http = vine_argument();
    self->status = find(&self->http->request, self->path);
    if (self->http->request.framing != VINE_HTTP_NO_BODY) {
        vine_call(http_drop, self->http);
        self->http->request.head.present = 0; /* and no condition of it can be looked at */
        self->http->request.path.size = 0;
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
        self->http->answered = answer(self->http, self->file, self->path, &self->range);
    http_tell(that, self->http);
    vine_wrote(self->http->answered);
    self->http->is_half = self->range.size > 0;
    for (; self->range.size > 0; self->range.size -= self->sent, self->range.first += self->sent) {
        vine_deadline(self->http->wishes->body_ns);
        vine_send_file(self->sent, self->file, self->range.first, self->range.size);
    }
    self->http->is_half = false;
    if (self->http->request.framing == VINE_HTTP_NO_BODY)
        vine_skip((size_t)self->http->head_size);
    vine_end();
}
