#include "orchestrator/shares.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/path.h"
#include "common/runtime_config.h"

/* What a pod has of its own: neither it nor what it lies in is to be shown in
 * its place. */
static const char *const shares_pod[] = {
	"/bin",         "/dev",          "/etc",         "/lib",
	"/lib64",       "/node_modules", "/proc",        "/sbin",
	"/opt/cronium", "/sys",          "/run/cronium", "/tmp",
	"/usr",         "/work",         "/var/tmp",     "/opt/bin",
};
/* Nor what lies below it. */
static const char *const shares_pod_whole[] = {
	"/dev",  "/var/tmp",     "/node_modules", "/opt/bin", "/opt/cronium",
	"/proc", "/run/cronium", "/sys",          "/work",
};

void shares_deinit(struct shares *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].host);
		free(s->items[i].path);
	}
	free(s->items);
	*s = (struct shares){ 0 };
}

/* --- reading the option --------------------------------------------------- */

static int share_fail(const char *text, const char *why, char *err,
		      size_t err_size)
{
	snprintf(err, err_size, "--share %.200s: %s", text, why);
	return -EINVAL;
}

/* "…:rw" and "…:ro"; the rest of what is left of the text. */
static void share_cut_mode(struct share *share, char *text)
{
	size_t len = strlen(text);
	const char *mode = len > 3 ? text + len - 3 : "";

	share->write = !strcmp(mode, ":rw");
	if (share->write || !strcmp(mode, ":ro"))
		text[len - 3] = '\0';
}

static int share_split(struct share *share, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *colon;

	if (!copy)
		return -ENOMEM;
	share_cut_mode(share, copy);
	colon = copy[0] == '/' ? NULL : strstr(copy, ":/");
	if (colon) {
		*colon = '\0';
		share->host = strdup(copy);
	}
	share->path = strdup(colon ? colon + 1 : copy);
	return share->path && (share->host || !colon) ? 0 : -ENOMEM;
}

/* On a host nobody can look before a job is there. */
static const char *share_check_here(const struct share *share)
{
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(share->path, real))
		return errno == ENOENT ? "there is no such directory"
				       : strerror(errno);
	if (strcmp(real, share->path) != 0)
		return "is not canonical (a link, \"..\" or a slash too "
		       "many): give the directory that it leads to";
	if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
		return "is no directory";
	for (size_t i = 0; i < ARRAY_SIZE(shares_pod); i++)
		if (path_covers(real, shares_pod[i]))
			return "is what pods have of their own: share a "
			       "directory below it";
	for (size_t i = 0; i < ARRAY_SIZE(shares_pod_whole); i++)
		if (path_covers(shares_pod_whole[i], real))
			return "is what pods have of their own";
	return NULL;
}

static const char *share_check_host(const struct share *share)
{
	char normal[PATH_MAX + 2];

	if (strlen(share->path) < PATH_MAX &&
	    path_normal(share->path, normal) && !strcmp(normal, share->path) &&
	    strcmp(normal, "/") != 0)
		return NULL;
	return "a host's is an absolute path without \".\" and \"..\", and not "
	       "the whole host";
}

static const char *share_check(const struct shares *s,
			       const struct share *share,
			       const char *const *kept)
{
	if (share->path[0] != '/')
		return "give an absolute path, such as /srv/files, or "
		       "HOST:/srv/files";
	if (s->n >= SHARES_MAX)
		return "there are too many; 32 can be given";
	if (share->host)
		return share_check_host(share);
	for (; *kept; kept++)
		if (path_covers(*kept, share->path) ||
		    path_covers(share->path, *kept))
			return "has the server's own data or sockets in it, "
			       "which nobody is shown";
	return share_check_here(share);
}

/* By path, so that what lies in another comes after it. */
static void shares_insert(struct shares *s, const struct share *share)
{
	size_t i = s->n++;

	for (; i > 0 && strcmp(s->items[i - 1].path, share->path) > 0; i--)
		s->items[i] = s->items[i - 1];
	s->items[i] = *share;
}

int shares_add(struct shares *s, const char *text, const char *const *kept,
	       char *err, size_t err_size)
{
	struct share share = { 0 }, *items = NULL;
	const char *wrong = NULL;
	int r = share_split(&share, text);

	if (!r)
		wrong = share_check(s, &share, kept);
	if (wrong)
		r = share_fail(text, wrong, err, err_size);
	if (!r)
		items = reallocarray(s->items, s->n + 1, sizeof(*items));
	if (items) {
		s->items = items;
		shares_insert(s, &share);
		return 0;
	}
	free(share.host);
	free(share.path);
	return r ? r : -ENOMEM;
}

/* --- finding -------------------------------------------------------------- */

bool share_is_for(const struct share *share, const char *host)
{
	if (!host || !share->host)
		return !host && !share->host;
	return !strcmp(share->host, SHARES_ANY_HOST) ||
	       !strcmp(share->host, host);
}

const struct share *shares_find(const struct shares *s, const char *host,
				const char *path)
{
	const struct share *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct share *share = &s->items[i];

		if (!share_is_for(share, host) ||
		    !path_covers(share->path, path))
			continue;
		if (!best || strlen(share->path) > strlen(best->path))
			best = share;
	}
	return best;
}

static bool shares_allow_list(const struct shares *s, const char *host,
			      const struct runtime_allow *list, char *why,
			      size_t why_size)
{
	for (size_t i = 0; list->items && list->items[i]; i++) {
		const char *path = list->items[i];

		if (shares_find(s, host, path))
			continue;
		snprintf(why, why_size,
			 "%.1024s is in no directory that is shared %s%s: the "
			 "orchestrator's --share %s%sDIR[:rw] lets "
			 "capabilities reach one",
			 path, host ? "of the host " : "here", host ? host : "",
			 host ? host : "", host ? ":" : "");
		return false;
	}
	return true;
}

bool shares_allow(const struct shares *s, const char *host,
		  const struct runtime_permissions *p, char *why,
		  size_t why_size)
{
	return shares_allow_list(s, host, &p->read, why, why_size) &&
	       shares_allow_list(s, host, &p->write, why, why_size);
}

json_t *shares_json(const struct shares *s, const char *host, bool read_only)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++) {
		const struct share *share = &s->items[i];

		if (share_is_for(share, host) &&
		    json_array_append_new(
			    list,
			    json_pack("{s:s,s:b}", "path", share->path, "write",
				      share->write && !read_only))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
