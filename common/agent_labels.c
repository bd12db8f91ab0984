#include "common/agent_labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"

/* One "key=value" of a text. */
struct agent_label {
	const char *text;
	size_t len, key_len;
};

static bool label_part_valid(const char *s, size_t len)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-/";

	return len > 0 && len <= AGENT_LABEL_MAX_BYTES &&
	       strspn(s, chars) >= len;
}

static int label_parse(const char *text, size_t len, struct agent_label *out)
{
	const char *eq = memchr(text, '=', len);

	*out = (struct agent_label){ text, len, 0 };
	if (!eq)
		return -EINVAL;
	out->key_len = (size_t)(eq - text);
	if (!label_part_valid(text, out->key_len) ||
	    !label_part_valid(eq + 1, len - out->key_len - 1))
		return -EINVAL;
	return 0;
}

static int label_compare(const void *a, const void *b)
{
	const struct agent_label *x = a, *y = b;
	int r = strncmp(x->text, y->text, MIN(x->key_len, y->key_len));

	return r ? r : (int)x->key_len - (int)y->key_len;
}

/* Sorts them and writes them down; a key may be there once. */
static int labels_write(struct agent_label *labels, size_t n, char *out,
			char *err, size_t err_size)
{
	size_t at = 0;

	qsort(labels, n, sizeof(*labels), label_compare);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct agent_label *l = &labels[i];

		if (i && !label_compare(l - 1, l)) {
			snprintf(err, err_size, "the label %.*s is there twice",
				 (int)l->key_len, l->text);
			return -EINVAL;
		}
		at += (size_t)snprintf(out + at, AGENT_LABELS_MAX_BYTES - at,
				       "%s%.*s", i ? "," : "", (int)l->len,
				       l->text);
	}
	return 0;
}

int agent_labels_parse(const char *text, char out[AGENT_LABELS_MAX_BYTES],
		       char *err, size_t err_size)
{
	struct agent_label labels[AGENT_LABELS_MAX];
	const char *item;
	size_t n = 0, len;

	for (const char *at = *text ? text : NULL; at;) {
		item = option_next_item(&at, &len);
		if (n == AGENT_LABELS_MAX) {
			snprintf(err, err_size, "there are more than %d labels",
				 AGENT_LABELS_MAX);
			return -EINVAL;
		}
		if (label_parse(item, len, &labels[n++])) {
			snprintf(err, err_size,
				 "\"%.*s\" is not " AGENT_LABEL_RULE,
				 (int)MIN(len, 80), item);
			return -EINVAL;
		}
	}
	return labels_write(labels, n, out, err, err_size);
}

int agent_labels_from_json(const json_t *object,
			   char out[AGENT_LABELS_MAX_BYTES], char *err,
			   size_t err_size)
{
	char text[AGENT_LABELS_MAX_BYTES];
	const char *key;
	json_t *value;
	size_t at = 0;

	text[0] = '\0';
	if (object && !json_is_object(object)) {
		snprintf(err, err_size, "must be an object of strings");
		return -EINVAL;
	}
	json_object_foreach((json_t *)object, key, value) {
		const char *v = json_string_value(value);

		if (!v || !label_part_valid(key, strlen(key)) ||
		    !label_part_valid(v, strlen(v))) {
			snprintf(err, err_size,
				 "\"%.40s\" is not " AGENT_LABEL_RULE, key);
			return -EINVAL;
		}
		if (at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at,
					       "%s%s=%s", at ? "," : "", key,
					       v);
	}
	return agent_labels_parse(text, out, err, err_size);
}

json_t *agent_labels_json(const char *labels)
{
	json_t *object = json_object();
	struct agent_label l;
	size_t len;

	for (const char *at = *labels ? labels : NULL; object && at;) {
		const char *item = option_next_item(&at, &len);

		if (label_parse(item, len, &l) ||
		    json_object_setn_new(object, l.text, l.key_len,
					 json_stringn(l.text + l.key_len + 1,
						      len - l.key_len - 1))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static bool labels_have(const char *labels, const char *wanted, size_t len)
{
	size_t n;

	for (const char *at = *labels ? labels : NULL; at;) {
		const char *item = option_next_item(&at, &n);

		if (n == len && !memcmp(item, wanted, len))
			return true;
	}
	return false;
}

bool agent_labels_within(const char *wanted, const char *had)
{
	size_t len;

	for (const char *at = *wanted ? wanted : NULL; at;) {
		const char *item = option_next_item(&at, &len);

		if (!labels_have(had, item, len))
			return false;
	}
	return true;
}
