/* SPDX-License-Identifier: MIT */
#include "engine/marking.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/freed.h"
#include "engine/freezer.h"
#include "engine/kin.h"
#include "engine/layout.h"
#include "engine/marker.h"
#include "engine/process.h"
#include "engine/sweep.h"
#include "rules/recipe.h"

/* A worker whose parent froze an application for it: looking at that costs more than its garbage
 * is worth, and freeing some of it would make pages its own. Not a bare server. */
#define SHARED_LEAST 100000

/* The marker's tables, and pages that the program writes to meanwhile, which are there twice. */
#define NEEDS_SHARE    .4
#define LIMIT_SHARE    .95
#define QUOTA_EVERY_NS 100000000ull

static struct {
	struct layout layout;
	struct sweep sweep;
	struct gcpreload_mark told;
	uint64_t faults;   /* of the process, when it began */
	uint64_t quota_ns; /* when the quota was looked at */
	uint64_t throttled_ns;
	bool is_full; /* no place above the tools in the allocator */
} marking;

const char *marking_find(PyObject *gc)
{
	const char *why = recipe_no_marks(&python_version);

	if (!why && py_has_subinterpreters())
		why = "not concurrent: there are sub-interpreters";
	if (!why && getenv("PYTHON_PYMALLOC_HUGEPAGES"))
		why = "not concurrent: PYTHON_PYMALLOC_HUGEPAGES is set";
	if (!why)
		why = layout_find(gc, &marking.layout);
	marking.layout.boundary = NULL;
	if (!why && process.inherited_frozen > SHARED_LEAST)
		layout_set_boundary(gc, &marking.layout);
	return why;
}

bool marking_can_count(PyObject *gc)
{
	return process.froze && !recipe_no_marks(&python_version) &&
	       !layout_find(gc, &marking.layout);
}

uint64_t marking_count_young(uint64_t most)
{
	return layout_count_young(&marking.layout, most);
}

/* ---- telling ---- */

static void tell_mark(void)
{
	gcpreload_ring_mark(&marking.told, process.status.marks.begun - 1);
	process_update();
}

static uint64_t page_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

static void tell_beginning(uint64_t now_ns, uint64_t fork_ns, const struct growth *now,
			   uint32_t why)
{
	struct gcpreload_marks *all = &process.status.marks;

	marking.told = (struct gcpreload_mark){
		.start_ns = now_ns,
		.fork_ns = fork_ns,
		.resident_before = now->resident,
		.why = why,
		.how = GCPRELOAD_MARK_HOW_RUNNING,
	};
	marking.faults = page_faults();
	marking.quota_ns = 0;
	all->begun++;
	all->fork_ns += fork_ns;
	if (fork_ns > all->fork_max_ns)
		all->fork_max_ns = fork_ns;
	tell_mark();
}

static void tell_result(const struct graph_garbage *garbage)
{
	struct gcpreload_marks *all = &process.status.marks;
	struct gcpreload_mark *told = &marking.told;

	told->mark_ns = marker_took_ns();
	told->cpu_ns = marker_cpu_ns();
	told->live = garbage->live;
	told->garbage = garbage->garbage;
	told->faults = page_faults() - marking.faults;
	told->how = GCPRELOAD_MARK_HOW_SWEEPING;
	all->finished++;
	all->mark_ns += told->mark_ns;
	all->cpu_ns += told->cpu_ns;
	all->live = garbage->live;
	all->garbage += garbage->garbage;
	all->faults += told->faults;
	tell_mark();
}

static void tell_end(enum gcpreload_mark_how how)
{
	struct gcpreload_marks *all = &process.status.marks;
	struct growth now;

	machine_growth(&now);
	marking.told.swept = marking.sweep.swept;
	marking.told.skipped = marking.sweep.skipped;
	marking.told.resident_after = now.resident;
	marking.told.how = how;
	all->failed += how == GCPRELOAD_MARK_HOW_FAILED;
	all->discarded += how == GCPRELOAD_MARK_HOW_DISCARDED;
	all->pending = 0;
	tell_mark();
}

/* ---- beginning ---- */

/* A copy that does not fit takes the container with it. */
static bool has_room(const struct machine *machine, double needs)
{
	return !machine->limit ||
	       (double)machine->used + needs < LIMIT_SHARE * (double)machine->limit;
}

static bool has_room_for_mark(uint64_t resident)
{
	struct machine machine;

	machine_look(&machine);
	return has_room(&machine, NEEDS_SHARE * (double)resident);
}

static int begin_marker(uint64_t resident)
{
	int ret;

	freed_watch(process.attached && python_version.minor >= 12);
	ret = freed_begin(resident);

	if (ret < 0)
		return ret;
	ret = marker_begin(&marking.layout, resident);
	if (ret < 0)
		freed_end();
	kin_keep();
	return ret;
}

/* Asked again each second: said once. */
static bool allocator_has_place(void)
{
	bool is_full = !freed_can_begin();

	if (is_full && !marking.is_full)
		gcpreload_log(GCPRELOAD_LOG_INFO,
			      "no mark until one of the tools in the allocator is gone");
	marking.is_full = is_full;
	return !is_full;
}

/* Whether one may begin now; if not, it is told. */
static bool may_begin(struct tiers *tiers, uint64_t now_ns, uint64_t resident)
{
	struct gcpreload_marks *all = &process.status.marks;
	bool room = has_room_for_mark(resident);

	tiers_near_limit(tiers, !room);
	if (!room) {
		all->refused_memory++;
		tiers_mark_fails(tiers, now_ns);
		return false;
	}
	if (py_has_subinterpreters()) {
		tiers_mark_fails(tiers, now_ns);
		return false;
	}
	if (!allocator_has_place()) {
		tiers_mark_disturbed(tiers, now_ns);
		return false;
	}
	/* Memory that runs away is worse than two marks at once. */
	if (kin_hold() != -EWOULDBLOCK || tiers_runs_ahead(tiers))
		return true;
	all->refused_family++;
	tiers_mark_waits(tiers, now_ns);
	return false;
}

void marking_begin(PyObject *gc, struct tiers *tiers, uint64_t now_ns, const struct growth *now,
		   uint32_t why)
{
	uint64_t before, cpu_before;
	int ret;

	/* It takes a while to give its memory back. */
	if (!marker_gone())
		return;
	if (!may_begin(tiers, now_ns, now->resident))
		return;
	before = gcpreload_now_ns();
	cpu_before = gcpreload_thread_cpu_ns();
	ret = freezer_freeze(gc) ? begin_marker(now->resident) : -EINVAL;
	if (ret == 0) {
		tiers_copied(tiers, gcpreload_elapsed(cpu_before, gcpreload_thread_cpu_ns()));
		tiers_mark_begins(tiers);
		tell_beginning(before, gcpreload_elapsed(before, gcpreload_now_ns()), now, why);
		return;
	}
	kin_release();
	process.status.marks.failed++;
	gcpreload_log(GCPRELOAD_LOG_INFO, "a mark cannot begin: %s", strerror(-ret));
	tiers_mark_fails(tiers, now_ns);
}

/* ---- result and end ---- */

static void drop_mark(bool wait)
{
	marker_end(wait);
	freed_end();
	kin_release();
	marking.sweep = (struct sweep){ .garbage = NULL };
}

static void drop_with_reason(enum gcpreload_mark_how how, const char *why)
{
	gcpreload_log(GCPRELOAD_LOG_INFO, "a mark came to nothing: %s", why);
	tell_end(how);
	drop_mark(false);
}

void marking_give_up(struct tiers *tiers, uint64_t now_ns, const char *why)
{
	drop_with_reason(GCPRELOAD_MARK_HOW_FAILED, why);
	tiers_mark_fails(tiers, now_ns);
}

/* Somebody has taken our wrapper off, or put another one above it: what was freed is not known. */
static bool is_disturbed(struct tiers *tiers, uint64_t now_ns)
{
	if (freed_is_sure())
		return false;
	drop_with_reason(GCPRELOAD_MARK_HOW_DISCARDED, "the allocator was replaced");
	tiers_mark_disturbed(tiers, now_ns);
	return true;
}

static void take_result(struct tiers *tiers, uint64_t now_ns)
{
	const struct graph_garbage *garbage = marker_result();

	kin_release();
	tell_result(garbage);
	tiers_mark_ends(tiers, now_ns, garbage->live, garbage->garbage, marker_cpu_ns());
	sweep_take(&marking.sweep, garbage);
	tiers->left = sweep_left(&marking.sweep);
}

static void end_sweep(struct tiers *tiers, uint64_t now_ns)
{
	tell_end(GCPRELOAD_MARK_HOW_DONE);
	gcpreload_log(
	    GCPRELOAD_LOG_DEBUG,
	    "mark: fork %.1f ms, %.1f ms, cpu %.1f ms; %llu live, %llu garbage, %llu swept, "
	    "%llu skipped, %llu page faults, %llu -> %llu MB",
	    (double)marking.told.fork_ns / 1e6, (double)marking.told.mark_ns / 1e6,
	    (double)marking.told.cpu_ns / 1e6, (unsigned long long)marking.told.live,
	    (unsigned long long)marking.told.garbage, (unsigned long long)marking.told.swept,
	    (unsigned long long)marking.told.skipped, (unsigned long long)marking.told.faults,
	    (unsigned long long)marking.told.resident_before >> 20,
	    (unsigned long long)marking.told.resident_after >> 20);
	drop_mark(false);
	tiers_swept(tiers, now_ns, marking.told.resident_after);
}

void marking_look(struct tiers *tiers, uint64_t now_ns)
{
	enum marker_is is = marker_look(now_ns);

	if (is == MARKER_FAILED)
		marking_give_up(tiers, now_ns, marker_why());
	if (is != MARKER_RUNS && is != MARKER_DONE)
		return;
	if (is_disturbed(tiers, now_ns) || is == MARKER_RUNS)
		return;
	if (!marking.sweep.garbage)
		take_result(tiers, now_ns);
	if (!sweep_next(&marking.sweep))
		end_sweep(tiers, now_ns);
}

bool marking_mind_limits(const struct tiers *tiers, uint64_t now_ns)
{
	struct machine machine;
	bool used_up;

	if (!tiers->out || tiers->left ||
	    gcpreload_elapsed(marking.quota_ns, now_ns) < QUOTA_EVERY_NS)
		return true;
	machine_look(&machine);
	used_up = marking.quota_ns && machine.throttled_ns > marking.throttled_ns;
	marking.quota_ns = now_ns;
	marking.throttled_ns = machine.throttled_ns;
	marker_pause(used_up && !tiers_runs_ahead(tiers));
	return has_room(&machine, 0);
}

static void tell_slice(uint64_t given, uint64_t most)
{
	struct gcpreload_marks *all = &process.status.marks;

	all->slices++;
	all->swept += given;
	all->oversize += given > most;
	all->pending = sweep_left(&marking.sweep);
	process_update();
}

uint64_t marking_slice(struct tiers *tiers, uint64_t most, bool oversize)
{
	uint64_t skipped = marking.sweep.skipped, given;

	if (!sweep_next(&marking.sweep) || is_disturbed(tiers, gcpreload_now_ns()))
		return 0;
	given = sweep_some(&marking.sweep, most, oversize);
	process.status.marks.skipped += marking.sweep.skipped - skipped;
	if (given)
		tell_slice(given, most);
	tiers->left = sweep_left(&marking.sweep);
	return given;
}

static void discard_mark(bool wait)
{
	if (marker_look(gcpreload_now_ns()) != MARKER_NONE)
		tell_end(GCPRELOAD_MARK_HOW_DISCARDED);
	drop_mark(wait);
}

void marking_over(void)
{
	discard_mark(false);
}

void marking_end(void)
{
	discard_mark(true);
}

void marking_forget(void)
{
	marker_forget();
	freed_forget();
	kin_forget();
	marking.sweep = (struct sweep){ .garbage = NULL };
}

void marking_stop(void)
{
	marker_stop();
	freed_stop();
}
