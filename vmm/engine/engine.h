/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/engine.h - all of the engine: what runs virtual machines and links them.
 *
 *     description.h    what a machine is made of
 *     machine.h        its life: start, pause, stop, and how it ended
 *     link.h           memories between two machines, plugged while they run
 *     adoption.h       machines that outlive who started them
 *     console.h        terminals of consoles, and logs of what was said there
 *     group.h          what a machine may take of its host
 *     probe.h          which accelerator boots a guest here
 *
 * Below these, for tests and for who needs a part alone: arguments.h (QEMU's command line as a pure
 * function), child.h, qmp.h, status.h, memory.h.
 */
#ifndef VINE_VMM_ENGINE_ENGINE_H
#define VINE_VMM_ENGINE_ENGINE_H

#include "vmm/engine/adoption.h"
#include "vmm/engine/console.h"
#include "vmm/engine/description.h"
#include "vmm/engine/group.h"
#include "vmm/engine/link.h"
#include "vmm/engine/machine.h"
#include "vmm/engine/probe.h"

#endif
