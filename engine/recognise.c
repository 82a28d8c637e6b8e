/* SPDX-License-Identifier: MIT */
#include "engine/recognise.h"

#include "engine/collector.h"
#include "engine/tuner.h"
#include "rules/recipe.h"

static int64_t recognise_generations(PyObject *gc)
{
	PyObject *stats = py_call(gc, "get_stats", NULL);
	int64_t n = stats ? py.PyList_Size(stats) : -1;

	py_drop(stats);
	return n;
}

static bool recognise_add_list(PyObject *list)
{
	PyObject *item = py.PyList_New(0);
	bool ok = item && py.PyList_Append(list, item) == 0;

	py_drop(item);
	return ok;
}

/* How much the count of the youngest generation grows by so many new lists, which go again. A
 * collection between the two looks would take the first away: then it is tried again. */
static int64_t recognise_counted(PyObject *gc, int n)
{
	int64_t before[GCPRELOAD_GENERATIONS], after[GCPRELOAD_GENERATIONS] = { 0 };
	int tries, i;

	for (tries = 0; tries < 2; tries++) {
		PyObject *list = py.PyList_New(0);
		bool ok = list && collector_counts(gc, before);

		for (i = 0; ok && i < n; i++)
			ok = recognise_add_list(list);
		ok = ok && collector_counts(gc, after);
		py_drop(list);
		if (!ok)
			return -1;
		if (after[0] >= before[0])
			return after[0] - before[0];
	}
	return -1;
}

/* What the known versions count is known, and each start would pay for the question. Nobody else
 * has set thresholds yet, but where a host loads Python late. */
bool recognise_collector(PyObject *gc)
{
	struct recipe_shown shown = { .generations = GCPRELOAD_GENERATIONS,
				      .counted = RECIPE_MADE };
	int32_t before[GCPRELOAD_GENERATIONS];

	if (!tuner_note_defaults(gc))
		return false;
	tuner_thresholds(shown.thresholds, before);
	if (python_version.minor > PYVERSION_TUNED) {
		shown.generations = recognise_generations(gc);
		shown.counted = recognise_counted(gc, RECIPE_MADE);
	}
	recipe_recognise(&python_version, &shown);
	return true;
}
