#include "common/wal/damage.h"

#include <stdio.h>

const char *wal_damage_name(enum wal_damage_kind kind)
{
	static const char *const names[] = {
		[WAL_DAMAGE_NONE] = "none",
		[WAL_DAMAGE_TORN] = "torn",
		[WAL_DAMAGE_UNREADABLE] = "unreadable",
		[WAL_DAMAGE_GAP] = "gap",
		[WAL_DAMAGE_FIRST] = "first",
		[WAL_DAMAGE_SET_ASIDE] = "set_aside",
	};

	return names[kind];
}

static const char *damage_what(enum wal_damage_kind kind)
{
	static const char *const texts[] = {
		[WAL_DAMAGE_NONE] = "nothing",
		[WAL_DAMAGE_TORN] = "the end is no whole record",
		[WAL_DAMAGE_UNREADABLE] = "unreadable",
		[WAL_DAMAGE_GAP] = "records are missing in front of this",
		[WAL_DAMAGE_FIRST] = "this segment does not follow the one "
				     "before it",
		[WAL_DAMAGE_SET_ASIDE] = "set aside, and written once more in "
					 "the next segment",
	};

	return texts[kind];
}

void wal_damage_text(const struct wal_damage *d, char *out, size_t size)
{
	char missing[80] = "";

	if (d->missing_first && d->missing_first == d->missing_last)
		snprintf(missing, sizeof(missing), "; %s %llu",
			 d->kind == WAL_DAMAGE_SET_ASIDE ? "record"
							 : "missing: record",
			 (unsigned long long)d->missing_first);
	else if (d->missing_first)
		snprintf(missing, sizeof(missing), "; %s %llu to %llu",
			 d->kind == WAL_DAMAGE_SET_ASIDE ? "records"
							 : "missing: records",
			 (unsigned long long)d->missing_first,
			 (unsigned long long)d->missing_last);
	snprintf(out, size, "%s, offset %llu, %llu bytes: %s%s", d->file,
		 (unsigned long long)d->offset, (unsigned long long)d->len,
		 damage_what(d->kind), missing);
}
