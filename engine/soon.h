/* SPDX-License-Identifier: MIT */
/* Something is to be done by the main thread, between two bytecodes (Py_AddPendingCall). */
#ifndef GCPRELOAD_ENGINE_SOON_H
#define GCPRELOAD_ENGINE_SOON_H

/* What gcpreload_engine_soon brings about; once, at the start. GIL held. */
void soon_calls(void (*function)(void));

/* In a forked child: what was asked for was asked for by its parent. */
void soon_forget(void);

#endif
