/* bench_relay.c - the least a process between two streams can do: read 256 KiB, write it, knowing
 * nothing of frames. What a switch on stream sockets is to be compared with.
 *
 *   bench_relay PATH
 *
 * Listens at PATH, prints "ready"; what the second connection sends goes to the first. Ends with
 * either of them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/ends.h"

static int fail(const char *what)
{
	fprintf(stderr, "bench_relay: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int sndbuf = END_SNDBUF;
	static char buf[END_READ];

	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fputs("usage: bench_relay PATH\n", stderr);
		return 2;
	}
	strcpy(addr.sun_path, argv[1]);
	signal(SIGPIPE, SIG_IGN);
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		listen(listener, 2) < 0)
		return fail(argv[1]);
	puts("ready");
	fflush(stdout);

	const int to = accept(listener, NULL, NULL);
	const int from = accept(listener, NULL, NULL);
	if (to < 0 || from < 0)
		return fail("accept");
	(void)setsockopt(to, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	for (;;) {
		const ssize_t n = read(from, buf, sizeof(buf));
		if (n <= 0)
			return 0;
		for (ssize_t at = 0; at < n;) {
			const ssize_t w = write(to, buf + at, (size_t)(n - at));
			if (w < 0)
				return 0;
			at += w;
		}
	}
}
