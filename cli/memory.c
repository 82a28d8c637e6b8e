/* SPDX-License-Identifier: MIT */
#include "cli/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/text.h"

void *memory_need(void *pointer)
{
	if (!pointer) {
		text_complain("out of memory; stop other programs or raise the memory limit");
		exit(EXIT_NO);
	}
	return pointer;
}

char *format_text(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return memory_need(n < 0 ? NULL : text);
}
