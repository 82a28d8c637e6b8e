/* SPDX-License-Identifier: MIT */
/* The last minutes, from the events that the rings still have: a page that was just opened, or
 * saved, shows them at once. From then on it reckons itself, from one poll to the next. */
#ifndef GCPRELOAD_CLI_EXPORT_PAGE_HISTORY_H
#define GCPRELOAD_CLI_EXPORT_PAGE_HISTORY_H

#include "cli/export/gather.h"
#include "cli/json.h"

#define PAGE_HISTORY_TOTAL ((size_t)-1)

struct page_history;

struct page_history *page_history_read(const struct gather *gather);

/* The samples of a service of gather, or of all, as history.js has them: an array. */
void page_history_json(const struct page_history *history, size_t service, struct json *json);

void page_history_free(struct page_history *history);

#endif
