/* capture.h - what `fethctl capture` makes of a monitor's records: a pcap file, lines for people,
 * or lines of JSON. cmd_capture.c has the connection, this the output. */
#ifndef CLIENTS_CTL_CAPTURE_H
#define CLIENTS_CTL_CAPTURE_H

#include <stdbool.h>
#include <stdio.h>

#include <pcap/pcap.h>

#include "feth/client.h"

#define CAPTURE_SNAPLEN_MAX 65549u /* docs/protocol.md, 7 */
#define CAPTURE_PORTS 1025u        /* port numbers whose names are kept */

/* What ports are called, by number; empty: not known. */
struct capture_names {
	char name[CAPTURE_PORTS][FETH_NAME_MAX + 1];
};

enum capture_form { CAPTURE_LINES, CAPTURE_JSON, CAPTURE_PCAP };

struct capture_out {
	enum capture_form form;
	FILE *file;                        /* owned if it is no standard output */
	pcap_dumper_t *dump;               /* CAPTURE_PCAP: `file` by another name */
	const struct capture_names *names; /* borrowed; NULL with CAPTURE_PCAP */
};

/**
 * capture_open() - begin to write
 * @pcap:	for pcap files, with the snaplen and DLT_EN10MB; borrowed for the call
 * @path:	of the file; NULL, or "-" for a pcap file: standard output
 *
 * Return: 0, or a negative errno
 */
int capture_open(struct capture_out *out, enum capture_form form, pcap_t *pcap, const char *path);

/* Writes one record, and all that is buffered. Return: 0, or a negative errno; -EPIPE: the reader
 * has gone. */
int capture_put(struct capture_out *out, const struct feth_record *r);
int capture_flush(struct capture_out *out);
/* The same at last, and closes. */
int capture_close(struct capture_out *out);

#endif
