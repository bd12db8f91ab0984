/* JSON trees as YAML that people like to read: common/yaml.h reads the same
 * tree from it. Pure. */
#pragma once

#include <jansson.h>

#include "common/macro.h"

struct buf;

/* Appends a document. 0 or -ENOMEM. */
int yaml_write(struct buf *out, const json_t *value) MUST_CHECK;
