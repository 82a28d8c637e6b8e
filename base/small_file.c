/* SPDX-License-Identifier: MIT */
#include "base/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/read.h"

ssize_t small_file_read_and_close(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n = 0;

	text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (length < size - 1) {
		n = gcpreload_read(fd, text + length, size - 1 - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)length;
	close(fd);
	text[length] = '\0';
	return n;
}

ssize_t small_file_read(const char *path, char *text, size_t size)
{
	return small_file_read_and_close(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
					 text, size);
}
