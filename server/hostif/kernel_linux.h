/* kernel_linux.h - the running kernel's version, for what there is nothing else to ask. */
#ifndef SERVER_HOSTIF_KERNEL_LINUX_H
#define SERVER_HOSTIF_KERNEL_LINUX_H

#include <stdbool.h>

/* Whether it is Linux @major.@minor or a later one, as uname(2) says; false where that fails. */
bool kernel_since(unsigned major, unsigned minor);

#endif
