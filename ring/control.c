/* SPDX-License-Identifier: MIT */
#include "ring/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/read.h"
#include "ring/raw.h"

#define DIRECTORY   "all.ctl"
#define SERVICE	    "service."
#define SUFFIX	    ".ctl"
#define HALF	    ".new"
#define SERVICE_MAX 63 /* what the header of a ring has room for */

_Static_assert(sizeof(((struct gcpreload_header *)0)->service_name) == SERVICE_MAX + 1, "service");

static bool control_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

static char control_digit(unsigned n)
{
	return "0123456789ABCDEF"[n & 15];
}

static int control_digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What may not stand in a file's name, or could be mistaken, is written as in a URL. */
void gcpreload_control_name(char name[GCPRELOAD_CONTROL_NAME], const char *service)
{
	char *to = name + sizeof SERVICE - 1;
	size_t i;

	if (!service) {
		memcpy(name, DIRECTORY, sizeof DIRECTORY);
		return;
	}
	memcpy(name, SERVICE, sizeof SERVICE - 1);
	for (i = 0; i < SERVICE_MAX && service[i]; i++) {
		unsigned char c = (unsigned char)service[i];

		if (control_plain(service[i])) {
			*to++ = service[i];
			continue;
		}
		*to++ = '%';
		*to++ = control_digit(c >> 4);
		*to++ = control_digit(c);
	}
	memcpy(to, SUFFIX, sizeof SUFFIX);
}

void gcpreload_control_process(char name[GCPRELOAD_CONTROL_NAME], int32_t pid, uint64_t start_time)
{
	snprintf(name, GCPRELOAD_CONTROL_NAME, "%d.%llu" SUFFIX, pid,
		 (unsigned long long)start_time);
}

/* Returns where the next byte stands, or NULL. */
static const char *control_decode(const char *from, char *to)
{
	int high, low;

	if (*from != '%') {
		*to = *from;
		return control_plain(*from) ? from + 1 : NULL;
	}
	high = control_digit_value(from[1]);
	low = high < 0 ? -1 : control_digit_value(from[2]);
	if (low < 0 || !(high | low))
		return NULL;
	*to = (char)(high << 4 | low);
	return from + 3;
}

bool gcpreload_control_whose(const char *name, char service[64])
{
	size_t length = strlen(name), n = 0;
	const char *end = name + length - (sizeof SUFFIX - 1);

	service[0] = '\0';
	if (strcmp(name, DIRECTORY) == 0)
		return true;
	if (length < sizeof SERVICE - 1 + sizeof SUFFIX - 1 || strcmp(end, SUFFIX) != 0 ||
	    strncmp(name, SERVICE, sizeof SERVICE - 1) != 0)
		return false;
	for (name += sizeof SERVICE - 1; name && name < end; n++) {
		if (n == SERVICE_MAX)
			return false;
		name = control_decode(name, &service[n]);
	}
	service[n] = '\0';
	return name == end && n;
}

bool gcpreload_control_half(const char *name)
{
	char whole[GCPRELOAD_CONTROL_NAME], service[64];
	size_t length = strlen(name);

	if (*name != '.' || length < sizeof HALF || length >= sizeof whole ||
	    strcmp(name + length - (sizeof HALF - 1), HALF) != 0)
		return false;
	memcpy(whole, name + 1, length - sizeof HALF);
	whole[length - sizeof HALF] = '\0';
	return gcpreload_control_whose(whole, service);
}

/* "gcpreload-control 1 SERIAL VERB\n" */
static bool control_parse_text(char *text, struct gcpreload_control *control)
{
	const size_t prefix = sizeof GCPRELOAD_CONTROL_MAGIC - 1;
	char *end = strchr(text, '\n'), *verb;

	if (!end || end[1] || strncmp(text, GCPRELOAD_CONTROL_MAGIC, prefix) != 0)
		return false;
	*end = '\0';
	control->serial = strtoull(text + prefix, &verb, 10);
	if (!control->serial || *verb != ' ' || strlen(verb + 1) >= sizeof control->verb)
		return false;
	memcpy(control->verb, verb + 1, strlen(verb + 1) + 1);
	return true;
}

/* Returns the length. */
static int control_read_text(int fd, uid_t owner, char *text, size_t size, const char **why)
{
	struct stat st;
	ssize_t n;

	if (ring_stat_fd(fd, &st) < 0)
		return ring_bad(why, errno, "it cannot be read");
	if (!S_ISREG(st.st_mode) || (st.st_uid != owner && st.st_uid != 0))
		return ring_bad(why, EPERM, "it is not a file of this user or of root");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ring_bad(why, EPERM, "others may write to it");
	if (st.st_size >= (off_t)size)
		return ring_bad(why, EFBIG, "it is too long");
	n = gcpreload_read(fd, text, size - 1);
	if (n < 0)
		return ring_bad(why, errno, "it cannot be read");
	text[n] = '\0';
	return (int)n;
}

int gcpreload_control_read(int dir, const char *name, uid_t owner,
			   struct gcpreload_control *control, const char **why)
{
	char text[GCPRELOAD_CONTROL_SIZE + 1];
	int fd, ret;

	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? ring_bad(why, ELOOP, "it is a symbolic link") : 0;
	ret = control_read_text(fd, owner, text, sizeof text, why);
	close(fd);
	if (ret <= 0)
		return ret;
	return control_parse_text(text, control)
		   ? 1
		   : ring_bad(why, EINVAL, "not a command of gcpreload");
}
