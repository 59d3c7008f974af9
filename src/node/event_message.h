/* event_message.h -- one change of the knowledge base as a message for ordinary clients: the frame
 * KB_CHANGE, and the topic that it is published under.
 *
 * The topic is "kb/COLLECTION", or "kb" for the default collection, so that MQTT's "kb/#" and
 * AMQP's "kb.#" take all of them. What is not a letter, a digit, '-', '_' or '~' in the
 * collection's name is written %XX: a name with '/', '.' or a wildcard stays one level, and cannot
 * be taken for another one's topic. Where that is longer than a topic may be it is "kb/!" and the
 * SHA-256 of the name in hexadecimal; the message itself names the collection. */
#ifndef OSR_NODE_EVENT_MESSAGE_H
#define OSR_NODE_EVENT_MESSAGE_H

#include "adapter/bus.h"
#include "node/knowledge.h"
#include "wire/codec.h"

struct osr_event_topic {
    char text[OSR_BUS_ADDRESS_BYTES_MAX + 1];
};

void osr_event_topic(const char *collection, struct osr_event_topic *ret_topic);
/* Of a watch's reply; appends to `body`. */
void osr_event_message(enum osr_codec codec, const struct osr_query_reply *change,
                       struct osr_buffer *body);
const char *osr_event_content_type(enum osr_codec codec); /* a media type */

#endif
