#include "tests/fuzz/http_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len)
		http_fixture_run("", 0, data, len);
	return 0;
}
