/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_resource.h - what a request wants of a resource: path and query, conditions, ranges.
 *
 * Owns:     nothing. Results are the caller's memory, or slices of what was given.
 * Threads:  any, one at a time on one object. There is no state but in the objects.
 * Blocking: never: no system call, no allocation; what time it is says the caller.
 * Trust:    requests are a hostile peer's. A path that is handed out has no part by which it leaves
 *           the folder that it is resolved in; open it with RESOLVE_BENEATH all the same, since
 *           links are the file system's.
 * Limits:   a field that is no valid condition or range is passed over, as RFC 9110 wants it.
 */
#ifndef VINE_HTTP_RESOURCE_H
#define VINE_HTTP_RESOURCE_H

#include <vine/base.h>
#include <vine/http.h>

VINE_BEGIN_DECLARATIONS

/* ---- paths and queries ---------------------------------------------------------------------- */

/* What vine_http_path lets pass beyond what it always does. */
#define VINE_HTTP_PATH_HIDDEN  0x1u /* parts that begin with '.' */
#define VINE_HTTP_PATH_SLASHES 0x2u /* "%2F": it becomes a '/' that separates as any other */

/*
 * From the path of a request to that of a file: escapes are undone once, then "." and ".." and
 * empty parts are taken out. What it writes is relative, without a '/' in front, ended by a zero,
 * and "." for the root; `out` has room for `size_max` bytes. A '/' at the end stays, and asks for a
 * folder. Any thread.
 *
 * Returns the size without its zero;
 *         -EINVAL        answer 400: no path, a wrong escape, a zero or another control character,
 *                        a slash that is escaped, or more ".." than there are folders;
 *         -EACCES        answer 404: a part of it is hidden;
 *         -ENAMETOOLONG  answer 414.
 */
VINE_API VINE_MUST_CHECK int vine_http_path(struct vine_http_slice path, unsigned flags, char *out,
                                            size_t size_max);

/*
 * Undo escapes; `plus_is_space` as forms have it. Whatever comes out may hold any byte. Any thread.
 *
 * Returns the size; -EINVAL: a wrong escape; -ENOSPC.
 */
VINE_API VINE_MUST_CHECK int vine_http_unescape(struct vine_http_slice text, bool plus_is_space,
                                                char *out, size_t size_max);

/* Take the next "name=value" of a query, still escaped; `rest` becomes what is behind it. Without a
 * '=' the value is empty, and empty pairs are passed over. Any thread. Returns whether there was
 * one. */
VINE_API bool vine_http_query_next(struct vine_http_slice *rest, struct vine_http_slice *ret_name,
                                   struct vine_http_slice *ret_value);

/* X(extension, type): what files are, by the end of their name. */
#define VINE_HTTP_CONTENT_TYPES(X)                                                                 \
    X("avif", "image/avif")                                                                        \
    X("bin", "application/octet-stream")                                                           \
    X("bmp", "image/bmp")                                                                          \
    X("css", "text/css; charset=utf-8")                                                            \
    X("csv", "text/csv; charset=utf-8")                                                            \
    X("gif", "image/gif")                                                                          \
    X("gz", "application/gzip")                                                                    \
    X("htm", "text/html; charset=utf-8")                                                           \
    X("html", "text/html; charset=utf-8")                                                          \
    X("ico", "image/vnd.microsoft.icon")                                                           \
    X("jpeg", "image/jpeg")                                                                        \
    X("jpg", "image/jpeg")                                                                         \
    X("js", "text/javascript; charset=utf-8")                                                      \
    X("json", "application/json")                                                                  \
    X("map", "application/json")                                                                   \
    X("md", "text/markdown; charset=utf-8")                                                        \
    X("mjs", "text/javascript; charset=utf-8")                                                     \
    X("mp3", "audio/mpeg")                                                                         \
    X("mp4", "video/mp4")                                                                          \
    X("oga", "audio/ogg")                                                                          \
    X("ogg", "audio/ogg")                                                                          \
    X("ogv", "video/ogg")                                                                          \
    X("otf", "font/otf")                                                                           \
    X("pdf", "application/pdf")                                                                    \
    X("png", "image/png")                                                                          \
    X("svg", "image/svg+xml")                                                                      \
    X("tar", "application/x-tar")                                                                  \
    X("ttf", "font/ttf")                                                                           \
    X("txt", "text/plain; charset=utf-8")                                                          \
    X("wasm", "application/wasm")                                                                  \
    X("wav", "audio/wav")                                                                          \
    X("webm", "video/webm")                                                                        \
    X("webmanifest", "application/manifest+json")                                                  \
    X("webp", "image/webp")                                                                        \
    X("woff", "font/woff")                                                                         \
    X("woff2", "font/woff2")                                                                       \
    X("xhtml", "application/xhtml+xml")                                                            \
    X("xml", "application/xml")                                                                    \
    X("xz", "application/x-xz")                                                                    \
    X("zip", "application/zip")                                                                    \
    X("zst", "application/zstd")

/* The type of a file of that name, of any case; "application/octet-stream" where the end of the
 * name says nothing. Any thread. The text is constant. */
VINE_API const char *vine_http_content_type(struct vine_http_slice path);

/* ---- conditions ----------------------------------------------------------------------------- */

/*
 * Read a date in any of the three forms of RFC 9110 5.6.7, exactly. Years of two digits are those
 * that lie at most 50 years after `now`. Any thread.
 *
 * Returns 0 and seconds since 1970; -EINVAL.
 */
VINE_API VINE_MUST_CHECK int vine_http_date_read(struct vine_http_slice text, int64_t now,
                                                 int64_t *ret_seconds);

/* No date of modification is known. */
#define VINE_HTTP_NO_DATE INT64_MIN

/* What there is of a resource. */
struct vine_http_state {
    struct vine_http_slice etag; /* with its quotes and W/ if it is weak; empty: there is none */
    int64_t modified;            /* in seconds since 1970, or VINE_HTTP_NO_DATE */
    int64_t now;                 /* the Date of the answer */
    bool exists;                 /* there is a representation, for "*" */
};

/* Room for an entity tag of a file: three numbers in hexadecimal digits, dashes, quotes, W/. */
#define VINE_HTTP_ETAG_BYTES 56

/*
 * An entity tag of a file by its size and the time of its last change. It is weak in the second of
 * that change, in which another one could follow. Any thread. Returns its size.
 */
VINE_API size_t vine_http_etag_write(uint64_t file_size, int64_t modified_s, uint32_t modified_ns,
                                     int64_t now_s, char text[VINE_HTTP_ETAG_BYTES]);

/*
 * What the conditions of a request come to, in the order of RFC 9110 13.2.2, where the answer
 * without them would be of 2xx. Any thread.
 *
 * Returns 0: go on; 304: answer Not Modified, with ETag and Last-Modified; 412: answer Precondition
 * Failed, and do nothing.
 */
VINE_API unsigned vine_http_condition(const struct vine_http_request *request,
                                      const struct vine_http_state *state);

/* ---- ranges --------------------------------------------------------------------------------- */

struct vine_http_range {
    uint64_t first;
    uint64_t size; /* at least 1 */
};

/*
 * Which parts of `content_size` bytes a GET asks for, when vine_http_condition said 0: Range, where
 * If-Range does not forbid it. Parts that overlap or touch are put together; the order is the
 * request's. What is no valid range, is of another unit, or wants more than `range_max` parts gets
 * all. Any thread.
 *
 * Returns 200: all of it; 206: the parts in `ranges`, of which there are `ret_count`;
 *         416: none of them is there; answer with vine_http_write_unsatisfied.
 */
VINE_API unsigned vine_http_ranges(const struct vine_http_request *request,
                                   const struct vine_http_state *state, uint64_t content_size,
                                   struct vine_http_range *ranges, size_t range_max,
                                   size_t *ret_count);

struct vine_http_writer;

/* Content-Range of one part; and of a 416. */
VINE_API void vine_http_write_content_range(struct vine_http_writer *writer,
                                            struct vine_http_range range, uint64_t content_size);
VINE_API void vine_http_write_unsatisfied(struct vine_http_writer *writer, uint64_t content_size);

/* Several parts in one answer, of type multipart/byteranges. `boundary` occurs in no part: take a
 * random one. */
struct vine_http_multipart {
    const char *boundary;     /* at most 70 letters and digits */
    const char *content_type; /* of each part, or NULL */
    const struct vine_http_range *ranges;
    size_t range_count;
    uint64_t content_size;
};

/* Content-Type of the answer: a field of its head. */
VINE_API void vine_http_write_multipart_type(struct vine_http_writer *writer,
                                             const struct vine_http_multipart *multipart);

/* The Content-Length of the answer. Any thread. */
VINE_API uint64_t vine_http_multipart_size(const struct vine_http_multipart *multipart);

/* What stands in front of the data of part `index`; behind the last one's, with `index` equal to
 * range_count. */
VINE_API void vine_http_write_part(struct vine_http_writer *writer,
                                   const struct vine_http_multipart *multipart, size_t index);

VINE_END_DECLARATIONS

#endif
