/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - what the command tells people on stderr, and names made fit to be shown.
 *
 * Messages are one line, `vine VERB: text`. Colour is used on terminals alone, and not where
 * NO_COLOR is set or TERM is `dumb`. A progress line that stands on the terminal is taken away
 * first (it comes back with the next update).
 */
#ifndef VINE_TOOLS_MESSAGE_H
#define VINE_TOOLS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <vine/base.h>

enum message_colour {
    COLOUR_PLAIN,
    COLOUR_BOLD,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_DIM,
};

void message_init(void);
void message_set_verb(const char *verb);
void message_set_quiet(bool quiet);

/* What failed; a warning; a note that --quiet leaves out. `%m` is understood. */
void message_error(const char *format, ...) VINE_PRINTF(1, 2);
void message_warning(const char *format, ...) VINE_PRINTF(1, 2);
void message_note(const char *format, ...) VINE_PRINTF(1, 2);

/* The text of this thread's last error, or "". */
const char *message_last_error(void);

/* An error that another process of ours has told already. */
void message_take_error(const char *text);

/* A vine_log_fn that shows errors and warnings, and the rest too if `*(bool *)context`. */
void message_log(void *context, enum vine_log_level level, const char *text);

/* The escape sequence that begins a colour on stdout or stderr, or "". COLOUR_PLAIN ends it. */
const char *message_colour_of(int fd, enum message_colour colour);

/* Show `text` as the line at the bottom of the terminal in place of what stood there; "" takes it
 * away. Not longer than the terminal is wide. Only where stderr is a terminal. */
void message_progress(const char *text);

/* The same of several lines, one below another, of which `index` is one. "" takes this one away,
 * and all off the terminal, so that something else can be written there: those that are left come
 * back with the next update of any. */
#define MESSAGE_PROGRESS_LINES 8
void message_progress_line(unsigned index, const char *text);

/* The name as it may be shown: bytes that are not printable UTF-8 become \ooo, a backslash stays.
 * Valid until the eighth next call; cut, with "...", beyond 4,000 bytes. */
const char *message_escape(const char *name);

/* The same into memory of the caller. Returns the length of the whole. */
size_t message_escape_into(const char *name, char *ret_text, size_t capacity);

/* How many bytes at `text` are one printable UTF-8 character: 0 if they are none. */
size_t message_utf8_length(const char *text);

#endif
