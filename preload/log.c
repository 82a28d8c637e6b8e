/* SPDX-License-Identifier: MIT */
#include "preload/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/real.h"

#define LINE_MAX_BYTES 1024

_Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line is written whole or not at all");

static enum gcpreload_log_level threshold = GCPRELOAD_LOG_WARNING;
static const char *file;
static uint64_t dropped;

void log_configure(enum gcpreload_log_level level, const char *path)
{
	__atomic_store_n(&threshold, level, __ATOMIC_RELAXED);
	__atomic_store_n(&file, path && *path ? path : NULL, __ATOMIC_RELEASE);
}

uint64_t log_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

static void write_line(const char *line, size_t length)
{
	const char *path = __atomic_load_n(&file, __ATOMIC_ACQUIRE);
	int fd = STDERR_FILENO;
	struct pollfd ready;

	/* Opened each time: servers close descriptors that they do not know. */
	if (path)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
			  0644);
	ready = (struct pollfd){ .fd = fd, .events = POLLOUT };
	/* SIGPIPE is the program's business: POLLERR and POLLHUP say that nobody reads. */
	if (fd < 0 || REAL(poll)(&ready, 1, 0) != 1 || ready.revents != POLLOUT ||
	    write(fd, line, length) != (ssize_t)length)
		__atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
	if (path && fd >= 0)
		close(fd);
}

void log_say(enum gcpreload_log_level level, const char *format, ...)
{
	int saved_errno = errno, i, n;
	char line[LINE_MAX_BYTES];
	va_list args;

	if (level > __atomic_load_n(&threshold, __ATOMIC_RELAXED))
		return;
	n = snprintf(line, sizeof line, "gcpreload[%ld]: ", (long)syscall(SYS_getpid));
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	if (n > LINE_MAX_BYTES - 2)
		n = LINE_MAX_BYTES - 2;
	for (i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?'; /* a value is shown; it may not write to a terminal */
	line[n++] = '\n';
	write_line(line, (size_t)n);
	errno = saved_errno;
}
