/* certificate_identity.h -- the identity within a certificate: the URI "osiris:<cluster>/<who>".
 *
 * A name may have any characters (a cluster "büro/2", a user "ana maría"), so each is
 * percent-encoded (RFC 3986): whatever is not a letter, a digit or one of "-._~@" becomes %XX, of
 * `who` all but its first ':'. Only this one way of writing is read, so that no two texts are the
 * same identity and none can be read in two ways.
 *
 * Who can be an instance ("instance:<id>") or a user ("user:<name>") and nothing else: what the
 * machine itself or a shared key vouches for is never found in a certificate. */
#ifndef OSR_ADAPTER_CERTIFICATE_IDENTITY_H
#define OSR_ADAPTER_CERTIFICATE_IDENTITY_H

#include "base/bytes.h"
#include "base/error.h"

/* Appends. INVALID_ARGUMENT, naming the culprit, where one of them is no name. */
int osr_identity_uri_write(struct osr_buffer *uri, const char *cluster, const char *who,
                           struct osr_err *err);
/* Whether it is meant to be one: it begins with "osiris:". */
bool osr_identity_uri_is_ours(struct osr_slice uri);
/* Into texts of OSR_CERTIFICATE_NAME_BYTES_MAX + 1 bytes; false leaves them as they were. */
bool osr_identity_uri_read(struct osr_slice uri, char *cluster, char *who);

#endif
