/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_folder.h - the folder of one `vine guest run`, below $TMPDIR or /tmp, which is locked as
 * long as the run lives: what is left of one that was killed goes with the next one's start.
 */
#ifndef VINE_TOOLS_GUEST_FOLDER_H
#define VINE_TOOLS_GUEST_FOLDER_H

#define GUEST_FOLDER_BYTES 80

/* Sweep the parent, and make one. Says what goes wrong. Returns a status; the descriptor is the
 * lock, to be closed when the folder is gone. */
int guest_folder_make(char ret_path[GUEST_FOLDER_BYTES], int *ret_fd);

#endif
