def opened(path):
    """Never waits for a FIFO's writer."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        inside(fd, path)
        return regular(path, fd), os.fdopen(os.dup(fd), "rb", buffering=0)
    finally:
        os.close(fd)


def digest(file):
    """Of all of it, and its size as it was read."""
    total, size = hashlib.sha256(), 0
    file.seek(0)
    while part := file.read(CHUNK_BYTES):
        total.update(part)
        size += len(part)
    return total.hexdigest(), size


def part_of(file, offset, limit):
    file.seek(offset)
    parts, left = [], limit
    while left and (part := file.read(min(left, CHUNK_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def whole_characters(data):
    """Without the beginning of a character at its end."""
    for cut in range(1, min(4, len(data))):
        try:
            data[:-cut].decode()
            return data[:-cut]
        except UnicodeDecodeError:
            continue
    return data


def content_of(data, encoding, more, path):
    """(data, encoding, text)"""
    if encoding == "base64":
        return data, "base64", base64.b64encode(data).decode()
    found, text = encoded(data)
    if found == "base64" and more:
        data = whole_characters(data)
        found, text = encoded(data)
    if found == "base64" and encoding == "utf-8":
        try:
            return data, "utf-8", data.decode()
        except UnicodeDecodeError:
            raise Refused("not_utf8", f"{path} is not UTF-8: ask for the "
                                      'encoding "base64"')
    return data, found, text


def read(args, context):
    path = args["path"]
    try:
        status, file = opened(path)
        with file:
            about = {"path": path, "size": status.st_size,
                     "mode": octal(status.st_mode), "uid": status.st_uid,
                     "gid": status.st_gid,
                     "mtime_ms": status.st_mtime_ns // 1000000}
            if context["dry_run"]:
                return {"dry_run": True, **about}
            sha256, about["size"] = digest(file)
            data = part_of(file, args["offset"], args["limit"])
    except OSError as error:
        raise explain(error, path, "read")
    more = args["offset"] + len(data) < about["size"]
    data, encoding, text = content_of(data, args["encoding"], more, path)
    return {**about, "sha256": sha256, "offset": args["offset"],
            "bytes": len(data), "encoding": encoding, "content": text,
            "truncated": args["offset"] + len(data) < about["size"]}


main(read)
