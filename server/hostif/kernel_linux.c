/* kernel_linux.c - see kernel_linux.h. */
#include "server/hostif/kernel_linux.h"

#include <stdlib.h>
#include <sys/utsname.h>

bool kernel_since(unsigned major, unsigned minor)
{
	struct utsname u;
	char *end;
	if (uname(&u) < 0)
		return false;
	const unsigned long is = strtoul(u.release, &end, 10);
	return is > major || (is == major && *end == '.' && strtoul(end + 1, NULL, 10) >= minor);
}
