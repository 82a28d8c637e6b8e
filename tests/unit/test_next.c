/* SPDX-License-Identifier: MIT */
/* What is found without dlsym is what dlsym finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/dl.h"
#include "preload/next.h"
#include "preload/real.h"

static void every_function_is_the_one_that_dlsym_finds(void **state)
{
	static const char *const names[] = {
#define F(type, name, args) #name,
		REAL_FUNCTIONS(F)
#undef F
	};
	size_t i;

	(void)state;
	assert_true(dl_is_here());
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		assert_non_null(next_function(names[i]));
		assert_ptr_equal(next_function(names[i]), dlsym(RTLD_NEXT, names[i]));
	}
}

/* Two versions of it are in libc; the older one is hidden. */
static void of_several_versions_the_default_is_found(void **state)
{
	(void)state;
	assert_ptr_equal(next_function("pthread_cond_wait"), dlsym(RTLD_NEXT, "pthread_cond_wait"));
	assert_ptr_not_equal(next_function("pthread_cond_wait"),
			     dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.2.5"));
}

static void what_is_not_there_is_not_found(void **state)
{
	(void)state;
	assert_null(next_function("gcpreload_no_such_function"));
	assert_null(next_function(""));
	/* Of the main program, which is where this is: not behind it. */
	assert_null(next_function("main"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_is_the_one_that_dlsym_finds),
		cmocka_unit_test(of_several_versions_the_default_is_found),
		cmocka_unit_test(what_is_not_there_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
