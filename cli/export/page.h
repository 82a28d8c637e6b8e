/* SPDX-License-Identifier: MIT */
/* The page for people: one HTML document that draws what page_data says. */
#ifndef GCPRELOAD_CLI_EXPORT_PAGE_H
#define GCPRELOAD_CLI_EXPORT_PAGE_H

#include <stdio.h>

#include "cli/export/gather.h"

struct page_style {
	bool commands; /* show command lines, which may carry secrets */
};

/* The page, which asks for /data.json again and again. */
const char *page_live(void);

/* What a browser may do for it: run this script, use this style, ask this server. */
const char *page_policy(void);

/* What was gathered: figures of each service and in total, of the processes with the largest
 * share of time in collections, and of the last minutes where asked for. So much of each at most
 * that a thousand processes are no more than a page needs. saved: it can stand in
 * an HTML element, and is marked. The caller looks at out for errors. */
void page_data(FILE *out, struct gather *gather, const struct page_style *style, bool saved,
	       bool with_history);

/* The page with what was gathered in it: it asks nobody, and can be opened without a server. */
void page_save(FILE *out, struct gather *gather, const struct page_style *style);

#endif
