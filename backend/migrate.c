#include "backend/migrate.h"

#include <errno.h>
#include <stdio.h>

#include "backend/db.h"

static int migrate_latest(const struct migration *steps)
{
	int version = 0;

	for (; steps->version; steps++)
		version = steps->version;
	return version;
}

static int migrate_run(struct db *db, const struct migration *step)
{
	int r = db_script(db, step->sql);

	return r < 0 ? r : db->driver->set_version(db, step->version);
}

/* Another backend may have done it in the meantime. */
static int migrate_step(struct db *db, const struct migration *step)
{
	int version = 0;
	int r = db_begin(db, DB_MIGRATE);

	if (r == 0)
		r = db->driver->get_version(db, &version);
	if (r == 0 && version < step->version)
		r = migrate_run(db, step);
	if (r == 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	return r;
}

int migrate(struct db *db)
{
	const struct migration *steps = db->driver->migrations;
	int latest = migrate_latest(steps), version = 0;
	int r = db_begin(db, DB_READ);

	if (r == 0)
		r = db->driver->get_version(db, &version);
	db_rollback(db);
	if (r == 0 && version > latest) {
		snprintf(db->message, sizeof(db->message),
			 "%s was written by a newer Cronium (schema %d, this "
			 "one knows %d); install that version or a later one",
			 db->name, version, latest);
		return -EPROTO;
	}
	for (; r == 0 && steps->version; steps++)
		if (steps->version > version)
			r = migrate_step(db, steps);
	return r;
}
