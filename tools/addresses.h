/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addresses.h - the forms of an address, which every ADDRESS takes: X(form, meaning). They are the
 * library's (vine/talk.h).
 */
#ifndef VINE_TOOLS_ADDRESSES_H
#define VINE_TOOLS_ADDRESSES_H

#define ADDRESSES(X)                                                                               \
    X("PATH", "a socket; has a `/`")                                                               \
    X("NAME",                                                                                      \
      "a socket of that name under $XDG_RUNTIME_DIR/vine, for root without it /run/vine, else "    \
      "/tmp/vine-UID; `default` where nothing is said")                                            \
    X("file:PATH", "a segment in a file, for parties of one user")                                 \
    X("shm:NAME", "a segment in POSIX shared memory, for parties of one user")                     \
    X("pci:BDF", "the memory of that PCI device, such as pci:0000:00:04.0, in a virtual machine")  \
    X("pci:NAME", "the link of that name, in a virtual machine of `vine guest run`")               \
    X("pci:auto", "the first such device that no other process of this machine uses")              \
    X("link:PATH",                                                                                 \
      "an end of a link to a virtual machine, which `vine guest run` hands out there")             \
    X("vinetalk:", "the segment that the configuration describes: shm_file, shm_size and so on")   \
    X("vinetalk:FILE", "the segment that this configuration file alone describes")

/* How help says that an option takes one. */
#define ADDRESS_VALUE "ADDRESS"

#endif
