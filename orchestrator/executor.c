#include "orchestrator/executor.h"

#include <string.h>

const struct executor_ops *const executors[] = {
	&executor_docker,
	&executor_sandbox,
	&executor_ssh,
	NULL,
};

bool executor_spares(const struct executor_spare *spare, const char *pod)
{
	for (size_t i = 0; spare && i < spare->n; i++)
		if (!strcmp(spare->pods[i], pod))
			return true;
	return false;
}

const struct executor_ops *executor_find(const char *name)
{
	for (size_t i = 0; executors[i]; i++)
		if (!strcmp(executors[i]->name, name))
			return executors[i];
	return NULL;
}
