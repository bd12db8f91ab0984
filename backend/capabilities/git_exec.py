# Commands that read and write the repository, and nothing beside it.
COMMANDS = """
add am apply archive blame branch cat-file check-ignore cherry cherry-pick
clean clone commit count-objects describe diff diff-index diff-tree fetch
for-each-ref fsck gc grep init log ls-files ls-remote ls-tree merge
merge-base mv name-rev notes pull push range-diff rebase reflog remote reset
restore rev-list rev-parse revert rm shortlog show show-ref stash status
switch checkout symbolic-ref tag verify-pack version whatchanged
""".split()
# Long options that run a program or lead out of the repository; git takes
# their beginnings, too.
REFUSED = """
--config --exec --ext-diff --no-index --open-files-in-pager --output
--output-directory --receive-pack --reference --reference-if-able
--separate-git-dir --template --textconv --upload-pack
""".split()
ALLOWED = ("--text",)
# Short ones that do, by command.
REFUSED_LETTERS = {"clone": "cu", "rebase": "x", "grep": "O",
                   "format-patch": "o", "archive": "o"}
# What a repository's own configuration would otherwise have run.
SETTINGS = {
    "core.fsmonitor": "false",
    "core.pager": "cat",
    "core.sshCommand": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "gc.autoDetach": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "gpg.program": "false",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
}
# Of the environment: a repository's own "protocol.ext.allow" counts for more
# than "protocol.allow" does.
PROTOCOLS = ("file",)
PROTOCOLS_NET = ("https", "http")


def refuse(option):
    raise Refused("option_refused",
                  f"{option} is not allowed: it would run a program or lead "
                  "out of the repository")


def is_refused(option):
    name = option.partition("=")[0]
    return name not in ALLOWED and any(
        name == r or (len(name) > 4 and r.startswith(name)) for r in REFUSED)


def check_args(words):
    command, letters = words[0], REFUSED_LETTERS.get(words[0], "")
    if command.startswith("-"):
        refuse(command)
    if command not in COMMANDS:
        raise Refused("command_refused",
                      f"git {command} is not allowed; there are "
                      f"{', '.join(sorted(COMMANDS))}")
    for word in words[1:]:
        if word == "--":
            break
        if word.startswith("--") and is_refused(word):
            refuse(word)
        if word[:1] == "-" and word[1:2] not in ("", "-"):
            if any(letter in letters for letter in word[1:]):
                refuse(word)


def settings(args):
    all = {**SETTINGS, "safe.directory": args["repo"]}
    if not args["hooks"]:
        all["core.hooksPath"] = "/dev/null"
    env = {"GIT_CONFIG_COUNT": str(len(all))}
    for number, (key, value) in enumerate(all.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def git_environment(args):
    protocols = PROTOCOLS + (PROTOCOLS_NET if args["net"] else ())
    more = {
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "HOME": os.getcwd(),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": os.path.dirname(args["repo"]),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "GIT_SSH_COMMAND": "false",
        "GIT_EDITOR": ":",
        "GIT_SEQUENCE_EDITOR": ":",
        "GIT_PAGER": "cat",
        **settings(args),
    }
    for who in ("AUTHOR", "COMMITTER") if "author" in args else ():
        more[f"GIT_{who}_NAME"] = args["author"]["name"]
        more[f"GIT_{who}_EMAIL"] = args["author"]["email"]
    return environment(more)


def git(args, context):
    check_args(args["args"])
    env = git_environment(args)
    program = found("git", env,
                    "there is no git where this runs: install it there; of "
                    "Docker, name an image that has python3 and git, or run "
                    "it in a sandbox")
    entered(args["repo"])
    argv = [program, *args["args"]]
    if context["dry_run"]:
        return {"dry_run": True, "argv": argv, "cwd": args["repo"],
                "net": args["net"], "hooks": args["hooks"]}
    return execute(argv, args, args["repo"], env)


main(git)
