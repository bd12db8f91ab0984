def shell(args, context):
    env = environment(args.get("env", {}))
    argv = args.get("argv") or ["/bin/sh", "-c", args["command"]]
    cwd = entered(args["cwd"]) if "cwd" in args else os.getcwd()
    program = found(argv[0], env,
                    f"there is no program {argv[0]} where the command runs")
    if context["dry_run"]:
        return {"dry_run": True, "argv": argv, "program": program,
                "cwd": cwd}
    return execute(argv, args, cwd, env)


main(shell)
