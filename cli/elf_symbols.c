/* SPDX-License-Identifier: MIT */
#include "cli/elf_symbols.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define MOST_SECTIONS 4096
#define MOST_BYTES    (256u << 20) /* of one table */

static int elf_read(int fd, void *buffer, size_t size, uint64_t offset)
{
	ssize_t n;

	if (offset > INT64_MAX)
		return -ENOEXEC;
	n = pread(fd, buffer, size, (off_t)offset);
	if (n < 0)
		return -errno;
	return n == (ssize_t)size ? 0 : -ENOEXEC;
}

/* To be freed; a NUL stands behind it. */
static char *elf_section(int fd, const ElfW(Shdr) * section)
{
	char *bytes;

	if (section->sh_type == SHT_NOBITS || section->sh_size > MOST_BYTES)
		return NULL;
	bytes = memory_need(malloc(section->sh_size + 1));
	bytes[section->sh_size] = '\0';
	if (elf_read(fd, bytes, section->sh_size, section->sh_offset) == 0)
		return bytes;
	free(bytes);
	return NULL;
}

static void elf_take(struct elf_symbol *wanted, size_t n, const char *name, const ElfW(Sym) * s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!wanted[i].value && strcmp(wanted[i].name, name) == 0) {
			wanted[i].value = s->st_value;
			wanted[i].size = s->st_size;
		}
}

static void elf_look_in(int fd, const ElfW(Shdr) * table, const ElfW(Shdr) * names,
			struct elf_symbol *wanted, size_t n)
{
	char *symbols = elf_section(fd, table), *strings = elf_section(fd, names);
	size_t i;
	ElfW(Sym) s;

	for (i = 0; symbols && strings && i < table->sh_size / sizeof s; i++) {
		memcpy(&s, symbols + i * sizeof s, sizeof s);
		if (s.st_shndx != SHN_UNDEF && s.st_value && s.st_name < names->sh_size)
			elf_take(wanted, n, strings + s.st_name, &s);
	}
	free(symbols);
	free(strings);
}

static int elf_begin(int fd, const ElfW(Ehdr) * h, uint64_t *bias)
{
	ElfW(Phdr) p;
	unsigned i;
	int ret;

	for (i = 0; i < h->e_phnum; i++) {
		ret = elf_read(fd, &p, sizeof p, h->e_phoff + i * sizeof p);
		if (ret < 0)
			return ret;
		if (p.p_type == PT_LOAD) {
			*bias = p.p_vaddr - p.p_offset;
			return 0;
		}
	}
	return -ENOEXEC;
}

static bool elf_is_of_this_machine(const ElfW(Ehdr) * h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 &&
	       h->e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) &&
	       h->e_phentsize == sizeof(ElfW(Phdr)) && h->e_shentsize == sizeof(ElfW(Shdr));
}

int elf_symbols_find(int fd, struct elf_symbol *wanted, size_t n, uint64_t *bias)
{
	static const ElfW(Word) types[] = { SHT_DYNSYM, SHT_SYMTAB };
	ElfW(Shdr) * sections;
	ElfW(Ehdr) h;
	size_t i, k;
	int ret;

	for (i = 0; i < n; i++)
		wanted[i].value = wanted[i].size = 0;
	ret = elf_read(fd, &h, sizeof h, 0);
	if (ret < 0)
		return ret;
	if (!elf_is_of_this_machine(&h) || h.e_shnum > MOST_SECTIONS)
		return -ENOEXEC;
	ret = elf_begin(fd, &h, bias);
	if (ret < 0)
		return ret;
	sections = memory_need(calloc(h.e_shnum + 1u, sizeof *sections));
	ret = elf_read(fd, sections, h.e_shnum * sizeof *sections, h.e_shoff);
	for (k = 0; ret == 0 && k < sizeof types / sizeof *types; k++)
		for (i = 0; i < h.e_shnum; i++)
			if (sections[i].sh_type == types[k] && sections[i].sh_link < h.e_shnum)
				elf_look_in(fd, &sections[i], &sections[sections[i].sh_link],
					    wanted, n);
	free(sections);
	return ret;
}
