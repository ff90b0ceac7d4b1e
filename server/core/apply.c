/* apply.c - see apply.h. */
#include "server/core/apply.h"

#include <stdlib.h>

void apply_free(struct apply *apply)
{
	if (!apply)
		return;
	free(apply->ports);
	free(apply->old);
	free(apply->done);
	free(apply);
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	free(reload->done);
	free(reload);
}
