/* netfile.h - networks.d/NAME.conf: a file that declares a network, and the call of network.apply
 * that it stands for.
 *
 * A file has a section [network], and may have [defaults] and sections [port NAME]; keys.h has
 * their keys. What it says is written down as a request of network.apply and judged by that
 * method's own parser, so a field that the method takes is a key of files by one line in a table,
 * and two files say the same if their requests are the same bytes. Pure. */
#ifndef SERVER_CONF_NETFILE_H
#define SERVER_CONF_NETFILE_H

#include "server/conf/faults.h"
#include "server/core/command.h"

#define NETFILE_BYTES 65536u /* of a file: as much as a call has, which it becomes */

struct netfile;

/**
 * netfile_read() - what a file declares
 * @name:	the network's, from the file's name
 * @file:	as faults name it
 * @text:	@len bytes, whatever they are
 * @faults:	what is wrong is added
 *
 * Return: owned, or NULL where there were faults
 */
struct netfile *netfile_read(
	const char *name, const char *file, const char *text, size_t len, struct faults *faults);
void netfile_free(struct netfile *nf);

const char *netfile_name(const struct netfile *nf);
const char *netfile_path(const struct netfile *nf);                  /* as it was given */
bool netfile_same(const struct netfile *a, const struct netfile *b); /* declare the same */

/* A command of network.apply, as the file has it; NULL: out of memory. */
struct command *netfile_command(const struct netfile *nf);

/* The line that a sentence about the declared network is about: of the field it begins with, else
 * of its section. */
unsigned netfile_line(const struct netfile *nf, const char *sentence);

/**
 * netfile_write() - the text of a file that declares what is
 * @now:	the network
 * @standard:	what it would be if nothing were said of it
 * @ports:	the declared ports, @n of them; those @standard_ports, likewise
 *
 * Only what differs from the standard is written, and what keys.h pins.
 *
 * Return: owned text of at most NETFILE_BYTES; NULL and @err
 */
char *netfile_write(const struct network_facts *now, const struct network_facts *standard,
	const struct port_info *ports, const struct port_info *standard_ports, unsigned n,
	struct err *err);

#endif
