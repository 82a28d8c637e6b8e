/* SPDX-License-Identifier: MIT */
/* Any bytes as a saved report. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *cause = NULL;
	struct json_value *value = json_read((const char *)data, size, &cause);

	if (!value == !cause)
		abort();
	json_number(json_member(value, "processes"), "pid");
	json_forget(value);
	free(cause);
	return 0;
}
