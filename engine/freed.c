/* SPDX-License-Identifier: MIT */
#include "engine/freed.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/shared.h"
#include "inject/pyapi.h"

/* A region is a mebibyte of address space: 65 536 bits. */
#define REGION_SHIFT 20
#define BLOCK_SHIFT  4
#define REGION_BYTES (1u << (REGION_SHIFT - BLOCK_SHIFT - 3))
#define WRAPPERS     8

struct region {
	uintptr_t number; /* + 1; 0: no region */
	uint8_t *bits;
};

/* Another tool may have one below its own, or put it back at any time: what is below it never
 * changes, or it might come to lie below itself. One is used again above the same allocator. */
static struct wrapper {
	struct PyMemAllocatorEx below;
} wrappers[WRAPPERS];

static struct {
	bool active; /* shared: interpreters may have a GIL each */
	bool overrun;
	bool watches;		 /* nobody says when another interpreter begins */
	struct wrapper *wrapper; /* the one that was on top when it began */
	uint8_t *space;
	size_t size;
	struct region *regions; /* open addressing */
	size_t mask;
	uint8_t *unused, *end; /* bits of regions to come */
	struct region last;
} freed;

static struct region *region_slot(uintptr_t number)
{
	size_t at = (number * 0x9e3779b97f4a7c15ull) >> 32 & freed.mask;

	while (freed.regions[at].number && freed.regions[at].number != number)
		at = (at + 1) & freed.mask;
	return &freed.regions[at];
}

/* The bits of the region that an address is in; NULL: it has none, and there is no room. */
static uint8_t *region_bits(uintptr_t address, bool make)
{
	uintptr_t number = (address >> REGION_SHIFT) + 1;
	struct region *region;

	if (__builtin_expect(freed.last.number == number, 1))
		return freed.last.bits;
	region = region_slot(number);
	if (!region->number) {
		if (!make || freed.unused == freed.end)
			return NULL;
		region->number = number;
		region->bits = freed.unused;
		freed.unused += REGION_BYTES;
	}
	freed.last = *region;
	return region->bits;
}

static inline size_t bit_of(uintptr_t address)
{
	return (address >> BLOCK_SHIFT) & (REGION_BYTES * 8 - 1);
}

static void freed_note(void *block)
{
	uintptr_t address = (uintptr_t)block;
	size_t bit = bit_of(address);
	uint8_t *bits;

	if (__builtin_expect(freed.watches, 0) && py_has_subinterpreters()) {
		freed_stop();
		return;
	}
	bits = region_bits(address, true);
	if (bits)
		bits[bit / 8] |= (uint8_t)(1u << bit % 8);
	else
		freed.overrun = true;
}

static void *freed_malloc(void *ctx, size_t size)
{
	struct PyMemAllocatorEx *below = &((struct wrapper *)ctx)->below;

	return below->malloc(below->ctx, size);
}

static void *freed_calloc(void *ctx, size_t n, size_t size)
{
	struct PyMemAllocatorEx *below = &((struct wrapper *)ctx)->below;

	return below->calloc(below->ctx, n, size);
}

/* Noted also where it stays in its place: only a collector's object that nobody tracks grows. */
static void *freed_realloc(void *ctx, void *block, size_t size)
{
	struct PyMemAllocatorEx *below = &((struct wrapper *)ctx)->below;

	if (block && load_relaxed(&freed.active))
		freed_note(block);
	return below->realloc(below->ctx, block, size);
}

static void freed_free(void *ctx, void *block)
{
	struct PyMemAllocatorEx *below = &((struct wrapper *)ctx)->below;

	if (block && load_relaxed(&freed.active))
		freed_note(block);
	below->free(below->ctx, block);
}

static struct wrapper *wrapper_on_top(struct PyMemAllocatorEx *top)
{
	py.PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, top);
	return top->free == freed_free ? top->ctx : NULL;
}

static struct wrapper *wrapper_above(const struct PyMemAllocatorEx *top)
{
	int i;

	for (i = 0; i < WRAPPERS; i++) {
		struct wrapper *wrapper = &wrappers[i];

		if (!wrapper->below.free)
			wrapper->below = *top;
		if (memcmp(&wrapper->below, top, sizeof *top) == 0)
			return wrapper;
	}
	return NULL;
}

static int wrap_allocator(void)
{
	struct PyMemAllocatorEx top,
	    ours = { NULL, freed_malloc, freed_calloc, freed_realloc, freed_free };

	freed.wrapper = wrapper_on_top(&top);
	if (freed.wrapper)
		return 0;
	freed.wrapper = wrapper_above(&top);
	if (!freed.wrapper)
		return -EBUSY;
	ours.ctx = freed.wrapper;
	py.PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &ours);
	return 0;
}

static void unwrap_allocator(void)
{
	struct PyMemAllocatorEx top;
	struct wrapper *wrapper = wrapper_on_top(&top);

	if (wrapper)
		py.PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &wrapper->below);
}

/* Many times what is there now: a program may grow much meanwhile. Nothing of it is there before it
 * is written to. */
static int make_table(uint64_t resident)
{
	size_t regions = (size_t)(resident >> REGION_SHIFT) * 8 + 4096, slots = 1;

	while (slots < 2 * regions)
		slots *= 2;
	freed.size = slots * sizeof(struct region) + regions * REGION_BYTES;
	freed.space = mmap(NULL, freed.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (freed.space == MAP_FAILED) {
		freed.space = NULL;
		return -ENOMEM;
	}
	freed.regions = (struct region *)freed.space;
	freed.mask = slots - 1;
	freed.unused = freed.space + slots * sizeof(struct region);
	freed.end = freed.space + freed.size;
	freed.last = (struct region){ 0, NULL };
	freed.overrun = false;
	return 0;
}

/* A set of two objects has a table of its own from this domain or not; a list of its own has a
 * header and a body there for certain. */
static bool sees_a_list(void)
{
	PyObject *lists[100];
	bool seen = false;
	int i;

	/* Most go on the free list of lists, which has room for 80. */
	for (i = 0; i < 100; i++)
		lists[i] = py.PyList_New(0);
	for (i = 0; i < 100; i++) {
		py_drop(lists[i]);
		seen = seen || freed_contains((uintptr_t)lists[i] - 16);
	}
	return seen;
}

bool freed_can_begin(void)
{
	struct PyMemAllocatorEx top;

	return wrapper_on_top(&top) || wrapper_above(&top);
}

void freed_watch(bool yes)
{
	freed.watches = yes;
}

int freed_begin(uint64_t resident)
{
	int ret = make_table(resident);

	if (ret < 0)
		return ret;
	ret = wrap_allocator();
	store_relaxed(&freed.active, ret == 0);
	if (ret == 0 && !sees_a_list())
		ret = -ENOSYS;
	if (ret < 0)
		freed_end();
	return ret;
}

bool freed_is_sure(void)
{
	struct PyMemAllocatorEx top;

	return freed.active && !freed.overrun && wrapper_on_top(&top) == freed.wrapper;
}

bool freed_contains(uintptr_t block)
{
	uint8_t *bits = region_bits(block, false);
	size_t bit = bit_of(block);

	return bits && bits[bit / 8] & (1u << bit % 8);
}

void freed_stop(void)
{
	store_relaxed(&freed.active, false);
}

void freed_end(void)
{
	freed_stop();
	unwrap_allocator();
	if (freed.space)
		munmap(freed.space, freed.size);
	freed.space = NULL;
}

void freed_forget(void)
{
	if (freed.active)
		freed_end();
}
