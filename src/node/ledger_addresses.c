#include "node/ledger_addresses.h"

#include <stdio.h>
#include <stdlib.h>

#define ANY_HOST "*"

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether instances can be linked to there, without a login and without a file of ours. */
static bool is_for_members(const struct osr_url *url)
{
    return url->port != 0 && !osr_url_is_broker(url) && !osr_url_is_for_clients(url) &&
           osr_url_parameter(url, "peer") == NULL;
}

static bool write_address(char text[OSR_URL_TEXT_MAX], const char *scheme, const char *host,
                          uint16_t port)
{
    bool is_ipv6 = strchr(host, ':') != NULL;
    int size = snprintf(text, OSR_URL_TEXT_MAX, "%s://%s%s%s:%u", scheme, is_ipv6 ? "[" : "", host,
                        is_ipv6 ? "]" : "", port);
    return size < OSR_URL_TEXT_MAX;
}

bool osr_ledger_address_tell(const char *listener, bool is_local, char text[OSR_URL_TEXT_MAX])
{
    struct osr_url url;
    if (osr_url_parse(listener, &url, NULL) != 0 || !is_for_members(&url) ||
        (osr_url_is_loopback(&url) && !is_local)) {
        return false;
    }
    return write_address(text, url.scheme, is_wildcard(url.host) ? ANY_HOST : url.host, url.port);
}

/* "tls://" and ":7400" of "tls://" "*" ":7400"; false where the host is given. */
static bool has_any_host(const char *told, size_t *ret_scheme_size, const char **ret_rest)
{
    const char *host = strstr(told, "://");
    if (host == NULL || strncmp(host + 3, ANY_HOST ":", 2) != 0) {
        return false;
    }
    *ret_scheme_size = (size_t)(host - told);
    *ret_rest = host + 3 + strlen(ANY_HOST);
    return true;
}

static bool put_in_host(const char *told, const char *seen, char text[OSR_URL_TEXT_MAX])
{
    size_t scheme_size;
    const char *rest;
    struct osr_url from;
    if (!has_any_host(told, &scheme_size, &rest)) {
        return snprintf(text, OSR_URL_TEXT_MAX, "%s", told) < OSR_URL_TEXT_MAX;
    }
    if (seen == NULL || osr_url_parse(seen, &from, NULL) != 0 || from.port == 0 ||
        osr_url_is_broker(&from)) {
        return false;
    }
    bool is_ipv6 = strchr(from.host, ':') != NULL;
    int size = snprintf(text, OSR_URL_TEXT_MAX, "%.*s://%s%s%s%s", (int)scheme_size, told,
                        is_ipv6 ? "[" : "", from.host, is_ipv6 ? "]" : "", rest);
    return size < OSR_URL_TEXT_MAX;
}

static bool is_on_this_machine(const char *seen)
{
    struct osr_url url;
    return osr_url_parse(seen, &url, NULL) == 0 && osr_url_is_loopback(&url);
}

bool osr_ledger_address_take(const char *told, const char *seen, bool allows_plaintext,
                             struct osr_url *ret_url)
{
    char text[OSR_URL_TEXT_MAX];
    struct osr_url url;
    if (!put_in_host(told, seen, text) || osr_url_parse(text, &url, NULL) != 0 ||
        !is_for_members(&url) || url.parameter_count > 0 || is_wildcard(url.host)) {
        return false;
    }
    bool is_local = osr_url_is_loopback(&url);
    if ((is_local && seen != NULL && !is_on_this_machine(seen)) ||
        (!is_local && !osr_url_is_secure(&url) && !allows_plaintext)) {
        return false;
    }
    *ret_url = url;
    return true;
}

/* ---- as they are known ---- */

static bool is_any_host(const char *address)
{
    size_t scheme_size;
    const char *rest;
    return has_any_host(address, &scheme_size, &rest);
}

bool osr_ledger_address_is_vague(const char *told)
{
    return is_any_host(told) || is_on_this_machine(told);
}

bool osr_ledger_address_holds(const char *known, const char *told)
{
    char text[OSR_URL_TEXT_MAX];
    struct osr_url there, here;
    if (strcmp(known, told) == 0) {
        return true;
    }
    return !is_any_host(known) && osr_ledger_address_is_vague(told) &&
           osr_url_parse(known, &there, NULL) == 0 && put_in_host(told, known, text) &&
           osr_url_parse(text, &here, NULL) == 0 && strcmp(there.scheme, here.scheme) == 0 &&
           there.port == here.port;
}
