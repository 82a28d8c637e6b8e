/* SPDX-License-Identifier: MIT */
#include "cli/doctor/elf_file.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define MOST_SEGMENTS 128
#define TAIL	      (1 << 20)
#define MOST_BYTES    (16u << 20) /* of a dynamic string table; CPython's has 100 KiB */

struct source {
	int fd;
	ElfW(Phdr) segments[MOST_SEGMENTS];
	int n;
};

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* Where the bytes of an address are in the file; 0: nowhere. */
static uint64_t file_offset(const struct source *s, uint64_t address)
{
	int i;

	for (i = 0; i < s->n; i++) {
		const ElfW(Phdr) *p = &s->segments[i];

		if (p->p_type == PT_LOAD && address >= p->p_vaddr &&
		    address - p->p_vaddr < p->p_filesz)
			return p->p_offset + (address - p->p_vaddr);
	}
	return 0;
}

static const ElfW(Phdr) * elf_segment(const struct source *s, uint32_t type)
{
	int i;

	for (i = 0; i < s->n; i++)
		if (s->segments[i].p_type == type)
			return &s->segments[i];
	return NULL;
}

/* Whether a string that begins with word stands in the table. */
static bool has_string(const char *table, size_t size, const char *word)
{
	size_t n = strlen(word), i;

	for (i = 0; i + n < size; i += strlen(table + i) + 1)
		if (strncmp(table + i, word, n) == 0)
			return true;
	return false;
}

/* The names of needed libraries and of symbols share one table. That CPython's own symbol is
 * there does not yet say that it is defined here, but who imports it embeds Python too. */
static void read_strings(struct elf_file *elf, const struct source *s, uint64_t address,
			 uint64_t size)
{
	uint64_t offset = file_offset(s, address);
	char *table;

	if (!offset || !size || size > MOST_BYTES)
		return;
	table = memory_need(malloc(size + 1));
	table[size] = '\0';
	if (read_at(s->fd, table, size, offset)) {
		elf->needs_python = has_string(table, size, "libpython");
		elf->has_python = has_string(table, size, "PyImport_Inittab") ||
				  has_string(table, size, "Py_BytesMain") ||
				  has_string(table, size, "Py_Initialize");
	}
	free(table);
}

static void read_dynamic(struct elf_file *elf, const struct source *s)
{
	const ElfW(Phdr) *p = elf_segment(s, PT_DYNAMIC);
	uint64_t address = 0, size = 0, i;
	ElfW(Dyn) entry;

	for (i = 0; p && i < p->p_filesz / sizeof entry && i < 1024; i++) {
		if (!read_at(s->fd, &entry, sizeof entry, p->p_offset + i * sizeof entry) ||
		    entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_STRTAB)
			address = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_STRSZ)
			size = entry.d_un.d_val;
	}
	read_strings(elf, s, address, size);
}

static void read_interpreter(struct elf_file *elf, const struct source *s)
{
	const ElfW(Phdr) *p = elf_segment(s, PT_INTERP);
	size_t n = sizeof elf->interpreter - 1;

	if (!p)
		return;
	if (p->p_filesz < n)
		n = p->p_filesz;
	if (!read_at(s->fd, elf->interpreter, n, p->p_offset))
		elf->interpreter[0] = '\0';
}

/* Its archive is the last section, or behind all of them, and ends with its cookie: only section
 * headers, a table of names or a signature follow. */
static bool has_archive(int fd)
{
	static const char cookie[] = "MEI\014\013\012\013\016";
	off_t size = lseek(fd, 0, SEEK_END), begin = size > TAIL ? size - TAIL : 0;
	char *tail;
	bool found;

	if (size <= 0)
		return false;
	tail = memory_need(malloc((size_t)(size - begin)));
	found = read_at(fd, tail, (size_t)(size - begin), (uint64_t)begin) &&
		memmem(tail, (size_t)(size - begin), cookie, sizeof cookie - 1);
	free(tail);
	return found;
}

static int read_file(struct elf_file *elf, int fd)
{
	struct source s = { .fd = fd };
	ElfW(Ehdr) h;
	unsigned i;

	if (!read_at(fd, &h, sizeof h, 0) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	elf->bits = h.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
	elf->machine = h.e_machine;
	if (h.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
	    h.e_ident[EI_DATA] != (BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB))
		return 0;
	if (h.e_phentsize != sizeof s.segments[0])
		return -ENOEXEC;
	for (i = 0; i < h.e_phnum && s.n < MOST_SEGMENTS; i++)
		if (read_at(fd, &s.segments[s.n], sizeof s.segments[0],
			    h.e_phoff + i * sizeof s.segments[0]))
			s.n++;
	read_interpreter(elf, &s);
	read_dynamic(elf, &s);
	elf->pyinstaller = has_archive(fd);
	return 0;
}

int elf_file_read(struct elf_file *elf, const char *path)
{
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	memset(elf, 0, sizeof *elf);
	if (fd < 0)
		return -errno;
	ret = read_file(elf, fd);
	close(fd);
	return ret;
}

const char *elf_file_machine(const struct elf_file *elf)
{
	switch (elf->machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	default:
		return "another machine";
	}
}
