/* SPDX-License-Identifier: MIT */
#include "engine/graph_table.h"

#include <errno.h>
#include <sys/mman.h>

enum { GRAPH_GROUP = 1 << GRAPH_GROUP_BITS };

void *graph_table_map(uint64_t size)
{
	void *memory;

	if (size > SIZE_MAX / 2)
		return NULL;
	memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

int graph_table_open(struct graph_table *table)
{
	table->first = NULL;
	table->windows = graph_table_map(GRAPH_WINDOWS * sizeof(*table->windows));
	return table->windows ? 0 : -ENOMEM;
}

void graph_table_close(struct graph_table *table)
{
	struct graph_window *window, *next;

	for (window = table->first; window; window = next) {
		next = window->next;
		munmap(window, sizeof(*window));
	}
	munmap(table->windows, GRAPH_WINDOWS * sizeof(*table->windows));
	table->first = NULL;
	table->windows = NULL;
}

static int graph_table_window(struct graph_table *table, uintptr_t address)
{
	uintptr_t number = address >> GRAPH_WINDOW_BITS;
	struct graph_window *window;

	if (number >= GRAPH_WINDOWS || address & ((1 << GRAPH_ALIGNMENT_BITS) - 1))
		return -EDOM;
	window = graph_table_map(sizeof(*window));
	if (!window)
		return -ENOMEM;
	window->start = number << GRAPH_WINDOW_BITS;
	window->next = table->first;
	table->first = table->windows[number] = window;
	return 0;
}

int graph_table_add(struct graph_table *table, uintptr_t address)
{
	struct graph_block *block = graph_table_block(table, address);

	if (!block) {
		int err = graph_table_window(table, address);

		if (err)
			return err;
		block = graph_table_block(table, address);
	}
	if (!block->present) {
		struct graph_window *window = table->windows[address >> GRAPH_WINDOW_BITS];
		size_t group = (size_t)(block - window->blocks) >> GRAPH_GROUP_BITS;

		window->groups[group / 64] |= (uint64_t)1 << group % 64;
	}
	block->present |= (uint64_t)1 << (address >> GRAPH_ALIGNMENT_BITS & 63);
	return 0;
}

/* The first block of the next group from this one on that is in use, else GRAPH_BLOCKS. */
static uint32_t graph_table_group(const struct graph_window *window, uint32_t block)
{
	uint32_t group = block >> GRAPH_GROUP_BITS;
	uint32_t word = group / 64;
	uint64_t bits;

	if (word == GRAPH_GROUP_WORDS)
		return GRAPH_BLOCKS;
	bits = window->groups[word] & ~(uint64_t)0 << group % 64;
	while (!bits) {
		if (++word == GRAPH_GROUP_WORDS)
			return GRAPH_BLOCKS;
		bits = window->groups[word];
	}
	return (word * 64 + (uint32_t)__builtin_ctzll(bits)) << GRAPH_GROUP_BITS;
}

bool graph_table_advance(struct graph_cursor *cursor)
{
	while (cursor->window) {
		if (cursor->block % GRAPH_GROUP == 0)
			cursor->block = graph_table_group(cursor->window, cursor->block);
		if (cursor->block == GRAPH_BLOCKS) {
			cursor->window = cursor->window->next;
			cursor->block = 0;
			continue;
		}
		cursor->bits = cursor->window->blocks[cursor->block].present;
		cursor->start =
		    cursor->window->start + ((uintptr_t)cursor->block << GRAPH_BLOCK_BITS);
		cursor->block++;
		if (cursor->bits)
			return true;
	}
	return false;
}

uint64_t graph_table_number(struct graph_table *table)
{
	struct graph_cursor cursor = graph_table_begin(table);
	uint64_t count = 0;

	while (graph_table_advance(&cursor)) {
		struct graph_block *block =
		    &table->windows[cursor.start >> GRAPH_WINDOW_BITS]->blocks[cursor.block - 1];

		block->before = count;
		count += graph_table_ones(block->present);
	}
	return count;
}
