/* SPDX-License-Identifier: MIT */
#include "preload/next.h"

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Marks a symbol of an older version, which only asking for that version finds (Drepper, "ELF
 * Symbol Versioning"; binutils' include/elf/common.h: VERSYM_HIDDEN). */
#define NOT_THE_DEFAULT 0x8000

/* What an object exports. */
struct exports {
	const char *names;
	const ElfW(Sym) * symbols;
	const ElfW(Versym) * versions; /* NULL: none */
	const uint32_t *hash;	       /* DT_GNU_HASH, which glibc's own libraries have */
};

struct search {
	const char *name;
	bool in_libc; /* there alone */
	bool behind_us;
	void *found;
};

/* The loader has made the addresses of d_ptr absolute, but for read-only dynamic sections (the
 * vDSO's). */
static const void *next_address(const struct dl_phdr_info *object, ElfW(Addr) pointer)
{
	return (const void *)(pointer < object->dlpi_addr ? object->dlpi_addr + pointer : pointer);
}

static bool next_exports_of(const struct dl_phdr_info *object, struct exports *exports)
{
	const ElfW(Dyn) *entry = NULL;
	int i;

	memset(exports, 0, sizeof *exports);
	for (i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			entry = (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
	for (; entry && entry->d_tag != DT_NULL; entry++) {
		const void *at = next_address(object, entry->d_un.d_ptr);

		if (entry->d_tag == DT_STRTAB)
			exports->names = at;
		else if (entry->d_tag == DT_SYMTAB)
			exports->symbols = at;
		else if (entry->d_tag == DT_VERSYM)
			exports->versions = at;
		else if (entry->d_tag == DT_GNU_HASH)
			exports->hash = at;
	}
	return exports->names && exports->symbols && exports->hash;
}

static uint32_t next_hash(const char *name)
{
	uint32_t hash = 5381;

	while (*name)
		hash = hash * 33 + (unsigned char)*name++;
	return hash;
}

static bool next_is_it(const struct exports *exports, uint32_t i, const char *name)
{
	const ElfW(Sym) *symbol = &exports->symbols[i];

	return symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
	       !(exports->versions && exports->versions[i] & NOT_THE_DEFAULT) &&
	       strcmp(exports->names + symbol->st_name, name) == 0;
}

/* The table's words: buckets, first symbol, words of the Bloom filter (pointers), shift; then the
 * filter, the buckets, and a chain of hashes whose lowest bit says "last of its bucket". */
static const ElfW(Sym) * next_symbol_of(const struct exports *exports, const char *name)
{
	const uint32_t n_buckets = exports->hash[0], first = exports->hash[1];
	const uint32_t *buckets =
	    exports->hash + 4 + exports->hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	const uint32_t *chain = buckets + n_buckets, hash = next_hash(name);
	uint32_t i = n_buckets ? buckets[hash % n_buckets] : 0;

	for (; i >= first && i; i++) {
		if ((chain[i - first] | 1) == (hash | 1) && next_is_it(exports, i, name))
			return &exports->symbols[i];
		if (chain[i - first] & 1)
			break;
	}
	return NULL;
}

static bool next_is_ours(const struct dl_phdr_info *object)
{
	const ElfW(Phdr) * segment;
	uintptr_t here = (uintptr_t)next_function, base = object->dlpi_addr;
	int i;

	for (i = 0; i < object->dlpi_phnum; i++) {
		segment = &object->dlpi_phdr[i];
		if (segment->p_type == PT_LOAD && here >= base + segment->p_vaddr &&
		    here < base + segment->p_vaddr + segment->p_memsz)
			return true;
	}
	return false;
}

/* "libc.so.6", whatever the directory. */
static bool next_is_libc(const struct dl_phdr_info *object)
{
	const char *base = strrchr(object->dlpi_name, '/');

	return strcmp(base ? base + 1 : object->dlpi_name, "libc.so.6") == 0;
}

static int next_looks(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct search *search = arg;
	const ElfW(Sym) * symbol;
	struct exports exports;

	(void)size;
	if (search->in_libc) {
		if (!next_is_libc(object))
			return 0;
	} else if (!search->behind_us) {
		search->behind_us = next_is_ours(object);
		return 0;
	}
	if (!next_exports_of(object, &exports))
		return 0;
	symbol = next_symbol_of(&exports, search->name);
	if (!symbol)
		return 0;
	search->found = (void *)(object->dlpi_addr + symbol->st_value);
	return 1;
}

void *next_function(const char *name)
{
	struct search search = { .name = name };

	dl_iterate_phdr(next_looks, &search);
	return search.found;
}

void *next_in_libc(const char *name)
{
	struct search search = { .name = name, .in_libc = true };

	dl_iterate_phdr(next_looks, &search);
	return search.found;
}
