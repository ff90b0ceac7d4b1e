/* http.h - as much of HTTP as a server of one text needs: finds the end of a request and decides
 * what to answer (RFC 9110, 9112). Pure; every byte of a request is hostile.
 *
 * One request a connection: each answer says `Connection: close`, and what follows the request is
 * not looked at. */
#ifndef CLIENTS_CTL_HTTP_H
#define CLIENTS_CTL_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "clients/ctl/metrics.h"

/* Of a request with all its headers. Prometheus sends 300 bytes, a browser 2 KiB. */
#define HTTP_REQUEST_MAX 8192u

struct http_request {
	unsigned status; /* what to answer: 200, 400, 403, 404, 405, 414, 431 or 505 */
	bool head;       /* HEAD: the answer without its body */
	enum metrics_format format;
};

/**
 * http_parse() - look at what has come so far
 * @loopback:	the request came by TCP: its Host must then be this machine's loopback, by number or
 * 		as localhost, for a page in somebody's browser may have pointed a name of its own
 * here
 * @out:	written if the request is there whole, or can be none
 *
 * Return: true: answer, with @out; false: more must come (never with HTTP_REQUEST_MAX bytes)
 */
bool http_parse(const char *data, size_t len, bool loopback, struct http_request *out);

#define HTTP_HEAD_MAX 512u

/* The head of an answer with a body of @length bytes. @type: of the body. Returns its length. */
size_t http_head(unsigned status, const char *type, size_t length, char out[HTTP_HEAD_MAX]);
/* A sentence for who asked for something else. */
const char *http_sentence(unsigned status);

#endif
