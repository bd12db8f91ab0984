#include "cli/dev_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dir(struct dev_place *p)
{
	const char *tmp = getenv("TMPDIR");
	int n;

	if (!tmp || *tmp != '/')
		tmp = "/tmp";
	n = snprintf(p->dir, sizeof(p->dir), "%s/cronium-dev-XXXXXX", tmp);
	if (n < 0 || (size_t)n >= sizeof(p->dir))
		strcpy(p->dir, "/tmp/cronium-dev-XXXXXX");
	if (mkdtemp(p->dir))
		return 0;
	p->dir[0] = '\0';
	return -errno;
}

static int link_modules(const struct dev_place *p, const char *sdk_dir)
{
	char target[PATH_MAX + 8], link[sizeof(p->modules) + 16];

	snprintf(target, sizeof(target), "%s/node", sdk_dir);
	snprintf(link, sizeof(link), "%s/cronium", p->modules);
	if (mkdir(p->modules, 0700) < 0 || symlink(target, link) < 0)
		return -errno;
	return 0;
}

int dev_place_make(struct dev_place *p, const char *sdk_dir)
{
	int r = make_dir(p);

	if (r < 0)
		return r;
	snprintf(p->socket, sizeof(p->socket), "%s/backend.sock", p->dir);
	snprintf(p->modules, sizeof(p->modules), "%s/node_modules", p->dir);
	return sdk_dir ? link_modules(p, sdk_dir) : 0;
}

void dev_place_remove(struct dev_place *p)
{
	char link[sizeof(p->modules) + 16];

	if (!*p->dir)
		return;
	snprintf(link, sizeof(link), "%s/cronium", p->modules);
	unlink(link);
	rmdir(p->modules);
	unlink(p->socket);
	rmdir(p->dir);
	p->dir[0] = '\0';
}
