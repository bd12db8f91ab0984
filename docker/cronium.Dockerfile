# cronium/cronium (the service) and cronium/sidecar, compiled once for both.
# Build context: the repository's root.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY tools/lib.sh tools/packages.sh tools/
RUN bash -euo pipefail -c '. tools/lib.sh; . tools/packages.sh; \
		packages_install "${PACKAGES_BUILD[@]}"' \
	&& rm -rf /var/lib/apt/lists/*
COPY meson.build meson_options.txt ./
COPY subprojects subprojects
COPY common common
COPY backend-client backend-client
COPY payload payload
COPY backend backend
COPY sidecar sidecar
COPY orchestrator orchestrator
COPY runner runner
COPY cli cli
COPY bin bin
# Tests and benchmarks are not part of an image.
RUN sed -i -E '/^ *subdir\(.(tests|bench)/d' meson.build \
	&& meson setup /build --buildtype=release \
	&& ninja -C /build \
	&& install -D --strip -t /out /build/bin/* \
	&& rm -r /build

# Nothing but the static binary; the uid has no name and owns nothing.
FROM scratch AS sidecar
COPY --from=build /out/cronium-sidecar /cronium-sidecar
USER 65532:65532
ENTRYPOINT ["/cronium-sidecar"]

FROM debian:bookworm-slim AS cronium
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends \
		bubblewrap ca-certificates curl libarchive13 libcurl4 \
		libevent-core-2.1-7 libjansson4 libnghttp2-14 \
		libgmp10 libhogweed6 libisal2 libnettle8 \
		libpcre2-8-0 libpq5 libseccomp2 libsqlite3-0 libssh2-1 libssl3 \
		libyaml-0-2 \
		>/dev/null \
	&& rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
COPY sdk /usr/local/share/cronium/sdk
COPY docker /usr/local/share/cronium/docker
# A library that was forgotten above is found here, not by a user.
RUN ! ldd /usr/local/bin/cronium* 2>/dev/null | grep 'not found'
ENV CRONIUM_DATA_DIR=/var/lib/cronium
VOLUME /var/lib/cronium
EXPOSE 8642
ENTRYPOINT ["cronium"]
CMD ["up", "--listen", "0.0.0.0:8642"]
