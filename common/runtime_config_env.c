/* The variables that no script gets from outside. */
#include <string.h>

#include "common/runtime_config.h"

/*
 * PATH, PYTHONPATH and NODE_PATH are not here: they say where a program's own
 * modules lie, and people need them. Nor are those that say whom to trust
 * (SSL_CERT_FILE, NODE_EXTRA_CA_CERTS): they load no code.
 */
static const char *const refused_names[] = {
	/* Bash, and other shells */
	"BASH_ENV",
	"BASH_LOADABLES_PATH",
	"BASH_XTRACEFD",
	"BASHOPTS",
	"CDPATH",
	"ENV",
	"FPATH",
	"GLOBIGNORE",
	"IFS",
	"PROMPT_COMMAND",
	"PS4",
	"SHELLOPTS",
	"ZDOTDIR",
	/* Node */
	"NODE_CHANNEL_FD",
	"NODE_CHANNEL_SERIALIZATION_MODE",
	"NODE_COMPILE_CACHE",
	"NODE_ICU_DATA",
	"NODE_OPTIONS",
	"NODE_REPL_EXTERNAL_MODULE",
	"NODE_UNIQUE_ID",
	/* Python */
	"PYTHONBREAKPOINT",
	"PYTHONCASEOK",
	"PYTHONEXECUTABLE",
	"PYTHONHOME",
	"PYTHONINSPECT",
	"PYTHONPLATLIBDIR",
	"PYTHONPYCACHEPREFIX",
	"PYTHONSTARTUP",
	"PYTHONUSERBASE",
	"PYTHONWARNINGS", /* imports the module of a category */
	"PYTHON_PRESITE",
	/* the C library, and OpenSSL's modules */
	"GCONV_PATH",
	"GETCONF_DIR",
	"GLIBC_TUNABLES",
	"HOSTALIASES",
	"LOCALDOMAIN",
	"LOCPATH",
	"NLSPATH",
	"OPENSSL_CONF",
	"OPENSSL_ENGINES",
	"OPENSSL_MODULES",
	"RESOLV_HOST_CONF",
	"RES_OPTIONS",
	/* what a script may start */
	"AWKLIBPATH",
	"CURL_HOME",
	"JAVA_TOOL_OPTIONS",
	"PERL5DB",
	"PERL5OPT",
	"RUBYOPT",
};

static const char *const refused_prefixes[] = {
	"BASH_FUNC_", /* exported functions */
	"BUN_", /* BUN_OPTIONS, BUN_INSPECT…, BUN_CONFIG_…, BUN_JSC_… */
	"CRONIUM_",   "DYLD_", "JSC_", "LD_", "MALLOC_",
};

/* Whom a script's SDK trusts: loads no code, either. */
static const char allowed_name[] = "CRONIUM_CA_FILE";

bool runtime_config_env_refused(const char *name)
{
	if (!strcmp(name, allowed_name))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(refused_prefixes); i++)
		if (*name == *refused_prefixes[i] &&
		    !strncmp(name, refused_prefixes[i],
			     strlen(refused_prefixes[i])))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(refused_names); i++)
		if (*name == *refused_names[i] &&
		    !strcmp(name, refused_names[i]))
			return true;
	return false;
}
