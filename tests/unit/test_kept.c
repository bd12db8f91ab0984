#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* after the four headers above */
#include <cmocka.h>

#include "runner/kept.h"
#include "runner/resume.h"

#define SEEDS 300
#define STEPS 400
#define PIECE_MAX_BYTES 40

static void append(struct kept *k, enum frame_type type, const char *text)
{
	assert_int_equal(kept_append(k, type, text, strlen(text)), 0);
}

static void assert_next(struct kept *k, enum frame_type type, const char *text)
{
	struct frame f;

	assert_true(kept_next(k, &f));
	assert_int_equal(f.type, type);
	assert_int_equal(f.len, strlen(text));
	assert_memory_equal(f.payload, text, f.len);
}

static void assert_no_next(struct kept *k)
{
	struct frame f;

	assert_false(kept_next(k, &f));
	assert_true(kept_all_sent(k));
}

static void test_what_is_not_taken_comes_again(void **state)
{
	const struct positions taken = { .at = { 3, 0, 1 } };
	struct kept k = { 0 };

	append(&k, FRAME_STDOUT, "one");
	append(&k, FRAME_NOTICE, "n\n");
	append(&k, FRAME_STDERR, "two");
	assert_next(&k, FRAME_STDOUT, "one");
	assert_next(&k, FRAME_NOTICE, "n\n");
	kept_take(&k, &taken);
	assert_next(&k, FRAME_STDERR, "two");
	assert_no_next(&k);
	assert_int_equal(kept_rewind(&k, &taken), 0);
	assert_next(&k, FRAME_NOTICE, "\n");
	assert_next(&k, FRAME_STDERR, "two");
	assert_no_next(&k);
	kept_deinit(&k);
}

static void test_what_is_gone_is_counted(void **state)
{
	const struct positions all = { .at = { 3, 2, 0 } };
	const struct positions some = { .at = { 1, 0, 9 } };
	struct kept k = { 0 };

	append(&k, FRAME_STDOUT, "one");
	append(&k, FRAME_STDERR, "to");
	kept_take(&k, &all);
	assert_no_next(&k);
	assert_int_equal(k.frames.len, 0);
	assert_int_equal(kept_rewind(&k, &some), 4);
	append(&k, FRAME_STDOUT, "more");
	assert_next(&k, FRAME_STDOUT, "more");
	kept_deinit(&k);
}

/* One part stands still in front of all; the other goes on for ever. */
static void test_no_part_is_in_the_way_of_another(void **state)
{
	static uint8_t block[FRAME_PAYLOAD_MAX_BYTES / 4];
	struct positions taken = { 0 };
	struct kept k = { 0 };
	struct frame f;

	append(&k, FRAME_STDERR, "held back");
	for (int i = 0; i < 1000; i++) {
		assert_true(kept_room(&k) >= sizeof(block));
		assert_int_equal(
			kept_append(&k, FRAME_STDOUT, block, sizeof(block)), 0);
		while (i % 3 == 0 && kept_next(&k, &f))
			assert_true(f.len > 0);
		taken.at[POSITIONS_STDOUT] += i ? sizeof(block) : 0;
		kept_take(&k, &taken);
	}
	append(&k, FRAME_STDERR, "end");
	assert_int_equal(kept_rewind(&k, &taken), 0);
	assert_next(&k, FRAME_STDERR, "held back");
	assert_true(kept_next(&k, &f));
	assert_int_equal(f.len, sizeof(block));
	assert_next(&k, FRAME_STDERR, "end");
	assert_no_next(&k);
	kept_deinit(&k);
}

static void test_the_room_is_bounded(void **state)
{
	static uint8_t block[FRAME_PAYLOAD_MAX_BYTES];
	struct kept k = { 0 };
	size_t payload = 0, n;

	while ((n = kept_room(&k))) {
		assert_int_equal(kept_append(&k, FRAME_STDOUT, block, n), 0);
		payload += n;
	}
	assert_true(k.frames.len <= KEPT_MAX_BYTES);
	assert_true(payload > KEPT_MAX_BYTES - 1000);
	kept_take(&k, &(struct positions){ .at = { payload } });
	assert_int_equal(kept_room(&k), FRAME_PAYLOAD_MAX_BYTES);
	kept_deinit(&k);
}

/* --- a model: all that was ever written, and what the other side has ------ */

struct model {
	struct kept kept;
	struct buf written[POSITIONS_PARTS];
	struct positions has;  /* of who is there now */
	struct positions safe; /* of all of them */
	unsigned int seed;
};

static unsigned int model_random(struct model *m, unsigned int below)
{
	m->seed = m->seed * 1103515245 + 12345;
	return (m->seed >> 16) % below;
}

static void model_write(struct model *m)
{
	unsigned int part = model_random(m, POSITIONS_PARTS);
	size_t n = 1 + model_random(m, PIECE_MAX_BYTES);
	uint8_t piece[PIECE_MAX_BYTES];

	for (size_t i = 0; i < n; i++)
		piece[i] = (uint8_t)model_random(m, 256);
	assert_int_equal(buf_append(&m->written[part], piece, n), 0);
	assert_int_equal(kept_append(&m->kept,
				     (enum frame_type)(FRAME_STDOUT + part),
				     piece, n),
			 0);
}

static void model_receive(struct model *m)
{
	struct frame f;
	unsigned int part;

	if (!kept_next(&m->kept, &f))
		return;
	part = positions_part_of(f.type);
	assert_true(m->has.at[part] + f.len <= m->written[part].len);
	assert_memory_equal(m->written[part].data + m->has.at[part], f.payload,
			    f.len);
	m->has.at[part] += f.len;
}

/* Some of what it has is safe now. */
static void model_save(struct model *m)
{
	unsigned int part = model_random(m, POSITIONS_PARTS);
	uint64_t more = m->has.at[part] - m->safe.at[part];

	m->safe.at[part] += model_random(m, (unsigned int)more + 1);
}

static void model_step(struct model *m)
{
	switch (model_random(m, 8)) {
	case 0:
	case 1:
		model_write(m);
		break;
	case 2:
	case 3:
	case 4:
		model_receive(m);
		break;
	case 5:
		model_save(m);
		break;
	case 6:
		kept_take(&m->kept, &m->safe);
		break;
	default:
		m->has = m->safe;
		assert_int_equal(kept_rewind(&m->kept, &m->safe), 0);
	}
}

static void test_nothing_is_lost_and_nothing_comes_twice(void **state)
{
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		struct model m = { .seed = seed };

		for (unsigned int i = 0; i < STEPS; i++)
			model_step(&m);
		while (!kept_all_sent(&m.kept))
			model_receive(&m);
		for (size_t i = 0; i < POSITIONS_PARTS; i++) {
			assert_int_equal(m.has.at[i], m.written[i].len);
			buf_deinit(&m.written[i]);
		}
		kept_take(&m.kept, &m.has);
		assert_int_equal(m.kept.frames.len, 0);
		kept_deinit(&m.kept);
	}
}

/* --- what the orchestrator says ------------------------------------------- */

static int resume(const char *json, struct positions *out)
{
	return resume_parse(out, "ex_1", json, strlen(json));
}

static void test_resume(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"execution\":\"ex_1\"}",
		"{\"execution\":1,\"taken\":{}}",
		"{\"execution\":\"ex_1\",\"taken\":[]}",
		"{\"execution\":\"ex_1\",\"taken\":{\"stderr\":-1}}",
		"{\"execution\":\"ex_1\",\"taken\":{\"notice\":1.5}}",
		"{\"execution\":\"ex_1\",\"taken\":{\"stdout\":null}}",
	};
	struct positions p;

	assert_int_equal(resume("{\"execution\":\"ex_1\",\"epoch\":3,"
				"\"taken\":{\"stdout\":7,\"notice\":9}}",
				&p),
			 0);
	assert_int_equal(p.at[POSITIONS_STDOUT], 7);
	assert_int_equal(p.at[POSITIONS_STDERR], 0);
	assert_int_equal(p.at[POSITIONS_NOTICE], 9);
	assert_int_equal(resume("{\"execution\":\"ex_2\",\"taken\":{}}", &p),
			 RESUME_E_OTHER);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_true(resume(wrong[i], &p) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_taken_comes_again),
		cmocka_unit_test(test_what_is_gone_is_counted),
		cmocka_unit_test(test_no_part_is_in_the_way_of_another),
		cmocka_unit_test(test_the_room_is_bounded),
		cmocka_unit_test(test_nothing_is_lost_and_nothing_comes_twice),
		cmocka_unit_test(test_resume),
	};

	return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
