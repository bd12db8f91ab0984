#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/migrate.h"
#include "common/buf.h"

static bool beside;

/* notes: what the notes say, in order, each found in its text; NULL ends. */
static void check(enum migrate_language language, const char *text,
		  const char *want, const char *const *notes)
{
	struct buf got = { 0 }, again = { 0 };
	struct migrate m, second;
	size_t n = 0;

	assert_int_equal(migrate_text(&m, language, beside, text, strlen(text),
				      &got),
			 0);
	assert_string_equal(got.len ? buf_cstr(&got) : "", want);
	for (; notes && notes[n]; n++) {
		assert_true(n < m.n_notes);
		if (!strstr(m.notes[n].text, notes[n]))
			fail_msg("\"%s\" does not say \"%s\"", m.notes[n].text,
				 notes[n]);
	}
	if (n < m.n_notes)
		fail_msg("more is said: %s", m.notes[n].text);
	/* What was migrated is not changed again. */
	if (!n && !beside) {
		assert_int_equal(migrate_text(&second, language, false,
					      (char *)got.data, got.len,
					      &again),
				 0);
		assert_string_equal(again.len ? buf_cstr(&again) : "", want);
		migrate_deinit(&second);
	}
	migrate_deinit(&m);
	buf_deinit(&got);
	buf_deinit(&again);
}

#define NOTES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void python(const char *text, const char *want)
{
	check(MIGRATE_PYTHON, text, want, NULL);
}

static void node(const char *text, const char *want)
{
	check(MIGRATE_NODE_MODULE, text, want, NULL);
}

static void bash(const char *text, const char *want)
{
	check(MIGRATE_BASH, text, want, NULL);
}

static void test_language(void **state)
{
	enum migrate_language l;

	(void)state;
	assert_int_equal(migrate_language("a.py", "", 0, &l), 0);
	assert_int_equal(l, MIGRATE_PYTHON);
	assert_int_equal(migrate_language("a", "#!/bin/bash\n#", 13, &l), 0);
	assert_int_equal(l, MIGRATE_BASH);
	assert_int_equal(migrate_language("a", "#!/usr/bin/env node", 19, &l),
			 0);
	assert_int_equal(l, MIGRATE_NODE);
	assert_true(migrate_language("a", "\n#!/bin/bash", 12, &l) < 0);
	assert_true(migrate_language("a.txt", "python", 6, &l) < 0);
}

static void test_python(void **state)
{
	(void)state;
	python("import cronium\nx = cronium.getVariable('a')\n",
	       "import cronium\nx = cronium.get_variable('a', None)\n");
	python("import os, cronium as c, sys\nc.setVariable('a', [1, 2])\n",
	       "import os, cronium as c, sys\nc.set_variable('a', [1, 2])\n");
	python("import cronium\n# cronium.getVariable('a')\n"
	       "s = 'cronium.getVariable(1)' + \"\"\"\ncronium.event()\"\"\"\n",
	       "import cronium\n# cronium.getVariable('a')\n"
	       "s = 'cronium.getVariable(1)' + \"\"\"\ncronium.event()\"\"\"\n");
	python("from cronium import (getVariable,\n  input as i)\n"
	       "getVariable('a', )\n",
	       "from cronium import (get_variable as getVariable,\n"
	       "  input as i)\ngetVariable('a',  None)\n");
	python("import other\nother.getVariable('a')\nx.cronium.event()\n",
	       "import other\nother.getVariable('a')\nx.cronium.event()\n");
}

static void test_python_of_both_kinds(void **state)
{
	static const char text[] = "import cronium\ncronium.get_variable(k)\n";

	(void)state;
	/* The SDK's own script, or the helper's: who lies beside it says. */
	python(text, text);
	beside = true;
	check(MIGRATE_PYTHON, text,
	      "import cronium\ncronium.get_variable(k, None)\n",
	      NOTES("remove the cronium.py"));
	beside = false;
}

static void test_python_left(void **state)
{
	(void)state;
	check(MIGRATE_PYTHON,
	      "import cronium\nf(cronium)\nx = cronium.event\n"
	      "f\"{cronium.getVariable('a')}\"\nopen('./input.json')\n"
	      "cronium.nothing()\n",
	      "import cronium\nf(cronium)\nx = cronium.get_event_context\n"
	      "f\"{cronium.getVariable('a')}\"\nopen('./input.json')\n"
	      "cronium.nothing()\n",
	      NOTES("used as a value", "was event.json", "within an f-string",
		    "input.json is not there", "has no nothing"));
	check(MIGRATE_PYTHON, "from cronium import *\n",
	      "from cronium import *\n", NOTES("import * hides"));
	/* Cut off in the middle of the list. */
	check(MIGRATE_PYTHON, "from cronium import getVariable,",
	      "from cronium import get_variable as getVariable,", NULL);
	check(MIGRATE_PYTHON, "import cronium\ncronium.getVariable('",
	      "import cronium\ncronium.getVariable('",
	      NOTES("not readable as Python"));
}

#define ESM "import * as cronium from 'cronium';\n"
#define OLD "import * as cronium from './cronium.js';\n"

static void test_node(void **state)
{
	(void)state;
	node(OLD "const a = cronium.input().name + cronium.getVariable('b')\n",
	     ESM "const a = (await cronium.getInput()).name + "
		 "await cronium.getVariable('b', null)\n");
	node(OLD "function f() { return g() }\n"
		 "const g = () => cronium.input()\nf()\n",
	     ESM "async function f() { return await g() }\n"
		 "const g = async () => await cronium.getInput()\nawait f()\n");
	node(OLD "const a = /'cronium.input()'/.test(x) / 2; // it's\n"
		 "cronium.output('cronium.input()');\n",
	     ESM "const a = /'cronium.input()'/.test(x) / 2; // it's\n"
		 "await cronium.setOutput('cronium.input()');\n");
	node("import { input, output as out } from \"./cronium\";\n"
	     "out(input());\n",
	     "import { getInput as input, setOutput as out } from "
	     "\"cronium\";\nawait out(await input());\n");
	node(OLD "foo()\ncronium.input().map(f)\n",
	     ESM "foo()\n;(await cronium.getInput()).map(f)\n");
	node(OLD "if (a)\n  cronium.input().map(f)\n",
	     ESM "if (a)\n  (await cronium.getInput()).map(f)\n");
	node(OLD "async function f() { await cronium.output(1) }\n",
	     ESM "async function f() { await cronium.setOutput(1) }\n");
	node(OLD "function f() { return f() + cronium.input() }\n",
	     ESM "async function f() { return await f() + "
		 "await cronium.getInput() }\n");
	node("const a = 1;\n", "const a = 1;\n");
	node("", "");
}

static void test_node_commonjs(void **state)
{
	(void)state;
	check(MIGRATE_NODE,
	      "// first\nfunction f() { cronium.output(1) }\n"
	      "const cronium = require(\"./cronium\")\nf()",
	      "// first\nasync function main() {\n"
	      "async function f() { await cronium.setOutput(1) }\n"
	      "const cronium = require(\"cronium\")\nawait f()\n}\n\nmain();\n",
	      NULL);
	check(MIGRATE_NODE,
	      "const { input, setVariable: set } = require('./cronium.js');\n"
	      "function main() { set('a', input()) }\nmodule.exports = {};\n",
	      "const { getInput: input, setVariable: set } = "
	      "require('cronium');\n"
	      "async function main() { await set('a', await input()) }\n"
	      "module.exports = {};\n",
	      NULL);
	check(MIGRATE_NODE,
	      "const main = 1;\nrequire('./cronium').output(main);\n",
	      "async function croniumMain() {\nconst main = 1;\n"
	      "await require('cronium').setOutput(main);\n}\n\n"
	      "croniumMain();\n",
	      NULL);
}

static void test_node_left(void **state)
{
	(void)state;
	check(MIGRATE_NODE_MODULE,
	      OLD "rows.map(r => cronium.getVariable(r));\n"
		  "class A { x = cronium.input(); get y() { "
		  "return cronium.input() } }\n"
		  "function f(a = cronium.input()) {}\n"
		  "function* g() { yield cronium.input() }\n"
		  "`${cronium.input()}`;\nhand(cronium);\n",
	      ESM "rows.map(r => cronium.getVariable(r));\n"
		  "class A { x = cronium.input(); get y() { "
		  "return cronium.input() } }\n"
		  "function f(a = cronium.input()) {}\n"
		  "function* g() { yield cronium.input() }\n"
		  "`${cronium.input()}`;\nhand(cronium);\n",
	      NOTES("cannot be seen", "getter", "in a class",
		    "among the parameters", "generator", "within a template",
		    "used as a value"));
	check(MIGRATE_NODE_MODULE,
	      OLD "function f() { cronium.output(1) }\nexport default f;\n",
	      ESM "async function f() { await cronium.setOutput(1) }\n"
		  "export default f;\n",
	      NOTES("is handed on"));
	check(MIGRATE_NODE,
	      "module.exports.x = require('./cronium').input();\n",
	      "module.exports.x = require('cronium').input();\n",
	      NOTES("others require"));
	check(MIGRATE_NODE, "require('./cronium'); `",
	      "require('./cronium'); `", NOTES("not readable as JavaScript"));
}

static void test_bash(void **state)
{
	(void)state;
	bash(". ./cronium.sh\nsource \"$D/cronium.sh\"\n",
	     ". cronium.sh\nsource cronium.sh\n");
	bash("x=\"$(cronium_get_variable K)\" # cronium_event\n",
	     "x=\"$(cronium_get_variable K '\"\"' | jq -r .)\" "
	     "# cronium_event\n");
	bash("cronium_set_variable k `date` && echo 'cronium_event'\n",
	     "cronium_set_variable k \"$(jq -n --arg v `date` '$v')\" && "
	     "echo 'cronium_event'\n");
	bash("f | cronium_output\ncronium_output \"$x\"\n",
	     "f | cronium_output -\ncronium_output \"$x\"\n");
	bash("case $x in\na) cronium_output ;;\nesac\n",
	     "case $x in\na) cronium_output - ;;\nesac\n");
	bash("A=1 cronium_get_variable K 2>/dev/null | cat\n",
	     "A=1 cronium_get_variable K '\"\"' | jq -r . 2>/dev/null | cat\n");
	bash("cat <<'X' <<-Y\ncronium_event\nX\n\tZ\n\tY\necho cronium_event\n",
	     "cat <<'X' <<-Y\ncronium_event\nX\n\tZ\n\tY\n"
	     "echo cronium_event\n");
	bash("x=$((1 + (2))); (cronium_output) ; a=(cronium_event b)\n",
	     "x=$((1 + (2))); (cronium_output -) ; a=(cronium_event b)\n");
}

static void test_bash_left(void **state)
{
	(void)state;
	check(MIGRATE_BASH,
	      "cronium_event\ncat <<X\n$(cronium_event)\nX\n"
	      "jq . ./variables.json\ncronium_set_variable \"$@\"\n",
	      "cronium_get_event_context\ncat <<X\n$(cronium_event)\nX\n"
	      "jq . ./variables.json\ncronium_set_variable \"$@\"\n",
	      NOTES("was event.json", "a here-document calls",
		    "variables.json is not there", "takes KEY VALUE"));
	check(MIGRATE_BASH, "echo 'a\n", "echo 'a\n", NOTES("is not closed"));
}

static void test_lines(void **state)
{
	static const char text[] = "import cronium\n\n\ncronium.event()\n";
	struct buf got = { 0 };
	struct migrate m;

	(void)state;
	assert_int_equal(migrate_text(&m, MIGRATE_PYTHON, false, text,
				      strlen(text), &got),
			 0);
	assert_int_equal(m.n_notes, 1);
	assert_int_equal(m.notes[0].line, 4);
	assert_false(m.notes[0].human);
	migrate_deinit(&m);
	buf_deinit(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_language),
		cmocka_unit_test(test_python),
		cmocka_unit_test(test_python_of_both_kinds),
		cmocka_unit_test(test_python_left),
		cmocka_unit_test(test_node),
		cmocka_unit_test(test_node_commonjs),
		cmocka_unit_test(test_node_left),
		cmocka_unit_test(test_bash),
		cmocka_unit_test(test_bash_left),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
