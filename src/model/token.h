/* token.h -- secrets that people carry: bearer tokens and invitations, as text and back.
 *
 * Both are opaque, say what they are by their first letters, so that secret scanners find them,
 * and end in a check, so that a mistyped one is told from a wrong one. Nobody stores the secret:
 * the issuer keeps SHA-256("osiris token 1\0" | cluster tag | id | secret), which for 160 random
 * bits needs no salt.
 *
 * Token:      "osrt_" <text>, text = base32 of [8 bytes cluster tag | 8 bytes id | 20 bytes
 *             secret | 4 bytes check]
 * Invitation: "osri_" <text>, text = base32 of [version 1 | 8 bytes cluster tag | 8 bytes id |
 *             20 bytes secret | 32 bytes SHA-256 of the CA's certificate | u8 count |
 *             count times (u8 length | address) | 4 bytes check]
 *
 * The check is the first bytes of SHA-256("osiris check 1\0" | prefix | what stands before it).
 * The cluster tag is the first bytes of SHA-256("osiris cluster 1\0" | name): a token of another
 * cluster is told so. Upper case, and '-', '.' or white space within (as mail programs break
 * lines), do not matter when reading.
 *
 * Nothing secret is left behind by these functions; who holds a struct osr_token wipes it. */
#ifndef OSR_MODEL_TOKEN_H
#define OSR_MODEL_TOKEN_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

enum {
    OSR_SECRET_ID_SIZE = 8,
    OSR_SECRET_SIZE = 20,
    OSR_CLUSTER_TAG_SIZE = 8,
    OSR_SECRET_ID_CHARS = 2 * OSR_SECRET_ID_SIZE,
    OSR_TOKEN_TEXT_MAX = 5 + 64 + 1,
    OSR_INVITATION_ADDRESSES_MAX = 8,
    OSR_INVITATION_ADDRESS_BYTES_MAX = 255,
    OSR_INVITATION_TEXT_MAX = 4096, /* stops a pasted book from being read */
};

struct osr_cluster_tag {
    uint8_t bytes[OSR_CLUSTER_TAG_SIZE];
};

struct osr_token {
    struct osr_cluster_tag cluster;
    uint8_t id[OSR_SECRET_ID_SIZE]; /* not secret: names it in lists, logs and revocations */
    uint8_t secret[OSR_SECRET_SIZE];
};

struct osr_invitation {
    struct osr_token token;
    struct osr_hash ca_fingerprint;
    char *addresses[OSR_INVITATION_ADDRESSES_MAX]; /* URLs, the likeliest first; owned */
    size_t address_count;                          /* 1.. */
};

struct osr_cluster_tag osr_cluster_tag(const char *cluster);
/* What the issuer keeps. */
struct osr_hash osr_token_hash(const struct osr_token *token);
/* In constant time. */
bool osr_token_matches(const struct osr_token *token, const struct osr_hash *hash);
/* OSR_SECRET_ID_CHARS hexadecimal digits and a NUL. */
void osr_token_id_text(char *text, const struct osr_token *token);

/* OSR_TOKEN_TEXT_MAX bytes. */
void osr_token_write(char *text, const struct osr_token *token);
/* INVALID_ARGUMENT: it is no token (and what it looks like instead), it is cut short, or its check
 * is wrong ("mistyped"); WRONG_CLUSTER: it is whole, and another cluster's. `cluster` NULL: of
 * whichever. No message repeats it; on failure *ret_token is untouched. */
int osr_token_read(struct osr_slice text, const struct osr_cluster_tag *cluster,
                   struct osr_token *ret_token, struct osr_err *err);

/* Addresses are plain text, 1 to OSR_INVITATION_ADDRESS_BYTES_MAX bytes each. */
void osr_invitation_write(struct osr_buffer *text, const struct osr_invitation *invitation);
/* Failures as above, WRONG_CLUSTER aside: who joins has none yet; and UNSUPPORTED_VERSION: it is
 * whole, and a newer Osiris made it. On failure *ret_invitation is untouched. */
int osr_invitation_read(struct osr_slice text, struct osr_invitation *ret_invitation,
                        struct osr_err *err);
/* INVALID_ARGUMENT for an address at which nobody can join: nothing may be shown before the other
 * side is known, and who joins calls as programs do, over a stream. */
int osr_invitation_check_address(const char *address, struct osr_err *err);
void osr_invitation_done(struct osr_invitation *invitation); /* wipes; empty after */

#endif
