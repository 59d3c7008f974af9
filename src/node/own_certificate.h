/* own_certificate.h -- the certificate of the CA's instance, which issues it to itself. */
#ifndef OSR_NODE_OWN_CERTIFICATE_H
#define OSR_NODE_OWN_CERTIFICATE_H

#include "node/trust_folder.h"

struct osr_own_certificate {
    const char *cluster;
    const char *instance; /* its id */
    const char *name;     /* for people */
    uint64_t now_s;
};

/* `trust` is what the folder holds, with TLS key and CA; the certificate is stored there, with the
 * CA behind it: who knows the CA's fingerprint alone (an invitation) sees that it is the one. */
int osr_own_certificate_issue(const struct osr_trust_folder *folder, const struct osr_trust *trust,
                              const struct osr_own_certificate *own, struct osr_err *err);

#endif
