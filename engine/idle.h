/* SPDX-License-Identifier: MIT */
/* Collections while the server waits: pacer.h's decisions, carried out. GIL held unless said
 * otherwise, in the main interpreter; gc is the gc module. */
#ifndef GCPRELOAD_ENGINE_IDLE_H
#define GCPRELOAD_ENGINE_IDLE_H

#include "inject/inject.h"
#include "inject/pyapi.h"
#include "ring/writer.h"

/* This process was tuned just now, by a collection that took ready_ns. */
void idle_begin(PyObject *gc, uint64_t ready_ns);

/* It is not, any more: thawed, standing back, or a new process. */
void idle_end(void);

/* A collection has ended, inside gc.callbacks. Asks for gcpreload_inject_soon where something
 * is to be done. */
void idle_observed(const struct gcpreload_event *event, uint64_t now_ns);

/* What idle_observed asked for, between two bytecodes. */
void idle_act(PyObject *gc);

#endif
