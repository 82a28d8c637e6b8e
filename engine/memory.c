/* SPDX-License-Identifier: MIT */
#include "engine/memory.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "engine/growth.h"
#include "engine/guard.h"
#include "engine/headroom.h"
#include "engine/marking.h"

/* Near the limit, the interpreter would have collected all by then. */
#define NEAR_FACTOR 1.1
#define NEAR_BYTES  (16ull << 20)

/* Of what there was when no garbage was: a marker that hangs, is stopped or gets no processor must
 * not cost the program its memory. */
#define MARK_FACTOR 2
#define MARK_BYTES  (64ull << 20)

static struct {
	struct headroom headroom;
	struct growth now; /* by the last look */
	uint64_t looked_ns;
} memory;

void memory_begin(void)
{
	memory.headroom = (struct headroom){ .near = false };
	memory.looked_ns = 0;
}

uint64_t memory_paused_until(void)
{
	return memory.headroom.paused_until_ns;
}

/* ---- with marks ---- */

/* A mark that was just swept says what is no garbage. */
static void note_base(const struct tiers *tiers)
{
	struct growth now = memory.now;

	if (!tiers->out && tiers->resident != guard_base().resident) {
		now.resident = tiers->resident;
		guard_begin_growth(&now);
	}
}

static bool mark_costs_too_much(const struct tiers *tiers)
{
	return tiers->out && !tiers->left &&
	       memory.now.resident > MARK_FACTOR * guard_base().resident + MARK_BYTES;
}

/* Where no mark can be, what the interpreter would have freed by now is freed as it would. */
static bool has_grown_unmarked(const struct tiers *tiers, const struct growth *base)
{
	double most = NEAR_FACTOR * (double)base->resident + (double)NEAR_BYTES;

	return tiers->failures && (growth_is_due(base, &memory.now) ||
				   (tiers->near && (double)memory.now.resident > most));
}

static void give_mark_up(struct tiers *tiers, uint64_t now_ns, const char *why)
{
	marking_give_up(tiers, now_ns, why);
	guard_ask(GCPRELOAD_GUARD_GROWTH, now_ns);
}

static bool look_for_mark(struct tiers *tiers, uint64_t now_ns, uint32_t *why)
{
	struct growth base;
	bool files;

	note_base(tiers);
	if (mark_costs_too_much(tiers))
		give_mark_up(tiers, now_ns, "memory grows faster than it gets on");
	base = guard_base();
	if (has_grown_unmarked(tiers, &base))
		guard_ask(GCPRELOAD_GUARD_GROWTH, now_ns);
	files = growth_files_are_due(&base, &memory.now);
	if (tiers_memory(tiers, now_ns, memory.now.resident, files, why))
		return true;
	if (!marking_mind_limits(tiers, now_ns))
		give_mark_up(tiers, now_ns, "the memory limit is near");
	return false;
}

void memory_mark(PyObject *gc, struct tiers *tiers, uint64_t now_ns, uint32_t why)
{
	if (tiers_copy_is_dear(tiers)) {
		gcpreload_log(GCPRELOAD_LOG_DEBUG,
			      "no mark: a copy would take longer than a full collection");
		guard_ask(GCPRELOAD_GUARD_GROWTH, now_ns);
		tiers_mark_waits(tiers, now_ns);
		return;
	}
	marking_begin(gc, tiers, now_ns, &memory.now, why);
	if (tiers->out)
		guard_begin_growth(&memory.now);
	/* What is frozen is out of the sight of the interpreter's own way. */
	guard_near_limit(tiers->near, now_ns);
}

/* ---- without ---- */

static void look_at_machine(struct tiers *tiers, uint64_t now_ns)
{
	struct machine machine;

	if (!headroom_is_due(&memory.headroom, now_ns))
		return;
	machine_look(&machine);
	headroom_look(&memory.headroom, now_ns, &machine);
	guard_near_limit(memory.headroom.near, now_ns);
	tiers_near_limit(tiers, memory.headroom.near);
}

static void look_for_growth(struct tiers *tiers, uint64_t now_ns)
{
	struct growth base = guard_base();
	uint32_t why;

	if (growth_is_due(&base, &memory.now))
		guard_ask(GCPRELOAD_GUARD_GROWTH, now_ns);
	tiers_memory(tiers, now_ns, memory.now.resident, false, &why);
}

/* ---- both ---- */

bool memory_look(struct tiers *tiers, uint64_t now_ns, uint32_t *why)
{
	if (!tiers->limits.marks)
		look_at_machine(tiers, now_ns);
	if (tiers->limits.growth > 0 &&
	    gcpreload_elapsed(memory.looked_ns, now_ns) < GUARD_EVERY_NS)
		return false;
	memory.looked_ns = now_ns;
	machine_growth(&memory.now);
	if (tiers->limits.marks)
		return look_for_mark(tiers, now_ns, why);
	look_for_growth(tiers, now_ns);
	return false;
}

void memory_all_collected(struct tiers *tiers, uint64_t now_ns)
{
	machine_growth(&memory.now);
	guard_begin_growth(&memory.now);
	tiers_all_collected(tiers, now_ns, memory.now.resident);
}

void memory_full(struct tiers *tiers, uint64_t now_ns, uint64_t young, uint64_t collected,
		 uint64_t cpu_ns)
{
	machine_growth(&memory.now);
	tiers_full(tiers, now_ns, memory.now.resident, young, collected, cpu_ns);
}
