#include "adapter/mqtt_tls.h"

#include <assert.h>
#include <openssl/err.h>

#include "adapter/broker_tls.h"

/* Before the first message of a handshake is made: names the broker in it, in place of the address
 * that libmosquitto was given; NULL names nobody. */
static void name_server(const SSL *ssl, int where, int result)
{
    (void)result;
    if (where == SSL_CB_HANDSHAKE_START) {
        SSL_set_tlsext_host_name((SSL *)ssl, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    }
}

int osr_mqtt_tls_create(const struct osr_url *url, const struct osr_broker_login *login,
                        SSL_CTX **ret_tls, struct osr_err *err)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    assert(tls != NULL);

    osr_broker_tls_demand(tls, url->host);
    /* What libmosquitto could not write at once it gives again, maybe from another place. */
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_app_data(tls, osr_broker_tls_is_name(url->host) ? (void *)url->host : NULL);
    SSL_CTX_set_info_callback(tls, name_server);
    if (login->ca_file == NULL) {
        SSL_CTX_set_default_verify_paths(tls);
    } else if (SSL_CTX_load_verify_file(tls, login->ca_file) != 1) {
        ERR_clear_error();
        SSL_CTX_free(tls);
        osr_err_set(err, OSR_CONFIG, "%s: no certificate in %s", url->text, login->ca_file);
        osr_err_hint(err, "ca_file is the certificate of the CA that signed the broker's, as PEM");
        return OSR_CONFIG;
    }
    *ret_tls = tls;
    return 0;
}

enum osr_code osr_mqtt_tls_error(struct osr_err *err, const char *url, SSL *ssl)
{
    long result = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;

    if (result == X509_V_OK) {
        osr_err_set(err, OSR_UNAVAILABLE, "%s: no TLS with the broker", url);
        osr_err_hint(err, "does it take TLS 1.2 or newer at this port? Look at the broker's log");
        return OSR_UNAVAILABLE;
    }
    return osr_broker_tls_refusal(err, url, result);
}
