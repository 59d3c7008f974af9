/* certificate_draft.h -- what a certificate is to say, and the certificate that says it. */
#ifndef OSR_ADAPTER_CERTIFICATE_DRAFT_H
#define OSR_ADAPTER_CERTIFICATE_DRAFT_H

#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/error.h"

/* The texts have been checked. */
struct osr_certificate_draft {
    EVP_PKEY *public_key;
    EVP_PKEY *signing_key;
    X509 *authority;          /* NULL: it is signed with its own key */
    const char *organization; /* NULL: none */
    const char *subject;      /* common name */
    GENERAL_NAMES *names;     /* NULL: none */
    uint64_t begins_s;
    uint64_t expires_s;
    bool is_authority;
};

/* Appends it, PEM, with a serial number of its own. INTERNAL where OpenSSL cannot. */
int osr_certificate_make(const struct osr_certificate_draft *draft, struct osr_buffer *pem,
                         struct osr_err *err);

#endif
