/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys_shut.h - a folder that this process can read no more.
 */
#ifndef VINE_TOOLS_KEYS_SHUT_H
#define VINE_TOOLS_KEYS_SHUT_H

/*
 * Give up reading what is in the folder, by whatever path, and looking into processes that are not
 * ours to end; for the calling thread, and all threads and processes that it starts.
 *
 * Landlock knows only what is allowed. So that is all there is beside the folder, and beside each
 * folder on the way to it; of these themselves nothing can be listed any more, and files that are
 * made in them later cannot be read.
 *
 * Returns 0; -EOPNOTSUPP: the kernel has no Landlock; or a negated errno.
 */
int keys_shut(const char *folder);

#endif
