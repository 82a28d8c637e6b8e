/* SPDX-License-Identifier: MIT */
/* What an ELF file says of itself, as far as preloading goes. */
#ifndef GCPRELOAD_CLI_DOCTOR_ELF_FILE_H
#define GCPRELOAD_CLI_DOCTOR_ELF_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct elf_file {
	int bits; /* 32 or 64 */
	uint16_t machine;
	char interpreter[256]; /* PT_INTERP; "" in a static program */
	bool needs_python;     /* DT_NEEDED names a libpython */
	bool has_python;       /* CPython is linked into it */
	bool pyinstaller;      /* an archive of PyInstaller's is behind it, Python in that */
};

/* Returns 0, -ENOEXEC for what is not an ELF file (or not one that makes sense), or -errno. Of
 * another machine or class only bits and machine are known. */
int elf_file_read(struct elf_file *elf, const char *path);

/* "x86-64", "aarch64" ... */
const char *elf_file_machine(const struct elf_file *elf);

#endif
