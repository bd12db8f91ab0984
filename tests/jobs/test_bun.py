"""TypeScript on Bun, on each executor."""

from harness import FREE, Server


def test_types_modules_and_arguments(run, executor):
    result = run(
        """
        import { getInput, setOutput, type Json } from "cronium";
        enum Colour { Red = "red" }
        interface Input { n: number; rows: Json[] }
        const { n, rows } = await getInput<Input>();
        const twice = (x: number): number => 2 * x;
        await setOutput({
          twice: twice(n), rows, colour: Colour.Red, cwd: process.cwd(),
          args: process.argv.slice(2), bun: typeof Bun.version,
          again: Bun.spawnSync(["bun", "--version"]).success,
          mode: process.env.CRONIUM_EXECUTION_MODE,
        });
        """,
        "--input", '{"n":21,"rows":[1,"ä"]}', "--", "--flag", "a b",
        name="types.ts",
    )
    mode = {"docker": "container", "sandbox": "sandbox"}[executor]
    assert result.ok().json == {
        "twice": 42, "rows": [1, "ä"], "colour": "red", "cwd": "/work",
        "args": ["--flag", "a b"], "bun": "string", "again": True,
        "mode": mode,
    }


def test_a_script_that_is_called_like_a_command(run):
    result = run("console.log('ran')", "--runtime", "bun", name="install")
    assert result.ok().err.count("ran") == 1


def test_the_first_line_says_it_too(run):
    result = run("#!/usr/bin/env bun\nconsole.log('on', typeof Bun)",
                 name="plain")
    assert "on object" in result.ok().err


def test_what_a_script_throws(run):
    result = run("const n: number = 1;\nthrow new Error('broken');",
                 name="throws.ts")
    assert result.code == 1
    assert "broken" in result.err and "throws.ts:2" in result.err


def test_memory_is_limited(run):
    result = run("const all = [];\n"
                 "for (;;) all.push(new Uint8Array(1 << 20).fill(1));",
                 "--memory", "128m", name="eats.ts")
    assert result.code != 0


def test_nothing_is_fetched_and_nothing_written(run):
    result = run('import "left-pad";', name="wants.ts")
    assert result.code == 1
    assert "left-pad" in result.err
    result = run(
        """
        import { writeFileSync } from "node:fs";
        for (const dir of ["/opt/bin", "/node_modules/cronium", "/usr/bin"])
          try { writeFileSync(dir + "/bun", "x"); console.log("wrote", dir); }
          catch (error) { console.log("refused"); }
        """, name="writes.ts")
    assert result.ok().err.count("refused") == 3


def test_a_sandbox_without_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    server = Server(tmp_path, "--executors", "sandbox")
    try:
        script = tmp_path / "a.ts"
        script.write_text("console.log(1)")
        done = server.cronium("run", *FREE, "--executor", "sandbox", script)
        assert done.code == 125
        assert ("bun is not in the orchestrator's PATH: install it there, or "
                "run the job with --executor docker") in done.err
    finally:
        assert server.stop() == 0
