/* vlantext.h - the VLANs of a port as values of a key: `10`, `native=1,tagged=10,20-29`, `none`. A
 * long trunk goes on in further lines: `tagged=40,50`. Pure. */
#ifndef SERVER_CONF_VLANTEXT_H
#define SERVER_CONF_VLANTEXT_H

#include "protocol/rpc.h"

/* Whether a line is such a value; whether the VLANs are possible is for the method to say. */
bool vlantext_takes(const char *text, const char **why);

/* Writes the field's value from @n lines that vlantext_takes(). */
void vlantext_put(const char *const *lines, unsigned n, struct rpc_out *out);

/* The i-th line of a value; NULL as @value is transparent. False: there are no more. */
bool vlantext_line(const msgpack_object *value, unsigned i, char *out, size_t size);

#endif
