/* TLS for https:// endpoints. */
#pragma once

/* Call once before backend_client_new() with an https endpoint; links
 * libssl. Without it such an endpoint is refused with -EPROTONOSUPPORT. */
void backend_client_tls_enable(void);
