/* err.c - see err.h. */
#include "server/base/err.h"

#include <stdio.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
	err->code = code;
	return code;
}
