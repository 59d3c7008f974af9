#include "base/url.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define HOST_CHARACTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define ADDRESS_CHARACTERS HOST_CHARACTERS "/"

enum { SETTLE_MS_MAX = 60000, INSTANCE_CHARS = 32 };

static const struct scheme {
    const char *name;
    uint16_t port; /* where none is given; 0: a path stands for host and port */
    bool is_secure;
    bool is_rpc;
    bool is_datagram;
    bool is_bus;
    bool is_broker;        /* user and address beside host and port */
    bool is_broker_secure; /* TLS to it */
} schemes[] = {
#define BROKER .is_secure = true, .is_bus = true, .is_broker = true
    {.name = "tcp", .port = 12346},
    {.name = "tls", .port = 7400, .is_secure = true},
    {.name = "udp", .port = 7400, .is_secure = true, .is_datagram = true},
    {.name = "grpc", .port = 7400, .is_rpc = true},
    {.name = "grpcs", .port = 7400, .is_secure = true, .is_rpc = true},
    {.name = "unix"},
    {.name = "zmq", .port = 7401, .is_secure = true, .is_bus = true},
    {.name = "mqtt", .port = 1883, BROKER},
    {.name = "mqtts", .port = 8883, BROKER, .is_broker_secure = true},
    {.name = "amqp", .port = 5672, BROKER},
    {.name = "amqps", .port = 5671, BROKER, .is_broker_secure = true},
};

static const struct scheme *find_scheme(const char *name)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strcmp(schemes[i].name, name) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
}

/* What stands between two places of the text. */
struct span {
    const char *begin;
    const char *end;
};

static int refuse(struct osr_err *err, const char *text, const char *why)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%s': %s", text, why);
    osr_err_hint(err, "an address looks like tls://HOST:PORT, tcp://HOST:PORT, unix:///PATH or "
                      "mqtt://USER@BROKER:PORT/ADDRESS");
    return OSR_INVALID_ARGUMENT;
}

/* Copies a span that must not be empty; false where it is, or where it does not fit. */
static bool copy(char *target, size_t size, struct span span)
{
    size_t length = (size_t)(span.end - span.begin);
    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(target, span.begin, length);
    target[length] = '\0';
    return true;
}

/* Decimal digits up to `max`; false for anything else. */
static bool parse_number(struct span span, unsigned long max, unsigned long *ret_number)
{
    unsigned long number = 0;
    for (const char *at = span.begin; at < span.end; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        number = number * 10 + (unsigned long)(*at - '0');
        if (number > max) {
            return false;
        }
    }
    *ret_number = number;
    return span.begin < span.end;
}

/* ---- parameters ---- */

static bool is_codec(const char *value)
{
    return strcmp(value, "json") == 0 || strcmp(value, "protobuf") == 0 ||
           strcmp(value, "yaml") == 0;
}

static bool is_peer_kind(const char *value)
{
    return strcmp(value, "seed") == 0;
}

static bool is_clients(const char *value)
{
    return strcmp(value, "clients") == 0;
}

static bool is_name(const char *value)
{
    return value[0] != '\0' && strspn(value, HOST_CHARACTERS) == strlen(value);
}

static bool is_given(const char *value)
{
    return value[0] != '\0';
}

static bool is_settle_ms(const char *value)
{
    unsigned long ms;
    return parse_number((struct span){value, value + strlen(value)}, SETTLE_MS_MAX, &ms);
}

/* The form of an instance's id (model/identity.h). */
static bool is_instance(const char *value)
{
    return strlen(value) == INSTANCE_CHARS &&
           strspn(value, "abcdefghijklmnopqrstuvwxyz234567") == INSTANCE_CHARS;
}

static bool is_yes_or_no(const char *value)
{
    return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
}

/* Words of a list, separated by commas. */
static bool is_auth(const char *value)
{
    static const char *const ways[] = {"certificate", "key", "password", "pin", "token"};
    struct osr_slice list = osr_slice_text(value);
    bool more = true;
    while (more) {
        struct osr_slice item;
        size_t i = 0;
        more = osr_text_take_item(&list, &item);
        while (i < sizeof(ways) / sizeof(ways[0]) &&
               !osr_slice_equal(item, osr_slice_text(ways[i]))) {
            i++;
        }
        if (i == sizeof(ways) / sizeof(ways[0])) {
            return false;
        }
    }
    return true;
}

static const struct {
    const char *key;
    bool (*is_valid)(const char *value);
    const char *expected;
} parameters_known[] = {
    {"arrivals", is_yes_or_no, "arrivals is yes or no"},
    {"as", is_name, "as is a client's name"},
    {"auth", is_auth, "auth is a list of certificate, key, password, pin and token"},
    {"ca_file", is_given, "ca_file is the path of the broker's CA"},
    {"codec", is_codec, "codec is json, protobuf or yaml"},
    {"for", is_clients, "for is clients, or not given"},
    {"id", is_instance, "id is an instance's, 32 characters"},
    {"password_file", is_given, "password_file is the path of a file with the broker's password"},
    {"peer", is_peer_kind, "peer is seed, or not given"},
    {"settle_ms", is_settle_ms, "settle_ms is a number from 0 to 60000"},
    {"vhost", is_given, "vhost is a virtual host of an AMQP broker"},
};

/* Resolves %XX. False for a broken escape, NUL, or a value that is too long. */
static bool decode_value(char *target, size_t size, struct span span)
{
    size_t length = 0;
    for (const char *at = span.begin; at < span.end; at++) {
        char character = *at;
        if (character == '%') {
            int high = span.end - at > 2 ? osr_hex_value((uint8_t)at[1]) : -1;
            int low = high >= 0 ? osr_hex_value((uint8_t)at[2]) : -1;
            if (low < 0) {
                return false;
            }
            character = (char)(high * 16 + low);
            at += 2;
        }
        if (character == '\0' || length + 1 >= size) {
            return false;
        }
        target[length++] = character;
    }
    target[length] = '\0';
    return true;
}

static int check_parameter(const struct osr_url *url, const char *key, const char *value,
                           struct osr_err *err)
{
    for (size_t i = 0; i < sizeof(parameters_known) / sizeof(parameters_known[0]); i++) {
        if (strcmp(parameters_known[i].key, key) == 0) {
            bool is_valid = parameters_known[i].is_valid(value);
            return is_valid ? 0 : refuse(err, url->text, parameters_known[i].expected);
        }
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%s': unknown parameter '%s'", url->text, key);
    osr_err_hint(err, "known are arrivals, as, auth, ca_file, codec, for, id, password_file, peer, "
                      "settle_ms, vhost");
    return OSR_INVALID_ARGUMENT;
}

static int add_parameter(struct osr_url *url, struct span span, struct osr_err *err)
{
    const char *equals = memchr(span.begin, '=', (size_t)(span.end - span.begin));
    if (equals == NULL) {
        return refuse(err, url->text, "a parameter is KEY=VALUE");
    }
    char key[sizeof(url->parameters[0].key)];
    char value[sizeof(url->parameters[0].value)];
    if (!copy(key, sizeof(key), (struct span){span.begin, equals}) ||
        !decode_value(value, sizeof(value), (struct span){equals + 1, span.end})) {
        return refuse(err, url->text, "a parameter is malformed or too long");
    }
    if (osr_url_parameter(url, key) != NULL) {
        return refuse(err, url->text, "a parameter is given twice");
    }
    int code = check_parameter(url, key, value, err);
    if (code != 0) {
        return code;
    }
    if (url->parameter_count == OSR_URL_PARAMETERS_MAX) {
        return refuse(err, url->text, "too many parameters");
    }
    memcpy(url->parameters[url->parameter_count].key, key, sizeof(key));
    memcpy(url->parameters[url->parameter_count].value, value, sizeof(value));
    url->parameter_count++;
    return 0;
}

static int parse_parameters(struct osr_url *url, const char *at, struct osr_err *err)
{
    for (;;) {
        const char *end = strchrnul(at, '&');
        int code = add_parameter(url, (struct span){at, end}, err);
        if (code != 0 || *end == '\0') {
            return code;
        }
        at = end + 1;
    }
}

/* ---- address ---- */

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. */
static int parse_host_and_port(struct osr_url *url, const struct scheme *scheme, struct span span,
                               struct osr_err *err)
{
    struct span host = span;
    const char *rest; /* what follows the host: nothing, or :PORT */
    if (*span.begin == '[') {
        host.begin++;
        host.end = memchr(span.begin, ']', (size_t)(span.end - span.begin));
        if (host.end == NULL) {
            return refuse(err, url->text, "']' is missing behind the IPv6 address");
        }
        rest = host.end + 1;
    } else {
        const char *colon = memchr(span.begin, ':', (size_t)(span.end - span.begin));
        host.end = colon != NULL ? colon : span.end;
        rest = host.end;
    }
    if (!copy(url->host, sizeof(url->host), host)) {
        return refuse(err, url->text, "the host is missing or too long");
    }
    struct in6_addr address;
    if (*span.begin == '[' && inet_pton(AF_INET6, url->host, &address) != 1) {
        return refuse(err, url->text, "no IPv6 address stands between '[' and ']'");
    }
    if (*span.begin != '[' && strspn(url->host, HOST_CHARACTERS) != strlen(url->host)) {
        return refuse(err, url->text, "the host is no name and no IPv4 address");
    }
    if (rest == span.end) {
        url->port = scheme->port;
        return 0;
    }
    unsigned long port;
    if (*rest != ':' || !parse_number((struct span){rest + 1, span.end}, UINT16_MAX, &port)) {
        return refuse(err, url->text, "the port is a number from 0 to 65535");
    }
    url->port = (uint16_t)port;
    return 0;
}

/* [USER@]HOST[:PORT]/ADDRESS */
static int parse_broker(struct osr_url *url, const struct scheme *scheme, struct span span,
                        struct osr_err *err)
{
    const char *slash = memchr(span.begin, '/', (size_t)(span.end - span.begin));
    struct span host = {span.begin, slash != NULL ? slash : span.end};
    const char *at = memchr(host.begin, '@', (size_t)(host.end - host.begin));
    if (at != NULL) {
        struct span user = {host.begin, at};
        if (memchr(user.begin, ':', (size_t)(user.end - user.begin)) != NULL) {
            osr_err_set(err, OSR_INVALID_ARGUMENT,
                        "a password in an address is seen by all who may list processes");
            osr_err_hint(err, "write it into a file of mode 0600 and add ?password_file=PATH");
            return OSR_INVALID_ARGUMENT;
        }
        if (!copy(url->user, sizeof(url->user), user)) {
            return refuse(err, url->text, "the user before '@' is missing or too long");
        }
        host.begin = at + 1;
    }
    struct span address = {slash != NULL ? slash + 1 : span.end, span.end};
    if (!copy(url->address, sizeof(url->address), address) ||
        strspn(url->address, ADDRESS_CHARACTERS) != strlen(url->address) ||
        address.end[-1] == '/' || url->address[0] == '/') {
        return refuse(err, url->text,
                      "behind a broker's name comes /ADDRESS, of letters, digits and . - _ /");
    }
    return parse_host_and_port(url, scheme, host, err);
}

static int parse_address(struct osr_url *url, struct span span, struct osr_err *err)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    if (scheme == NULL) {
        osr_err_set(err, OSR_UNSUPPORTED_VERSION, "'%s': scheme '%s' is not supported", url->text,
                    url->scheme);
        osr_err_hint(err,
                     "supported are tls, grpcs, udp, tcp, grpc, unix, zmq, mqtt, mqtts, amqp and "
                     "amqps");
        return OSR_UNSUPPORTED_VERSION;
    }
    if (scheme->is_broker) {
        return parse_broker(url, scheme, span, err);
    }
    if (scheme->port != 0) {
        return parse_host_and_port(url, scheme, span, err);
    }
    bool fits = copy(url->host, sizeof(url->host), span);
    return fits ? 0 : refuse(err, url->text, "the path is missing or too long");
}

int osr_url_parse(const char *text, struct osr_url *ret_url, struct osr_err *err)
{
    struct osr_url url = {0};
    struct span whole = {text, text + strlen(text)};
    if (!copy(url.text, sizeof(url.text), whole)) {
        return refuse(err, text, "the address is empty or too long");
    }
    const char *colon = strstr(text, "://");
    if (colon == NULL || !copy(url.scheme, sizeof(url.scheme), (struct span){text, colon})) {
        return refuse(err, text, "no address");
    }
    struct span address = {colon + strlen("://"), strchrnul(colon, '?')};
    int code = parse_address(&url, address, err);
    if (code == 0 && *address.end == '?') {
        code = parse_parameters(&url, address.end + 1, err);
    }
    if (code == 0) {
        *ret_url = url;
    }
    return code;
}

const char *osr_url_parameter(const struct osr_url *url, const char *key)
{
    for (size_t i = 0; i < url->parameter_count; i++) {
        if (strcmp(url->parameters[i].key, key) == 0) {
            return url->parameters[i].value;
        }
    }
    return NULL;
}

char *osr_url_place(const struct osr_url *url)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;
    return osr_format("%s://%s%s%s:%u%s%s", url->scheme, is_ipv6 ? "[" : "", url->host,
                      is_ipv6 ? "]" : "", url->port, url->address[0] != '\0' ? "/" : "",
                      url->address);
}

bool osr_url_is_secure(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && scheme->is_secure && !osr_url_is_for_clients(url);
}

bool osr_url_is_stream(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && !scheme->is_datagram && !scheme->is_bus;
}

bool osr_url_is_rpc(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && scheme->is_rpc;
}

bool osr_url_is_bus(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && scheme->is_bus;
}

bool osr_url_is_broker(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && scheme->is_broker;
}

bool osr_url_is_broker_secure(const struct osr_url *url)
{
    const struct scheme *scheme = find_scheme(url->scheme);
    return scheme != NULL && scheme->is_broker_secure;
}

bool osr_url_is_for_clients(const struct osr_url *url)
{
    return osr_url_parameter(url, "for") != NULL;
}

bool osr_url_is_loopback(const struct osr_url *url)
{
    if (strcmp(url->scheme, "unix") == 0 || strcmp(url->host, "localhost") == 0) {
        return true;
    }
    struct in_addr ipv4;
    if (inet_pton(AF_INET, url->host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    struct in6_addr ipv6;
    return inet_pton(AF_INET6, url->host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
}
