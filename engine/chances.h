/* SPDX-License-Identifier: MIT */
/*
 * Collections while the server waits: the entrances gcpreload_engine_chance, _collect and _woke of
 * engine.h. Nothing else of the engine calls them.
 *
 *	waits are looked at        chance()                    collect()
 *	       |                      |                           |
 *	process.wants_chances --> other threads at work? --yes--> BUSY: the caller waits in slices
 *	                              | no                            and asks again
 *	                          is something due (pacer)? --no--> NONE: the wait goes on
 *	                              | yes
 *	                             DUE: the caller looks for work without waiting; there is none
 *	                              |
 *	                   the thread's loop must do it itself? --yes--> deferred, until it has
 *	                              | no
 *	                   another process of the family collects? --yes--> refused, next time
 *	                              | no
 *	                          the collection; woke() says whether work had come meanwhile
 */
#ifndef GCPRELOAD_ENGINE_CHANCES_H
#define GCPRELOAD_ENGINE_CHANCES_H

/* This process was tuned just now. GIL held. */
void chances_begin(void);

#endif
