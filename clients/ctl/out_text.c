/* out_text.c - see out.h: for people. Columns are as wide as their widest cell, nothing is cut. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/ctl/out.h"

/* One cell as text; NULL: out of memory. */
static char *cell_text(const struct out_field *field, const msgpack_object *row)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	field->format(f, out_get(row, field->key));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Characters, which are not bytes. */
static size_t width_of(const char *text)
{
	size_t n = 0;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): every cell has its text here */
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
	const size_t have = width_of(text);
	const int pad = have < width ? (int)(width - have) : 0;
	if (right)
		printf("%*s%s", pad, "", text);
	else if (last)
		printf("%s", text);
	else
		printf("%s%*s", text, pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

static void print_table(const struct out_field *fields, size_t n_fields, size_t n_rows,
	char *const *cells, const size_t *widths)
{
	for (size_t k = 0; k < n_fields; k++)
		print_cell(fields[k].head, widths[k], fields[k].right, k + 1 == n_fields);
	for (size_t i = 0; i < n_rows; i++)
		for (size_t k = 0; k < n_fields; k++)
			print_cell(cells[i * n_fields + k], widths[k], fields[k].right,
				k + 1 == n_fields);
}

static void table(struct out *out, const struct out_field *fields, size_t n_fields,
	const struct rows *rows, const msgpack_object *doc)
{
	(void)doc;
	const size_t n_cells = rows->n * n_fields;
	char **cells = calloc(n_cells ? n_cells : 1, sizeof(*cells));
	size_t *widths = calloc(n_fields, sizeof(*widths));
	if (!cells || !widths)
		goto fail;

	for (size_t k = 0; k < n_fields; k++)
		widths[k] = width_of(fields[k].head);
	for (size_t c = 0; c < n_cells; c++) {
		const size_t k = c % n_fields;
		cells[c] = cell_text(&fields[k], rows->items[c / n_fields]);
		if (!cells[c])
			goto fail;
		const size_t width = width_of(cells[c]);
		if (width > widths[k])
			widths[k] = width;
	}
	print_table(fields, n_fields, rows->n, cells, widths);
	goto out;

fail:
	out->failed = true;
out:
	for (size_t c = 0; cells && c < n_cells; c++)
		free(cells[c]);
	free(cells);
	free(widths);
}

static void record(
	struct out *out, const struct out_field *fields, size_t n_fields, const msgpack_object *map)
{
	size_t widest = 0;
	for (size_t k = 0; k < n_fields; k++) {
		const size_t width = width_of(fields[k].head);
		if (width > widest && out_get(map, fields[k].key))
			widest = width;
	}
	for (size_t k = 0; k < n_fields; k++) {
		if (!out_get(map, fields[k].key))
			continue;
		char *text = cell_text(&fields[k], map);
		if (!text) {
			out->failed = true;
			return;
		}
		const int pad = (int)(widest - width_of(fields[k].head));
		printf("%s:%*s  %s\n", fields[k].head, pad, "", text);
		free(text);
	}
}

/* "2026-11-23 08:16:35.123 lab port.attached port=1 name=vm …" */
static void event(struct out *out, uint64_t time_ms, const char *name, const msgpack_object *params)
{
	const time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;
	char when[32] = "";
	(void)out;
	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03u ", when, (unsigned)(time_ms % 1000));
	const msgpack_object *network = out_get(params, "network");
	out_any(stdout, network ? network : out_get(params, "name"));
	putchar(' ');
	out_print_text(stdout, name, strlen(name));
	const bool map = params->type == MSGPACK_OBJECT_MAP;
	for (uint32_t i = 0; map && i < params->via.map.size; i++) {
		const msgpack_object_kv *kv = &params->via.map.ptr[i];
		if (&kv->val == network)
			continue;
		putchar(' ');
		out_any(stdout, &kv->key);
		putchar('=');
		out_any(stdout, &kv->val);
	}
	putchar('\n');
	fflush(stdout);
}

static void stream(struct out *out, const struct out_field *fields, size_t n_fields,
	const struct rows *rows, const msgpack_object *doc)
{
	if (out->streamed)
		putchar('\n');
	out->streamed = true;
	table(out, fields, n_fields, rows, doc);
	fflush(stdout);
}

static void nothing(struct out *out)
{
	(void)out;
}

struct out *out_text_new(void)
{
	struct out *out = malloc(sizeof(*out));
	if (out)
		*out = (struct out){ .table = table,
			.record = record,
			.event = event,
			.stream = stream,
			.nothing = nothing };
	return out;
}
