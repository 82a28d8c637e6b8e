/* SPDX-License-Identifier: MIT */
/* A process that is attached to while it runs, and left again. */
#include <errno.h>

#include "engine/begin.h"
#include "engine/engine.h"
#include "engine/entrance.h"
#include "engine/freed.h"
#include "engine/marker.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/tuner.h"
#include "inject/observer.h"

void gcpreload_engine_attaches(void)
{
	begin_by_attach();
}

int gcpreload_engine_attached(void)
{
	struct gil_guard guard;
	int ret = 0;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return -EAGAIN;
	if (!process_publish() && settings->ring != GCPRELOAD_RING_OFF)
		ret = process.ring_error ? process.ring_error : -EIO;
	entrance_close(&guard, gc);
	return ret;
}

/* As at the interpreter's exit, and what a mode has done is undone. */
static void attached_leave(PyObject *gc)
{
	process.job = false;
	process.mode = GCPRELOAD_MODE_OFF;
	tuner_thaw(gc);
	pacing_forget();
	marker_end(true);
	freed_end();
	process.status.state = GCPRELOAD_STATE_OFF;
	process_text(reason, GCPRELOAD_DETACHED);
	process_update();
	observer_detach(gc);
}

int gcpreload_engine_detach(void)
{
	struct gil_guard guard;
	PyObject *gc;

	if (entrance_is_open())
		return -EBUSY;
	if (!entrance_open(&guard, &gc))
		return -EAGAIN;
	attached_leave(gc);
	entrance_close(&guard, gc);
	process_detached();
	return 0;
}
