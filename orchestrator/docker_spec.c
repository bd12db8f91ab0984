#include "orchestrator/docker_spec.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "orchestrator/executor.h"
#include "orchestrator/shares.h"

#define DOCKER_SIDECAR_MEMORY_BYTES (256LL * 1024 * 1024)
#define DOCKER_SIDECAR_PIDS 8
#define DOCKER_SIDECAR_CPU_MILLI 1000
#define DOCKER_NANO_CPUS_PER_MILLI 1000000LL
#define DOCKER_TMPFS_MIN_BYTES (16ULL * 1024 * 1024)
#define DOCKER_TMPFS_MODE 01777
#define DOCKER_WORK_DIR "/work"
#define DOCKER_TMP_DIR "/tmp"

static json_t *docker_labels(const struct executor_spec *spec,
			     const struct docker_names *names, const char *role)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", DOCKER_LABEL_INSTANCE,
			 names->instance, "cronium.pod", spec->pod,
			 "cronium.execution", spec->execution, "cronium.job",
			 spec->job, "cronium.role", role);
}

json_t *docker_spec_network(const struct executor_spec *spec,
			    const struct docker_names *names,
			    const char *subnet)
{
	return json_pack("{s:s, s:s, s:b, s:b, s:{s:[{s:s}]}, s:o}", "Name",
			 names->network, "Driver", "bridge", "CheckDuplicate",
			 1, "EnableIPv6", 0, "IPAM", "Config", "Subnet", subnet,
			 "Labels", docker_labels(spec, names, "network"));
}

/* A bind mount; the engine refuses a source that does not exist instead of
 * making a directory of that name. */
static json_t *docker_mount(const char *source, const char *target)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "Type", "bind", "Source",
			 source, "Target", target, "ReadOnly", 1);
}

/* What both containers share: nothing may be gained, written or logged. */
static json_t *docker_host_config(const char *network, int64_t memory,
				  int64_t pids)
{
	return json_pack("{s:s, s:b, s:[s], s:[s], s:I, s:I, s:I, s:{s:s}, "
			 "s:[{s:s, s:i, s:i}], s:{s:s}, s:b}",
			 "NetworkMode", network, "ReadonlyRootfs", 1, "CapDrop",
			 "ALL", "SecurityOpt", "no-new-privileges", "Memory",
			 (json_int_t)memory, "MemorySwap", (json_int_t)memory,
			 "PidsLimit", (json_int_t)pids, "LogConfig", "Type",
			 "none", "Ulimits", "Name", "core", "Soft", 0, "Hard",
			 0, "RestartPolicy", "Name", "no", "AutoRemove", 0);
}

static json_t *docker_container(const char *image, const char *user,
				json_t *labels, json_t *host_config)
{
	/* The image's health check would run beside the script as our user. */
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:{s:[s]}, s:o, s:o}",
			 "Image", image, "User", user, "WorkingDir", "/",
			 "AttachStdin", 0, "AttachStdout", 0, "AttachStderr", 0,
			 "Healthcheck", "Test", "NONE", "Labels", labels,
			 "HostConfig", host_config);
}

static json_t *docker_sidecar_command(const struct executor_spec *spec)
{
	json_t *words = json_pack("[s, s, s, s, s, s]", "--control",
				  DOCKER_CONTROL_DIR "/control.sock",
				  "--listen", "localhost:8081", "--backend",
				  "unix:" DOCKER_BACKEND_DIR "/backend.sock");

	if (spec->proxy) {
		json_array_append_new(words, json_string("--proxy"));
		json_array_append_new(words, json_string("localhost:8082"));
		json_array_append_new(words, json_string("--door"));
		json_array_append_new(words, json_string(DOCKER_CONTROL_DIR
							 "/door.sock"));
	}
	return words;
}

json_t *docker_spec_sidecar(const struct executor_spec *spec,
			    const struct docker_names *names,
			    const struct docker_mounts *mounts)
{
	char user[32];
	json_t *host, *container;

	snprintf(user, sizeof(user), "%d:%d", DOCKER_SIDECAR_UID,
		 DOCKER_SIDECAR_UID);
	host = docker_host_config(names->network, DOCKER_SIDECAR_MEMORY_BYTES,
				  DOCKER_SIDECAR_PIDS);
	json_object_set_new(host, "NanoCpus",
			    json_integer(DOCKER_SIDECAR_CPU_MILLI *
					 DOCKER_NANO_CPUS_PER_MILLI));
	json_object_set_new(host, "Mounts",
			    json_pack("[o, o]",
				      docker_mount(mounts->sidecar_dir,
						   DOCKER_CONTROL_DIR),
				      docker_mount(mounts->backend_dir,
						   DOCKER_BACKEND_DIR)));
	container = docker_container(names->sidecar_image, user,
				     docker_labels(spec, names, "sidecar"),
				     host);
	json_object_set_new(container, "Cmd", docker_sidecar_command(spec));
	return container;
}

static unsigned long long docker_tmpfs_bytes(uint64_t memory_bytes)
{
	return MAX(memory_bytes, DOCKER_TMPFS_MIN_BYTES);
}

/* Paths where we mount something ourselves, which is no volume then. */
static bool docker_is_ours(const char *path)
{
	static const char *const ours[] = {
		DOCKER_WORK_DIR,   DOCKER_TMP_DIR, DOCKER_CONTROL_DIR,
		DOCKER_RUNNER_DIR, DOCKER_SDK_DIR, DOCKER_NODE_SDK_DIR,
	};
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strlen(ours[i]) == len && !strncmp(ours[i], path, len))
			return true;
	return false;
}

/* A volume would be a directory on the host's disk, as large as that. */
static void docker_cover_volumes(json_t *list, const json_t *volumes,
				 uint64_t memory_bytes)
{
	const char *path;
	json_t *ignored;

	/* jansson iterates over no const object. */
	json_object_foreach((json_t *)volumes, path, ignored)
		if (!docker_is_ours(path))
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:{s:I, s:i}}",
						"Type", "tmpfs", "Target", path,
						"TmpfsOptions", "SizeBytes",
						(json_int_t)docker_tmpfs_bytes(
							memory_bytes),
						"Mode", DOCKER_TMPFS_MODE));
}

/* At their own paths. */
static void docker_mount_shares(json_t *list,
				const struct docker_mounts *mounts)
{
	for (size_t i = 0; mounts->shares && i < mounts->shares->n; i++) {
		const struct share *share = &mounts->shares->items[i];
		json_t *mount;

		if (!share_is_for(share, NULL) || !mounts->host_shares ||
		    !mounts->host_shares[i])
			continue;
		mount = docker_mount(mounts->host_shares[i], share->path);
		if (share->write)
			json_object_set_new(mount, "ReadOnly", json_false());
		json_array_append_new(list, mount);
	}
}

static json_t *docker_script_mounts(const struct docker_mounts *mounts,
				    uint64_t memory_bytes)
{
	json_t *list = json_pack(
		"[o, o]", docker_mount(mounts->runner_dir, DOCKER_CONTROL_DIR),
		docker_mount(mounts->bin_dir, DOCKER_RUNNER_DIR));

	if (mounts->sdk_dir) {
		json_array_append_new(list, docker_mount(mounts->sdk_dir,
							 DOCKER_SDK_DIR));
		json_array_append_new(list, docker_mount(mounts->node_sdk_dir,
							 DOCKER_NODE_SDK_DIR));
	}
	docker_cover_volumes(list, mounts->volumes, memory_bytes);
	docker_mount_shares(list, mounts);
	return list;
}

/*
 * The script's places to write; they count towards its memory. /work belongs
 * to the script by mount option, because an image that has a /work of its own
 * lends the mount that one's mode.
 */
static json_t *docker_script_tmpfs(uint64_t memory_bytes)
{
	unsigned long long size = docker_tmpfs_bytes(memory_bytes);
	char work[128], tmp[128];

	snprintf(work, sizeof(work),
		 "rw,nosuid,nodev,exec,uid=%d,gid=%d,mode=0755,size=%llu",
		 DOCKER_SCRIPT_UID, DOCKER_SCRIPT_UID, size);
	snprintf(tmp, sizeof(tmp), "rw,nosuid,nodev,exec,mode=1777,size=%llu",
		 size);
	return json_pack("{s:s, s:s}", DOCKER_WORK_DIR, work, DOCKER_TMP_DIR,
			 tmp);
}

static json_t *docker_runner_args(const struct executor_spec *spec)
{
	if (!spec->payload_key || !spec->payload_key[0])
		return json_array();
	return json_pack("[s, s]", "--key", spec->payload_key);
}

json_t *docker_spec_script(const struct executor_spec *spec,
			   const struct docker_names *names,
			   const struct docker_mounts *mounts)
{
	char network[128];
	json_t *host, *container;

	snprintf(network, sizeof(network), "container:%s", names->sidecar);
	host = docker_host_config(network, (int64_t)spec->memory_bytes,
				  spec->pids);
	json_object_set_new(host, "NanoCpus",
			    json_integer(spec->cpu_milli *
					 DOCKER_NANO_CPUS_PER_MILLI));
	json_object_set_new(host, "CapAdd",
			    json_pack("[s, s, s]", "SETUID", "SETGID", "KILL"));
	json_object_set_new(host, "Mounts",
			    docker_script_mounts(mounts, spec->memory_bytes));
	json_object_set_new(host, "Tmpfs",
			    docker_script_tmpfs(spec->memory_bytes));
	container = docker_container(spec->image, "0:0",
				     docker_labels(spec, names, "script"),
				     host);
	json_object_set_new(
		container, "Entrypoint",
		json_pack("[s, s, s]", DOCKER_RUNNER_DIR "/cronium-runner",
			  "--control", DOCKER_CONTROL_DIR "/control.sock"));
	json_object_set_new(container, "Cmd", docker_runner_args(spec));
	return container;
}
