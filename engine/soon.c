/* SPDX-License-Identifier: MIT */
#include "engine/soon.h"

#include <stddef.h>
#include <stdint.h>

#include "base/shared.h"
#include "engine/engine.h"
#include "inject/gil.h"

/* The interpreter's queue has 32 places, and a main thread that blocks empties none of them: one is
 * ours, whatever is wanted. Any thread. */
static uint32_t soon_asked;
static void (*soon_function)(void);

void soon_calls(void (*function)(void))
{
	soon_function = function;
}

static int soon_run(void *unused)
{
	struct gil_guard guard;

	(void)unused;
	store_release(&soon_asked, 0);
	gil_keep(&guard);
	soon_function();
	gil_leave(&guard);
	return 0;
}

bool gcpreload_engine_soon(void)
{
	if (!py.Py_IsInitialized || !py.Py_IsInitialized() || py.Py_IsFinalizing())
		return false;
	if (exchange_acq_rel(&soon_asked, 1))
		return true;
	if (py.Py_AddPendingCall(soon_run, NULL) == 0)
		return true;
	store_release(&soon_asked, 0);
	return false;
}

void soon_forget(void)
{
	store_release(&soon_asked, 0);
}
