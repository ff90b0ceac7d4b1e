/* faults.h - what is wrong in configuration files: all of it, not only the first. Pure. */
#ifndef SERVER_CONF_FAULTS_H
#define SERVER_CONF_FAULTS_H

#include "server/base/err.h"

/* As many as anybody reads at once; the rest is counted. */
#define FAULTS_MAX 64u
#define FAULT_FILE 300u /* bytes of a path as it is shown, and its end */

struct fault {
	char file[FAULT_FILE];
	unsigned line; /* 0: of the whole file */
	char text[ERR_TEXT];
};

/* All zeros is one without faults. */
struct faults {
	unsigned n;         /* all there were; the first FAULTS_MAX are in list */
	struct fault *list; /* owned */
};

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
void faults_add(struct faults *faults, const char *file, unsigned line, const char *format, ...);
void faults_fini(struct faults *faults);

/* "FILE:LINE: what is wrong" of the i-th of list. */
void fault_text(const struct faults *faults, unsigned i, char out[FAULT_FILE + ERR_TEXT + 16]);

/* -EINVAL with the first of them and how many more there are; 0 where there is none. */
int faults_err(const struct faults *faults, struct err *err);

#endif
