/* trust.h -- who an instance is and whom it believes, as the files of trust_folder.h say it. */
#ifndef OSR_NODE_TRUST_H
#define OSR_NODE_TRUST_H

#include "adapter/authority.h"
#include "adapter/private_file.h"
#include "adapter/shared_keys.h"
#include "model/identity.h"

/* X(NAME, name in the folder, forbidden bits of its mode (adapter/private_file.h)) */
#define OSR_TRUST_FILES(X)                                                                         \
    X(TLS_KEY, "tls.key", OSR_PRIVATE_SECRET)                                                      \
    X(TLS_CERTIFICATE, "tls.crt", OSR_PRIVATE_TRUST)                                               \
    X(AUTHORITIES, "authorities.pem", OSR_PRIVATE_TRUST)                                           \
    X(CA_KEY, "ca.key", OSR_PRIVATE_SECRET)                                                        \
    X(CA_CERTIFICATE, "ca.crt", OSR_PRIVATE_TRUST)                                                 \
    X(CA_NEXT_KEY, "ca.next.key", OSR_PRIVATE_SECRET)                                              \
    X(CA_NEXT_CERTIFICATE, "ca.next.crt", OSR_PRIVATE_TRUST)                                       \
    X(CA_OLD_CERTIFICATE, "ca.old.crt", OSR_PRIVATE_TRUST)                                         \
    X(SHARED_KEYS, "psk", OSR_PRIVATE_SECRET)

enum osr_trust_file {
#define OSR_TRUST_FILE_ENUM(name, text, forbidden) OSR_TRUST_##name,
    OSR_TRUST_FILES(OSR_TRUST_FILE_ENUM)
#undef OSR_TRUST_FILE_ENUM
        OSR_TRUST_FILE_COUNT,
};

extern const char *const osr_trust_file_names[OSR_TRUST_FILE_COUNT];

enum {
    OSR_TRUST_FILE_BYTES_MAX = 1 << 20, /* stops a wrong file from being read to its end */
    OSR_TRUST_AUTHORITIES_MAX = 256,    /* stops handshakes from searching for long */
};

/* All of it, as it stands there. */
struct osr_trust {
    struct osr_buffer files[OSR_TRUST_FILE_COUNT]; /* empty: there is no such file */
    struct osr_shared_keys shared_keys;
};

void osr_trust_destroy(struct osr_trust *trust); /* NULL is a no-op; wipes */

static inline bool osr_trust_has(const struct osr_trust *trust, enum osr_trust_file file)
{
    return trust->files[file].size > 0;
}

static inline struct osr_slice osr_trust_text(const struct osr_trust *trust,
                                              enum osr_trust_file file)
{
    return osr_buffer_slice(&trust->files[file]);
}

/* Of the first certificate in the text, which has been checked. */
struct osr_hash osr_trust_fingerprint(struct osr_slice pem);
bool osr_trust_is_among(struct osr_slice certificates, const struct osr_hash *fingerprint);
/* The ids of the instances that the CAs of this cluster which are believed say they are of;
 * *ret_ids is the caller's to free. Returns how many. */
size_t osr_trust_authorities(const struct osr_trust *trust, const char *cluster,
                             char (**ret_ids)[OSR_INSTANCE_CHARS + 1]);
/* Whether all of it makes sense together; CONFIG names the file in `folder` that does not. */
int osr_trust_check(const struct osr_trust *trust, const char *folder, struct osr_err *err);

#endif
