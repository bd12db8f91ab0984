UNDO_MAX_BYTES = 4 * 1024 * 1024
NEW_MODE = 0o644


class Old:
    """What is there; content is None where it is not kept."""

    def __init__(self, status, content, sha256):
        self.status, self.content, self.sha256 = status, content, sha256

    @property
    def mode(self):
        return stat.S_IMODE(self.status.st_mode)

    def record(self):
        encoding, text = encoded(self.content)
        return {"existed": True, "mode": octal(self.mode),
                "sha256": self.sha256, "encoding": encoding, "content": text}


def read_old(directory, name, args):
    """None: there is nothing."""
    path = args["path"]
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW |
                     os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        status = regular(path, fd)
    except Refused:
        os.close(fd)
        raise
    with os.fdopen(fd, "rb", buffering=0) as file:
        keep = args["undo"] or args["append"]
        if args["undo"] and status.st_size > UNDO_MAX_BYTES:
            raise Refused(
                "too_large_for_undo",
                f"{path} has {status.st_size} bytes, more than the "
                f"{UNDO_MAX_BYTES} that are kept to be put back: say "
                '"undo": false')
        total, parts = hashlib.sha256(), []
        while part := file.read(CHUNK_BYTES):
            total.update(part)
            if keep:
                parts.append(part)
    return Old(status, b"".join(parts) if keep else None, total.hexdigest())


def check(args, old):
    path, expected = args["path"], args.get("expected_sha256")
    if expected and (old is None or old.sha256 != expected):
        now = "it is not there" if old is None else f"it has {old.sha256}"
        raise Refused("changed", f"{path} is not what was expected: {now}")
    if old is None and not args["create"]:
        raise Refused("not_found", f"there is no {path}")
    if old is not None and not args["overwrite"] and not args.get("remove"):
        raise Refused("exists", f"there is a {path} already")
    if old is not None and old.status.st_uid != os.geteuid():
        raise Refused(
            "other_owner",
            f"{path} belongs to user {old.status.st_uid} and would belong to "
            f"{os.geteuid()} afterwards: it is left alone")


def wanted(args, old):
    """(content, mode); (None, None): to be removed."""
    if args.get("remove"):
        return None, None
    mode = old.mode if old else NEW_MODE
    if "mode" in args:
        mode = int(args["mode"], 8)
    content = args["content"]
    if args["encoding"] == "base64":
        try:
            content = base64.b64decode(content, validate=True)
        except ValueError as error:
            raise Refused("invalid_content",
                          f"the content is no Base64: {error}")
    else:
        content = content.encode()
    if args["append"] and old:
        content = old.content + content
    return content, mode


def is_so(old, content, mode):
    if old is None or content is None:
        return old is None and content is None
    return (hashlib.sha256(content).hexdigest() == old.sha256 and
            mode == old.mode)


def unnamed(directory):
    """A file of no name on the directory's file system, or None where that
    cannot be; it proves that the directory may be written."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600,
                       dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR):
            return None
        raise


def fill(fd, content, mode, old):
    with os.fdopen(fd, "wb", buffering=0, closefd=False) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view):]
    if old:
        try:
            os.fchown(fd, -1, old.status.st_gid)
        except PermissionError:
            pass  # a group that is not ours: the file gets our own
    os.fchmod(fd, mode)
    os.fsync(fd)


def replace(directory, name, content, mode, old, overwrite):
    """Under a name of its own for a moment only, so that nothing is left
    when we are killed."""
    spare = f".{name[:100]}.{os.environ['CRONIUM_EXECUTION_ID']}"
    fd = unnamed(directory)
    named = fd is None
    if named:
        fd = os.open(spare, os.O_CREAT | os.O_EXCL | os.O_WRONLY |
                     os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        fill(fd, content, mode, old)
        if not named:
            os.link(f"/proc/self/fd/{fd}", spare, dst_dir_fd=directory,
                    follow_symlinks=True)
            named = True
        if overwrite:
            os.rename(spare, name, src_dir_fd=directory,
                      dst_dir_fd=directory)
            named = False
        else:
            os.link(spare, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        os.close(fd)
        if named:
            os.unlink(spare, dir_fd=directory)


def apply(directory, name, args, old, content, mode):
    if content is None:
        os.unlink(name, dir_fd=directory)
    else:
        replace(directory, name, content, mode, old, args["overwrite"])
    os.fsync(directory)


def result_of(args, old, content, mode):
    would = ("nothing" if is_so(old, content, mode) else
             "remove" if content is None else
             "replace" if old else "create")
    return would, {
        "path": args["path"],
        "bytes": None if content is None else len(content),
        "mode": None if content is None else octal(mode),
        "sha256": (None if content is None
                   else hashlib.sha256(content).hexdigest()),
        "previous_sha256": old.sha256 if old else None,
        "created": would == "create",
        "removed": would == "remove",
        "changed": would != "nothing",
    }


def write_in(directory, name, args, context):
    old = read_old(directory, name, args)
    content, mode = wanted(args, old)
    done = is_so(old, content, mode)
    if not done:
        check(args, old)
    would, result = result_of(args, old, content, mode)
    if context["dry_run"]:
        probe = unnamed(directory)
        if probe is not None:
            os.close(probe)
        return {"dry_run": True, "would": would, **result}
    if args["undo"] and not done:
        result["undo"] = old.record() if old else {"existed": False}
    if done:
        return result
    # What was there is safe with the server before anything is changed.
    if args["undo"]:
        tell(result)
    try:
        apply(directory, name, args, old, content, mode)
    except OSError as error:
        refused = explain(error, args["path"], "written")
        if isinstance(error, FileExistsError):
            refused = Refused("exists", f"there is a {args['path']} already")
        # How far it came is not known: undo looks at what is there.
        refused.more = result
        raise refused
    return result


def write(args, context):
    path = args["path"]
    if context["read_only"]:
        raise Refused("read_only", f"{path} is not written: this job, or its "
                                   "host, is read-only")
    folder, name = os.path.split(path)
    try:
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY |
                            os.O_CLOEXEC)
        try:
            inside(directory, path)
            return write_in(directory, name, args, context)
        finally:
            os.close(directory)
    except OSError as error:
        raise explain(error, path, "written")


main(write)
