/* keeper.c - see keeper.h. */
#include "server/priv/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/priv/sock.h"
#include "server/priv/tool.h"

/* How long a keeper may take to end its server, which it kills. Not one has ever come near it; it
 * is killed itself then. */
#define END_MS 2000

#define ARGS_MAX 16

/* -- fethd's side -- */

int kept_start(struct kept *out, const char *const argv[], struct err *err)
{
	char program[PATH_MAX];
	char *args[ARGS_MAX + 3] = { (char *)(uintptr_t) "fethd", (char *)(uintptr_t)KEEPER_WORD };
	for (unsigned i = 0; argv[i] && i < ARGS_MAX; i++)
		args[i + 2] = (char *)(uintptr_t)argv[i];
	int fds[2] = { -1, -1 };
	int rc = keeper_program(program, sizeof(program));
	if (!rc)
		rc = sock_pair(SOCK_STREAM, fds);
	if (rc < 0)
		return err_set(err, rc, "cannot start %s: %s", argv[0], strerror(-rc));
	rc = tool_spawn(&out->pid, program, args, (const int[]){ fds[1], -1, STDERR_FILENO });
	close(fds[1]);
	if (rc < 0) {
		close(fds[0]);
		return err_set(err, rc, "cannot start %s: %s", argv[0], strerror(-rc));
	}
	out->fd = fds[0];
	return 0;
}

/* Whether the other end is closed, after at most @ms; what is said meanwhile is lost. */
static bool wait_for_end(int fd, int ms)
{
	char said[512];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	for (;;) {
		const ssize_t n = recv(fd, said, sizeof(said), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (n < 0 && poll(&p, 1, ms) == 0)
			return false;
	}
}

bool kept_end(struct kept *kept)
{
	int status = 0;
	shutdown(kept->fd, SHUT_WR);
	if (!wait_for_end(kept->fd, END_MS))
		kill(kept->pid, SIGKILL);
	close(kept->fd);
	while (waitpid(kept->pid, &status, 0) < 0 && errno == EINTR)
		;
	*kept = (struct kept){ .fd = -1 };
	return WIFEXITED(status);
}

/* -- the keeper itself: one thread, and nothing but what it began with -- */

static void on_child(int signum)
{
	(void)signum; /* pselect() returns, which is all it is for */
}

/* In the child: becomes the server. */
static void become(char *argv[], int said)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;
	sigemptyset(&none);
	setpgid(0, 0); /* its children with it */
	for (int s = 1; s < NSIG; s++)
		sigaction(s, &standard, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null, STDIN_FILENO);
	dup2(said, STDERR_FILENO);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* To fethd, or to nobody if it does not read. */
static void say(const char *text, size_t len)
{
	(void)!send(STDIN_FILENO, text, len, MSG_DONTWAIT | SOCK_SEND_FLAGS);
}

/* As much as a pipe holds at most: who never stops talking must not keep us from the end. */
static void pass_on(int said)
{
	char text[1024];
	ssize_t n;
	for (unsigned i = 0; i < 64 && (n = read(said, text, sizeof(text))) > 0; i++)
		say(text, (size_t)n);
}

/* Until the server ended, or fethd did. The child is left unreaped: so its number is nobody
 * else's. */
static void serve(pid_t child, int said, const sigset_t *unblocked)
{
	for (;;) {
		siginfo_t info = { 0 };
		fd_set fds;
		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
			info.si_pid)
			return;
		FD_ZERO(&fds);
		FD_SET(STDIN_FILENO, &fds);
		FD_SET(said, &fds);
		if (pselect(said + 1, &fds, NULL, NULL, NULL, unblocked) < 0)
			continue;
		if (FD_ISSET(said, &fds))
			pass_on(said);
		if (FD_ISSET(STDIN_FILENO, &fds)) /* nothing is ever said there: it is the end */
			return;
	}
}

int keeper_run(char *argv[])
{
	int fds[2];
	sigset_t child_only, before;
	struct sigaction noted = { .sa_handler = on_child };
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child_only);
	sigaddset(&child_only, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_only, &before);
	sigdelset(&before, SIGCHLD);
	sigaction(SIGCHLD, &noted, NULL);
	if (!argv[0] || pipe(fds) < 0)
		return 1;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);

	const pid_t child = fork();
	if (child < 0)
		return 1;
	if (!child)
		become(argv, fds[1]);
	setpgid(child, child); /* whoever of both comes first */
	serve(child, fds[0], &before);

	kill(-child, SIGKILL);
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	pass_on(fds[0]);
	char text[64];
	const int n = WIFSIGNALED(status) ? snprintf(text, sizeof(text), "killed by signal %d\n",
						    WTERMSIG(status))
					  : snprintf(text, sizeof(text), "ended with status %d\n",
						    WEXITSTATUS(status));
	say(text, (size_t)n);
	return 0;
}
