/* notify.h -- tells the service manager that started us how it goes: sd_notify's protocol, a
 * datagram to the socket that the environment names in NOTIFY_SOCKET. Where nobody asked, or nobody
 * listens, nothing happens. */
#ifndef OSR_BIN_NOTIFY_H
#define OSR_BIN_NOTIFY_H

#define OSR_NOTIFY_READY    "READY=1"
#define OSR_NOTIFY_STOPPING "STOPPING=1"

void osr_notify(const char *state);

#endif
