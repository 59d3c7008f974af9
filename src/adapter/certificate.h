/* certificate.h -- certificates and keys as OpenSSL holds them: what the rest of this room needs
 * beside authority.h. No function here leaves anything in OpenSSL's queue of errors. */
#ifndef OSR_ADAPTER_CERTIFICATE_H
#define OSR_ADAPTER_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "adapter/authority.h"

/* For OpenSSL's readers of PEM: what is encrypted fails, and nobody is asked for a password at the
 * terminal. */
int osr_pem_no_password(char *buffer, int size, int writing, void *context);
/* Moves what was written into the BIO behind what is in the buffer; no copy is left elsewhere. */
void osr_pem_take(BIO *text, struct osr_buffer *buffer);
/* The first certificate in the text; NULL: there is none. */
X509 *osr_certificate_parse(struct osr_slice pem);
/* The private key, which may not be encrypted; NULL: there is none. */
EVP_PKEY *osr_key_parse(struct osr_slice pem);
/* P-256, P-384 or Ed25519, and named as such. */
bool osr_key_is_taken(const EVP_PKEY *key);
/* For a signature with this key; NULL for Ed25519, which hashes by itself. */
const EVP_MD *osr_key_digest(const EVP_PKEY *key);
/* INTERNAL, "OpenSSL cannot <what>", and why. */
int osr_openssl_error(struct osr_err *err, const char *what);
/* MALFORMED, saying how: a certificate that contradicts itself, has a name that is no plain text,
 * an identity that is none, or two of them. On failure *ret_facts is untouched. */
int osr_certificate_describe(X509 *certificate, struct osr_certificate_facts *ret_facts,
                             struct osr_err *err);

#endif
