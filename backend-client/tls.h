/* TLS for https:// endpoints: TLS 1.2 and later, the peer's certificate and
 * name verified, ALPN h2. */
#pragma once

/*
 * Call once before backend_client_new() with an https endpoint; links libssl.
 * Without it such an endpoint is refused with -EPROTONOSUPPORT. The program
 * must ignore SIGPIPE: OpenSSL writes with write(2).
 */
void backend_client_tls_enable(void);
