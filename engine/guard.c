/* SPDX-License-Identifier: MIT */
#include "engine/guard.h"

#include "base/clock.h"
#include "engine/collector.h"
#include "engine/concurrent.h"
#include "engine/engine.h"
#include "engine/growth.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/tuner.h"

#define UNREACHED_NS 1000000000ull /* so long it waits for a server's wait */

bool gcpreload_engine_grown(void)
{
	return load_relaxed(&process.tuned) && !concurrent_is_on() &&
	       pacing_has_grown(gcpreload_now_ns());
}

void guard_collect(PyObject *gc)
{
	uint64_t before = gcpreload_now_ns(), after;
	int64_t collected = collector_collect(gc, 2, GCPRELOAD_CAUSE_GUARD);
	struct machine machine;
	struct growth growth;

	after = gcpreload_now_ns();
	machine_look(&machine);
	pacer_guarded(&pacing.pacer, after, machine.resident,
		      collected > 0 ? (uint64_t)collected : 0, after - before);
	machine_growth(&growth);
	if (!pacing_is_due(&growth))
		return;
	/* What holds it may be frozen. */
	if (tuner_collect_all(gc, GCPRELOAD_CAUSE_GUARD))
		pacer_all_frozen(&pacing.pacer, gcpreload_now_ns());
	pacing_begin_growth();
}

void guard_act(PyObject *gc)
{
	struct pacer *pacer = &pacing.pacer;
	uint64_t now = gcpreload_now_ns();

	if (!load_relaxed(&process.guard_asked))
		return;
	store_relaxed(&process.guard_asked, false);
	if (!process.tuned || !tuner_still_ours(gc))
		return;
	if (!pacer_unreached(pacer, now) && pacer->guard_full &&
	    (pacer->fallen_back || gcpreload_elapsed(pacer->guard_ns, now) > UNREACHED_NS)) {
		process.status.idle.guard_trips++;
		process.status.idle.guard = pacer->guard;
		guard_collect(gc);
	}
	pacing_settle(gc);
}
