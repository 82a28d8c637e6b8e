/* SPDX-License-Identifier: MIT */
#include "cli/doctor/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/environment.h"
#include "rules/recipe.h"

#define TIMEOUT_MS 10000
#define MARK	   "gcpreload-probe "

/* For Python 2 and 3, PyPy and CPython. Only built-in modules, so nothing is read from disk. What
 * of its collector cannot be asked is as in all that are known. */
static const char script[] =
    "import sys, gc\n"
    "t, n, c = (0, 0, 10), 3, 64\n"
    "try:\n"
    "    t, n, c = gc.get_threshold(), len(gc.get_stats()), -gc.get_count()[0]\n"
    "    made = [[] for _ in range(64)]\n"
    "    c += gc.get_count()[0]\n"
    "except Exception:\n"
    "    pass\n"
    "print('" MARK "%s %d.%d.%d %d %d %d %d %d %d' % ((getattr(getattr(sys, 'implementation', "
    "None), 'name', 'cpython'),) + tuple(sys.version_info[:3]) + (int('t' in getattr(sys, "
    "'abiflags', '')), int(b'libgcpreload' in open('/proc/self/maps', 'rb').read()), "
    "len(getattr(gc, 'callbacks', ())), t[2], n, c)))\n";

/* They are about the command, and were looked at there. This one is to attach, and to leave
 * nothing. */
static void clear_settings(void)
{
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		environment_set(&settings_rows[i], NULL);
	environment_set(&settings_rows[SETTINGS_CONF], "");
	environment_set(&settings_rows[SETTINGS_MODE], "observe");
	environment_set(&settings_rows[SETTINGS_RING], "off");
}

static void become_python(const char *python, int out)
{
	/* No user's or site's code, and no file written: -E -s -S -B. */
	char *argv[] = { (char *)python, (char *)"-EsSB", (char *)"-c", (char *)script, NULL };
	int null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	signal(SIGPIPE, SIG_DFL);
	clear_settings();
	execv(python, argv);
	dprintf(2, "%s\n", strerror(errno));
	_exit(127);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* Reads until the end, or until the time is over. Returns whether the end came. */
static bool probe_read(int fd, char *text, size_t size)
{
	int64_t end = now_ms() + TIMEOUT_MS, left;
	struct pollfd p = { fd, POLLIN, 0 };
	size_t length = 0;
	char waste[512];
	ssize_t n;

	text[0] = '\0';
	while ((left = end - now_ms()) > 0) {
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		if (length < size - 1)
			n = read(fd, text + length, size - 1 - length);
		else
			n = read(fd, waste, sizeof waste);
		if (n <= 0)
			return true;
		if (length < size - 1)
			length += (size_t)n;
		text[length] = '\0';
	}
	return false;
}

/* Runs it; *status is its exit status as of waitpid(2). Returns 0, -ETIMEDOUT or -errno. */
static int run_python(const char *python, char *text, size_t size, int *status)
{
	int fds[2];
	pid_t pid;
	bool ended;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		become_python(python, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -errno;
	}
	ended = probe_read(fds[0], text, size);
	close(fds[0]);
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return ended ? 0 : -ETIMEDOUT;
}

/* The first line that is not ours, for a message. */
static const char *first_line(char *text)
{
	text += strspn(text, "\n");
	text[strcspn(text, "\n")] = '\0';
	return *text ? text : "it said nothing";
}

static void say_failure(const char *python, int ret, int status, char *text,
			struct findings *findings)
{
	if (ret == -ETIMEDOUT)
		findings_add(findings, FINDING_BAD,
			     "%s: did not answer in %d s; run it by hand: %s -c pass", python,
			     TIMEOUT_MS / 1000, python);
	else if (ret < 0)
		findings_add(findings, FINDING_BAD, "%s: cannot be started: %s; try again", python,
			     strerror(-ret));
	else if (WIFSIGNALED(status))
		findings_add(
		    findings, FINDING_BAD,
		    "%s: ended by signal %d under the library: %s; run it without, and if that "
		    "works, report it",
		    python, WTERMSIG(status), first_line(text));
	else
		findings_add(findings, FINDING_BAD, "%s: did not answer (exit status %d): %s",
			     python, WEXITSTATUS(status), first_line(text));
}

void probe_python(struct probe *probe, const char *python, struct findings *findings)
{
	char text[4096], *at, *refused;
	int status = 0, threaded = 0, loaded = 0, callbacks = 0, generations, counted;
	struct recipe_shown shown = { .generations = 0 };
	int ret = run_python(python, text, sizeof text, &status);

	memset(probe, 0, sizeof *probe);
	refused = strstr(text, "ERROR: ld.so: object '");
	if (ret == 0 && refused && strstr(text, "libgcpreload"))
		findings_add(findings, FINDING_BAD, "ld.so refused the library: %.*s",
			     (int)strcspn(refused, "\n"), refused);
	at = ret == 0 ? strstr(text, MARK) : NULL;
	if (!at ||
	    sscanf(at, MARK "%31s %31s %d %d %d %d %d %d", probe->name, probe->text, &threaded,
		   &loaded, &callbacks, &shown.thresholds[2], &generations, &counted) != 8) {
		probe->name[0] = '\0';
		say_failure(python, ret, status, text, findings);
		return;
	}
	pyversion_parse(&probe->version, probe->text);
	probe->version.free_threaded = threaded;
	shown.generations = generations;
	shown.counted = counted;
	recipe_recognise(&probe->version, &shown);
	probe->loaded = loaded;
	probe->attached = callbacks > 0;
}
