/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/coroutine.h - all that coroutines are written with.
 *
 * Owns:     nothing; it includes the headers that do.
 * Threads:  as each of them says.
 * Blocking: as each of them says.
 * Trust:    as each of them says.
 * Limits:   C only.
 */
#ifndef VINE_COROUTINE_H
#define VINE_COROUTINE_H

#include <vine/access_log.h>
#include <vine/await.h>
#include <vine/below.h>
#include <vine/error.h>
#include <vine/future.h>
#include <vine/heap.h>
#include <vine/http_exchange.h>
#include <vine/http_stream.h>
#include <vine/mail.h>
#include <vine/outside.h>
#include <vine/service.h>
#include <vine/socket.h>
#include <vine/state.h>

#endif
