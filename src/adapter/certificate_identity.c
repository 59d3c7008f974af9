#include "adapter/certificate_identity.h"

#include "adapter/authority.h"
#include "base/text.h"
#include "model/identity.h"
#include "model/limits.h"
#include "model/policy.h"

static const char scheme[] = "osiris:";
static const char instance_prefix[] = "instance:";
static const char user_prefix[] = "user:";

_Static_assert((int)OSR_CLUSTER_BYTES_MAX <= OSR_CERTIFICATE_NAME_BYTES_MAX &&
                   (int)OSR_POLICY_NAME_BYTES_MAX <= OSR_CERTIFICATE_NAME_BYTES_MAX,
               "what is read fits the texts it goes to");

/* -- what is a name -- */

static bool is_plain_name(struct osr_slice name, size_t size_max)
{
    return name.size > 0 && name.size <= size_max && osr_utf8_is_valid(name) &&
           osr_text_is_plain(name);
}

/* No second ':' or '/', which look like structure to people, and no '*', which is a prefix in a
 * policy. */
static bool is_user_name(const char *name)
{
    return name[0] != '\0' && strpbrk(name, ":/*") == NULL;
}

static bool is_who(const char *who)
{
    if (!is_plain_name(osr_slice_text(who), OSR_POLICY_NAME_BYTES_MAX)) {
        return false;
    }
    if (strncmp(who, instance_prefix, strlen(instance_prefix)) == 0) {
        return osr_instance_id_is_valid(who + strlen(instance_prefix));
    }
    return strncmp(who, user_prefix, strlen(user_prefix)) == 0 &&
           is_user_name(who + strlen(user_prefix));
}

static bool is_cluster(const char *cluster)
{
    return is_plain_name(osr_slice_text(cluster), OSR_CLUSTER_BYTES_MAX);
}

/* -- percent-encoding -- */

static bool is_written_as_it_is(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~@", byte) != NULL);
}

static void add_encoded(struct osr_buffer *uri, struct osr_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (is_written_as_it_is(text.data[i])) {
            osr_buffer_add_u8(uri, text.data[i]);
        } else {
            osr_buffer_add_format(uri, "%%%02X", text.data[i]);
        }
    }
}

static void add_identity(struct osr_buffer *uri, const char *cluster, const char *who)
{
    size_t kind_size = strcspn(who, ":");

    osr_buffer_add_text(uri, scheme);
    add_encoded(uri, osr_slice_text(cluster));
    osr_buffer_add_text(uri, "/");
    osr_buffer_add(uri, who, kind_size);
    osr_buffer_add_text(uri, ":");
    add_encoded(uri, osr_slice_text(who + kind_size + 1));
}

/* Takes %XX as its byte, and everything else as it is: whether it had to be written that way is
 * seen by writing it again. False: a '%' without its digits, or longer than a name may be. */
static bool decode(struct osr_slice encoded, char *text)
{
    size_t size = 0;

    for (size_t i = 0; i < encoded.size; i++) {
        uint8_t byte = encoded.data[i];
        if (size == OSR_CERTIFICATE_NAME_BYTES_MAX) {
            return false;
        }
        if (byte == '%') {
            int high = encoded.size - i > 2 ? osr_hex_value(encoded.data[i + 1]) : -1;
            int low = encoded.size - i > 2 ? osr_hex_value(encoded.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        text[size++] = (char)byte;
    }
    text[size] = '\0';
    return true;
}

int osr_identity_uri_write(struct osr_buffer *uri, const char *cluster, const char *who,
                           struct osr_err *err)
{
    if (!is_cluster(cluster)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "\"%s\" is no cluster's name: it has 1 to %d bytes of plain text",
                           cluster, OSR_CLUSTER_BYTES_MAX);
    }
    if (!is_who(who)) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "\"%s\" cannot be certified: it is no identity",
                    who);
        osr_err_hint(err, "it has to be instance:ID or user:NAME, the name without : / *");
        return OSR_INVALID_ARGUMENT;
    }
    add_identity(uri, cluster, who);
    return 0;
}

/* Whether the identity, written by us, is this text: then it is the only text for it. */
static bool is_written_as(const char *cluster, const char *who, struct osr_slice uri)
{
    struct osr_buffer written = {0};
    add_identity(&written, cluster, who);
    bool is_same = osr_slice_equal(osr_buffer_slice(&written), uri);
    osr_buffer_done(&written);
    return is_same;
}

bool osr_identity_uri_is_ours(struct osr_slice uri)
{
    return uri.size >= strlen(scheme) && memcmp(uri.data, scheme, strlen(scheme)) == 0;
}

bool osr_identity_uri_read(struct osr_slice uri, char *cluster, char *who)
{
    char read_cluster[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    char read_who[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];

    if (!osr_identity_uri_is_ours(uri)) {
        return false;
    }
    struct osr_slice rest = osr_slice(uri.data + strlen(scheme), uri.size - strlen(scheme));
    const uint8_t *slash = rest.size > 0 ? memchr(rest.data, '/', rest.size) : NULL;
    if (slash == NULL) {
        return false;
    }
    size_t cluster_size = (size_t)(slash - rest.data);
    if (!decode(osr_slice(rest.data, cluster_size), read_cluster) ||
        !decode(osr_slice(slash + 1, rest.size - cluster_size - 1), read_who) ||
        !is_cluster(read_cluster) || !is_who(read_who) ||
        !is_written_as(read_cluster, read_who, uri)) {
        return false;
    }
    memcpy(cluster, read_cluster, strlen(read_cluster) + 1);
    memcpy(who, read_who, strlen(read_who) + 1);
    return true;
}
