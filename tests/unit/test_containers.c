/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "cli/containers.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "0a1b2c3d-1111-2222-3333-444455556666"

static void by_cgroup(void **state)
{
	static const struct {
		const char *cgroup, *id, *pod_uid;
	} cases[] = {
		{ "/docker/" ID, "0123456789ab", "" },
		{ "/system.slice/docker-" ID ".scope", "0123456789ab", "" },
		{ "/kubepods/burstable/pod" UID "/" ID, "0123456789ab", UID },
		{ "/kubepods.slice/kubepods-burstable.slice/"
		  "kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/"
		  "cri-containerd-" ID ".scope",
		  "0123456789ab", UID },
		{ "/machine.slice/libpod-" ID ".scope", "0123456789ab", "" },
		{ "/docker/" ID "0", "", "" },
		{ "/podman/pod0a1b2c3d", "", "" },
		{ "/pod" UID "0", "", "" },
		{ "/user.slice/user-1000.slice", "", "" },
		{ "/", "", "" },
		{ "", "", "" },
	};
	struct container container;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gcpreload_header h = { .pid = 1 };

		strcpy(h.cgroup, cases[i].cgroup);
		container_of(&container, &h);
		assert_string_equal(container.id, cases[i].id);
		assert_string_equal(container.pod_uid, cases[i].pod_uid);
	}
}

static void by_pid_namespace(void **state)
{
	struct gcpreload_header h = { .pid = 1, .cgroup = "/", .pid_namespace = 4026532281u };
	struct container container;

	(void)state;
	container_of(&container, &h);
	assert_string_equal(container.id, "pid-4026532281");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_cgroup),
		cmocka_unit_test(by_pid_namespace),
	};

	return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
