/* frames_darwin.h - the data half of the feth backend: frames through the descriptors that make()
 * returned. Needs no privilege. See hostif.h for what each does. */
#ifndef SERVER_HOSTIF_FRAMES_DARWIN_H
#define SERVER_HOSTIF_FRAMES_DARWIN_H

#include "server/core/hostif.h"

int frames_open(struct hostif **out, const struct hostif_made *made, const struct hostif_spec *spec,
	struct err *err);
void frames_close(struct hostif *hif);
int frames_recv(struct hostif *hif, struct frame *frames, unsigned max, uint8_t *buf, size_t size);
bool frames_more(const struct hostif *hif);
unsigned frames_send(struct hostif *hif, const struct frame *frames, unsigned n);
int frames_fd(const struct hostif *hif);

#endif
