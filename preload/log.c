/* SPDX-License-Identifier: MIT */
#include "preload/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/shared.h"
#include "preload/log_json.h"
#include "preload/real.h"

#define LINE_MAX_BYTES 1024

_Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line is written whole or not at all");
_Static_assert(LOG_JSON_BYTES <= PIPE_BUF, "a line is written whole or not at all");

/* Written when the settings are read; read by any thread that has something to say. */
static enum gcpreload_log_level threshold = GCPRELOAD_LOG_WARNING;
static enum gcpreload_log_format log_format;
static const char *file, *log_service;

/* Written before, and not changed any more. */
static struct {
	bool known;
	dev_t dev;
	ino_t ino;
} stderr_was;

static const char *log_text(const char *text)
{
	return text && *text ? text : NULL;
}

void log_configure(const struct log_style *style)
{
	store_relaxed(&threshold, style->level);
	store_relaxed(&log_format, style->format);
	store_release(&log_service, log_text(style->service));
	store_release(&file, log_text(style->path));
}

void log_note_service(const char *name)
{
	store_release(&log_service, log_text(name));
}

/* fstat() is a symbol only since glibc 2.33. */
static bool log_look_at(int fd, struct stat *st)
{
	return syscall(SYS_fstat, fd, st) == 0;
}

/* Where more text harms nobody, whoever opened it. */
static bool log_takes_lines(int fd, const struct stat *st)
{
	return S_ISFIFO(st->st_mode) || (S_ISCHR(st->st_mode) && isatty(fd)) ||
	       (S_ISREG(st->st_mode) && fcntl(fd, F_GETFL) & O_APPEND);
}

void log_note_stderr(bool late)
{
	struct stat st = { 0 };

	stderr_was.known =
	    log_look_at(STDERR_FILENO, &st) && (!late || log_takes_lines(STDERR_FILENO, &st));
	stderr_was.dev = st.st_dev;
	stderr_was.ino = st.st_ino;
}

/* A daemon closes it, and the next file that it opens may be its database. */
static bool log_has_stderr(void)
{
	struct stat st;

	return stderr_was.known && log_look_at(STDERR_FILENO, &st) && st.st_dev == stderr_was.dev &&
	       st.st_ino == stderr_was.ino;
}

static void log_write(const char *line, size_t length)
{
	const char *path = load_acquire(&file);
	int fd = !path && log_has_stderr() ? STDERR_FILENO : -1;
	struct pollfd ready;

	/* Opened each time: servers close descriptors that they do not know. */
	if (path)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
			  0644);
	ready = (struct pollfd){ .fd = fd, .events = POLLOUT };
	/* SIGPIPE is the program's business: POLLERR and POLLHUP say that nobody reads. */
	if (fd < 0 || REAL(poll)(&ready, 1, 0) != 1 || ready.revents != POLLOUT ||
	    write(fd, line, length) != (ssize_t)length)
		add_relaxed(&gcpreload_log_dropped, 1);
	if (path && fd >= 0)
		close(fd);
}

__attribute__((format(printf, 1, 0))) static void log_line_of_text(const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	int i, n;

	n = snprintf(line, sizeof line, "gcpreload[%ld]: ", (long)syscall(SYS_getpid));
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	if (n > LINE_MAX_BYTES - 2)
		n = LINE_MAX_BYTES - 2;
	for (i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?'; /* a value is shown; it may not write to a terminal */
	line[n++] = '\n';
	log_write(line, (size_t)n);
}

__attribute__((format(printf, 2, 0))) static void log_line_of_json(const struct log_json *what,
								   const char *format, va_list args)
{
	char line[LOG_JSON_BYTES], sentence[LINE_MAX_BYTES];

	vsnprintf(sentence, sizeof sentence, format, args);
	log_write(line, log_json_line(line, what, sentence));
}

__attribute__((format(printf, 2, 0))) static void log_line(const struct log_json *what,
							   const char *format, va_list args)
{
	int saved_errno = errno;

	if (what->level > load_relaxed(&threshold))
		return;
	if (load_relaxed(&log_format) == GCPRELOAD_LOG_JSON)
		log_line_of_json(what, format, args);
	else
		log_line_of_text(format, args);
	errno = saved_errno;
}

void log_say_record(enum gcpreload_log_level level, const struct gcpreload_log_field *fields,
		    size_t n, const char *format, ...)
{
	const struct log_json what = { level, load_acquire(&log_service), fields, n };
	va_list args;

	va_start(args, format);
	log_line(&what, format, args);
	va_end(args);
}

void log_say(enum gcpreload_log_level level, const char *format, ...)
{
	const struct log_json what = { level, load_acquire(&log_service), NULL, 0 };
	va_list args;

	va_start(args, format);
	log_line(&what, format, args);
	va_end(args);
}
