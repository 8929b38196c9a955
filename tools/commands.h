/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.h - the table of verbs: X(name, summary). Each is a `const struct verb verb_NAME` in a
 * file of its own. A verb may be two words, as the user says it; NAME has `_` between them then.
 * The first of them is a group: X(word, summary, description). Both have a man page.
 */
#ifndef VINE_TOOLS_COMMANDS_H
#define VINE_TOOLS_COMMANDS_H

#define COMMANDS(X)                                                                                \
    X(run, "run a procedure on files and directories, by an appliance")                            \
    X(appliance, "serve procedures until told to stop")                                            \
    X(serve, "give each connection a coroutine: echo, http, resp, or your own")                    \
    X(agent, "share one pipe to an appliance among applications")                                  \
    X(procs, "list what an appliance offers")                                                      \
    X(pipes, "list who uses an appliance, and who did")                                            \
    X(config, "show each setting and where it comes from")                                         \
    X(doctor, "say what this machine can do, and what to install")                                 \
    X(bench, "measure what offloading costs on this machine")                                      \
    X(guest_build, "make a kernel and a first file system for virtual machines")                   \
    X(guest_run, "start virtual machines and link them")                                           \
    X(guest_ctl, "control virtual machines that run: links, pauses, ends")                         \
    X(guest_bench, "measure a link beside other ways to another virtual machine")                  \
    X(guest_echo, "answer what `vine guest bench` measures a link beside")                         \
    X(guest_bells, "let virtual machines ring one another")                                        \
    X(pool_create, "make an empty pool of virtual machines")                                       \
    X(pool_ls, "list the pools of a folder")                                                       \
    X(pool_show, "show the machines of a pool")                                                    \
    X(pool_check, "say what is wrong with a pool")                                                 \
    X(pool_add, "add a machine to a pool")                                                         \
    X(pool_rm, "remove machines from a pool")                                                      \
    X(pool_export, "copy what a machine of a pool is made of to files")                            \
    X(server, "run the virtual machines of pools for several clients")                             \
    X(up, "start all machines of a pool, by a server")                                             \
    X(down, "end all machines of a pool, by its server")                                           \
    X(vm_create, "make a VM of a server")                                                          \
    X(vm_ls, "list the VMs of a server")                                                           \
    X(vm_show, "show a VM of a server")                                                            \
    X(vm_start, "start VMs")                                                                       \
    X(vm_stop, "stop VMs, gracefully and then harder")                                             \
    X(vm_restart, "stop VMs and start them again")                                                 \
    X(vm_kill, "end VMs at once")                                                                  \
    X(vm_console, "be at the console of a VM")                                                     \
    X(vm_log, "print what the guest of a VM has said")                                             \
    X(vm_events, "print what becomes of VMs")                                                      \
    X(vm_wait, "wait until a VM is in a state")                                                    \
    X(vm_configure, "give a VM another configuration")                                             \
    X(vm_rm, "remove VMs of a server, or machines of a pool")                                      \
    X(vm_kernel, "give a machine another kernel")                                                  \
    X(vm_initrd, "give a machine another first file system")                                       \
    X(vm_disk, "give a machine another disk")                                                      \
    X(vm_limits, "change how much a machine may have")                                             \
    X(client_add, "add a client of a VM server, with a socket of its own")                         \
    X(client_ls, "list the clients of a VM server")                                                \
    X(client_rm, "remove a client of a VM server")                                                 \
    X(client_give, "give a VM to a client")                                                        \
    X(help, "explain a verb")                                                                      \
    X(version, "say which version this is")

#define GROUPS(X)                                                                                  \
    X(guest, "start virtual machines by hand, and measure their links",                            \
      "Machines that one command starts, as a file says, and that end with it: to try a link out " \
      "and to measure it. `vine guest build` makes what they boot from. Machines that are to "     \
      "stay are kept in a pool, and run by a server.")                                             \
    X(pool, "keep virtual machines in an image on disk",                                           \
      "A pool is an image, NAME.img, with the kernels, disks and configurations of its machines, " \
      "and NAME.json beside it with what they may have together and how they are linked. It is "   \
      "named by its place, FOLDER/NAME. `vine up` has a server run all machines of one.")          \
    X(vm, "see and control the VMs of a server",                                                   \
      "A VM is a machine of a pool that a server (`vine server`) has open. It is named by its "    \
      "name, or by its UID. Without --socket the control socket of the user's own server is "      \
      "asked, which sees all VMs; the socket of a client sees those of that client. Verbs with "   \
      "--pool also change a machine of a pool that no server has.")                                \
    X(client, "say who may do what with the VMs of a server",                                      \
      "A client of a server (`vine server`) has a socket of its own, by which it may do with its " \
      "VMs what its permissions say. These verbs ask the control socket of the server.")

#endif
