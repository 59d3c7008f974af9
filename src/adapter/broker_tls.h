/* broker_tls.h -- what TLS to a broker has to hold, by whichever library it is spoken: 1.2 or
 * newer, and a certificate with the name, or the address, that the URL dials. */
#ifndef OSR_ADAPTER_BROKER_TLS_H
#define OSR_ADAPTER_BROKER_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/error.h"

/* Of a client's context. OpenSSL itself compares: the libraries know names alone, or compare with
 * what they were told to connect to. */
void osr_broker_tls_demand(SSL_CTX *tls, const char *host);
/* A name may be told to the broker in the handshake, an address may not (RFC 6066). */
bool osr_broker_tls_is_name(const char *host);
/* The broker's certificate was refused: `verdict` is OpenSSL's, X509_V_ERR_... */
enum osr_code osr_broker_tls_refusal(struct osr_err *err, const char *url, long verdict);

#endif
