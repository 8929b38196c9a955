/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/vine.h - all of Vine's public headers.
 *
 * Owns:     nothing.
 * Threads:  as each header says.
 * Blocking: as each header says.
 * Trust:    as each header says.
 * Limits:   none of its own.
 */
#ifndef VINE_VINE_H
#define VINE_VINE_H

#include <vine/allocator.h>
#include <vine/appliance.h>
#include <vine/base.h>
#include <vine/box.h>
#include <vine/bridge.h>
#include <vine/channel.h>
#include <vine/error.h>
#include <vine/fifo.h>
#include <vine/hash_table.h>
#include <vine/inspect.h>
#include <vine/list.h>
#include <vine/mpmc.h>
#include <vine/procedure.h>
#include <vine/segment.h>
#include <vine/set.h>
#include <vine/spsc.h>
#include <vine/stream.h>
#include <vine/talk.h>
#include <vine/wait.h>

#endif
