/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/resp/number.h - numbers as the protocol writes them, whatever the program's locale is.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    bytes may be anything.
 * Limits:   a double that is read has at most 63 bytes.
 */
#ifndef VINE_CORE_RESP_NUMBER_H
#define VINE_CORE_RESP_NUMBER_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__RESP_INTEGER_BYTES 20 /* digits of 2^64 */
#define VINE__RESP_DOUBLE_BYTES  32 /* "-1.7976931348623157e+308", and a NUL */

/* Write the digits of a number, without a NUL. Returns how many. */
size_t vine__resp_digits(uint64_t number, char text[VINE__RESP_INTEGER_BYTES]);

/* Make any bytes between digits that are no part of a number, the point of some locale, one point.
 * Returns the text's size, which is no larger. */
size_t vine__resp_pointed(char *text);

/* Write a double with as few digits as make it again. Returns its size, without the NUL. */
size_t vine__resp_double_text(double number, char text[VINE__RESP_DOUBLE_BYTES]);

/* Read one: digits with a point and an exponent, "inf", "-inf", "nan". Returns false if it is
 * none. */
VINE_MUST_CHECK bool vine__resp_double(const char *bytes, size_t size_bytes, double *ret_number);

#endif
