# cronium/bash: Bash, curl and jq; 'source cronium.sh' finds the SDK.
# Build context: the repository's root.
FROM debian:bookworm-slim AS bash
RUN useradd --uid 1000 --user-group --create-home cronium \
	&& install -d -o cronium -g cronium /work
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends ca-certificates curl jq >/dev/null \
	&& rm -rf /var/lib/apt/lists/*
COPY sdk/bash/cronium.sh /usr/local/bin/cronium.sh
WORKDIR /work
CMD ["bash"]
