/* faults.c - see faults.h. */
#include "server/conf/faults.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void faults_add(struct faults *faults, const char *file, unsigned line, const char *format, ...)
{
	if (!faults->list)
		faults->list = calloc(FAULTS_MAX, sizeof(*faults->list));
	struct fault *f = faults->list && faults->n < FAULTS_MAX ? &faults->list[faults->n] : NULL;
	faults->n++;
	if (!f)
		return;
	va_list ap;
	va_start(ap, format);
	vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
	snprintf(f->file, sizeof(f->file), "%s", file);
	f->line = line;
}

void faults_fini(struct faults *faults)
{
	free(faults->list);
	*faults = (struct faults){ 0 };
}

void fault_text(const struct faults *faults, unsigned i, char out[FAULT_FILE + ERR_TEXT + 16])
{
	const struct fault *f = &faults->list[i];
	if (f->line)
		snprintf(out, FAULT_FILE + ERR_TEXT + 16, "%s:%u: %s", f->file, f->line, f->text);
	else
		snprintf(out, FAULT_FILE + ERR_TEXT + 16, "%s: %s", f->file, f->text);
}

int faults_err(const struct faults *faults, struct err *err)
{
	char text[FAULT_FILE + ERR_TEXT + 16];
	if (!faults->n)
		return 0;
	if (!faults->list)
		return err_set(err, -ENOMEM, "the configuration cannot be read: out of memory");
	fault_text(faults, 0, text);
	if (faults->n == 1)
		return err_set(err, -EINVAL, "%s", text);
	return err_set(err, -EINVAL, "%s (and %u more; fethd --check-config shows them)", text,
		faults->n - 1);
}
