/* The pure parts of the Docker executor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/docker_host.h"
#include "orchestrator/docker_spec.h"
#include "orchestrator/docker_subnet.h"
#include "orchestrator/docker_sweep.h"
#include "orchestrator/executor.h"

static void test_subnets_are_distinct_and_come_back(void **state)
{
	char first[DOCKER_SUBNET_TEXT_BYTES], text[DOCKER_SUBNET_TEXT_BYTES];
	struct docker_subnets *s;

	assert_int_equal(docker_subnets_new(&s, "10.231.0.0/27"), 0);
	assert_int_equal(docker_subnets_take(s, 0, first), 0);
	assert_string_equal(first, "10.231.0.0/29");
	assert_int_equal(docker_subnets_take(s, UINT32_MAX, text), 3);
	assert_string_equal(text, "10.231.0.24/29");
	/* What is taken is passed over, round and round. */
	assert_int_equal(docker_subnets_take(s, 7, text), 1);
	assert_string_equal(text, "10.231.0.8/29");
	assert_int_equal(docker_subnets_take(s, 0, text), 2);
	assert_int_equal(docker_subnets_take(s, 0, text), -ENOSPC);
	docker_subnets_give(s, 0);
	assert_int_equal(docker_subnets_take(s, 1, text), 0);
	docker_subnets_give(s, -1);
	docker_subnets_free(s);
}

static void test_subnet_pools_are_checked(void **state)
{
	static const char *const bad[] = {
		"",
		"10.0.0.0",
		"10.0.0.0/30",
		"10.0.0.0/7",
		"10.0.0.1/16",
		"10.0.0.0/16x",
		"300.0.0.0/16",
		"::/64",
		"10.0.0.0/",
		"10.0.0.0/-1",
	};
	struct docker_subnets *s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (docker_subnets_new(&s, bad[i]) != -EINVAL)
			fail_msg("accepted '%s'", bad[i]);
}

static void test_host_path_takes_the_longest_mount(void **state)
{
	static const char inspect[] =
		"{\"Mounts\":["
		"{\"Source\":\"/vols/lib\",\"Destination\":\"/var/lib\"},"
		"{\"Source\":\"/vols/cronium/_data\","
		"\"Destination\":\"/var/lib/cronium\"},"
		"{\"Source\":\"/x\",\"Destination\":\"/var/lib/cron\"}]}";
	char *path;

	assert_int_equal(
		docker_host_path(inspect, "/var/lib/cronium/run", &path), 0);
	assert_string_equal(path, "/vols/cronium/_data/run");
	free(path);
	assert_int_equal(docker_host_path(inspect, "/var/lib/cronium", &path),
			 0);
	assert_string_equal(path, "/vols/cronium/_data");
	free(path);
	assert_int_equal(docker_host_path(inspect, "/opt", &path), -ENOENT);
	assert_int_equal(docker_host_path("[", "/opt", &path), -ENOENT);
}

static const struct executor_spec spec = {
	.pod = "pod_1",
	.execution = "ex_1",
	.job = "job_1",
	.runtime = "python",
	.image = "cronium/python",
	.memory_bytes = 1 << 29,
	.cpu_milli = 1500,
	.pids = 256,
};
static const struct docker_names names = {
	.instance = "i1",
	.sidecar_image = "cronium/sidecar",
	.network = "none",
	.sidecar = "cronium-pod_1-sidecar",
};
static const struct docker_mounts mounts = {
	.sidecar_dir = "/h/s",
	.runner_dir = "/h/r",
	.backend_dir = "/h/b",
	.bin_dir = "/h/bin",
};

static void assert_hardened(const json_t *host)
{
	assert_true(json_is_true(json_object_get(host, "ReadonlyRootfs")));
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(host, "CapDrop"), 0)),
			    "ALL");
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(host, "SecurityOpt"), 0)),
			    "no-new-privileges");
	assert_true(json_integer_value(json_object_get(host, "Memory")) > 0);
	assert_true(json_integer_value(json_object_get(host, "PidsLimit")) > 0);
	assert_null(json_object_get(host, "Privileged"));
	assert_null(json_object_get(host, "PublishAllPorts"));
}

/* No mount of a container but those that its side may see. */
static void assert_mounts(const json_t *host, const char *const *sources,
			  size_t n)
{
	const json_t *list = json_object_get(host, "Mounts"), *mount;
	size_t i;

	assert_int_equal(json_array_size(list), n);
	json_array_foreach(list, i, mount) {
		assert_string_equal(json_string_value(
					    json_object_get(mount, "Source")),
				    sources[i]);
		assert_true(json_is_true(json_object_get(mount, "ReadOnly")));
	}
}

static void test_sidecar_container(void **state)
{
	static const char *const sources[] = { "/h/s", "/h/b" };
	json_t *c = docker_spec_sidecar(&spec, &names, &mounts);
	const json_t *host = json_object_get(c, "HostConfig");

	assert_hardened(host);
	assert_mounts(host, sources, 2);
	assert_null(json_object_get(host, "CapAdd"));
	assert_int_equal(json_integer_value(json_object_get(host, "NanoCpus")),
			 1000000000);
	assert_string_equal(json_string_value(json_object_get(c, "User")),
			    "65532:65532");
	assert_string_equal(json_string_value(
				    json_object_get(host, "NetworkMode")),
			    "none");
	json_decref(c);
}

static void test_script_container(void **state)
{
	static const char *const sources[] = { "/h/r", "/h/bin" };
	json_t *c = docker_spec_script(&spec, &names, &mounts);
	const json_t *host = json_object_get(c, "HostConfig");

	assert_hardened(host);
	assert_mounts(host, sources, 2);
	assert_int_equal(json_array_size(json_object_get(host, "CapAdd")), 3);
	assert_string_equal(
		json_string_value(json_array_get(
			json_object_get(json_object_get(c, "Healthcheck"),
					"Test"),
			0)),
		"NONE");
	assert_string_equal(json_string_value(
				    json_object_get(host, "NetworkMode")),
			    "container:cronium-pod_1-sidecar");
	assert_int_equal(json_integer_value(json_object_get(host, "NanoCpus")),
			 1500000000);
	assert_int_equal(json_integer_value(
				 json_object_get(host, "MemorySwap")),
			 1 << 29);
	json_decref(c);
}

static void test_volumes_are_covered(void **state)
{
	json_t *volumes = json_loads("{\"/data/\":{},\"/work\":{},\"/tmp/\":{},"
				     "\"/run/cronium/control\":{}}",
				     0, NULL);
	struct docker_mounts with = mounts;
	json_t *c, *list, *mount, *options;

	with.volumes = volumes;
	c = docker_spec_script(&spec, &names, &with);
	list = json_object_get(json_object_get(c, "HostConfig"), "Mounts");
	assert_int_equal(json_array_size(list), 3); /* one more */
	mount = json_array_get(list, 2);
	options = json_object_get(mount, "TmpfsOptions");
	assert_string_equal(json_string_value(json_object_get(mount, "Type")),
			    "tmpfs");
	assert_string_equal(json_string_value(json_object_get(mount, "Target")),
			    "/data/");
	assert_int_equal(json_integer_value(
				 json_object_get(options, "SizeBytes")),
			 1 << 29);
	json_decref(c);
	json_decref(volumes);
}

static void test_network(void **state)
{
	json_t *n = docker_spec_network(&spec, &names, "10.231.0.8/29");
	const json_t *config = json_object_get(json_object_get(n, "IPAM"),
					       "Config");

	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(config, 0), "Subnet")),
			    "10.231.0.8/29");
	json_decref(n);
}

static void test_sweep_takes_old_builds_only(void **state)
{
	static const char *const chosen[] = {
		"cronium/sidecar:0123456789ab",
		"cronium/sidecar:bbbbbbbbbbbb",
	};
	json_t *images = json_loads(
		"[{\"Created\":1000,\"RepoTags\":["
		"\"cronium/sidecar:0123456789ab\",\"cronium/sidecar:latest\","
		"\"cronium/sidecar:0123456789abc\","
		"\"cronium/sidecar:0123456789AB\"]},"
		"{\"Created\":1000,\"RepoTags\":[\"cronium/python:latest\","
		"\"cronium/sidecarcar:0123456789ab\","
		"\"cronium/sidecar:aaaaaaaaaaaa\",7]},"
		"{\"Created\":1000,\"RepoTags\":["
		"\"cronium/sidecar:bbbbbbbbbbbb\"]},"
		"{\"Created\":9500,\"RepoTags\":["
		"\"cronium/sidecar:cccccccccccc\"]},"
		"{\"Created\":1000,\"RepoTags\":null},null]",
		0, NULL);
	json_t *found = docker_sweep_choose(images,
					    "cronium/sidecar:aaaaaaaaaaaa",
					    10000);

	assert_int_equal(json_array_size(found), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(json_string_value(json_array_get(found, i)),
				    chosen[i]);
	json_decref(found);
	json_decref(images);
	found = docker_sweep_choose(NULL, "", 10000);
	assert_int_equal(json_array_size(found), 0);
	json_decref(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subnets_are_distinct_and_come_back),
		cmocka_unit_test(test_subnet_pools_are_checked),
		cmocka_unit_test(test_host_path_takes_the_longest_mount),
		cmocka_unit_test(test_volumes_are_covered),
		cmocka_unit_test(test_sweep_takes_old_builds_only),
		cmocka_unit_test(test_sidecar_container),
		cmocka_unit_test(test_script_container),
		cmocka_unit_test(test_network),
	};

	return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
