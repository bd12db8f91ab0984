#include "backend/key_loss.h"

#include <stdio.h>

#include "common/log.h"

#define KEY_LOSS_PLURAL(n) (long long)(n), (n) == 1 ? "" : "s"

void key_loss_text(enum keys_made made, const char *dir,
		   const int64_t counts[JOB_STATES],
		   char out[KEY_LOSS_TEXT_BYTES])
{
	const int64_t live = counts[JOB_CLAIMED] + counts[JOB_RUNNING];
	int64_t all = 0;

	for (size_t i = 0; i < JOB_STATES; i++)
		all += counts[i];
	out[0] = '\0';
	if (!all)
		return;
	if (made == KEYS_MADE_SIGNING)
		snprintf(out, KEY_LOSS_TEXT_BYTES,
			 "%s/" KEYS_SIGNING_FILE " was missing: a new one was "
			 "made, which refuses the tokens of the %lld job%s "
			 "that run now, so that their calls fail",
			 dir, KEY_LOSS_PLURAL(live));
	else if (made == KEYS_MADE_PAYLOAD)
		snprintf(out, KEY_LOSS_TEXT_BYTES,
			 "%s/" KEYS_PAYLOAD_FILE " was missing: a new one was "
			 "made, with which the %lld job%s that had not begun "
			 "fail; stop the backend and restore the old one, or "
			 "submit them again, and give runners the new "
			 "payload.pub",
			 dir,
			 KEY_LOSS_PLURAL(counts[JOB_QUEUED] +
					 counts[JOB_CLAIMED]));
	else if (made == KEYS_MADE_MASTER)
		snprintf(out, KEY_LOSS_TEXT_BYTES,
			 "%s/" KEYS_MASTER_FILE " was missing: a new one was "
			 "made; no secret was stored, so none is lost",
			 dir);
	else
		snprintf(out, KEY_LOSS_TEXT_BYTES,
			 "%s/" KEYS_API_KEY_FILE " was missing: a new one was "
			 "made; clients with the old key get 401 until they "
			 "are given the new one",
			 dir);
}

void key_loss_warn(const struct keys *k, const int64_t counts[JOB_STATES])
{
	static const enum keys_made each[] = {
		KEYS_MADE_SIGNING,
		KEYS_MADE_PAYLOAD,
		KEYS_MADE_MASTER,
		KEYS_MADE_API_KEY,
	};
	char text[KEY_LOSS_TEXT_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(each); i++) {
		if (!(k->made & each[i]))
			continue;
		key_loss_text(each[i], k->dir, counts, text);
		if (*text)
			log_warn("-", "%s (docs/mending.md)", text);
	}
}
