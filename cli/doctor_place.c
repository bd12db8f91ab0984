/* cronium doctor: the data directory, its keys, the port. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cli/doctor.h"
#include "cli/http_probe.h"

#define DATA_FREE_FAIL_BYTES (100ULL << 20)
#define DATA_FREE_WARN_BYTES (1ULL << 30)
#define PORT_DEFAULT 8642

/* The directory that exists: DATA itself or what it would be made in. */
static void data_existing(const char *data, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s", data);
	while (access(out, F_OK) < 0 && strchr(out + 1, '/'))
		*strrchr(out, '/') = '\0';
	if (access(out, F_OK) < 0)
		snprintf(out, PATH_MAX, "/");
}

void doctor_check_data(struct doctor *d)
{
	const char *data = doctor_place(d)->data;
	unsigned long long left;
	char dir[PATH_MAX];
	struct statvfs fs;

	data_existing(data, dir);
	if (access(dir, W_OK | X_OK) < 0) {
		doctor_report(d, DOCTOR_FAIL,
			      "give the directory to this user, or choose "
			      "another with --data-dir",
			      "%s: cannot write %s: %s", data, dir,
			      strerror(errno));
		return;
	}
	if (statvfs(dir, &fs) < 0) {
		doctor_report(d, DOCTOR_WARN, "look at the disk", "%s: %s", dir,
			      strerror(errno));
		return;
	}
	left = (unsigned long long)fs.f_bavail * fs.f_frsize;
	doctor_report(d,
		      left < DATA_FREE_FAIL_BYTES   ? DOCTOR_FAIL
		      : left < DATA_FREE_WARN_BYTES ? DOCTOR_WARN
						    : DOCTOR_OK,
		      "free some space, or choose another --data-dir",
		      "%s, %.1f GiB free%s", data,
		      (double)left / (1024.0 * 1024 * 1024),
		      strcmp(data, dir) ? "; made when it is needed" : "");
}

/* --- keys ---------------------------------------------------------------- */

/* True where it exists. */
static bool keys_check_one(struct doctor *d, const char *name)
{
	char path[PATH_MAX + 32], mend[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", doctor_place(d)->data, name);
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			doctor_report(d, DOCTOR_FAIL,
				      "run doctor as the user that the server "
				      "runs as",
				      "%s: %s", path, strerror(errno));
		return errno != ENOENT;
	}
	if (st.st_mode & 077) {
		snprintf(mend, sizeof(mend), "chmod 600 %s", path);
		doctor_report(d, DOCTOR_FAIL, mend,
			      "%s can be read by others (mode %03o)", path,
			      st.st_mode & 0777);
	} else if (st.st_uid != geteuid() && geteuid() != 0) {
		doctor_report(d, DOCTOR_FAIL,
			      "run as its owner, or choose another --data-dir",
			      "%s belongs to uid %u", path,
			      (unsigned int)st.st_uid);
	} else {
		doctor_report(d, DOCTOR_OK, NULL, "%s", path);
	}
	return true;
}

void doctor_check_keys(struct doctor *d)
{
	bool found = keys_check_one(d, "keys/signing.pem");

	found |= keys_check_one(d, "keys/master.key");
	found |= keys_check_one(d, "api-key");
	if (!found)
		doctor_report(d, DOCTOR_OK, NULL,
			      "none yet; made on the first start");
}

/* --- port ---------------------------------------------------------------- */

void doctor_check_port(struct doctor *d)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT_DEFAULT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct http_probe probe;
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		doctor_report(d, DOCTOR_OK, NULL, "127.0.0.1:%d is free",
			      PORT_DEFAULT);
	else if (!http_probe((struct sockaddr *)&addr, sizeof(addr), "/healthz",
			     &probe) &&
		 probe.status == 200)
		doctor_report(d, DOCTOR_OK, NULL,
			      "a server answers on 127.0.0.1:%d", PORT_DEFAULT);
	else
		doctor_report(d, DOCTOR_WARN,
			      "stop what uses it, or start the server with "
			      "`cronium up --listen 127.0.0.1:PORT`",
			      "127.0.0.1:%d is taken by something else",
			      PORT_DEFAULT);
}
