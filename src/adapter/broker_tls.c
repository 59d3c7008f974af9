#include "adapter/broker_tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/x509v3.h>

bool osr_broker_tls_is_name(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1;
}

void osr_broker_tls_demand(SSL_CTX *tls, const char *host)
{
    X509_VERIFY_PARAM *expected = SSL_CTX_get0_param(tls);
    bool is_new = SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1;

    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int is_named = osr_broker_tls_is_name(host) ? X509_VERIFY_PARAM_set1_host(expected, host, 0)
                                                : X509_VERIFY_PARAM_set1_ip_asc(expected, host);
    assert(is_new && is_named == 1); /* they fail only for lack of memory */
}

enum osr_code osr_broker_tls_refusal(struct osr_err *err, const char *url, long verdict)
{
    osr_err_set(err, OSR_UNAUTHENTICATED, "%s: the broker's certificate is refused: %s", url,
                X509_verify_cert_error_string(verdict));
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        osr_err_hint(err, "dial the broker by a name that stands in its certificate");
    } else {
        osr_err_hint(err, "?ca_file=PATH names the CA that signed the broker's certificate");
    }
    return OSR_UNAUTHENTICATED;
}
