/* exec.h - how `run` and `enter` become another program. */
#ifndef CLIENTS_CTL_EXEC_H
#define CLIENTS_CTL_EXEC_H

#include "clients/ctl/ctl.h"

/* What a shell's status is where a program cannot be run (POSIX, 2.8.2), so that it is told apart
 * from a failure of ours and, as far as that goes, of the program's. */
#define EXEC_NOT_RUN 126
#define EXEC_NOT_FOUND 127

/* Becomes argv[0], found in PATH. Return: only if it fails, after a sentence: the exit status */
int exec_command(char *const argv[]);

#endif
