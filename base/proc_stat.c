/* SPDX-License-Identifier: MIT */
#include "base/proc_stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/small_file.h"

#define STATE	   3
#define USER_TIME  14
#define START_TIME 22

/* Field 2 is the command in parentheses and may hold any byte, so count from its end. */
int proc_stat_read(const char *path, struct proc_stat *stat)
{
	char text[1024];
	const char *at;
	ssize_t n = small_file_read(path, text, sizeof text);
	int field;

	memset(stat, 0, sizeof *stat);
	if (n < 0)
		return (int)n;
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || !at[2])
		return -EBADMSG;
	stat->state = at[2];
	stat->parent = (pid_t)strtol(at + 3, NULL, 10);
	for (field = STATE - 1; at && field < START_TIME; field++) {
		at = strchr(at + 1, ' ');
		/* User and system time stand side by side. */
		if (at && (field == USER_TIME - 1 || field == USER_TIME))
			stat->cpu_ticks += strtoull(at + 1, NULL, 10);
	}
	stat->start_time = at ? strtoull(at + 1, NULL, 10) : 0;
	return 0;
}
