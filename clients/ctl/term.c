/* term.c - see term.h. */
#include "clients/ctl/term.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "clients/ctl/sigpipe.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* xterm's, and that of all who follow it: the alternate screen, the cursor, wrapping off. */
static const char begin[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
static const char end[] = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

static const int heard[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGCONT, SIGTSTP };
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

static struct {
	volatile sig_atomic_t open;
	struct termios before;
	struct sigaction was[COUNT(faults)];
	bool caught; /* the faults */
} term;

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

/* A fault of ours: the terminal first, then what the signal does by itself. */
static void on_fault(int signum)
{
	restore();
	for (unsigned i = 0; i < COUNT(faults); i++)
		if (faults[i] == signum)
			sigaction(signum, &term.was[i], NULL);
	raise(signum); /* taken when this returns */
}

int term_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	if (tcgetattr(STDIN_FILENO, &term.before) < 0)
		return -errno;
	const int rc = sigpipe_open(heard, COUNT(heard), false);
	if (rc < 0)
		return rc;
	struct sigaction sa = { .sa_flags = 0 };
	sa.sa_handler = on_fault;
	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < COUNT(faults); i++)
		sigaction(faults[i], &sa, &term.was[i]);
	term.caught = true;
	atexit(restore);
	enter();
	return 0;
}

void term_close(void)
{
	restore();
	sigpipe_close();
	for (unsigned i = 0; term.caught && i < COUNT(faults); i++)
		sigaction(faults[i], &term.was[i], NULL);
	term.caught = false;
}

int term_fd(void)
{
	return sigpipe_fd();
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
	int signum;
	bool stopping = false;
	while ((signum = sigpipe_next())) {
		if (signum == SIGTSTP)
			stopping = true;
		else if (signum == SIGWINCH || signum == SIGCONT)
			news.redraw = true;
		else
			news.end = true;
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
