/* tool.c - see tool.h. */
#include "server/priv/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char usual[] = "/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/sbin:"
			    "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin";

static bool in_directories(const char *list, const char *name, char out[PATH_MAX])
{
	while (list && *list) {
		const size_t len = strcspn(list, ":");
		if (*list == '/' && len + strlen(name) + 2 <= PATH_MAX) {
			snprintf(out, PATH_MAX, "%.*s/%s", (int)len, list, name);
			if (!access(out, X_OK))
				return true;
		}
		list += len + (list[len] == ':');
	}
	return false;
}

int tool_find(const char *name, char out[PATH_MAX])
{
	const char *tools = getenv("FETHD_TOOLS");
	if (tools)
		return in_directories(tools, name, out) ? 0 : -ENOENT;
	return in_directories(getenv("PATH"), name, out) || in_directories(usual, name, out)
		       ? 0
		       : -ENOENT;
}

bool tool_user(const char *name, char group[TOOL_GROUP])
{
	const struct passwd *user = getpwnam(name);
	const struct group *first = user ? getgrgid(user->pw_gid) : NULL;
	if (!first || strlen(first->gr_name) >= TOOL_GROUP)
		return false;
	memcpy(group, first->gr_name, strlen(first->gr_name) + 1);
	return true;
}

int tool_spawn(pid_t *out, const char *program, char *const argv[], const int fds[3])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults, none;
	short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
#ifdef POSIX_SPAWN_CLOEXEC_DEFAULT /* Darwin: nothing but what is given here is inherited */
	flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
	sigemptyset(&none);
	sigfillset(&defaults);
	int rc = posix_spawn_file_actions_init(&actions);
	if (rc)
		return -rc;
	rc = posix_spawnattr_init(&attr);
	if (rc)
		goto actions;
	posix_spawnattr_setflags(&attr, flags);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	for (int fd = 0; fd < 3 && !rc; fd++)
		rc = fds[fd] >= 0 ? posix_spawn_file_actions_adddup2(&actions, fds[fd], fd)
				  : posix_spawn_file_actions_addopen(
					    &actions, fd, "/dev/null", O_RDWR, 0);
	if (!rc)
		rc = posix_spawn(out, program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
actions:
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

#ifdef CLOCK_UPTIME_RAW
#define CLOCK_AWAKE CLOCK_UPTIME_RAW /* Darwin, whose CLOCK_MONOTONIC goes on in a sleep */
#else
#define CLOCK_AWAKE CLOCK_MONOTONIC
#endif

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_AWAKE, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads to the end of it, or to the @end of the time. */
static bool hear(int fd, int64_t end, char *said, size_t size)
{
	size_t have = 0;
	bool ended = false;
	while (!ended) {
		char text[1024];
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const int64_t left = end - now_ms();
		const int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (ready == 0)
			break;
		if (ready < 0) /* a signal: there may be nothing to read yet */
			continue;
		const ssize_t n = read(fd, text, sizeof(text));
		if (n < 0 && errno == EINTR)
			continue;
		ended = n <= 0;
		for (ssize_t i = 0; i < n && have + 1 < size; i++)
			said[have++] = text[i];
	}
	if (size)
		said[have] = '\0';
	return ended;
}

/* Who has closed his outputs has not ended yet, though nearly always he is about to. */
static bool reap(pid_t pid, int64_t end, int *status)
{
	pid_t got;
	while ((got = waitpid(pid, status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (now_ms() >= end)
			return false;
		(void)poll(NULL, 0, 1);
	}
	return true;
}

static int pipe_cloexec(int fds[2])
{
	if (pipe(fds) < 0)
		return -errno;
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	return 0;
}

static int start(pid_t *pid, const char *const argv[], const char *input, int *said_fd)
{
	int in[2], said[2];
	int rc = pipe_cloexec(in);
	if (rc < 0)
		return rc;
	rc = pipe_cloexec(said);
	if (rc < 0) {
		close(in[0]);
		close(in[1]);
		return rc;
	}
	const size_t len = input ? strlen(input) : 0;
	if (len && write(in[1], input, len) != (ssize_t)len)
		rc = -EIO;
	close(in[1]);
	if (!rc)
		rc = tool_spawn(pid, argv[0], (char *const *)(uintptr_t)argv,
			(const int[]){ in[0], said[1], said[1] });
	close(in[0]);
	close(said[1]);
	if (rc < 0)
		close(said[0]);
	else
		*said_fd = said[0];
	return rc;
}

int tool_run(const char *const argv[], const char *input, char *said, size_t size, struct err *err)
{
	pid_t pid = 0;
	int fd = -1, status = 0;
	const int rc = start(&pid, argv, input, &fd);
	if (rc < 0)
		return err_set(err, rc, "cannot run %s: %s", argv[0], strerror(-rc));
	const int64_t end = now_ms() + TOOL_MS;
	const bool ended = hear(fd, end, said, size) && reap(pid, end, &status);
	close(fd);
	if (!ended) {
		kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (!ended)
		return err_set(
			err, -ETIMEDOUT, "%s did not end within %d s", argv[0], TOOL_MS / 1000);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, -EIO, "%s refused: %.*s", argv[0], (int)strcspn(said, "\n"),
			*said ? said : "it said nothing");
	return 0;
}
