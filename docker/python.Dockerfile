# cronium/python: Python 3 with the Cronium SDK on sys.path.
# Build context: the repository's root.
FROM debian:bookworm-slim AS python
RUN useradd --uid 1000 --user-group --create-home cronium \
	&& install -d -o cronium -g cronium /work
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends ca-certificates python3 >/dev/null \
	&& rm -rf /var/lib/apt/lists/*
COPY sdk/python/cronium /usr/lib/python3/dist-packages/cronium
# The root is read-only at run time: byte-compile now, or never.
RUN python3 -m compileall -q /usr/lib/python3/dist-packages/cronium
WORKDIR /work
CMD ["python3"]
