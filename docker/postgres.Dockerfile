# cronium/postgres: PostgreSQL as Debian has it, for compose.scale.yaml.

FROM debian:bookworm-slim AS postgres
RUN apt-get -qq update \
	&& DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
		--no-install-recommends postgresql-15 >/dev/null \
	&& rm -rf /var/lib/apt/lists/* /var/lib/postgresql/15 /etc/postgresql \
	&& install -d -o postgres -g postgres -m 0700 /var/lib/cronium-postgres
COPY docker/postgres.sh /usr/local/bin/postgres.sh
USER postgres
VOLUME /var/lib/cronium-postgres
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["bash", "/usr/local/bin/postgres.sh"]
