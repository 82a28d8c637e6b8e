/* SPDX-License-Identifier: MIT */
/* The page itself, made of cli/export/page/ by the Makefile. */
#include "cli/export/page.h"
#include "cli/memory.h"

/* page_head and page_tail, between which the data of a saved page stands; page_policy_text. */
#include "page/page.inc"

const char *page_live(void)
{
	static char *live;

	if (!live)
		live = format_text("%s%s", page_head, page_tail);
	return live;
}

const char *page_policy(void)
{
	static char *policy;

	/* A browser takes the rest from the page itself, too, but not this. */
	if (!policy)
		policy = format_text("%s; frame-ancestors 'none'", page_policy_text);
	return policy;
}

void page_save(FILE *out, struct gather *gather, const struct page_style *style)
{
	fputs(page_head, out);
	page_data(out, gather, style, true, true);
	fputs(page_tail, out);
}
