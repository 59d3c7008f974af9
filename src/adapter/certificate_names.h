/* certificate_names.h -- what a certificate is to be good for: its alternative names.
 *
 * Each is written by its type, never as text that OpenSSL would take apart at commas and colons. */
#ifndef OSR_ADAPTER_CERTIFICATE_NAMES_H
#define OSR_ADAPTER_CERTIFICATE_NAMES_H

#include <openssl/x509v3.h>

#include "base/error.h"

/* INVALID_ARGUMENT, naming the culprit, where one of them is no name. */
int osr_certificate_add_identity(GENERAL_NAMES *names, const char *cluster, const char *who,
                                 struct osr_err *err);
/* A DNS name or an IP address, no wildcard. */
int osr_certificate_add_server(GENERAL_NAMES *names, const char *name, struct osr_err *err);
/* The DNS names and addresses of a certificate, which are not looked at, without those that are
 * there already. MALFORMED: it has names that are none. */
int osr_certificate_add_servers_of(GENERAL_NAMES *names, X509 *certificate, struct osr_err *err);

#endif
