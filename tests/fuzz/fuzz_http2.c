#include "tests/fuzz/http_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* After the preface and an empty SETTINGS frame, whose last byte is the
 * literal's own NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char prefix[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				     "\0\0\0\4\0\0\0\0";

	if (len)
		http_fixture_run(prefix, sizeof(prefix), data, len);
	return 0;
}
