/* target.h -- which instance is meant: one with a data folder on this machine, or one at a URL. */
#ifndef OSR_CLIENT_TARGET_H
#define OSR_CLIENT_TARGET_H

#include "base/error.h"
#include "base/url.h"
#include "client/client_trust.h"

/* A zeroed one names nothing yet. */
struct osr_target {
    struct osr_url url;
    char *folder;                   /* data folder; NULL where a URL was given */
    struct osr_client_trust *trust; /* NULL: nobody is believed, and nothing shown */
};

/* folder: NULL for the default one (adapter/folder.h). */
int osr_target_folder(const char *folder, struct osr_target *ret_target, struct osr_err *err);
/* INVALID_ARGUMENT, too, where it is no stream: datagrams and messages are for instances. */
int osr_target_url(const char *url, struct osr_target *ret_target, struct osr_err *err);
void osr_target_done(struct osr_target *target); /* zeroed after */

/* Frames go over tcp:// and tls://, and where the URL names their encoding; else it is gRPC. */
bool osr_target_speaks_frames(const struct osr_url *url);

/* Where nobody listens: names the data folder instead of its socket. */
void osr_target_explain(const struct osr_target *target, struct osr_err *err);

#endif
