/* term.c - see term.h. */
#include "clients/ctl/term.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* xterm's, and that of all who follow it: the alternate screen, the cursor, wrapping off. */
static const char begin[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
static const char end[] = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
static const int others[] = { SIGWINCH, SIGCONT, SIGTSTP };

static struct {
	volatile sig_atomic_t open;
	struct termios before;
	int pipe[2];
	struct sigaction was[COUNT(ending) + COUNT(faults) + COUNT(others)];
	unsigned n_was;
} term = { .pipe = { -1, -1 } };

/* Only what a signal handler may call. */
static void restore(void)
{
	const int saved = errno;
	if (term.open) {
		term.open = 0;
		(void)!write(STDOUT_FILENO, end, sizeof(end) - 1);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &term.before);
	}
	errno = saved;
}

static void enter(void)
{
	struct termios raw = term.before;
	raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_cc[VMIN] = 1; /* a read of nothing is the end */
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	term.open = 1;
	(void)term_write(begin, sizeof(begin) - 1);
}

static void on_signal(int signum)
{
	const int saved = errno;
	const unsigned char byte = (unsigned char)signum;
	(void)!write(term.pipe[1], &byte, 1); /* full: as much is known already */
	errno = saved;
}

/* A fault of ours: the terminal first, then what the signal does by itself. */
static void on_fault(int signum)
{
	restore();
	for (unsigned i = 0; i < COUNT(faults); i++)
		if (faults[i] == signum)
			sigaction(signum, &term.was[COUNT(ending) + COUNT(others) + i], NULL);
	raise(signum); /* taken when this returns */
}

static void catch (int signum, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_flags = flags };
	sa.sa_handler = handler;
	sigemptyset(&sa.sa_mask);
	sigaction(signum, &sa, &term.was[term.n_was++]);
}

static int open_pipe(void)
{
	if (pipe(term.pipe) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		fcntl(term.pipe[i], F_SETFD, FD_CLOEXEC);
		fcntl(term.pipe[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

int term_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	if (tcgetattr(STDIN_FILENO, &term.before) < 0)
		return -errno;
	const int rc = open_pipe();
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < COUNT(ending); i++)
		catch (ending[i], on_signal, SA_RESTART);
	for (unsigned i = 0; i < COUNT(others); i++)
		catch (others[i], on_signal, SA_RESTART);
	for (unsigned i = 0; i < COUNT(faults); i++)
		catch (faults[i], on_fault, 0);
	atexit(restore);
	enter();
	return 0;
}

void term_close(void)
{
	restore();
	for (unsigned i = 0; i < 2; i++) {
		if (term.pipe[i] >= 0)
			close(term.pipe[i]);
		term.pipe[i] = -1;
	}
	if (!term.n_was)
		return;
	unsigned at = 0;
	for (unsigned i = 0; i < COUNT(ending); i++)
		sigaction(ending[i], &term.was[at++], NULL);
	for (unsigned i = 0; i < COUNT(others); i++)
		sigaction(others[i], &term.was[at++], NULL);
	for (unsigned i = 0; i < COUNT(faults); i++)
		sigaction(faults[i], &term.was[at++], NULL);
	term.n_was = 0;
}

int term_fd(void)
{
	return term.pipe[0];
}

/* Stops as others do at ^Z, the terminal as it was meanwhile. */
static void stop(void)
{
	restore();
	raise(SIGSTOP); /* here until SIGCONT */
	enter();
}

struct term_news term_news(void)
{
	struct term_news news = { 0 };
	unsigned char bytes[64];
	ssize_t n;
	bool stopping = false;
	while ((n = read(term.pipe[0], bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			switch (bytes[i]) {
			case SIGTSTP:
				stopping = true;
				break;
			case SIGWINCH:
			case SIGCONT:
				news.redraw = true;
				break;
			default:
				news.end = true;
				news.signum = bytes[i];
			}
		}
	}
	if (stopping && !news.end) {
		stop();
		news.redraw = true;
	}
	return news;
}

void term_size(unsigned *columns, unsigned *rows)
{
	struct winsize ws = { 0 };
	const bool known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
	*columns = known && ws.ws_col ? ws.ws_col : 80;
	*rows = known && ws.ws_row ? ws.ws_row : 24;
}

bool term_write(const char *data, size_t len)
{
	while (len) {
		const ssize_t n = write(STDOUT_FILENO, data, len);
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			/* somebody who shares the terminal made it so */
			struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
			if (poll(&p, 1, 1000) <= 0)
				return false;
		} else if (n < 0 && errno != EINTR) {
			return false;
		}
	}
	return true;
}
