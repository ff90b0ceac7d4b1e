/* fakesysctl_darwin.h - net.link.fake.*: the settings of the whole machine that a feth captures
 * when it is created. */
#ifndef SERVER_HOSTIF_FAKESYSCTL_DARWIN_H
#define SERVER_HOSTIF_FAKESYSCTL_DARWIN_H

#include <stdbool.h>

/* A setting that would damage frames, and what is wrong with it. */
struct fake_fault {
	const char *name; /* "net.link.fake.fcs" */
	int value, wanted;
	const char *harm; /* "would put a checksum behind every frame" */
};

/* 0: all is as it must be; 1: *out says what is not; -DW_E*: *out's name could not be read. */
int fake_check(struct fake_fault *out);

/* The largest MTU of interfaces made from now on. */
struct fake_limit {
	bool raised;
	int was;
};

/* Raises it to 16370, for one create and no longer, since it is everybody's: fake_restore() must
 * follow. Where that cannot be done, interfaces simply capture less. */
void fake_raise(struct fake_limit *out);
void fake_restore(struct fake_limit *limit);

#endif
