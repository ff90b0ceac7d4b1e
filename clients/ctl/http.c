/* http.c - see http.h. */
#include "clients/ctl/http.h"

#include <stdio.h>
#include <string.h>

/* A piece of the request, not terminated. */
struct part {
	const char *at;
	size_t len;
};

static bool is(struct part p, const char *text)
{
	return p.len == strlen(text) && !memcmp(p.at, text, p.len);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether it begins so, whatever the case. */
static bool begins(struct part p, const char *text)
{
	const size_t n = strlen(text);
	if (p.len < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(p.at[i]) != text[i])
			return false;
	return true;
}

static struct part trim(struct part p)
{
	while (p.len && (p.at[0] == ' ' || p.at[0] == '\t')) {
		p.at++;
		p.len--;
	}
	while (p.len && (p.at[p.len - 1] == ' ' || p.at[p.len - 1] == '\t'))
		p.len--;
	return p;
}

/* Cuts what stands before the first @c off the front of *rest; all, where there is none. */
static struct part cut(struct part *rest, char c)
{
	struct part p = *rest;
	const char *at = memchr(rest->at, c, rest->len);
	p.len = at ? (size_t)(at - rest->at) : rest->len;
	const size_t used = at ? p.len + 1 : p.len;
	rest->at += used;
	rest->len -= used;
	return p;
}

/* The next line of the head, without its end; a CR before the LF belongs to it. */
static struct part next_line(struct part *rest)
{
	struct part line = cut(rest, '\n');
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* Where the empty line ends that ends the head; 0: it is not there yet. */
static size_t head_length(const char *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (data[i] != '\n')
			continue;
		if (data[i + 1] == '\n')
			return i + 2;
		if (data[i + 1] == '\r' && i + 2 < len && data[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

/* Controls have no business in a head, but for the tab, and the CR at an end of a line. */
static bool clean(struct part line)
{
	for (size_t i = 0; i < line.len; i++)
		if (((unsigned char)line.at[i] < 0x20 && line.at[i] != '\t') || line.at[i] == 0x7f)
			return false;
	return true;
}

/* The path of a target: what stands before a '?', and behind http://HOST if that is there. */
static struct part path_of(struct part target)
{
	if (begins(target, "http://")) {
		target.at += 7;
		target.len -= 7;
		const char *slash = memchr(target.at, '/', target.len);
		if (!slash)
			return (struct part){ "/", 1 };
		target.len -= (size_t)(slash - target.at);
		target.at = slash;
	}
	return cut(&target, '?');
}

static unsigned request_line(struct part line, struct http_request *out, bool *old)
{
	const struct part method = cut(&line, ' ');
	const struct part target = cut(&line, ' ');
	const struct part version = line;
	if (!method.len || !target.len || version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0 ||
		version.at[6] != '.')
		return 400;
	*old = is(version, "HTTP/1.0");
	if (version.at[5] != '1')
		return 505;
	out->head = is(method, "HEAD");
	if (!is(path_of(target), "/metrics"))
		return 404;
	return out->head || is(method, "GET") ? 200 : 405;
}

/* Of this machine alone: 127.x.x.x, ::1 or localhost, with or without a port. */
static bool is_loopback(struct part host)
{
	static const char *const names[] = { "localhost", "[::1]" };
	for (unsigned i = 0; i < 2; i++) {
		const size_t n = strlen(names[i]);
		if (begins(host, names[i]) && (host.len == n || host.at[n] == ':'))
			return true;
	}
	if (!begins(host, "127."))
		return false;
	for (size_t i = 4; i < host.len && host.at[i] != ':'; i++)
		if (host.at[i] != '.' && (host.at[i] < '0' || host.at[i] > '9'))
			return false;
	return true;
}

/* The weight of a media range in thousandths (RFC 9110, 12.4.2); 1000 where it says none. */
static unsigned weight(struct part params)
{
	while (params.len) {
		struct part p = trim(cut(&params, ';'));
		if (!begins(p, "q="))
			continue;
		unsigned value = 0, unit = 1000;
		for (size_t i = 2; i < p.len && unit; i++) {
			if (p.at[i] == '.')
				continue;
			if (p.at[i] < '0' || p.at[i] > '9')
				break;
			value += unit * (unsigned)(p.at[i] - '0');
			unit /= 10;
		}
		return value < 1000 ? value : 1000;
	}
	return 1000;
}

/* The older format only for who wants it more than OpenMetrics. */
static enum metrics_format format_for(struct part accept)
{
	unsigned open = 0, text = 0;
	while (accept.len) {
		struct part range = trim(cut(&accept, ','));
		const struct part type = trim(cut(&range, ';'));
		const unsigned q = weight(range);
		if (begins(type, "application/openmetrics-text") && q > open)
			open = q;
		if (begins(type, "text/plain") && q > text)
			text = q;
	}
	return text > open ? METRICS_TEXT : METRICS_OPEN;
}

static unsigned headers(struct part head, bool loopback, bool old, struct http_request *out)
{
	unsigned hosts = 0;
	bool here = true;
	while (head.len) {
		struct part line = next_line(&head);
		if (!line.len)
			break;
		if (!clean(line))
			return 400;
		const struct part name = cut(&line, ':');
		const struct part value = trim(line);
		/* a line that goes on is obsolete, and a name has no blanks (RFC 9112, 5) */
		if (!name.len || memchr(name.at, ' ', name.len) ||
			memchr(name.at, '\t', name.len) || name.at[name.len] != ':')
			return 400;
		if (name.len == 4 && begins(name, "host")) {
			hosts++;
			here = is_loopback(value);
		} else if (name.len == 6 && begins(name, "accept")) {
			out->format = format_for(value);
		}
	}
	if (hosts > 1 || (!hosts && !old)) /* RFC 9112, 3.2 */
		return 400;
	return loopback && !here ? 403 : out->status;
}

bool http_parse(const char *data, size_t len, bool loopback, struct http_request *out)
{
	const size_t looked = len < HTTP_REQUEST_MAX ? len : HTTP_REQUEST_MAX;
	const size_t end = head_length(data, looked);
	struct part head = { data, end };
	bool old = false;
	if (!end && len < HTTP_REQUEST_MAX)
		return false;
	*out = (struct http_request){ .format = METRICS_OPEN };
	if (!end) {
		out->status = memchr(data, '\n', looked) ? 431 : 414;
		return true;
	}
	const struct part line = next_line(&head);
	out->status = clean(line) ? request_line(line, out, &old) : 400;
	const unsigned status = headers(head, loopback, old, out);
	if (out->status != 400 && out->status != 505)
		out->status = status;
	return true;
}

static const struct {
	unsigned status;
	const char *name;
	const char *sentence;
} answers[] = {
	{ 200, "OK", "" },
	{ 400, "Bad Request", "This is no HTTP request.\n" },
	{ 403, "Forbidden", "Ask for this machine's loopback, 127.0.0.1 or localhost.\n" },
	{ 404, "Not Found", "The metrics are at /metrics.\n" },
	{ 405, "Method Not Allowed", "There is only GET and HEAD.\n" },
	{ 414, "URI Too Long", "The target is too long; the metrics are at /metrics.\n" },
	{ 431, "Request Header Fields Too Large", "The headers are too long.\n" },
	{ 503, "Service Unavailable", "fethd does not answer.\n" },
	{ 505, "HTTP Version Not Supported", "HTTP/1.0 and HTTP/1.1 are spoken here.\n" },
};

static unsigned answer_of(unsigned status)
{
	unsigned i = 0;
	while (answers[i].status != status && i + 1 < sizeof(answers) / sizeof(answers[0]))
		i++;
	return i;
}

const char *http_sentence(unsigned status)
{
	return answers[answer_of(status)].sentence;
}

size_t http_head(unsigned status, const char *type, size_t length, char out[HTTP_HEAD_MAX])
{
	const int n = snprintf(out, HTTP_HEAD_MAX,
		"HTTP/1.1 %u %s\r\n"
		"Content-Type: %s\r\n"
		"Content-Length: %zu\r\n"
		"%s"
		"Cache-Control: no-store\r\n"
		"Connection: close\r\n"
		"\r\n",
		status, answers[answer_of(status)].name, type, length,
		status == 405 ? "Allow: GET, HEAD\r\n" : "");
	return (size_t)n;
}
