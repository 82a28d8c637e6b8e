/* SPDX-License-Identifier: MIT */
#include "engine/refreeze.h"

#include <errno.h>

#include "engine/freezer.h"

int refreeze_note(struct refreeze *refreeze, const struct layout *layout)
{
	const struct graph_head *head;
	int err;

	*refreeze = (struct refreeze){ .layout = layout };
	if (!layout)
		return -ENOTSUP;
	err = graph_table_open(&refreeze->frozen);
	if (err)
		return err;
	head = layout_next(layout->permanent);
	for (; !err && head != layout->permanent; head = layout_next(head))
		err = graph_table_add(&refreeze->frozen, (uintptr_t)head);
	if (err)
		graph_table_close(&refreeze->frozen);
	return err;
}

/* The list is doubly linked, and the low bits of both links are flags of the object. */
static void link_heads(struct graph_head *first, struct graph_head *second)
{
	first->next = (first->next & GRAPH_FLAGS) | (uintptr_t)second;
	second->prev = (second->prev & GRAPH_FLAGS) | (uintptr_t)first;
}

static void append_head(struct graph_head *list, struct graph_head *head)
{
	link_heads((struct graph_head *)layout_prev(head), (struct graph_head *)layout_next(head));
	link_heads((struct graph_head *)layout_prev(list), head);
	link_heads(head, list);
}

/* Returns how many stay where they are. */
static int64_t move_frozen(const struct refreeze *refreeze, struct graph_head *from,
			   struct graph_head *to)
{
	struct graph_head *head = (struct graph_head *)layout_next(from), *next;
	int64_t left = 0;
	uint64_t number;

	for (; head != from; head = next) {
		next = (struct graph_head *)layout_next(head);
		if (graph_table_find(&refreeze->frozen, (uintptr_t)head, &number))
			append_head(to, head);
		else
			left++;
	}
	return left;
}

/* All of it to the beginning of the other. */
static void splice_list(struct graph_head *from, struct graph_head *to)
{
	struct graph_head *first = (struct graph_head *)layout_next(from);
	struct graph_head *last = (struct graph_head *)layout_prev(from);

	if (first == from)
		return;
	link_heads(last, (struct graph_head *)layout_next(to));
	link_heads(to, first);
}

int64_t refreeze_rest(struct refreeze *refreeze, PyObject *gc)
{
	struct graph_head *permanent = (struct graph_head *)refreeze->layout->permanent, aside;
	int64_t left;

	/* Meanwhile these are in no generation: a collection takes them for alive, as it does with
	 * what is frozen, and one that dies takes itself out of whatever list it is in. */
	aside.next = aside.prev = (uintptr_t)&aside;
	left = move_frozen(refreeze, permanent, &aside);
	if (!freezer_unfreeze(gc))
		left = -1;
	splice_list(&aside, permanent);
	graph_table_close(&refreeze->frozen);
	return left;
}
