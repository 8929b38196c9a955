/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/resp.h - the protocol of Redis and its kin, RESP2 and RESP3: commands and replies as bytes.
 *
 * Owns:     nothing. Parsers and writers are the caller's memory, and so are the bytes.
 * Threads:  one at a time for each object; there is no state beside them.
 * Blocking: never; no call allocates, or calls the system.
 * Trust:    bytes may be anything. What a parser hands out lies within the bytes that it was given
 *           and within the caller's limits; whatever does not follow the protocol is an answer.
 * Limits:   the caller's: arguments, sizes, depth. Replies of a size that is not known when they
 *           begin ("$?") are refused: no server sends them.
 *
 * A server parses commands and writes replies; a client writes commands, as arrays of bulks, and
 * parses replies; a proxy does both. The commands themselves, and what they do, are in
 * vine/resp_server.h.
 */
#ifndef VINE_RESP_H
#define VINE_RESP_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

/* How a call of a parser ended. */
enum vine_resp_status {
    VINE_RESP_COMPLETE, /* what was asked for is there, and took `consumed_bytes` */
    VINE_RESP_MORE,     /* call again with the same bytes and at least `more_bytes` behind them */
    VINE_RESP_ROOM,     /* no room for another argument: _set_room, or vine_resp_parser_cut */
    VINE_RESP_PAYLOAD,  /* a large bulk: its bytes are the caller's to take, from where they come */
    VINE_RESP_BROKEN,   /* the other side broke the protocol; the stream is of no use any more */
};

/* ---- commands -------------------------------------------------------------------------------- */

struct vine_resp_argument {
    const char *bytes; /* nothing ends them but their size */
    uint32_t size_bytes;
    void *owner; /* of whoever has them; a parser writes NULL */
};

/* What a command may have. Constant while a parser uses it. */
struct vine_resp_limits {
    uint32_t arguments_max;
    uint32_t bulk_bytes_max;    /* one argument */
    uint32_t inline_bytes_max;  /* a command that is a line of words */
    uint32_t command_bytes_max; /* what lies in the caller's buffer at once: all of a command but
                                   what was cut off */
    uint32_t payload_bytes_min; /* bulks from here on are large: VINE_RESP_PAYLOAD; 0: none is */
};

/* Redis' own limits. */
#define VINE_RESP_ARGUMENTS_MAX    (1024U * 1024U)
#define VINE_RESP_BULK_BYTES_MAX   (512U * 1024U * 1024U)
#define VINE_RESP_INLINE_BYTES_MAX (64U * 1024U)

struct vine_resp_parser {
    const struct vine_resp_limits *limits; /* private, from here... */
    size_t at;
    uint32_t expected;
    uint32_t argument_room;
    uint32_t bulk_size_bytes;
    uint8_t stage;
    uint8_t problem;
    char got; /* ...to here */

    struct vine_resp_argument *arguments; /* of the command, once it is complete */
    uint32_t argument_count;              /* 0, and none was cut: nobody answers an empty line */
    uint32_t cut_count;                   /* by vine_resp_parser_cut, as is the next one */
    uint32_t payload_bytes;
    size_t consumed_bytes; /* by VINE_RESP_COMPLETE and vine_resp_parser_cut */
    size_t more_bytes;     /* by VINE_RESP_MORE */
};

/* Begin, with room for `argument_room` arguments, 1 or more. Limits and room stay the caller's, and
 * where they are. */
VINE_API void vine_resp_parser_init(struct vine_resp_parser *parser,
                                    const struct vine_resp_limits *limits,
                                    struct vine_resp_argument *arguments, uint32_t argument_room);

/*
 * Parse the command with which `bytes` begin. What was parsed is not parsed again: when there was
 * too little, call again with the same bytes, wherever they are by then, and more behind them. For
 * the next command, begin behind what was consumed.
 *
 * An argument of a line of words may be in quotes, and is then unquoted where it lies: this is why
 * the bytes are not constant.
 *
 * Returns VINE_RESP_COMPLETE  arguments lie in these bytes, for as long as those stay;
 *         VINE_RESP_MORE, VINE_RESP_ROOM, VINE_RESP_BROKEN as said above;
 *         VINE_RESP_PAYLOAD   see vine_resp_parser_cut.
 */
VINE_API VINE_MUST_CHECK enum vine_resp_status vine_resp_parse(struct vine_resp_parser *parser,
                                                               char *bytes, size_t size_bytes);

/* After VINE_RESP_ROOM: other room, more than before, into which the caller has copied the
 * `argument_count` arguments that there are; they are not to be read yet. A command has no more
 * than the limit says, and no room is asked for before its arguments have come. */
VINE_API void vine_resp_parser_set_room(struct vine_resp_parser *parser,
                                        struct vine_resp_argument *arguments,
                                        uint32_t argument_room);

/*
 * After VINE_RESP_ROOM, _MORE or _PAYLOAD: take what there is of a command, so that it need not lie
 * in one piece. `bytes` are those that were parsed. The first `cut_count` of `arguments` are read
 * there now, before the next call; the first `consumed_bytes` are of no use then, and the next call
 * goes on with what follows them. Of VINE_RESP_PAYLOAD that is the payload: one more argument,
 * `payload_bytes` of it, which are the caller's to take out of the stream; the next call goes on
 * behind them. When the command is complete, its arguments are those that were not cut.
 */
VINE_API void vine_resp_parser_cut(struct vine_resp_parser *parser, const char *bytes);

/* What was wrong, as an error's text, "Protocol error: invalid bulk length"; after
 * VINE_RESP_BROKEN. Returns its size, without the NUL. */
#define VINE_RESP_PROBLEM_BYTES 64
VINE_API size_t vine_resp_parser_problem(const struct vine_resp_parser *parser,
                                         char text[VINE_RESP_PROBLEM_BYTES]);

/* The decimal number that is all of these bytes, as Redis reads numbers: no sign but '-', no zero
 * before other digits, no blanks. Returns whether they are one. */
VINE_API VINE_MUST_CHECK bool vine_resp_integer(const char *bytes, size_t size_bytes,
                                                int64_t *ret_number);

/* ---- replies, written ------------------------------------------------------------------------ */

/* What each kind of value begins with. */
enum vine_resp_type {
    VINE_RESP_SIMPLE = '+',
    VINE_RESP_ERROR = '-',
    VINE_RESP_INTEGER = ':',
    VINE_RESP_BULK = '$',
    VINE_RESP_ARRAY = '*',
    VINE_RESP_NULL = '_',
    VINE_RESP_DOUBLE = ',',
    VINE_RESP_BOOLEAN = '#',
    VINE_RESP_BULK_ERROR = '!',
    VINE_RESP_VERBATIM = '=',
    VINE_RESP_BIG_NUMBER = '(',
    VINE_RESP_MAP = '%',
    VINE_RESP_SET = '~',
    VINE_RESP_PUSH = '>',
    VINE_RESP_ATTRIBUTE = '|',
};

/*
 * Bytes that replies are written into. A call writes all of what it says or nothing: then it
 * returns false, and so do all others until vine_resp_writer_drain. So a caller may write several
 * and look once. What RESP2 does not have is written as Redis writes it there: maps and sets as
 * arrays, a boolean as 0 or 1, numbers and verbatim text as bulks, null as the null bulk.
 */
struct vine_resp_writer {
    char *bytes;
    size_t size_bytes; /* written so far */
    size_t room_bytes; /* in all */
    uint8_t protocol;  /* 2 or 3 */
    bool is_full;      /* something did not fit */
};

VINE_API void vine_resp_writer_init(struct vine_resp_writer *writer, char *bytes, size_t room_bytes,
                                    uint8_t protocol);

/* What was written has been sent, or has been copied: begin anew. */
static inline void vine_resp_writer_drain(struct vine_resp_writer *writer)
{
    writer->size_bytes = 0;
    writer->is_full = false;
}

/* How much can still be written. */
static inline size_t vine_resp_writer_room(const struct vine_resp_writer *writer)
{
    return writer->is_full ? 0 : writer->room_bytes - writer->size_bytes;
}

/* A line of text; what would end it is written as a blank. An error's text begins with its code, as
 * "ERR". */
VINE_API bool vine_resp_write_simple(struct vine_resp_writer *writer, const char *text);
VINE_API bool vine_resp_write_error(struct vine_resp_writer *writer, const char *text);

VINE_API bool vine_resp_write_integer(struct vine_resp_writer *writer, int64_t number);
VINE_API bool vine_resp_write_bulk(struct vine_resp_writer *writer, const char *bytes,
                                   size_t size_bytes);
VINE_API bool vine_resp_write_null(struct vine_resp_writer *writer);

/* Null where an array is expected: RESP2 tells it from the other null. */
VINE_API bool vine_resp_write_null_array(struct vine_resp_writer *writer);

VINE_API bool vine_resp_write_boolean(struct vine_resp_writer *writer, bool is_true);

/* In as few digits as make the same number again. */
VINE_API bool vine_resp_write_double(struct vine_resp_writer *writer, double number);

/* Decimal digits, perhaps with a sign before them: the caller's word for that. */
VINE_API bool vine_resp_write_big_number(struct vine_resp_writer *writer, const char *digits,
                                         size_t size_bytes);

/* Text of a format: three letters, "txt" or "mkd". */
VINE_API bool vine_resp_write_verbatim(struct vine_resp_writer *writer, const char format[4],
                                       const char *bytes, size_t size_bytes);

/* The heads of what holds others, which are written next: `count` elements; of a map, pairs of
 * them. */
VINE_API bool vine_resp_write_array(struct vine_resp_writer *writer, size_t count);
VINE_API bool vine_resp_write_map(struct vine_resp_writer *writer, size_t count);
VINE_API bool vine_resp_write_set(struct vine_resp_writer *writer, size_t count);
VINE_API bool vine_resp_write_push(struct vine_resp_writer *writer, size_t count);

/* A bulk that is larger than the room: its head; its bytes in pieces, of which a call takes as many
 * as there is room for and returns how many; its end. */
VINE_API bool vine_resp_write_bulk_begin(struct vine_resp_writer *writer, size_t size_bytes);
VINE_API size_t vine_resp_write_piece(struct vine_resp_writer *writer, const char *bytes,
                                      size_t size_bytes);
VINE_API bool vine_resp_write_bulk_end(struct vine_resp_writer *writer);

/* ---- replies, parsed ------------------------------------------------------------------------- */

#define VINE_RESP_DEPTH_MAX 16

/* What a reply may have. Constant while a parser uses it. */
struct vine_resp_reply_limits {
    uint32_t depth_max;         /* of what holds others, at most VINE_RESP_DEPTH_MAX */
    uint32_t count_max;         /* of elements in one of these, at most 2^31 */
    uint32_t bulk_bytes_max;    /* at most 2^31 */
    uint32_t line_bytes_max;    /* of what ends with its line */
    uint32_t payload_bytes_min; /* bulks from here on are large: VINE_RESP_PAYLOAD; 0: none is */
};

/* One value of a reply; where it holds others, its head. */
struct vine_resp_element {
    enum vine_resp_type type; /* both nulls of RESP2 are VINE_RESP_NULL */
    uint32_t depth;           /* in how many others it lies */
    bool is_last;             /* the reply ends with it */
    const char *bytes;        /* what has text: within the bytes that were parsed */
    size_t size_bytes;
    int64_t integer; /* an integer, a boolean; the count of elements that follow, those of a map
                        counted one by one */
    double real;     /* a double */
    char format[4];  /* of verbatim text */
};

struct vine_resp_reply_parser {
    const struct vine_resp_reply_limits *limits; /* private, from here... */
    size_t scanned;
    uint32_t depth;
    uint32_t left[VINE_RESP_DEPTH_MAX];
    uint32_t attributes; /* bit n: what is open at depth n is one */
    uint8_t problem;
    char got; /* ...to here */

    size_t consumed_bytes; /* by VINE_RESP_COMPLETE */
    size_t more_bytes;     /* by VINE_RESP_MORE */
};

VINE_API void vine_resp_reply_parser_init(struct vine_resp_reply_parser *parser,
                                          const struct vine_resp_reply_limits *limits);

/*
 * Parse the next value of a reply, with which `bytes` begin: for the one after it, begin behind
 * what was consumed. A reply is whole with the value that is its last one; the next one begins
 * then.
 *
 * An attribute (RESP3) is told like a map, and is no value of what it stands in: the value that it
 * belongs to follows it.
 *
 * Returns VINE_RESP_COMPLETE  the value is in *ret_element;
 *         VINE_RESP_PAYLOAD   the same for a large bulk, whose bytes are not there: behind
 *                             `consumed_bytes` there follow its `size_bytes`, and two that end it
 *                             ("\r\n"), which are all the caller's to take from the stream. The
 *                             next call begins behind them;
 *         VINE_RESP_MORE, VINE_RESP_BROKEN as said above. *ret_element is untouched then.
 */
VINE_API VINE_MUST_CHECK enum vine_resp_status
vine_resp_parse_reply(struct vine_resp_reply_parser *parser, const char *bytes, size_t size_bytes,
                      struct vine_resp_element *ret_element);

/* What was wrong, as vine_resp_parser_problem has it. */
VINE_API size_t vine_resp_reply_parser_problem(const struct vine_resp_reply_parser *parser,
                                               char text[VINE_RESP_PROBLEM_BYTES]);

VINE_END_DECLARATIONS

#endif
