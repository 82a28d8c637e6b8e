/* SPDX-License-Identifier: MIT */
/* Memory for a program that may simply end when there is none. */
#ifndef GCPRELOAD_CLI_MEMORY_H
#define GCPRELOAD_CLI_MEMORY_H

/* Returns pointer, or ends the program with a message where it is NULL. */
void *memory_need(void *pointer);

/* A new string, as printf's. Never NULL. */
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
