/* SPDX-License-Identifier: Apache-2.0 */
/*
 * human.h - numbers and types as people read them. Each call writes into memory of the caller.
 */
#ifndef VINE_TOOLS_HUMAN_H
#define VINE_TOOLS_HUMAN_H

#include <stdint.h>

#define HUMAN_MAX 32

/* "1.2 GB": powers of 1000. Returns `ret_text`, as the others. */
const char *human_bytes(uint64_t bytes, char ret_text[HUMAN_MAX]);

/* "1.2 GiB": powers of 1024. */
const char *human_binary(uint64_t bytes, char ret_text[HUMAN_MAX]);

/* "830 ns", "4.7 us", "12 ms", "3.4 s". */
const char *human_ns(uint64_t ns, char ret_text[HUMAN_MAX]);

/* The same in two digits that say something: "830ns", "4.7us", "12ms". */
const char *human_ns_brief(uint64_t ns, char ret_text[HUMAN_MAX]);

/* How long ago: "12s", "3min", "5h", "2d"; less than a second as above. */
const char *human_age_brief(uint64_t ns, char ret_text[HUMAN_MAX]);

/* Megabytes alone: "0.3", "4.7", "120". */
const char *human_megabytes_brief(uint64_t bytes, char ret_text[HUMAN_MAX]);

/* "9999", "12k", "1.2M". */
const char *human_count_brief(uint64_t count, char ret_text[HUMAN_MAX]);

/* "12,345,678". */
const char *human_count(uint64_t count, char ret_text[HUMAN_MAX]);

/* "1.94 M" and so on, for rates. */
const char *human_rate(double rate, char ret_text[HUMAN_MAX]);

/* What an element of data is called: an enum vine_data_type. Constant. */
const char *human_data_type(uint32_t data_type);

/* The time of a steady clock. */
uint64_t human_now_ns(void);

#endif
