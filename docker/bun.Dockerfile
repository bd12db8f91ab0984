# cronium/bun: Bun with the Cronium SDK for import and require().
# Build context: the repository's root.
FROM debian:bookworm-slim AS fetch
ARG BUN_VERSION=1.4.5
# Certificates of the machine's own, where a proxy signs what npm gets.
ARG ca_certificates
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends ca-certificates npm >/dev/null \
	&& rm -rf /var/lib/apt/lists/*
# Bun's package for this machine: the program, and no script that installs it.
RUN echo "$ca_certificates" >/usr/local/share/ca-certificates/machine.crt \
	&& update-ca-certificates >/dev/null 2>&1 \
	&& machine=$(uname -m | sed s/x86_64/x64/) \
	&& npm install --prefix /fetch --no-save --ignore-scripts --no-audit \
		--no-fund "@oven/bun-linux-$machine@$BUN_VERSION" >/dev/null \
	&& cp /fetch/node_modules/@oven/bun-linux-*/bin/bun /usr/local/bin/bun

FROM debian:bookworm-slim AS bun
RUN useradd --uid 1000 --user-group --create-home cronium \
	&& install -d -o cronium -g cronium /work
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends ca-certificates >/dev/null \
	&& rm -rf /var/lib/apt/lists/*
COPY --from=fetch /usr/local/bin/bun /usr/local/bin/bun
# As in cronium/node: every directory's look-up ends at the root.
COPY sdk/node /node_modules/cronium
WORKDIR /work
CMD ["bun"]
