/* SPDX-License-Identifier: MIT */
/*
 * A set of addresses that gives each of them a number, 0, 1, 2 ... in the order of a walk over the
 * set. What is stored by number then needs no room between: four bytes an object, where a table by
 * address has them for each 16 bytes of the heap and misses the processor's caches.
 *
 * A block is 1 KiB of address space: a bit for each 16 bytes, and how many addresses come before.
 * 1/64 of the heap, and only where it holds objects of the set.
 */
#ifndef GCPRELOAD_ENGINE_GRAPH_TABLE_H
#define GCPRELOAD_ENGINE_GRAPH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GRAPH_ALIGNMENT_BITS = 4,
	GRAPH_BLOCK_BITS = 10,
	GRAPH_WINDOW_BITS = 32,
	GRAPH_ADDRESS_BITS = 48,
	GRAPH_WINDOWS = 1 << (GRAPH_ADDRESS_BITS - GRAPH_WINDOW_BITS),
	GRAPH_BLOCKS = 1 << (GRAPH_WINDOW_BITS - GRAPH_BLOCK_BITS), /* of a window */
	GRAPH_GROUP_BITS = 8, /* blocks whose entries are one page of the table */
	GRAPH_GROUP_WORDS = GRAPH_BLOCKS >> (GRAPH_GROUP_BITS + 6),
};

struct graph_block {
	uint64_t present;
	uint64_t before;
};

/* 4 GiB of address space; its pages are made when they are touched. */
struct graph_window {
	struct graph_block blocks[GRAPH_BLOCKS];
	uint64_t groups[GRAPH_GROUP_WORDS]; /* in which blocks are in use */
	struct graph_window *next;
	uintptr_t start;
};

struct graph_table {
	struct graph_window **windows;
	struct graph_window *first;
};

/* 0, or -ENOMEM. */
int graph_table_open(struct graph_table *table);

/* Where the process goes on after it. */
void graph_table_close(struct graph_table *table);

/* Zeroed memory that takes none until it is touched; NULL where there is none. */
void *graph_table_map(uint64_t size);

/* 0; -ENOMEM; -EDOM: not a multiple of 16 or beyond what has a place here. */
int graph_table_add(struct graph_table *table, uintptr_t address);

/* Gives the numbers, when all are in. Returns how many there are. */
uint64_t graph_table_number(struct graph_table *table);

/* x86 before 2008 has no instruction for it, so compilers call a function, which costs more. */
static inline uint64_t graph_table_ones(uint64_t word)
{
#ifdef __x86_64__
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return word * 0x0101010101010101 >> 56;
#else
	return (uint64_t)__builtin_popcountll(word);
#endif
}

/* NULL where nothing near the address is in the set. An address that is no multiple of 16 lies
 * beyond the last window: its low bits go on top. */
static inline struct graph_block *graph_table_block(const struct graph_table *table,
						    uintptr_t address)
{
	uintptr_t low = address << (64 - GRAPH_ALIGNMENT_BITS);
	uintptr_t number = low | address >> GRAPH_WINDOW_BITS;
	struct graph_window *window;

	if (__builtin_expect(number >= GRAPH_WINDOWS, 0))
		return NULL;
	window = table->windows[number];
	if (!window)
		return NULL;
	return &window->blocks[address >> GRAPH_BLOCK_BITS & (GRAPH_BLOCKS - 1)];
}

/* Whether it is in the set, and its number. */
static inline bool graph_table_find(const struct graph_table *table, uintptr_t address,
				    uint64_t *number)
{
	const struct graph_block *block = graph_table_block(table, address);
	uint64_t bit = (uint64_t)1 << (address >> GRAPH_ALIGNMENT_BITS & 63);

	if (!block || !(block->present & bit))
		return false;
	*number = block->before + graph_table_ones(block->present & (bit - 1));
	return true;
}

/* All addresses in the order of their numbers, which is that of the memory in each window. */
struct graph_cursor {
	const struct graph_window *window;
	uint32_t block; /* the next one */
	uint64_t bits;
	uintptr_t start;
};

static inline struct graph_cursor graph_table_begin(const struct graph_table *table)
{
	return (struct graph_cursor){ .window = table->first };
}

/* Goes to the next block that has any; false: there is none. */
bool graph_table_advance(struct graph_cursor *cursor);

/* 0: that was all. */
static inline uintptr_t graph_table_next(struct graph_cursor *cursor)
{
	uintptr_t address;

	if (!cursor->bits && !graph_table_advance(cursor))
		return 0;
	address =
	    cursor->start + ((uintptr_t)__builtin_ctzll(cursor->bits) << GRAPH_ALIGNMENT_BITS);
	cursor->bits &= cursor->bits - 1;
	return address;
}

#endif
