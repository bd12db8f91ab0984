# cronium/node: Node.js with the Cronium SDK for require() and import.
# Build context: the repository's root.
FROM debian:bookworm-slim AS node
RUN useradd --uid 1000 --user-group --create-home cronium \
	&& install -d -o cronium -g cronium /work
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends ca-certificates nodejs >/dev/null \
	&& rm -rf /var/lib/apt/lists/*
# import ignores NODE_PATH, but every directory's look-up ends at the root.
COPY sdk/node /node_modules/cronium
WORKDIR /work
CMD ["node"]
