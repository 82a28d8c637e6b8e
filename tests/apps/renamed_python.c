/* SPDX-License-Identifier: MIT */
/*
 * A plugin for late_host.c, and with -DPYTHON what it is linked with: something that has
 * Py_InitializeEx, and is not called libpython.
 */
#include <stdio.h>

void Py_InitializeEx(int);

#ifdef PYTHON
void Py_InitializeEx(int signals)
{
	printf("initialized %d\n", signals);
}
#else
int start(const char *script, int times);

int start(const char *script, int times)
{
	(void)script;
	(void)times;
	Py_InitializeEx(1);
	return 0;
}
#endif
