# SPDX-License-Identifier: Apache-2.0
#
# libvine and its tests for aarch64, run under qemu-user: for layout and build. libvine-runtime is
# left out: its libraries for that machine come from Debian only with arm64 as a second architecture
# of the whole system (37 packages, 71 MB, and upgrades of packages that both have), and qemu-user
# has no io_uring to run it on. Its sources were compiled for aarch64 by hand, without a warning; no
# test does so.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
