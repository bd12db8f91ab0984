/* Tells systemd (Type=notify) how far we are; nothing elsewhere. */
#pragma once

/* "READY=1", "STOPPING=1" */
void notify_send(const char *state);
