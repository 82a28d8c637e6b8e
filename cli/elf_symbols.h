/* SPDX-License-Identifier: MIT */
/* Where an ELF file of this machine's kind has its symbols. The file may be hostile. */
#ifndef GCPRELOAD_CLI_ELF_SYMBOLS_H
#define GCPRELOAD_CLI_ELF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct elf_symbol {
	const char *name;
	uint64_t value; /* 0: not found, or not defined in this file */
	uint64_t size;
};

/* Fills what .dynsym has, and what only .symtab has. *bias is what an address in the file is more
 * than its offset, at the file's beginning. Returns 0, -ENOEXEC for what is not such a file, or
 * -errno. */
int elf_symbols_find(int fd, struct elf_symbol *wanted, size_t n, uint64_t *bias);

#endif
