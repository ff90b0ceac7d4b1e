/* err.h - an error that a person will read: a number and one sentence.
 *
 * Made where the fact is known, carried up unchanged, printed or answered once where it is handled.
 */
#ifndef SERVER_BASE_ERR_H
#define SERVER_BASE_ERR_H

#include <stdarg.h>

#define ERR_TEXT 512u

struct err {
	int code;            /* negative errno; 0 while nothing failed */
	char text[ERR_TEXT]; /* what failed, on what, why, and what to do */
};

/* Sets @err (may be NULL) and returns @code, so that `return err_set(...)` is one line. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int err_set(struct err *err, int code, const char *format, ...);

#endif
