/* sigpipe.c - see sigpipe.h. */
#include "clients/ctl/sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static struct {
	int fds[2];
	int signals[SIGPIPE_MAX];
	struct sigaction was[SIGPIPE_MAX];
	size_t n;
} sp = { .fds = { -1, -1 } };

static void on_signal(int signum)
{
	const int saved = errno;
	const unsigned char byte = (unsigned char)signum;
	(void)!write(sp.fds[1], &byte, 1); /* full: as much is known already */
	errno = saved;
}

int sigpipe_open(const int *signals, size_t n, bool interrupt)
{
	struct sigaction sa = { .sa_flags = interrupt ? 0 : SA_RESTART };
	sa.sa_handler = on_signal;
	sigemptyset(&sa.sa_mask);
	if (n > SIGPIPE_MAX)
		return -EINVAL;
	if (pipe(sp.fds) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		fcntl(sp.fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(sp.fds[i], F_SETFL, O_NONBLOCK);
	}
	for (; sp.n < n; sp.n++) {
		sp.signals[sp.n] = signals[sp.n];
		sigaction(signals[sp.n], &sa, &sp.was[sp.n]);
	}
	return 0;
}

void sigpipe_close(void)
{
	while (sp.n) {
		sp.n--;
		sigaction(sp.signals[sp.n], &sp.was[sp.n], NULL);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (sp.fds[i] >= 0)
			close(sp.fds[i]);
		sp.fds[i] = -1;
	}
}

int sigpipe_fd(void)
{
	return sp.fds[0];
}

int sigpipe_next(void)
{
	unsigned char byte;
	return read(sp.fds[0], &byte, 1) == 1 ? byte : 0;
}
