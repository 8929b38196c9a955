/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arch/peer/standard.h"
#include "utils/tables.h"

#define ESCAPED_MAX  4000
#define ESCAPE_SLOTS 8

static struct {
    const char *verb;
    bool quiet;
    bool colours[3]; /* by descriptor */
    bool is_terminal;
    char *progress[MESSAGE_PROGRESS_LINES]; /* NULL: not one of those that are shown */
    unsigned progress_shown;                /* so many lines stand on the terminal */
} state;

/* Of what stands on the terminal. Not stderr's own, which no sanitizer knows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static bool has_colours(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return term != NULL && strcmp(term, "dumb") != 0 && isatty(fd);
}

void message_init(void)
{
    const char *term = getenv("TERM");

    vine__standard_hold();
    (void)pthread_atfork(take_lock, give_lock, give_lock); /* a child prints, too */
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        state.colours[fd] = has_colours(fd);
    state.is_terminal = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

void message_set_verb(const char *verb)
{
    state.verb = verb;
}

void message_set_quiet(bool quiet)
{
    state.quiet = quiet;
}

const char *message_colour_of(int fd, enum message_colour colour)
{
    static const char *const sequences[] = {
        [COLOUR_PLAIN] = "\033[0m",  [COLOUR_BOLD] = "\033[1m",    [COLOUR_RED] = "\033[31m",
        [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m", [COLOUR_DIM] = "\033[2m",
    };
    return state.colours[fd] ? sequences[colour] : "";
}

static void clear_progress(void)
{
    if (state.progress_shown > 1)
        fprintf(stderr, "\r\033[%uA\033[J", state.progress_shown - 1);
    else if (state.progress_shown == 1)
        fputs("\r\033[K", stderr);
    state.progress_shown = 0;
}

static void print(enum message_colour colour, const char *format, va_list arguments)
{
    const int error = errno; /* for %m, past the calls before it */

    /* One write for the whole line, so that those of several processes do not mix. */
    char line[8192];
    size_t length = (size_t)snprintf(
        line, sizeof(line), "%svine%s%s:%s ", message_colour_of(STDERR_FILENO, colour),
        state.verb != NULL ? " " : "", state.verb != NULL ? state.verb : "",
        message_colour_of(STDERR_FILENO, COLOUR_PLAIN));
    errno = error;
    const int wanted = vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
    if (wanted > 0)
        length += (size_t)wanted;
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length] = '\n';
    line[length + 1] = '\0';
    take_lock(); /* whoever shows progress may be another thread */
    clear_progress();
    fputs(line, stderr);
    fflush(stderr);
    give_lock();
}

static _Thread_local char last_error[ESCAPED_MAX];

void message_error(const char *format, ...)
{
    const int error = errno;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(last_error, sizeof(last_error), format, arguments);
    va_end(arguments);
    errno = error;
    va_start(arguments, format);
    print(COLOUR_RED, format, arguments);
    va_end(arguments);
}

const char *message_last_error(void)
{
    return last_error;
}

void message_take_error(const char *text)
{
    snprintf(last_error, sizeof(last_error), "%s", text);
}

void message_warning(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(COLOUR_YELLOW, format, arguments);
    va_end(arguments);
}

void message_note(const char *format, ...)
{
    if (state.quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    print(COLOUR_DIM, format, arguments);
    va_end(arguments);
}

void message_log(void *context, enum vine_log_level level, const char *text)
{
    const bool *const verbose = context;

    if (level == VINE_LOG_ERROR)
        message_error("%s", message_escape(text));
    else if (level == VINE_LOG_WARNING)
        message_warning("%s", message_escape(text));
    else if (verbose != NULL && *verbose)
        message_note("%s", message_escape(text));
}

void message_progress(const char *text)
{
    message_progress_line(0, text);
}

/* Each line in place of the one that stood there. */
static void draw_progress(void)
{
    struct winsize size = {0};
    const unsigned shown = state.progress_shown;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size.ws_col = 80;
    if (shown > 1)
        fprintf(stderr, "\033[%uA", shown - 1);
    state.progress_shown = 0;
    for (unsigned i = 0; i < MESSAGE_PROGRESS_LINES; i++)
        if (state.progress[i] != NULL)
            fprintf(stderr, "%s\r%.*s\033[K", state.progress_shown++ > 0 ? "\n" : "",
                    size.ws_col - 1, state.progress[i]);
}

void message_progress_line(unsigned index, const char *text)
{
    if (!state.is_terminal)
        return;
    take_lock();
    free(state.progress[index]);
    state.progress[index] = text[0] != '\0' ? strdup(text) : NULL;
    if (state.progress[index] != NULL)
        draw_progress();
    else
        clear_progress();
    fflush(stderr);
    give_lock();
}

size_t message_utf8_length(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;
    static const struct {
        unsigned char mask, lead;
        uint32_t lowest; /* a character that needs fewer bytes is not valid in so many */
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    if (bytes[0] < 0x80)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(forms); i++) {
        if ((bytes[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t character = bytes[0] & (unsigned char)~forms[i].mask;
        for (size_t k = 1; k <= i + 1; k++) {
            if ((bytes[k] & 0xc0) != 0x80)
                return 0;
            character = character << 6 | (bytes[k] & 0x3fU);
        }
        /* C1 controls steer terminals, surrogates and what lies beyond are no characters; the
         * directional overrides (U+202A.., U+2066..) would show a name as another. */
        if (character < forms[i].lowest || character < 0xa0 || character > 0x10ffff ||
            (character >= 0xd800 && character <= 0xdfff) ||
            (character >= 0x2028 && character <= 0x202e) ||
            (character >= 0x2066 && character <= 0x2069))
            return 0;
        return i + 2;
    }
    return 0;
}

size_t message_escape_into(const char *name, char *ret_text, size_t capacity)
{
    size_t whole = 0;

    for (const char *at = name; *at != '\0';) {
        char piece[8];
        size_t length = message_utf8_length(at);

        if (length > 0) {
            memcpy(piece, at, length);
            at += length;
        } else {
            length = (size_t)snprintf(piece, sizeof(piece), "\\%03o", (unsigned char)*at++);
        }
        if (whole + length < capacity)
            memcpy(ret_text + whole, piece, length);
        else if (whole < capacity)
            ret_text[whole] = '\0'; /* ends where the first piece did not fit */
        whole += length;
    }
    if (whole < capacity)
        ret_text[whole] = '\0';
    return whole;
}

const char *message_escape(const char *name)
{
    static _Thread_local char texts[ESCAPE_SLOTS][ESCAPED_MAX + 4];
    static _Thread_local unsigned next;
    char *text = texts[next++ % ESCAPE_SLOTS];

    if (message_escape_into(name, text, ESCAPED_MAX) >= ESCAPED_MAX)
        memcpy(text + strlen(text), "...", sizeof("..."));
    return text;
}
