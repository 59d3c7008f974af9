#include "adapter/mqtt_topics.h"

#include <stdio.h>

#include "base/text.h"

enum { REPLY_LEVELS_MAX = 100 }; /* mosquitto takes 200 */

static const char wildcards[] = "+#";

static void write_topic(struct osr_mqtt_topic *topic, const char *address, const char *level,
                        const char *last)
{
    (void)snprintf(topic->text, sizeof(topic->text), "%s/%s%s", address, level, last);
}

size_t osr_mqtt_topics_filters(const struct osr_mqtt_topics *topics,
                               struct osr_mqtt_topic filters[OSR_MQTT_FILTERS_MAX])
{
    switch (topics->role) {
    case OSR_BUS_LISTENER:
        write_topic(&filters[0], topics->address, "in/", "+");
        return 1;
    case OSR_BUS_DIALLER:
        write_topic(&filters[0], topics->address, "out/", topics->peer);
        write_topic(&filters[1], topics->address, "gone", "");
        return 2;
    case OSR_BUS_CLIENTS:
        (void)snprintf(filters[0].text, sizeof(filters[0].text), "%s", topics->address);
        return 1;
    case OSR_BUS_EVENTS:
    default:
        return 0;
    }
}

bool osr_mqtt_topics_end(const struct osr_mqtt_topics *topics, struct osr_mqtt_topic *ret_topic)
{
    if (topics->role == OSR_BUS_LISTENER) {
        write_topic(ret_topic, topics->address, "gone", "");
        return true;
    }
    if (topics->role == OSR_BUS_DIALLER) {
        write_topic(ret_topic, topics->address, "in/", topics->peer);
        return true;
    }
    return false;
}

/* Whether the protocol lets this stand in a topic that is sent to. */
static bool is_sendable(const char *text)
{
    struct osr_slice bytes = osr_slice_text(text);
    return bytes.size > 0 && bytes.size <= OSR_BUS_ADDRESS_BYTES_MAX &&
           strpbrk(text, wildcards) == NULL && osr_text_is_plain(bytes) && osr_utf8_is_valid(bytes);
}

static bool is_peer(const char *text)
{
    return is_sendable(text) && strchr(text, '/') == NULL;
}

static size_t count_levels(const char *text)
{
    size_t count = 1;
    for (const char *at = text; (at = strchr(at, '/')) != NULL; at++) {
        count++;
    }
    return count;
}

/* Brokers end the connection of who publishes to a topic that begins with '$', or has very many
 * levels: a request, which says where its reply goes, is not to end that of all. */
static bool is_harmless(const char *reply_to)
{
    return reply_to[0] != '$' && count_levels(reply_to) <= REPLY_LEVELS_MAX;
}

bool osr_mqtt_topics_to(const struct osr_mqtt_topics *topics, const char *address,
                        struct osr_mqtt_topic *ret_topic)
{
    if (topics->role == OSR_BUS_DIALLER) {
        write_topic(ret_topic, topics->address, "in/", topics->peer);
        return true;
    }
    if (address == NULL || !is_sendable(address)) {
        return false;
    }
    if (topics->role == OSR_BUS_CLIENTS) {
        if (!is_harmless(address)) {
            return false;
        }
        (void)snprintf(ret_topic->text, sizeof(ret_topic->text), "%s", address);
        return true;
    }
    if (topics->role == OSR_BUS_LISTENER && !is_peer(address)) {
        return false;
    }
    write_topic(ret_topic, topics->address, topics->role == OSR_BUS_LISTENER ? "out/" : "",
                address);
    return true;
}

/* What stands behind A/ in a topic; NULL: it is none of A's. */
static const char *behind_address(const struct osr_mqtt_topics *topics, const char *topic)
{
    size_t size = strlen(topics->address);
    bool is_ours = strncmp(topic, topics->address, size) == 0 && topic[size] == '/';
    return is_ours ? topic + size + 1 : NULL;
}

static enum osr_mqtt_sense read_for_listener(const char *level, const char *content_type,
                                             const char **ret_address)
{
    if (strncmp(level, "in/", 3) != 0 || !is_peer(level + 3)) {
        return OSR_MQTT_UNEXPECTED;
    }
    *ret_address = level + 3;
    bool is_end = content_type != NULL && strcmp(content_type, OSR_MQTT_END_TYPE) == 0;
    return is_end ? OSR_MQTT_GONE : OSR_MQTT_MESSAGE;
}

static enum osr_mqtt_sense read_for_dialler(const struct osr_mqtt_topics *topics, const char *level)
{
    if (strcmp(level, "gone") == 0) {
        return OSR_MQTT_GONE;
    }
    bool is_own = strncmp(level, "out/", 4) == 0 && strcmp(level + 4, topics->peer) == 0;
    return is_own ? OSR_MQTT_MESSAGE : OSR_MQTT_UNEXPECTED;
}

enum osr_mqtt_sense osr_mqtt_topics_read(const struct osr_mqtt_topics *topics, const char *topic,
                                         const char *content_type, const char **ret_address)
{
    const char *level = behind_address(topics, topic);

    *ret_address = "";
    if (topics->role == OSR_BUS_CLIENTS) {
        return strcmp(topic, topics->address) == 0 ? OSR_MQTT_MESSAGE : OSR_MQTT_UNEXPECTED;
    }
    if (level != NULL && topics->role == OSR_BUS_LISTENER) {
        return read_for_listener(level, content_type, ret_address);
    }
    if (level != NULL && topics->role == OSR_BUS_DIALLER) {
        return read_for_dialler(topics, level);
    }
    return OSR_MQTT_UNEXPECTED;
}
