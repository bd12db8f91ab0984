#include "orchestrator/docker_image.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hex.h"
#include "common/json.h"
#include "orchestrator/docker_api.h"
#include "orchestrator/tar.h"

#define DOCKER_IMAGE_BUILD_TIMEOUT_MS 1800000
#define DOCKER_IMAGE_TEXT_BYTES 1024

static const char docker_sidecar_dockerfile[] =
	"FROM scratch\n"
	"COPY cronium-sidecar /cronium-sidecar\n"
	"USER 65532:65532\n"
	"ENTRYPOINT [\"/cronium-sidecar\"]\n";

struct docker_waiter {
	LIST_ENTRY(docker_waiter) link;
	const struct docker_image_events *events;
	void *ctx;
};

/* One image on its way. */
struct docker_fetch {
	LIST_ENTRY(docker_fetch) link;
	struct docker_images *images;
	char *image;
	char error[DOCKER_IMAGE_TEXT_BYTES]; /* as the stream told it */
	LIST_HEAD(, docker_waiter) waiters;
};

struct docker_images {
	struct docker_api *api;
	char *sdk_dir;
	char *sidecar_path;
	char sidecar[sizeof(DOCKER_IMAGE_SIDECAR) + 1 +
		     DOCKER_IMAGE_HASH_CHARS];
	LIST_HEAD(, docker_fetch) fetches;
};

bool docker_image_is_own(const char *image)
{
	return !strncmp(image, DOCKER_IMAGE_PREFIX,
			strlen(DOCKER_IMAGE_PREFIX));
}

const char *docker_images_sidecar(const struct docker_images *images)
{
	return images->sidecar;
}

/* --- waiting ------------------------------------------------------------- */

static void docker_fetch_free(struct docker_fetch *fetch)
{
	struct docker_waiter *w;

	LIST_REMOVE(fetch, link);
	while ((w = LIST_FIRST(&fetch->waiters))) {
		LIST_REMOVE(w, link);
		free(w);
	}
	free(fetch->image);
	free(fetch);
}

static void docker_fetch_end(struct docker_fetch *fetch, const char *error)
{
	struct docker_waiter *w;

	while ((w = LIST_FIRST(&fetch->waiters))) {
		const struct docker_image_events *events = w->events;
		void *ctx = w->ctx;

		LIST_REMOVE(w, link);
		free(w);
		events->on_done(ctx, error);
	}
	docker_fetch_free(fetch);
}

void docker_images_forget(struct docker_images *images, const void *ctx)
{
	struct docker_fetch *fetch;
	struct docker_waiter *w, *next;

	LIST_FOREACH(fetch, &images->fetches, link)
		for (w = LIST_FIRST(&fetch->waiters); w; w = next) {
			next = LIST_NEXT(w, link);
			if (w->ctx != ctx)
				continue;
			LIST_REMOVE(w, link);
			free(w);
		}
}

/* --- what the engine tells ----------------------------------------------- */

/* Of a build the steps, of a pull everything. */
static bool docker_fetch_worth_telling(const struct docker_fetch *fetch,
				       const char *say)
{
	if (docker_image_is_own(fetch->image))
		return !strncmp(say, "Step ", 5);
	return say[strspn(say, " \n")] != '\0';
}

/* A build's line is {"stream"} or {"error"}, a pull's {"status"} or
 * {"error"}, a refusal's {"message"}; with "progress" it only moves a bar. */
static void docker_fetch_on_line(void *ctx, const char *line)
{
	struct docker_fetch *fetch = ctx;
	char ignored[64], text[DOCKER_IMAGE_TEXT_BYTES];
	_cleanup_json_ json_t *o = json_parse_object(line, strlen(line),
						     ignored, sizeof(ignored));
	const char *error = json_get_str(o, "error",
					 json_get_str(o, "message", NULL));
	const char *say = json_get_str(o, "stream",
				       json_get_str(o, "status", NULL));
	struct docker_waiter *w;

	if (error)
		snprintf(fetch->error, sizeof(fetch->error), "%s", error);
	if (!say || !docker_fetch_worth_telling(fetch, say) ||
	    json_object_get(o, "progress"))
		return;
	snprintf(text, sizeof(text), "%s: %.*s", fetch->image,
		 (int)strcspn(say, "\n"), say);
	LIST_FOREACH(w, &fetch->waiters, link)
		w->events->on_progress(w->ctx, text);
}

static void docker_fetch_on_done(void *ctx, const struct docker_reply *reply)
{
	struct docker_fetch *fetch = ctx;
	const char *why = fetch->error[0] ? fetch->error : reply->error;
	char text[2 * DOCKER_IMAGE_TEXT_BYTES];

	if (!why) {
		docker_fetch_end(fetch, NULL);
		return;
	}
	snprintf(
		text, sizeof(text),
		docker_image_is_own(fetch->image)
			? "image %s is not here and cannot be built: %s"
			: "image %s is not here and cannot be pulled: %s; check "
			  "its name, or 'docker pull' it by hand to see more",
		fetch->image, why);
	docker_fetch_end(fetch, text);
}

static const struct docker_call_ops docker_fetch_ops = {
	.on_line = docker_fetch_on_line,
	.on_done = docker_fetch_on_done,
};

/* --- building and pulling ------------------------------------------------ */

static int docker_image_context_sidecar(struct docker_images *images,
					struct tar *tar)
{
	int r = tar_add_bytes(tar, "Dockerfile", docker_sidecar_dockerfile,
			      strlen(docker_sidecar_dockerfile));

	return r < 0 ? r
		     : tar_add_file(tar, "cronium-sidecar",
				    images->sidecar_path);
}

/* As if the context were the source tree's root: docker/ and sdk/. */
static int docker_image_context_runtime(struct docker_images *images,
					const char *runtime, struct tar *tar)
{
	_cleanup_free_ char *dockerfile = NULL;
	int r;

	if (!images->sdk_dir)
		return -ENOENT;
	if (asprintf(&dockerfile, "%s/../docker/%s.Dockerfile", images->sdk_dir,
		     runtime) < 0)
		return -ENOMEM;
	r = tar_add_file(tar, "Dockerfile", dockerfile);
	return r < 0 ? r : tar_add_tree(tar, "sdk", images->sdk_dir);
}

static int docker_fetch_build(struct docker_fetch *fetch)
{
	struct docker_images *images = fetch->images;
	const char *name = fetch->image + strlen(DOCKER_IMAGE_PREFIX);
	_cleanup_(tar_freep) struct tar *tar = NULL;
	_cleanup_(buf_deinit) struct buf bytes = { 0 };
	_cleanup_free_ char *path = NULL;
	int r = tar_new(&tar);

	if (r == 0 && !strcmp(fetch->image, images->sidecar))
		r = docker_image_context_sidecar(images, tar);
	else if (r == 0)
		r = docker_image_context_runtime(images, name, tar);
	if (r == 0)
		r = tar_finish(tar, &bytes);
	if (r < 0)
		return r;
	if (asprintf(&path, "/build?t=%s&rm=1&forcerm=1", fetch->image) < 0)
		return -ENOMEM;
	return docker_api_upload(images->api, path, &bytes,
				 DOCKER_IMAGE_BUILD_TIMEOUT_MS,
				 &docker_fetch_ops, fetch);
}

static int docker_fetch_pull(struct docker_fetch *fetch)
{
	const char *slash = strrchr(fetch->image, '/');
	const char *name = slash ? slash : fetch->image;
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "/images/create?fromImage=%s%s", fetch->image,
		     strpbrk(name, ":@") ? "" : "&tag=latest") < 0)
		return -ENOMEM;
	return docker_api_call(fetch->images->api, "POST", path, NULL,
			       DOCKER_IMAGE_BUILD_TIMEOUT_MS, &docker_fetch_ops,
			       fetch, NULL);
}

static struct docker_fetch *docker_fetch_find(struct docker_images *images,
					      const char *image)
{
	struct docker_fetch *fetch;

	LIST_FOREACH(fetch, &images->fetches, link)
		if (!strcmp(fetch->image, image))
			return fetch;
	return NULL;
}

static int docker_fetch_begin(struct docker_images *images, const char *image,
			      struct docker_fetch **out)
{
	struct docker_fetch *fetch = calloc(1, sizeof(*fetch));
	int r;

	if (!fetch)
		return -ENOMEM;
	fetch->images = images;
	fetch->image = strdup(image);
	LIST_INIT(&fetch->waiters);
	LIST_INSERT_HEAD(&images->fetches, fetch, link);
	if (!fetch->image)
		r = -ENOMEM;
	else if (docker_image_is_own(image))
		r = docker_fetch_build(fetch);
	else
		r = docker_fetch_pull(fetch);
	if (r < 0) {
		docker_fetch_free(fetch);
		return r;
	}
	*out = fetch;
	return 0;
}

int docker_images_fetch(struct docker_images *images, const char *image,
			const struct docker_image_events *events, void *ctx)
{
	struct docker_fetch *fetch = docker_fetch_find(images, image);
	struct docker_waiter *w;
	int r;

	if (!fetch) {
		r = docker_fetch_begin(images, image, &fetch);
		if (r < 0)
			return r;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->events = events;
	w->ctx = ctx;
	LIST_INSERT_HEAD(&fetch->waiters, w, link);
	return 0;
}

/* --- set-up -------------------------------------------------------------- */

static int docker_image_hash(const char *path, char *out)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t block[65536], digest[EVP_MAX_MD_SIZE];
	ssize_t n = -1;
	int r = -EIO;

	if (fd >= 0 && md && EVP_DigestInit_ex(md, EVP_sha256(), NULL)) {
		while ((n = read(fd, block, sizeof(block))) > 0)
			EVP_DigestUpdate(md, block, (size_t)n);
		if (n == 0 && EVP_DigestFinal_ex(md, digest, NULL))
			r = 0;
	}
	EVP_MD_CTX_free(md);
	if (r == 0) {
		hex_encode(digest, DOCKER_IMAGE_HASH_CHARS / 2, out);
		out[DOCKER_IMAGE_HASH_CHARS] = '\0';
	}
	return r;
}

int docker_images_new(struct docker_images **out, struct docker_api *api,
		      const char *sdk_dir, const char *sidecar_path)
{
	struct docker_images *images = calloc(1, sizeof(*images));
	char hash[DOCKER_IMAGE_HASH_CHARS + 1] = "";
	int r;

	if (!images)
		return -ENOMEM;
	images->api = api;
	LIST_INIT(&images->fetches);
	images->sdk_dir = sdk_dir ? strdup(sdk_dir) : NULL;
	images->sidecar_path = strdup(sidecar_path);
	r = images->sidecar_path && (images->sdk_dir || !sdk_dir)
		    ? docker_image_hash(sidecar_path, hash)
		    : -ENOMEM;
	if (r < 0) {
		docker_images_free(images);
		return r;
	}
	snprintf(images->sidecar, sizeof(images->sidecar), "%s:%s",
		 DOCKER_IMAGE_SIDECAR, hash);
	*out = images;
	return 0;
}

void docker_images_free(struct docker_images *images)
{
	struct docker_fetch *fetch;

	if (!images)
		return;
	while ((fetch = LIST_FIRST(&images->fetches)))
		docker_fetch_free(fetch);
	free(images->sdk_dir);
	free(images->sidecar_path);
	free(images);
}
