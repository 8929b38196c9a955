/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/state_file.h - a file that is replaced as a whole or not at all.
 *
 * Owns:     nothing beyond a call.
 * Threads:  any; one at a time for a path that is written.
 * Blocking: reads and writes of files; a replacement is on the disk when it returns.
 * Trust:    a file may hold anything.
 * Limits:   VINE__STATE_FILE_BYTES_MAX; anything but a regular file is refused.
 */
#ifndef VINE_VMM_SERVER_STATE_FILE_H
#define VINE_VMM_SERVER_STATE_FILE_H

#include <vine/base.h>

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#define VINE__STATE_FILE_BYTES_MAX (16U << 20)

/* All of it, with a zero behind it, for free(). Returns 0; -ENOENT; -EFBIG; -EINVAL: it is no
 * regular file; another error. */
VINE_MUST_CHECK int vine__state_file_read(const char *path, char **ret_bytes, size_t *ret_size);

/*
 * The object that we have written there, of that version and with a list of that key, for
 * json_decref; NULL: there is none. A file that cannot be read, or has something else in it, is
 * set aside as PATH.bad, or PATH.bad2 and so on, so that what comes next does not replace it: then
 * `why` says what is wrong with it, and where it is. Else that is "".
 */
#define VINE__STATE_FILE_WHY_BYTES 512
VINE_MUST_CHECK json_t *vine__state_file_load(const char *path, int version, const char *list,
                                              char why[VINE__STATE_FILE_WHY_BYTES]);

/*
 * Put these bytes in its place, mode 0600: into PATH.new, which is flushed and then renamed, and
 * the folder is flushed. Whatever ends this, the file is the former one or the new one.
 *
 * Returns 0, or an error: then it is the former one, and there is no PATH.new; but after an error
 * of the folder's flush it may be either.
 */
VINE_MUST_CHECK int vine__state_file_replace(const char *path, const char *bytes, size_t size);

/*
 * The same with what is written to a stream, which is begun by one and ended by the other: nothing
 * need be in memory as a whole. Each error of a write is told by the end, which closes the stream
 * whatever it returns; `error` is the writer's own: then the file is the former one, and it is
 * returned.
 */
VINE_MUST_CHECK int vine__state_file_begin(const char *path, FILE **ret_stream);
VINE_MUST_CHECK int vine__state_file_end(const char *path, FILE *stream, int error);

#endif
