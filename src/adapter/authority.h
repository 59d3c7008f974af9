/* authority.h -- certificates: a cluster's own CA, and what it issues. X.509 by OpenSSL, P-256.
 *
 * An identity stands in a certificate as the subject alternative name URI "osiris:<cluster>/<who>"
 * (who as in model/policy.h: "instance:<id>" or "user:ana", no other kind; percent-encoded, see
 * certificate_identity.h); an instance's id is a DNS name, too, for clients that look for names
 * alone; the common name is for people. What the CA issues is good for TLS on both sides, for ends
 * only (no CA), and for OSR_CERTIFICATE_DAYS; the CA itself may issue no other CA.
 *
 * Everything here is a function of bytes: who calls keeps files, serial numbers need no counter
 * (128 random bits, above zero). Private keys are PKCS #8 PEM; buffers that held one are wiped
 * by osr_secret_buffer_done. What is made is added to a buffer; on failure that is as it was. */
#ifndef OSR_ADAPTER_AUTHORITY_H
#define OSR_ADAPTER_AUTHORITY_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

enum {
    OSR_AUTHORITY_DAYS = 3650,
    OSR_CERTIFICATE_DAYS = 90,
    /* A new one is asked for when so much of the time is over: two thirds, as ACME clients do. */
    OSR_CERTIFICATE_RENEW_PERCENT = 66,
    OSR_CERTIFICATE_EARLY_S = 300, /* it is good from so long before it was made: clocks differ */
    OSR_SERIAL_TEXT_MAX = 2 * 20 + 1,
    OSR_CERTIFICATE_NAME_BYTES_MAX = 255,
    OSR_CERTIFICATE_REQUEST_BYTES_MAX = 16 << 10,
    OSR_CERTIFICATE_NAMES_MAX = 64, /* of a server: stops a certificate that fits no handshake */
};

struct osr_certificate_facts {
    char cluster[OSR_CERTIFICATE_NAME_BYTES_MAX + 1]; /* of its identity; "" where it has none */
    char who[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    char subject[OSR_CERTIFICATE_NAME_BYTES_MAX + 1]; /* common name */
    char issuer[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    char serial[OSR_SERIAL_TEXT_MAX]; /* upper-case hexadecimal, as `openssl x509 -serial` has it */
    struct osr_hash fingerprint;      /* SHA-256 of the DER */
    uint64_t begins_s;                /* since 1970 */
    uint64_t expires_s;
    bool is_authority;
};

/* A P-256 key, PEM. */
void osr_tls_key_make(struct osr_buffer *ret_key_pem);
/* A request (PKCS #10, PEM) that shows that the asker has the key. What it wants to be is not in
 * it: the issuer decides that. */
int osr_certificate_request(struct osr_slice key_pem, struct osr_buffer *ret_request_pem,
                            struct osr_err *err);
/* A certificate that vouches for nothing but its key: for pinned ids and shared keys. For
 * OSR_AUTHORITY_DAYS, as nobody else renews it. */
int osr_certificate_self_signed(struct osr_slice key_pem, const char *cluster, const char *who,
                                uint64_t now_s, struct osr_buffer *ret_pem, struct osr_err *err);

/* A CA: its certificate for `key_pem`, signed by itself. `who` has it ("instance:<id>"), and stands
 * in it as an identity does: who believes the CA knows whose word on members and revocations
 * counts. */
int osr_authority_make(struct osr_slice key_pem, const char *cluster, const char *who,
                       uint64_t now_s, struct osr_buffer *ret_pem, struct osr_err *err);

struct osr_authority_order {
    struct osr_slice request_pem;
    const char *cluster;
    const char *who;
    const char *subject;      /* for people; 1 to 64 bytes */
    const char *const *names; /* DNS names and IP addresses of a server, beside the identity */
    size_t name_count;
    /* A certificate, PEM, whose DNS names and addresses it gets, too: the one that it is to follow,
     * which was issued by this CA or the one before. Empty: none. */
    struct osr_slice follows_pem;
    uint64_t now_s;
    uint32_t days; /* 0: OSR_CERTIFICATE_DAYS; never beyond the CA's own end */
};

/* TOO_LARGE: the request, or the count of names. INVALID_ARGUMENT: the request is none, its
 * signature is wrong, its key is none that we take (P-256, P-384, Ed25519), or a name is none;
 * CONFIG: CA and key do not belong together, or the CA has expired (says since when). */
int osr_authority_issue(struct osr_slice authority_pem, struct osr_slice authority_key_pem,
                        const struct osr_authority_order *order, struct osr_buffer *ret_pem,
                        struct osr_err *err);

/* Of the first certificate in the PEM text. MALFORMED: there is none, or it contradicts itself
 * (two identities, an identity that is none, names with control characters). */
int osr_certificate_read(struct osr_slice pem, struct osr_certificate_facts *ret_facts,
                         struct osr_err *err);
/* The next certificate of a text with several (a chain, CAs that are believed): its PEM block
 * alone; *rest becomes what follows it. False: none follows. */
bool osr_certificate_next(struct osr_slice *rest, struct osr_slice *ret_pem);
/* How many there are; 0 also where there is something else among them (a private key, half a
 * certificate). */
size_t osr_certificate_count(struct osr_slice pem);
/* When to ask for a new one: seconds since 1970. */
uint64_t osr_certificate_renew_at_s(const struct osr_certificate_facts *facts);
/* Whether it is a private key in PEM form, not encrypted; of any kind, as an outside CA may have
 * certified one of a kind that we issue nothing for. */
bool osr_private_key_is_valid(struct osr_slice key_pem);
/* Whether key and certificate belong together. */
bool osr_certificate_fits_key(struct osr_slice pem, struct osr_slice key_pem);

/* Whether the first certificate in the text is signed by this CA. */
bool osr_certificate_is_issued_by(struct osr_slice pem, struct osr_slice authority_pem);

void osr_secret_buffer_done(struct osr_buffer *buffer); /* wipes, then frees */

#endif
