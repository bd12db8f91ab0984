#include "orchestrator/assignment_shares.h"

#include <errno.h>

#include "common/json.h"
#include "orchestrator/assignment.h"
#include "orchestrator/shares.h"

/* A path that only we add; the runner takes it as it takes a share. */
static int assignment_add_share(json_t *list, const char *path, bool write)
{
	return json_array_append_new(list, json_pack("{s:s,s:b}", "path", path,
						     "write", write));
}

/* Adds to the permission name, which is a list or none. */
static int assignment_add_path(json_t *permissions, const char *name,
			       const char *path)
{
	json_t *list = json_object_get(permissions, name);

	if (json_is_array(list))
		return json_array_append_new(list, json_string(path));
	return json_object_set_new(permissions, name, json_pack("[s]", path));
}

/* Every share, and its own work dir and /tmp. */
static int assignment_allow_shares(const struct assignment *a,
				   json_t *permissions, json_t *list)
{
	const json_t *share;
	size_t i;
	int r = 0;

	if (!a->host.name)
		r |= assignment_add_share(list, "/tmp", true);
	r |= assignment_add_path(permissions, "write", ".");
	json_array_foreach(list, i, share) {
		const char *path = json_get_str(share, "path", "");

		r |= assignment_add_path(permissions, "read", path);
		if (json_get_bool(share, "write", false))
			r |= assignment_add_path(permissions, "write", path);
	}
	return r;
}

int assignment_shares_paths(const struct assignment *a, struct buf *out)
{
	_cleanup_json_ json_t *paths = json_array();

	for (size_t i = 0; a->offered && i < a->offered->n; i++) {
		const struct share *share = &a->offered->items[i];

		if (share_is_for(share, a->host.name) &&
		    json_array_append_new(paths, json_string(share->path)))
			return -ENOMEM;
	}
	return json_append(out, paths);
}

int assignment_shares_add(const struct assignment *a, json_t *message,
			  const char *sdk_dir)
{
	json_t *permissions = json_object_get(message, "permissions"), *list;
	bool read_only = json_get_bool(json_object_get(a->json, "context"),
				       "read_only", false);
	int r = 0;

	if (!a->capability)
		return 0;
	list = a->shares == ASSIGNMENT_SHARES_NONE || !a->offered
		       ? json_array()
		       : shares_json(a->offered, a->host.name, read_only);
	if (!list || json_object_set_new(message, "shares", list))
		return -ENOMEM;
	if (a->shares == ASSIGNMENT_SHARES_ALL)
		r = assignment_allow_shares(a, permissions, list);
	if (sdk_dir)
		r |= assignment_add_share(list, sdk_dir, false);
	r |= json_object_set_new(message, "signals",
				 json_boolean(a->processes));
	return r ? -ENOMEM : 0;
}
