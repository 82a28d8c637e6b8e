/* SPDX-License-Identifier: MIT */
#include "engine/tiers.h"

#include "base/clock.h"

#define SECOND 1000000000ull

/* Until it was measured: a cost that is rather too high. What the collection at readiness took is
 * the cost of objects that live, one after the other; young ones are garbage more often, which is
 * freed besides. */
#define LOOK_AT_FIRST  250.
#define SWEEP_AT_FIRST 400.
#define COST_LEAST     20.
#define COST_MOST      5000.
#define COLD	       3.

/* Of a pause, so much is planned with: costs are near the worst, not above it. */
#define PLANNED .8
/* An automatic collection for fewer costs more for itself than for the objects. */
#define YOUNG_LEAST 700
#define SWEPT_LEAST 100 /* what is swept besides is what counts then */
#define YOUNG_MOST  20000
/* gc.get_count() subtracts each object that dies, old ones, too: an application that replaces old
 * objects by new ones has many more young ones than it tells. */
#define THRESHOLD_LEAST 50
#define RATIO_LEAST	.5
#define RATIO_MOST	1000.
/* More than were planned with are still looked at, so far. */
#define OVERFLOW_FACTOR 1.5
/* Of generation 1, so many that the next collection of it still fits: half of the pause is left for
 * what is young then. */
#define MIDDLE_SHARE .5
/* Collections of generation 0 until the interpreter would look at generation 1 by itself: where we
 * do not see its collections any more, whatever the reason, its own rules come back. */
#define LEASE 100

/* The same for generation 2, which at waits is ours to collect: moved on by each wait, and each
 * collection that we see. */
#define LEASE2 20

/* At a wait nobody is delayed but by what comes in the middle of it. */
#define WAIT_NS	       5000000.
#define WAIT_DUE_LEAST 2000
#define WAIT_DUE_MOST  10000
#define REACHED_NS     SECOND
#define POOR_YIELD     .02
#define RICH_YIELD     .25

/* Memory has grown: RSS says what objects hold besides themselves, and forgets those that died by
 * reference count. A quarter of GCPRELOAD_GROWTH, and a few megabytes for small processes. */
#define GROWN_SHARE .25
#define GROWN_BYTES (8ull << 20)
/* Less memory is what growth counts from soon, not at once: it may come and go with each request.
 * At fifty looks a second it takes twenty seconds. */
#define SHRINK_PART 1024
/* Of that, what a full collection at a wait is worth where it fits. */
#define WORTH_PART     .4
#define PROMOTED_LEAST 5000
/* What marks have found says what the next one will find. Not for little: a mark looks at all. */
#define GARBAGE_LEAST	 20000
#define SWEEP_RATE	 3.
#define SWEEP_RATE_AHEAD 6.
/* Memory runs ahead of the sweep, or of the marks, by such a share of what lives, and so much for
 * small programs; while a mark is out, the program is held back from so much on. */
#define AHEAD_SHARE   .5
#define HOLD_SHARE    .25
#define AHEAD_BYTES   (32ull << 20)
#define AHEAD_OBJECTS 100000.

/* Pauses that looking at generation 1 would take, where waits do not come: the interpreter would
 * have looked by then. */
#define PILE 4.
/* Full collections may take a hundredth of the time. */
#define FULL_SHARE    100
#define FULL_LEAST_NS SECOND
#define FULL_MOST_NS  (64 * SECOND)
#define FULL_MEASURED 500

/* The process stands still to be copied: its page tables are. For the first time, those of 4 KiB
 * pages; huge ones take less. */
#define COPY_AT_FIRST_NS 22000000. /* for each GiB */
#define COPY_SHORT_NS	 5000000.

#define FAILED_FIRST_NS SECOND
#define WAITS_NS	(SECOND / 10)
#define FAILED_MOST_NS	(64 * SECOND)

static double clamp_number(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

/* Near the worst: half way up at once, down slowly. */
static void learn_cost(double *cost, double ns)
{
	*cost += (ns - *cost) * (ns > *cost ? .5 : 1. / 64);
	*cost = clamp_number(*cost, COST_LEAST, COST_MOST);
}

/* Garbage among what was promoted since the last mark began, if it is as before. Where memory has
 * holes that are filled again, its size says nothing of that. */
static double expected_garbage(const struct tiers *tiers)
{
	return tiers->yield * (double)tiers->promoted;
}

static bool is_beyond(const struct tiers *tiers, double share, uint64_t resident)
{
	return expected_garbage(tiers) > share * (double)tiers->live + AHEAD_OBJECTS ||
	       (resident &&
		(double)tiers->seen > (1 + share) * (double)resident + (double)AHEAD_BYTES);
}

bool tiers_runs_ahead(const struct tiers *tiers)
{
	return is_beyond(tiers, AHEAD_SHARE, tiers->resident);
}

/* Objects that are swept for each that is looked at, or the program makes garbage faster than it is
 * freed. */
static double sweep_rate(const struct tiers *tiers)
{
	return !tiers->left ? 0 : tiers_runs_ahead(tiers) ? SWEEP_RATE_AHEAD : SWEEP_RATE;
}

/* Objects that an automatic collection can look at in a pause, besides what it sweeps. */
static double pause_objects(const struct tiers *tiers)
{
	double each = tiers->look_ns + sweep_rate(tiers) * tiers->sweep_ns;

	if (tiers_holds_back(tiers))
		return YOUNG_LEAST;
	return clamp_number(PLANNED * (double)tiers->limits.pause_ns / each,
			    tiers->left ? SWEPT_LEAST : YOUNG_LEAST, YOUNG_MOST);
}

static bool is_reached(const struct tiers *tiers, uint64_t now)
{
	return tiers->chance_ns && gcpreload_elapsed(tiers->chance_ns, now) < REACHED_NS;
}

/* So that there are as many young objects then. */
static int32_t threshold_for(const struct tiers *tiers, double objects)
{
	return (int32_t)clamp_number(objects / tiers->ratio, THRESHOLD_LEAST, YOUNG_MOST);
}

static void learn_ratio(struct tiers *tiers, double young)
{
	double ratio = young / (double)tiers->threshold0;

	tiers->ratio += (ratio - tiers->ratio) * (ratio > tiers->ratio ? .5 : 1. / 16);
	tiers->ratio = clamp_number(tiers->ratio, RATIO_LEAST, RATIO_MOST);
}

bool tiers_are_own(const struct tiers *tiers)
{
	return tiers->near || tiers->unreached || tiers->too_long || tiers->unguarded;
}

static void set_thresholds(struct tiers *tiers, int32_t first, int32_t second, int32_t third)
{
	const int32_t *given = tiers->limits.given;

	tiers->threshold0 = given[0] ? given[0] : first;
	tiers->threshold1 = given[1] ? given[1] : second;
	tiers->threshold2 = given[2] ? given[2] : third;
}

static int32_t lease_of_full(const struct tiers *tiers)
{
	int64_t most = tiers->count2 + LEASE2;

	if (tiers->threshold2 >= most - LEASE2 / 2 && tiers->threshold2 <= most)
		return tiers->threshold2;
	return most < INT32_MAX / 2 ? (int32_t)most : INT32_MAX / 2;
}

static void next_is_young(struct tiers *tiers)
{
	const int32_t *own = tiers->limits.own;

	if (tiers_are_own(tiers))
		set_thresholds(tiers, own[0], own[1], own[2]);
	else
		set_thresholds(tiers, threshold_for(tiers, pause_objects(tiers)),
			       tiers->limits.marks ? LEASE : LEASE2, lease_of_full(tiers));
}

static void next_is_middle(struct tiers *tiers)
{
	double objects = pause_objects(tiers) - tiers->middle;

	set_thresholds(tiers, threshold_for(tiers, objects > YOUNG_LEAST ? objects : YOUNG_LEAST),
		       0, lease_of_full(tiers));
}

static bool promote_middle(struct tiers *tiers)
{
	tiers->promoted += (uint64_t)tiers->middle;
	tiers->middle = 0;
	if (tiers->limits.marks)
		tiers->count2 = 0; /* gc.freeze() follows, and forgets it */
	next_is_young(tiers);
	return true;
}

/* What becomes of those that have survived once. */
static bool decide_middle(struct tiers *tiers, uint64_t now, double came)
{
	double room = pause_objects(tiers) * MIDDLE_SHARE;

	next_is_young(tiers);
	if (tiers->near || !tiers->limits.marks)
		return false;
	if (is_reached(tiers, now))
		return tiers->middle * tiers->look_ns > .75 * WAIT_NS ? promote_middle(tiers)
								      : false;
	if (tiers->middle > room)
		return promote_middle(tiers);
	if (tiers->middle + came > room)
		next_is_middle(tiers);
	return false;
}

void tiers_begin(struct tiers *tiers, const struct tiers_limits *limits, uint64_t frozen,
		 uint64_t ready_ns)
{
	double each = frozen ? (double)ready_ns / (double)frozen : LOOK_AT_FIRST / COLD;
	double cost = COLD * each;

	*tiers = (struct tiers){
		.limits = *limits,
		.look_ns = clamp_number(cost, LOOK_AT_FIRST / 2, LOOK_AT_FIRST * 4),
		.sweep_ns = SWEEP_AT_FIRST,
		.wait_due = WAIT_DUE_LEAST,
		.full_ns = clamp_number(cost, COST_LEAST, COST_MOST),
		.ready_ns = clamp_number(each, COST_LEAST, COST_MOST),
		.copy_ns = COPY_AT_FIRST_NS / (double)(1ull << 30),
		.ratio = 1,
		.live = limits->marks ? frozen : 0,
	};
	next_is_young(tiers);
}

uint64_t tiers_most(const struct tiers *tiers, int generation)
{
	double most = OVERFLOW_FACTOR * pause_objects(tiers) - (generation ? tiers->middle : 0);

	return tiers->near || !tiers->limits.marks
		   ? UINT64_MAX
		   : (uint64_t)(most > YOUNG_LEAST ? most : YOUNG_LEAST);
}

void tiers_overflows(struct tiers *tiers, uint64_t young)
{
	learn_ratio(tiers, 2. * (double)young);
	tiers->middle += (double)young;
	promote_middle(tiers);
}

uint64_t tiers_slice(const struct tiers *tiers)
{
	return (uint64_t)(sweep_rate(tiers) * pause_objects(tiers));
}

bool tiers_holds_back(const struct tiers *tiers)
{
	return tiers->out && !tiers->left && is_beyond(tiers, HOLD_SHARE, tiers->at_mark);
}

bool tiers_waits_come(const struct tiers *tiers, uint64_t now)
{
	return is_reached(tiers, now) && !tiers_runs_ahead(tiers);
}

static void learn_costs(struct tiers *tiers, double looked, double swept, double cpu_ns)
{
	double rest = cpu_ns - looked * tiers->look_ns * .5;

	if (swept >= YOUNG_LEAST / 2.)
		learn_cost(&tiers->sweep_ns, rest / swept);
	else if (looked >= YOUNG_LEAST / 2.)
		learn_cost(&tiers->look_ns, cpu_ns / looked);
}

bool tiers_collected(struct tiers *tiers, uint64_t now, int generation, uint64_t young,
		     uint64_t swept, uint64_t collected, uint64_t cpu_ns)
{
	double looked = (double)young + (generation ? tiers->middle : 0);
	double all = looked + (double)swept;
	double survived = all > (double)collected ? all - (double)collected : 0;

	tiers->count2 += generation > 0;
	learn_costs(tiers, looked, (double)swept, (double)cpu_ns);
	if (young)
		learn_ratio(tiers, (double)young);
	if (generation) {
		tiers->middle = survived;
		return promote_middle(tiers) && !tiers->near && tiers->limits.marks;
	}
	tiers->middle += survived;
	return decide_middle(tiers, now, survived);
}

void tiers_waited(struct tiers *tiers, uint64_t looked, uint64_t collected)
{
	double yield = looked ? (double)collected / (double)looked : 0;
	double due = (double)tiers->wait_due;

	if (yield < POOR_YIELD)
		due *= 2;
	else if (yield > RICH_YIELD)
		due /= 2;
	tiers->wait_due = (int64_t)clamp_number(due, WAIT_DUE_LEAST, WAIT_DUE_MOST);
}

/* What takes too long there is the interpreter's: by its own rules, until it fits again. */
static enum tiers_wait fits_budget(struct tiers *tiers, double there, bool middle_due)
{
	double budget = (double)tiers->limits.budget_ns, young = there * tiers->look_ns;
	double old = (double)(tiers->live + tiers->promoted) * tiers->full_ns;
	bool full = (tiers->full_due || tiers->full_worth) && young + old <= budget;

	tiers->too_long = (tiers->full_due && !full) || (middle_due && young > budget);
	next_is_young(tiers);
	if (full)
		return TIERS_FULL;
	if (middle_due && young <= budget)
		return TIERS_MIDDLE;
	return tiers->too_long ? TIERS_REFUSED : TIERS_NOTHING;
}

void tiers_note_count2(struct tiers *tiers, int64_t count2)
{
	tiers->count2 = count2;
	if (!tiers_are_own(tiers))
		set_thresholds(tiers, tiers->threshold0, tiers->threshold1, lease_of_full(tiers));
}

enum tiers_wait tiers_at_wait(struct tiers *tiers, uint64_t now, int64_t count0)
{
	double there = (double)count0 * tiers->ratio + tiers->middle;
	bool due = there >= (double)tiers->wait_due;

	tiers->chance_ns = now;
	if (tiers->left)
		return TIERS_SWEEP;
	if (!tiers->limits.marks)
		return fits_budget(tiers, there, due);
	return due && there * tiers->look_ns <= 1.25 * WAIT_NS ? TIERS_MIDDLE : TIERS_NOTHING;
}

uint64_t tiers_wait_most(const struct tiers *tiers)
{
	double most = WAIT_NS / tiers->look_ns - tiers->middle;

	return (uint64_t)(most > YOUNG_LEAST ? most : YOUNG_LEAST);
}

uint64_t tiers_wait_slice(const struct tiers *tiers)
{
	return (uint64_t)(WAIT_NS / 2 / tiers->sweep_ns);
}

/* Where next to nothing became old, it is not the old that has grown. */
static bool has_grown(const struct tiers *tiers, double part)
{
	double most = (double)tiers->resident * (1 + part * GROWN_SHARE * tiers->limits.growth);

	if (!(tiers->limits.growth > 0))
		return true;
	return (tiers->failures || tiers->promoted >= PROMOTED_LEAST) &&
	       (double)tiers->seen > most + part * (double)GROWN_BYTES;
}

static bool promises_garbage(const struct tiers *tiers)
{
	double garbage = expected_garbage(tiers);

	return garbage > GARBAGE_LEAST && garbage > tiers->limits.growth * (double)tiers->live;
}

/* The marker may use half of a core, where memory does not run ahead. */
static bool may_mark(const struct tiers *tiers, uint64_t now)
{
	if (tiers->out)
		return false;
	if (tiers->failures)
		return gcpreload_elapsed(tiers->mark_ns, now) >= tiers->pause_ns;
	if (!(tiers->limits.growth > 0))
		return true;
	return tiers_runs_ahead(tiers) || gcpreload_elapsed(tiers->mark_ns, now) >= tiers->pause_ns;
}

bool tiers_memory(struct tiers *tiers, uint64_t now, uint64_t resident, bool files, uint32_t *why)
{
	tiers->seen = resident;
	if (!tiers->resident)
		tiers->resident = resident;
	if (tiers->resident > resident)
		tiers->resident -= (tiers->resident - resident) / SHRINK_PART;
	*why = files		     ? GCPRELOAD_MARK_WHY_FILES
	       : has_grown(tiers, 1) ? GCPRELOAD_MARK_WHY_GROWTH
				     : GCPRELOAD_MARK_WHY_GARBAGE;
	tiers->full_due =
	    may_mark(tiers, now) && (files || has_grown(tiers, 1) || promises_garbage(tiers));
	tiers->full_worth =
	    !tiers->limits.marks && may_mark(tiers, now) && has_grown(tiers, WORTH_PART);
	return tiers->full_due;
}

bool tiers_piles_up(const struct tiers *tiers)
{
	return tiers->middle * tiers->look_ns > PILE * (double)tiers->limits.pause_ns;
}

void tiers_out_of_reach(struct tiers *tiers, bool unreached, bool unguarded)
{
	if (tiers->unreached == unreached && tiers->unguarded == unguarded)
		return;
	tiers->unreached = unreached;
	tiers->unguarded = unguarded;
	next_is_young(tiers);
}

void tiers_near_limit(struct tiers *tiers, bool near)
{
	if (tiers->near == near)
		return;
	tiers->near = near;
	next_is_young(tiers);
}

bool tiers_copy_is_dear(const struct tiers *tiers)
{
	double copy = tiers->copy_ns * (double)tiers->seen;
	double objects = (double)(tiers->live + tiers->promoted) + tiers->middle;

	return tiers->limits.growth > 0 && copy > COPY_SHORT_NS && copy > tiers->ready_ns * objects;
}

void tiers_copied(struct tiers *tiers, uint64_t ns)
{
	if (tiers->seen)
		tiers->copy_ns = (double)ns / (double)tiers->seen;
}

void tiers_mark_begins(struct tiers *tiers)
{
	tiers->marking = tiers->promoted + (uint64_t)tiers->middle;
	tiers->promoted = 0;
	tiers->middle = 0;
	tiers->count2 = 0;
	tiers->at_mark = tiers->seen;
	tiers->out = true;
	next_is_young(tiers);
}

void tiers_mark_ends(struct tiers *tiers, uint64_t now, uint64_t live, uint64_t garbage,
		     uint64_t cpu_ns)
{
	double yield = tiers->marking ? (double)garbage / (double)tiers->marking : 0;

	/* More than thought at once: what lives has come together by then, and the rest goes. */
	yield = clamp_number(yield, 0, 1);
	tiers->yield = yield > tiers->yield ? yield : (tiers->yield + yield) / 2;
	tiers->live = live;
	tiers->left = garbage;
	tiers->mark_ns = now;
	tiers->pause_ns = cpu_ns;
	tiers->failures = 0;
	next_is_young(tiers);
}

void tiers_swept(struct tiers *tiers, uint64_t now, uint64_t resident)
{
	(void)now;
	tiers->marking = 0;
	tiers->left = 0;
	tiers->out = false;
	tiers->resident = tiers->seen = resident;
	next_is_young(tiers);
}

static void mark_came_to_nothing(struct tiers *tiers, uint64_t now, uint64_t wait_ns)
{
	tiers->promoted += tiers->marking;
	tiers->marking = 0;
	tiers->left = 0;
	tiers->out = false;
	tiers->mark_ns = now;
	tiers->pause_ns = wait_ns;
	next_is_young(tiers);
}

void tiers_mark_fails(struct tiers *tiers, uint64_t now)
{
	uint64_t wait = FAILED_FIRST_NS << (tiers->failures < 6 ? tiers->failures : 6);

	tiers->failures++;
	mark_came_to_nothing(tiers, now, wait < FAILED_MOST_NS ? wait : FAILED_MOST_NS);
}

/* Counted once: memory is looked after as where no mark can be. */
void tiers_mark_disturbed(struct tiers *tiers, uint64_t now)
{
	if (!tiers->failures)
		tiers->failures = 1;
	mark_came_to_nothing(tiers, now, FAILED_FIRST_NS);
}

void tiers_mark_waits(struct tiers *tiers, uint64_t now)
{
	tiers->mark_ns = now;
	tiers->pause_ns = WAITS_NS;
}

void tiers_all_collected(struct tiers *tiers, uint64_t now, uint64_t resident)
{
	tiers->middle = 0;
	tiers->promoted = 0;
	tiers->marking = 0;
	tiers->mark_ns = now;
	tiers->resident = tiers->seen = resident;
	tiers->left = 0;
	tiers->out = false;
	tiers->count2 = 0;
	tiers->full_due = tiers->full_worth = tiers->too_long = false;
	if (!tiers->limits.marks)
		tiers->live = 0;
	next_is_young(tiers);
}

void tiers_full(struct tiers *tiers, uint64_t now, uint64_t resident, uint64_t young,
		uint64_t collected, uint64_t cpu_ns)
{
	double old = (double)(tiers->live + tiers->promoted);
	double rest = (double)young + tiers->middle, wait = FULL_SHARE * (double)cpu_ns;
	double left = old + rest - (double)collected;

	if (old >= FULL_MEASURED)
		tiers->full_ns +=
		    (((double)cpu_ns - rest * tiers->look_ns * .5) / old - tiers->full_ns) * .5;
	tiers->full_ns = clamp_number(tiers->full_ns, COST_LEAST, COST_MOST);
	tiers_all_collected(tiers, now, resident);
	tiers->live = left > 0 ? (uint64_t)left : 0;
	tiers->pause_ns = (uint64_t)clamp_number(wait, FULL_LEAST_NS, FULL_MOST_NS);
}

void tiers_recounted(struct tiers *tiers, uint64_t old)
{
	if (old > INT64_MAX / 2)
		return; /* not known */
	if (tiers->promoted > old)
		tiers->promoted = old;
	tiers->live = old - tiers->promoted;
}
