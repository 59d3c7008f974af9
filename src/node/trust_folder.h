/* trust_folder.h -- what an instance keeps on disk about who it is and whom it believes.
 *
 * DATA/trust/ holds, each as far as there is one:
 *     tls.key, tls.crt            its TLS key, and the certificate for it with its chain
 *     authorities.pem             the CAs that are believed, several during a rotation
 *     ca.key, ca.crt              the cluster's CA, where this instance is the CA's
 *     ca.next.key, ca.next.crt    the CA that is to follow it: believed already, not used yet
 *     ca.old.crt                  the CA before it: still believed
 *     psk                         shared keys (shared_keys.h)
 *
 * Rotation of the CA: begin (the next one is believed too; everyone has to hear of it), switch
 * (what is issued from now on is issued by it; everyone has to be issued a new certificate), end
 * (the old one is believed no longer).
 *
 * Whatever changes, changes together or not at all, also over a crash (file_set.h). What is there
 * is taken whole or refused whole: a key that others can read, a certificate that is not of its
 * key, a file that is none of these; err names the file and what mends it. So a reload has all of
 * the new or goes on with all of the old.
 *
 * Several processes may look and change at once: each has the data folder locked meanwhile, so that
 * none sees half of a change, and none loses another's. BUSY: one has had it for long.
 *
 * Blocking: for start, or a thread beside the loop's. */
#ifndef OSR_NODE_TRUST_FOLDER_H
#define OSR_NODE_TRUST_FOLDER_H

#include "adapter/file.h"
#include "node/trust.h"

struct osr_trust_folder;

/* DATA/trust, which is made when it is first looked at. */
struct osr_trust_folder *osr_trust_folder_open(struct osr_disk *disk, const char *data_folder);
void osr_trust_folder_close(struct osr_trust_folder *folder); /* NULL is a no-op */

/* On failure *ret_trust is untouched. */
int osr_trust_folder_load(const struct osr_trust_folder *folder, struct osr_trust **ret_trust,
                          struct osr_err *err);

/* All that change: on failure what is on disk is as it was, unless the disk itself failed at the
 * very end (then it is the new state). What runs already goes on with what it has loaded. */

/* Makes the TLS key unless there is one. */
int osr_trust_folder_ensure_key(const struct osr_trust_folder *folder, struct osr_err *err);
/* Makes the cluster's CA, whose instance is `who` ("instance:<id>"), and believes it.
 * ALREADY_EXISTS: there is one. */
int osr_trust_folder_make_authority(const struct osr_trust_folder *folder, const char *cluster,
                                    const char *who, uint64_t now_s, struct osr_err *err);

struct osr_trust_certificate {
    struct osr_slice key_pem;         /* empty: that of the folder */
    struct osr_slice certificate_pem; /* with its chain; empty: that of the folder */
    struct osr_slice authorities_pem; /* believed too from now on; empty: none */
    /* Whose CAs ("instance:<id>", which their certificates name) are believed no longer where they
     * are not among authorities_pem; NULL: all stay. */
    const char *authority;
};

/* A certificate that was issued, or renewed, or comes with joining. CONFIG: it is not the key's. */
int osr_trust_folder_store_certificate(const struct osr_trust_folder *folder,
                                       const struct osr_trust_certificate *certificate,
                                       struct osr_err *err);

/* Believes these CAs too; those that are believed already do not matter. */
int osr_trust_folder_add_authorities(const struct osr_trust_folder *folder,
                                     struct osr_slice authorities_pem, struct osr_err *err);
/* Believes it no longer. NOT_FOUND; IN_USE: it is this instance's own, see rotation. */
int osr_trust_folder_remove_authority(const struct osr_trust_folder *folder,
                                      const struct osr_hash *fingerprint, struct osr_err *err);

/* NOT_FOUND: this instance is not the CA's, or that step has nothing to do; ALREADY_EXISTS: the
 * step before has still to be done. */
int osr_trust_folder_begin_rotation(const struct osr_trust_folder *folder, const char *cluster,
                                    const char *who, uint64_t now_s, struct osr_err *err);
int osr_trust_folder_switch_authority(const struct osr_trust_folder *folder, struct osr_err *err);
int osr_trust_folder_end_rotation(const struct osr_trust_folder *folder, struct osr_err *err);

/* As osr_shared_keys_add and _remove. */
int osr_trust_folder_add_shared_key(const struct osr_trust_folder *folder, const char *name,
                                    struct osr_slice secret, struct osr_err *err);
int osr_trust_folder_remove_shared_key(const struct osr_trust_folder *folder, const char *name,
                                       struct osr_err *err);

#endif
