#include "cli/job_options.h"

#include <stdlib.h>

void job_options_free(void *options)
{
	struct job_options *o = options;

	free(o->env.items);
	free(o->labels.items);
	free(o->on.items);
	free(o->vars_read.items);
	free(o->vars_write.items);
	free(o->tools.items);
	free(o->allow_net.list.items);
	free(o->allow_read.list.items);
	free(o->allow_write.list.items);
	free(o->allow_env.list.items);
	free(o->node_options.items);
}
